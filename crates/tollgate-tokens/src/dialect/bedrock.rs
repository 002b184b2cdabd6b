//! Amazon Bedrock's formats: Converse, and what the vendors behind `invoke` answer (`botocore`, `bedrock-runtime`, August 2026).

mod request;

use http::HeaderMap;

pub(super) use request::REQUEST;

use crate::json::Node;
use crate::number::scaled;
use crate::scanner::{Counts, Fault, Leaf, Slot, count, document, kept, text};
use crate::usage::Usage;

/// Where a response, or one frame of a stream, says what.
pub(super) static RESPONSE: Node<Leaf> = Node::new().keys(KEYS).items(&document(KEYS));

const KEYS: &[(&str, Node<Leaf>)] = &[
    // Converse, whole. Mistral and Cohere answer `invoke` with `outputs` and `generations`.
    (
        "output",
        Node::new().keys(&[(
            "message",
            Node::new().keys(&[("content", Node::new().items(&BLOCK))]),
        )]),
    ),
    kept("stopReason", Leaf::Finish),
    ("usage", USAGE),
    // Frames of a stream: the kind is in the frame's head, or in a list of frames around the payload.
    ("delta", DELTA),
    ("start", BLOCK),
    ("contentBlockStart", Node::new().keys(&[("start", BLOCK)])),
    ("contentBlockDelta", Node::new().keys(&[("delta", DELTA)])),
    (
        "messageStop",
        Node::new().keys(&[kept("stopReason", Leaf::Finish)]),
    ),
    ("metadata", Node::mark(Leaf::End).keys(&[("usage", USAGE)])),
    // A chunk of `invoke-with-response-stream`: a document of the vendor's in base64.
    ("bytes", Node::measure(Leaf::Bytes)),
    ("amazon-bedrock-invocationMetrics", METRICS),
    // Anthropic.
    kept("type", Leaf::Type(&["message_stop"])),
    kept("model", Leaf::Model),
    kept("stop_reason", Leaf::Finish),
    ("content", Node::new().items(&BLOCK)),
    ("content_block", BLOCK),
    (
        "message",
        // As a plain string, the message of an error.
        kept("message", Leaf::Flat(Fault::Message))
            .1
            .keys(&[kept("model", Leaf::Model), ("usage", USAGE)]),
    ),
    (
        "error",
        Node::new().keys(&[
            kept("type", Leaf::Error(Fault::Kind)),
            kept("message", Leaf::Error(Fault::Message)),
        ]),
    ),
    // Llama.
    text("generation"),
    count("prompt_token_count", Slot::Input),
    count("generation_token_count", Slot::Output),
    // Titan.
    text("outputText"),
    count("inputTextTokenCount", Slot::Input),
    count("totalOutputTextTokenCount", Slot::Output),
    kept("completionReason", Leaf::Finish),
    (
        "results",
        Node::new().items(&Node::new().keys(&[
            text("outputText"),
            count("tokenCount", Slot::Output),
            kept("completionReason", Leaf::Finish),
        ])),
    ),
    // Mistral; Cohere; AI21 and OpenAI's open models.
    ("outputs", VARIANTS),
    ("generations", VARIANTS),
    ("choices", VARIANTS),
    // The answer of `count-tokens`.
    count("inputTokens", Slot::Counted),
];

const USAGE: Node<Leaf> = Node::new().keys(&[
    count("inputTokens", Slot::Input),
    count("outputTokens", Slot::Output),
    count("cacheReadInputTokens", Slot::CacheRead),
    count("cacheWriteInputTokens", Slot::CacheWrite),
    count("input_tokens", Slot::Input),
    count("output_tokens", Slot::Output),
    count("cache_read_input_tokens", Slot::CacheRead),
    count("cache_creation_input_tokens", Slot::CacheWrite),
    // OpenAI's open models: as OpenAI counts.
    count("prompt_tokens", Slot::Prompt),
    count("completion_tokens", Slot::Output),
    (
        "prompt_tokens_details",
        Node::new().keys(&[count("cached_tokens", Slot::CacheRead)]),
    ),
    (
        "completion_tokens_details",
        Node::new().keys(&[count("reasoning_tokens", Slot::Reasoning)]),
    ),
]);

const METRICS: Node<Leaf> = Node::mark(Leaf::End).keys(&[
    count("inputTokenCount", Slot::HeadInput),
    count("outputTokenCount", Slot::HeadOutput),
    count("cacheReadInputTokenCount", Slot::HeadCacheRead),
    count("cacheWriteInputTokenCount", Slot::HeadCacheWrite),
]);

/// A block of content, in Converse's form or in Anthropic's.
const BLOCK: Node<Leaf> = Node::new().keys(&[
    text("text"),
    text("thinking"),
    text("name"),
    ("input", Node::deep(Leaf::Text)),
    (
        "toolUse",
        Node::new().keys(&[text("name"), ("input", Node::deep(Leaf::Text))]),
    ),
    (
        "reasoningContent",
        Node::new().keys(&[
            text("text"),
            ("reasoningText", Node::new().keys(&[text("text")])),
        ]),
    ),
]);

const DELTA: Node<Leaf> = Node::new().keys(&[
    text("text"),
    text("thinking"),
    text("partial_json"),
    ("toolUse", Node::new().keys(&[text("input")])),
    ("reasoningContent", Node::new().keys(&[text("text")])),
    kept("stop_reason", Leaf::Finish),
]);

const VARIANTS: Node<Leaf> = Node::new().items(&Node::new().keys(&[
    text("text"),
    ("message", ANSWER),
    ("delta", ANSWER),
    kept("finish_reason", Leaf::Finish),
    kept("stop_reason", Leaf::Finish),
]));

const ANSWER: Node<Leaf> = Node::new().keys(&[
    text("content"),
    text("reasoning"),
    text("reasoning_content"),
]);

/// Reads the counts that the head of an `invoke` response brings.
pub(super) fn read_head(headers: &HeaderMap, counts: &mut Counts) {
    let names = [
        ("x-amzn-bedrock-input-token-count", Slot::HeadInput),
        ("x-amzn-bedrock-output-token-count", Slot::HeadOutput),
        (
            "x-amzn-bedrock-cache-read-input-token-count",
            Slot::HeadCacheRead,
        ),
        (
            "x-amzn-bedrock-cache-write-input-token-count",
            Slot::HeadCacheWrite,
        ),
    ];
    for (name, slot) in names {
        let value = headers.get(name);
        if let Some(value) = value.and_then(|value| scaled(value.as_bytes(), 0)) {
            counts.set(slot, value);
        }
    }
}

/// The usage that these numbers mean. `inputTokens` leaves cached tokens out (as Anthropic does, whose models the field is from); the
/// head of a response and the metrics at the end of a stream count likewise, and stand in for what the body lacks.
pub(super) fn usage(counts: &Counts) -> Option<Usage> {
    let either = |slot, head| counts.get(slot).or(counts.get(head));
    let plain = either(Slot::Input, Slot::HeadInput);
    let output = either(Slot::Output, Slot::HeadOutput);
    plain.or(counts.get(Slot::Prompt)).or(output)?;
    let cache_read = either(Slot::CacheRead, Slot::HeadCacheRead).unwrap_or(0);
    let cache_write = either(Slot::CacheWrite, Slot::HeadCacheWrite).unwrap_or(0);
    let output = output.unwrap_or(0);
    let reasoning = counts.get(Slot::Reasoning).unwrap_or(0).min(output);
    let input = match (counts.get(Slot::Input), counts.get(Slot::Prompt)) {
        // As OpenAI counts, cached tokens are part of the prompt.
        (None, Some(prompt)) => prompt.max(cache_read.saturating_add(cache_write)),
        _ => plain
            .unwrap_or(0)
            .saturating_add(cache_read)
            .saturating_add(cache_write),
    };
    Some(Usage {
        cache_read,
        cache_write,
        reasoning,
        ..Usage::new(input, output)
    })
}
