//! `ServiceLimit`: what a response's headers say about one of the provider's limits.

mod ietf;
mod x_ratelimit;

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use tollgate_limits::Unit;

use crate::retry_after::{date, span_until};
use crate::{Dialect, Warning};

/// One limit of the provider, as the headers of one response tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLimit {
    /// Which of the provider's limits it is, in the provider's words: `requests`, `project-tokens`, `input-tokens`, or the name of an
    /// IETF quota policy.
    pub name: Cow<'static, str>,
    /// What it counts.
    pub unit: Unit,
    /// The time over which it is allocated, where that is known from the header's name, the provider, or the figures themselves.
    pub window: Option<Duration>,
    /// Units per window. Zero means no allocation at Mistral, and is not documented elsewhere.
    pub limit: Option<u64>,
    /// Units left. Zero: nothing more fits now.
    pub remaining: Option<u64>,
    /// `remaining` is rounded to the nearest multiple of this; 1 where it is exact.
    pub rounded_to: u64,
    /// The time until more units are there; until all are there if `reset_is_full`. Never negative: a time already past is zero.
    pub reset: Option<Duration>,
    /// `reset` is the time until the quota is full again, as a bucket that refills continuously has it (recordings of OpenAI, Groq and
    /// Anthropic agree). Then the wait for `need` units is `(need - remaining) * window / limit`, and waiting for `reset` would waste up
    /// to a whole window.
    pub reset_is_full: bool,
}

/// The limits that a response's headers tell, and warnings about headers that made no sense and were ignored.
///
/// The same header name means different things at different providers. `dialect` rules out the names of others; `provider` (a name
/// of the catalog, such as `groq`) settles what the dialect leaves open: Groq's request headers are per day where OpenAI's are per minute.
/// Without it the window of a limit is worked out from limit, remaining and reset where these allow, and is otherwise a minute.
///
/// Absolute times are read against the response's own `Date`; without one they are left out. Any response may be asked, success or not.
#[must_use]
pub fn service_limits(
    dialect: Option<Dialect>,
    provider: Option<&str>,
    headers: &HeaderMap,
) -> (Vec<ServiceLimit>, Vec<Warning>) {
    let mut reader = Reader {
        headers,
        warnings: Vec::new(),
    };
    let mut limits = Vec::new();
    let any = |prefix: &str| headers.keys().any(|name| name.as_str().starts_with(prefix));
    if matches!(dialect, Some(Dialect::Anthropic) | None) && any("anthropic-ratelimit-") {
        anthropic(&mut reader, &mut limits);
    }
    if dialect != Some(Dialect::Anthropic) && (any("x-rate") || any("x-tokenlimit-")) {
        x_ratelimit::read(&mut reader, provider, &mut limits);
    }
    if any("ratelimit") {
        ietf::read(&mut reader, &mut limits);
    }
    (limits, reader.warnings)
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads headers and notes those that make no sense.
struct Reader<'a> {
    headers: &'a HeaderMap,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    /// The header's text. One that is not text is noted.
    fn text(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.headers.get(name)?;
        match value.to_str() {
            Ok(text) => Some(text.trim()),
            Err(_) => self.malformed(name),
        }
    }

    /// The header as a count. `-1` is Azure's word for unknown, and means absent.
    fn count(&mut self, name: &'static str) -> Option<u64> {
        match self.text(name)? {
            "-1" => None,
            text => whole(text).or_else(|| self.malformed(name)),
        }
    }

    fn malformed<T>(&mut self, name: &'static str) -> Option<T> {
        self.warnings
            .push(Warning::MalformedHeader { name: name.into() });
        None
    }

    /// The time from the response's own date until `then`, or zero.
    fn until(&self, then: Timestamp) -> Option<Duration> {
        Some(span_until(then, date(self.headers)?))
    }
}

/// A whole number without sign, as `u64::from_str` would take it but for a leading `+`.
fn whole(text: &str) -> Option<u64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Anthropic's headers: continuous refill over a minute, reset as RFC 3339 in whole seconds, tokens left rounded to the nearest
/// thousand. `tokens` is the most restrictive token limit in force, so it never stands for input tokens alone.
fn anthropic(reader: &mut Reader<'_>, limits: &mut Vec<ServiceLimit>) {
    const KINDS: [(&str, Unit, u64, [&str; 3]); 4] = [
        (
            "requests",
            Unit::Requests,
            1,
            [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
        ),
        (
            "tokens",
            Unit::TotalTokens,
            1_000,
            [
                "anthropic-ratelimit-tokens-limit",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ],
        ),
        (
            "input-tokens",
            Unit::InputTokens,
            1_000,
            [
                "anthropic-ratelimit-input-tokens-limit",
                "anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset",
            ],
        ),
        (
            "output-tokens",
            Unit::OutputTokens,
            1_000,
            [
                "anthropic-ratelimit-output-tokens-limit",
                "anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset",
            ],
        ),
    ];
    for (name, unit, rounded_to, [limit_header, remaining_header, reset_header]) in KINDS {
        let (limit, remaining) = (reader.count(limit_header), reader.count(remaining_header));
        let reset = reader
            .text(reset_header)
            .and_then(|text| match text.parse::<Timestamp>() {
                Ok(then) => reader.until(then),
                Err(_) => reader.malformed(reset_header),
            });
        if limit.is_some() || remaining.is_some() || reset.is_some() {
            let window = Some(MINUTE);
            limits.push(ServiceLimit {
                name: name.into(),
                unit,
                window,
                limit,
                remaining,
                rounded_to,
                reset,
                reset_is_full: true,
            });
        }
    }
}
