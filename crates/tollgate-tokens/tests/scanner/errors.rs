//! Errors inside a body, and what of a body is never printed.

use serde_json::json;
use tollgate_tokens::Dialect::{Anthropic, MetaLlama, OpenAiChat};
use tollgate_tokens::Framing::{Json, Sse};
use tollgate_tokens::UsageScanner;

use crate::scan;

#[test]
fn an_error_inside_a_body_is_read_in_every_shape() {
    let check =
        |dialect, framing, body: &str, kind: Option<&str>, code: Option<&str>, message: &str| {
            let error = scan(dialect, framing, body)
                .error
                .unwrap_or_else(|| panic!("no error in {body}"));
            let found = (
                error.kind.as_deref(),
                error.code.as_deref(),
                error.message.as_deref(),
            );
            assert_eq!(found, (kind, code, Some(message)), "{body}");
        };
    let nested =
        "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\",\"code\":502}}\n\n";
    check(
        OpenAiChat,
        Sse,
        nested,
        Some("server_error"),
        Some("502"),
        "no",
    );
    check(
        OpenAiChat,
        Json,
        r#"{"code":"exhausted","error":"no"}"#,
        None,
        Some("exhausted"),
        "no",
    );
    check(
        OpenAiChat,
        Json,
        r#"{"error":"no","code":"exhausted"}"#,
        None,
        Some("exhausted"),
        "no",
    );
    check(
        OpenAiChat,
        Json,
        r#"{"object":"error","message":"no","type":"rate_limited","code":"1300"}"#,
        Some("rate_limited"),
        Some("1300"),
        "no",
    );
    check(
        OpenAiChat,
        Json,
        r#"{"type":"rate_limited","message":"no","object":"error"}"#,
        Some("rate_limited"),
        None,
        "no",
    );
    let event = "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"no\",\"param\":null}\n\n";
    check(OpenAiChat, Sse, event, None, Some("server_error"), "no");
    let failed = "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"no\"}}}\n\n";
    check(
        OpenAiChat,
        Sse,
        failed,
        None,
        Some("rate_limit_exceeded"),
        "no",
    );
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"}}\n\n";
    check(
        Anthropic,
        Sse,
        overloaded,
        Some("overloaded_error"),
        None,
        "no",
    );
    let llama = "event: error\ndata: {\"title\":\"Busy\",\"detail\":\"no\",\"status\":429}\n\n";
    check(MetaLlama, Sse, llama, Some("Busy"), Some("429"), "no");
    let two = "data: {\"error\":{\"message\":\"first\",\"code\":1}}\n\ndata: {\"error\":{\"message\":\"no\"}}\n\n";
    check(OpenAiChat, Sse, two, None, None, "no");
}

#[test]
fn a_response_without_an_error_has_none() {
    for body in [
        r#"{"error":null}"#,
        r#"{"error":""}"#,
        r#"{"error":{}}"#,
        r#"{"message":"hello","code":"x"}"#,
    ] {
        assert_eq!(scan(OpenAiChat, Json, body).error, None, "{body}");
    }
}

#[test]
fn an_error_message_is_cut_between_characters_and_never_printed() {
    let body = json!({ "error": { "message": format!("x{}", "\u{e9}".repeat(400)), "type": "t" } })
        .to_string();
    let error = scan(OpenAiChat, Json, &body)
        .error
        .expect("there is an error");
    assert_eq!(
        error.message.as_deref(),
        Some(&*format!("x{}", "\u{e9}".repeat(255)))
    );
    assert_eq!(
        format!("{error:?}"),
        r#"BodyError { kind: Some("t"), code: None, .. }"#
    );
}

#[test]
fn a_scanner_never_prints_what_it_is_reading() {
    let mut scanner = UsageScanner::new(OpenAiChat, Json);
    scanner.push(br#"{"error":{"message":"org-secret is over"#);
    assert!(!format!("{scanner:?}").contains("secret"));
}
