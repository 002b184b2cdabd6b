//! Rate-limit headers of many providers, and the limits they must be read as.

mod anthropic;
mod ietf;
mod x_ratelimit;

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_limits::Unit;
use tollgate_tokens::{Dialect, service_limits};

const MINUTE: u64 = 60;

const DAY: u64 = 86_400;

fn headers(text: &str) -> HeaderMap {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (name, value) = line.split_once(": ").expect("name: value");
            (
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// Name, unit, window in seconds, limit, remaining, reset in milliseconds, and whether that is the time to full.
type Row<'a> = (
    &'a str,
    Unit,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    bool,
);

#[track_caller]
fn check(dialect: Option<Dialect>, provider: Option<&str>, text: &str, expected: &[Row<'_>]) {
    let (limits, warnings) = service_limits(dialect, provider, &headers(text));
    let rows: Vec<Row<'_>> = limits
        .iter()
        .map(|limit| {
            let (window, reset) = (
                limit.window.map(|w| w.as_secs()),
                limit.reset.map(|r| r.as_millis() as u64),
            );
            (
                &*limit.name,
                limit.unit,
                window,
                limit.limit,
                limit.remaining,
                reset,
                limit.reset_is_full,
            )
        })
        .collect();
    assert_eq!(rows, expected);
    assert_eq!(warnings, []);
}
