//! `Opening`: how the documents of a stream begin, so that what all of them begin with is read only once.

use super::collect::{Collector, Document, Leaf};
use crate::json::{Mark, Reader};

/// The beginning that the last documents of a stream had in common.
///
/// Events of a stream differ in little but their text: 190 of 220 bytes are the same from one to the next. A reader that starts from
/// the same state and is given the same bytes comes to the same state, so those bytes need only be compared. What they tell has been
/// heard before and is still what is known: only beginnings are kept that brought no news when they were learned, and they are
/// given up as soon as something else changes what they told. So the answer is the same as if all had been read.
///
/// Memory is the beginning's, at most 512 bytes.
#[derive(Default)]
pub(super) struct Opening {
    /// How a document began, or what is known to be common.
    bytes: Vec<u8>,
    /// Where the reader is behind the first `length` bytes, and what the collector then knows of the document.
    mark: Option<Mark<Leaf>>,
    document: Document,
    length: usize,
    /// What kinds of facts those bytes told.
    told: u8,
    /// `bytes` are common, and their mark is known.
    is_known: bool,
    phase: Phase,
    /// How often documents began otherwise of late.
    odd: u8,
    /// Documents to read before the next try to learn; doubles with each that fails.
    pause: u32,
    failures: u32,
}

/// What is being done with the current document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// It has not begun.
    #[default]
    Before,
    /// So many of its bytes are as expected, and the reader has not seen them.
    Compare(usize),
    /// It is read, and its beginning is kept.
    Keep,
    /// So many of its bytes are as expected, and were read one by one.
    Learn(usize),
    /// It is read.
    Read,
}

/// Most bytes of a beginning.
const LONGEST: usize = 512;
/// Fewer are not worth a comparison.
const SHORTEST: usize = 16;
/// One document in three that begins otherwise is too many.
const TOO_ODD: u8 = 8;

impl Opening {
    /// Reads the next piece of a document.
    #[inline]
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        reader: &mut Reader<Leaf>,
        collector: &mut Collector,
    ) {
        if self.phase == Phase::Before {
            if piece.is_empty() {
                return;
            }
            self.begin(collector);
        }
        let rest = match self.phase {
            Phase::Compare(seen) => self.compare(seen, piece, reader, collector),
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
    }

    /// Ends the document; what was only compared is read.
    #[inline]
    pub(super) fn end(&mut self, reader: &mut Reader<Leaf>, collector: &mut Collector) {
        match std::mem::take(&mut self.phase) {
            Phase::Compare(seen) => reader.push(&self.bytes[..seen], collector),
            Phase::Learn(_) => self.end_learning(),
            _ => {}
        }
    }

    fn begin(&mut self, collector: &mut Collector) {
        if self.is_known && self.told & collector.changed != 0 {
            // What the beginning tells is no longer what is known.
            self.is_known = false;
            self.bytes.clear();
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

    /// Compares the piece with what is expected; returns what is left to read.
    #[inline]
    fn compare<'p>(
        &mut self,
        seen: usize,
        piece: &'p [u8],
        reader: &mut Reader<Leaf>,
        collector: &mut Collector,
    ) -> &'p [u8] {
        let expected = &self.bytes[seen..];
        let length = expected.len().min(piece.len());
        if expected[..length] != piece[..length] {
            return self.compare_no_more(seen, piece, reader, collector);
        }
        if length < expected.len() {
            self.phase = Phase::Compare(seen + length);
            return &[];
        }
        if let Some(mark) = &self.mark {
            reader.go_to(mark);
            collector.document.clone_from(&self.document);
        }
        self.odd = self.odd.saturating_sub(1);
        self.phase = Phase::Read;
        &piece[length..]
    }

    /// The document begins otherwise. What was compared is read; if that happens often, less is expected from now on.
    #[cold]
    fn compare_no_more<'p>(
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
        let alike = self.bytes[seen..]
            .iter()
            .zip(piece)
            .take_while(|(a, b)| a == b);
        let common = seen + alike.count();
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
        (collector.told, collector.changed) = (0, 0);
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
            if self.bytes.get(seen) != Some(byte) {
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
        if collector.told & collector.changed != 0 {
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
        } else {
            self.bytes.clear();
            self.failures = (self.failures + 1).min(6);
            self.pause = 1 << self.failures;
        }
    }
}
