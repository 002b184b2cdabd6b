//! OpenAI's header names, and what others made of them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_limits::Unit;
use tollgate_tokens::{Dialect, Warning, service_limits};

use super::{DAY, MINUTE, check, headers};

#[test]
fn openai_resets_are_go_durations_until_full() {
    check(
        Some(Dialect::OpenAiChat),
        None,
        "x-ratelimit-limit-requests: 500
         x-ratelimit-limit-tokens: 30000
         x-ratelimit-remaining-requests: 499
         x-ratelimit-remaining-tokens: 29460
         x-ratelimit-reset-requests: 120ms
         x-ratelimit-reset-tokens: 1.08s
         x-ratelimit-limit-project-tokens: 20000
         x-ratelimit-remaining-project-tokens: 19000
         x-ratelimit-reset-project-tokens: 3s",
        &[
            (
                "requests",
                Unit::Requests,
                Some(MINUTE),
                Some(500),
                Some(499),
                Some(120),
                true,
            ),
            (
                "tokens",
                Unit::TotalTokens,
                Some(MINUTE),
                Some(30_000),
                Some(29_460),
                Some(1_080),
                true,
            ),
            (
                "project-tokens",
                Unit::TotalTokens,
                Some(MINUTE),
                Some(20_000),
                Some(19_000),
                Some(3_000),
                true,
            ),
        ],
    );
}

#[test]
fn openai_s_daily_request_limit_shows_in_its_figures() {
    check(
        Some(Dialect::OpenAiChat),
        None,
        "x-ratelimit-limit-requests: 200
         x-ratelimit-remaining-requests: 199
         x-ratelimit-reset-requests: 7m12s",
        &[(
            "requests",
            Unit::Requests,
            Some(DAY),
            Some(200),
            Some(199),
            Some(432_000),
            true,
        )],
    );
}

#[test]
fn figures_that_fit_no_window_mean_a_minute() {
    // The example of OpenAI's own documentation: 16 tokens cannot take six minutes of a minute's limit.
    check(
        Some(Dialect::OpenAiChat),
        None,
        "x-ratelimit-limit-tokens: 150000
         x-ratelimit-remaining-tokens: 149984
         x-ratelimit-reset-tokens: 6m0s",
        &[(
            "tokens",
            Unit::TotalTokens,
            Some(MINUTE),
            Some(150_000),
            Some(149_984),
            Some(360_000),
            true,
        )],
    );
}

#[test]
fn groq_counts_requests_per_day() {
    let text = "x-ratelimit-limit-requests: 14400
                x-ratelimit-limit-tokens: 18000
                x-ratelimit-remaining-requests: 14370
                x-ratelimit-remaining-tokens: 17293
                x-ratelimit-reset-requests: 2m59.56s
                x-ratelimit-reset-tokens: 2.356s";
    let expected = [
        (
            "requests",
            Unit::Requests,
            Some(DAY),
            Some(14_400),
            Some(14_370),
            Some(179_560),
            true,
        ),
        (
            "tokens",
            Unit::TotalTokens,
            Some(MINUTE),
            Some(18_000),
            Some(17_293),
            Some(2_356),
            true,
        ),
    ];
    check(Some(Dialect::OpenAiChat), Some("groq"), text, &expected);
    // The figures tell it even when nobody says that it is Groq.
    check(Some(Dialect::OpenAiChat), None, text, &expected);
    // A full quota has no figures to tell by.
    let full = "x-ratelimit-limit-requests: 14400
                x-ratelimit-remaining-requests: 14400";
    check(
        Some(Dialect::OpenAiChat),
        Some("groq"),
        full,
        &[(
            "requests",
            Unit::Requests,
            Some(DAY),
            Some(14_400),
            Some(14_400),
            None,
            false,
        )],
    );
}

#[test]
fn azure_resets_are_plain_seconds_and_minus_one_is_unknown() {
    check(
        Some(Dialect::OpenAiChat),
        None,
        "x-ratelimit-reset-requests: 0
         x-ratelimit-limit-tokens: -1
         x-ratelimit-remaining-tokens: -1
         x-ratelimit-reset-tokens: 45
         x-ratelimit-remaining-requests: 120",
        &[
            (
                "requests",
                Unit::Requests,
                Some(MINUTE),
                None,
                Some(120),
                Some(0),
                false,
            ),
            (
                "tokens",
                Unit::TotalTokens,
                Some(MINUTE),
                None,
                None,
                Some(45_000),
                false,
            ),
        ],
    );
    check(
        Some(Dialect::OpenAiChat),
        None,
        "x-ratelimit-remaining-tokens: 7
         x-rate-limit-reset-tokens: 9",
        &[(
            "tokens",
            Unit::TotalTokens,
            Some(MINUTE),
            None,
            Some(7),
            Some(9_000),
            false,
        )],
    );
    check(
        Some(Dialect::OpenAiChat),
        None,
        "x-ratelimit-remaining-tokens: -1
         x-ratelimit-reset-tokens: -1",
        &[],
    );
}

#[test]
fn meta_llama_has_no_reset() {
    check(
        Some(Dialect::MetaLlama),
        Some("meta-llama"),
        "x-ratelimit-limit-requests: 10
         x-ratelimit-remaining-requests: 9
         x-ratelimit-limit-tokens: 250000
         x-ratelimit-remaining-tokens: 249930",
        &[
            (
                "requests",
                Unit::Requests,
                Some(MINUTE),
                Some(10),
                Some(9),
                None,
                false,
            ),
            (
                "tokens",
                Unit::TotalTokens,
                Some(MINUTE),
                Some(250_000),
                Some(249_930),
                None,
                false,
            ),
        ],
    );
}

#[test]
fn mistral_and_cerebras_have_the_window_in_the_name() {
    check(
        Some(Dialect::OpenAiChat),
        None,
        "x-ratelimit-limit-req-minute: 50
         x-ratelimit-remaining-req-minute: 49
         x-ratelimit-limit-tokens-minute: 50000
         x-ratelimit-remaining-tokens-minute: 49979
         x-ratelimit-limit-tokens-month: 1000000000
         x-ratelimit-remaining-tokens-month: 999990000
         x-ratelimit-tokens-query-cost: 21",
        &[
            (
                "req-minute",
                Unit::Requests,
                Some(MINUTE),
                Some(50),
                Some(49),
                None,
                false,
            ),
            (
                "tokens-minute",
                Unit::TotalTokens,
                Some(MINUTE),
                Some(50_000),
                Some(49_979),
                None,
                false,
            ),
            (
                "tokens-month",
                Unit::TotalTokens,
                None,
                Some(1_000_000_000),
                Some(999_990_000),
                None,
                false,
            ),
        ],
    );
    check(
        Some(Dialect::OpenAiChat),
        None,
        "x-ratelimit-limit-requests-day: 14400
         x-ratelimit-remaining-requests-day: 14399
         x-ratelimit-reset-requests-day: 33011.382867",
        &[(
            "requests-day",
            Unit::Requests,
            Some(DAY),
            Some(14_400),
            Some(14_399),
            Some(33_011_382),
            false,
        )],
    );
}

#[test]
fn together_counts_per_second() {
    check(
        Some(Dialect::OpenAiChat),
        Some("together"),
        "x-ratelimit-limit: 10
         x-ratelimit-remaining: 9
         x-ratelimit-reset: 1
         x-tokenlimit-limit: 3000
         x-tokenlimit-remaining: 2967",
        &[
            (
                "requests",
                Unit::Requests,
                Some(1),
                Some(10),
                Some(9),
                Some(1_000),
                false,
            ),
            (
                "tokens",
                Unit::TotalTokens,
                Some(1),
                Some(3_000),
                Some(2_967),
                None,
                false,
            ),
        ],
    );
}

#[test]
fn openrouter_s_reset_is_a_time_and_not_a_span() {
    check(
        Some(Dialect::OpenAiChat),
        None,
        "date: Mon, 31 Aug 2026 23:59:00 GMT
         x-ratelimit-limit: 50
         x-ratelimit-remaining: 0
         x-ratelimit-reset: 1788220800000",
        &[(
            "requests",
            Unit::Requests,
            None,
            Some(50),
            Some(0),
            Some(60_000),
            false,
        )],
    );
}

#[test]
fn nonsense_is_ignored_with_a_warning_that_names_the_header() {
    #[track_caller]
    fn check(dialect: Dialect, name: &'static str, value: &str) {
        let map = HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )]);
        let (limits, warnings) = service_limits(Some(dialect), None, &map);
        assert_eq!(
            (limits, warnings),
            (vec![], vec![Warning::MalformedHeader { name: name.into() }]),
            "{name}: {value}"
        );
    }
    for value in [
        "",
        "many",
        "-2",
        "1e9",
        "99999999999999999999",
        "+5",
        "1,000",
        "caf\u{e9}",
    ] {
        check(Dialect::OpenAiChat, "x-ratelimit-remaining-tokens", value);
    }
    for value in ["", "soon", "-5s", "1x", "99999999999999999h"] {
        check(Dialect::OpenAiChat, "x-ratelimit-reset-tokens", value);
    }
    check(
        Dialect::Anthropic,
        "anthropic-ratelimit-requests-reset",
        "tomorrow",
    );
    for value in [r#""a";q=-1"#, r#""a";q=1.5"#, r#""a""#, "", r#""a";q=1,"#] {
        check(Dialect::Generic, "ratelimit-policy", value);
    }
    check(Dialect::Generic, "ratelimit", "limit=100, remaining=50");
    check(Dialect::Generic, "ratelimit-limit", "lots");
}

#[test]
fn a_huge_epoch_reset_does_not_overflow() {
    let map =
        headers("date: Mon, 31 Aug 2026 23:59:00 GMT\nx-ratelimit-reset: 18446744073709551615");
    let (limits, warnings) = service_limits(None, None, &map);
    assert_eq!((limits.len(), warnings.len()), (0, 1));
    let zero = headers(
        "x-ratelimit-limit-tokens: 0\nx-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 0s",
    );
    let (limits, _) = service_limits(None, None, &zero);
    assert_eq!(
        (limits[0].limit, limits[0].window),
        (Some(0), Some(Duration::from_secs(60)))
    );
}

#[test]
fn an_answer_past_the_limit_is_warned_of() {
    let told = |value: &str| {
        let headers = headers(&format!("x-ratelimit-over-limit: {value}"));
        service_limits(Some(Dialect::OpenAiChat), None, &headers).1
    };
    assert_eq!(told("yes"), [Warning::OverLimit]);
    assert_eq!(told("no"), []);
}
