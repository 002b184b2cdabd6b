//! `ChargeRules`: how a provider charges, where a limit does not say it itself.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use tollgate_limits::Unit;

use super::policy_spec::{ChargeName, OutputRule, ShapeName};
use crate::price::parse_dollars;

/// How a provider charges, for those of its limits that do not say it themselves. In TOML the table `charges` of a provider; every
/// field can be left out.
///
/// ```toml
/// [provider.house.charges]
/// shape = "bucket"
/// requests = "arrival-kept"
/// tokens = "arrival"
/// output = "cap"
/// cache_reads = false
/// failures = true
/// scope = ["team"]
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ChargeRules {
    /// How its quotas come back, where the limit is over a span of time and names no anchor.
    pub shape: Option<ShapeName>,
    /// When it books requests.
    pub requests: Option<ChargeName>,
    /// When it books input tokens, and both kinds together.
    pub tokens: Option<ChargeName>,
    /// When it books output tokens that have a limit of their own. Default: as `tokens`.
    pub output_tokens: Option<ChargeName>,
    /// What it takes for output before that is known.
    pub output: Option<OutputRule>,
    /// Whether tokens read from its prompt cache count.
    pub cache_reads: Option<bool>,
    /// Whether a call that it answers with an error counts.
    pub failures: Option<bool>,
    /// How much a token of output counts, in thousandths, where the model does not say it. TOML: `5`, or `"1.5"`.
    #[serde(default, deserialize_with = "weight")]
    pub output_weight: Option<u32>,
    /// Whose quota it is: labels of which every value has a quota of its own, such as `team`. Calls that do not carry the label
    /// share one, so it plays a part only in programs that call for several.
    pub scope: Option<Vec<String>>,
}

impl ChargeRules {
    /// When calls are booked against limits on `unit`, if the rules tell.
    pub(super) fn charge(&self, unit: Unit) -> Option<ChargeName> {
        match unit {
            Unit::Requests => self.requests,
            Unit::OutputTokens => self.output_tokens.or(self.tokens),
            Unit::InputTokens | Unit::TotalTokens => self.tokens,
            _ => None,
        }
    }

    /// Takes over what `newer` says, field by field.
    pub(super) fn merge(&mut self, newer: Self) {
        let Self {
            shape,
            requests,
            tokens,
            output_tokens,
            output,
            cache_reads,
            failures,
            output_weight,
            scope,
        } = newer;
        self.shape = shape.or(self.shape);
        self.requests = requests.or(self.requests);
        self.tokens = tokens.or(self.tokens);
        self.output_tokens = output_tokens.or(self.output_tokens);
        self.output = output.or(self.output);
        self.cache_reads = cache_reads.or(self.cache_reads);
        self.failures = failures.or(self.failures);
        self.output_weight = output_weight.or(self.output_weight);
        self.scope = scope.or_else(|| self.scope.take());
    }
}

/// How much a token of output counts, as a whole number or a decimal string, in thousandths.
pub(super) fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "a weight: a whole number, or a string such as \"1.5\""
    )]
    enum Weight {
        Whole(i64),
        Decimal(String),
    }
    let thousandths = match Weight::deserialize(deserializer)? {
        Weight::Whole(weight) => u64::try_from(weight)
            .ok()
            .and_then(|w| w.checked_mul(1_000)),
        Weight::Decimal(text) => parse_dollars(&text, 3),
    };
    match thousandths.map(u32::try_from) {
        Some(Ok(thousandths)) if thousandths <= HEAVIEST => Ok(Some(thousandths)),
        _ => Err(D::Error::custom(
            "a weight is from 0 to 1000 with at most 3 decimals, such as 5 or \"1.5\"",
        )),
    }
}

/// The largest weight, in thousandths; the heaviest known is 15 (Bedrock).
const HEAVIEST: u32 = 1_000_000;
