//! `Exact`: a prompt's text, put together string by string for a tokenizer to count.

use std::fmt;

use crate::CountTokens;

/// Tokens of text and of tool definitions, counted one string after another. Holds one string at a time.
#[derive(Default)]
pub(super) struct Exact<'c> {
    counter: Option<&'c dyn CountTokens>,
    pub(super) text: u64,
    pub(super) tools: u64,
    /// Of a part of which it is not yet known whether it is text.
    source: u64,
    string: Vec<u8>,
}

impl<'c> Exact<'c> {
    pub(super) fn new(counter: &'c dyn CountTokens) -> Self {
        Self {
            counter: Some(counter),
            ..Self::default()
        }
    }

    /// A piece of a string of text.
    pub(super) fn push_text(&mut self, piece: &[u8], last: bool) {
        self.text += self.push(piece, last);
    }

    /// A piece of a string of a tool's definition.
    pub(super) fn push_tools(&mut self, piece: &[u8], last: bool) {
        self.tools += self.push(piece, last);
    }

    /// A piece of a string that may be text.
    pub(super) fn push_source(&mut self, piece: &[u8], last: bool) {
        self.source += self.push(piece, last);
    }

    /// It is text.
    pub(super) fn keep_source(&mut self) {
        self.text += std::mem::take(&mut self.source);
    }

    /// It is none.
    pub(super) const fn drop_source(&mut self) {
        self.source = 0;
    }

    fn push(&mut self, piece: &[u8], last: bool) -> u64 {
        let Some(counter) = self.counter else {
            return 0;
        };
        self.string.extend_from_slice(piece);
        if !last {
            return 0;
        }
        let tokens = counter.count(&String::from_utf8_lossy(&self.string));
        self.string.clear();
        tokens
    }
}

impl fmt::Debug for Exact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exact").finish_non_exhaustive()
    }
}
