//! The IETF's headers, draft and early form.

use tollgate_limits::Unit;
use tollgate_tokens::Dialect;

use super::{MINUTE, check};

#[test]
fn the_ietf_s_structured_fields_are_joined_by_name() {
    check(
        None,
        None,
        r#"ratelimit-policy: "permin";q=50;w=60,"tokens";q=250000;qu="tokens";w=60
           ratelimit: "permin";r=12;t=31,"tokens";r=180000;t=12"#,
        &[
            (
                "permin",
                Unit::Requests,
                Some(MINUTE),
                Some(50),
                Some(12),
                Some(31_000),
                false,
            ),
            (
                "tokens",
                Unit::TotalTokens,
                Some(MINUTE),
                Some(250_000),
                Some(180_000),
                Some(12_000),
                false,
            ),
        ],
    );
    // Lists may be spread over lines, names may hold separators, and bytes of content are none of ours.
    check(
        None,
        None,
        r#"ratelimit-policy: "a,b;c";q=1;w=1;pk=:YWI9PQ==:
           ratelimit-policy: "bytes";q=9;qu="content-bytes"
           ratelimit: "a,b;c";r=0;t=1
           ratelimit: "bytes";r=3"#,
        &[(
            "a,b;c",
            Unit::Requests,
            Some(1),
            Some(1),
            Some(0),
            Some(1_000),
            false,
        )],
    );
}

#[test]
fn the_ietf_s_early_three_headers_are_read_too() {
    check(
        Some(Dialect::Generic),
        None,
        "ratelimit-limit: 100, 100;w=60
         ratelimit-remaining: 42
         ratelimit-reset: 17",
        &[(
            "requests",
            Unit::Requests,
            Some(MINUTE),
            Some(100),
            Some(42),
            Some(17_000),
            false,
        )],
    );
}
