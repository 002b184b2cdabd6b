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

const FRAMINGS: [Framing; 4] = [
    Framing::Json,
    Framing::Sse,
    Framing::Ndjson,
    Framing::EventStream,
];

/// An AWS event stream of one exception, its payload this. Its last checksum is never compared.
fn frame(payload: &str) -> Vec<u8> {
    let head = [
        &b"\x0d:message-type\x07\0\x09exception"[..],
        b"\x0f:exception-type\x07\x20\0",
        &[b'x'; 0x2000],
    ]
    .concat();
    let total = 16 + head.len() as u32 + payload.len() as u32;
    let mut bytes = [total.to_be_bytes(), (head.len() as u32).to_be_bytes()].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(payload.as_bytes());
    bytes
}

#[test]
fn no_body_makes_the_scanner_grow() {
    let long = "x".repeat(1_000_000);
    for body in [
        format!(
            r#"{{"model":"{long}","error":{{"message":"{long}"}},"choices":[{{"message":{{"content":"{long}"}}}}]}}"#
        )
        .into_bytes(),
        format!(
            r#"{{"{long}":1,"usage":{{"prompt_tokens":{}}}}}"#,
            "1".repeat(1_000_000)
        )
        .into_bytes(),
        b"[".repeat(1_000_000),
        format!("data: {long}\n\n").repeat(3).into_bytes(),
        frame(&format!(r#"{{"bytes":"{}","model":"{long}","message":"{long}"}}"#, "eyJh".repeat(100_000))),
    ] {
        for framing in FRAMINGS {
            let dialect = match framing {
                Framing::EventStream => Dialect::Bedrock,
                _ => Dialect::OpenAiChat,
            };
            let used = measure(|| {
                let mut scanner = UsageScanner::new(dialect, framing);
                body.chunks(7).for_each(|piece| scanner.push(piece));
            });
            assert!(size_of::<UsageScanner>() < 1024);
            assert!(
                used.bytes_max < 3072,
                "{} bytes in {framing:?} for {:?}...",
                used.bytes_max,
                String::from_utf8_lossy(&body[..20])
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
