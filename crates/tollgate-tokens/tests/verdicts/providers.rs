//! The words of each provider that the shapes alone do not tell apart.

use std::time::Duration;

use tollgate_tokens::{BodyError, Scope, stream_verdict};

use super::{FINAL, RETRY, check_in_stream, plain};

#[test]
fn a_day_of_google_s_ends_at_midnight_pacific_and_is_not_waited_for() {
    let check = |date: &'static str, hours: u64| {
        let found = plain(
            429,
            &[("date", date)],
            r#"{"error":{"code":429,"message":"Quota exceeded. Please retry in 1.6s.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"250"}]},{"retryDelay":"1s"}]}}"#,
        );
        assert_eq!((found.retryable, found.scope), (false, Scope::Day));
        assert_eq!(
            found.retry_after,
            Some(Duration::from_secs(hours * 3_600)),
            "{date}"
        );
    };
    // Summer time is seven hours behind, winter time eight; one day in November has 25 hours.
    check("Fri, 21 Aug 2026 20:00:00 GMT", 11);
    check("Fri, 15 Jan 2027 20:00:00 GMT", 12);
    check("Sun, 01 Nov 2026 07:00:00 GMT", 25);
}

#[test]
fn the_larger_of_google_s_two_delays_holds() {
    let body = |sentence: &str, delay: &str| {
        format!(
            r#"{{"error":{{"code":429,"message":"Quota exceeded. Please retry in {sentence}.","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}]}}}}"#
        )
    };
    let wait = |sentence, delay| plain(429, &[], &body(sentence, delay)).retry_after;
    assert_eq!(wait("1.68s", "1s"), Some(Duration::from_millis(1_680)));
    assert_eq!(wait("1.68s", "2s"), Some(Duration::from_secs(2)));
    assert_eq!(wait("843ms", "0s"), Some(Duration::from_millis(843)));
}

#[test]
fn an_allocation_of_zero_is_final_wherever_google_says_it() {
    let check = |detail: &str| {
        let body = format!(
            r#"[{{"error":{{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED","details":[{detail}]}}}}]"#
        );
        let found = plain(429, &[], &body);
        assert_eq!(
            (found.retryable, found.scope, found.limit),
            (false, Scope::Billing, Some(0)),
            "{detail}"
        );
    };
    check(r#"{"violations":[{"quotaId":"GenerateRequestsPerMinute","quotaValue":"0"}]}"#);
    check(r#"{"reason":"RATE_LIMIT_EXCEEDED","metadata":{"quota_limit_value":"0"}}"#);
}

#[test]
fn the_rest_of_each_provider_s_words() {
    #[track_caller]
    fn check(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
        retryable: bool,
        scope: Scope,
    ) {
        let found = plain(status, headers, body);
        assert_eq!((found.retryable, found.scope), (retryable, scope), "{body}");
    }
    // Bedrock: the model failed; the day is used up; the account's quota of something else.
    check(
        424,
        &[("x-amzn-errortype", "ModelErrorException")],
        r#"{"message":"The model failed."}"#,
        RETRY,
        Scope::ProviderCapacity,
    );
    check(
        429,
        &[("x-amzn-errortype", "ThrottlingException")],
        r#"{"message":"Too many tokens per day, please wait before trying again."}"#,
        FINAL,
        Scope::Day,
    );
    check(
        400,
        &[("x-amzn-errortype", "ServiceQuotaExceededException")],
        r#"{"message":"Quota exceeded."}"#,
        FINAL,
        Scope::BadRequest,
    );
    check(
        400,
        &[("x-amzn-errortype", "ValidationException")],
        r#"{"message":"Input is too long for requested model."}"#,
        FINAL,
        Scope::NeverFits,
    );
    // Cohere.
    check(
        400,
        &[],
        r#"{"id":"x","message":"NO_VALID_RESPONSE_GENERATED: try again"}"#,
        RETRY,
        Scope::ProviderCapacity,
    );
    // OpenRouter's tags.
    check(
        429,
        &[],
        r#"{"error":{"message":"Rate limit exceeded: limit_rpm/some/model","code":429}}"#,
        RETRY,
        Scope::Requests,
    );
    check(
        429,
        &[],
        r#"{"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429}}"#,
        RETRY,
        Scope::Requests,
    );
    check(
        429,
        &[],
        r#"{"error":{"message":"Rate limit exceeded: limit_rpd/some/model","code":429}}"#,
        FINAL,
        Scope::Day,
    );
    // Together: above the rate of the moment, and at or below it.
    check(
        429,
        &[],
        r#"{"error":{"message":"x","type":"dynamic_token_limited"}}"#,
        RETRY,
        Scope::Tokens,
    );
    check(
        503,
        &[],
        r#"{"error":{"message":"x","type":"service_unavailable"}}"#,
        RETRY,
        Scope::ProviderCapacity,
    );
    // xAI.
    check(
        402,
        &[],
        r#"{"code":"personal-team-blocked:spending-limit","error":"x"}"#,
        FINAL,
        Scope::Billing,
    );
    // Servers of one's own.
    check(
        503,
        &[],
        r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
        RETRY,
        Scope::ProviderCapacity,
    );
    check(
        400,
        &[],
        r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
        FINAL,
        Scope::NeverFits,
    );
    check(
        400,
        &[],
        r#"{"error":{"code":400,"message":"The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
        FINAL,
        Scope::NeverFits,
    );
    // DeepSeek's 401 is plain text.
    check(
        401,
        &[],
        "Authentication Fails (governor)",
        FINAL,
        Scope::Auth,
    );
    // Mistral's message may be an object.
    check(
        422,
        &[],
        r#"{"object":"error","message":{"detail":[{"msg":"field required"}]},"type":"invalid_request_error"}"#,
        FINAL,
        Scope::BadRequest,
    );
    // A delay in words, of Azure's longest kind.
    let azure = plain(
        429,
        &[],
        r#"{"error":{"code":"429","message":"Rate limit is exceeded. Please retry after 86400 seconds."}}"#,
    );
    assert_eq!(azure.retry_after, Some(Duration::from_secs(86_400)));
}

#[test]
fn exceptions_inside_a_binary_stream_are_told_apart() {
    check_in_stream(
        "throttlingException",
        "Too many tokens, please wait",
        RETRY,
        Scope::Tokens,
    );
    check_in_stream(
        "modelStreamErrorException",
        "x",
        RETRY,
        Scope::ProviderCapacity,
    );
    check_in_stream(
        "serviceUnavailableException",
        "x",
        RETRY,
        Scope::ProviderCapacity,
    );
    check_in_stream(
        "internalServerException",
        "x",
        RETRY,
        Scope::ProviderCapacity,
    );
    check_in_stream("modelTimeoutException", "x", RETRY, Scope::ProviderCapacity);
    check_in_stream("validationException", "x", FINAL, Scope::BadRequest);
    // Google's, inside a stream: the status is the kind, and the code a number.
    let google = BodyError {
        kind: Some("RESOURCE_EXHAUSTED".into()),
        code: Some("429".into()),
        message: Some("Quota exceeded. Please retry in 2.5s.".into()),
    };
    let found = stream_verdict(&google);
    assert_eq!(
        (found.retryable, found.retry_after),
        (true, Some(Duration::from_millis(2_500)))
    );
}
