//! Names, and the generated text that a call without usage is settled from.

use serde_json::json;
use tollgate_tokens::Dialect::{Anthropic, MetaLlama, OpenAiChat};
use tollgate_tokens::Framing::{Json, Sse};
use tollgate_tokens::Usage;

use crate::{check, scan};

#[test]
fn half_a_name_is_no_name() {
    let body =
        json!({ "model": "m".repeat(257), "choices": [{ "finish_reason": "stop" }] }).to_string();
    let scan = scan(OpenAiChat, Json, &body);
    assert_eq!(
        (scan.model, scan.finish_reason.as_deref()),
        (None, Some("stop"))
    );
}

#[test]
fn reasoning_tool_calls_and_parts_are_generated_text() {
    let check = |dialect, body: &str, expected| {
        assert_eq!(scan(dialect, Json, body).text_bytes, expected, "{body}")
    };
    check(
        OpenAiChat,
        r#"{"choices":[{"message":{"content":[{"type":"text","text":"ab"},{"type":"thinking","thinking":[{"text":"c"}]}]}}]}"#,
        3,
    );
    check(
        OpenAiChat,
        r#"{"choices":[{"delta":{"reasoning":"ab","tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}}]}}]}"#,
        10,
    );
    check(
        OpenAiChat,
        r#"{"choices":[{"text":"ab"},{"text":"c\u00e9\n"}]}"#,
        6,
    );
    check(
        OpenAiChat,
        r#"{"output":[{"type":"reasoning","summary":[{"text":"ab"}]},{"type":"function_call","name":"f","arguments":"{}"}]}"#,
        5,
    );
    check(
        Anthropic,
        r#"{"content":[{"type":"thinking","thinking":"ab","signature":"zzz"},{"type":"tool_use","id":"i","name":"f","input":{"x":["yy",12]}}]}"#,
        8,
    );
    check(
        MetaLlama,
        r#"{"completion_message":{"content":"ab","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}"#,
        5,
    );
}

#[test]
fn a_responses_stream_does_not_count_its_text_twice() {
    let stream = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Seven.\"}\n\n\
                  data: {\"type\":\"response.output_text.done\",\"text\":\"Seven.\"}\n\n\
                  data: {\"type\":\"response.content_part.done\",\"part\":{\"type\":\"output_text\",\"text\":\"Seven.\"}}\n\n\
                  data: {\"type\":\"response.output_item.done\",\"item\":{\"content\":[{\"text\":\"Seven.\"}]}}\n\n\
                  data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\
                  \"output\":[{\"content\":[{\"text\":\"Seven.\"}]}],\"usage\":{\"input_tokens\":9,\"output_tokens\":2}}}\n\n";
    check(OpenAiChat, Sse, stream, Usage::new(9, 2));
    let scan = scan(OpenAiChat, Sse, stream);
    assert_eq!(
        (scan.text_bytes, scan.finish_reason.as_deref()),
        (6, Some("max_output_tokens"))
    );
}
