//! `Reader`: an incremental JSON reader that reports the scalars at wanted places and keeps nothing else.

mod digits;
mod mark;
mod node;
mod skip;
mod text;
mod tokens;
mod whole;

use digits::Digits;
pub(crate) use mark::Mark;
pub(crate) use node::Node;
use node::Take;
use text::{Escape, Part};

/// Hears what a [`Reader`] finds at the places of its tree.
pub(crate) trait Sink<L> {
    /// More of a measured string has passed, decoded; a piece may begin or end inside a character. `last` is true once per string, at
    /// its end.
    fn text(&mut self, leaf: L, text: &[u8], last: bool);
    /// A kept string has ended. `whole` is false when it was longer than its limit.
    fn string(&mut self, leaf: L, text: &[u8], whole: bool);
    /// A number has ended; `end` is the offset in the document just behind it. `text` is empty when the number has more than 512 bytes.
    fn number(&mut self, leaf: L, text: &[u8], end: u64);
    /// `true` (`Some(true)`), `false` or `null` (`None`).
    fn literal(&mut self, leaf: L, value: Option<bool>);
    /// A list or object begins.
    fn open(&mut self, leaf: L);
    /// A list or object ends.
    fn close(&mut self, leaf: L);
}

/// Reads one JSON document after another from pieces of any size.
///
/// Memory is fixed: a path of 12 places, one bit per open bracket, and one buffer of at most 512 bytes for a
/// key, a kept string or a number that is split between pieces. The grammar is RFC 8259's, nested at most 127 deep (the limit of `serde_json` too), with two
/// leniencies that cannot change what is read: raw control characters and broken UTF-8 inside strings are let through.
pub(crate) struct Reader<L: 'static> {
    root: &'static Node<L>,
    state: State,
    /// The place of the value being read, or of the next one.
    place: Option<&'static Node<L>>,
    /// The places of the open lists and objects, outermost first.
    path: [Option<&'static Node<L>>; PATH],
    depth: usize,
    /// One bit per open bracket: 1 for an object. The innermost is the lowest.
    objects: u128,
    /// The beginning of a string or number that did not end within a piece.
    held: Vec<u8>,
    /// Whether bytes were left out of `held`.
    overflow: bool,
    /// A first half of a surrogate pair that waits for its second.
    high: Option<u16>,
    /// Bytes of this document in earlier pieces.
    offset: u64,
    closed: bool,
}

/// How a document ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// There was anything but blanks.
    pub(crate) started: bool,
    /// Its outermost value is whole.
    pub(crate) closed: bool,
    /// It broke the grammar.
    pub(crate) faulty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but blanks so far.
    Start,
    /// A value must follow.
    Value,
    /// A value or `]` must follow.
    FirstItem,
    /// A key or `}` must follow.
    FirstKey,
    /// A key must follow.
    Key,
    Colon,
    /// `,` or a closing bracket must follow.
    After,
    Text(Part),
    /// Inside a string, behind a backslash.
    Escape(Part, Escape),
    Number(Digits),
    /// Inside `true`, `false` or `null`: so many letters read.
    Word(Word, u8),
    Done,
    Broken,
}

impl State {
    /// Whether the last token has ended and the next has not begun.
    fn is_between(self) -> bool {
        matches!(
            self,
            Self::Value | Self::FirstItem | Self::FirstKey | Self::Key | Self::Colon | Self::After
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    True,
    False,
    Null,
}

/// Deepest nesting that can matter: `messages[].content[].content[].source.data` of a request has eight levels.
pub(crate) const PATH: usize = 12;
/// Deepest nesting that is read at all.
const DEPTH: usize = 127;
/// Most bytes kept of a key, string or number.
const HELD: usize = 512;
/// Most bytes kept of a key: more than any key of any tree.
pub(crate) const KEY: u16 = 64;

impl<L: Copy> Reader<L> {
    /// A reader that reports what is found at the places of `root`.
    pub(crate) fn new(root: &'static Node<L>) -> Self {
        Self {
            root,
            state: State::Start,
            place: Some(root),
            path: [None; PATH],
            depth: 0,
            objects: 0,
            held: Vec::new(),
            overflow: false,
            high: None,
            offset: 0,
            closed: false,
        }
    }

    /// Whether the outermost value is whole.
    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Ends the document and makes ready for the next.
    pub(crate) fn end(&mut self, sink: &mut impl Sink<L>) -> End {
        if let State::Number(digits) = self.state {
            // Only a number at the very top ends with the document; any other was cut, and half a number is no number.
            if self.depth == 0 {
                self.end_number(digits, &[], self.offset, sink);
            }
        }
        let started = self.state != State::Start;
        let end = End {
            started,
            closed: self.closed,
            faulty: self.state == State::Broken,
        };
        self.state = State::Start;
        self.place = Some(self.root);
        self.depth = 0;
        self.objects = 0;
        self.held.clear();
        self.overflow = false;
        self.high = None;
        self.offset = 0;
        self.closed = false;
        end
    }

    /// Reads the next piece of the document.
    pub(crate) fn push(&mut self, piece: &[u8], sink: &mut impl Sink<L>) {
        let mut at = 0;
        while at < piece.len() {
            at = match self.state {
                State::Broken => break,
                State::Text(part) => self.read_text(part, piece, at, sink),
                State::Number(digits) => self.read_number(digits, piece, at, sink),
                state if state.is_between() => {
                    let read = self.read_tokens(piece, at, sink);
                    // A token that the piece cuts is read byte by byte, and so is what is odd.
                    if self.state.is_between() && read < piece.len() {
                        self.read_byte(piece, read, sink)
                    } else {
                        read
                    }
                }
                _ => self.read_byte(piece, at, sink),
            };
        }
        self.offset += piece.len() as u64;
    }

    fn read_byte(&mut self, piece: &[u8], at: usize, sink: &mut impl Sink<L>) -> usize {
        self.state = self.step(piece[at], sink);
        // A number begins with its own first byte, which `read_number` wants to see.
        at + usize::from(self.state != State::Number(Digits::Before))
    }

    /// Takes one byte outside strings and numbers.
    fn step(&mut self, byte: u8, sink: &mut impl Sink<L>) -> State {
        match self.state {
            State::Escape(part, escape) => self.read_escape(part, escape, byte, sink),
            State::Word(word, read) => self.read_word(word, read, byte, sink),
            state if skip::is_blank(byte) => state,
            State::Start | State::Value => self.begin(byte, sink),
            State::FirstItem if byte == b']' => self.close(sink),
            State::FirstItem => self.begin(byte, sink),
            State::FirstKey if byte == b'}' => self.close(sink),
            State::FirstKey | State::Key if byte == b'"' => State::Text(self.key()),
            State::Colon if byte == b':' => State::Value,
            State::After => match byte {
                b',' if self.in_object() => State::Key,
                b',' => {
                    self.place = self.top().and_then(Node::item);
                    State::Value
                }
                b'}' if self.in_object() => self.close(sink),
                b']' if !self.in_object() => self.close(sink),
                _ => State::Broken,
            },
            _ => State::Broken,
        }
    }

    /// Takes the first byte of a value.
    fn begin(&mut self, byte: u8, sink: &mut impl Sink<L>) -> State {
        match byte {
            b'{' | b'[' => self.open(byte == b'{', sink),
            b'"' => State::Text(Part {
                key: false,
                take: self.take(),
            }),
            b'-' | b'0'..=b'9' => State::Number(Digits::Before),
            b't' => State::Word(Word::True, 1),
            b'f' => State::Word(Word::False, 1),
            b'n' => State::Word(Word::Null, 1),
            _ => State::Broken,
        }
    }

    fn open(&mut self, object: bool, sink: &mut impl Sink<L>) -> State {
        if self.depth == DEPTH {
            return State::Broken;
        }
        if let Some(leaf) = self.leaf() {
            sink.open(leaf);
        }
        if let Some(entry) = self.path.get_mut(self.depth) {
            *entry = self.place;
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        if object {
            return State::FirstKey;
        }
        self.place = self.top().and_then(Node::item);
        State::FirstItem
    }

    fn close(&mut self, sink: &mut impl Sink<L>) -> State {
        self.place = self.top();
        self.depth -= 1;
        self.objects >>= 1;
        if let Some(leaf) = self.leaf() {
            sink.close(leaf);
        }
        self.after()
    }

    /// The state behind a value that has just ended.
    fn after(&mut self) -> State {
        self.held.clear();
        self.overflow = false;
        if self.depth > 0 {
            return State::After;
        }
        self.closed = true;
        State::Done
    }

    /// The place of the innermost open list or object.
    fn top(&self) -> Option<&'static Node<L>> {
        match self.depth {
            0 => None,
            depth if depth <= PATH => self.path[depth - 1],
            // Deeper than any wanted path: only a place that wants everything below itself goes on.
            _ => self.path[PATH - 1].filter(|node| node.deep),
        }
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// What is done with a string here.
    fn take(&self) -> Take {
        self.place.map_or(Take::Skip, |node| node.take)
    }

    fn leaf(&self) -> Option<L> {
        self.place.and_then(|node| node.leaf)
    }

    /// How the key that begins now is read.
    fn key(&mut self) -> Part {
        // Where everything is wanted, a key is text of its object's place; elsewhere its value's place is not known yet.
        let top = self.top();
        self.place = top.filter(|node| node.deep);
        let take = match top {
            Some(node) if node.deep => Take::Measure,
            Some(node) if !node.keys.is_empty() => Take::Keep(KEY),
            _ => Take::Skip,
        };
        Part { key: true, take }
    }

    fn read_number(
        &mut self,
        mut digits: Digits,
        piece: &[u8],
        start: usize,
        sink: &mut impl Sink<L>,
    ) -> usize {
        let mut at = start;
        while let Some(next) = piece.get(at).and_then(|byte| digits.next(*byte)) {
            digits = next;
            at += 1;
        }
        if at == piece.len() {
            if self.leaf().is_some() {
                self.hold(&piece[start..], HELD);
            }
            self.state = State::Number(digits);
        } else {
            self.end_number(digits, &piece[start..at], self.offset + at as u64, sink);
        }
        at
    }

    fn end_number(&mut self, digits: Digits, rest: &[u8], end: u64, sink: &mut impl Sink<L>) {
        if !digits.is_whole() {
            self.state = State::Broken;
            return;
        }
        if let Some(leaf) = self.leaf() {
            if self.held.is_empty() && rest.len() <= HELD {
                sink.number(leaf, rest, end);
            } else {
                self.hold(rest, HELD);
                sink.number(leaf, if self.overflow { &[] } else { &self.held }, end);
            }
        }
        self.state = self.after();
    }

    fn read_word(&mut self, word: Word, read: u8, byte: u8, sink: &mut impl Sink<L>) -> State {
        let (letters, value): (&[u8], _) = match word {
            Word::True => (b"true", Some(true)),
            Word::False => (b"false", Some(false)),
            Word::Null => (b"null", None),
        };
        let at = usize::from(read);
        if letters[at] != byte {
            return State::Broken;
        }
        if at + 1 < letters.len() {
            return State::Word(word, read + 1);
        }
        if let Some(leaf) = self.leaf() {
            sink.literal(leaf, value);
        }
        self.after()
    }

    /// Adds to what is held of a string or number, up to `limit` bytes.
    fn hold(&mut self, bytes: &[u8], limit: usize) {
        let room = limit.saturating_sub(self.held.len());
        self.overflow |= bytes.len() > room;
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests;
