//! `RawSpec`: a limit as TOML has it, and the checks that make it a `PolicySpec`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use tollgate_limits::Unit;

use super::{
    AnchorName, Bounds, ChargeName, OutputRule, PolicySpec, ShapeName, SpentRule, WindowSpec,
    Written,
};
use crate::catalog::charges::weight;
use crate::price::parse_dollars;
use crate::retry_after::span::parse_span;

/// The same as TOML has it, before the checks across fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSpec {
    name: String,
    #[serde(deserialize_with = "unit")]
    unit: Unit,
    limit: Amount,
    window: Option<RawWindow>,
    shape: Option<ShapeName>,
    burst: Option<Amount>,
    anchor: Option<AnchorName>,
    time_zone: Option<String>,
    margin: Option<TimeSpan>,
    charge: Option<ChargeName>,
    output: Option<OutputRule>,
    cache_reads: Option<bool>,
    failures: Option<bool>,
    #[serde(default, deserialize_with = "weight")]
    output_weight: Option<u32>,
    spent: Option<SpentRule>,
    pace: Option<Amount>,
    adaptive: Option<RawBounds>,
    #[serde(default)]
    trusting: bool,
    #[serde(default)]
    alone: bool,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    per: Vec<String>,
    source: Option<String>,
    date: Option<Date>,
}

impl TryFrom<RawSpec> for PolicySpec {
    type Error = String;

    fn try_from(raw: RawSpec) -> Result<Self, String> {
        let RawSpec {
            name,
            unit,
            time_zone,
            ..
        } = raw;
        if name.trim().is_empty() {
            return Err("a limit needs a name".into());
        }
        let fail = |what: &str| Err(format!("limit `{name}`: {what}"));
        let limit = match raw.limit.of(unit) {
            Ok(limit) => limit,
            Err(what) => return fail(&what),
        };
        let burst = match raw.burst.map(|burst| burst.of(unit)).transpose() {
            Ok(burst) => burst,
            Err(what) => return fail(&format!("burst: {what}")),
        };
        let named = raw
            .window
            .as_ref()
            .is_some_and(|RawWindow(window)| window.is_named());
        let shape = raw.shape.unwrap_or(match unit {
            Unit::Concurrency => ShapeName::Slots,
            _ if named || raw.anchor.is_some() => ShapeName::Window,
            _ if burst.is_some() => ShapeName::Bucket,
            _ => ShapeName::Sliding,
        });
        if (shape == ShapeName::Slots) != (unit == Unit::Concurrency) {
            return fail("the unit `concurrency` and the shape `slots` go together");
        }
        let window = match (shape, raw.window) {
            (ShapeName::Slots, Some(_)) => return fail("slots have no window"),
            (ShapeName::Slots, None) => None,
            (_, Some(RawWindow(window))) => Some(window),
            (_, None) => match raw.anchor {
                Some(AnchorName::Day) => Some(WindowSpec::Day),
                Some(AnchorName::Month) => Some(WindowSpec::Month),
                Some(AnchorName::Never) => Some(WindowSpec::Total),
                _ => return fail("a window is missing, such as \"1m\" or \"day\""),
            },
        };
        if burst.is_some() && shape != ShapeName::Bucket {
            return fail("only the shape `bucket` has a burst");
        }
        if raw.anchor.is_some() && shape != ShapeName::Window {
            return fail("only the shape `window` has an anchor");
        }
        if named && shape != ShapeName::Window {
            return fail(
                "a window of \"day\", \"month\", \"session\" or \"total\" needs the shape `window`; write \"1d\" for any 24 hours",
            );
        }
        let usual = window.map_or(AnchorName::Aligned, WindowSpec::anchor);
        let anchor = raw.anchor.unwrap_or(usual);
        let spans = matches!(anchor, AnchorName::Aligned | AnchorName::FirstCall) && !named;
        if anchor != usual && !spans {
            return fail("the anchors `day`, `month` and `never` go together with those windows");
        }
        if let Some(zone) = &time_zone {
            if !matches!(window, Some(WindowSpec::Day | WindowSpec::Month)) {
                return fail("a time zone needs a window of \"day\" or \"month\"");
            }
            // The database of the machine that enforces the limit decides what exists there; here only the form is checked.
            if zone.is_empty() || zone.chars().any(char::is_whitespace) {
                return fail("a time zone is an IANA name such as \"America/Los_Angeles\"");
            }
        }
        let margin = raw.margin.map(|TimeSpan(span)| span);
        if let (Some(margin), Some(window)) = (margin, window)
            && margin >= window.nominal() / 2
        {
            return fail("the margin must be shorter than half the window");
        }
        let failures = raw.failures.unwrap_or(true);
        let charge = raw
            .charge
            .unwrap_or_else(|| ChargeName::usual(unit, failures));
        let output = raw.output.unwrap_or_else(|| OutputRule::usual(charge));
        let for_good = matches!(window, Some(WindowSpec::Session | WindowSpec::Total));
        let spent = raw.spent.unwrap_or(if for_good || unit == Unit::Cost {
            SpentRule::Refuse
        } else {
            SpentRule::Wait
        });
        if for_good && spent == SpentRule::Wait {
            return fail(
                "a window of \"session\" or \"total\" never comes back: calls cannot wait for it",
            );
        }
        if unit == Unit::Concurrency && spent == SpentRule::Refuse {
            return fail("slots come back with each answer: calls wait for them");
        }
        let pace = match raw.pace.map(|pace| pace.of(unit)).transpose() {
            Ok(pace) => pace,
            Err(what) => return fail(&format!("pace: {what}")),
        };
        if pace.is_some() && shape == ShapeName::Slots {
            return fail("slots have no pace: they come back with each answer");
        }
        if pace.is_some_and(|pace| pace > limit) {
            return fail("a pace is at most the limit, as it says how slowly that may be used");
        }
        let adaptive = match raw.adaptive.map(|bounds| bounds.of(unit)).transpose() {
            Ok(adaptive) => adaptive,
            Err(what) => return fail(&format!("adaptive: {what}")),
        };
        if adaptive.is_some_and(|within| limit < within.floor || limit > within.ceiling) {
            return fail("an adaptive limit begins at `limit`, between its floor and its ceiling");
        }
        if adaptive.is_some() && pace.is_some() {
            return fail("an adaptive limit finds its pace itself: leave `pace` out");
        }
        if adaptive.is_some() && spent == SpentRule::Refuse {
            return fail("a budget is known and not searched for: leave `adaptive` out");
        }
        if raw.models.iter().chain(&raw.per).any(String::is_empty) {
            return fail("an empty name in `models` or `per`");
        }
        Ok(Self {
            name,
            unit,
            limit,
            window,
            shape,
            burst,
            anchor,
            time_zone,
            margin,
            charge,
            output,
            cache_reads: raw.cache_reads.unwrap_or(true),
            failures,
            output_weight: raw.output_weight,
            spent,
            pace,
            adaptive,
            trusting: raw.trusting,
            alone: raw.alone,
            written: Written {
                shape: raw.shape.is_some() || burst.is_some() || raw.anchor.is_some(),
                charge: raw.charge,
                output: raw.output,
                cache_reads: raw.cache_reads.is_some(),
                failures: raw.failures,
            },
            models: raw.models,
            per: raw.per,
            source: raw.source,
            date: raw.date.map(|Date(date)| date),
        })
    }
}

/// The words for units, with the one difference from [`Unit::as_str`] that money names its currency.
const UNITS: [(&str, Unit); 6] = [
    ("requests", Unit::Requests),
    ("input_tokens", Unit::InputTokens),
    ("output_tokens", Unit::OutputTokens),
    ("tokens", Unit::TotalTokens),
    ("cost_usd", Unit::Cost),
    ("concurrency", Unit::Concurrency),
];

fn unit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Unit, D::Error> {
    let word = String::deserialize(deserializer)?;
    UNITS.iter().find(|(name, _)| *name == word).map(|(_, unit)| *unit).ok_or_else(|| {
        D::Error::custom(format!(
            "unknown unit `{word}`, expected one of `requests`, `input_tokens`, `output_tokens`, `tokens`, `cost_usd`, `concurrency`"
        ))
    })
}

/// A limit or burst: a whole number, or dollars as a decimal string.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a whole number, or dollars as a string such as \"25.50\""
)]
enum Amount {
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBounds {
    floor: Amount,
    ceiling: Amount,
}

impl RawBounds {
    fn of(&self, unit: Unit) -> Result<Bounds, String> {
        Ok(Bounds {
            floor: self.floor.of(unit)?,
            ceiling: self.ceiling.of(unit)?,
        })
    }
}

impl Amount {
    fn of(&self, unit: Unit) -> Result<u64, String> {
        const NANO: u64 = 1_000_000_000;
        let amount = match (self, unit) {
            (Self::Number(n), Unit::Cost) => {
                u64::try_from(*n).ok().and_then(|n| n.checked_mul(NANO))
            }
            (Self::Number(n), _) => u64::try_from(*n).ok(),
            (Self::Text(text), Unit::Cost) => parse_dollars(text, 9),
            (Self::Text(_), _) => {
                return Err("write it as a number; only `cost_usd` is written as a string".into());
            }
        };
        match amount {
            Some(0) => Err("0 admits nothing; give at least 1, or leave the limit out".into()),
            Some(amount) if amount <= PolicySpec::MAX_LIMIT => Ok(amount),
            _ if unit == Unit::Cost => {
                Err("dollars must be from 0.000000001 to 1000000, with at most 9 decimals".into())
            }
            _ => Err(format!("must be from 1 to {}", PolicySpec::MAX_LIMIT)),
        }
    }
}

/// A span of time as configuration files write it: `"100ms"`, `"60s"`, `"1h30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan(pub Duration);

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not a span of time, write one such as \"100ms\", \"60s\" or \"1h\""
            ))
        })
    }
}

struct RawWindow(WindowSpec);

impl<'de> Deserialize<'de> for RawWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let named = match &*text {
            "day" => Some(WindowSpec::Day),
            "month" => Some(WindowSpec::Month),
            "session" => Some(WindowSpec::Session),
            "total" => Some(WindowSpec::Total),
            _ => None,
        };
        if let Some(named) = named {
            return Ok(Self(named));
        }
        match parse_span(&text) {
            Some(span) if (PolicySpec::MIN_WINDOW..=PolicySpec::MAX_WINDOW).contains(&span) => {
                Ok(Self(WindowSpec::Span(span)))
            }
            _ => Err(D::Error::custom(format!(
                "`{text}` is not a window, expected a span from \"1ms\" to \"366d\" such as \"60s\", \"1m\", \"1h\", \"1d\", or one of \"day\", \"month\", \"session\", \"total\""
            ))),
        }
    }
}

/// `YYYY-MM-DD` or `YYYY-MM`.
#[derive(Clone)]
pub(in crate::catalog) struct Date(pub(in crate::catalog) String);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let day = if text.len() == 7 {
            format!("{text}-01")
        } else {
            text.clone()
        };
        match day.parse::<jiff::civil::Date>() {
            Ok(_) if day.len() == 10 => Ok(Self(text)),
            _ => Err(D::Error::custom(format!(
                "`{text}` is not a date, write \"2026-08-21\" or \"2026-08\""
            ))),
        }
    }
}
