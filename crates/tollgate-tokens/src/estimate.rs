//! `Estimator`: what a call will take, guessed before it is sent and corrected by the usage of calls before it.

mod answers;
mod fixed;
mod flight;
mod input;
mod learned;
mod moments;
mod pool;
mod saved;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::count::Counters;
use crate::descriptor::{Kind, TextKinds};
use crate::{CountTokens, Descriptor, Operation, Usage};
pub use flight::InFlight;
use learned::{Learned, Models};
pub use saved::LearnedError;

/// What a call is expected to take, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Input tokens to reserve: rounded up, with a margin that past errors have set.
    pub input: u64,
    /// Input tokens to expect: the same without the margin.
    pub input_expected: u64,
    /// Output tokens to reserve: what is expected and the call's share of the margin of all that is in flight with it. Never above
    /// `output_cap_bound`.
    pub output: u64,
    /// Output tokens to expect, on average over what is in flight.
    pub output_expected: u64,
    /// The most output tokens the provider lets the call take, which is what providers that book the cap on arrival take: the caller's
    /// cap, else the model's maximum for each answer, else a guess of at least 1,024.
    pub output_cap_bound: u64,
    /// The call may take more input than was seen: its format is unknown or was unreadable, or the provider adds context of its own.
    pub lower_bound: bool,
}

/// What is known of a call's output without having learned anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// The most tokens that the model generates per answer, as the catalog has it.
    pub model: Option<u64>,
    /// The most tokens that are reserved for the output of a call as long as nothing is known of such calls; `None` sets no limit but
    /// the cap.
    pub unlearned: Option<u64>,
}

/// Guesses the tokens of calls, and learns from the usage that providers report.
///
/// **Input** is a sum over the kinds of text that a prompt is made of ([`TextKinds`]), each of which takes about as many tokens per
/// word, sign or character everywhere; plus framing, tool definitions and images. What each kind takes is learned per dialect and model, by a
/// recursive regression, from calls that may mix all kinds in any order: most of it in the first ten calls of a kind, and it drifts with the
/// calls of about the last thousand. Text that a tokenizer has counted ([`Estimator::count`]) enters as it was counted.
///
/// A margin is added, in standard deviations of what such calls stray, which short prompts do more than long ones: three and a half at first. A call
/// beyond its margin widens it at once, by a third at least, and each call within it narrows it by a 512th; so at most one in
/// 147 calls can be beyond its margin in the long run, whatever the text.
///
/// **Output** is learned per route: operation and, if the caller names one, [`Descriptor::route`]. Once eight answers are known, a call
/// is reserved the mean of its route's answers, none longer than its own cap, and its share of a margin that the calls in flight
/// bear together ([`Estimator::admit`]), such that in 150 of 151 moments what all of them use is covered. How wide that margin is in
/// standard deviations follows from how often it was enough. Before eight answers are known the call is reserved its cap, or 1,024
/// where there is none, and no more than [`OutputLimits::unlearned`].
///
/// Clones share what they have learned. Shared by reference between threads; each call holds a lock for about a microsecond. The same
/// calls in the same order give the same answers. At most 1,024 models are kept, of about two kilobytes each and one
/// more per route; then the one not learned from for longest is forgotten.
#[derive(Clone, Default)]
pub struct Estimator {
    models: Arc<Mutex<Models>>,
    counters: Counters,
}

/// Tokens that frame each message, and those that open the answer (OpenAI's cookbook for its chat models).
const MESSAGE_TOKENS: u64 = 3;
const REPLY_TOKENS: u64 = 3;
/// Output of a call about which nothing is known.
const UNKNOWN_OUTPUT: u64 = 1_024;
/// Bytes per token of text of which only the length is known.
const BYTES_PER_TOKEN: u64 = 3;

impl Estimator {
    /// One that has learned nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the text of calls to `models` exactly, with a tokenizer. `models` is a model's name, or a part of names with `*` behind it;
    /// names are also compared without what stands before their last `/`. Of several that match, the longest counts.
    #[must_use]
    pub fn counter(mut self, models: &str, counter: Arc<dyn CountTokens>) -> Self {
        self.counters.add(models, counter);
        self
    }

    /// Counts the text of calls to OpenAI's models exactly. Mind the time that takes: about 25 ms per megabyte, while the call is
    /// described.
    #[cfg(feature = "bpe-openai")]
    #[must_use]
    pub fn openai_counters(self) -> Self {
        crate::count::MODELS
            .iter()
            .fold(self, |this, (models, tokens)| {
                this.counter(models, Arc::new(tokens()))
            })
    }

    /// Counts the text of a call exactly, if there is a counter for its model. `body` is what the call was described from.
    pub fn count(&self, call: &mut Descriptor, body: &[u8]) {
        self.counters.count(call, body);
    }

    /// What the call will take.
    ///
    /// A call of unknown format takes one request and no tokens that anyone could tell; counting tokens takes none.
    #[must_use]
    pub fn estimate(&self, call: &Descriptor, limits: OutputLimits) -> Estimate {
        if !takes_tokens(call) {
            return Estimate {
                input: 0,
                input_expected: 0,
                output: 0,
                output_expected: 0,
                output_cap_bound: 0,
                lower_bound: call.dialect.is_none(),
            };
        }
        let models = self.lock();
        let learned = models.get(call).unwrap_or(&models.nothing);
        let input = learned.input.outlook(&kinds(call));
        let output = output(call, limits, learned);
        Estimate {
            input: call.token_ids.saturating_add(input.covered),
            input_expected: call.token_ids.saturating_add(input.expected),
            output: output.reserved.min(output.bound),
            output_expected: output.expected.min(output.bound),
            output_cap_bound: output.bound,
            lower_bound: call.hidden_context || call.operation == Operation::Other,
        }
    }

    /// Notes that a call has been admitted, with so many output tokens reserved. It shares the risk of its pool, which are the calls of its
    /// model with the same [`Descriptor::share`], until what is returned is settled or dropped.
    pub fn admit(&self, call: &Arc<Descriptor>, reserved_output: u64) -> InFlight {
        InFlight::new(self.clone(), call.clone(), reserved_output)
    }

    /// Learns what a call took that was not admitted here. Leave out usage that was itself estimated, and answers that were cut short.
    pub fn learn(&self, call: &Descriptor, usage: &Usage) {
        self.learn_among(call, usage, 0);
    }

    /// Learns what a call took while `beside` calls were admitted.
    fn learn_among(&self, call: &Descriptor, usage: &Usage, beside: u64) {
        if !takes_tokens(call) {
            return;
        }
        let mut models = self.lock();
        let Some(learned) = models.entry(call) else {
            return;
        };
        let kinds = kinds(call);
        // Input that was not in the body would spoil what is known of the text.
        if usage.split_known && !call.hidden_context {
            // What an image takes is a convention of the provider's, and more doubtful than anything said about text.
            let only = (call.images > 0).then_some(Kind::Images);
            let text = usage.input.saturating_sub(call.token_ids);
            learned.input.learn(&kinds, text, only);
        }
        if !generates(call) {
            return;
        }
        let output = if usage.split_known {
            usage.output
        } else {
            let input = learned.input.outlook(&kinds).covered;
            usage
                .total()
                .saturating_sub(call.token_ids.saturating_add(input))
        };
        let cut = call.output_cap.is_some_and(|cap| output >= cap);
        let choices = u64::from(call.choices.max(1));
        learned
            .answers_mut(call)
            .learn(output.div_ceil(choices), cut, beside);
    }

    fn lock(&self) -> MutexGuard<'_, Models> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names the models known, without their figures.
impl fmt::Debug for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models = self.lock();
        f.debug_struct("Estimator")
            .field("models", &models.len())
            .field("reports", &models.reports)
            .field("counters", &self.counters)
            .finish()
    }
}

fn takes_tokens(call: &Descriptor) -> bool {
    call.dialect.is_some() && call.operation != Operation::CountTokens
}

const fn generates(call: &Descriptor) -> bool {
    matches!(call.operation, Operation::Chat | Operation::TextCompletion)
}

/// What the input is made of, all but token ids, which are known exactly.
fn kinds(call: &Descriptor) -> TextKinds {
    let mut kinds = call.kinds;
    if kinds.sum() == 0 {
        // A descriptor that was made by hand.
        kinds.add(
            Kind::Other,
            call.text_bytes.saturating_mul(1_000) / BYTES_PER_TOKEN,
        );
    }
    if call.messages > 0 {
        let framing = u64::from(call.messages) * MESSAGE_TOKENS + REPLY_TOKENS;
        kinds.add(Kind::Framing, framing * 1_000);
    }
    kinds.add(Kind::Images, call.image_tokens.saturating_mul(1_000));
    kinds
}

struct Output {
    reserved: u64,
    expected: u64,
    bound: u64,
}

/// The output and its bound, over all answers that the call asks for.
fn output(call: &Descriptor, limits: OutputLimits, learned: &Learned) -> Output {
    if !generates(call) {
        // Of other calls nothing was understood; a cap would still be known.
        let bound = match call.operation {
            Operation::Other => call.output_cap.unwrap_or(0),
            _ => 0,
        };
        return Output {
            reserved: bound,
            expected: bound,
            bound,
        };
    }
    let choices = u64::from(call.choices.max(1));
    let cap = call
        .output_cap
        .or_else(|| limits.model.map(|max| max.saturating_mul(choices)));
    let (pool, risk) = learned.risk(call, cap.map(|cap| cap / choices));
    let Some(risk) = risk else {
        let longest = learned
            .answers(call)
            .map_or(0, |answers| answers.longest)
            .saturating_mul(choices);
        let unknown = UNKNOWN_OUTPUT.saturating_mul(choices).max(longest);
        let guess = call.output_cap.unwrap_or(unknown);
        let reserved = guess.min(limits.unlearned.unwrap_or(u64::MAX));
        return Output {
            reserved,
            expected: reserved,
            bound: cap.unwrap_or(unknown),
        };
    };
    let reserved = pool.map_or_else(
        || pool::Pool::default().reserve(&risk, learned.spread),
        |pool| pool.reserve(&risk, learned.spread),
    );
    Output {
        reserved,
        expected: risk.mean,
        bound: cap.unwrap_or_else(|| reserved.max(UNKNOWN_OUTPUT)),
    }
}
