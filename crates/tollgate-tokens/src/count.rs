//! Exact token counts of a prompt's text, by a tokenizer that the user brings.

#[cfg(feature = "tokenizers")]
mod file;
#[cfg(feature = "bpe-openai")]
mod openai;

use std::fmt;
use std::sync::Arc;

use crate::descriptor::Descriptor;
#[cfg(feature = "tokenizers")]
pub use file::{TokenizerError, TokenizerFile};
#[cfg(feature = "bpe-openai")]
pub(crate) use openai::MODELS;
#[cfg(feature = "bpe-openai")]
pub use openai::OpenAiTokens;

/// Counts the tokens of texts as a model does.
///
/// Implemented by `OpenAiTokens` (feature `bpe-openai`), by `TokenizerFile` (feature `tokenizers`), and by whatever you have.
pub trait CountTokens: Send + Sync {
    /// The tokens of one text: a message, a part of one, or a string of a tool's definition. Framing is added by the estimator. Runs
    /// while the call is described, for as long as it takes.
    fn count(&self, text: &str) -> u64;
}

/// Which counter counts for which models.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    by_pattern: Vec<(Arc<str>, Arc<dyn CountTokens>)>,
}

impl Counters {
    pub(crate) fn add(&mut self, models: &str, counter: Arc<dyn CountTokens>) {
        self.by_pattern.push((models.into(), counter));
    }

    /// The counter of a model: of those that match, the one whose pattern is longest, and of those the one added last.
    fn of(&self, model: &str) -> Option<&dyn CountTokens> {
        // Routers put the vendor before the name.
        let names = [model, model.rsplit('/').next().unwrap_or(model)];
        let matches = |pattern: &str| {
            names.iter().any(|name| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => *name == pattern,
            })
        };
        self.by_pattern
            .iter()
            .filter(|(pattern, _)| matches(pattern))
            .max_by_key(|(pattern, _)| pattern.len())
            .map(|(_, counter)| counter.as_ref())
    }

    /// Counts the text of `call`, which was described from `body`, if there is a counter for its model.
    pub(crate) fn count(&self, call: &mut Descriptor, body: &[u8]) {
        let model = call.model.clone().unwrap_or_default();
        if let Some(counter) = self.of(&model) {
            call.count(body, counter);
        }
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.by_pattern.iter().map(|(pattern, _)| pattern);
        f.debug_set().entries(patterns).finish()
    }
}
