//! `Collector`: gathers what the reader finds at a dialect's places into what a `Scan` reports.

use std::sync::Arc;

use super::outcome::{BodyError, Scan};
use crate::json::{Node, Sink};
use crate::number::scaled;
use crate::{Counted, Dialect, Warning};

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
    /// A document of its own, as base64.
    Bytes,
    /// One document of several in a list.
    Document,
    /// The model's name.
    Model,
    /// Why generation stopped.
    Finish,
    /// The same where nothing else ends a stream.
    LastFinish,
    /// The status of a whole response, which is a reason to stop unless it says that the response is still under way.
    Status,
    /// What kind of event the document is; one of these ends the stream.
    Type(&'static [&'static str]),
    /// Whether this is the last document of a stream.
    Done,
    /// What only the last document of a stream has.
    End,
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
    /// The tokens of a text, as the answer of a tokenizer.
    TokenList,
    /// One of them.
    Token,
}

/// Which part of an error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Kind,
    /// Google's name for the kind of error.
    Status,
    Code,
    Message,
}

/// The numbers that dialects read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Input,
    /// Input that a provider's tools brought into the prompt.
    ToolInput,
    /// Input of which cached tokens are a part, where `Input` leaves them out.
    Prompt,
    /// Output as the dialect counts it.
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
    BilledInput,
    BilledOutput,
    /// Counts that lie beside a vendor's body, in the head of the response or in a stream's metrics.
    HeadInput,
    HeadOutput,
    HeadCacheRead,
    HeadCacheWrite,
    /// Counts of a server's own timings: input that was evaluated, input that was cached, output.
    TimedInput,
    TimedCache,
    TimedOutput,
    /// The provider said that the answer is done.
    Done,
    /// The answer of a token counting endpoint.
    Counted,
}

/// The numbers found so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    values: [u64; Slot::Counted as usize + 1],
    /// One bit per number that is known.
    known: u32,
}

impl Counts {
    pub(crate) fn get(&self, slot: Slot) -> Option<u64> {
        let is_known = self.known >> slot as u32 & 1 == 1;
        is_known.then_some(self.values[slot as usize])
    }

    pub(crate) fn set(&mut self, slot: Slot, value: u64) {
        self.values[slot as usize] = value;
        self.known |= 1 << slot as u32;
    }
}

/// Where the provider counts what, where it is known ([`Conventions`](crate::Conventions)).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) reasoning: Option<Counted>,
    pub(crate) cache: Option<Counted>,
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

/// The place of an error: an object, or a plain string.
pub(crate) const fn error() -> (&'static str, Node<Leaf>) {
    let (name, node) = kept("error", Leaf::Error(Fault::Message));
    (name, node.keys(FAULTS))
}

const FAULTS: &[(&str, Node<Leaf>)] = &[
    kept("type", Leaf::Error(Fault::Kind)),
    kept("status", Leaf::Error(Fault::Status)),
    kept("code", Leaf::Error(Fault::Code)),
    kept("message", Leaf::Error(Fault::Message)),
];

/// One document of a list: of a stream that is sent as one list in pieces, or of an error that is wrapped into one.
pub(crate) const fn document(keys: &'static [(&'static str, Node<Leaf>)]) -> Node<Leaf> {
    Node::mark(Leaf::Document).keys(keys)
}

/// Most bytes of a number that is written as a string.
pub(crate) const NUMBER: u16 = 64;

/// What has been found so far. Grows with nothing but the number of *different* oddities.
#[derive(Debug, Clone)]
pub(super) struct Collector {
    dialect: Dialect,
    pub(super) manner: Manner,
    pub(super) counts: Counts,
    model: Option<Arc<str>>,
    finish_reason: Option<Arc<str>>,
    error: Option<BodyError>,
    text_bytes: u64,
    pub(super) terminated: bool,
    warnings: Vec<Warning>,
    pub(super) document: Document,
    /// The kinds of facts that were told since somebody last cleared this.
    pub(super) told: u8,
    /// How often each kind of fact changed what is known.
    pub(super) news: News,
}

/// How often each kind of fact changed what is known, and all of them together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News {
    kinds: [u32; 3],
    all: u32,
}

/// Kinds of facts: those that may be told again without being news, and all others.
const MODEL: u8 = 1;
const FINISH: u8 = 2;
const COUNT: u8 = 4;
const OTHER: u8 = 8;

/// What is only known at the end of a document.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Anything below was set.
    is_begun: bool,
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

impl Clone for Document {
    fn clone(&self) -> Self {
        let mut clone = Self::default();
        clone.clone_from(self);
        clone
    }

    /// Keeps the memory that is there.
    #[inline]
    fn clone_from(&mut self, other: &Self) {
        if !self.is_begun && !other.is_begun {
            return;
        }
        self.is_begun = other.is_begun;
        self.is_error = other.is_error;
        self.has_error = other.has_error;
        self.kind.clone_from(&other.kind);
        self.code.clone_from(&other.code);
        self.message.clone_from(&other.message);
        self.metric = other.metric;
        self.value = other.value;
    }
}

impl Collector {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            manner: Manner::default(),
            counts: Counts::default(),
            model: None,
            finish_reason: None,
            error: None,
            text_bytes: 0,
            terminated: false,
            warnings: Vec::new(),
            document: Document::default(),
            told: 0,
            news: News::default(),
        }
    }

    /// Notes that a fact of this kind was told, and whether it is news.
    #[inline]
    fn note(&mut self, kind: u8, is_news: bool) {
        self.told |= kind;
        if is_news && kind != OTHER {
            let at = kind.trailing_zeros() as usize;
            self.news.kinds[at] = self.news.kinds[at].wrapping_add(1);
            self.news.all = self.news.all.wrapping_add(1);
        }
    }

    /// Whether facts of these kinds have changed what is known since `then`, which is brought up to date where they have not.
    #[inline]
    pub(super) fn has_news(&self, kinds: u8, then: &mut News) -> bool {
        if kinds & OTHER != 0 {
            return true;
        }
        if self.news.all == then.all {
            return false;
        }
        let changed = |at: usize| kinds >> at & 1 == 1 && self.news.kinds[at] != then.kinds[at];
        if changed(0) || changed(1) || changed(2) {
            return true;
        }
        then.all = self.news.all;
        false
    }

    /// Adds a warning, unless it was given before.
    pub(super) fn warn(&mut self, warning: Warning) {
        self.note(OTHER, true);
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What is known so far.
    pub(super) fn scan(&self, complete: bool) -> Scan {
        let usage = self.dialect.usage(&self.counts, self.manner);
        Scan {
            // Tokens listed beside usage are those of the text, and no answer of their own.
            counted: self.counts.get(Slot::Counted).filter(|_| usage.is_none()),
            usage,
            model: self.model.clone(),
            finish_reason: self.finish_reason.clone(),
            error: self.error.clone(),
            complete,
            text_bytes: self.text_bytes,
            warnings: self.warnings.clone(),
        }
    }

    /// Ends one document. `is_error` says that the stream marked it as an error.
    #[inline]
    pub(super) fn end_document(&mut self, is_error: bool) {
        if self.document.is_begun || is_error {
            self.close_document(is_error);
        }
    }

    fn close_document(&mut self, is_error: bool) {
        let document = &mut self.document;
        // xAI puts the code beside a plain `error` string; Mistral and older vLLM have no `error` at all.
        if document.has_error
            && let Some(error) = &mut self.error
        {
            error.code = error.code.take().or_else(|| nonempty(&document.code));
            self.note(OTHER, true);
        } else if is_error || document.is_error {
            self.error = Some(BodyError {
                // A Responses event says "error" here, and the kind in `code`.
                kind: nonempty(&document.kind).filter(|kind| **kind != *"error"),
                code: nonempty(&document.code),
                message: nonempty(&document.message),
            });
            self.note(OTHER, true);
        }
        let document = &mut self.document;
        document.is_begun = false;
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
            Some(value) => {
                self.note(COUNT, self.counts.get(slot) != Some(value));
                self.counts.set(slot, value);
            }
            None => self.warn(Warning::MalformedCount { field }),
        }
    }

    fn finish(&mut self, text: &[u8], whole: bool) {
        let is_news = remember(&mut self.finish_reason, text, whole);
        self.note(FINISH, is_news);
    }

    /// Notes that the body's own end came.
    fn terminate(&mut self) {
        self.terminated = true;
        self.note(OTHER, true);
    }

    fn add_token(&mut self) {
        let so_far = self.counts.get(Slot::Counted).unwrap_or(0);
        self.counts.set(Slot::Counted, so_far.saturating_add(1));
        self.note(OTHER, true);
    }

    fn set_error(&mut self, fault: Fault, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        self.note(OTHER, true);
        self.document.is_begun = true;
        // Errors of different documents are not mixed: the latest wins as a whole.
        if !std::mem::replace(&mut self.document.has_error, true) {
            self.error = None;
        }
        let text = Some(shared(text));
        let error = self.error.get_or_insert_default();
        match fault {
            Fault::Kind => error.kind = text,
            Fault::Status => error.kind = error.kind.take().or(text),
            Fault::Code => error.code = text,
            Fault::Message => error.message = text,
        }
    }

    /// Sets what would be a part of an error, if the document as a whole is one.
    pub(super) fn set_flat(&mut self, fault: Fault, text: &[u8]) {
        self.document.is_begun = true;
        let part = match fault {
            Fault::Kind | Fault::Status => &mut self.document.kind,
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
            self.note(OTHER, true);
        }
    }

    fn string(&mut self, leaf: Leaf, text: &[u8], whole: bool) {
        match leaf {
            // Some servers write numbers as strings; a string that is none is no count.
            Leaf::Count(..) | Leaf::Total(_) | Leaf::Dollars(_) | Leaf::MetricValue => {
                self.number(leaf, if whole { text } else { &[] }, 0);
            }
            Leaf::Model => {
                let is_news = remember(&mut self.model, text, whole);
                self.note(MODEL, is_news);
            }
            Leaf::Finish => self.finish(text, whole),
            Leaf::LastFinish => {
                self.finish(text, whole);
                self.terminate();
            }
            Leaf::Status if !matches!(text, b"in_progress" | b"queued") => self.finish(text, whole),
            Leaf::Type(ends) => {
                if ends.iter().any(|end| end.as_bytes() == text) {
                    self.terminate();
                }
                self.document.is_error |= text == b"error";
                self.set_flat(Fault::Kind, text);
            }
            Leaf::Object if text == b"error" => {
                self.document.is_begun = true;
                self.document.is_error = true;
            }
            Leaf::Error(fault) => self.set_error(fault, without_broken_end(text, whole)),
            Leaf::Flat(fault) => self.set_flat(fault, without_broken_end(text, whole)),
            Leaf::MetricName(names) => {
                self.document.is_begun = true;
                self.document.metric = names
                    .iter()
                    .find(|(name, _)| name.as_bytes() == text)
                    .copied();
            }
            _ => {}
        }
    }

    fn number(&mut self, leaf: Leaf, text: &[u8], _end: u64) {
        match leaf {
            Leaf::Count(slot, name) => self.set(slot, name, scaled(text, 0)),
            Leaf::Total(name) => self.set(Slot::Total, name, scaled(text, 0)),
            Leaf::Dollars(name) => self.set(Slot::Cost, name, scaled(text, 9)),
            Leaf::MetricValue => {
                self.document.is_begun = true;
                self.document.value = Some(scaled(text, 0));
            }
            Leaf::Token => self.add_token(),
            // A number in the input of a tool is generated text.
            Leaf::Text => self.text(leaf, text, true),
            Leaf::Error(Fault::Code) => self.set_error(Fault::Code, &text[..text.len().min(128)]),
            Leaf::Flat(Fault::Code) => self.set_flat(Fault::Code, &text[..text.len().min(128)]),
            _ => {}
        }
    }

    fn literal(&mut self, leaf: Leaf, value: Option<bool>) {
        // `null` says nothing, so that an earlier value stands; `true` is nobody's number.
        match (leaf, value) {
            (Leaf::Count(_, field) | Leaf::Total(field), Some(_)) => {
                self.warn(Warning::MalformedCount { field });
            }
            (Leaf::Done, Some(true)) => {
                self.terminate();
                self.counts.set(Slot::Done, 1);
            }
            _ => {}
        }
    }

    fn open(&mut self, leaf: Leaf) {
        match leaf {
            Leaf::Count(_, field) => self.warn(Warning::MalformedCount { field }),
            Leaf::End => self.terminate(),
            Leaf::TokenList => {
                self.counts.set(Slot::Counted, 0);
                self.note(OTHER, true);
            }
            Leaf::Token => self.add_token(),
            Leaf::Metric => {
                self.document.metric = None;
                self.document.value = None;
            }
            _ => {}
        }
    }

    fn close(&mut self, leaf: Leaf) {
        match (leaf, self.document.metric, self.document.value) {
            (Leaf::Metric, Some((name, slot)), Some(value)) => self.set(slot, name, value),
            (Leaf::Document, ..) => self.end_document(false),
            _ => {}
        }
    }
}

/// Keeps a name, if it is news. The same name again costs nothing, which is what every event of a stream brings; half a name is not
/// a name.
fn remember(name: &mut Option<Arc<str>>, text: &[u8], whole: bool) -> bool {
    let is_other = name.as_deref().is_none_or(|known| known.as_bytes() != text);
    let is_news = whole && is_other && !text.is_empty();
    if is_news {
        *name = Some(shared(text));
    }
    is_news
}

fn shared(text: &[u8]) -> Arc<str> {
    match std::str::from_utf8(text) {
        Ok(text) => Arc::from(text),
        Err(_) => Arc::from(&*String::from_utf8_lossy(text)),
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
