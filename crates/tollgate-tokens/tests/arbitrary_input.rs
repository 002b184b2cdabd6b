//! Whatever a server sends and a user writes, nothing panics, and what is answered makes sense.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use tollgate_tokens::{Catalog, Cost, Dialect, Price, Usage, retry_after, service_limits, verdict};

/// Header names that are read, so that arbitrary values reach the readers.
const NAMES: [&str; 16] = [
    "retry-after",
    "retry-after-ms",
    "date",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-limit",
    "x-ratelimit-reset",
    "x-ratelimit-limit-req-minute",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-tokens-remaining",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
];

/// Values of any bytes a header may hold, and values that are nearly right.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..40),
        "-?[0-9]{0,25}(\\.[0-9]{0,25})?(ms|s|m|h|d)?".prop_map(String::into_bytes),
        "([0-9]{1,12}(ms|s|m|h|us|µs)){1,4}".prop_map(String::into_bytes),
        "\"[a-z,;]{0,4}\\\\?\"?(;[qwrt]u?=\"?[0-9a-z]{0,21}\"?){0,4}".prop_map(String::into_bytes),
        "(Thu|Thursday),? 21.Aug.(20)?25 [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
            .prop_map(String::into_bytes),
        "[0-9]{4}-0[1-9]-[0-3][0-9]T[0-2][0-9]:00:00(Z|\\+01:00)".prop_map(String::into_bytes),
    ]
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 0..8).prop_map(|pairs| {
        let pair = |(name, value): (&'static str, Vec<u8>)| {
            Some((
                HeaderName::from_static(name),
                HeaderValue::from_bytes(&value).ok()?,
            ))
        };
        pairs.into_iter().filter_map(pair).collect()
    })
}

/// Bodies of any bytes, and bodies that are nearly those of an error.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let words = "(limit:? |used |requested |try again in |retry after |[0-9,.]{1,24}|s |m|/|per day|tokens|é){0,12}";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        (words, "[a-z_]{0,12}").prop_map(|(message, kind)| {
            format!("{{\"error\":{{\"message\":\"{message}\",\"type\":\"{kind}\",\"details\":[{{\"retryDelay\":\"{message}\"}}]}}}}")
                .into_bytes()
        }),
    ]
}

fn dialect() -> impl Strategy<Value = Option<Dialect>> {
    prop::option::of(prop::sample::select(Dialect::ALL))
}

const TEN_YEARS: Duration = Duration::from_secs(3_660 * 86_400);

proptest! {
    #[test]
    fn any_error_response_has_a_verdict(
        dialect in dialect(), status in 100_u16..1000, headers in headers(), body in body(),
    ) {
        let found = verdict(dialect, StatusCode::from_u16(status).unwrap(), &headers, &body);
        // A call that cannot succeed has nothing to wait for, unless the provider itself asks for a retry.
        if !found.retryable && !headers.contains_key("x-should-retry") {
            prop_assert!(found.retry_after.is_none());
        }
        prop_assert!(!found.warnings.iter().any(|warning| warning.to_string().is_empty()));
    }

    #[test]
    fn any_headers_are_read_or_reported(dialect in dialect(), headers in headers()) {
        let (limits, warnings) = service_limits(dialect, None, &headers);
        for limit in limits {
            prop_assert!(limit.window.is_none_or(|window| !window.is_zero()));
            prop_assert!(limit.rounded_to > 0);
        }
        prop_assert!(warnings.len() <= headers.len());
        prop_assert!(retry_after(&headers).is_none_or(|wait| wait <= TEN_YEARS));
    }

    #[test]
    fn any_text_is_a_catalog_or_an_error_and_an_error_changes_nothing(
        text in prop_oneof![any::<String>(), "(\\[|\\]|provider|\\.|a|limits|=|\"|1|\n| |models|é){0,30}"],
    ) {
        let mut catalog = Catalog::builtin();
        if let Err(error) = catalog.merge(&text) {
            prop_assert!(!error.message().is_empty());
            prop_assert_eq!(catalog, Catalog::builtin());
        }
    }

    #[test]
    fn a_cost_is_never_below_the_exact_price_and_less_than_a_nano_dollar_above_it(
        input in 0_u64..1 << 40, output in 0_u64..1 << 40, rate in (0_u64..1 << 40, 0_u64..1 << 40),
    ) {
        let Cost(nanos) = Price::new(rate.0, rate.1).cost(&Usage::new(input, output));
        let exact = u128::from(input) * u128::from(rate.0) + u128::from(output) * u128::from(rate.1);
        if exact <= u128::from(u64::MAX) * 1_000 {
            let charged = u128::from(nanos) * 1_000;
            prop_assert!(exact <= charged && charged < exact + 1_000);
        } else {
            prop_assert_eq!(nanos, u64::MAX);
        }
    }
}
