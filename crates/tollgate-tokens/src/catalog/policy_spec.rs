//! `PolicySpec`: one limit, as the catalog and a user's configuration file write it.

mod raw;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_limits::{Counting, Unit};

use super::charges::ChargeRules;
use crate::Warning;
pub(super) use raw::Date;
pub use raw::TimeSpan;

/// One limit of a provider or of a user's own. Pure data that was checked once, when it was read.
///
/// In TOML only `name`, `unit`, `limit` and, except for slots, `window` are required:
///
/// ```toml
/// [[limits]]
/// name = "tpm"
/// unit = "tokens"
/// limit = 250_000
/// window = "1m"
/// per = ["model"]
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "raw::RawSpec")]
#[non_exhaustive]
pub struct PolicySpec {
    /// The limit's name in errors, events and telemetry. Never empty.
    pub name: String,
    /// What it counts. TOML words: `requests`, `input_tokens`, `output_tokens`, `tokens`, `cost_usd`, `concurrency`.
    pub unit: Unit,
    /// Units per window, from 1 to [`PolicySpec::MAX_LIMIT`]; for cost nano-US-dollars (TOML: dollars, a string such as `"25.50"`
    /// or a whole number); for concurrency calls in flight.
    pub limit: u64,
    /// The time over which the limit is allocated. `None` for slots only.
    pub window: Option<WindowSpec>,
    /// How the quota comes back after use. Default: slots for concurrency, `bucket` where a burst is given, `window` where an anchor
    /// or a day is given, otherwise `sliding`, the one that is safe against most rules a provider may enforce.
    pub shape: ShapeName,
    /// Most units at one instant, for buckets only. `None` means the limit.
    pub burst: Option<u64>,
    /// Where fixed windows begin; no part in other shapes.
    pub anchor: AnchorName,
    /// IANA name of the time zone whose midnights begin a day. `None` means UTC.
    pub time_zone: Option<String>,
    /// How far arrival times may drift apart on the way to the provider. `None` leaves the limiter's default.
    pub margin: Option<Duration>,
    /// When the provider books a call. Default: the provider's [`crate::ChargeRules`], else `arrival-kept` for requests (`arrival` where failures do not count), otherwise
    /// `completion`.
    pub charge: ChargeName,
    /// What is reserved for output tokens before they are known. Default: the cap where the provider books on arrival, otherwise
    /// the learned expectation.
    pub output: OutputRule,
    /// Whether tokens read from the provider's prompt cache count. Default: true.
    pub cache_reads: bool,
    /// Whether a call that the provider answered with an error counts. Default: true.
    pub failures: bool,
    /// How much a token of output counts, in thousandths. TOML: `5`, or `"1.5"`. `None`: as much as at the call's model for the limits
    /// of a provider, once for other policies.
    pub output_weight: Option<u32>,
    /// What becomes of calls once the quota is used up. Default: `refuse` for `cost_usd` and for the windows `session` and `total`,
    /// otherwise `wait`.
    pub spent: SpentRule,
    /// Units per window at which calls are spaced one by one: for a provider whose rule is known to want it. From 1 to the limit; never
    /// with slots. `None`: they are not, unless refusals teach it.
    pub pace: Option<u64>,
    /// The limit is not known, and is searched for between these two, from `limit` on. TOML: `{ floor = 10, ceiling = 5000 }`. `None`: it
    /// is known.
    pub adaptive: Option<Bounds>,
    /// Whether a limit that a response reports is taken over even if it is higher. A lower one always is. Default: false.
    pub trusting: bool,
    /// Whether nobody else uses the quota: then no room is left free for others. Default: false.
    pub alone: bool,
    /// Models it applies to; a trailing `*` matches by prefix. Empty: all.
    pub models: Vec<String>,
    /// Labels that split the quota into shares of their own, with the whole limit each: `model`, `tenant`, `key`. Empty: one share.
    pub per: Vec<String>,
    /// Where the figure comes from.
    pub source: Option<String>,
    /// When the source was read or published: `YYYY-MM-DD` or `YYYY-MM`.
    pub date: Option<String>,
    /// What it says itself, and the rules of its provider do not change.
    written: Written,
}

/// Between which two a limit is searched for, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least 1, at most the limit.
    pub floor: u64,
    /// At least the limit, at most [`PolicySpec::MAX_LIMIT`].
    pub ceiling: u64,
}

/// Which of the charge rules a limit says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Written {
    shape: bool,
    charge: Option<ChargeName>,
    output: Option<OutputRule>,
    cache_reads: bool,
    failures: Option<bool>,
}

/// The time over which a limit is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowSpec {
    /// A span of time, from 1 ms to 366 days. TOML: `"60s"`, `"1m"`, `"1h30m"`, `"1d"`.
    Span(Duration),
    /// A calendar day in the limit's time zone. TOML: `"day"`.
    Day,
    /// A calendar month in the limit's time zone. TOML: `"month"`.
    Month,
    /// The life of a session, which calls name by the label `session`; it is forgotten thirty days after its first call. Each has the
    /// whole limit, and calls without the label are not concerned. TOML: `"session"`.
    Session,
    /// All time: what is used never comes back. TOML: `"total"`.
    Total,
}

impl WindowSpec {
    /// Its length; 24 hours for a calendar day, although two days a year differ where clocks change, 31 days for a month, thirty for
    /// a session, and ten years for all time.
    #[must_use]
    pub const fn nominal(self) -> Duration {
        const DAY: u64 = 86_400;
        match self {
            Self::Span(span) => span,
            Self::Day => Duration::from_secs(DAY),
            Self::Month => Duration::from_secs(31 * DAY),
            Self::Session => Duration::from_secs(30 * DAY),
            Self::Total => Duration::from_secs(3_650 * DAY),
        }
    }

    /// Whether it is one of those that are named by a word, and so begins where that word says.
    pub(crate) const fn is_named(self) -> bool {
        !matches!(self, Self::Span(_))
    }

    /// The anchor that goes with it.
    pub(crate) const fn anchor(self) -> AnchorName {
        match self {
            Self::Span(_) => AnchorName::Aligned,
            Self::Day => AnchorName::Day,
            Self::Month => AnchorName::Month,
            Self::Session => AnchorName::FirstCall,
            Self::Total => AnchorName::Never,
        }
    }
}

/// How a quota comes back after use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShapeName {
    /// Continuous refill at limit / window.
    Bucket,
    /// A fixed window that starts again at zero.
    Window,
    /// No more than the limit in any span of the window.
    Sliding,
    /// Calls in flight.
    Slots,
}

/// Where fixed windows begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorName {
    /// At whole multiples of the window since 1970-01-01T00:00:00Z.
    Aligned,
    /// With the first call after the previous window ended.
    FirstCall,
    /// At midnight in the limit's time zone.
    Day,
    /// At the first midnight of a month in the limit's time zone.
    Month,
    /// Never again: one window for all time.
    Never,
}

/// What becomes of calls once a quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpentRule {
    /// They wait for it to come back.
    Wait,
    /// They are refused, with what was spent and when it comes back.
    Refuse,
}

/// When the provider books a call against a limit, and whether it gives back what was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChargeName {
    /// On arrival; the unused rest is given back.
    Arrival,
    /// On arrival; the unused rest is kept.
    ArrivalKept,
    /// On completion, with the amount used.
    Completion,
    /// As it is produced. What is reserved is held while the call runs, and the amount used is charged when it is done, which is later
    /// than the provider books it, and so against the caller.
    Produced,
}

/// What is reserved for output tokens before they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputRule {
    /// The call's output cap, or the model's maximum where it sets none: what a provider that books `max_tokens` takes.
    Cap,
    /// What earlier calls let expect.
    Expected,
}

impl ChargeName {
    /// When calls are booked against a limit of which nothing is said.
    const fn usual(unit: Unit, failures: bool) -> Self {
        match unit {
            // A request stays one, unless the provider takes it back when it fails.
            Unit::Requests if failures => Self::ArrivalKept,
            Unit::Requests => Self::Arrival,
            _ => Self::Completion,
        }
    }
}

impl OutputRule {
    /// What is reserved for output under a limit of which nothing is said.
    const fn usual(charge: ChargeName) -> Self {
        match charge {
            ChargeName::Completion | ChargeName::Produced => Self::Expected,
            ChargeName::Arrival | ChargeName::ArrivalKept => Self::Cap,
        }
    }
}

impl PolicySpec {
    /// The largest limit: 10^15 units, which is one million dollars for cost.
    pub const MAX_LIMIT: u64 = 1_000_000_000_000_000;
    /// The shortest window.
    pub const MIN_WINDOW: Duration = Duration::from_millis(1);
    /// The longest window.
    pub const MAX_WINDOW: Duration = Duration::from_secs(366 * 86_400);

    /// The same limit under the charge rules of its provider, which fill in what it does not say itself.
    #[must_use]
    pub fn under(mut self, rules: &ChargeRules) -> Self {
        let Written {
            shape,
            charge,
            output,
            cache_reads,
            failures,
        } = self.written;
        let rolls = matches!(self.window, Some(WindowSpec::Span(_)));
        if let Some(ruled) = rules.shape.filter(|_| !shape && rolls) {
            self.shape = ruled;
        }
        if let Some(count) = rules.cache_reads.filter(|_| !cache_reads) {
            self.cache_reads = count;
        }
        self.failures = failures.or(rules.failures).unwrap_or(self.failures);
        self.charge = charge
            .or_else(|| rules.charge(self.unit))
            .unwrap_or_else(|| ChargeName::usual(self.unit, self.failures));
        self.output = output
            .or(rules.output)
            .unwrap_or_else(|| OutputRule::usual(self.charge));
        for label in rules.scope.iter().flatten() {
            if !self.per.contains(label) {
                self.per.push(label.clone());
            }
        }
        self
    }

    /// How it counts what a call takes.
    pub fn counting(&self) -> Counting {
        let counting = Counting::PLAIN
            .cache_reads(self.cache_reads)
            .failures(self.failures)
            .output_cap(self.reserves_cap());
        match self.output_weight {
            Some(weight) => counting.output_weight(weight),
            None => counting.model_weight(),
        }
    }

    /// Whether the output cap is reserved, and not only what is expected.
    #[must_use]
    pub fn reserves_cap(&self) -> bool {
        matches!(self.unit, Unit::OutputTokens | Unit::TotalTokens)
            && (self.output == OutputRule::Cap || self.charge == ChargeName::ArrivalKept)
    }

    /// The most units that it grants at one instant.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.burst.unwrap_or(self.limit)
    }

    /// Whether it applies to calls of a model, as the call writes it.
    #[must_use]
    pub fn concerns(&self, model: Option<&str>) -> bool {
        let named = |model: &str| {
            self.models
                .iter()
                .any(|pattern| patterns_meet(pattern, model))
        };
        self.models.is_empty() || model.is_some_and(named)
    }

    /// Warns of request limits above a token limit over the same calls: a call costs at least one token, so such a limit never
    /// binds, and the published figures are most likely swapped.
    #[must_use]
    pub fn check(specs: &[Self]) -> Vec<Warning> {
        let of = |unit| specs.iter().filter(move |s| s.unit == unit);
        let mut warnings = Vec::new();
        for requests in of(Unit::Requests) {
            for tokens in of(Unit::TotalTokens).chain(of(Unit::InputTokens)) {
                if let (Some(rpm), Some(tpm)) = (requests.per_minute(), tokens.per_minute())
                    && rpm > tpm
                    && requests.shares_calls_with(tokens)
                {
                    warnings.push(Warning::RpmAboveTpm {
                        requests: rpm,
                        tokens: tpm,
                    });
                }
            }
        }
        warnings
    }

    /// Its limit per minute, rounded down, which serves the comparison alone. `None` for slots.
    fn per_minute(&self) -> Option<u64> {
        let window = self.window?.nominal().as_nanos();
        u64::try_from(u128::from(self.limit) * 60_000_000_000 / window).ok()
    }

    /// Whether some model is subject to both.
    fn shares_calls_with(&self, other: &Self) -> bool {
        let all = self.models.is_empty() || other.models.is_empty();
        all || self
            .models
            .iter()
            .any(|a| other.models.iter().any(|b| patterns_meet(a, b)))
    }
}

/// Whether some name matches both patterns.
fn patterns_meet(a: &str, b: &str) -> bool {
    match (a.strip_suffix('*'), b.strip_suffix('*')) {
        (None, None) => a == b,
        (Some(a), None) => b.starts_with(a),
        (None, Some(b)) => a.starts_with(b),
        (Some(a), Some(b)) => a.starts_with(b) || b.starts_with(a),
    }
}
