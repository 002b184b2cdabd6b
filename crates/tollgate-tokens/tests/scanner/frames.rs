//! AWS event streams: whole, damaged and cut.

use tollgate_tokens::Dialect::Bedrock;
use tollgate_tokens::Framing::{EventStream, Json};
use tollgate_tokens::{Framing, Scan, Usage, UsageScanner, Warning};

/// One frame, encoded, of this kind of event.
fn frame(message: &str, kind: (&str, &str), payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in [
        (":message-type", message),
        kind,
        (":content-type", "application/json"),
    ] {
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(7); // A string.
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let total = (16 + head.len() + payload.len()) as u32;
    let mut bytes = [total.to_be_bytes(), (head.len() as u32).to_be_bytes()].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(payload.as_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn event(kind: &str, payload: &str) -> Vec<u8> {
    frame("event", (":event-type", kind), payload)
}

/// What a stream is read as, in whole and in pieces alike.
fn scan(frames: &[Vec<u8>]) -> Scan {
    let stream = frames.concat();
    let read = |size| {
        let mut scanner = UsageScanner::new(Bedrock, EventStream);
        stream.chunks(size).for_each(|piece| scanner.push(piece));
        scanner.finish()
    };
    let whole = read(usize::MAX);
    for size in 1..stream.len() {
        assert_eq!(read(size), whole, "in pieces of {size}");
    }
    whole
}

fn text(text: &str) -> Vec<u8> {
    event(
        "contentBlockDelta",
        &format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{text}"}}}}"#),
    )
}

fn metadata() -> Vec<u8> {
    event(
        "metadata",
        r#"{"usage":{"inputTokens":22,"outputTokens":55,"cacheReadInputTokens":400,"cacheWriteInputTokens":30}}"#,
    )
}

#[test]
fn the_content_type_of_aws_is_known() {
    let framing = Framing::of(Some("application/vnd.amazon.eventstream"));
    assert_eq!(framing, EventStream);
}

#[test]
fn a_converse_stream_ends_with_its_metadata() {
    let usage = Usage {
        cache_read: 400,
        cache_write: 30,
        ..Usage::new(452, 55)
    };
    let found = scan(&[text("Ok."), metadata()]);
    assert_eq!(
        (
            found.usage,
            found.text_bytes,
            found.complete,
            &found.warnings[..]
        ),
        (Some(usage), 3, true, &[][..])
    );
    let found = scan(&[text("Ok.")]);
    assert_eq!(
        (found.usage, found.text_bytes, found.complete),
        (None, 3, false)
    );
}

/// A chunk of `invoke-with-response-stream`.
fn chunk(document: &str) -> Vec<u8> {
    event(
        "chunk",
        &format!(r#"{{"bytes":"{}","p":"abc"}}"#, base64(document)),
    )
}

fn base64(text: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | u32::from(*group.get(at).unwrap_or(&0))
        });
        for at in 0..4 {
            let char = alphabet[(bits >> (18 - 6 * at) & 63) as usize];
            encoded.push(if at <= group.len() { char.into() } else { '=' });
        }
    }
    encoded
}

#[test]
fn what_a_vendor_s_model_says_is_read_out_of_base64() {
    let found = scan(&[
        chunk(
            r#"{"type":"message_start","message":{"model":"claude","usage":{"input_tokens":12,"cache_read_input_tokens":100,"output_tokens":1}}}"#,
        ),
        chunk(
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Tolls \u00e9"}}"#,
        ),
        chunk(
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":30}}"#,
        ),
        chunk(
            r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":12,"outputTokenCount":30}}"#,
        ),
    ]);
    let usage = Usage {
        cache_read: 100,
        ..Usage::new(112, 30)
    };
    assert_eq!(
        (
            found.usage,
            found.text_bytes,
            found.complete,
            &found.warnings[..]
        ),
        (Some(usage), 8, true, &[][..])
    );
    assert_eq!(
        (found.model.as_deref(), found.finish_reason.as_deref()),
        (Some("claude"), Some("end_turn"))
    );
    // A vendor that reports nothing itself.
    let found = scan(&[
        chunk(r#"{"outputText":"Ok.","index":0}"#),
        chunk(
            r#"{"outputText":"","completionReason":"FINISH","amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":3,"cacheReadInputTokenCount":2}}"#,
        ),
    ]);
    let usage = Usage {
        cache_read: 2,
        ..Usage::new(9, 3)
    };
    assert_eq!(
        (found.usage, found.text_bytes, found.complete),
        (Some(usage), 3, true)
    );
}

#[test]
fn a_damaged_frame_says_nothing_and_the_next_one_is_read() {
    let mut bad = event(
        "metadata",
        r#"{"usage":{"inputTokens":99,"outputTokens":99}}"#,
    );
    let at = bad.len() - 10;
    bad[at] ^= 1; // 99 becomes 89, which reads as well.
    let found = scan(&[text("Ok."), bad.clone(), metadata()]);
    assert_eq!(found.usage.map(|usage| usage.output), Some(55));
    assert_eq!(found.warnings, [Warning::DamagedFrame]);
    let found = scan(&[text("Ok."), bad]);
    assert_eq!(
        (found.usage, found.complete, found.text_bytes),
        (None, false, 3)
    );
}

#[test]
fn nothing_is_taken_from_a_frame_that_was_cut() {
    let mut cut = metadata();
    cut.truncate(cut.len() - 1);
    let found = scan(&[text("Ok."), cut]);
    assert_eq!(
        (found.usage, found.complete, found.text_bytes),
        (None, false, 3)
    );
    assert_eq!(found.warnings, [Warning::CutStream, Warning::NoUsage]);
}

#[test]
fn an_exception_is_an_error_of_its_kind() {
    let exception = (":exception-type", "throttlingException");
    let found = scan(&[
        text("Ok."),
        frame("exception", exception, r#"{"message":"slow down"}"#),
    ]);
    let error = found.error.expect("there is an error");
    assert_eq!(
        (error.kind.as_deref(), error.message.as_deref()),
        (Some("throttlingException"), Some("slow down"))
    );
    let found = scan(&[frame("error", (":error-code", "InternalFailure"), "")]);
    assert_eq!(
        found.error.and_then(|error| error.kind).as_deref(),
        Some("InternalFailure")
    );
}

#[test]
fn a_payload_that_is_not_json_says_so() {
    for frame in [
        event("chunk", "oops"),
        event("chunk", r#"{"bytes":"b29wcw=="}"#),
        event("chunk", r#"{"bytes":"b29"#),
    ] {
        assert_eq!(scan(&[frame, metadata()]).warnings, [Warning::NotJson]);
    }
}

#[test]
fn the_head_of_an_invocation_reports_usage_that_its_body_lacks() {
    let read = |body: &str, headers: &[(&'static str, &str)]| {
        let mut scanner = UsageScanner::new(Bedrock, Json);
        let headers = headers.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_str(value).expect("a header"),
            )
        });
        scanner.read_head(&headers.collect());
        scanner.push(body.as_bytes());
        scanner.finish().usage
    };
    let headers = [
        ("x-amzn-bedrock-input-token-count", "7"),
        ("x-amzn-bedrock-output-token-count", "3"),
        ("x-amzn-bedrock-cache-read-input-token-count", "2"),
        ("x-amzn-bedrock-cache-write-input-token-count", "1"),
    ];
    let usage = Usage {
        cache_read: 2,
        cache_write: 1,
        ..Usage::new(10, 3)
    };
    assert_eq!(
        read(r#"{"outputs":[{"text":"Ok."}]}"#, &headers),
        Some(usage)
    );
    // A body that reports its own is nearer to the matter.
    let body = r#"{"usage":{"input_tokens":8,"output_tokens":4,"cache_read_input_tokens":0}}"#;
    let usage = Usage {
        cache_write: 1,
        ..Usage::new(9, 4)
    };
    assert_eq!(read(body, &headers), Some(usage));
    assert_eq!(
        read("{}", &[("x-amzn-bedrock-input-token-count", "many")]),
        None
    );
}
