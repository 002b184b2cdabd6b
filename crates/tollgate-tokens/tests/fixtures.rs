//! Samples of each provider's responses and streams, written from their documented shapes, and what they must be read as in pieces of any size.

use std::path::Path;

use tollgate_tokens::{
    Billed, Catalog, Cost, Dialect, Framing, Scan, Usage, UsageScanner, Warning,
};

/// A sample body, without the head that some files carry.
fn body(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(head) if file.ends_with(".http") => bytes[head + 4..].to_vec(),
        _ => bytes,
    }
}

fn scan(dialect: Dialect, framing: Framing, body: &[u8], size: usize) -> Scan {
    let mut scanner = UsageScanner::new(dialect, framing);
    for piece in body.chunks(size) {
        scanner.push(piece);
    }
    scanner.finish()
}

/// The dialect of a provider that the catalog knows, or of that name.
fn spoken_by(name: &str) -> Dialect {
    let catalog = Catalog::builtin();
    let provider = catalog.provider(name).map(|provider| provider.dialect);
    let dialect = provider.or_else(|| Dialect::from_name(name));
    dialect.expect("a fixture's folder names a provider")
}

/// What the file is read as; the same for every size of piece.
fn read(file: &str) -> Scan {
    let folder = file.split('/').next().unwrap_or_default();
    let dialect = match file {
        "meta-llama/compat-chat.json" => Dialect::OpenAiChat,
        _ => spoken_by(folder),
    };
    let framing = match file.rsplit('.').next() {
        Some("sse") => Framing::Sse,
        Some("ndjson") => Framing::Ndjson,
        Some("bin") => Framing::EventStream,
        _ => Framing::Json,
    };
    let body = body(file);
    let whole = scan(dialect, framing, &body, usize::MAX);
    for size in 1..body.len() {
        assert_eq!(
            scan(dialect, framing, &body, size),
            whole,
            "{file} in pieces of {size}"
        );
    }
    whole
}

/// The usage in the file, which is otherwise whole and not odd.
fn check(file: &str, expected: Usage) {
    let scan = read(file);
    assert_eq!(
        (scan.usage, scan.complete, &scan.warnings[..]),
        (Some(expected), true, &[][..]),
        "{file}"
    );
}

#[test]
fn whole_responses_report_their_usage() {
    let cached = |cache_read, reasoning, usage| Usage {
        cache_read,
        reasoning,
        ..usage
    };
    check("openai/chat.http", cached(1920, 448, Usage::new(2048, 512)));
    check(
        "openai/responses.json",
        cached(256, 64, Usage::new(315, 90)),
    );
    check("openai/embeddings.json", Usage::new(9, 0));
    check("azure-openai/chat.http", Usage::new(21, 2));
    check("groq/chat.http", cached(0, 600, Usage::new(45, 662)));
    check("vllm/chat.json", Usage::new(9, 2));
    check("mistral/chat.http", Usage::new(13, 8));
    check("deepseek/chat.json", cached(10, 205, Usage::new(18, 219)));
    check("together/chat.http", Usage::new(30, 3));
    check("fireworks/chat.http", cached(990, 0, Usage::new(1000, 40)));
    check("meta-llama/chat.http", Usage::new(41, 29));
    check("meta-llama/compat-chat.json", Usage::new(12, 2));
    let cost = Some(Cost(12_100)); // $0.0000121
    check(
        "openrouter/chat.json",
        Usage {
            cost,
            ..cached(16, 4, Usage::new(40, 12))
        },
    );
}

#[test]
fn gemini_reports_output_without_thoughts_and_they_are_added() {
    let usage = Usage {
        cache_read: 4096,
        reasoning: 244,
        ..Usage::new(4100, 272)
    };
    check("gemini/generate.json", usage);
    let usage = Usage {
        reasoning: 185,
        ..Usage::new(9, 208)
    };
    check("gemini/stream.sse", usage);
}

#[test]
fn cohere_reports_what_it_counted_and_what_it_bills() {
    let usage = Usage {
        cache_read: 448,
        billed: Some(Billed {
            input: 12,
            output: 7,
        }),
        ..Usage::new(507, 10)
    };
    check("cohere/chat-v2.http", usage);
    check("cohere/stream-v2.sse", usage);
}

#[test]
fn bedrock_reports_input_without_its_cached_parts_and_they_are_added() {
    let usage = Usage {
        cache_read: 400,
        ..Usage::new(422, 57)
    };
    check("bedrock/converse.http", usage);
    check("bedrock/converse-stream.bin", Usage::new(22, 55));
    check("bedrock/converse-stream.decoded.json", Usage::new(22, 55));
}

#[test]
fn what_ollama_leaves_out_is_zero() {
    check("ollama/chat.json", Usage::new(26, 282));
    check("ollama/chat-stream.ndjson", Usage::new(0, 3));
}

#[test]
fn xai_reports_output_without_reasoning_and_it_is_added() {
    let cost = Some(Cost(152_000)); // 1,520,000 ticks of $1e-10
    check(
        "xai/chat.http",
        Usage {
            cache_read: 20,
            reasoning: 96,
            cost,
            ..Usage::new(30, 104)
        },
    );
}

#[test]
fn anthropic_reports_input_without_its_cached_parts_and_they_are_added() {
    let usage = Usage {
        cache_read: 200_000,
        cache_write: 300,
        reasoning: 180,
        ..Usage::new(200_350, 410)
    };
    check("anthropic/message.http", usage);
}

#[test]
fn streams_report_their_usage() {
    check("openai/chat-stream.sse", Usage::new(19, 3));
    check(
        "openai/responses-stream.sse",
        Usage {
            cache_read: 256,
            reasoning: 64,
            ..Usage::new(315, 90)
        },
    );
    check("azure-openai/stream.sse", Usage::new(21, 2));
    check("mistral/stream.sse", Usage::new(13, 8));
    check(
        "openrouter/stream.sse",
        Usage {
            cost: Some(Cost(12_100)),
            ..Usage::new(40, 12)
        },
    );
    check("anthropic/stream.sse", Usage::new(12, 30));
    check("meta-llama/stream.sse", Usage::new(41, 6));
}

#[test]
fn a_bare_total_counts_as_input() {
    check(
        "generic/token_usage_int.json",
        Usage {
            split_known: false,
            ..Usage::new(57, 0)
        },
    );
    check(
        "generic/tokens_used_int.json",
        Usage {
            split_known: false,
            ..Usage::new(57, 0)
        },
    );
    check("generic/token_usage_object.json", Usage::new(40, 17));
}

#[test]
fn a_body_without_usage_says_so_and_leaves_its_text_to_settle_from() {
    let check = |file, text_bytes| {
        let scan = read(file);
        assert_eq!(
            (scan.usage, scan.complete, scan.text_bytes),
            (None, true, text_bytes),
            "{file}"
        );
        assert_eq!(scan.warnings, [Warning::NoUsage], "{file}");
    };
    check("openai/chat-stream-nousage.sse", "Seven.".len() as u64);
    check("generic/missing.json", "text".len() as u64);
}

#[test]
fn counted_tokens_are_no_usage() {
    let scan = read("anthropic/count_tokens.json");
    assert_eq!(
        (scan.usage, scan.counted, scan.warnings),
        (None, Some(2095), vec![])
    );
}

#[test]
fn model_text_and_reason_to_stop_are_read_too() {
    let check = |file, model: Option<&str>, finish: &str, text: &str| {
        let scan = read(file);
        let found = (
            scan.model.as_deref(),
            scan.finish_reason.as_deref(),
            scan.text_bytes,
        );
        assert_eq!(found, (model, Some(finish), text.len() as u64), "{file}");
    };
    check(
        "openai/chat.http",
        Some("o4-mini-2025-04-16"),
        "stop",
        "Seven.",
    );
    check(
        "openai/chat-stream.sse",
        Some("gpt-4o-mini-2024-07-18"),
        "stop",
        "Seven.",
    );
    check(
        "openai/responses.json",
        Some("gpt-5-mini"),
        "completed",
        "Seven.",
    );
    check(
        "openai/responses-stream.sse",
        Some("gpt-5-mini"),
        "completed",
        "Seven.",
    );
    check(
        "azure-openai/stream.sse",
        Some("gpt-4o-2024-08-06"),
        "stop",
        "Ok.",
    );
    check("xai/chat.http", Some("grok-3-mini"), "stop", "2+2Four.");
    check(
        "groq/chat.http",
        Some("openai/gpt-oss-20b"),
        "stop",
        "...Done.",
    );
    check(
        "anthropic/message.http",
        Some("claude-opus-4-20250514"),
        "end_turn",
        "The bridge toll rose in 1931.",
    );
    check(
        "anthropic/stream.sse",
        Some("claude-opus-4-20250514"),
        "end_turn",
        "Tolls rose in 1931.",
    );
    check(
        "meta-llama/chat.http",
        None,
        "stop",
        "Three toll roads cross the valley.",
    );
    check("meta-llama/stream.sse", None, "stop", "Three toll roads.");
    check(
        "gemini/generate.json",
        Some("gemini-2.5-flash"),
        "STOP",
        "Three.",
    );
    check(
        "gemini/stream.sse",
        Some("gemini-3-pro-preview"),
        "STOP",
        "Three.",
    );
    check("cohere/chat-v2.http", None, "COMPLETE", "Ok.");
    check("cohere/stream-v2.sse", None, "COMPLETE", "Ok.");
    check("bedrock/converse.http", None, "end_turn", "Ok.");
    check("bedrock/converse-stream.bin", None, "end_turn", "Ok.");
    check(
        "bedrock/converse-stream.decoded.json",
        None,
        "end_turn",
        "Ok.",
    );
    check("ollama/chat.json", Some("llama3.2"), "stop", "Ok.");
    check("ollama/chat-stream.ndjson", Some("llama3.2"), "stop", "Ok.");
}
