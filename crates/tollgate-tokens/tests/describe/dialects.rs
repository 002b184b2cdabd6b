//! Requests in the formats of Gemini, Cohere, Bedrock and Ollama, and what providers make of their own.

use serde_json::{Value, json};
use tollgate_tokens::Dialect::{Anthropic, Bedrock, Cohere, Gemini, Ollama, OpenAiChat};
use tollgate_tokens::{
    Catalog, Conventions, Descriptor, Dialect, Operation, describe_as, lower_output_cap,
};

use crate::{CHAT, call};

/// What a request is described as, as far as it differs from dialect to dialect.
#[track_caller]
fn check(
    (dialect, path): (Dialect, &str),
    body: Value,
    (operation, model, cap, stream): (Operation, Option<&str>, Option<u64>, bool),
    (text, messages, images, hidden): (u64, u32, u32, bool),
) {
    let found = call(dialect, path, body.clone());
    assert_eq!(
        (
            found.operation,
            found.model.as_deref(),
            found.output_cap,
            found.stream
        ),
        (operation, model, cap, stream),
        "{body}"
    );
    assert_eq!(
        (
            found.text_bytes,
            found.messages,
            found.images,
            found.hidden_context
        ),
        (text, messages, images, hidden),
        "{body}"
    );
    assert_eq!(found.warnings, [], "{body}");
}

#[test]
fn a_gemini_request_is_read() {
    let path = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse";
    let body = json!({
        "systemInstruction": { "parts": [{ "text": "four" }] },
        "contents": [
            { "role": "user", "parts": [{ "text": "seven77" }, { "inlineData": { "mimeType": "image/png", "data": "AAAA" } }] },
            { "role": "model", "parts": [{ "functionCall": { "name": "f", "args": { "x": 12 } } }] },
            { "parts": { "functionResponse": { "name": "f", "response": { "y": "z" } } } },
        ],
        "generationConfig": { "maxOutputTokens": 100, "candidateCount": 3 },
    });
    check(
        (Gemini, path),
        body,
        (Operation::Chat, Some("gemini-2.5-pro"), Some(300), true),
        (4 + 7 + 4 + 3, 4, 1, false),
    );
    let path = "/v1/projects/p/locations/l/publishers/google/models/g:generateContent";
    let spelt = json!({ "contents": [], "generation_config": { "max_output_tokens": 9 }, "cached_content": "c" });
    check(
        (Gemini, path),
        spelt,
        (Operation::Chat, Some("g"), Some(9), false),
        (0, 0, 0, true),
    );
    for part in [
        json!({ "fileData": { "mimeType": "application/pdf", "fileUri": "u" } }),
        json!({ "inline_data": { "mime_type": "audio/mp3", "data": "AAAA" } }),
    ] {
        let body = json!({ "contents": [{ "parts": [part] }] });
        check(
            (Gemini, path),
            body,
            (Operation::Chat, Some("g"), None, false),
            (0, 1, 0, true),
        );
    }
    let embed = json!({ "requests": [{ "content": { "parts": [{ "text": "four" }] } }] });
    check(
        (Gemini, "/v1/models/e:batchEmbedContents"),
        embed,
        (Operation::Embeddings, Some("e"), Some(0), false),
        (4, 0, 0, false),
    );
    let count =
        json!({ "generateContentRequest": { "contents": [{ "parts": [{ "text": "four" }] }] } });
    check(
        (Gemini, "/v1/models/g:countTokens"),
        count,
        (Operation::CountTokens, Some("g"), Some(0), false),
        (4, 1, 0, false),
    );
}

#[test]
fn a_cohere_request_is_read() {
    let second = json!({
        "model": "command-a",
        "messages": [
            { "role": "user", "content": "four" },
            { "role": "user", "content": [{ "type": "text", "text": "five5" }, { "type": "image_url", "image_url": { "url": "data:AAAA" } }] },
            { "role": "assistant", "tool_calls": [{ "id": "zz", "function": { "name": "f", "arguments": "{}" } }] },
        ],
        "documents": ["six666"],
        "max_tokens": 50,
        "stream": true,
    });
    check(
        (Cohere, "/v2/chat"),
        second,
        (Operation::Chat, Some("command-a"), Some(50), true),
        (4 + 5 + 3 + 6, 3, 1, false),
    );
    let first = json!({ "message": "four", "preamble": "seven77", "chat_history": [{ "role": "USER", "message": "ab" }], "connectors": [{ "id": "web-search" }] });
    check(
        (Cohere, "/v1/chat"),
        first,
        (Operation::Chat, None, None, false),
        (13, 3, 0, true),
    );
    let embed = json!({ "model": "e", "texts": ["four", "five5"], "images": ["data:AAAA"] });
    check(
        (Cohere, "/v2/embed"),
        embed,
        (Operation::Embeddings, Some("e"), Some(0), false),
        (9, 0, 1, false),
    );
    let tokenize = json!({ "model": "e", "text": "four" });
    check(
        (Cohere, "/v1/tokenize"),
        tokenize,
        (Operation::CountTokens, Some("e"), Some(0), false),
        (4, 1, 0, false),
    );
}

#[test]
fn a_bedrock_request_is_read() {
    let path = "/model/anthropic.claude-3%3A0/converse-stream";
    let converse = json!({
        "system": [{ "text": "four" }],
        "messages": [
            { "role": "user", "content": [{ "text": "seven77" }, { "image": { "format": "png", "source": { "bytes": "AAAA" } } }] },
            { "role": "assistant", "content": [{ "toolUse": { "toolUseId": "zz", "name": "f", "input": { "x": 1 } } }] },
            { "role": "user", "content": [{ "toolResult": { "toolUseId": "zz", "content": [{ "json": { "y": "z" } }, { "text": "ok" }] } }] },
        ],
        "inferenceConfig": { "maxTokens": 100, "temperature": 0.5 },
    });
    check(
        (Bedrock, path),
        converse,
        (
            Operation::Chat,
            Some("anthropic.claude-3:0"),
            Some(100),
            true,
        ),
        (4 + 7 + 3 + 4, 4, 1, false),
    );
    let document = json!({ "messages": [{ "role": "user", "content": [{ "document": { "name": "d" } }] }], "promptVariables": { "a": { "text": "b" } } });
    check(
        (Bedrock, "/model/m/converse"),
        document,
        (Operation::Chat, Some("m"), None, false),
        (0, 1, 0, true),
    );
    let vendors = [
        (
            json!({ "anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "system": "ab", "messages": [{ "role": "user", "content": "four" }] }),
            6,
            2,
        ),
        (json!({ "prompt": "sixsix", "max_gen_len": 9 }), 6, 0),
        (
            json!({ "inputText": "sixsix", "textGenerationConfig": { "maxTokenCount": 9 } }),
            6,
            0,
        ),
        (
            json!({ "message": "four", "chat_history": [{ "message": "ab" }], "max_tokens": 9 }),
            6,
            2,
        ),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "text": "sixsix" }] }], "inferenceConfig": { "max_new_tokens": 9 } }),
            6,
            1,
        ),
    ];
    for (body, text, messages) in vendors {
        let path = "/model/arn:aws:bedrock:us-east-1:1:x/y/invoke";
        let expected = (
            Operation::Chat,
            Some("arn:aws:bedrock:us-east-1:1:x/y"),
            Some(9),
            false,
        );
        check((Bedrock, path), body, expected, (text, messages, 0, false));
    }
    let embed = json!({ "inputText": "four" });
    check(
        (Bedrock, "/model/amazon.titan-embed-text-v2:0/invoke"),
        embed,
        (
            Operation::Embeddings,
            Some("amazon.titan-embed-text-v2:0"),
            Some(0),
            false,
        ),
        (4, 0, 0, false),
    );
    let count = json!({ "input": { "converse": { "messages": [{ "role": "user", "content": [{ "text": "four" }] }] } } });
    check(
        (Bedrock, "/model/m/count-tokens"),
        count,
        (Operation::CountTokens, Some("m"), Some(0), false),
        (4, 1, 0, false),
    );
}

#[test]
fn an_ollama_request_is_read_and_streams_unless_it_says_otherwise() {
    let chat = json!({
        "model": "llama3.2",
        "messages": [{ "role": "user", "content": "four", "images": ["AAAA", "BBBB"] }],
        "options": { "num_predict": 100, "num_ctx": 4096 },
    });
    check(
        (Ollama, "/api/chat"),
        chat,
        (Operation::Chat, Some("llama3.2"), Some(100), true),
        (4, 1, 2, false),
    );
    let generate = json!({ "model": "m", "prompt": "four", "system": "ab", "context": [1, 2, 3], "stream": false, "options": { "num_predict": -1 } });
    check(
        (Ollama, "/api/generate"),
        generate.clone(),
        (Operation::TextCompletion, Some("m"), None, false),
        (6, 0, 0, false),
    );
    assert_eq!(call(Ollama, "/api/generate", generate).token_ids, 3);
    let embed = json!({ "model": "m", "input": ["four", "five5"] });
    check(
        (Ollama, "/api/embed"),
        embed,
        (Operation::Embeddings, Some("m"), Some(0), false),
        (9, 0, 0, false),
    );
}

#[test]
fn a_model_in_the_path_is_the_model_of_anthropic_s_format_too() {
    let path = "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:streamRawPredict";
    let body = json!({ "anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": [{ "role": "user", "content": "four" }] });
    check(
        (Anthropic, path),
        body,
        (Operation::Chat, Some("claude@1"), Some(9), true),
        (4, 1, 0, false),
    );
    let older = json!({ "model": "c", "prompt": "four", "max_tokens_to_sample": 9 });
    check(
        (Anthropic, "/v1/complete"),
        older,
        (Operation::TextCompletion, Some("c"), Some(9), false),
        (4, 0, 0, false),
    );
}

fn described(provider: &str, path: &str, body: Value) -> Descriptor {
    let catalog = Catalog::builtin();
    let conventions: &Conventions = &catalog.provider(provider).expect("it is known").conventions;
    describe_as(
        Some(OpenAiChat),
        conventions,
        path,
        body.to_string().as_bytes(),
    )
}

#[test]
fn what_a_provider_makes_of_openai_s_format_is_data() {
    // A cap that is not kept to bounds nothing.
    let caps = json!({ "max_completion_tokens": 5 });
    assert_eq!(described("ollama", CHAT, caps.clone()).output_cap, None);
    assert_eq!(described("openai", CHAT, caps).output_cap, Some(5));
    let both = json!({ "max_completion_tokens": 5, "max_tokens": 7 });
    assert_eq!(described("ollama", CHAT, both).output_cap, Some(7));
    // A legacy completion has a cap of its own where it sets none.
    let completion = json!({ "prompt": ["a", "b"] });
    assert_eq!(
        described("openai", "/v1/completions", completion.clone()).output_cap,
        Some(32)
    );
    assert_eq!(
        described("mistral", "/v1/completions", completion).output_cap,
        None
    );
    assert_eq!(
        described("openai", CHAT, json!({ "messages": [] })).output_cap,
        None
    );
    // Some report usage in a stream unasked.
    let stream = json!({ "stream": true });
    assert!(!described("openai", CHAT, stream.clone()).reports_usage);
    assert!(described("xai", CHAT, stream).reports_usage);
}

#[test]
fn llama_cpp_s_cap_may_be_none() {
    let cap = |body| call(OpenAiChat, "/completion", body).output_cap;
    assert_eq!(cap(json!({ "prompt": "x", "n_predict": 64 })), Some(64));
    assert_eq!(cap(json!({ "prompt": "x", "n_predict": -1 })), None);
}

#[test]
fn caps_of_every_dialect_can_be_lowered() {
    let check = |dialect, body: &str, expected: &str| {
        let lowered = lower_output_cap(dialect, body.as_bytes(), 50);
        assert_eq!(lowered.as_deref(), Some(expected.as_bytes()), "{body}");
    };
    check(
        Gemini,
        r#"{"generationConfig":{"maxOutputTokens":100}}"#,
        r#"{"generationConfig":{"maxOutputTokens":50}}"#,
    );
    check(
        Bedrock,
        r#"{"inferenceConfig":{"maxTokens":100}}"#,
        r#"{"inferenceConfig":{"maxTokens":50}}"#,
    );
    check(
        Ollama,
        r#"{"options":{"num_predict":100}}"#,
        r#"{"options":{"num_predict":50}}"#,
    );
    check(Cohere, r#"{"max_tokens":100}"#, r#"{"max_tokens":50}"#);
}
