//! Error responses of many providers, and what each must be taken for.

mod providers;
mod rules;
mod samples;

use http::{HeaderName, HeaderValue, StatusCode};
use tollgate_tokens::{BodyError, Dialect, Scope, Verdict, stream_verdict, verdict};

fn plain(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Verdict {
    let headers = headers
        .iter()
        .map(|&(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
    verdict(
        Some(Dialect::OpenAiChat),
        StatusCode::from_u16(status).unwrap(),
        &headers,
        body.as_bytes(),
    )
}

/// Asserts what an error inside a stream is taken for.
#[track_caller]
fn check_in_stream(kind: &str, message: &str, retryable: bool, scope: Scope) {
    let found = stream_verdict(&BodyError {
        kind: Some(kind.into()),
        code: None,
        message: Some(message.into()),
    });
    assert_eq!((found.retryable, found.scope), (retryable, scope), "{kind}");
}

const RETRY: bool = true;

const FINAL: bool = false;
