//! What one limit may say, and what follows from what it leaves out.

use std::time::Duration;

use tollgate_limits::Unit;
use tollgate_tokens::{
    AnchorName, Catalog, ChargeName, OutputRule, PolicySpec, ShapeName, Warning, WindowSpec,
};

use super::merged;

#[test]
fn limits_that_make_no_sense_are_refused_by_name() {
    #[track_caller]
    fn check(rest: &str, message: &str) {
        let text = format!("[[provider.openai.limits]]\nname = \"a\"\n{rest}\n");
        let error = Catalog::builtin().merge(&text).unwrap_err();
        assert!(error.message().contains(message), "{error}");
        assert!(error.line().is_some(), "{error}");
    }
    check(
        "unit = \"tokens\"\nlimit = 0\nwindow = \"1m\"",
        "limit `a`: 0 admits nothing",
    );
    check(
        "unit = \"tokens\"\nlimit = -5\nwindow = \"1m\"",
        "limit `a`: must be from 1 to 1000000000000000",
    );
    check(
        "unit = \"tokens\"\nlimit = 1000000000000001\nwindow = \"1m\"",
        "must be from 1 to 1000000000000000",
    );
    check(
        "unit = \"tokens\"\nlimit = \"5\"\nwindow = \"1m\"",
        "write it as a number",
    );
    check(
        "unit = \"cost_usd\"\nlimit = \"five\"\nwindow = \"1d\"",
        "dollars must be from 0.000000001 to 1000000",
    );
    check(
        "unit = \"cost_usd\"\nlimit = 1000001\nwindow = \"1d\"",
        "dollars must be from 0.000000001 to 1000000",
    );
    check("unit = \"tokens\"\nlimit = 1", "a window is missing");
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"367d\"",
        "\"366d\"",
    );
    check(
        "unit = \"concurrency\"\nlimit = 1\nwindow = \"1m\"",
        "slots have no window",
    );
    check(
        "unit = \"concurrency\"\nlimit = 1\nshape = \"bucket\"\nwindow = \"1m\"",
        "go together",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nshape = \"slots\"",
        "go together",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"1m\"\nshape = \"sliding\"\nburst = 1",
        "only the shape `bucket` has a burst",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"1m\"\nburst = 0",
        "burst: 0 admits nothing",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"1m\"\nshape = \"bucket\"\nanchor = \"aligned\"",
        "has an anchor",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"1m\"\nanchor = \"day\"",
        "go together",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"day\"\nshape = \"sliding\"",
        "write \"1d\"",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"1m\"\ntime_zone = \"UTC\"",
        "needs a window of \"day\"",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"1s\"\nmargin = \"500ms\"",
        "shorter than half the window",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"1m\"\nmodels = [\"\"]",
        "an empty name",
    );
    check(
        "unit = \"tokens\"\nlimit = 1\nwindow = \"1m\"\nname2 = 1",
        "unknown field `name2`",
    );
}

#[test]
fn what_a_limit_leaves_out_follows_from_what_it_says() {
    fn read(rest: &str) -> PolicySpec {
        let text = format!("[[provider.openai.limits]]\nname = \"a\"\n{rest}\n");
        merged(&text).provider("openai").unwrap().limits[0].clone()
    }
    let requests = read("unit = \"requests\"\nlimit = 10\nwindow = \"1m\"");
    assert_eq!(
        (requests.shape, requests.charge),
        (ShapeName::Sliding, ChargeName::ArrivalKept)
    );
    assert!(requests.cache_reads && requests.failures);
    let tokens = read("unit = \"tokens\"\nlimit = 10\nwindow = \"1h30m\"");
    assert_eq!(
        (tokens.charge, tokens.output),
        (ChargeName::Completion, OutputRule::Expected)
    );
    assert_eq!(
        tokens.window,
        Some(WindowSpec::Span(Duration::from_secs(5_400)))
    );
    let arrival =
        read("unit = \"tokens\"\nlimit = 10\nwindow = \"1m\"\ncharge = \"arrival\"\nburst = 2");
    assert_eq!(
        (arrival.shape, arrival.burst, arrival.output),
        (ShapeName::Bucket, Some(2), OutputRule::Cap)
    );
    let day = read(
        "unit = \"cost_usd\"\nlimit = \"25.50\"\nwindow = \"day\"\ntime_zone = \"America/Los_Angeles\"",
    );
    assert_eq!(
        (day.unit, day.limit, day.shape, day.anchor),
        (
            Unit::Cost,
            25_500_000_000,
            ShapeName::Window,
            AnchorName::Day
        )
    );
    assert_eq!(
        (day.window, day.time_zone.as_deref()),
        (Some(WindowSpec::Day), Some("America/Los_Angeles"))
    );
    assert_eq!(
        read("unit = \"cost_usd\"\nlimit = 25\nwindow = \"1d\"").limit,
        25_000_000_000
    );
    let anchored = read("unit = \"tokens\"\nlimit = 10\nanchor = \"day\"");
    assert_eq!(
        (anchored.window, anchored.shape),
        (Some(WindowSpec::Day), ShapeName::Window)
    );
    let first = read(
        "unit = \"tokens\"\nlimit = 10\nwindow = \"1m\"\nanchor = \"first-call\"\nmargin = \"250ms\"",
    );
    assert_eq!(
        (first.anchor, first.margin),
        (AnchorName::FirstCall, Some(Duration::from_millis(250)))
    );
}

#[test]
fn more_requests_than_tokens_is_warned_of() {
    fn check(requests: &str, tokens: &str, expected: &[Warning]) {
        let text = format!(
            "[provider.openai]\nlimits = [{{ name = \"r\", {requests} }}, {{ name = \"t\", {tokens} }}]"
        );
        assert_eq!(
            PolicySpec::check(&merged(&text).provider("openai").unwrap().limits),
            expected,
            "{requests}; {tokens}"
        );
    }
    let swapped = [Warning::RpmAboveTpm {
        requests: 900_000,
        tokens: 1_200,
    }];
    let requests = "unit = \"requests\", limit = 900_000, window = \"1m\"";
    check(
        requests,
        "unit = \"tokens\", limit = 1_200, window = \"1m\"",
        &swapped,
    );
    check(
        requests,
        "unit = \"input_tokens\", limit = 72_000, window = \"1h\"",
        &swapped,
    );
    check(
        requests,
        "unit = \"output_tokens\", limit = 1_200, window = \"1m\"",
        &[],
    );
    check(
        "unit = \"requests\", limit = 1_200, window = \"1m\"",
        "unit = \"tokens\", limit = 900_000, window = \"1m\"",
        &[],
    );
    // Limits over different models say nothing about each other.
    let of = |models: &str, unit: &str, limit: &str| {
        format!("unit = \"{unit}\", limit = {limit}, window = \"1m\", models = {models}")
    };
    check(
        &of("[\"a\"]", "requests", "900_000"),
        &of("[\"b*\"]", "tokens", "1_200"),
        &[],
    );
    check(
        &of("[\"b-1\"]", "requests", "900_000"),
        &of("[\"b*\"]", "tokens", "1_200"),
        &swapped,
    );
}
