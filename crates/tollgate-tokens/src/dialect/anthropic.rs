//! Anthropic's Messages format (`anthropic-sdk-python`, `types/usage.py` and `types/message_delta_usage.py`, August 2026).

use crate::descriptor::{self, Ask, cap, measured, part};
use crate::json::Node;
use crate::scanner::{Counts, Leaf, Slot, count, document, error, kept, text};
use crate::usage::Usage;

/// Where a request says what.
pub(super) static REQUEST: Node<Ask> = Node::new().keys(&[
    descriptor::kept("model", Ask::Model),
    ("stream", Node::mark(Ask::Stream)),
    cap("max_tokens", 0),
    cap("max_tokens_to_sample", 0), // the format before Messages
    measured("prompt", Ask::Prompt),
    (
        "thinking",
        Node::new().keys(&[("budget_tokens", Node::mark(Ask::Budget))]),
    ),
    ("system", Node::measure(Ask::Message).items(&ASKED_BLOCK)),
    (
        "messages",
        Node::mark(Ask::Messages)
            .items(&Node::mark(Ask::Message).keys(&[("content", ASKED_CONTENT)])),
    ),
    ("tools", Node::deep(Ask::Tools)),
    ("output_format", Node::deep(Ask::Tools)),
    ("mcp_servers", Node::new().items(&Node::mark(Ask::Hidden))),
]);

const ASKED_CONTENT: Node<Ask> = Node::measure(Ask::Text).items(&ASKED_BLOCK);

const ASKED_BLOCK: Node<Ask> = part(
    0,
    &[
        descriptor::kept("type", Ask::PartType(0)),
        measured("text", Ask::Text),
        measured("thinking", Ask::Text),
        measured("title", Ask::Text),
        measured("context", Ask::Text),
        ("source", SOURCE[0]),
        // A call of a tool, and its result.
        measured("name", Ask::Text),
        ("input", Node::deep(Ask::Text)),
        ("content", Node::measure(Ask::Text).items(&INNER_BLOCK)),
    ],
);

/// A block inside the result of a tool.
const INNER_BLOCK: Node<Ask> = part(
    1,
    &[
        descriptor::kept("type", Ask::PartType(1)),
        measured("text", Ask::Text),
        measured("title", Ask::Text),
        ("source", SOURCE[1]),
    ],
);

/// Where an image or document comes from, for blocks and for blocks inside them; a document can be plain text.
const SOURCE: [Node<Ask>; 2] = [
    Node::new().keys(&[
        descriptor::kept("type", Ask::SourceType(0)),
        measured("data", Ask::SourceData(0)),
    ]),
    Node::new().keys(&[
        descriptor::kept("type", Ask::SourceType(1)),
        measured("data", Ask::SourceData(1)),
    ]),
];

/// Where a message, or one event of a stream, says what.
pub(super) static RESPONSE: Node<Leaf> = Node::new().keys(KEYS).items(&document(KEYS));

const KEYS: &[(&str, Node<Leaf>)] = &[
    kept("type", Leaf::Type(&["message_stop"])),
    // A whole message; `usage` is also in the stream's `message_delta`.
    kept("model", Leaf::Model),
    ("usage", USAGE),
    kept("stop_reason", Leaf::Finish),
    ("content", Node::new().items(&BLOCK)),
    // `message_start`.
    (
        "message",
        Node::new().keys(&[
            kept("model", Leaf::Model),
            ("usage", USAGE),
            kept("stop_reason", Leaf::Finish),
        ]),
    ),
    // The format before Messages.
    text("completion"),
    // `content_block_start`, `content_block_delta` and `message_delta`.
    ("content_block", BLOCK),
    (
        "delta",
        Node::new().keys(&[
            text("text"),
            text("thinking"),
            text("partial_json"),
            kept("stop_reason", Leaf::Finish),
        ]),
    ),
    error(),
    // The answer of `/v1/messages/count_tokens`.
    count("input_tokens", Slot::Counted),
];

const USAGE: Node<Leaf> = Node::new().keys(&[
    count("input_tokens", Slot::Input),
    count("output_tokens", Slot::Output),
    count("cache_read_input_tokens", Slot::CacheRead),
    count("cache_creation_input_tokens", Slot::CacheWrite),
    (
        "cache_creation",
        Node::new().keys(&[
            count("ephemeral_5m_input_tokens", Slot::CacheWrite5m),
            count("ephemeral_1h_input_tokens", Slot::CacheWrite1h),
        ]),
    ),
    (
        "output_tokens_details",
        Node::new().keys(&[count("thinking_tokens", Slot::Reasoning)]),
    ),
]);

/// A block of content. In a whole message, a tool's input is an object of generated JSON.
const BLOCK: Node<Leaf> = Node::new().keys(&[
    text("text"),
    text("thinking"),
    text("name"),
    ("input", Node::deep(Leaf::Text)),
]);

/// The usage that these numbers mean: "Total input tokens in a request is the summation of `input_tokens`,
/// `cache_creation_input_tokens`, and `cache_read_input_tokens`" (`types/usage.py`).
pub(super) fn usage(counts: &Counts) -> Option<Usage> {
    let get = |slot| counts.get(slot).unwrap_or(0);
    counts.get(Slot::Input).or(counts.get(Slot::Output))?;
    let cache_read = get(Slot::CacheRead);
    let cache_write = counts
        .get(Slot::CacheWrite)
        .unwrap_or_else(|| get(Slot::CacheWrite5m).saturating_add(get(Slot::CacheWrite1h)));
    let input = get(Slot::Input)
        .saturating_add(cache_read)
        .saturating_add(cache_write);
    let output = get(Slot::Output);
    // Thinking is counted again for this field, so that it can exceed the output it is a part of.
    let reasoning = get(Slot::Reasoning).min(output);
    Some(Usage {
        cache_read,
        cache_write,
        reasoning,
        ..Usage::new(input, output)
    })
}
