//! Rate-limit headers: each dialect's names and forms, in the seconds of the client.

use std::time::Duration;

use jiff::Timestamp;

use super::Dialect;
use crate::builder::Setup;
use crate::clock::Clock;
use crate::provider::{Shape, Standing, Unit};
use crate::reply::hash;

type Headers = Vec<(&'static str, String)>;

impl Dialect {
    /// Who served whom: ids of the request and of the account, which a client must not spread.
    pub(crate) fn identity(self, setup: &Setup, team: &str, number: u64) -> Headers {
        let request = format!("req_{number:08x}");
        match self {
            Self::OpenAi if setup.preset.xai => vec![("x-request-id", request)],
            Self::OpenAi => vec![
                ("x-request-id", request),
                ("openai-organization", organization(team)),
                ("openai-version", "2020-10-01".to_owned()),
            ],
            Self::Anthropic => vec![
                ("request-id", request),
                ("anthropic-organization-id", account_id(team)),
            ],
            Self::MetaLlama | Self::Generic => Vec::new(),
        }
    }

    /// What is left of the quotas. `standings` were taken at `now`.
    pub(crate) fn limits(
        self,
        setup: &Setup,
        clock: &Clock,
        now: u64,
        standings: &[Standing],
    ) -> Headers {
        match self {
            Self::OpenAi => openai(standings, clock, !setup.preset.xai),
            // Meta's page names no reset headers.
            Self::MetaLlama => openai(standings, clock, false),
            Self::Anthropic => anthropic(standings, clock, now),
            Self::Generic => Vec::new(),
        }
    }

    /// When to come back after a 429. Meta and xAI do not say.
    pub(crate) fn retry_after(self, setup: &Setup, wait: Duration) -> Headers {
        // Whole units, rounded up: who waits that long has waited enough.
        let seconds = wait.as_nanos().div_ceil(1_000_000_000).to_string();
        match self {
            Self::OpenAi if setup.preset.xai => Vec::new(),
            Self::OpenAi => {
                let millis = wait.as_nanos().div_ceil(1_000_000).to_string();
                vec![("retry-after", seconds), ("retry-after-ms", millis)]
            }
            Self::Anthropic | Self::Generic => vec![("retry-after", seconds)],
            Self::MetaLlama => Vec::new(),
        }
    }
}

/// The id of a team's organization, in the form of OpenAI's.
pub(super) fn organization(team: &str) -> String {
    format!("org-{team}")
}

/// The id of a team's account, in the form of a UUID.
pub(super) fn account_id(team: &str) -> String {
    format!(
        "00000000-0000-4000-8000-{:012x}",
        hash(0, team.as_bytes()) & 0xffff_ffff_ffff
    )
}

/// A duration as Go prints it, which is how OpenAI writes resets: `6m0s`, `59.6s`, `120ms`, `0s`. Rounded up to
/// milliseconds: against the caller.
pub(super) fn go_duration(duration: Duration) -> String {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (hours, minutes, seconds) = (
        millis / 3_600_000,
        millis / 60_000 % 60,
        millis / 1_000 % 60,
    );
    let fraction = format!(".{:03}", millis % 1_000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

fn find(standings: &[Standing], unit: Unit) -> Option<&Standing> {
    standings.iter().find(|standing| {
        standing.quota.unit() == unit && standing.quota.shape() != Shape::Concurrency
    })
}

fn openai(standings: &[Standing], clock: &Clock, resets: bool) -> Headers {
    let mut headers = Vec::new();
    let mut add = |standing: Option<&Standing>, limit, remaining, reset| {
        if let Some(standing) = standing {
            headers.push((limit, standing.quota.limit().to_string()));
            headers.push((remaining, standing.remaining.to_string()));
            if resets {
                headers.push((reset, go_duration(clock.real(standing.reset_ns))));
            }
        }
    };
    let tokens = [Unit::Total, Unit::Input, Unit::Output]
        .into_iter()
        .find_map(|unit| find(standings, unit));
    add(
        find(standings, Unit::Requests),
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    );
    add(
        tokens,
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    );
    headers
}

fn anthropic(standings: &[Standing], clock: &Clock, now: u64) -> Headers {
    let mut headers = Vec::new();
    let mut add = |numbers: Option<(u64, u64, u64)>, limit, remaining, reset| {
        if let Some((most, left, reset_ns)) = numbers {
            headers.push((limit, most.to_string()));
            headers.push((remaining, left.to_string()));
            headers.push((reset, rfc3339(clock.wall(now.saturating_add(reset_ns)))));
        }
    };
    // Token numbers are rounded to the nearest thousand, as Anthropic's page says: they can overstate what is left.
    let coarse = |left: u64| left.saturating_add(500) / 1_000 * 1_000;
    let numbers = |standing: &Standing| {
        (
            standing.quota.limit(),
            standing.remaining,
            standing.reset_ns,
        )
    };
    let tokens = |standing: &Standing| {
        (
            standing.quota.limit(),
            coarse(standing.remaining),
            standing.reset_ns,
        )
    };
    let (input, output) = (find(standings, Unit::Input), find(standings, Unit::Output));
    // The most restrictive token limit in force: here the sum of both sides, unless a total is limited.
    let both = input.zip(output).map(|(input, output)| {
        let limit = input.quota.limit() + output.quota.limit();
        (
            limit,
            coarse(input.remaining + output.remaining),
            input.reset_ns.max(output.reset_ns),
        )
    });
    add(
        find(standings, Unit::Requests).map(numbers),
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    );
    add(
        input.map(tokens),
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    );
    add(
        output.map(tokens),
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    );
    add(
        find(standings, Unit::Total).map(tokens).or(both),
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    );
    headers
}

/// An instant since the Unix epoch, in whole seconds, rounded up.
fn rfc3339(since_epoch: Duration) -> String {
    let seconds = i64::try_from(since_epoch.as_nanos().div_ceil(1_000_000_000)).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        let check =
            |nanos, expected| assert_eq!(go_duration(Duration::from_nanos(nanos)), expected);
        check(0, "0s");
        check(1, "1ms");
        check(120_000_000, "120ms");
        check(1_000_000_000, "1s");
        check(59_600_000_000, "59.6s");
        check(360_000_000_000, "6m0s");
        check(179_560_000_000, "2m59.56s");
        check(3_600_000_000_000, "1h0m0s");
    }

    #[test]
    fn instants_are_written_in_whole_seconds() {
        assert_eq!(
            rfc3339(Duration::from_secs(1_755_780_074)),
            "2025-08-21T12:41:14Z"
        );
        assert_eq!(
            rfc3339(Duration::from_millis(1_755_780_073_001)),
            "2025-08-21T12:41:14Z"
        );
    }
}
