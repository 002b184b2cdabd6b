//! `Collector`: gathers what the reader finds at a dialect's places into what a `Scan` reports.

use std::sync::Arc;

use super::leaf::{Counts, Fault, Leaf, Manner, Slot};
use super::outcome::{BodyError, Scan};
use crate::json::Sink;
use crate::number::scaled;
use crate::{Dialect, Warning};

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
