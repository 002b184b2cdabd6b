//! Each dialect, whole and streamed: what it reports is what the books hold.

use crate::support::{SCOUT, chat, events_of, header, json_of, post, streamed};
use serde_json::{Value, json};
use tollgate_sim::{Latency, Provider, Server, tokens};

const PROMPT: &str = "How was the toll road over the bridge paid for in 1931?";

fn provider(preset: &str) -> Server {
    let builder = Provider::preset(preset).expect("a preset");
    builder.latency(Latency::none()).start().expect("a server")
}

/// The books must hold exactly one call of this usage, whose text counts as many tokens.
fn check(server: &Server, input: &Value, output: &Value, text: &str) {
    assert_eq!(*input, json!(tokens(PROMPT) + 4));
    assert_eq!(*output, json!(tokens(text)));
    let books = server.books();
    assert_eq!((books.calls, books.completed, books.in_flight), (1, 1, 0));
    assert_eq!(json!(books.input_tokens), *input);
    assert_eq!(json!(books.output_tokens), *output);
}

fn joined(events: &[Value], pointer: &str) -> String {
    let texts = events
        .iter()
        .filter_map(|event| event.pointer(pointer)?.as_str());
    texts.collect()
}

#[tokio::test]
async fn openai_answers_whole() {
    let server = provider("openai");
    let call = post(
        &server,
        "/v1/chat/completions",
        &chat("gpt-4o", PROMPT, 3_000),
    );
    let response = call.send().await.expect("an answer");
    assert_eq!(
        header(&response, "openai-organization").as_deref(),
        Some("org-acme")
    );
    let body = json_of(response).await;
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let text = body["choices"][0]["message"]["content"]
        .as_str()
        .expect("a text");
    check(
        &server,
        &body["usage"]["prompt_tokens"],
        &body["usage"]["completion_tokens"],
        text,
    );
}

#[tokio::test]
async fn openai_streams_usage_only_when_asked() {
    for asked in [true, false] {
        let server = provider("openai");
        let mut body = streamed(chat("gpt-4o", PROMPT, 3_000));
        if asked {
            body["stream_options"] = json!({"include_usage": true});
        }
        let response = post(&server, "/v1/chat/completions", &body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            header(&response, "content-type").as_deref(),
            Some("text/event-stream")
        );
        let (events, done) = events_of(response).await;
        assert!(done);
        let text = joined(&events, "/choices/0/delta/content");
        let last = events.last().expect("events");
        if asked {
            assert_eq!(last["choices"], json!([]));
            assert!(
                events[..events.len() - 1]
                    .iter()
                    .all(|event| event["usage"].is_null())
            );
            check(
                &server,
                &last["usage"]["prompt_tokens"],
                &last["usage"]["completion_tokens"],
                &text,
            );
        } else {
            assert!(events.iter().all(|event| event.get("usage").is_none()));
            assert_eq!(server.books().output_tokens, tokens(&text));
        }
    }
}

#[tokio::test]
async fn several_choices_are_billed_together() {
    let server = provider("openai");
    let mut body = chat("gpt-4o", PROMPT, 40);
    body["n"] = json!(3);
    let body = json_of(
        post(&server, "/v1/chat/completions", &body)
            .send()
            .await
            .expect("an answer"),
    )
    .await;
    let choices = body["choices"].as_array().expect("choices");
    let texts = choices
        .iter()
        .map(|choice| tokens(choice["message"]["content"].as_str().expect("a text")));
    assert_eq!(choices.len(), 3);
    assert_eq!(texts.sum::<u64>(), server.books().output_tokens);
    assert_eq!(server.calls()[0].reserved, tokens(PROMPT) + 4 + 3 * 40);
}

#[tokio::test]
async fn meta_answers_whole_in_its_own_format() {
    let server = provider("llama-api");
    let call = post(&server, "/v1/chat/completions", &chat(SCOUT, PROMPT, 3_000));
    let body = json_of(call.send().await.expect("an answer")).await;
    let text = body["completion_message"]["content"]["text"]
        .as_str()
        .expect("a text");
    let metrics = &body["metrics"];
    assert_eq!(metrics[0]["metric"], "num_completion_tokens");
    check(&server, &metrics[1]["value"], &metrics[0]["value"], text);
}

#[tokio::test]
async fn meta_streams_metrics_and_no_done() {
    let server = provider("llama-api");
    let body = streamed(chat(SCOUT, PROMPT, 3_000));
    let (events, done) = events_of(
        post(&server, "/v1/chat/completions", &body)
            .send()
            .await
            .expect("an answer"),
    )
    .await;
    assert!(!done);
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event"]["event_type"].as_str())
        .collect();
    assert_eq!(
        (kinds[0], kinds[1], &kinds[kinds.len() - 2..]),
        ("start", "progress", &["complete", "metrics"][..])
    );
    let metrics = &events.last().expect("events")["event"]["metrics"];
    check(
        &server,
        &metrics[1]["value"],
        &metrics[0]["value"],
        &joined(&events, "/event/delta/text"),
    );
}

#[tokio::test]
async fn meta_also_serves_openais_format_and_its_own_by_host_or_path() {
    let check = async |preset, path, host: &str, model, native: bool| {
        let server = provider(preset);
        let call = post(&server, path, &chat(model, PROMPT, 50)).header("host", host);
        let body = json_of(call.send().await.expect("an answer")).await;
        assert_eq!(
            body.get("completion_message").is_some(),
            native,
            "{preset} {path} {host}"
        );
        assert_eq!(
            body.get("choices").is_some(),
            !native,
            "{preset} {path} {host}"
        );
    };
    check(
        "llama-api",
        "/compat/v1/chat/completions",
        "localhost",
        SCOUT,
        false,
    )
    .await;
    check(
        "llama-api",
        "/v1/chat/completions",
        "localhost",
        SCOUT,
        true,
    )
    .await;
    check(
        "openai",
        "/v1/chat/completions",
        "localhost",
        "gpt-4o",
        false,
    )
    .await;
    check(
        "openai",
        "/v1/chat/completions",
        "api.llama.com",
        "gpt-4o",
        true,
    )
    .await;
    check(
        "openai",
        "/llama/v1/chat/completions",
        "localhost",
        "gpt-4o",
        true,
    )
    .await;
}

#[tokio::test]
async fn anthropic_answers_whole() {
    let server = provider("claude-opus-4");
    let call = post(
        &server,
        "/v1/messages",
        &chat("claude-opus-4-20250514", PROMPT, 3_000),
    );
    let body = json_of(call.send().await.expect("an answer")).await;
    assert_eq!(
        (&body["type"], &body["stop_reason"]),
        (&json!("message"), &json!("end_turn"))
    );
    let text = body["content"][0]["text"].as_str().expect("a text");
    check(
        &server,
        &body["usage"]["input_tokens"],
        &body["usage"]["output_tokens"],
        text,
    );
}

#[tokio::test]
async fn anthropic_streams_cumulative_usage() {
    let server = provider("claude-opus-4");
    let body = streamed(chat("claude-opus-4-20250514", PROMPT, 3_000));
    let (events, done) = events_of(
        post(&server, "/v1/messages", &body)
            .send()
            .await
            .expect("an answer"),
    )
    .await;
    assert!(!done);
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(
        kinds[kinds.len() - 3..],
        ["content_block_stop", "message_delta", "message_stop"]
    );
    assert_eq!(events[0]["message"]["usage"]["output_tokens"], 1);
    let usage = &events[events.len() - 2]["usage"];
    check(
        &server,
        &usage["input_tokens"],
        &usage["output_tokens"],
        &joined(&events, "/delta/text"),
    );
}

#[tokio::test]
async fn the_generic_dialect_answers_at_both_paths() {
    for (path, name) in [("/generate", "prompt"), ("/v1/process", "text")] {
        let server = provider("llama-3");
        let body = json_of(
            post(&server, path, &json!({name: PROMPT}))
                .send()
                .await
                .expect("an answer"),
        )
        .await;
        let usage = &body["token_usage"];
        check(
            &server,
            &usage["prompt_tokens"],
            &usage["completion_tokens"],
            body["output"].as_str().expect("a text"),
        );
    }
}

#[tokio::test]
async fn the_cap_ends_an_answer_and_says_so() {
    let check = async |preset, path, model, pointer: &str, expected| {
        let server = provider(preset);
        let body = json_of(
            post(&server, path, &chat(model, PROMPT, 3))
                .send()
                .await
                .expect("an answer"),
        )
        .await;
        assert_eq!(body.pointer(pointer), Some(&json!(expected)));
        assert_eq!(server.books().output_tokens, 3);
    };
    check(
        "openai",
        "/v1/chat/completions",
        "gpt-4o",
        "/choices/0/finish_reason",
        "length",
    )
    .await;
    check(
        "llama-api",
        "/v1/chat/completions",
        SCOUT,
        "/completion_message/stop_reason",
        "length",
    )
    .await;
    check(
        "claude-opus-4",
        "/v1/messages",
        "claude-opus-4",
        "/stop_reason",
        "max_tokens",
    )
    .await;
}

#[tokio::test]
async fn the_same_call_gets_the_same_answer_from_the_same_seed() {
    let ask = async |seed| {
        let builder = Provider::preset("openai")
            .expect("a preset")
            .latency(Latency::none())
            .seed(seed);
        let server = builder.start().expect("a server");
        let call = post(
            &server,
            "/v1/chat/completions",
            &chat("gpt-4o", PROMPT, 3_000),
        );
        json_of(call.send().await.expect("an answer")).await["choices"].clone()
    };
    assert_eq!(ask(1).await, ask(1).await);
    assert_ne!(ask(1).await, ask(2).await);
}

#[tokio::test]
async fn bad_requests_are_refused_in_the_dialects_words_and_counted() {
    let builder = Provider::preset("openai")
        .expect("a preset")
        .max_body(200_000);
    let server = builder.start().expect("a server");
    let check = async |path, body: Value, status, pointer: &str, expected: &str| {
        let response = post(&server, path, &body).send().await.expect("an answer");
        assert_eq!(response.status(), status);
        let body = json_of(response).await;
        assert_eq!(body.pointer(pointer), Some(&json!(expected)), "{body}");
    };
    let (openai, anthropic) = ("/v1/chat/completions", "/v1/messages");
    let long = "toll ".repeat(130_000);
    check(
        openai,
        json!({"model": "gpt-4o"}),
        400,
        "/error/type",
        "invalid_request_error",
    )
    .await;
    check(
        openai,
        chat("gpt-5", "toll", 5),
        404,
        "/error/code",
        "model_not_found",
    )
    .await;
    check(
        openai,
        chat("gpt-4o", &"!".repeat(130_000), 5),
        400,
        "/error/code",
        "context_length_exceeded",
    )
    .await;
    check(
        openai,
        chat("gpt-4o", &long, 5),
        413,
        "/error/type",
        "invalid_request_error",
    )
    .await;
    check(
        anthropic,
        chat("gpt-5", "toll", 5),
        404,
        "/error/type",
        "not_found_error",
    )
    .await;
    check(
        anthropic,
        chat("gpt-4o", &long, 5),
        413,
        "/error/type",
        "request_too_large",
    )
    .await;
    check(
        "/llama/v1/chat/completions",
        json!({}),
        400,
        "/title",
        "Bad Request",
    )
    .await;
    check(
        "/generate",
        json!({}),
        400,
        "/error",
        "'prompt' or 'text' is required",
    )
    .await;

    let without_key = reqwest::Client::new().post(format!("{}{openai}", server.url()));
    let response = without_key
        .json(&chat("gpt-4o", "toll", 5))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 401);
    let books = server.books();
    assert_eq!(
        (books.requests_received, books.rejected, books.calls),
        (9, 9, 0)
    );
}

#[tokio::test]
async fn a_dialect_that_is_not_served_is_not_found() {
    let builder = Provider::preset("openai")
        .expect("a preset")
        .dialects(&[tollgate_sim::Dialect::OpenAi]);
    let server = builder.latency(Latency::none()).start().expect("a server");
    let check = async |path, status| {
        let response = post(&server, path, &chat("gpt-4o", "toll", 5))
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), status, "{path}");
    };
    check("/v1/chat/completions", 200).await;
    check("/v1/messages", 404).await;
}
