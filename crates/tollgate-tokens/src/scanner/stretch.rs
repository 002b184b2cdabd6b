//! `Stretch`: a run of bytes that documents of a stream have in common, so that it is read once and then only compared.

use super::collect::{Collector, Document, News};
use super::leaf::Leaf;
use crate::json::{Mark, Reader};

/// What documents of a stream have in common from one state of the reader on.
///
/// A reader that starts from the same state and is given the same bytes comes to the same state, so those bytes need only be compared.
/// What they tell has been heard before and is still what is known: only bytes are kept that brought no news when they were
/// learned, and they are given up as soon as something else changes what they told. So the answer is the same as if all had been
/// read.
///
/// Memory is the bytes', at most 512, and that of one document's parts of an error.
#[derive(Default)]
pub(super) struct Stretch {
    /// What one document had here, or what is known to be common.
    bytes: Vec<u8>,
    /// Where the reader is behind the first `length` bytes, and what the collector then knows of the document.
    mark: Option<Mark<Leaf>>,
    document: Document,
    length: usize,
    /// What kinds of facts those bytes told, and the news of each kind by then.
    told: u8,
    news: News,
    /// `bytes` are common, and their mark is known.
    is_known: bool,
    /// How often something was learned.
    version: u32,
    phase: Phase,
    /// How often documents went on otherwise of late.
    odd: u8,
    /// Documents to read before the next try to learn; doubles with each that fails.
    pause: u32,
    failures: u32,
}

/// What is being done with the current document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// It has not come here.
    #[default]
    Before,
    /// So many of its bytes are as expected, and the reader has not seen them.
    Compare(usize),
    /// It is read, and its bytes are kept.
    Keep,
    /// So many of its bytes are as expected, and were read one by one.
    Learn(usize),
    /// It is read.
    Read,
}

/// Most bytes that are kept.
const LONGEST: usize = 512;
/// Fewer are not worth a comparison.
const SHORTEST: usize = 8;
/// One document in three that goes on otherwise is too many.
const TOO_ODD: u8 = 8;

impl Stretch {
    /// Takes all that is common at once, where the document comes here and `text` has it whole: how many bytes, or none. There is no line
    /// end among them.
    #[inline]
    pub(super) fn take(
        &mut self,
        text: &[u8],
        reader: &mut Reader<Leaf>,
        collector: &mut Collector,
    ) -> usize {
        if !self.is_known
            || self.phase != Phase::Before
            || !text.starts_with(&self.bytes)
            || collector.has_news(self.told, &mut self.news)
        {
            return 0;
        }
        self.arrive(reader, collector);
        self.bytes.len()
    }

    /// The document has come to the end of what is common.
    #[inline]
    fn arrive(&mut self, reader: &mut Reader<Leaf>, collector: &mut Collector) {
        if let Some(mark) = &self.mark {
            reader.go_to(mark);
            collector.document.clone_from(&self.document);
        }
        self.odd = self.odd.saturating_sub(1);
        self.phase = Phase::Read;
    }

    /// Reads the next piece of a document. `Some` is what is left of it, once, when the document has just come to the end of what is
    /// common.
    #[inline]
    pub(super) fn push<'p>(
        &mut self,
        piece: &'p [u8],
        reader: &mut Reader<Leaf>,
        collector: &mut Collector,
    ) -> Option<&'p [u8]> {
        if self.phase == Phase::Before {
            if piece.is_empty() {
                return None;
            }
            self.begin(collector);
        }
        let rest = match self.phase {
            Phase::Compare(seen) => {
                let expected = &self.bytes[seen..];
                let length = expected.len().min(piece.len());
                if expected[..length] == piece[..length] {
                    if length < expected.len() {
                        self.phase = Phase::Compare(seen + length);
                        return None;
                    }
                    self.arrive(reader, collector);
                    return Some(&piece[length..]);
                }
                self.go_on_otherwise(seen, piece, reader, collector)
            }
            Phase::Learn(_) => self.learn(piece, reader, collector),
            Phase::Keep => {
                let room = LONGEST - self.bytes.len();
                self.bytes
                    .extend_from_slice(&piece[..piece.len().min(room)]);
                piece
            }
            Phase::Before | Phase::Read => piece,
        };
        if !rest.is_empty() {
            reader.push(rest, collector);
        }
        None
    }

    /// Ends the document; what was only compared is read.
    #[inline]
    pub(super) fn end(&mut self, reader: &mut Reader<Leaf>, collector: &mut Collector) {
        match std::mem::take(&mut self.phase) {
            Phase::Compare(seen) => reader.push(&self.bytes[..seen], collector),
            Phase::Learn(_) => {
                self.end_learning();
                self.phase = Phase::Before;
            }
            _ => {}
        }
    }

    /// Forgets what was common: the reader will come here in another state.
    pub(super) fn forget(&mut self) {
        self.is_known = false;
        self.mark = None;
        self.bytes.clear();
    }

    /// A number that changes with the state to which the reader comes.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    fn begin(&mut self, collector: &mut Collector) {
        if self.is_known && collector.has_news(self.told, &mut self.news) {
            // What these bytes tell is no longer what is known.
            self.forget();
        }
        self.phase = if self.is_known {
            Phase::Compare(0)
        } else if self.pause > 0 {
            self.pause -= 1;
            Phase::Read
        } else if self.bytes.is_empty() {
            Phase::Keep
        } else {
            self.begin_learning(collector);
            Phase::Learn(0)
        };
    }

    /// The document goes on otherwise. What was compared is read; if that happens often, less is expected from now on.
    #[cold]
    fn go_on_otherwise<'p>(
        &mut self,
        seen: usize,
        piece: &'p [u8],
        reader: &mut Reader<Leaf>,
        collector: &mut Collector,
    ) -> &'p [u8] {
        self.odd += 2;
        if self.odd < TOO_ODD {
            self.phase = Phase::Read;
            reader.push(&self.bytes[..seen], collector);
            return piece;
        }
        self.odd = 0;
        let alike = self.bytes[seen..].iter().zip(piece);
        let common = seen + alike.take_while(|(a, b)| a == b).count();
        self.bytes.truncate(common);
        self.begin_learning(collector);
        self.phase = Phase::Learn(0);
        for at in 0..seen {
            let byte = self.bytes[at];
            match self.phase {
                Phase::Learn(_) => self.learn_byte(byte, reader, collector),
                _ => reader.push(&[byte], collector),
            }
        }
        self.learn(piece, reader, collector)
    }

    fn begin_learning(&mut self, collector: &mut Collector) {
        self.is_known = false;
        self.mark = None;
        self.news = collector.news;
        collector.told = 0;
    }

    /// Reads as much of the piece as is expected, byte by byte; returns what is left to read.
    fn learn<'p>(
        &mut self,
        piece: &'p [u8],
        reader: &mut Reader<Leaf>,
        collector: &mut Collector,
    ) -> &'p [u8] {
        let mut rest = piece;
        while let (Phase::Learn(seen), Some((byte, behind))) = (self.phase, rest.split_first()) {
            // A stream of events is searched for line ends only behind what is common.
            if self.bytes.get(seen) != Some(byte) || matches!(byte, b'\n' | b'\r') {
                self.end_learning();
                break;
            }
            self.learn_byte(*byte, reader, collector);
            rest = behind;
        }
        rest
    }

    fn learn_byte(&mut self, byte: u8, reader: &mut Reader<Leaf>, collector: &mut Collector) {
        let Phase::Learn(seen) = self.phase else {
            return;
        };
        reader.push(&[byte], collector);
        self.phase = Phase::Learn(seen + 1);
        if collector.has_news(collector.told, &mut self.news) {
            // This byte brought news, which must be heard each time.
            self.end_learning();
        } else if seen + 1 >= SHORTEST
            && let Some(mark) = reader.mark()
        {
            self.mark = Some(mark);
            self.document.clone_from(&collector.document);
            self.length = seen + 1;
            self.told = collector.told;
        }
    }

    fn end_learning(&mut self) {
        self.phase = Phase::Read;
        self.is_known = self.mark.is_some();
        if self.is_known {
            self.bytes.truncate(self.length);
            self.failures = 0;
            self.version = self.version.wrapping_add(1);
        } else {
            self.bytes.clear();
            self.failures = (self.failures + 1).min(6);
            self.pause = 1 << self.failures;
        }
    }
}
