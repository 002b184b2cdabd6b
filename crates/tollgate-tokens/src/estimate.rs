//! `Estimator`: what a call will take, guessed before it is sent and corrected by the usage of calls before it.

mod learned;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Descriptor, Dialect, Operation, Usage};
use learned::Learned;

/// What a call is expected to take, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Input tokens, rounded up, with a margin that past errors have set.
    pub input: u64,
    /// Output tokens that a pool of such calls takes per call: nine in ten stay below. Never above `output_cap_bound`.
    pub output: u64,
    /// The most output tokens the provider lets the call take, which is what providers that book the cap on arrival take: the caller's
    /// cap, else the model's maximum for each answer, else a guess of at least 1,024.
    pub output_cap_bound: u64,
    /// The call may take more input than was seen: its format is unknown or was unreadable, or the provider adds context of its own.
    pub lower_bound: bool,
}

/// Guesses the tokens of calls, and learns from the usage that providers report.
///
/// **Input** is the prompt's bytes times a rate of tokens per byte, kept per dialect and model, plus what framing and images take. The rate
/// starts at one token in three bytes: English takes about four bytes per token, code and most other scripts three or less, so the
/// first calls are over-estimated rather than refused. What is assumed counts as much as 16 KiB of text and fades with each report, a
/// sixteenth at a time, as older reports do: the rate becomes that of the text actually sent, but a few short prompts say little about
/// a long one. English prompts of 4,000 bytes are estimated within 5 % after 24 reports, those of 16,000 bytes after 15.
///
/// A margin is added: 5 % at first. When the rate was too low by more than the margin, it widens at once, to
/// 2.5 % above what was missing and at most to 100 %. Every other call of at least 1,000 input tokens narrows it towards 2.5 %, by a
/// thirty-second of the way and at least by 0.1 %, so a wide margin lasts for some dozens of calls.
///
/// **Output** is the 90 % quantile of the model's last 64 answers, or their mean if that is larger (few very long answers among many
/// short ones), plus a sixteenth. Before eight answers are known it is the caller's cap, or 1,024 where there is none.
///
/// Shared by reference between threads; each call holds a lock for about a microsecond. The same calls in the same order give the
/// same answers. At most 1,024 models are kept, of about half a kilobyte each; then the one not
/// learned from for longest is forgotten.
#[derive(Default)]
pub struct Estimator {
    models: Mutex<Models>,
}

#[derive(Default)]
struct Models {
    by_name: HashMap<Key, Learned>,
    /// Reports learned so far: the age of what is known.
    reports: u64,
}

type Key = (Dialect, Arc<str>);

/// Tokens of an image of unknown size, as providers count common sizes (Llama on OCI: about 1,610 for 512 by 512). The length of its
/// base64 would say far more.
const IMAGE_TOKENS: u64 = 1_600;
/// Tokens that frame each message, and those that open the answer (OpenAI's cookbook for its chat models).
const MESSAGE_TOKENS: u64 = 3;
const REPLY_TOKENS: u64 = 3;
/// Output of a call about which nothing is known.
const UNKNOWN_OUTPUT: u64 = 1_024;
/// Most models kept.
const MOST_MODELS: usize = 1_024;
/// Longest model name that is worth remembering; real ones are shorter than half of it.
const LONGEST_NAME: usize = 256;

impl Estimator {
    /// One that has learned nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the call will take. `model_max_output` is the most the model generates per answer, in tokens, as the catalog has it.
    ///
    /// A call of unknown format takes one request and no tokens that anyone could tell; counting tokens takes none.
    #[must_use]
    pub fn estimate(&self, call: &Descriptor, model_max_output: Option<u64>) -> Estimate {
        let Some(dialect) = call
            .dialect
            .filter(|_| call.operation != Operation::CountTokens)
        else {
            let lower_bound = call.dialect.is_none();
            return Estimate {
                input: 0,
                output: 0,
                output_cap_bound: 0,
                lower_bound,
            };
        };
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let learned = key(dialect, call).and_then(|key| models.by_name.get(&key));
        let text = learned.map_or_else(
            || Learned::new().text_tokens(call.text_bytes),
            |learned| learned.text_tokens(call.text_bytes),
        );
        let (output, output_cap_bound) = output(call, model_max_output, learned);
        Estimate {
            input: fixed_tokens(call).saturating_add(text),
            output,
            output_cap_bound,
            lower_bound: call.hidden_context || call.operation == Operation::Other,
        }
    }

    /// Learns what a call took. Leave out usage that was itself estimated, and answers that were cut short.
    pub fn learn(&self, call: &Descriptor, usage: &Usage) {
        let Some(dialect) = call
            .dialect
            .filter(|_| call.operation != Operation::CountTokens)
        else {
            return;
        };
        let Some(key) = key(dialect, call) else {
            return;
        };
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.reports += 1;
        let now = models.reports;
        if !models.by_name.contains_key(&key) && models.by_name.len() >= MOST_MODELS {
            models.forget_oldest();
        }
        let learned = models.by_name.entry(key).or_insert_with(Learned::new);
        learned.last_report = now;
        let fixed = fixed_tokens(call);
        // Input that was not in the body, or whose size is a convention, would spoil the rate of the text.
        if usage.split_known && call.images == 0 && !call.hidden_context {
            learned.learn_input(call.text_bytes, fixed, usage.input);
        }
        if matches!(call.operation, Operation::Chat | Operation::TextCompletion) {
            let total_less_input = || {
                usage
                    .total()
                    .saturating_sub(fixed.saturating_add(learned.text_tokens(call.text_bytes)))
            };
            let output = if usage.split_known {
                usage.output
            } else {
                total_less_input()
            };
            learned.learn_output(output.div_ceil(u64::from(call.choices.max(1))));
        }
    }
}

/// Names the models known, without their figures.
impl fmt::Debug for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Estimator")
            .field("models", &models.by_name.len())
            .field("reports", &models.reports)
            .finish()
    }
}

impl Models {
    fn forget_oldest(&mut self) {
        // A scan of at most MOST_MODELS entries, and only when a model is new: no order needs to be kept up for it.
        let oldest = self
            .by_name
            .iter()
            .min_by_key(|(_, learned)| learned.last_report)
            .map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.by_name.remove(&oldest);
        }
    }
}

/// Calls that name no model share what is learned; those with an absurd name learn nothing.
fn key(dialect: Dialect, call: &Descriptor) -> Option<Key> {
    let model = call.model.clone().unwrap_or_default();
    (model.len() <= LONGEST_NAME).then_some((dialect, model))
}

/// Input tokens that do not depend on the text.
fn fixed_tokens(call: &Descriptor) -> u64 {
    let framing = if call.messages == 0 {
        0
    } else {
        u64::from(call.messages) * MESSAGE_TOKENS + REPLY_TOKENS
    };
    call.token_ids
        .saturating_add(framing + u64::from(call.images) * IMAGE_TOKENS)
}

/// The expected output and its bound, over all answers that the call asks for.
fn output(call: &Descriptor, model_max: Option<u64>, learned: Option<&Learned>) -> (u64, u64) {
    match call.operation {
        Operation::Embeddings | Operation::CountTokens => return (0, 0),
        // Nothing was understood of the call; a cap would still be known.
        Operation::Other => return (call.output_cap.unwrap_or(0), call.output_cap.unwrap_or(0)),
        Operation::Chat | Operation::TextCompletion => {}
    }
    let choices = u64::from(call.choices.max(1));
    let usual = learned
        .and_then(Learned::usual_output)
        .map(|usual| usual.saturating_mul(choices));
    let longest = learned
        .map_or(0, Learned::longest_output)
        .saturating_mul(choices);
    let unknown = UNKNOWN_OUTPUT.saturating_mul(choices).max(longest);
    let bound = call
        .output_cap
        .or_else(|| model_max.map(|max| max.saturating_mul(choices)))
        .unwrap_or_else(|| usual.unwrap_or(unknown).max(UNKNOWN_OUTPUT));
    let expected = usual.unwrap_or_else(|| call.output_cap.unwrap_or(unknown));
    (expected.min(bound), bound)
}
