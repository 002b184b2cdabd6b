//! `Documents`: the documents of a body, one after another, whatever frames them.

use super::alike::Alike;
use super::collect::Collector;
use super::leaf::{Fault, Leaf};
use crate::Dialect;
use crate::Warning;
use crate::base64::Base64;
use crate::event_stream::{FrameSink, Frames, Head, Kind};
use crate::json::{Reader, Sink};
use crate::sse::EventSink;

/// The documents of a body, one after another.
pub(super) struct Documents {
    pub(super) reader: Reader<Leaf>,
    pub(super) collector: Collector,
    /// What they have in common, where there are several.
    alike: Option<Box<Alike>>,
    /// The last document was whole.
    pub(super) closed: bool,
    /// The body has ended, so that a document that is still open was cut rather than faulty.
    pub(super) over: bool,
}

impl Documents {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            reader: Reader::new(dialect.response()),
            collector: Collector::new(dialect),
            alike: None,
            closed: false,
            over: false,
        }
    }
}

impl Documents {
    /// The same, of which there will be several that are alike.
    pub(super) fn in_a_stream(self) -> Self {
        Self {
            alike: Some(Box::default()),
            ..self
        }
    }
}

impl EventSink for Documents {
    #[inline]
    fn begin(&mut self, data: &[u8]) -> usize {
        match &mut self.alike {
            Some(alike) => alike.begin(data, &mut self.reader, &mut self.collector),
            None => 0,
        }
    }

    #[inline]
    fn data(&mut self, piece: &[u8]) {
        match &mut self.alike {
            Some(alike) => alike.push(piece, &mut self.reader, &mut self.collector),
            None => self.reader.push(piece, &mut self.collector),
        }
    }

    #[inline]
    fn end(&mut self, is_error: bool) {
        if let Some(alike) = &mut self.alike {
            alike.end(&mut self.reader, &mut self.collector);
        }
        let end = self.reader.end(&mut self.collector);
        if end.started {
            if end.faulty || !(end.closed || self.over) {
                self.collector.warn(Warning::NotJson);
            }
            self.closed = end.closed;
            self.collector.end_document(is_error);
        }
    }
}

/// What is needed beside the documents to read them out of the frames of an AWS event stream.
pub(super) struct Framing {
    pub(super) frames: Frames,
    inner: Inner,
    /// What was known before the current frame, which holds until the frame proves sound.
    before: Collector,
}

/// The document inside a document, as base64: Bedrock hands on what a vendor's model says.
struct Inner {
    base64: Base64,
    reader: Reader<Leaf>,
    faulty: bool,
}

impl Framing {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            frames: Frames::new(),
            inner: Inner {
                base64: Base64::default(),
                reader: Reader::new(dialect.response()),
                faulty: false,
            },
            before: Collector::new(dialect),
        }
    }

    /// Reads the next piece of the body.
    pub(super) fn push(&mut self, piece: &[u8], documents: &mut Documents) {
        let Self {
            frames,
            inner,
            before,
        } = self;
        let mut sink = Framed {
            documents,
            inner,
            before,
        };
        frames.push(piece, &mut sink);
    }

    /// Ends the body. What an unfinished frame said has no checksum, and is dropped.
    pub(super) fn finish(&mut self, documents: &mut Documents) {
        if self.frames.is_inside() {
            documents.collector.clone_from(&self.before);
        }
    }
}

struct Framed<'a> {
    documents: &'a mut Documents,
    inner: &'a mut Inner,
    before: &'a mut Collector,
}

impl FrameSink for Framed<'_> {
    fn begin(&mut self) {
        self.before.clone_from(&self.documents.collector);
    }

    fn payload(&mut self, head: &Head, piece: &[u8]) {
        if matches!(head.kind, Kind::Event | Kind::Exception) {
            let Documents {
                reader, collector, ..
            } = &mut *self.documents;
            let mut sink = Outer {
                collector,
                inner: self.inner,
            };
            reader.push(piece, &mut sink);
        }
    }

    fn end(&mut self, head: &Head, sound: bool) {
        let Documents {
            reader, collector, ..
        } = &mut *self.documents;
        let end = reader.end(collector);
        let is_faulty = self.inner.take_fault() || (end.started && (end.faulty || !end.closed));
        if !sound {
            collector.clone_from(self.before);
            collector.warn(Warning::DamagedFrame);
            return;
        }
        if is_faulty {
            collector.warn(Warning::NotJson);
        }
        collector.terminated |= head.is_metadata;
        let is_error = matches!(head.kind, Kind::Exception | Kind::Error);
        if is_error {
            collector.set_flat(Fault::Kind, &head.fault);
            if !head.message.is_empty() {
                collector.set_flat(Fault::Message, &head.message);
            }
        }
        collector.end_document(is_error);
    }
}

impl Inner {
    /// Whether a document inside the frame was faulty. Forgets one that the frame's own document left open.
    fn take_fault(&mut self) -> bool {
        self.base64.end(|_| {});
        self.reader.end(&mut Nobody);
        std::mem::take(&mut self.faulty)
    }
}

/// Hears the document of a frame, and hands on what it holds as base64.
struct Outer<'a> {
    collector: &'a mut Collector,
    inner: &'a mut Inner,
}

impl Sink<Leaf> for Outer<'_> {
    fn text(&mut self, leaf: Leaf, text: &[u8], last: bool) {
        let Leaf::Bytes = leaf else {
            return self.collector.text(leaf, text, last);
        };
        let Inner {
            base64,
            reader,
            faulty,
        } = &mut *self.inner;
        base64.push(text, |decoded| reader.push(decoded, self.collector));
        if last {
            base64.end(|decoded| reader.push(decoded, self.collector));
            let end = reader.end(self.collector);
            *faulty |= end.started && (end.faulty || !end.closed);
            self.collector.end_document(false);
        }
    }

    fn string(&mut self, leaf: Leaf, text: &[u8], whole: bool) {
        self.collector.string(leaf, text, whole);
    }

    fn number(&mut self, leaf: Leaf, text: &[u8], end: u64) {
        self.collector.number(leaf, text, end);
    }

    fn literal(&mut self, leaf: Leaf, value: Option<bool>) {
        self.collector.literal(leaf, value);
    }

    fn open(&mut self, leaf: Leaf) {
        self.collector.open(leaf);
    }

    fn close(&mut self, leaf: Leaf) {
        self.collector.close(leaf);
    }
}

/// Hears nothing.
struct Nobody;

impl Sink<Leaf> for Nobody {
    fn text(&mut self, _: Leaf, _: &[u8], _: bool) {}
    fn string(&mut self, _: Leaf, _: &[u8], _: bool) {}
    fn number(&mut self, _: Leaf, _: &[u8], _: u64) {}
    fn literal(&mut self, _: Leaf, _: Option<bool>) {}
    fn open(&mut self, _: Leaf) {}
    fn close(&mut self, _: Leaf) {}
}
