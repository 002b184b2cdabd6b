//! What is known of a call before it is sent.

mod caps;
mod dialects;

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_tokens::{
    Descriptor, Dialect, Operation, TextKinds, Warning, describe, lower_output_cap,
};

use Dialect::{Anthropic, Generic, MetaLlama, OpenAiChat};

const CHAT: &str = "/v1/chat/completions";

fn call(dialect: Dialect, path: &str, body: Value) -> Descriptor {
    describe(Some(dialect), path, body.to_string().as_bytes())
}

fn chat(body: Value) -> Descriptor {
    call(OpenAiChat, CHAT, body)
}

#[test]
fn a_chat_is_described_whole() {
    let body = json!({
        "model": "gpt-4o-mini",
        "messages": [
            { "role": "system", "content": "caf\u{e9}" },
            { "role": "user", "content": [{ "type": "text", "text": "seven" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }] },
        ],
        "max_tokens": 100,
        "max_completion_tokens": 50,
        "n": 3,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    assert_eq!(
        chat(body),
        Descriptor {
            dialect: Some(OpenAiChat),
            operation: Operation::Chat,
            model: Some("gpt-4o-mini".into()),
            output_cap: Some(150),
            choices: 3,
            stream: true,
            reports_usage: true,
            text_bytes: 10,
            kinds: TextKinds::of("caf\u{e9}").and(&TextKinds::of("seven")),
            token_ids: 0,
            messages: 2,
            images: 1,
            image_tokens: 1_600,
            hidden_context: false,
            route: None,
            share: None,
            warnings: vec![],
        }
    );
}

#[test]
fn the_path_tells_the_operation() {
    let check = |dialect, path: &str, expected: Operation| {
        assert_eq!(call(dialect, path, json!({})).operation, expected, "{path}");
    };
    check(OpenAiChat, "/v1/chat/completions?x=1", Operation::Chat);
    check(OpenAiChat, "/v1/completions", Operation::TextCompletion);
    check(OpenAiChat, "/v1/embeddings/", Operation::Embeddings);
    check(OpenAiChat, "/v1/responses", Operation::Chat);
    check(
        OpenAiChat,
        "/v1/responses/input_tokens",
        Operation::CountTokens,
    );
    check(OpenAiChat, "/v1/models", Operation::Other);
    check(Anthropic, "/v1/messages", Operation::Chat);
    check(
        Anthropic,
        "/v1/messages/count_tokens",
        Operation::CountTokens,
    );
    assert_eq!(Operation::Embeddings.as_str(), "embeddings");
}

#[test]
fn where_the_path_tells_nothing_the_body_does() {
    let check = |dialect, body, expected: Operation| {
        assert_eq!(call(dialect, "/proxy", body).operation, expected)
    };
    check(OpenAiChat, json!({ "messages": [] }), Operation::Chat);
    check(
        OpenAiChat,
        json!({ "prompt": "x" }),
        Operation::TextCompletion,
    );
    check(Generic, json!({ "text": "x" }), Operation::TextCompletion);
    check(OpenAiChat, json!({ "model": "x" }), Operation::Other);
}

#[test]
fn plain_prompts_are_read() {
    let fixture = |name: &str| {
        let path = format!(
            "{}/tests/fixtures/generic/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let body = std::fs::read(path).expect("the fixture is there");
        let found = describe(Some(Generic), "/generate", &body);
        (
            found.operation,
            found.output_cap,
            found.text_bytes,
            found.model,
            found.warnings,
        )
    };
    assert_eq!(
        fixture("request-prompt.json"),
        (Operation::TextCompletion, Some(150), 62, None, vec![])
    );
    assert_eq!(
        fixture("request-text.json"),
        (Operation::TextCompletion, None, 70, None, vec![])
    );
}

#[test]
fn an_unknown_dialect_counts_as_one_request() {
    let found = describe(None, CHAT, br#"{"model":"m"}"#);
    assert_eq!(
        (
            found.dialect,
            found.operation,
            found.model,
            found.text_bytes
        ),
        (None, Operation::Other, None, 0)
    );
    assert_eq!(found.warnings, [Warning::UnknownFormat]);
}

#[test]
fn an_unreadable_body_is_described_by_its_path_alone() {
    for body in [
        &b"not json"[..],
        b"",
        b"{\"model\":\"m\",\"messages\":[",
        b"{\"model\":\"m\"} x",
        b"\x1f\x8b\x08",
    ] {
        let found = describe(Some(OpenAiChat), CHAT, body);
        assert_eq!(
            (found.dialect, found.operation, found.model),
            (Some(OpenAiChat), Operation::Other, None)
        );
        assert_eq!(found.warnings, [Warning::NotJson]);
    }
    let found = describe(Some(OpenAiChat), "/v1/models", b"");
    assert_eq!(found.warnings, [], "a path that needs no body");
}

#[test]
fn an_azure_deployment_in_the_path_is_the_model() {
    let path = "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21";
    let model = |path, body| call(OpenAiChat, path, body).model;
    assert_eq!(model(path, json!({})).as_deref(), Some("my-gpt"));
    assert_eq!(
        model(path, json!({ "model": "other" })).as_deref(),
        Some("my-gpt")
    );
    assert_eq!(
        model("/openai/v1/chat/completions", json!({ "model": "other" })).as_deref(),
        Some("other")
    );
}

#[test]
fn each_prompt_of_a_completion_is_answered_so_often() {
    let check = |body: Value, choices, text_bytes, token_ids| {
        let found = call(OpenAiChat, "/v1/completions", body.clone());
        assert_eq!(
            (
                found.choices,
                found.text_bytes,
                found.token_ids,
                found.messages
            ),
            (choices, text_bytes, token_ids, 0),
            "{body}"
        );
    };
    check(json!({ "prompt": "four" }), 1, 4, 0);
    check(json!({ "prompt": ["four", "five"], "n": 2 }), 4, 8, 0);
    check(json!({ "prompt": "four", "n": 2, "best_of": 5 }), 5, 4, 0);
    check(json!({ "prompt": [1, 2, 3] }), 1, 0, 3);
    check(json!({ "prompt": [[1, 2], [3]], "n": 2 }), 4, 0, 3);
}

#[test]
fn embeddings_generate_nothing() {
    let check = |input: Value, text_bytes, token_ids| {
        let found = call(
            OpenAiChat,
            "/v1/embeddings",
            json!({ "model": "e", "input": input }),
        );
        assert_eq!(
            (found.output_cap, found.messages, found.choices),
            (Some(0), 0, 1)
        );
        assert_eq!(
            (found.text_bytes, found.token_ids),
            (text_bytes, token_ids),
            "{input}"
        );
    };
    check(json!("four"), 4, 0);
    check(json!(["four", "five"]), 8, 0);
    check(json!([1, 2, 3]), 0, 3);
    check(json!([[1, 2], [3]]), 0, 3);
}

#[test]
fn only_an_older_openai_stream_may_leave_usage_out() {
    let check = |dialect, path, body: Value, expected| {
        assert_eq!(
            call(dialect, path, body.clone()).reports_usage,
            expected,
            "{body}"
        )
    };
    check(OpenAiChat, CHAT, json!({}), true);
    check(OpenAiChat, CHAT, json!({ "stream": true }), false);
    check(
        OpenAiChat,
        CHAT,
        json!({ "stream": true, "stream_options": { "include_usage": false } }),
        false,
    );
    check(
        OpenAiChat,
        CHAT,
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
        true,
    );
    check(OpenAiChat, "/v1/responses", json!({ "stream": true }), true);
    check(Anthropic, "/v1/messages", json!({ "stream": true }), true);
    check(MetaLlama, CHAT, json!({ "stream": true }), true);
}

#[test]
fn tools_are_prompt_text() {
    let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": { "minimum": 12 } } }]);
    let bytes = "type".len()
        + "function".len() * 2
        + "name".len()
        + "f".len()
        + "parameters".len()
        + "minimum".len()
        + "12".len();
    assert_eq!(chat(json!({ "tools": tools })).text_bytes, bytes as u64);
    let call = json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "zzz", "function": { "name": "f", "arguments": "{\"x\":1}" } }] });
    assert_eq!(chat(json!({ "messages": [call] })).text_bytes, 8);
}

#[test]
fn what_the_body_does_not_hold_is_hidden_context() {
    let check = |dialect, path, body: Value, expected| {
        assert_eq!(
            call(dialect, path, body.clone()).hidden_context,
            expected,
            "{body}"
        )
    };
    let responses = "/v1/responses";
    check(
        OpenAiChat,
        responses,
        json!({ "input": "x", "previous_response_id": "r" }),
        true,
    );
    check(
        OpenAiChat,
        responses,
        json!({ "input": "x", "previous_response_id": null, "conversation": null }),
        false,
    );
    check(
        OpenAiChat,
        responses,
        json!({ "input": "x", "conversation": { "id": "c" } }),
        true,
    );
    check(
        OpenAiChat,
        responses,
        json!({ "prompt": { "id": "p", "variables": { "a": "b" } } }),
        true,
    );
    check(
        OpenAiChat,
        responses,
        json!({ "input": [{ "type": "item_reference", "id": "i" }] }),
        true,
    );
    check(
        OpenAiChat,
        responses,
        json!({ "input": [{ "role": "user", "content": [{ "type": "input_file", "file_id": "f" }] }] }),
        true,
    );
    check(
        OpenAiChat,
        CHAT,
        json!({ "messages": [{ "role": "user", "content": [{ "type": "input_audio", "input_audio": { "data": "AAAA" } }] }] }),
        true,
    );
    let document = |source: Value| json!({ "messages": [{ "role": "user", "content": [{ "type": "document", "source": source }] }] });
    check(
        Anthropic,
        "/v1/messages",
        document(json!({ "type": "base64", "data": "AAAA" })),
        true,
    );
    check(
        Anthropic,
        "/v1/messages",
        document(json!({ "type": "text", "data": "four" })),
        false,
    );
    check(
        Anthropic,
        "/v1/messages",
        json!({ "mcp_servers": [{ "url": "u" }] }),
        true,
    );
    check(
        Anthropic,
        "/v1/messages",
        json!({ "mcp_servers": [] }),
        false,
    );
}

#[test]
fn a_responses_request_is_read() {
    let check = |body: Value, text_bytes, messages, images| {
        let found = call(OpenAiChat, "/v1/responses", body.clone());
        assert_eq!(
            (found.text_bytes, found.messages, found.images),
            (text_bytes, messages, images),
            "{body}"
        );
    };
    check(json!({ "input": "four", "instructions": "three" }), 9, 2, 0);
    check(
        json!({ "input": [{ "role": "user", "content": "four" }, { "role": "user", "content": [{ "type": "input_text", "text": "five" }, { "type": "input_image", "image_url": "data:AAAA" }] }] }),
        8,
        2,
        1,
    );
    check(
        json!({ "input": [{ "type": "function_call", "name": "f", "arguments": "{}" }, { "type": "function_call_output", "call_id": "zzz", "output": "four" }] }),
        7,
        2,
        0,
    );
}

#[test]
fn an_anthropic_request_is_read() {
    let check = |body: Value, text_bytes, messages, images| {
        let found = call(Anthropic, "/v1/messages", body.clone());
        assert_eq!(
            (found.text_bytes, found.messages, found.images),
            (text_bytes, messages, images),
            "{body}"
        );
    };
    check(
        json!({ "system": "four", "messages": [{ "role": "user", "content": "five" }] }),
        8,
        2,
        0,
    );
    check(
        json!({ "system": [{ "type": "text", "text": "four", "cache_control": { "type": "ephemeral" } }] }),
        4,
        1,
        0,
    );
    let image = json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } });
    let document = json!({ "source": { "data": "seven77", "type": "text" }, "type": "document", "title": "t" });
    check(
        json!({ "messages": [{ "role": "user", "content": [image, document] }] }),
        8,
        1,
        1,
    );
    let result = json!({ "type": "tool_result", "tool_use_id": "zzz", "content": [{ "type": "text", "text": "four" }, image] });
    let call = json!({ "type": "tool_use", "id": "zzz", "name": "f", "input": { "x": [1, "yy"] } });
    check(
        json!({ "messages": [{ "role": "assistant", "content": [call] }, { "role": "user", "content": [result] }] }),
        9,
        2,
        1,
    );
}

#[test]
fn a_descriptor_holds_no_text_of_the_prompt() {
    let found = chat(
        json!({ "model": "m", "messages": [{ "role": "user", "content": "secret" }], "user": "secret" }),
    );
    assert!(!format!("{found:?}").contains("secret"));
}

proptest! {
    #[test]
    fn text_is_measured_as_the_model_sees_it(texts in prop::collection::vec(any::<String>(), 0..6), parts: bool, pretty: bool) {
        let content = |text: &String| if parts { json!([{ "type": "text", "text": text }]) } else { json!(text) };
        let messages: Vec<_> = texts.iter().map(|text| json!({ "role": "user", "content": content(text) })).collect();
        let body = json!({ "messages": messages });
        let body = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.expect("a value can be written");
        let found = describe(Some(OpenAiChat), CHAT, &body);
        prop_assert_eq!(found.text_bytes, texts.iter().map(|text| text.len() as u64).sum::<u64>());
        prop_assert_eq!(found.messages as usize, texts.len());
    }

    #[test]
    fn no_body_panics(dialect in prop::sample::select(Dialect::ALL), path: String, body: Vec<u8>, cap: u64) {
        let _ = describe(Some(dialect), &path, &body);
        let _ = lower_output_cap(dialect, &body, cap);
    }
}
