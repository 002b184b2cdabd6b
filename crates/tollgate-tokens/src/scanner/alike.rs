//! `Alike`: the documents of a stream, which differ in little but their text.

use super::collect::Collector;
use super::leaf::Leaf;
use super::stretch::Stretch;
use crate::json::Reader;

/// What the documents of a stream have in common: how they begin, and how they go on behind the text that follows.
///
/// Of an event of 220 bytes, 190 are the same as in the event before it; they stand before and behind the text.
#[derive(Default)]
pub(super) struct Alike {
    opening: Stretch,
    closing: Stretch,
    /// The opening that `closing` is behind of.
    version: u32,
    place: Place,
}

/// Where in the current document we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Opening,
    /// Behind the opening.
    Text,
    Closing,
    /// In what only this document has.
    Rest,
}

impl Alike {
    /// Takes the opening at once, where a document begins here and `text` has it whole: how many bytes, or none. There is no line end
    /// among them.
    #[inline]
    pub(super) fn begin(
        &mut self,
        text: &[u8],
        reader: &mut Reader<Leaf>,
        collector: &mut Collector,
    ) -> usize {
        let taken = match self.place {
            Place::Opening => self.opening.take(text, reader, collector),
            _ => 0,
        };
        if taken > 0 {
            self.place = Place::Text;
        }
        taken
    }

    /// Reads the next piece of a document.
    #[inline]
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        reader: &mut Reader<Leaf>,
        collector: &mut Collector,
    ) {
        let mut rest = piece;
        if self.place == Place::Opening {
            match self.opening.push(rest, reader, collector) {
                Some(behind) => rest = behind,
                None => return,
            }
            self.place = Place::Text;
        }
        if rest.is_empty() {
            return;
        }
        if self.place == Place::Text {
            let (read, is_whole) = reader.push_text(rest, collector);
            rest = &rest[read..];
            self.place = if is_whole {
                Place::Closing
            } else {
                Place::Rest
            };
            if self.version != self.opening.version() {
                // Behind another opening the reader is in another state.
                self.version = self.opening.version();
                self.closing.forget();
            }
        }
        if self.place == Place::Closing {
            match self.closing.take(rest, reader, collector) {
                0 => match self.closing.push(rest, reader, collector) {
                    Some(behind) => rest = behind,
                    None => return,
                },
                taken => rest = &rest[taken..],
            }
            self.place = Place::Rest;
        }
        if !rest.is_empty() {
            reader.push(rest, collector);
        }
    }

    /// Ends the document.
    #[inline]
    pub(super) fn end(&mut self, reader: &mut Reader<Leaf>, collector: &mut Collector) {
        self.opening.end(reader, collector);
        self.closing.end(reader, collector);
        self.place = Place::Opening;
    }
}
