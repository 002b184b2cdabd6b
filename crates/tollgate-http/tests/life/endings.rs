//! However a body ends, its call is settled once, and never with a full refund once it was sent.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tollgate_gate::{Amounts, Source};

use crate::passes::ANTHROPIC_SSE;
use crate::support::*;

/// How a caller treats a body.
#[derive(Clone, Copy, Debug)]
enum Reads {
    All,
    Frames(usize),
    Nothing,
}

/// Runs a call whose response has these frames, and checks how it is settled and which error its end names.
#[track_caller]
fn check(
    ask: Ask,
    response: http::Response<TestBody>,
    reads: Reads,
    used: Amounts,
    source: Source,
    error: Option<&str>,
) {
    let at = std::panic::Location::caller();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::new();
        let answer = bench.run(&ask, &Client::one(response)).await.unwrap();
        assert_eq!(bench.log.settled(), []);
        let mut body = answer.into_body();
        let mut left = match reads {
            Reads::All => usize::MAX,
            Reads::Frames(n) => n,
            Reads::Nothing => 0,
        };
        while left > 0 && matches!(body.frame().await, Some(Ok(_))) {
            left -= 1;
        }
        drop(body);
        bench.assert_over();
        assert_eq!(bench.log.settled(), [(used, source)], "{at}");
        let end = bench.log.end();
        assert_eq!(end.error.as_deref(), error, "{at}");
        assert_eq!((end.attempts, end.status), (1, Some(200)), "{at}");
        assert_eq!(bench.used("rpm"), 1, "{at}");
    });
}

/// The events of a stream, of which the last `cut` are left out.
fn events(
    stream: &'static str,
    cut: usize,
) -> impl Iterator<Item = Result<http_body::Frame<bytes::Bytes>, Broken>> {
    let all: Vec<_> = stream.split_inclusive("\n\n").collect();
    let kept = all.len() - cut;
    all.into_iter().take(kept).map(data)
}

fn openai(cut: usize) -> impl Iterator<Item = Result<http_body::Frame<bytes::Bytes>, Broken>> {
    events(OPENAI_SSE, cut)
}

fn anthropic() -> Ask {
    Ask::to("api.anthropic.com", "/v1/messages")
}

#[test]
fn a_stream_dropped_midway_is_charged_for_the_text_that_passed() {
    // "Seven." and then " Really": 6 and 13 bytes.
    let of = |tokens| Amounts::call(INPUT, tokens);
    check(
        Ask::openai(),
        sse(frames(openai(0))),
        Reads::Frames(1),
        of(2),
        Source::Estimated,
        Some("canceled"),
    );
    check(
        Ask::openai(),
        sse(frames(openai(0))),
        Reads::Frames(2),
        of(5),
        Source::Estimated,
        Some("canceled"),
    );
}

#[test]
fn a_stream_dropped_after_its_usage_but_before_its_end_is_charged_the_usage() {
    check(
        Ask::openai(),
        sse(frames(openai(0))),
        Reads::Frames(3),
        reported(),
        Source::Estimated,
        Some("canceled"),
    );
}

#[test]
fn a_stream_that_is_let_go_after_its_last_event_is_no_failure() {
    check(
        Ask::openai(),
        sse(frames(openai(0))),
        Reads::Frames(4),
        reported(),
        Source::Reported,
        None,
    );
}

#[test]
fn a_document_that_is_let_go_after_its_last_byte_is_no_failure() {
    let whole = response(200, &[JSON], frames([data(OPENAI_JSON), data("\n")]));
    check(
        Ask::openai(),
        whole,
        Reads::Frames(1),
        reported(),
        Source::Reported,
        None,
    );
}

#[test]
fn a_stream_that_fails_midway_is_charged_for_the_text_that_passed() {
    let failing = |cut| sse(frames(openai(cut).chain([Err(Broken("reset"))])));
    let of = |tokens| Amounts::call(INPUT, tokens);
    check(
        Ask::openai(),
        failing(3),
        Reads::All,
        of(2),
        Source::Estimated,
        Some("body"),
    );
    check(
        Ask::openai(),
        failing(1),
        Reads::All,
        reported(),
        Source::Estimated,
        Some("body"),
    );
}

#[test]
fn a_stream_that_is_cut_before_its_end_is_charged_for_the_text_that_passed() {
    let of = |tokens| Amounts::call(INPUT, tokens);
    check(
        Ask::openai(),
        sse(frames(openai(2))),
        Reads::All,
        of(5),
        Source::Estimated,
        Some("cut_stream"),
    );
    check(
        Ask::openai(),
        sse(frames(openai(1))),
        Reads::All,
        reported(),
        Source::Estimated,
        Some("cut_stream"),
    );
}

#[test]
fn a_stream_of_nothing_keeps_its_input() {
    check(
        Ask::openai(),
        sse(frames([])),
        Reads::All,
        Amounts::call(INPUT, 0),
        Source::Estimated,
        Some("cut_stream"),
    );
}

#[test]
fn a_stream_dropped_before_it_is_read_keeps_its_input() {
    check(
        Ask::openai(),
        sse(frames(openai(0))),
        Reads::Nothing,
        Amounts::call(INPUT, 0),
        Source::Estimated,
        Some("canceled"),
    );
}

#[test]
fn anthropic_s_first_event_has_the_input_and_only_a_placeholder_of_the_output() {
    // "Seven and" is nine bytes: three tokens, where the first event says one.
    let cut = |cut| sse(frames(events(ANTHROPIC_SSE, cut)));
    check(
        anthropic(),
        cut(2),
        Reads::All,
        Amounts::call(11, 3),
        Source::Estimated,
        Some("cut_stream"),
    );
    check(
        anthropic(),
        cut(3),
        Reads::All,
        Amounts::call(11, 1),
        Source::Estimated,
        Some("cut_stream"),
    );
    check(
        anthropic(),
        cut(0),
        Reads::Frames(2),
        Amounts::call(11, 3),
        Source::Estimated,
        Some("canceled"),
    );
}

#[test]
fn a_document_dropped_failing_or_cut_midway_keeps_its_whole_reservation() {
    let (first, last) = OPENAI_JSON.split_at(80);
    let of = |frame| response(200, &[JSON], frames([data(first), frame]));
    check(
        Ask::openai(),
        of(data(last)),
        Reads::Frames(1),
        reserved(),
        Source::Kept,
        Some("canceled"),
    );
    check(
        Ask::openai(),
        of(data(last)),
        Reads::Nothing,
        reserved(),
        Source::Kept,
        Some("canceled"),
    );
    check(
        Ask::openai(),
        of(Err(Broken("reset"))),
        Reads::All,
        reserved(),
        Source::Kept,
        Some("body"),
    );
    let cut = response(200, &[JSON], frames([data(first)]));
    check(
        Ask::openai(),
        cut,
        Reads::All,
        reserved(),
        Source::Kept,
        None,
    );
}

#[test]
fn a_whole_document_without_usage_is_charged_for_its_text() {
    let body = r#"{"choices":[{"message":{"content":"Seven."}}]}"#;
    check(
        Ask::openai(),
        json(body),
        Reads::All,
        Amounts::call(INPUT, 2),
        Source::Estimated,
        None,
    );
}

#[test]
fn an_error_inside_a_stream_is_the_end_s_error() {
    let stream = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}\n\n",
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
    );
    let error = Some("provider_capacity");
    check(
        anthropic(),
        sse(full(stream)),
        Reads::All,
        Amounts::call(11, 1),
        Source::Estimated,
        error,
    );
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_error_inside_a_stream_pauses_the_policy() {
    let bench = Bench::new();
    let stream = "data: {\"error\":{\"message\":\"Rate limit reached\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    let answer = bench
        .run(&Ask::openai(), &Client::one(sse(full(stream))))
        .await
        .unwrap();
    read_all(answer).await;
    assert_eq!(
        bench.log.pauses(),
        [(Some(tollgate_gate::Unit::TotalTokens), seconds(1))]
    );
    assert_eq!(bench.log.end().error.as_deref(), Some("tokens"));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_nobody_polls_holds_its_reservation_until_it_is_dropped() {
    let bench = Bench::new();
    let answer = bench
        .run(&Ask::openai(), &Client::one(sse(full(OPENAI_SSE))))
        .await
        .unwrap();
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(
        (bench.gate().open_reservations(), bench.log.finished()),
        (1, vec![])
    );
    drop(answer);
    bench.assert_over();
    assert_eq!(bench.log.end().duration, seconds(3_600));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_call_runs_from_its_first_send_to_its_last_byte() {
    let bench = Bench::new();
    let (mut sender, body) = channel();
    let client = Client::of([Answer::After(seconds(2), sse(body))]);
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    tokio::time::advance(seconds(5)).await;
    sender.send_data(OPENAI_SSE.into()).await.unwrap();
    drop(sender);
    read_all(answer).await;
    assert_eq!(bench.log.end().duration, seconds(7));
}

#[tokio::test(start_paused = true)]
async fn only_what_the_provider_said_last_teaches_the_estimator() {
    const LARGE: &str = r#"{"model":"m","usage":{"prompt_tokens":4000,"completion_tokens":1}}"#;
    let bench = Bench::new();
    let mut ask = Ask::openai();
    ask.options = tollgate_http::CallOptions::new();
    let before = {
        let answer = bench
            .run(&ask, &Client::one(sse(frames(openai(2)))))
            .await
            .unwrap();
        let reserved = bench.used("itpm");
        read_all(answer).await;
        reserved
    };
    let start = bench.used("itpm");
    let answer = bench.run(&ask, &Client::one(json(LARGE))).await.unwrap();
    assert_eq!(
        bench.used("itpm") - start,
        before,
        "an estimated settlement taught nothing"
    );
    read_all(answer).await;
    let start = bench.used("itpm");
    let answer = bench
        .run(&ask, &Client::one(json(OPENAI_JSON)))
        .await
        .unwrap();
    assert!(
        bench.used("itpm") - start > before,
        "the reported tokens are more than first thought"
    );
    drop(answer);
}
