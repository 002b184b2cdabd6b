//! The `x-ratelimit-*` headers of OpenAI and of the many that took over its names, or nearly so.

use std::time::Duration;

use jiff::Timestamp;
use tollgate_limits::Unit;

use super::{DAY, MINUTE, Reader, ServiceLimit, whole};
use crate::Warning;
use crate::retry_after::span::{self, decimal, parse_span};

/// One limit's three headers. An empty name: no such header.
struct Headers {
    name: &'static str,
    unit: Unit,
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

/// OpenAI, Azure, Groq, Meta (no reset), xAI (not documented, but expected by its clients). The window is not in the name.
const PLAIN: [Headers; 3] = [
    Headers {
        name: "requests",
        unit: Unit::Requests,
        limit: "x-ratelimit-limit-requests",
        remaining: "x-ratelimit-remaining-requests",
        reset: "x-ratelimit-reset-requests",
    },
    Headers {
        name: "tokens",
        unit: Unit::TotalTokens,
        limit: "x-ratelimit-limit-tokens",
        remaining: "x-ratelimit-remaining-tokens",
        reset: "x-ratelimit-reset-tokens",
    },
    Headers {
        name: "project-tokens",
        unit: Unit::TotalTokens,
        limit: "x-ratelimit-limit-project-tokens",
        remaining: "x-ratelimit-remaining-project-tokens",
        reset: "x-ratelimit-reset-project-tokens",
    },
];

/// Azure's spelling of 2023.
const AZURE_OLD_RESET: &str = "x-rate-limit-reset-tokens";

const HOUR: Duration = Duration::from_secs(3_600);

/// Mistral and Cerebras have the window in the name. A calendar month has no fixed length, so it gets none.
const NAMED: [(Option<Duration>, Headers); 9] = [
    (
        Some(MINUTE),
        named(
            "req-minute",
            Unit::Requests,
            "x-ratelimit-limit-req-minute",
            "x-ratelimit-remaining-req-minute",
            "",
        ),
    ),
    (
        Some(MINUTE),
        named(
            "tokens-minute",
            Unit::TotalTokens,
            "x-ratelimit-limit-tokens-minute",
            "x-ratelimit-remaining-tokens-minute",
            "x-ratelimit-reset-tokens-minute",
        ),
    ),
    (
        Some(Duration::from_secs(300)),
        named(
            "tokens-5-minute",
            Unit::TotalTokens,
            "x-ratelimit-limit-tokens-5-minute",
            "x-ratelimit-remaining-tokens-5-minute",
            "",
        ),
    ),
    (
        None,
        named(
            "tokens-month",
            Unit::TotalTokens,
            "x-ratelimit-limit-tokens-month",
            "x-ratelimit-remaining-tokens-month",
            "",
        ),
    ),
    (
        Some(MINUTE),
        named(
            "requests-minute",
            Unit::Requests,
            "x-ratelimit-limit-requests-minute",
            "x-ratelimit-remaining-requests-minute",
            "x-ratelimit-reset-requests-minute",
        ),
    ),
    (
        Some(HOUR),
        named(
            "requests-hour",
            Unit::Requests,
            "x-ratelimit-limit-requests-hour",
            "x-ratelimit-remaining-requests-hour",
            "x-ratelimit-reset-requests-hour",
        ),
    ),
    (
        Some(DAY),
        named(
            "requests-day",
            Unit::Requests,
            "x-ratelimit-limit-requests-day",
            "x-ratelimit-remaining-requests-day",
            "x-ratelimit-reset-requests-day",
        ),
    ),
    (
        Some(HOUR),
        named(
            "tokens-hour",
            Unit::TotalTokens,
            "x-ratelimit-limit-tokens-hour",
            "x-ratelimit-remaining-tokens-hour",
            "x-ratelimit-reset-tokens-hour",
        ),
    ),
    (
        Some(DAY),
        named(
            "tokens-day",
            Unit::TotalTokens,
            "x-ratelimit-limit-tokens-day",
            "x-ratelimit-remaining-tokens-day",
            "x-ratelimit-reset-tokens-day",
        ),
    ),
];

/// Together: requests and tokens per second. OpenRouter has the first three with an absolute reset and no window.
const BARE: [Headers; 2] = [
    named(
        "requests",
        Unit::Requests,
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ),
    named(
        "tokens",
        Unit::TotalTokens,
        "x-tokenlimit-limit",
        "x-tokenlimit-remaining",
        "",
    ),
];

const fn named(
    name: &'static str,
    unit: Unit,
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
) -> Headers {
    Headers {
        name,
        unit,
        limit,
        remaining,
        reset,
    }
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    provider: Option<&str>,
    limits: &mut Vec<ServiceLimit>,
) {
    let is = |name: &str| provider.is_some_and(|provider| provider.eq_ignore_ascii_case(name));
    for headers in &PLAIN {
        let mut found = of(reader, headers);
        if headers.unit == Unit::TotalTokens && headers.name == "tokens" && found.reset.is_none() {
            (found.reset, found.reset_is_full) = reset(reader, AZURE_OLD_RESET);
        }
        let usual = if headers.unit == Unit::Requests && is("groq") {
            DAY
        } else {
            MINUTE
        };
        found.window = Some(window_from_figures(&found).unwrap_or(usual));
        keep(found, limits);
    }
    if reader.text("x-ratelimit-over-limit") == Some("yes") {
        reader.warnings.push(Warning::OverLimit);
    }
    let named_window = |name: &str| {
        ["-minute", "-hour", "-day", "-month"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    if reader
        .headers
        .keys()
        .any(|name| named_window(name.as_str()))
    {
        for (window, headers) in &NAMED {
            keep(
                ServiceLimit {
                    window: *window,
                    ..of(reader, headers)
                },
                limits,
            );
        }
    }
    let per_second = is("together") || reader.headers.contains_key(BARE[1].limit);
    for headers in &BARE {
        let window = per_second.then_some(Duration::from_secs(1));
        keep(
            ServiceLimit {
                window,
                ..of(reader, headers)
            },
            limits,
        );
    }
}

fn of(reader: &mut Reader<'_>, headers: &Headers) -> ServiceLimit {
    let (limit, remaining) = (reader.count(headers.limit), reader.count(headers.remaining));
    let (reset, reset_is_full) = if headers.reset.is_empty() {
        (None, false)
    } else {
        reset(reader, headers.reset)
    };
    ServiceLimit {
        name: headers.name.into(),
        unit: headers.unit,
        window: None,
        limit,
        remaining,
        rounded_to: 1,
        reset,
        reset_is_full,
    }
}

fn keep(found: ServiceLimit, limits: &mut Vec<ServiceLimit>) {
    if found.limit.is_some() || found.remaining.is_some() || found.reset.is_some() {
        limits.push(found);
    }
}

/// The forms in use tell themselves apart: a Go duration (OpenAI, Groq: time to full), seconds (Azure, Together, Cerebras), the Unix
/// epoch in seconds or milliseconds (OpenRouter), whose values no wait in seconds comes near.
fn reset(reader: &mut Reader<'_>, name: &'static str) -> (Option<Duration>, bool) {
    const EPOCH_SECONDS: u64 = 1_000_000_000;
    const EPOCH_MILLISECONDS: u64 = 1_000_000_000_000;
    let Some(text) = reader.text(name) else {
        return (None, false);
    };
    if text == "-1" {
        return (None, false);
    }
    if let Some(span) = parse_span(text) {
        return (Some(span), true);
    }
    let epoch = match whole(text) {
        Some(n @ EPOCH_MILLISECONDS..) => i64::try_from(n)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        Some(n @ EPOCH_SECONDS..) => i64::try_from(n)
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok()),
        _ => {
            return (
                decimal(text, span::SECOND).or_else(|| reader.malformed(name)),
                false,
            );
        }
    };
    let wait = match epoch {
        Some(then) => reader.until(then),
        None => reader.malformed(name),
    };
    (wait, false)
}

/// A full bucket of `limit` units refills `used` of them in `used / limit` of its window, so a time to full tells the window: OpenAI's
/// request headers describe a minute or a day, whichever is nearer its end. `None` if nothing was used, or if the figures fit no
/// usual window within a fifth (both come rounded, and not from one instant).
fn window_from_figures(found: &ServiceLimit) -> Option<Duration> {
    let (limit, remaining, reset) = (found.limit?, found.remaining?, found.reset?);
    let used = limit
        .checked_sub(remaining)
        .filter(|&used| used > 0 && found.reset_is_full)?;
    let window = reset.as_nanos() * u128::from(limit) / u128::from(used);
    [MINUTE, HOUR, DAY].into_iter().find(|usual| {
        let usual = usual.as_nanos();
        (usual * 4 / 5..=usual * 6 / 5).contains(&window)
    })
}
