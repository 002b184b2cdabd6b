//! `UsageScanner`: reads usage out of a response body as it streams past, with bounded memory and without holding a byte back.

mod alike;
mod collect;
mod documents;
mod leaf;
mod outcome;
mod stretch;

use std::fmt;

use documents::Documents;
use http::HeaderMap;
pub(crate) use leaf::{
    Counts, Fault, Leaf, Manner, NUMBER, Slot, count, document, error, kept, text,
};
pub use outcome::{BodyError, Scan};

use crate::sse::{EventSink, Events};
use crate::{Conventions, Dialect, Warning};

/// How documents are laid out in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// One JSON document; it may be a list that is sent item by item.
    Json,
    /// Server-sent events, each with a JSON document.
    Sse,
    /// One JSON document per line.
    Ndjson,
    /// AWS's binary event stream, each frame with a JSON document.
    EventStream,
}

impl Framing {
    /// The framing that a `content-type` header announces; `Json` when there is none or it says anything else.
    #[must_use]
    pub fn of(content_type: Option<&str>) -> Self {
        let media_type = content_type
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim();
        let is = |name: &&str| name.eq_ignore_ascii_case(media_type);
        if is(&"text/event-stream") {
            Self::Sse
        } else if NDJSON.iter().any(is) {
            Self::Ndjson
        } else if is(&"application/vnd.amazon.eventstream") {
            Self::EventStream
        } else {
            Self::Json
        }
    }
}

/// Media types in use for lines of JSON; none of them is registered.
const NDJSON: &[&str] = &[
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
    "application/stream+json",
];

/// Reads usage, model, finish reason and errors out of a response body.
///
/// Bytes are only looked at, never kept, so they can be passed on at once. Memory is bounded by four kilobytes, however long the body; a piece
/// that brings nothing new allocates nothing. The same bytes give the same answer however they are cut into pieces. The latest
/// value of each field wins, and nothing is ever summed over the events of a stream. `null` counts as absent.
///
/// The body must not be compressed. A body announced as JSON that begins like an event stream is read as one.
pub struct UsageScanner {
    framing: Framing,
    start: Start,
    events: Events,
    /// Only a binary stream needs one.
    frames: Option<Box<documents::Framing>>,
    dialect: Dialect,
    documents: Documents,
}

impl UsageScanner {
    /// A scanner for one body in this dialect and framing.
    #[must_use]
    pub fn new(dialect: Dialect, framing: Framing) -> Self {
        Self {
            framing,
            start: Start::Mark(0),
            events: Events::default(),
            frames: (framing == Framing::EventStream)
                .then(|| Box::new(documents::Framing::new(dialect))),
            dialect,
            documents: match framing {
                Framing::Sse | Framing::Ndjson => Documents::new(dialect).in_a_stream(),
                Framing::Json | Framing::EventStream => Documents::new(dialect),
            },
        }
    }

    /// The same scanner, for a provider whose [`Conventions`] are known.
    #[must_use]
    pub fn conventions(mut self, conventions: &Conventions) -> Self {
        self.documents.collector.manner = Manner {
            reasoning: conventions.reasoning,
            cache: conventions.cache,
        };
        self
    }

    /// Looks at the head of the response: Bedrock reports the usage of `invoke` there. Belongs before the first piece of the body.
    pub fn read_head(&mut self, headers: &HeaderMap) {
        self.dialect
            .read_head(headers, &mut self.documents.collector.counts);
    }

    /// Looks at the next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        if self.framing == Framing::EventStream {
            return self.read(piece);
        }
        let mut rest = piece;
        while let (Start::Mark(_) | Start::Blank, Some((byte, behind))) =
            (self.start, rest.split_first())
        {
            match self.start {
                Start::Mark(seen) if MARK.get(usize::from(seen)) == Some(byte) => {
                    self.start = Start::Mark(seen + 1);
                    rest = behind;
                }
                Start::Mark(seen) => {
                    self.start = Start::Blank;
                    // Half a byte order mark is no mark but part of the body, if a faulty one.
                    if usize::from(seen) < MARK.len() {
                        self.read(&MARK[..usize::from(seen)]);
                    }
                }
                _ if self.framing == Framing::Json
                    && matches!(byte, b' ' | b'\t' | b'\r' | b'\n') =>
                {
                    rest = behind
                }
                _ => {
                    // No JSON begins with the first letter of a field of an event stream, or with a comment's colon.
                    if self.framing == Framing::Json
                        && matches!(byte, b'd' | b'e' | b'i' | b'r' | b':')
                    {
                        self.framing = Framing::Sse;
                    }
                    self.start = Start::Over;
                }
            }
        }
        self.read(rest);
    }

    /// What is known so far: for a body that is dropped midway.
    #[must_use]
    pub fn seen(&self) -> Scan {
        self.documents.collector.scan(self.complete())
    }

    /// Ends the body. A body without its terminator gets [`Warning::CutStream`], one without usage [`Warning::NoUsage`].
    #[must_use]
    pub fn finish(mut self) -> Scan {
        self.documents.over = true;
        match self.framing {
            Framing::Sse => self.events.finish(&mut self.documents),
            Framing::Json | Framing::Ndjson => self.documents.end(false),
            Framing::EventStream => {
                if let Some(frames) = &mut self.frames {
                    frames.finish(&mut self.documents);
                }
            }
        }
        let complete = self.complete();
        let collector = &mut self.documents.collector;
        if !complete {
            collector.warn(Warning::CutStream);
        }
        let scan = collector.scan(complete);
        if scan.usage.is_some() || scan.counted.is_some() {
            return scan;
        }
        collector.warn(Warning::NoUsage);
        collector.scan(complete)
    }

    fn read(&mut self, piece: &[u8]) {
        match self.framing {
            Framing::Json => self.documents.data(piece),
            Framing::Sse => self.events.push(piece, &mut self.documents),
            Framing::Ndjson => {
                let mut rest = piece;
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    self.documents.data(&rest[..end]);
                    self.documents.end(false);
                    rest = &rest[end + 1..];
                }
                self.documents.data(rest);
            }
            Framing::EventStream => {
                if let Some(frames) = &mut self.frames {
                    frames.push(piece, &mut self.documents);
                }
            }
        }
    }

    fn complete(&self) -> bool {
        let ended = match self.framing {
            Framing::Json => self.documents.closed || self.documents.reader.closed(),
            Framing::Sse => self.events.done(),
            // Lines have no terminator of their own; a whole last line is the most that can be asked.
            Framing::Ndjson => self.documents.closed,
            Framing::EventStream => false,
        };
        ended || self.documents.collector.terminated
    }
}

impl fmt::Debug for UsageScanner {
    /// Leaves out what is being read, which may be text of an answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageScanner")
            .field("framing", &self.framing)
            .field("seen", &self.seen())
            .finish_non_exhaustive()
    }
}

/// What has been seen of a body's beginning.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// So many bytes of a byte order mark.
    Mark(u8),
    Blank,
    Over,
}

/// UTF-8's byte order mark, which an event stream may begin with and some servers put before JSON.
const MARK: &[u8] = b"\xEF\xBB\xBF";
