//! Passing over what nobody wants to hear of: whole lists and objects, with their grammar checked and nothing else done.

use super::whole::{self, Stop};
use super::{DEPTH, PATH, Reader, State};

impl<L: Copy> Reader<L> {
    /// How many of the open brackets, from the outside, somebody wants to hear of.
    fn wanted_depth(&self) -> usize {
        let mut depth = self.depth.min(PATH);
        while depth > 0 && self.path[depth - 1].is_none() {
            depth -= 1;
        }
        depth
    }

    /// Reads on, from `at`, to the end of the outermost unwanted bracket, or as far as tokens lie whole within the piece; returns
    /// where it stopped. Must be between two tokens and inside an unwanted bracket.
    pub(super) fn skip(&mut self, piece: &[u8], at: usize) -> usize {
        let floor = self.wanted_depth();
        let mut brackets = Brackets {
            depth: self.depth,
            objects: self.objects,
        };
        let (at, state) = brackets.skip(piece, at, self.state, floor);
        (self.depth, self.objects) = (brackets.depth, brackets.objects);
        self.state = state;
        if self.depth == floor && self.state == State::After {
            // The closing of an unwanted bracket tells nobody anything, and what was held is of a key.
            self.place = None;
            self.state = self.after();
        } else if let Some(inside) = self.path.get_mut(floor..self.depth.min(PATH)) {
            // Brackets that were opened on the way are as little wanted.
            inside.fill(None);
        }
        at
    }
}

/// The open brackets, in registers.
struct Brackets {
    depth: usize,
    objects: u128,
}

impl Brackets {
    #[inline]
    fn open(&mut self, is_object: bool) {
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
    }

    #[inline]
    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// Where it stopped, and what must follow there.
    fn skip(&mut self, piece: &[u8], mut at: usize, state: State, floor: usize) -> (usize, State) {
        // The next byte that is not blank; where the piece ends before it, `$state` is what must follow.
        macro_rules! next {
            ($state:expr) => {
                loop {
                    match piece.get(at) {
                        Some(&byte) if byte > b' ' || !is_blank(byte) => break byte,
                        Some(_) => at += 1,
                        None => return (at, $state),
                    }
                }
            };
        }
        // The place behind a token; where it has no end, `$state` is what must follow.
        macro_rules! end {
            ($end:expr, $state:expr) => {
                match $end {
                    Ok(end) => end,
                    Err(Stop::Cut) => return (at, $state),
                    Err(Stop::Bad) => return (at, State::Broken),
                }
            };
        }
        macro_rules! close {
            () => {{
                self.close();
                at += 1;
                if self.depth == floor {
                    return (at, State::After);
                }
                Next::After
            }};
        }
        let mut next = match state {
            State::FirstItem if next!(state) == b']' => close!(),
            State::FirstKey if next!(state) == b'}' => close!(),
            State::FirstItem | State::Value => Next::Value,
            State::FirstKey | State::Key => Next::Key,
            State::Colon => Next::Colon,
            _ => Next::After,
        };
        loop {
            next = match next {
                Next::Key => {
                    if next!(State::Key) != b'"' {
                        return (at, State::Broken);
                    }
                    at = end!(whole::string(piece, at + 1), State::Key);
                    Next::Colon
                }
                Next::Colon => {
                    if next!(State::Colon) != b':' {
                        return (at, State::Broken);
                    }
                    at += 1;
                    Next::Value
                }
                Next::Value => match next!(State::Value) {
                    b'"' => {
                        at = end!(whole::string(piece, at + 1), State::Value);
                        Next::After
                    }
                    b'-' | b'0'..=b'9' => {
                        at = end!(whole::number(piece, at), State::Value);
                        Next::After
                    }
                    b'{' | b'[' if self.depth == DEPTH => return (at, State::Broken),
                    b'{' => {
                        self.open(true);
                        at += 1;
                        match next!(State::FirstKey) {
                            b'}' => close!(),
                            _ => Next::Key,
                        }
                    }
                    b'[' => {
                        self.open(false);
                        at += 1;
                        match next!(State::FirstItem) {
                            b']' => close!(),
                            _ => Next::Value,
                        }
                    }
                    _ => {
                        at = end!(whole::word(piece, at), State::Value);
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
                        Next::Value
                    }
                    b'}' if self.in_object() => close!(),
                    b']' if !self.in_object() => close!(),
                    _ => return (at, State::Broken),
                },
            };
        }
    }
}

/// What must follow.
#[derive(Clone, Copy)]
enum Next {
    Key,
    Colon,
    Value,
    After,
}

#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
