//! Reading of tokens that lie whole within a piece, which is nearly all of them.

use super::skip::is_blank;
use super::whole;
use super::{HELD, Part, Reader, Sink, State, node::Take};

/// What must follow.
#[derive(Clone, Copy)]
enum Next {
    Key,
    Colon,
    Value,
    After,
}

impl<L: Copy> Reader<L> {
    /// Reads on, from `start`, as far as tokens lie whole within the piece; returns where it stopped. Must be between two tokens, and the
    /// state says afterwards what must follow. Stops at whatever is odd too, and leaves it to be read byte by byte.
    pub(super) fn read_tokens(
        &mut self,
        piece: &[u8],
        start: usize,
        sink: &mut impl Sink<L>,
    ) -> usize {
        let mut at = start;
        // Leaves with what must follow.
        macro_rules! stop {
            ($state:expr) => {{
                self.state = $state;
                return at;
            }};
        }
        // The next byte that is not blank; where the piece ends before it, `$state` is what must follow.
        macro_rules! next {
            ($state:expr) => {
                loop {
                    match piece.get(at) {
                        Some(&byte) if byte > b' ' || !is_blank(byte) => break byte,
                        Some(_) => at += 1,
                        None => stop!($state),
                    }
                }
            };
        }
        // Closes the innermost bracket.
        macro_rules! close {
            () => {{
                at += 1;
                match self.close(sink) {
                    State::After => Next::After,
                    done => stop!(done),
                }
            }};
        }
        // Passes over the inside of a bracket that nobody wants to hear of.
        macro_rules! skip {
            () => {{
                at = self.skip(piece, at);
                if self.state != State::After {
                    return at;
                }
                Next::After
            }};
        }
        let mut next = match self.state {
            _ if self.depth > 0 && self.top().is_none() => skip!(),
            State::FirstItem if next!(State::FirstItem) == b']' => close!(),
            State::FirstKey if next!(State::FirstKey) == b'}' => close!(),
            State::FirstItem | State::Value => Next::Value,
            State::FirstKey | State::Key => Next::Key,
            State::Colon => Next::Colon,
            State::After => Next::After,
            _ => return at,
        };
        loop {
            next = match next {
                Next::Key => {
                    if next!(State::Key) != b'"' {
                        stop!(State::Key);
                    }
                    match self.top() {
                        Some(node) if !node.deep => {
                            let Some(end) = whole::quote_or_backslash(piece, at + 1) else {
                                stop!(State::Key);
                            };
                            if piece[end] != b'"' {
                                stop!(State::Key);
                            }
                            self.place = node.child(&piece[at + 1..end]);
                            at = end + 1;
                        }
                        // Where everything is wanted, keys are text too.
                        _ => {
                            let part = self.key();
                            at = self.read_text(part, piece, at + 1, sink);
                            if self.state != State::Colon {
                                return at;
                            }
                        }
                    }
                    Next::Colon
                }
                Next::Colon => {
                    if next!(State::Colon) != b':' {
                        stop!(State::Colon);
                    }
                    at += 1;
                    Next::Value
                }
                Next::Value => match next!(State::Value) {
                    b'"' => {
                        match self.take() {
                            Take::Skip => match whole::string(piece, at + 1) {
                                Ok(end) => at = end,
                                Err(_) => stop!(State::Value),
                            },
                            take => {
                                at = self.read_text(Part { key: false, take }, piece, at + 1, sink);
                                if self.state != State::After {
                                    return at;
                                }
                            }
                        }
                        Next::After
                    }
                    b'-' | b'0'..=b'9' => {
                        let Ok(end) = whole::number(piece, at) else {
                            stop!(State::Value);
                        };
                        if let Some(leaf) = self.leaf() {
                            let text = if end - at > HELD {
                                &[]
                            } else {
                                &piece[at..end]
                            };
                            sink.number(leaf, text, self.offset + end as u64);
                        }
                        at = end;
                        Next::After
                    }
                    byte @ (b'{' | b'[') => match self.open(byte == b'{', sink) {
                        State::Broken => stop!(State::Broken),
                        first => {
                            at += 1;
                            self.state = first;
                            match first {
                                _ if self.top().is_none() => skip!(),
                                State::FirstKey if next!(first) != b'}' => Next::Key,
                                State::FirstItem if next!(first) != b']' => Next::Value,
                                _ => close!(),
                            }
                        }
                    },
                    byte => {
                        let Ok(end) = whole::word(piece, at) else {
                            stop!(State::Value);
                        };
                        if let Some(leaf) = self.leaf() {
                            sink.literal(leaf, (byte != b'n').then_some(byte == b't'));
                        }
                        at = end;
                        Next::After
                    }
                },
                Next::After => match next!(State::After) {
                    b',' if self.in_object() => {
                        at += 1;
                        Next::Key
                    }
                    b',' => {
                        at += 1;
                        self.place = self.top().and_then(super::Node::item);
                        Next::Value
                    }
                    b'}' if self.in_object() => close!(),
                    b']' if !self.in_object() => close!(),
                    _ => stop!(State::After),
                },
            };
        }
    }
}
