//! `Collector`: gathers what the reader finds at a dialect's places into what a `Scan` reports.

use std::sync::Arc;

use super::outcome::{BodyError, Scan};
use crate::json::{Node, Sink};
use crate::number::scaled;
use crate::{Dialect, Warning};

/// What is at a wanted place of a response.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leaf {
    /// A count of tokens or the like, under this name. The latest value wins.
    Count(Slot, &'static str),
    /// A bare total, under this name; may be an object with a split instead.
    Total(&'static str),
    /// An amount of US dollars.
    Dollars(&'static str),
    /// Generated text.
    Text,
    /// The model's name.
    Model,
    /// Why generation stopped.
    Finish,
    /// The status of a whole response, which is a reason to stop unless it says that the response is still under way.
    Status,
    /// What kind of event the document is; one of these ends the stream.
    Type(&'static [&'static str]),
    /// What kind of object the document is.
    Object,
    /// A part of an error, under the document's `error`.
    Error(Fault),
    /// What would be a part of an error, if the document as a whole is one.
    Flat(Fault),
    /// One entry of a list of named numbers.
    Metric,
    /// Its name, one of these.
    MetricName(&'static [(&'static str, Slot)]),
    /// Its number.
    MetricValue,
}

/// Which part of an error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Kind,
    Code,
    Message,
}

/// The numbers that dialects read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Input,
    /// Output that includes reasoning.
    Output,
    /// Output as OpenAI's chat format names it, whose meaning depends on the provider.
    Completion,
    Total,
    CacheRead,
    /// The same under a provider's own name, for want of the usual one.
    CacheReadToo,
    CacheWrite,
    CacheWrite5m,
    CacheWrite1h,
    Reasoning,
    /// Money, in nano-dollars.
    Cost,
    /// Money, in xAI's ticks.
    Ticks,
    Sources,
    /// The answer of a token counting endpoint.
    Counted,
}

/// The numbers found so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts([Option<u64>; Slot::Counted as usize + 1]);

impl Counts {
    pub(crate) fn get(&self, slot: Slot) -> Option<u64> {
        self.0[slot as usize]
    }
}

/// A place that holds a count.
pub(crate) const fn count(name: &'static str, slot: Slot) -> (&'static str, Node<Leaf>) {
    (name, Node::keep(Leaf::Count(slot, name), NUMBER))
}

/// A place that holds generated text.
pub(crate) const fn text(name: &'static str) -> (&'static str, Node<Leaf>) {
    (name, Node::measure(Leaf::Text))
}

/// A place that holds a name or a message.
pub(crate) const fn kept(name: &'static str, leaf: Leaf) -> (&'static str, Node<Leaf>) {
    let limit = match leaf {
        Leaf::Error(Fault::Message) | Leaf::Flat(Fault::Message) => 512,
        Leaf::Model => 256,
        _ => 128,
    };
    (name, Node::keep(leaf, limit))
}

/// Most bytes of a number that is written as a string.
pub(crate) const NUMBER: u16 = 64;

/// What has been found so far. Grows with nothing but the number of *different* oddities.
#[derive(Debug)]
pub(super) struct Collector {
    dialect: Dialect,
    counts: Counts,
    model: Option<Arc<str>>,
    finish_reason: Option<Arc<str>>,
    error: Option<BodyError>,
    text_bytes: u64,
    pub(super) terminated: bool,
    warnings: Vec<Warning>,
    document: Document,
}

/// What is only known at the end of a document.
#[derive(Debug, Default)]
struct Document {
    is_error: bool,
    /// The document has its own `error`.
    has_error: bool,
    kind: String,
    code: String,
    message: String,
    metric: Option<(&'static str, Slot)>,
    /// `Some(None)` is a malformed number.
    value: Option<Option<u64>>,
}

impl Collector {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            counts: Counts::default(),
            model: None,
            finish_reason: None,
            error: None,
            text_bytes: 0,
            terminated: false,
            warnings: Vec::new(),
            document: Document::default(),
        }
    }

    /// Adds a warning, unless it was given before.
    pub(super) fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What is known so far.
    pub(super) fn scan(&self, complete: bool) -> Scan {
        Scan {
            usage: self.dialect.usage(&self.counts),
            model: self.model.clone(),
            finish_reason: self.finish_reason.clone(),
            error: self.error.clone(),
            complete,
            text_bytes: self.text_bytes,
            counted: self.counts.get(Slot::Counted),
            warnings: self.warnings.clone(),
        }
    }

    /// Ends one document. `is_error` says that the stream marked it as an error.
    pub(super) fn end_document(&mut self, is_error: bool) {
        let document = &mut self.document;
        // xAI puts the code beside a plain `error` string; Mistral and older vLLM have no `error` at all.
        if document.has_error
            && let Some(error) = &mut self.error
        {
            error.code = error.code.take().or_else(|| nonempty(&document.code));
        } else if is_error || document.is_error {
            self.error = Some(BodyError {
                // A Responses event says "error" here, and the kind in `code`.
                kind: nonempty(&document.kind).filter(|kind| **kind != *"error"),
                code: nonempty(&document.code),
                message: nonempty(&document.message),
            });
        }
        document.is_error = false;
        document.has_error = false;
        document.kind.clear();
        document.code.clear();
        document.message.clear();
        document.metric = None;
        document.value = None;
    }

    fn set(&mut self, slot: Slot, field: &'static str, value: Option<u64>) {
        match value {
            Some(value) => self.counts.0[slot as usize] = Some(value),
            None => self.warn(Warning::MalformedCount { field }),
        }
    }

    fn set_error(&mut self, fault: Fault, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        // Errors of different documents are not mixed: the latest wins as a whole.
        if !std::mem::replace(&mut self.document.has_error, true) {
            self.error = None;
        }
        let text = Some(Arc::from(&*String::from_utf8_lossy(text)));
        let error = self.error.get_or_insert_default();
        match fault {
            Fault::Kind => error.kind = text,
            Fault::Code => error.code = text,
            Fault::Message => error.message = text,
        }
    }

    fn set_flat(&mut self, fault: Fault, text: &[u8]) {
        let part = match fault {
            Fault::Kind => &mut self.document.kind,
            Fault::Code => &mut self.document.code,
            Fault::Message => &mut self.document.message,
        };
        part.clear();
        part.push_str(&String::from_utf8_lossy(text));
    }
}

impl Sink<Leaf> for Collector {
    fn text(&mut self, leaf: Leaf, text: &[u8], _last: bool) {
        if let Leaf::Text = leaf {
            self.text_bytes = self.text_bytes.saturating_add(text.len() as u64);
        }
    }

    fn string(&mut self, leaf: Leaf, text: &[u8], whole: bool) {
        match leaf {
            // Some servers write numbers as strings; a string that is none is no count.
            Leaf::Count(..) | Leaf::Total(_) | Leaf::Dollars(_) | Leaf::MetricValue => {
                self.number(leaf, if whole { text } else { &[] }, 0);
            }
            Leaf::Model => remember(&mut self.model, text, whole),
            Leaf::Finish => remember(&mut self.finish_reason, text, whole),
            Leaf::Status if !matches!(text, b"in_progress" | b"queued") => {
                remember(&mut self.finish_reason, text, whole);
            }
            Leaf::Type(ends) => {
                self.terminated |= ends.iter().any(|end| end.as_bytes() == text);
                self.document.is_error |= text == b"error";
                self.set_flat(Fault::Kind, text);
            }
            Leaf::Object => self.document.is_error |= text == b"error",
            Leaf::Error(fault) => self.set_error(fault, without_broken_end(text, whole)),
            Leaf::Flat(fault) => self.set_flat(fault, without_broken_end(text, whole)),
            Leaf::MetricName(names) => {
                self.document.metric = names
                    .iter()
                    .find(|(name, _)| name.as_bytes() == text)
                    .copied();
            }
            Leaf::Status | Leaf::Text | Leaf::Metric => {}
        }
    }

    fn number(&mut self, leaf: Leaf, text: &[u8], _end: u64) {
        match leaf {
            Leaf::Count(slot, name) => self.set(slot, name, scaled(text, 0)),
            Leaf::Total(name) => self.set(Slot::Total, name, scaled(text, 0)),
            Leaf::Dollars(name) => self.set(Slot::Cost, name, scaled(text, 9)),
            Leaf::MetricValue => self.document.value = Some(scaled(text, 0)),
            // A number in the input of a tool is generated text.
            Leaf::Text => self.text_bytes = self.text_bytes.saturating_add(text.len() as u64),
            Leaf::Error(Fault::Code) => self.set_error(Fault::Code, &text[..text.len().min(128)]),
            Leaf::Flat(Fault::Code) => self.set_flat(Fault::Code, &text[..text.len().min(128)]),
            _ => {}
        }
    }

    fn literal(&mut self, leaf: Leaf, value: Option<bool>) {
        // `null` says nothing, so that an earlier value stands; `true` is nobody's number.
        if let (Leaf::Count(_, field) | Leaf::Total(field), Some(_)) = (leaf, value) {
            self.warn(Warning::MalformedCount { field });
        }
    }

    fn open(&mut self, leaf: Leaf) {
        match leaf {
            Leaf::Count(_, field) => self.warn(Warning::MalformedCount { field }),
            Leaf::Metric => {
                self.document.metric = None;
                self.document.value = None;
            }
            _ => {}
        }
    }

    fn close(&mut self, leaf: Leaf) {
        if let (Leaf::Metric, Some((name, slot)), Some(value)) =
            (leaf, self.document.metric, self.document.value)
        {
            self.set(slot, name, value);
        }
    }
}

/// Keeps a name. The same name again costs nothing, which is what every event of a stream brings; half a name is not a name.
fn remember(name: &mut Option<Arc<str>>, text: &[u8], whole: bool) {
    let is_news = name.as_deref().is_none_or(|known| known.as_bytes() != text);
    if whole && is_news && !text.is_empty() {
        *name = Some(Arc::from(&*String::from_utf8_lossy(text)));
    }
}

/// A message that was cut may end inside a character; that character goes too.
fn without_broken_end(text: &[u8], whole: bool) -> &[u8] {
    match std::str::from_utf8(text) {
        Err(error) if !whole && error.error_len().is_none() => &text[..error.valid_up_to()],
        _ => text,
    }
}

fn nonempty(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| Arc::from(text))
}
