//! Cohere's formats, both versions of chat, embeddings and the tokenizer (`cohere-python`, types, August 2026).

use crate::descriptor::{self, Ask, cap, hidden, measured, part};
use crate::json::Node;
use crate::scanner::{Counts, Fault, Leaf, Slot, count, document, kept, text};
use crate::usage::{Billed, Usage};

/// Where a request says what, in either version: they use no key for two things that could be mixed up.
pub(super) static REQUEST: Node<Ask> = Node::new().keys(&[
    descriptor::kept("model", Ask::Model),
    ("stream", Node::mark(Ask::Stream)),
    cap("max_tokens", 0),
    ("tools", Node::deep(Ask::Tools)),
    ("documents", Node::deep(Ask::Text)),
    ("response_format", Node::deep(Ask::Tools)),
    // Version 2.
    (
        "messages",
        Node::mark(Ask::Messages)
            .items(&Node::mark(Ask::Message).keys(&[("content", CONTENT), TOOL_CALLS])),
    ),
    // Version 1.
    measured("message", Ask::Message),
    measured("preamble", Ask::Message),
    (
        "chat_history",
        Node::mark(Ask::Messages)
            .items(&Node::mark(Ask::Message).keys(&[measured("message", Ask::Text), TOOL_CALLS])),
    ),
    ("tool_results", Node::deep(Ask::Text)),
    hidden("conversation_id"),
    ("connectors", Node::new().items(&Node::mark(Ask::Hidden))),
    // Completions, embeddings and the tokenizer.
    measured("prompt", Ask::Prompt),
    (
        "num_generations",
        Node::mark(Ask::Choices("num_generations")),
    ),
    (
        "texts",
        Node::mark(Ask::Input).items(&Node::measure(Ask::InputItem)),
    ),
    (
        "inputs",
        Node::new().items(&Node::mark(Ask::InputItem).keys(&[("content", CONTENT)])),
    ),
    ("images", Node::new().items(&Node::measure(Ask::Image))),
    measured("text", Ask::Input),
]);

const CONTENT: Node<Ask> = Node::measure(Ask::Text).items(&part(
    0,
    &[
        descriptor::kept("type", Ask::PartType(0)),
        measured("text", Ask::Text),
        measured("thinking", Ask::Text),
        ("document", Node::deep(Ask::Text)),
    ],
));

/// Version 2 has the arguments as a string, version 1 as an object.
const TOOL_CALLS: (&str, Node<Ask>) = (
    "tool_calls",
    Node::new().items(&Node::new().keys(&[
        (
            "function",
            Node::new().keys(&[
                measured("name", Ask::Text),
                measured("arguments", Ask::Text),
            ]),
        ),
        measured("name", Ask::Text),
        ("parameters", Node::deep(Ask::Text)),
    ])),
);

/// Where a response, or one event of a stream, says what.
pub(super) static RESPONSE: Node<Leaf> = Node::new().keys(KEYS).items(&document(KEYS));

const KEYS: &[(&str, Node<Leaf>)] = &[
    kept("type", Leaf::Type(&["message-end"])),
    kept("event_type", Leaf::Type(&["stream-end"])),
    kept("finish_reason", Leaf::Finish),
    ("usage", USAGE),
    ("meta", USAGE),
    // Version 2: an object. A plain string here is an error's message.
    ("message", MESSAGE),
    (
        "delta",
        Node::new().keys(&[
            ("message", MESSAGE),
            kept("finish_reason", Leaf::Finish),
            ("usage", USAGE),
            kept("error", Leaf::Error(Fault::Message)),
        ]),
    ),
    // Version 1; `response` repeats the text of the events before it.
    text("text"),
    ("tool_calls", Node::new().items(&CALL)),
    (
        "generations",
        Node::new().items(&Node::new().keys(&[text("text")])),
    ),
    (
        "response",
        Node::new().keys(&[("meta", USAGE), kept("finish_reason", Leaf::Finish)]),
    ),
    // The answer of `/v1/tokenize`.
    (
        "tokens",
        Node::mark(Leaf::TokenList).items(&Node::mark(Leaf::Token)),
    ),
];

const MESSAGE: Node<Leaf> = kept("message", Leaf::Error(Fault::Message)).1.keys(&[
    (
        "content",
        Node::new()
            .items(&PART)
            .keys(&[text("text"), text("thinking")]),
    ),
    text("tool_plan"),
    (
        "tool_calls",
        Node::new().items(&CALL).keys(&[("function", FUNCTION)]),
    ),
]);

const PART: Node<Leaf> = Node::new().keys(&[text("text"), text("thinking")]);

const CALL: Node<Leaf> = Node::new().keys(&[
    ("function", FUNCTION),
    text("name"),
    ("parameters", Node::deep(Leaf::Text)),
]);

const FUNCTION: Node<Leaf> = Node::new().keys(&[text("name"), text("arguments")]);

const USAGE: Node<Leaf> = Node::new().keys(&[
    (
        "tokens",
        Node::new().keys(&[
            count("input_tokens", Slot::Input),
            count("output_tokens", Slot::Output),
        ]),
    ),
    (
        "billed_units",
        Node::new().keys(&[
            count("input_tokens", Slot::BilledInput),
            count("output_tokens", Slot::BilledOutput),
        ]),
    ),
    count("cached_tokens", Slot::CacheRead),
]);

/// The usage that these numbers mean. `tokens` is what went through the model; `billed_units` leaves out what Cohere adds to the
/// prompt, and is all that embeddings report.
pub(super) fn usage(counts: &Counts) -> Option<Usage> {
    let get = |slot| counts.get(slot).unwrap_or(0);
    let either = |slot, billed| counts.get(slot).or(counts.get(billed));
    let (input, output) = (
        either(Slot::Input, Slot::BilledInput),
        either(Slot::Output, Slot::BilledOutput),
    );
    input.or(output)?;
    let billed = counts
        .get(Slot::BilledInput)
        .or(counts.get(Slot::BilledOutput))
        .map(|_| Billed {
            input: get(Slot::BilledInput),
            output: get(Slot::BilledOutput),
        });
    let input = input.unwrap_or(0);
    Some(Usage {
        cache_read: get(Slot::CacheRead).min(input),
        billed,
        ..Usage::new(input, output.unwrap_or(0))
    })
}
