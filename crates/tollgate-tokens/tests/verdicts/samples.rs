//! Whole responses in the shapes that providers document.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tollgate_tokens::{Catalog, Scope, Verdict, verdict};

use super::{FINAL, RETRY, plain};

/// One whole HTTP/1.1 response: status, headers, body.
fn parse(response: &str) -> (StatusCode, HeaderMap, &str) {
    let (head, body) = response
        .split_once("\r\n\r\n")
        .expect("a head ends with an empty line");
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .expect("a status line");
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("name: value");
        (
            HeaderName::try_from(name).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    });
    (status, headers.collect(), body)
}

fn fixture(file: &str) -> Verdict {
    let path = format!(
        "{}/tests/fixtures/errors/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (status, headers, body) = parse(&text);
    let catalog = Catalog::builtin();
    let provider = file
        .split('/')
        .next()
        .and_then(|name| catalog.provider(name));
    let dialect = provider.map(|provider| provider.dialect);
    verdict(dialect, status, &headers, body.as_bytes())
}

#[test]
fn documented_shapes_of_every_provider_are_understood() {
    #[track_caller]
    fn check(file: &str, retryable: bool, scope: Scope, wait_ms: Option<f64>, limit: Option<u64>) {
        let found = fixture(file);
        let wait = wait_ms.map(|ms| Duration::from_nanos((ms * 1e6).round() as u64));
        assert_eq!(
            (
                found.retryable,
                found.scope,
                found.retry_after,
                found.limit,
                found.warnings
            ),
            (retryable, scope, wait, limit, vec![]),
            "{file}"
        );
    }
    check(
        "anthropic/429.http",
        RETRY,
        Scope::InputTokens,
        Some(14_000.0),
        Some(80_000),
    );
    check(
        "anthropic/529.http",
        RETRY,
        Scope::ProviderCapacity,
        None,
        None,
    );
    check(
        "azure-openai/429.http",
        RETRY,
        Scope::Tokens,
        Some(44_730.0),
        None,
    );
    check("bedrock/429.http", RETRY, Scope::Tokens, None, None);
    check(
        "cohere/429-minute.http",
        RETRY,
        Scope::Requests,
        None,
        Some(20),
    );
    check("deepseek/402.http", FINAL, Scope::Billing, None, None);
    check(
        "gemini/429-rpm.http",
        RETRY,
        Scope::Requests,
        Some(34_074.824_224),
        Some(15),
    );
    check(
        "gemini/503.http",
        RETRY,
        Scope::ProviderCapacity,
        None,
        None,
    );
    check(
        "groq/429.http",
        RETRY,
        Scope::Tokens,
        Some(6_000.0),
        Some(12_000),
    );
    check("meta-llama/429.http", RETRY, Scope::Tokens, None, None);
    check(
        "mistral/429.http",
        RETRY,
        Scope::Requests,
        Some(2_000.0),
        Some(60),
    );
    check("ollama/503.http", RETRY, Scope::Concurrency, None, None);
    check(
        "openai/429-insufficient-quota.http",
        FINAL,
        Scope::Billing,
        None,
        None,
    );
    check(
        "openai/429-too-large.http",
        FINAL,
        Scope::NeverFits,
        None,
        Some(30_000),
    );
    check(
        "openai/429-tpm.http",
        RETRY,
        Scope::Tokens,
        Some(1_480.0),
        Some(30_000),
    );
    check("openrouter/402.http", FINAL, Scope::Billing, None, None);
    check(
        "openrouter/429-upstream.http",
        RETRY,
        Scope::Upstream,
        None,
        None,
    );
    check(
        "together/429.http",
        RETRY,
        Scope::Requests,
        Some(1_000.0),
        Some(10),
    );
    check("xai/429-tpm.http", RETRY, Scope::Tokens, None, Some(16_000));
}

#[test]
fn only_a_used_up_quota_pauses_the_quota() {
    assert!(plain(429, &[], "slower, please").pauses_quota());
    assert!(fixture("openai/429-tpm.http").pauses_quota());
    assert!(fixture("mistral/429.http").pauses_quota());
    for file in [
        "anthropic/529.http",
        "gemini/503.http",
        "ollama/503.http",
        "openai/429-insufficient-quota.http",
        "openai/429-too-large.http",
        "openrouter/429-upstream.http",
    ] {
        assert!(!fixture(file).pauses_quota(), "{file}");
    }
}
