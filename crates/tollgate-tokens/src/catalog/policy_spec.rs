//! `PolicySpec`: one limit, as the catalog and a user's configuration file write it.

mod raw;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_limits::Unit;

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
    /// When the provider books a call. Default: `arrival-kept` for requests (`arrival` where failures do not count), otherwise
    /// `completion`.
    pub charge: ChargeName,
    /// What is reserved for output tokens before they are known. Default: the cap where the provider books on arrival, otherwise
    /// the learned expectation.
    pub output: OutputRule,
    /// Whether tokens read from the provider's prompt cache count. Default: true.
    pub cache_reads: bool,
    /// Whether a call that the provider answered with an error counts. Default: true.
    pub failures: bool,
    /// Models it applies to; a trailing `*` matches by prefix. Empty: all.
    pub models: Vec<String>,
    /// Labels that split the quota into shares of their own, with the whole limit each: `model`, `tenant`, `key`. Empty: one share.
    pub per: Vec<String>,
    /// Where the figure comes from.
    pub source: Option<String>,
    /// When the source was read or published: `YYYY-MM-DD` or `YYYY-MM`.
    pub date: Option<String>,
}

/// The time over which a limit is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowSpec {
    /// A span of time, from 1 ms to 366 days. TOML: `"60s"`, `"1m"`, `"1h30m"`, `"1d"`.
    Span(Duration),
    /// A calendar day in the limit's time zone. TOML: `"day"`.
    Day,
}

impl WindowSpec {
    /// Its length; 24 hours for a calendar day, although two days a year differ where clocks change.
    #[must_use]
    pub const fn nominal(self) -> Duration {
        match self {
            Self::Span(span) => span,
            Self::Day => DAY,
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

const DAY: Duration = Duration::from_secs(86_400);

impl PolicySpec {
    /// The largest limit: 10^15 units, which is one million dollars for cost.
    pub const MAX_LIMIT: u64 = 1_000_000_000_000_000;
    /// The shortest window.
    pub const MIN_WINDOW: Duration = Duration::from_millis(1);
    /// The longest window.
    pub const MAX_WINDOW: Duration = Duration::from_secs(366 * 86_400);

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
