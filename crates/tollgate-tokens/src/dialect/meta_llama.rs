//! The Meta Llama API's own format (`llama-api-python`, response types, August 2025).

use crate::json::Node;
use crate::scanner::{Counts, Fault, Leaf, NUMBER, Slot, document, error, kept, text};
use crate::usage::Usage;

/// Where a response, or one event of a stream, says what.
pub(super) static RESPONSE: Node<Leaf> = Node::new().keys(KEYS).items(&document(KEYS));

const KEYS: &[(&str, Node<Leaf>)] = &[
    kept("model", Leaf::Model),
    (
        "completion_message",
        Node::new().keys(&[
            kept("stop_reason", Leaf::Finish),
            ("content", Node::measure(Leaf::Text).keys(&[text("text")])),
            ("tool_calls", Node::new().items(&TOOL_CALL)),
        ]),
    ),
    ("metrics", METRICS),
    (
        "event",
        Node::new().keys(&[
            // `complete` ends the text and `metrics` follows it; which of them is the last is not documented.
            kept("event_type", Leaf::Type(&["complete", "metrics"])),
            kept("stop_reason", Leaf::Finish),
            (
                "delta",
                Node::new().keys(&[text("text"), ("function", FUNCTION)]),
            ),
            ("metrics", METRICS),
        ]),
    ),
    // An error is an event named `error`; its body is that of a failed request.
    kept("title", Leaf::Flat(Fault::Kind)),
    kept("detail", Leaf::Flat(Fault::Message)),
    kept("status", Leaf::Flat(Fault::Code)),
    error(),
];

/// Usage is a list of `{metric, value, unit}`, in any order.
const METRICS: Node<Leaf> = Node::new().items(&METRIC);

const METRIC: Node<Leaf> = Node::mark(Leaf::Metric).keys(&[
    kept(
        "metric",
        Leaf::MetricName(&[
            ("num_prompt_tokens", Slot::Input),
            ("num_completion_tokens", Slot::Output),
            ("num_total_tokens", Slot::Total),
        ]),
    ),
    ("value", Node::keep(Leaf::MetricValue, NUMBER)),
]);

const TOOL_CALL: Node<Leaf> = Node::new().keys(&[("function", FUNCTION)]);

const FUNCTION: Node<Leaf> = Node::new().keys(&[text("name"), text("arguments")]);

/// The usage that these numbers mean.
pub(super) fn usage(counts: &Counts) -> Option<Usage> {
    match (counts.get(Slot::Input), counts.get(Slot::Output)) {
        (None, None) => counts.get(Slot::Total).map(Usage::unsplit),
        (input, output) => Some(Usage::new(input.unwrap_or(0), output.unwrap_or(0))),
    }
}
