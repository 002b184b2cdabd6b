//! Documents, events and lines: whole, broken and cut.

use tollgate_tokens::Dialect::{Anthropic, OpenAiChat};
use tollgate_tokens::Framing::{Json, Ndjson, Sse};
use tollgate_tokens::{Framing, Usage, UsageScanner, Warning};

use crate::{check, scan};

#[test]
fn a_content_type_tells_the_framing() {
    let check = |content_type, expected| {
        assert_eq!(Framing::of(content_type), expected, "{content_type:?}")
    };
    check(Some("text/event-stream"), Sse);
    check(Some("Text/Event-Stream; charset=utf-8"), Sse);
    check(Some("application/x-ndjson"), Ndjson);
    check(Some("application/json"), Json);
    check(Some("nonsense"), Json);
    check(None, Json);
}

#[test]
fn a_cut_stream_says_so_and_keeps_what_it_said() {
    let events = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\n\
                  data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Tolls\"}}\n\n\
                  data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\" ro";
    let scan = scan(Anthropic, Sse, events);
    assert_eq!(
        (scan.usage, scan.text_bytes, scan.complete),
        (Some(Usage::new(12, 1)), 8, false)
    );
    assert_eq!(scan.warnings, [Warning::CutStream]);
}

#[test]
fn a_cut_body_says_so_and_half_a_number_is_not_read() {
    let scan = scan(
        OpenAiChat,
        Json,
        r#"{"usage":{"prompt_tokens":12,"completion_tokens":34"#,
    );
    assert_eq!(
        (scan.usage, scan.complete),
        (Some(Usage::new(12, 0)), false)
    );
    assert_eq!(scan.warnings, [Warning::CutStream]);
}

#[test]
fn an_empty_body_is_cut_and_reports_nothing() {
    for framing in [Json, Sse, Ndjson] {
        let scan = scan(OpenAiChat, framing, "");
        assert_eq!(
            (scan.usage, scan.warnings),
            (None, vec![Warning::CutStream, Warning::NoUsage])
        );
    }
}

#[test]
fn what_is_known_midway_can_be_asked_for() {
    let mut scanner = UsageScanner::new(OpenAiChat, Sse);
    scanner.push(b"data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"Sev");
    let seen = scanner.seen();
    assert_eq!(
        (seen.model.as_deref(), seen.text_bytes, seen.complete),
        (Some("m"), 3, false)
    );
    assert_eq!(seen.warnings, []);
    scanner.push(b"en.\"}}]}\n\ndata: [DONE]");
    let seen = scanner.seen();
    assert_eq!((seen.text_bytes, seen.complete), (6, true));
}

#[test]
fn a_broken_event_is_passed_over_with_a_warning() {
    let stream = "data: {\"usage\":{\"prompt_tokens\":9,,}\n\ndata: oops\n\ndata: {\"usage\":{\n\n\
                  data: {\"usage\":{\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let scan = scan(OpenAiChat, Sse, stream);
    assert_eq!((scan.usage, scan.complete), (Some(Usage::new(9, 2)), true));
    assert_eq!(scan.warnings, [Warning::NotJson]);
}

#[test]
fn a_body_that_is_not_json_says_so() {
    let scan = scan(OpenAiChat, Json, "<html>Bad gateway</html>");
    assert_eq!(
        (scan.usage, scan.warnings),
        (
            None,
            vec![Warning::NotJson, Warning::CutStream, Warning::NoUsage]
        )
    );
}

#[test]
fn json_over_several_data_lines_is_one_document() {
    check(
        OpenAiChat,
        Sse,
        "data: {\"usage\":\ndata: {\"prompt_tokens\":9}\ndata: }\n\ndata: [DONE]\n\n",
        Usage::new(9, 0),
    );
}

#[test]
fn nothing_behind_the_terminator_counts() {
    let stream = "data: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: [DONE]\n\ndata: {\"usage\":{\"prompt_tokens\":1}}\n\n";
    check(OpenAiChat, Sse, stream, Usage::new(9, 0));
}

#[test]
fn an_event_stream_announced_as_json_is_read_as_one() {
    check(
        OpenAiChat,
        Json,
        "\n: hello\ndata: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: [DONE]\n\n",
        Usage::new(9, 0),
    );
    check(
        OpenAiChat,
        Json,
        "event: x\ndata: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: [DONE]\n\n",
        Usage::new(9, 0),
    );
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    check(
        OpenAiChat,
        Json,
        "\u{feff}{\"usage\":{\"prompt_tokens\":9}}",
        Usage::new(9, 0),
    );
    check(
        OpenAiChat,
        Sse,
        "\u{feff}data: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: [DONE]\n\n",
        Usage::new(9, 0),
    );
}

#[test]
fn blank_lines_before_a_body_are_passed_over() {
    check(
        OpenAiChat,
        Json,
        "\n\n\r\n  {\"usage\":{\"prompt_tokens\":9}}\n",
        Usage::new(9, 0),
    );
}

#[test]
fn lines_of_json_are_documents_of_their_own() {
    let lines = "{\"choices\":[{\"text\":\"Se\"}]}\r\n\n{\"choices\":[{\"text\":\"ven\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}";
    check(OpenAiChat, Ndjson, lines, Usage::new(9, 2));
    assert_eq!(scan(OpenAiChat, Ndjson, lines).text_bytes, 5);
    assert!(!scan(OpenAiChat, Ndjson, "{\"choices\":[]}\n{\"choices\":").complete);
}
