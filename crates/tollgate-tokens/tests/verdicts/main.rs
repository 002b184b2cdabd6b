//! Error responses of many providers, and what each must be taken for.

mod providers;
mod rules;
mod samples;

use http::{HeaderName, HeaderValue, StatusCode};
use tollgate_tokens::{Dialect, Verdict, verdict};

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

const RETRY: bool = true;

const FINAL: bool = false;
