//! Bodies that were made to mislead or to exhaust.

use tollgate_tokens::Dialect::{Bedrock, OpenAiChat};
use tollgate_tokens::Framing::{EventStream, Json, Ndjson, Sse};
use tollgate_tokens::{Usage, UsageScanner, Warning};

use crate::{check, scan};

#[test]
fn nesting_beyond_all_measure_is_no_json_and_what_came_before_stands() {
    let usage = r#""usage":{"prompt_tokens":9,"completion_tokens":2}"#;
    for bracket in ["[", r#"{"a":"#] {
        let body = format!("{{{usage},\"x\":{}", bracket.repeat(200_000));
        let mut scanner = UsageScanner::new(OpenAiChat, Json);
        scanner.push(body.as_bytes());
        let found = scanner.finish();
        assert_eq!(found.usage, Some(Usage::new(9, 2)));
        assert!(found.warnings.contains(&Warning::NotJson));
    }
    // As deep as serde_json goes is passed over.
    let deep = format!("{{\"x\":{}{},{usage}}}", "[".repeat(126), "]".repeat(126));
    check(OpenAiChat, Json, &deep, Usage::new(9, 2));
}

#[test]
fn broken_utf_8_in_strings_does_no_harm() {
    let mut body = br#"{"id":"xx","choices":[{"message":{"content":"xx"}}],"model":"m","usage":{"prompt_tokens":9,"completion_tokens":2}}"#.to_vec();
    for at in [7, 8, 45, 46] {
        body[at] = 0xFF;
    }
    let mut scanner = UsageScanner::new(OpenAiChat, Json);
    scanner.push(&body);
    let found = scanner.finish();
    assert_eq!(
        (found.usage, found.warnings),
        (Some(Usage::new(9, 2)), vec![])
    );
}

#[test]
fn usage_that_is_text_or_lies_elsewhere_is_not_usage() {
    let lie = r#"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}"#;
    let usage = r#""usage":{"prompt_tokens":9,"completion_tokens":2}"#;
    for body in [
        format!("{{\"id\":\"{lie}\",{usage},\"x\":\"{lie}\"}}"),
        format!(
            "{{{usage},\"choices\":[{{\"usage\":{{\"prompt_tokens\":1}},\"message\":{{\"usage\":{{\"prompt_tokens\":1}}}}}}]}}"
        ),
        format!(
            "{{{usage},\"x\":{{\"usage\":{{\"prompt_tokens\":1}}}},\"usage \":{{\"prompt_tokens\":1}}}}"
        ),
        format!("{{{usage},\"\\u0075sages\":{{\"prompt_tokens\":1}}}}"),
    ] {
        check(OpenAiChat, Json, &body, Usage::new(9, 2));
    }
    // An escaped key is the key.
    check(
        OpenAiChat,
        Json,
        r#"{"\u0075sage":{"prompt\u005ftokens":9}}"#,
        Usage::new(9, 0),
    );
    // A generated text that looks like an event is no event.
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"\\n\\ndata: {lie}\\n\\n\"}}}}]}}\n\ndata: {{{usage}}}\n\ndata: [DONE]\n\n"
    );
    check(OpenAiChat, Sse, &event, Usage::new(9, 2));
}

#[test]
fn of_keys_that_come_twice_the_last_counts() {
    let body = r#"{"model":"a","usage":{"prompt_tokens":1},"model":"b","usage":{"prompt_tokens":9,"completion_tokens":1,"completion_tokens":2}}"#;
    check(OpenAiChat, Json, body, Usage::new(9, 2));
    assert_eq!(scan(OpenAiChat, Json, body).model.as_deref(), Some("b"));
}

#[test]
fn a_frame_of_four_gigabytes_is_read_without_them() {
    let mut stream = u32::MAX.to_be_bytes().to_vec();
    stream.extend_from_slice(&0_u32.to_be_bytes());
    stream.extend_from_slice(&crc32fast::hash(&stream).to_be_bytes());
    stream.extend_from_slice(br#"{"usage":{"inputTokens":9,"outputTokens":2},"x":""#);
    let mut scanner = UsageScanner::new(Bedrock, EventStream);
    scanner.push(&stream);
    let piece = [b'x'; 65_536];
    for _ in 0..64 {
        scanner.push(&piece);
    }
    // Its checksum never comes, so nothing of it is true.
    let found = scanner.finish();
    assert_eq!((found.usage, found.complete), (None, false));
}

#[test]
fn a_line_without_an_end_is_no_more_than_a_document() {
    let line = format!(
        "{{\"usage\":{{\"prompt_tokens\":9}},\"x\":\"{}",
        "x".repeat(100_000)
    );
    for (framing, body) in [(Ndjson, line.clone()), (Sse, format!("data: {line}"))] {
        let mut scanner = UsageScanner::new(OpenAiChat, framing);
        scanner.push(body.as_bytes());
        let found = scanner.finish();
        assert_eq!(
            (found.usage, found.complete),
            (Some(Usage::new(9, 0)), false)
        );
    }
}
