//! `TextKinds`: how a prompt is made up, counted in one pass while it is read.

use std::fmt;

/// What a call's input is made of: for each kind of text, and for what is no text, the tokens it is expected to take before anything
/// is learned of the model.
///
/// A word, a number, an indentation or a Chinese character takes about as many tokens wherever it stands, and far more or less than
/// another kind of as many bytes. Tokenizers differ mostly by kind: in how they cut numbers, blanks, or a script that they were not
/// made for. So a model's tokenizer is learned as one factor per kind, and calls that mix all kinds teach it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TextKinds {
    /// Thousandths of a token.
    expected: [u64; KINDS],
}

/// One kind of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    /// Words behind a blank: prose, and much of code.
    Words,
    /// Words joined to something else: camel case, capitals, names behind a dot, base64.
    Joined,
    Digits,
    /// Indentation and line ends.
    Blanks,
    /// ASCII punctuation.
    Signs,
    /// Chinese characters.
    Han,
    /// All other characters beyond ASCII.
    Other,
    /// Definitions of tools and schemas, which providers render in ways of their own.
    Tools,
    Images,
    /// Text that the model's own tokenizer has counted.
    Counted,
    /// What frames messages.
    Framing,
}

/// How many kinds there are.
pub(crate) const KINDS: usize = 11;

/// Their names in files, in order.
pub(crate) const NAMES: [&str; KINDS] = [
    "words", "joined", "digits", "blanks", "signs", "han", "other", "tools", "images", "counted",
    "framing",
];

impl TextKinds {
    /// The kinds of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut counter = KindCounter::default();
        counter.push(text.as_bytes());
        counter.kinds()
    }

    pub(crate) fn all(&self) -> &[u64; KINDS] {
        &self.expected
    }

    /// Adds `thousandths` of a token of a kind.
    pub(crate) fn add(&mut self, kind: Kind, thousandths: u64) {
        let sum = &mut self.expected[kind as usize];
        *sum = sum.saturating_add(thousandths);
    }

    /// All of it, in thousandths of a token.
    pub(crate) fn sum(&self) -> u64 {
        self.expected
            .iter()
            .fold(0, |sum, part| sum.saturating_add(*part))
    }

    /// The same text, as a part of the input that is learned as one.
    pub(crate) fn moved_to(&self, kind: Kind) -> Self {
        let mut moved = Self::default();
        moved.add(kind, self.sum());
        moved
    }

    /// Both texts, one behind the other.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (sum, more) in self.expected.iter_mut().zip(other.expected) {
            *sum = sum.saturating_add(more);
        }
        self
    }

    /// The same, its text replaced by tokens that were counted.
    pub(crate) fn counted(mut self, tokens: u64) -> Self {
        for kind in [
            Kind::Words,
            Kind::Joined,
            Kind::Digits,
            Kind::Blanks,
            Kind::Signs,
            Kind::Han,
            Kind::Other,
        ] {
            self.expected[kind as usize] = 0;
        }
        self.expected[Kind::Counted as usize] = tokens.saturating_mul(1_000);
        self
    }

    /// The same, the tokens of tools replaced by tokens that were counted.
    pub(crate) fn counted_tools(mut self, tokens: u64) -> Self {
        self.expected[Kind::Tools as usize] = tokens.saturating_mul(1_000);
        self
    }
}

/// Names what there is, in tokens.
impl fmt::Debug for TextKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = NAMES
            .iter()
            .zip(self.expected)
            .filter(|(_, part)| *part > 0);
        f.debug_map()
            .entries(present.map(|(name, part)| (name, part.div_ceil(1_000))))
            .finish()
    }
}

/// Counts the kinds of a text that comes in pieces.
///
/// Follows the way in which byte-pair tokenizers of the GPT family cut text before they merge: words with the blank before them,
/// digits by three, runs of signs, blanks and line ends. Looks at each byte once; a run that is cut between pieces counts as two, in
/// which it is off by a token at most.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KindCounter {
    kinds: TextKinds,
    /// The last byte of the piece before; zero at the start of a text.
    before: u8,
}

/// Classes of bytes.
const LOWER: u8 = 0;
const UPPER: u8 = 1;
const DIGIT: u8 = 2;
const LINE: u8 = 3;
const BLANK: u8 = 4;
const SIGN: u8 = 5;
const BEYOND: u8 = 6;

static CLASS: [u8; 256] = {
    let mut class = [SIGN; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b'\n' | b'\r' => LINE,
            b' ' | b'\t' => BLANK,
            128.. => BEYOND,
            _ => SIGN,
        };
        byte += 1;
    }
    class
};

impl KindCounter {
    pub(crate) const fn kinds(&self) -> TextKinds {
        self.kinds
    }

    /// Adds what another has counted.
    pub(crate) fn join(&mut self, other: &Self) {
        self.kinds = self.kinds.and(&other.kinds);
    }

    /// What follows does not continue what came before.
    pub(crate) const fn cut(&mut self) {
        self.before = 0;
    }

    // The weights below, in thousandths of a token, are fitted to OpenAI's o200k on English prose, code in five languages, JSON, base64
    // and Chinese, each raised a little where its other tokenizers need more.
    pub(crate) fn push(&mut self, text: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let start = at;
            let before = if at == 0 { self.before } else { text[at - 1] };
            let class = CLASS[usize::from(byte)];
            let run = |from: usize, class: u8| {
                from + text[from..]
                    .iter()
                    .take_while(|byte| CLASS[usize::from(**byte)] == class)
                    .count()
            };
            match class {
                LOWER | UPPER => {
                    let capitals = run(at, UPPER);
                    at = run(capitals, LOWER);
                    let (kind, tokens) = word(before, capitals - start, at - start);
                    self.kinds.add(kind, tokens);
                }
                DIGIT => {
                    at = run(at, DIGIT);
                    let groups = (at - start).div_ceil(3) as u64;
                    self.kinds.add(Kind::Digits, 970 * groups);
                }
                LINE => {
                    at = run(at, LINE);
                    if CLASS[usize::from(before)] != LINE || before == 0 {
                        self.kinds.add(Kind::Blanks, 680);
                    }
                }
                BLANK => {
                    at = run(at, BLANK);
                    let length = (at - start) as u64;
                    if length > 1 {
                        self.kinds.add(Kind::Blanks, 500 + length / 16 * 280);
                    }
                    // The last blank goes with a word or a sign behind it, but not with a number.
                    if text.get(at).is_some_and(u8::is_ascii_digit) {
                        self.kinds.add(Kind::Blanks, 1_000);
                    }
                }
                SIGN => {
                    at = run(at, SIGN);
                    let more = (at - start - 1) as u64;
                    let first = if CLASS[usize::from(before)] == SIGN && before != 0 {
                        315
                    } else {
                        800
                    };
                    self.kinds.add(Kind::Signs, first + 315 * more);
                }
                _ => {
                    at += 1;
                    match byte {
                        // The bytes that a character goes on with.
                        128..=191 => {}
                        0xE4..=0xE9 => self.kinds.add(Kind::Han, 850),
                        0xF0.. => self.kinds.add(Kind::Other, 1_500),
                        0xE0.. => self.kinds.add(Kind::Other, 1_000),
                        _ => self.kinds.add(Kind::Other, 400),
                    }
                }
            }
        }
        if let Some(last) = text.last() {
            self.before = *last;
        }
    }
}

/// A run of capitals and then small letters, after the byte `before`.
const fn word(before: u8, capitals: usize, length: usize) -> (Kind, u64) {
    let letters = length as u64;
    match before {
        _ if capitals >= 2 => (Kind::Joined, 500 + 157 * letters),
        b' ' => (
            Kind::Words,
            match letters {
                0..=4 => 980,
                5..=7 => 1_100,
                8..=10 => 1_600,
                _ => 1_270 + 460 * (letters - 10),
            },
        ),
        // Real camel case has longer parts than two letters; base64 has not.
        b'a'..=b'z' | b'A'..=b'Z' if length <= 2 => (Kind::Joined, 3_300),
        b'a'..=b'z' | b'A'..=b'Z' => (Kind::Joined, 750),
        b'0'..=b'9' => (Kind::Joined, 1_460 + 60 * letters.saturating_sub(3)),
        _ => (Kind::Joined, 700 + 155 * letters.saturating_sub(6)),
    }
}
