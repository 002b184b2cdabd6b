//! The cap on output: read, and lowered.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_tokens::Dialect::{Anthropic, Generic, MetaLlama, OpenAiChat};
use tollgate_tokens::{Warning, describe, lower_output_cap};

use crate::{CHAT, call};

#[test]
fn every_cap_has_its_rank() {
    let check = |dialect, body: Value, expected| {
        assert_eq!(
            call(dialect, CHAT, body.clone()).output_cap,
            expected,
            "{body}"
        )
    };
    check(OpenAiChat, json!({}), None);
    check(OpenAiChat, json!({ "max_tokens": null }), None);
    check(OpenAiChat, json!({ "max_tokens": 7 }), Some(7));
    check(
        OpenAiChat,
        json!({ "max_completion_tokens": 5, "max_tokens": 7 }),
        Some(5),
    );
    check(
        OpenAiChat,
        json!({ "max_tokens": 7, "max_completion_tokens": 9 }),
        Some(9),
    );
    check(OpenAiChat, json!({ "max_output_tokens": 20 }), Some(20));
    check(OpenAiChat, json!({ "max_tokens": "7" }), Some(7));
    check(
        OpenAiChat,
        json!({ "max_tokens": u64::MAX, "n": 2 }),
        Some(u64::MAX),
    );
    check(MetaLlama, json!({ "max_completion_tokens": 5 }), Some(5));
    check(Anthropic, json!({ "max_tokens": 7 }), Some(7));
    check(Generic, json!({ "max_tokens": 7 }), Some(7));
}

#[test]
fn a_malformed_number_is_ignored_with_a_warning() {
    let found = describe(Some(OpenAiChat), CHAT, br#"{"max_tokens":-7,"n":true}"#);
    assert_eq!((found.output_cap, found.choices), (None, 1));
    assert_eq!(
        found.warnings,
        [
            Warning::MalformedCount {
                field: "max_tokens"
            },
            Warning::MalformedCount { field: "n" },
        ]
    );
}

#[test]
fn a_lowered_cap_changes_its_number_and_nothing_else() {
    let check = |dialect, body: &str, cap, expected: Option<&str>| {
        let lowered = lower_output_cap(dialect, body.as_bytes(), cap);
        assert_eq!(
            lowered.as_deref().map(String::from_utf8_lossy).as_deref(),
            expected,
            "{body}"
        );
    };
    check(
        OpenAiChat,
        r#"{ "max_tokens" : 100 , "n":2}"#,
        50,
        Some(r#"{ "max_tokens" : 50 , "n":2}"#),
    );
    check(
        OpenAiChat,
        r#"{"max_completion_tokens":100,"max_tokens":1e3}"#,
        50,
        Some(r#"{"max_completion_tokens":50,"max_tokens":50}"#),
    );
    check(OpenAiChat, r#"{"max_tokens":50}"#, 50, None);
    check(OpenAiChat, r#"{"max_tokens":null}"#, 50, None);
    check(OpenAiChat, r#"{"model":"m"}"#, 50, None);
    check(OpenAiChat, r#"{"messages":[{"max_tokens":100}]}"#, 50, None);
    check(OpenAiChat, r#"{"max_tokens":100"#, 50, None);
    check(OpenAiChat, r#"{"max_tokens":100}"#, 0, None);
    check(OpenAiChat, r#"{"max_output_tokens":100}"#, 15, None);
    check(
        OpenAiChat,
        r#"{"max_output_tokens":100}"#,
        16,
        Some(r#"{"max_output_tokens":16}"#),
    );
    check(
        MetaLlama,
        r#"{"max_completion_tokens":100}"#,
        5,
        Some(r#"{"max_completion_tokens":5}"#),
    );
    check(
        Generic,
        r#"{"prompt":"x","max_tokens":150}"#,
        95,
        Some(r#"{"prompt":"x","max_tokens":95}"#),
    );
    check(
        Anthropic,
        r#"{"max_tokens":100,"thinking":{"type":"enabled","budget_tokens":60}}"#,
        60,
        None,
    );
    check(
        Anthropic,
        r#"{"max_tokens":100,"thinking":{"type":"enabled","budget_tokens":60}}"#,
        61,
        Some(r#"{"max_tokens":61,"thinking":{"type":"enabled","budget_tokens":60}}"#),
    );
}

proptest! {
    #[test]
    fn a_lowered_body_is_the_same_call_with_a_lower_cap(cap in 1..1000_u64, lower in 16..1000_u64, text: String) {
        let body = json!({ "a": text, "max_completion_tokens": cap, "z": [text] });
        let lowered = lower_output_cap(OpenAiChat, body.to_string().as_bytes(), lower);
        let expected = (cap > lower).then(|| json!({ "a": text, "max_completion_tokens": lower, "z": [text] }));
        let lowered = lowered.map(|body| serde_json::from_slice::<Value>(&body).expect("still JSON"));
        prop_assert_eq!(lowered, expected);
    }
}
