//! Heads of responses: headers of any bytes, and error responses.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tollgate_tokens::{Dialect, retry_after, service_limits, verdict};

/// The first byte says the dialect, the next two the status; then come lines of `name: value`, and behind an empty line the body.
pub(crate) fn check_head(data: &[u8]) {
    let [dialect, high, low, head @ ..] = data else {
        return;
    };
    let dialect = Dialect::ALL.get(usize::from(*dialect)).copied();
    let status = 100 + (u16::from(*high) << 8 | u16::from(*low)) % 900;
    let status = StatusCode::from_u16(status).expect("three digits");
    let end = head.windows(2).position(|two| two == b"\n\n");
    let (head, body) = head.split_at(end.unwrap_or(head.len()));
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let (limits, warnings) = service_limits(dialect, None, &headers);
    for limit in limits {
        assert!(limit.window.is_none_or(|window| !window.is_zero()));
        assert!(limit.rounded_to > 0);
    }
    assert!(warnings.len() <= headers.len());
    let found = verdict(dialect, status, &headers, body);
    // A call that cannot succeed has nothing to wait for, unless the provider itself asks for a retry.
    if !found.retryable && !headers.contains_key("x-should-retry") {
        assert!(found.retry_after.is_none());
    }
    for warning in found.warnings.iter().chain(&warnings) {
        assert!(!warning.to_string().is_empty());
    }
}

/// A value of `Retry-After`, and behind a line end one of `Retry-After-Ms`, and of `Date`.
pub(crate) fn check_retry_after(data: &[u8]) {
    let mut headers = HeaderMap::new();
    let names = ["retry-after", "retry-after-ms", "date"];
    for (name, value) in names.iter().zip(data.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(*name, value);
        }
    }
    if let Some(wait) = retry_after(&headers) {
        assert!(wait <= Duration::from_secs(3_660 * 86_400));
    }
    // Whole seconds are what they say.
    let seconds = std::str::from_utf8(data)
        .ok()
        .and_then(|text| text.parse::<u32>().ok());
    if let Some(seconds) = seconds.filter(|seconds| *seconds < 1_000_000)
        && !data.starts_with(b"+")
    {
        assert_eq!(
            retry_after(&headers),
            Some(Duration::from_secs(seconds.into()))
        );
    }
}
