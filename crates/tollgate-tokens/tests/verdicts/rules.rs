//! The rules one by one: what beats what.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tollgate_tokens::{BodyError, Dialect, Scope, Warning, stream_verdict, verdict};

use super::{FINAL, RETRY, check_in_stream, plain};

#[test]
fn statuses_without_a_word_are_told_apart() {
    #[track_caller]
    fn check(status: u16, retryable: bool, scope: Scope) {
        let found = plain(status, &[], "");
        assert_eq!(
            (found.retryable, found.scope),
            (retryable, scope),
            "{status}"
        );
    }
    check(400, FINAL, Scope::BadRequest);
    check(401, FINAL, Scope::Auth);
    check(402, FINAL, Scope::Billing);
    check(403, FINAL, Scope::Auth);
    check(404, FINAL, Scope::BadRequest);
    check(408, RETRY, Scope::ProviderCapacity);
    check(409, RETRY, Scope::ProviderCapacity);
    check(413, FINAL, Scope::NeverFits);
    check(422, FINAL, Scope::BadRequest);
    check(429, RETRY, Scope::Upstream);
    check(499, RETRY, Scope::ProviderCapacity);
    check(500, RETRY, Scope::ProviderCapacity);
    check(501, FINAL, Scope::BadRequest);
    check(503, RETRY, Scope::ProviderCapacity);
    check(504, RETRY, Scope::ProviderCapacity);
    check(522, RETRY, Scope::ProviderCapacity);
    check(529, RETRY, Scope::ProviderCapacity);
    check(304, FINAL, Scope::BadRequest);
}

#[test]
fn money_is_final_whatever_the_status_and_the_retry_header_say() {
    #[track_caller]
    fn check(status: u16, body: &str) {
        let found = plain(
            status,
            &[("x-should-retry", "true"), ("retry-after", "5")],
            body,
        );
        assert_eq!(
            (found.retryable, found.scope, found.retry_after),
            (false, Scope::Billing, None),
            "{body}"
        );
    }
    check(
        429,
        r#"{"error":{"message":"x","type":"requests","code":"project_spend_limit_exceeded"}}"#,
    );
    check(
        429,
        r#"{"error":{"message":"x","type":"insufficient_quota","code":null}}"#,
    );
    check(
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"x","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
    );
    check(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified workspace API usage limits. You will regain access on 2026-09-01."}}"#,
    );
    check(
        429,
        r#"{"code":"x","error":"Your team 0 has either used all available credits or reached its monthly spending limit."}"#,
    );
    check(
        403,
        r#"{"code":"x","error":"Your team 0 has either used all available credits"}"#,
    );
    check(402, "Payment Required");
    check(
        429,
        r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month. You can upgrade."}"#,
    );
    check(
        429,
        r#"{"error":{"code":429,"message":"Quota exceeded for metric: x, limit: 0, model: y. Please retry in 5s.","status":"RESOURCE_EXHAUSTED"}}"#,
    );
}

#[test]
fn an_account_without_allocation_is_not_retried() {
    let body = r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}"#;
    let found = plain(
        429,
        &[
            ("x-ratelimit-limit-req-minute", "0"),
            ("x-ratelimit-remaining-req-minute", "0"),
        ],
        body,
    );
    assert_eq!(
        (found.retryable, found.scope, found.limit),
        (false, Scope::Billing, Some(0))
    );
}

#[test]
fn a_limit_of_zero_is_final_only_where_it_is_known_to_mean_no_allocation() {
    let headers = [
        ("x-ratelimit-limit-tokens", "0"),
        ("x-ratelimit-remaining-tokens", "0"),
    ];
    let found = plain(429, &headers, "");
    assert_eq!(
        (found.retryable, found.scope, found.limit),
        (true, Scope::Tokens, None)
    );
}

#[test]
fn the_provider_s_own_trouble_is_told_from_a_quota() {
    #[track_caller]
    fn check(body: &str, scope: Scope) {
        let found = plain(429, &[], body);
        assert_eq!(
            (found.retryable, found.scope, found.pauses_quota()),
            (true, scope, false),
            "{body}"
        );
    }
    check(
        r#"{"object":"error","message":"x","type":"service_tier_capacity_exceeded","code":"3505"}"#,
        Scope::ProviderCapacity,
    );
    check(
        r#"{"error":{"message":"x","type":"slow_down"}}"#,
        Scope::ProviderCapacity,
    );
    check(
        r#"{"error":{"message":"x","code":"resource_unavailable"}}"#,
        Scope::ProviderCapacity,
    );
    check(
        r#"[{"error":{"code":429,"message":"x","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"MODEL_CAPACITY_EXHAUSTED"}]}}]"#,
        Scope::ProviderCapacity,
    );
    check(
        r#"{"error":{"message":"x","code":429,"metadata":{"limit_source":"openrouter_shared_capacity"}}}"#,
        Scope::Upstream,
    );
    check(
        "<html><body>429 Too Many Requests</body></html>",
        Scope::Upstream,
    );
    let bedrock = plain(
        429,
        &[("x-amzn-errortype", "ModelNotReadyException")],
        r#"{"message":"Model is not ready for inference."}"#,
    );
    assert_eq!(bedrock.scope, Scope::ProviderCapacity);
}

#[test]
fn a_429_without_a_word_comes_from_a_proxy_and_not_from_a_quota() {
    let bare = plain(429, &[], " \n");
    assert_eq!((bare.scope, bare.retryable), (Scope::Upstream, true));
    assert!(!bare.pauses_quota());
    // One word is enough to be taken for the provider's own.
    assert_eq!(plain(429, &[], "{}").scope, Scope::Unknown);
    assert_eq!(
        plain(429, &[("retry-after", "2")], "").scope,
        Scope::Unknown
    );
    let tokens = [("x-ratelimit-limit-tokens", "1000")];
    assert_eq!(plain(429, &tokens, "").scope, Scope::Unknown);
    // Elsewhere nothing is known of such proxies.
    let status = StatusCode::TOO_MANY_REQUESTS;
    let generic = verdict(Some(Dialect::Generic), status, &HeaderMap::new(), b"");
    assert_eq!(generic.scope, Scope::Unknown);
}

#[test]
fn a_used_up_day_is_final_unless_it_refills_bit_by_bit() {
    let groq = plain(
        429,
        &[("retry-after", "87")],
        r#"{"error":{"message":"Rate limit reached on requests per day (RPD): Limit 1000, Used 1000, Requested 1. Please try again in 1m26.4s.","type":"requests","code":"rate_limit_exceeded"}}"#,
    );
    assert_eq!(
        (groq.retryable, groq.scope, groq.limit),
        (true, Scope::Day, Some(1_000))
    );
    assert_eq!(groq.retry_after, Some(Duration::from_secs(87)));
    assert!(groq.pauses_quota());

    let gemini = plain(
        429,
        &[],
        r#"{"error":{"code":429,"message":"You exceeded your current quota. Please retry in 1.6s.","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"250"}]},{"retryDelay":"1s"}]}}"#,
    );
    assert_eq!(
        (
            gemini.retryable,
            gemini.scope,
            gemini.retry_after,
            gemini.limit
        ),
        (false, Scope::Day, None, Some(250))
    );
}

#[test]
fn an_echoed_reset_is_read_against_the_response_s_own_date() {
    let body = r#"{"error":{"message":"Rate limit exceeded: free-models-per-day.","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1788220800000"},"limit_source":"openrouter_free_tier_daily"}}}"#;
    let dated = plain(429, &[("date", "Mon, 31 Aug 2026 23:00:00 GMT")], body);
    assert_eq!((dated.retryable, dated.scope), (true, Scope::Day));
    assert_eq!(dated.retry_after, Some(Duration::from_secs(3_600)));
    let undated = plain(429, &[], body);
    assert_eq!((undated.retryable, undated.retry_after), (false, None));
}

#[test]
fn what_cannot_fit_is_not_retried() {
    #[track_caller]
    fn check(status: u16, body: &str) {
        let found = plain(status, &[("x-should-retry", "true")], body);
        assert_eq!(
            (found.retryable, found.scope),
            (false, Scope::NeverFits),
            "{body}"
        );
    }
    check(
        413,
        r#"{"error":{"message":"Request too large for model: Limit 6000, Requested 6548","type":"tokens","code":"rate_limit_exceeded"}}"#,
    );
    check(
        429,
        r#"{"error":{"message":"tokens per min: Limit 6000, Requested 6,548","type":"tokens"}}"#,
    );
    check(
        400,
        r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
    );
    check(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#,
    );
}

#[test]
fn the_provider_s_advice_on_retrying_beats_the_status() {
    let advised = |status, advice| plain(status, &[("x-should-retry", advice)], "").retryable;
    assert!(!advised(503, "false"));
    assert!(advised(400, "true"));
    assert!(advised(503, "perhaps"));
}

#[test]
fn headers_tell_the_scope_where_the_body_is_silent() {
    let found = plain(
        429,
        &[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "480"),
            ("x-ratelimit-limit-tokens", "30000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "59.6s"),
        ],
        "",
    );
    assert_eq!((found.scope, found.limit), (Scope::Tokens, Some(30_000)));
    // Time to full: it says nothing about the next call.
    assert_eq!(found.retry_after, None);
}

#[test]
fn a_wait_that_no_header_names_is_computed_from_the_figures() {
    let body = r#"{"error":{"message":"Rate limit reached for m on tokens per min (TPM): Limit 60000, Used 59000, Requested 1500.","type":"tokens"}}"#;
    assert_eq!(
        plain(429, &[], body).retry_after,
        Some(Duration::from_millis(500))
    );
}

#[test]
fn a_wait_that_makes_no_sense_is_reported() {
    let found = plain(429, &[("retry-after", "-5")], "");
    assert_eq!(found.retry_after, None);
    assert_eq!(
        found.warnings,
        [Warning::MalformedHeader {
            name: "retry-after".into()
        }]
    );
}

#[test]
fn errors_inside_a_stream_are_told_apart_by_their_words() {
    check_in_stream(
        "overloaded_error",
        "Overloaded",
        RETRY,
        Scope::ProviderCapacity,
    );
    check_in_stream(
        "api_error",
        "Internal server error",
        RETRY,
        Scope::ProviderCapacity,
    );
    check_in_stream("server_error", "", RETRY, Scope::ProviderCapacity);
    check_in_stream(
        "rate_limit_error",
        "organization's rate limit of 8,000 output tokens per minute",
        RETRY,
        Scope::OutputTokens,
    );
    check_in_stream("rate_limit_exceeded", "", RETRY, Scope::Unknown);
    check_in_stream("insufficient_quota", "", FINAL, Scope::Billing);
    check_in_stream("invalid_request_error", "", FINAL, Scope::BadRequest);
    check_in_stream("authentication_error", "", FINAL, Scope::Auth);
    check_in_stream(
        "502",
        "Provider returned error",
        RETRY,
        Scope::ProviderCapacity,
    );
    check_in_stream("something new", "", RETRY, Scope::ProviderCapacity);
    let by_code = BodyError {
        kind: None,
        code: Some("rate_limit_exceeded".into()),
        message: Some("Limit 5 on requests per min".into()),
    };
    assert_eq!(
        (
            stream_verdict(&by_code).scope,
            stream_verdict(&by_code).limit
        ),
        (Scope::Requests, Some(5))
    );
}

#[test]
fn no_body_makes_it_panic_and_none_is_shown() {
    let deep = "[".repeat(10_000);
    let long = format!(r#"{{"error":"{}"}}"#, "limit ".repeat(100_000));
    for body in [
        "null",
        "[]",
        "\"\u{e9}\"",
        r#"{"error":null}"#,
        r#"{"error":{"message":{"a":1},"code":1e400}}"#,
        &deep,
        &long,
    ] {
        let found = plain(429, &[], body);
        assert!(found.retryable, "{}", &body[..body.len().min(40)]);
    }
    let secret = plain(
        429,
        &[],
        r#"{"error":{"message":"Rate limit for organization org-secret key sk-secret","type":"tokens"}}"#,
    );
    assert!(!format!("{secret:?}").contains("secret"));
}
