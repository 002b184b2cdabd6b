//! Anthropic's headers.

use tollgate_limits::Unit;
use tollgate_tokens::{Dialect, service_limits};

use super::{MINUTE, check, headers};

const ANTHROPIC: &str = "anthropic-ratelimit-requests-limit: 1000
    anthropic-ratelimit-requests-remaining: 999
    anthropic-ratelimit-requests-reset: 2025-08-21T12:40:59Z
    anthropic-ratelimit-input-tokens-limit: 80000
    anthropic-ratelimit-input-tokens-remaining: 78000
    anthropic-ratelimit-input-tokens-reset: 2025-08-21T12:41:00Z
    anthropic-ratelimit-output-tokens-limit: 16000
    anthropic-ratelimit-output-tokens-remaining: 12000
    anthropic-ratelimit-output-tokens-reset: 2025-08-21T12:41:15Z
    anthropic-ratelimit-tokens-limit: 96000
    anthropic-ratelimit-tokens-remaining: 90000
    anthropic-ratelimit-tokens-reset: 2025-08-21T12:41:00Z";

#[test]
fn anthropic_resets_are_read_against_the_response_s_own_date() {
    let dated = format!("date: Thu, 21 Aug 2025 12:41:00 GMT\n{ANTHROPIC}");
    check(
        Some(Dialect::Anthropic),
        None,
        &dated,
        &[
            // The reset lies before the date, as a real recording had it: that is now.
            (
                "requests",
                Unit::Requests,
                Some(MINUTE),
                Some(1_000),
                Some(999),
                Some(0),
                true,
            ),
            (
                "tokens",
                Unit::TotalTokens,
                Some(MINUTE),
                Some(96_000),
                Some(90_000),
                Some(0),
                true,
            ),
            (
                "input-tokens",
                Unit::InputTokens,
                Some(MINUTE),
                Some(80_000),
                Some(78_000),
                Some(0),
                true,
            ),
            (
                "output-tokens",
                Unit::OutputTokens,
                Some(MINUTE),
                Some(16_000),
                Some(12_000),
                Some(15_000),
                true,
            ),
        ],
    );
    let (limits, warnings) = service_limits(Some(Dialect::Anthropic), None, &headers(ANTHROPIC));
    assert!(
        limits
            .iter()
            .all(|limit| limit.reset.is_none() && limit.remaining.is_some())
    );
    assert_eq!(warnings, []);
}

#[test]
fn anthropic_rounds_tokens_but_not_requests() {
    let (limits, _) = service_limits(Some(Dialect::Anthropic), None, &headers(ANTHROPIC));
    let rounded: Vec<_> = limits.iter().map(|limit| limit.rounded_to).collect();
    assert_eq!(rounded, [1, 1_000, 1_000, 1_000]);
}

#[test]
fn the_names_of_one_dialect_are_not_read_in_another() {
    let (limits, _) = service_limits(Some(Dialect::OpenAiChat), None, &headers(ANTHROPIC));
    assert_eq!(limits, []);
    let openai = headers("x-ratelimit-remaining-tokens: 1");
    let (limits, _) = service_limits(Some(Dialect::Anthropic), None, &openai);
    assert_eq!(limits, []);
}
