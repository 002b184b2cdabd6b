//! `Usage`: the tokens a provider says a call took, in one meaning for all dialects; and `Warning`, what was odd on the way.

use std::fmt;
use std::sync::Arc;

use crate::Cost;

/// What a call took, as its provider reported it, brought to one meaning.
///
/// Providers disagree on whether input includes cached tokens and whether output includes reasoning. Here both
/// always do: `cache_read` and `cache_write` are parts of `input`, `reasoning` is a part of `output`. The total is computed,
/// because no provider's own total is safe to read (Anthropic sends none, xAI's includes reasoning that its output field lacks).
/// All counts are tokens; zero means "the provider reported none", which includes a field that it left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the prompt, cached ones included.
    pub input: u64,
    /// All tokens generated, reasoning included.
    pub output: u64,
    /// The part of `input` that the provider read from its cache.
    pub cache_read: u64,
    /// The part of `input` that the provider wrote to its cache.
    pub cache_write: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
    /// What the provider itself says the call cost (OpenRouter, xAI). `None` where it says nothing.
    pub cost: Option<Cost>,
    /// What the provider says it bills for, where that is not what it counted (Cohere).
    pub billed: Option<Billed>,
    /// `false` where the provider reported one number only: `input` then holds all of it and `output` is zero.
    pub split_known: bool,
}

/// Tokens that a provider bills for, where they are not all that went through the model: Cohere adds to prompts at its own expense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Billed {
    /// Tokens of the prompt that are billed.
    pub input: u64,
    /// Generated tokens that are billed.
    pub output: u64,
}

impl Usage {
    /// Usage with a known split and no cached, reasoning or priced part.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            output,
            cache_read: 0,
            cache_write: 0,
            reasoning: 0,
            cost: None,
            billed: None,
            split_known: true,
        }
    }

    /// Usage of which only the total is known.
    pub(crate) const fn unsplit(total: u64) -> Self {
        Self {
            split_known: false,
            ..Self::new(total, 0)
        }
    }

    /// Input and output together, in tokens. Stops at `u64::MAX`.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// Something odd that was read and survived: the stated fallback was taken, and the caller should tell somebody.
///
/// A warning never carries text of a prompt or an answer. `Display` is one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The dialect is unknown; the call counts as one request and nothing in it was read.
    UnknownFormat,
    /// The body, or one event of a stream, is not valid JSON. What was read before it stands.
    NotJson,
    /// The response ended without any usage; the call must be settled from an estimate.
    NoUsage,
    /// The body ended before its terminator, so what it reported may be less than what was generated.
    CutStream,
    /// A frame of a binary event stream fails its checksum; nothing that it said was taken. Where the damage is in the length of a
    /// frame, nothing behind it was read either.
    DamagedFrame,
    /// The body is compressed in a way that this layer cannot read, so nothing in it was counted.
    UnreadableEncoding {
        /// The value of `content-encoding`.
        encoding: Arc<str>,
    },
    /// A count is negative, too large, or no number at all; it was treated as absent.
    MalformedCount {
        /// The field, in the provider's own spelling.
        field: &'static str,
    },
    /// A header's value makes no sense for its name; it was ignored.
    MalformedHeader {
        /// The header's name, in lower case.
        name: Arc<str>,
    },
    /// The call takes nearly all that a limit allows.
    NearLimit {
        /// The limit: a policy's name, or `context window`.
        limit: Arc<str>,
        /// Tokens that the call is expected to take, its output cap included where that is what counts.
        needed: u64,
        /// The most that the limit allows.
        of: u64,
    },
    /// The caller's output cap was lowered to what is left.
    CapLowered {
        /// Tokens that the caller allowed, over all answers.
        from: u64,
        /// Tokens that were left to it.
        to: u64,
    },
    /// The provider answered, and says that its limit is passed all the same (Fireworks): the next calls may be refused.
    OverLimit,
    /// The catalog does not know the model; its limits and price are those of the stated fallback.
    UnknownModel {
        /// The model's name, as requested.
        model: Arc<str>,
    },
    /// The limit on requests is above the limit on tokens for the same span. A request costs at least one token, so
    /// the two were probably swapped.
    RpmAboveTpm {
        /// The limit on requests, per minute.
        requests: u64,
        /// The limit on tokens, per minute.
        tokens: u64,
    },
    /// What an earlier run has learned of a policy from refusals does not fit any more, and was left out: there is no such policy, or its
    /// quota is another.
    StaleLesson {
        /// The policy's name.
        policy: Arc<str>,
    },
    /// The part of a file that says what refusals have taught cannot be read, or is of another version, and was left out.
    UnreadableLessons,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("the format of this call is unknown; it counts as one request"),
            Self::NotJson => f.write_str("the body is not valid JSON; what was read before the fault stands"),
            Self::NoUsage => f.write_str("the response reports no usage; the call is settled from an estimate"),
            Self::CutStream => f.write_str("the body ended before its terminator; more may have been generated than was reported"),
            Self::DamagedFrame => f.write_str("a frame of the event stream fails its checksum; what it said was not taken"),
            Self::UnreadableEncoding { encoding } => {
                write!(f, "the body is encoded as {encoding:?} and could not be read; its usage is unknown")
            }
            Self::MalformedCount { field } => write!(f, "the value of `{field}` is not a count of tokens; it was ignored"),
            Self::MalformedHeader { name } => write!(f, "the value of header `{name}` makes no sense; it was ignored"),
            Self::NearLimit { limit, needed, of } => {
                write!(f, "the call takes {needed} of the {of} tokens that `{limit}` allows")
            }
            Self::CapLowered { from, to } => {
                write!(f, "the output cap of {from} tokens was lowered to {to}, which is what is left")
            }
            Self::OverLimit => f.write_str("the provider says that its limit is passed already, though it answered"),
            Self::UnknownModel { model } => write!(f, "model {model:?} is not in the catalog"),
            Self::RpmAboveTpm { requests, tokens } => write!(
                f,
                "the limit of {requests} requests per minute is above the limit of {tokens} tokens per minute; they are probably swapped"
            ),
            Self::StaleLesson { policy } => write!(
                f,
                "what refusals taught an earlier run of policy `{policy}` was left out: it is gone, or has another quota"
            ),
            Self::UnreadableLessons => {
                f.write_str("what refusals taught an earlier run cannot be read and was left out; it will be learned again")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_counts_cached_and_reasoning_tokens_once() {
        let usage = Usage {
            cache_read: 6,
            cache_write: 2,
            reasoning: 4,
            ..Usage::new(10, 5)
        };
        assert_eq!(usage.total(), 15);
    }

    #[test]
    fn the_total_stops_at_the_largest_number() {
        assert_eq!(Usage::new(u64::MAX, 1).total(), u64::MAX);
    }

    #[test]
    fn a_warning_is_one_sentence_that_names_the_field() {
        assert_eq!(
            Warning::MalformedCount {
                field: "prompt_tokens"
            }
            .to_string(),
            "the value of `prompt_tokens` is not a count of tokens; it was ignored"
        );
    }
}
