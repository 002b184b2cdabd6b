//! What the scanner allocates: nothing per piece, and a bounded amount per body.

use allocation_counter::measure;
use tollgate_tokens::{Dialect, Framing, UsageScanner, describe};

/// One event of a long stream, as each provider of the dialect sends it.
fn event(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::Anthropic => {
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Tolls \\u00e9 rose\"}}\n\n"
        }
        Dialect::MetaLlama => {
            b"data: {\"id\":\"A\",\"event\":{\"event_type\":\"progress\",\"delta\":{\"type\":\"text\",\"text\":\"Three \\\"toll\\\"\"}}}\n\n"
        }
        Dialect::Gemini => {
            b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Sev\\nen\"}]}}],\"usageMetadata\":{\"promptTokenCount\":9},\"modelVersion\":\"gemini-2.5-pro\"}\n\n"
        }
        Dialect::Cohere => {
            b"event: content-delta\ndata: {\"type\":\"content-delta\",\"delta\":{\"message\":{\"content\":{\"text\":\"Ok.\"}}}}\n\n"
        }
        Dialect::Bedrock => {
            b"data: {\"contentBlockDelta\":{\"contentBlockIndex\":0,\"delta\":{\"text\":\"Ok.\"}}}\n\n"
        }
        Dialect::Ollama => {
            b"data: {\"model\":\"llama3.2\",\"message\":{\"content\":\"k.\"},\"done\":false}\n\n"
        }
        _ => {
            b": keep-alive\n\ndata: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Sev\\nen\"},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n"
        }
    }
}

#[test]
fn events_like_those_before_allocate_nothing() {
    for dialect in Dialect::ALL {
        for size in [1, 3, 50, 1000] {
            let mut scanner = UsageScanner::new(*dialect, Framing::Sse);
            let mut pass = |times| {
                for _ in 0..times {
                    event(*dialect)
                        .chunks(size)
                        .for_each(|piece| scanner.push(piece));
                }
            };
            pass(3);
            let used = measure(|| pass(1000));
            assert_eq!(used.count_total, 0, "{dialect:?} in pieces of {size}");
        }
    }
}

#[test]
fn no_body_makes_the_scanner_grow() {
    let long = "x".repeat(1_000_000);
    for body in [
        format!(
            r#"{{"model":"{long}","error":{{"message":"{long}"}},"choices":[{{"message":{{"content":"{long}"}}}}]}}"#
        ),
        format!(
            r#"{{"{long}":1,"usage":{{"prompt_tokens":{}}}}}"#,
            "1".repeat(1_000_000)
        ),
        "[".repeat(1_000_000),
        format!("data: {long}\n\n").repeat(3),
    ] {
        for framing in [Framing::Json, Framing::Sse, Framing::Ndjson] {
            let mut scanner = UsageScanner::new(Dialect::OpenAiChat, framing);
            let used = measure(|| {
                body.as_bytes()
                    .chunks(7)
                    .for_each(|piece| scanner.push(piece))
            });
            assert!(size_of::<UsageScanner>() < 1024);
            assert!(
                used.bytes_max < 3072,
                "{} bytes for {}...",
                used.bytes_max,
                &body[..20]
            );
        }
    }
}

#[test]
fn a_long_request_is_described_without_a_copy() {
    let text = "a \\u00e9\\n".repeat(100_000);
    let body =
        format!(r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let used = measure(|| {
        assert_eq!(
            describe(
                Some(Dialect::OpenAiChat),
                "/v1/chat/completions",
                body.as_bytes()
            )
            .text_bytes,
            500_000
        )
    });
    assert!(used.bytes_max < 1024, "{} bytes", used.bytes_max);
}
