//! Exact counts: what is counted, by whose tokenizer, and that base64 never is.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_tokens::{CountTokens, Descriptor, Dialect, Estimator, OutputLimits, Usage, describe};

/// Counts letters, which makes it plain what it was shown.
struct Letters;

impl CountTokens for Letters {
    fn count(&self, text: &str) -> u64 {
        text.chars().count() as u64
    }
}

fn counted(estimator: &Estimator, dialect: Dialect, path: &str, body: &Value) -> Descriptor {
    let body = body.to_string();
    let mut call = describe(Some(dialect), path, body.as_bytes());
    estimator.count(&mut call, body.as_bytes());
    call
}

fn chat(estimator: &Estimator, body: &Value) -> u64 {
    let call = counted(estimator, Dialect::OpenAiChat, "/v1/chat/completions", body);
    estimator
        .estimate(&call, OutputLimits::default())
        .input_expected
}

#[test]
fn the_text_of_a_chat_is_counted_with_its_framing() {
    let estimator = Estimator::new().counter("llama-*", Arc::new(Letters));
    let body = json!({
        "model": "llama-4-scout",
        "messages": [
            { "role": "system", "content": "Sei h\u{f6}flich." },
            { "role": "user", "content": [{ "type": "text", "text": "\u{4f60}\u{597d}" }, { "type": "text", "text": "a\nb" }] },
        ],
    });
    // 3 per message and 3 for the reply; 12, 2 and 3 letters.
    assert_eq!(chat(&estimator, &body), 9 + 12 + 2 + 3);
}

#[test]
fn the_longest_pattern_counts_and_models_without_one_are_estimated() {
    struct Fixed(u64);
    impl CountTokens for Fixed {
        fn count(&self, _: &str) -> u64 {
            self.0
        }
    }
    let estimator = Estimator::new()
        .counter("gpt-*", Arc::new(Fixed(100)))
        .counter("gpt-4o*", Arc::new(Fixed(200)))
        .counter("gpt-4o-mini", Arc::new(Fixed(300)));
    let count = |model: &str| {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] });
        chat(&estimator, &body) - 6
    };
    assert_eq!(count("gpt-5"), 100);
    assert_eq!(count("openai/gpt-4o"), 200);
    assert_eq!(count("gpt-4o-mini"), 300);
    assert_eq!(count("claude"), 1);
    assert_eq!(
        format!("{estimator:?}"),
        r#"Estimator { models: 0, reports: 0, counters: {"gpt-*", "gpt-4o*", "gpt-4o-mini"} }"#
    );
}

#[test]
fn base64_is_never_counted_as_text() {
    let estimator = Estimator::new().counter("*", Arc::new(Letters));
    let base64 = "iVBORw0KGgoAAAANSUhEUgAAAyAAAAJY".repeat(10_000);
    let openai = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What?" },
        { "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{base64}") } },
    ] }] });
    // 800 by 600 fits into four tiles.
    assert_eq!(chat(&estimator, &openai), 6 + 5 + 85 + 4 * 170);

    let claude = |source: Value| {
        let body = json!({ "model": "claude-opus-4", "max_tokens": 1, "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "What?" },
            { "type": source["kind"], "source": source["source"] },
        ] }] });
        let call = counted(&estimator, Dialect::Anthropic, "/v1/messages", &body);
        let estimate = estimator.estimate(&call, OutputLimits::default());
        (estimate.input_expected, estimate.lower_bound)
    };
    let image = json!({ "kind": "image", "source": { "type": "base64", "media_type": "image/png", "data": base64 } });
    assert_eq!(claude(image), (6 + 5 + 640, false));
    let pdf = json!({ "kind": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": base64 } });
    assert_eq!(claude(pdf), (6 + 5, true), "what a file holds is not known");
    let text = json!({ "kind": "document", "source": { "type": "text", "media_type": "text/plain", "data": "Seven letters" } });
    assert_eq!(claude(text), (6 + 5 + 13, false));

    let gemini = json!({ "contents": [{ "parts": [
        { "text": "What?" },
        { "inlineData": { "mimeType": "image/png", "data": base64 } },
    ] }] });
    let path = "/v1beta/models/gemini-2.5-pro:generateContent";
    let call = counted(&estimator, Dialect::Gemini, path, &gemini);
    let estimate = estimator.estimate(&call, OutputLimits::default());
    // Two tiles of 768.
    assert_eq!(estimate.input_expected, 6 + 5 + 2 * 258);
}

#[test]
fn what_a_provider_makes_of_tools_is_learned() {
    let estimator = Estimator::new().counter("*", Arc::new(Letters));
    let body = json!({
        "model": "gpt-4o",
        "messages": [{ "role": "user", "content": "What is the weather in Paris?" }],
        "tools": [{ "type": "function", "function": { "name": "weather", "parameters": { "type": "object" } } }],
    });
    let call = counted(
        &estimator,
        Dialect::OpenAiChat,
        "/v1/chat/completions",
        &body,
    );
    let expected = |call: &Descriptor| {
        estimator
            .estimate(call, OutputLimits::default())
            .input_expected
    };
    // Names and values, without what stands between them.
    let tools = "typefunctionfunctionnameweatherparameterstypeobject".len() as u64;
    assert_eq!(expected(&call), 6 + 29 + tools);
    for _ in 0..30 {
        estimator.learn(&call, &Usage::new(6 + 29 + 2 * tools, 1));
    }
    let found = expected(&call);
    assert!(found.abs_diff(6 + 29 + 2 * tools) <= 2, "{found}");
    let plain =
        json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "Hello there" }] });
    let found = chat(&estimator, &plain);
    assert!(found.abs_diff(6 + 11) <= 1, "{found}");
}

#[cfg(feature = "bpe-openai")]
#[test]
fn openai_s_models_are_counted_by_their_own_tokenizers() {
    let estimator = Estimator::new().openai_counters();
    let count = |model: &str, text: &str| {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
        chat(&estimator, &body) - 6
    };
    // The examples of OpenAI's cookbook ("How to count tokens with tiktoken").
    let birthday = "\u{304a}\u{8a95}\u{751f}\u{65e5}\u{304a}\u{3081}\u{3067}\u{3068}\u{3046}";
    assert_eq!(count("gpt-4", birthday), 9);
    assert_eq!(count("gpt-4o-mini", birthday), 8);
    assert_eq!(count("gpt-3.5-turbo", "antidisestablishmentarianism"), 6);
    assert_eq!(count("o3", "2 + 2 = 4"), 7);
}

#[cfg(feature = "tokenizers")]
#[test]
fn a_tokenizer_s_file_counts_and_a_broken_one_is_an_error() {
    use tollgate_tokens::TokenizerFile;

    let directory = std::env::temp_dir().join(format!("tollgate-tokenizer-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("tokenizer.json");
    // Two words, and a token for each piece that is neither.
    let file = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null,
        "decoder": null,
        "truncation": null,
        "padding": null,
        "model": { "type": "WordLevel", "vocab": { "hello": 0, "world": 1, "?": 2 }, "unk_token": "?" },
    });
    std::fs::write(&path, file.to_string()).unwrap();
    let tokenizer = TokenizerFile::open(&path).unwrap();
    assert_eq!(tokenizer.count("hello there, world"), 4);
    std::fs::write(&path, r#"{"not":"a tokenizer"}"#).unwrap();
    let error = TokenizerFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
    std::fs::remove_dir_all(&directory).unwrap();
    let error = TokenizerFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
}
