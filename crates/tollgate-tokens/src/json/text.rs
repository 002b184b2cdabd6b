//! Reading of JSON strings: skipped, measured or kept, with escapes resolved across the borders of pieces.

use super::{Reader, Sink, State, node::Take, whole};

/// What a string is: a key or a value, and what is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: bool,
    pub(super) take: Take,
}

/// How much of an escape has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// The backslash.
    Begun,
    /// `\u` and so many hexadecimal digits, which make this value.
    Hex(u8, u16),
}

impl<L: Copy> Reader<L> {
    /// Reads on inside a string, from `start` to its end, to an escape that the piece cuts, or to the end of the piece; returns where it
    /// stopped.
    pub(super) fn read_text(
        &mut self,
        part: Part,
        piece: &[u8],
        start: usize,
        sink: &mut impl Sink<L>,
    ) -> usize {
        let mut at = start;
        let measured = self.leaf().filter(|_| part.take == Take::Measure);
        loop {
            let Some(end) = whole::quote_or_backslash(piece, at) else {
                self.state = State::Text(part);
                self.take_text(part, &piece[at..], sink);
                return piece.len();
            };
            let text = &piece[at..end];
            if piece[end] == b'"' {
                self.end_text(part, text, sink);
                return end + 1;
            }
            // Most escapes are one letter, and most text is measured.
            if let (Some(leaf), None) = (measured, self.high)
                && let Some(plain) = piece.get(end + 1).and_then(|letter| unescape(*letter))
            {
                sink.text(leaf, text, false);
                sink.text(leaf, &[plain], false);
                at = end + 2;
                continue;
            }
            self.take_text(part, text, sink);
            at = end + 1;
            match whole::escape(&piece[at..]) {
                Ok(length) => {
                    self.take_escape(part, &piece[at..at + length], sink);
                    at += length;
                }
                Err(_) => {
                    self.state = State::Escape(part, Escape::Begun);
                    return at;
                }
            }
        }
    }

    /// Takes an escape that is whole, without its backslash.
    fn take_escape(&mut self, part: Part, escape: &[u8], sink: &mut impl Sink<L>) {
        match (part.take, escape) {
            (Take::Skip, _) => {}
            (_, [b'u', digits @ ..]) => {
                let unit = digits.iter().fold(0, |unit, digit| {
                    unit << 4 | u16::from(hex(*digit).unwrap_or(0))
                });
                self.take_unit(part, unit, sink);
            }
            (_, letter) => {
                let plain = letter.first().and_then(|letter| unescape(*letter));
                self.take_text(part, plain.as_slice(), sink);
            }
        }
    }

    pub(super) fn read_escape(
        &mut self,
        part: Part,
        escape: Escape,
        byte: u8,
        sink: &mut impl Sink<L>,
    ) -> State {
        let (read, value) = match (escape, byte) {
            (Escape::Begun, b'u') => return State::Escape(part, Escape::Hex(0, 0)),
            (Escape::Begun, _) => {
                let Some(plain) = unescape(byte) else {
                    return State::Broken;
                };
                self.take_text(part, &[plain], sink);
                return State::Text(part);
            }
            (Escape::Hex(read, value), _) => (read, value),
        };
        let Some(digit) = hex(byte) else {
            return State::Broken;
        };
        let value = value << 4 | u16::from(digit);
        if read < 3 {
            return State::Escape(part, Escape::Hex(read + 1, value));
        }
        self.take_unit(part, value, sink);
        State::Text(part)
    }

    /// Takes one UTF-16 code unit of a string.
    fn take_unit(&mut self, part: Part, unit: u16, sink: &mut impl Sink<L>) {
        let unheard = part.take == Take::Measure && self.leaf().is_none();
        if part.take == Take::Skip || unheard {
            return;
        }
        match (self.high.take(), unit) {
            (Some(high), 0xDC00..=0xDFFF) => {
                let code = 0x10000 + (u32::from(high - 0xD800) << 10) + u32::from(unit - 0xDC00);
                self.take_char(
                    part,
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                    sink,
                );
            }
            (lone, _) => {
                if lone.is_some() {
                    self.take_char(part, char::REPLACEMENT_CHARACTER, sink);
                }
                match unit {
                    0xD800..=0xDBFF => self.high = Some(unit),
                    _ => {
                        let char =
                            char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER);
                        self.take_char(part, char, sink);
                    }
                }
            }
        }
    }

    fn take_char(&mut self, part: Part, char: char, sink: &mut impl Sink<L>) {
        self.take_text(part, char.encode_utf8(&mut [0; 4]).as_bytes(), sink);
    }

    /// Takes a run of decoded text.
    fn take_text(&mut self, part: Part, text: &[u8], sink: &mut impl Sink<L>) {
        match part.take {
            Take::Skip => {}
            Take::Measure => {
                if let Some(leaf) = self.leaf() {
                    self.tell_lone_half(leaf, text, sink);
                    sink.text(leaf, text, false);
                }
            }
            Take::Keep(limit) => {
                if !text.is_empty() && self.high.take().is_some() {
                    self.hold(
                        char::REPLACEMENT_CHARACTER
                            .encode_utf8(&mut [0; 4])
                            .as_bytes(),
                        limit.into(),
                    );
                }
                self.hold(text, limit.into());
            }
        }
    }

    /// The first half of a surrogate pair that other text follows stays alone.
    fn tell_lone_half(&mut self, leaf: L, next: &[u8], sink: &mut impl Sink<L>) {
        if !next.is_empty() && self.high.take().is_some() {
            let lone = char::REPLACEMENT_CHARACTER;
            sink.text(leaf, lone.encode_utf8(&mut [0; 4]).as_bytes(), false);
        }
    }

    /// Takes the last run of a string.
    fn end_text(&mut self, part: Part, text: &[u8], sink: &mut impl Sink<L>) {
        let Take::Keep(limit) = part.take else {
            if let (Take::Measure, Some(leaf)) = (part.take, self.leaf()) {
                self.tell_lone_half(leaf, b"\"", sink);
                sink.text(leaf, text, true);
            }
            self.state = if part.key { State::Colon } else { self.after() };
            return;
        };
        let limit = usize::from(limit);
        // A string that lies whole within one piece is not copied.
        let direct = self.held.is_empty() && self.high.is_none() && text.len() <= limit;
        if !direct {
            if self.high.take().is_some() {
                self.take_char(part, char::REPLACEMENT_CHARACTER, sink);
            }
            self.take_text(part, text, sink);
        }
        let whole = !self.overflow;
        let string = if direct { text } else { &self.held };
        if part.key {
            self.place = self
                .top()
                .filter(|_| whole)
                .and_then(|node| node.child(string));
            self.held.clear();
            self.overflow = false;
            self.state = State::Colon;
        } else {
            if let Some(leaf) = self.leaf() {
                sink.string(leaf, string, whole);
            }
            self.state = self.after();
        }
    }
}

/// The value of a hexadecimal digit.
fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn unescape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' | b'/' => Some(byte),
        b'b' => Some(8),
        b'f' => Some(12),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        _ => None,
    }
}
