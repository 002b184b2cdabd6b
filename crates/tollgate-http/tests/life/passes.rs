//! What the caller gets is what the provider sent, at once; what is charged is what the provider reported.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tollgate_gate::{Amounts, Source, Tokens};

use crate::support::*;

const META_JSON: &str = r#"{"id":"m","model":"Llama-x","completion_message":{"role":"assistant","content":{"type":"text","text":"Seven."},"stop_reason":"stop"},"metrics":[{"metric":"num_completion_tokens","value":5,"unit":"tokens"},{"metric":"num_prompt_tokens","value":11,"unit":"tokens"},{"metric":"num_total_tokens","value":16,"unit":"tokens"}]}"#;

const META_SSE: &str = concat!(
    "data: {\"id\":\"m\",\"event\":{\"event_type\":\"start\",\"delta\":{\"type\":\"text\",\"text\":\"\"}}}\n\n",
    "data: {\"id\":\"m\",\"event\":{\"event_type\":\"progress\",\"delta\":{\"type\":\"text\",\"text\":\"Seven.\"}}}\n\n",
    "data: {\"id\":\"m\",\"event\":{\"event_type\":\"complete\",\"delta\":{\"type\":\"text\",\"text\":\"\"},\"stop_reason\":\"stop\"}}\n\n",
    "data: {\"id\":\"m\",\"event\":{\"event_type\":\"metrics\",\"metrics\":[{\"metric\":\"num_completion_tokens\",\"value\":5},{\"metric\":\"num_prompt_tokens\",\"value\":11},{\"metric\":\"num_total_tokens\",\"value\":16}],\"delta\":{\"type\":\"text\",\"text\":\"\"}}}\n\n",
);

const ANTHROPIC_JSON: &str = r#"{"id":"a","type":"message","model":"claude-x","content":[{"type":"text","text":"Seven."}],"stop_reason":"end_turn","usage":{"input_tokens":11,"output_tokens":5}}"#;

pub(crate) const ANTHROPIC_SSE: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Seven and\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const GENERIC_JSON: &str =
    r#"{"model":"g","output":"Seven.","usage":{"prompt_tokens":11,"completion_tokens":5}}"#;

/// Host, path, headers, body, model and finish reason of an answer that reports 11 tokens in and 5 out.
type Case = (
    &'static str,
    &'static str,
    (&'static str, &'static str),
    &'static str,
    &'static str,
    Option<&'static str>,
);

const CASES: [Case; 7] = [
    (
        "api.openai.com",
        "/v1/chat/completions",
        JSON,
        OPENAI_JSON,
        "gpt-m-2",
        Some("stop"),
    ),
    (
        "api.openai.com",
        "/v1/chat/completions",
        SSE,
        OPENAI_SSE,
        "gpt-m-2",
        Some("stop"),
    ),
    (
        "api.llama.com",
        "/v1/chat/completions",
        JSON,
        META_JSON,
        "Llama-x",
        Some("stop"),
    ),
    (
        "api.llama.com",
        "/v1/chat/completions",
        SSE,
        META_SSE,
        "",
        Some("stop"),
    ),
    (
        "api.anthropic.com",
        "/v1/messages",
        JSON,
        ANTHROPIC_JSON,
        "claude-x",
        Some("end_turn"),
    ),
    (
        "api.anthropic.com",
        "/v1/messages",
        SSE,
        ANTHROPIC_SSE,
        "claude-x",
        Some("end_turn"),
    ),
    (
        "generic.example",
        "/generate",
        JSON,
        GENERIC_JSON,
        "g",
        None,
    ),
];

fn books(bench: &Bench) -> [u64; 4] {
    ["rpm", "itpm", "otpm", "tpm"].map(|policy| bench.used(policy))
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_and_usage_is_settled_however_the_body_is_cut() {
    for (host, path, content_type, body, model, finish) in CASES {
        for size in [1, 2, 3, 7, 64, body.len()] {
            let bench = Bench::new();
            let pieces = body
                .as_bytes()
                .chunks(size)
                .map(|piece| data(Bytes::copy_from_slice(piece)));
            let client = Client::one(response(200, &[content_type], frames(pieces)));
            let answer = bench.run(&Ask::to(host, path), &client).await.unwrap();
            assert_eq!(answer.headers()["content-type"], content_type.1);
            assert_eq!(
                (report(&answer).attempts(), report(&answer).verdict()),
                (1, None)
            );
            assert_eq!(
                bench.gate().open_reservations(),
                1,
                "held until the end of the body"
            );
            assert_eq!(books(&bench), [1, INPUT, OUTPUT, INPUT + OUTPUT]);

            assert_eq!(read_all(answer).await, body, "{host} by {size}");
            bench.assert_over();
            assert_eq!(
                bench.log.settled(),
                [(reported(), Source::Reported)],
                "{host} by {size}"
            );
            assert_eq!(books(&bench), [1, 11, 5, 16], "accounted as reported");
            let tokens = Tokens {
                input: 11,
                output: 5,
                ..Tokens::default()
            };
            let expected = End {
                response_model: Some(model.to_owned()).filter(|model| !model.is_empty()),
                finish_reason: finish.map(Into::into),
                tokens: Some(tokens),
                attempts: 1,
                status: Some(200),
                ..End::default()
            };
            assert_eq!(bench.log.end(), expected, "{host} by {size}");
            assert_eq!(
                bench.log.all().last(),
                Some(&Seen::Finished(expected)),
                "the end comes after the settlement"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_keep_their_borders() {
    let bench = Bench::new();
    let pieces = [
        "data: {\"choices\":[{\"de",
        "lta\":{\"content\":\"a\"}}]}\n",
        "\n",
        "data: [DONE]\n\n",
    ];
    let client = Client::one(sse(frames(pieces.map(data))));
    let mut body = bench
        .run(&Ask::openai(), &client)
        .await
        .unwrap()
        .into_body();
    for piece in pieces {
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece);
    }
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_handed_on_before_the_next_is_made() {
    let bench = Bench::new();
    let (mut sender, body) = channel();
    let client = Client::one(sse(body));
    let mut body = bench
        .run(&Ask::openai(), &client)
        .await
        .unwrap()
        .into_body();
    let mut passed = 0;
    for piece in OPENAI_SSE.split_inclusive("\n\n") {
        // The sender has made nothing further when the caller gets this one.
        sender
            .send_data(Bytes::from_static(piece.as_bytes()))
            .await
            .unwrap();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, piece);
        passed += 1;
        assert_eq!(bench.gate().open_reservations(), 1);
    }
    assert_eq!(passed, 4);
    drop(sender);
    assert!(body.frame().await.is_none());
    bench.assert_over();
    assert_eq!(bench.log.settled(), [(reported(), Source::Reported)]);
}

#[tokio::test(start_paused = true)]
async fn trailers_pass_and_the_call_is_settled_once() {
    let bench = Bench::new();
    let trailers = HeaderMap::from_iter([(http::header::EXPIRES, HeaderValue::from_static("0"))]);
    let client = Client::one(sse(frames([
        data(OPENAI_SSE),
        Ok(Frame::trailers(trailers.clone())),
    ])));
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    let (bytes, passed) = read(answer.into_body()).await.unwrap();
    assert_eq!((bytes, passed), (OPENAI_SSE.into(), Some(trailers)));
    bench.assert_over();
    assert_eq!(bench.log.settled(), [(reported(), Source::Reported)]);
}

#[tokio::test(start_paused = true)]
async fn a_size_hint_passes() {
    let bench = Bench::new();
    let client = Client::one(json(OPENAI_JSON));
    let body = bench
        .run(&Ask::openai(), &client)
        .await
        .unwrap()
        .into_body();
    assert_eq!(body.size_hint().exact(), Some(OPENAI_JSON.len() as u64));
    assert!(!body.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_ask_after_the_last_frame_has_its_call_settled() {
    let bench = Bench::new();
    let client = Client::one(json(OPENAI_JSON));
    let mut body = bench
        .run(&Ask::openai(), &client)
        .await
        .unwrap()
        .into_body();
    drop(body.frame().await);
    assert!(body.is_end_stream());
    bench.assert_over();
    assert_eq!(bench.log.settled(), [(reported(), Source::Reported)]);
    drop(body);
    bench.assert_over();
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_body_is_over_at_once() {
    let bench = Bench::new();
    let client = Client::one(response(
        204,
        &[],
        http_body_util::Empty::new()
            .map_err(|never| match never {})
            .boxed_unsync(),
    ));
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    assert!(answer.body().is_end_stream());
    bench.assert_over();
    drop(answer);
    assert_eq!(bench.log.end().error, None);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_costs_is_reported() {
    let bench = Bench::new();
    let ask = Ask::openai().body(r#"{"model":"gpt-m","messages":[]}"#);
    let answer = bench
        .run(&ask, &Client::one(json(OPENAI_JSON)))
        .await
        .unwrap();
    read_all(answer).await;
    // 11 at two dollars a million, 5 at ten, in nano-dollars.
    assert_eq!(bench.log.end().cost, Some(11 * 2_000 + 5 * 10_000));
}

#[tokio::test(start_paused = true)]
async fn without_an_estimate_of_the_caller_the_prompt_and_the_cap_are_reserved_and_then_corrected()
{
    let bench = Bench::new();
    let mut ask = Ask::openai();
    ask.options = tollgate_http::CallOptions::new();
    ask.body = Some(
        r#"{"model":"other","max_tokens":50,"messages":[{"role":"user","content":"123456789"}]}"#
            .into(),
    );
    let answer = bench
        .run(&ask, &Client::one(json(OPENAI_JSON)))
        .await
        .unwrap();
    // Three groups of digits, one message and the opening of an answer, with the margin of a beginner.
    let input = bench.used("itpm");
    assert!((9..=18).contains(&input), "{input}");
    assert_eq!(bench.used("otpm"), 50);
    read_all(answer).await;
    assert_eq!(books(&bench), [1, 11, 5, 16]);
    assert_eq!(
        bench.log.settled(),
        [(Amounts::call(11, 5), Source::Reported)]
    );
}
