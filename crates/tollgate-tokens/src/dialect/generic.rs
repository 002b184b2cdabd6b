//! The plainest format: `prompt` or `text` in; `token_usage` or `tokens_used` out, as a number, a string or an object.

use crate::descriptor::{self, Ask, cap, measured};
use crate::json::Node;
use crate::scanner::{Counts, Leaf, NUMBER, Slot, count, document, error, kept, text};
use crate::usage::Usage;

/// Where a request says what.
pub(super) static REQUEST: Node<Ask> = Node::new().keys(&[
    descriptor::kept("model", Ask::Model),
    ("stream", Node::mark(Ask::Stream)),
    cap("max_tokens", 0),
    measured("prompt", Ask::Prompt),
    measured("text", Ask::Prompt),
]);

/// Where a response, or one event of a stream, says what.
pub(super) static RESPONSE: Node<Leaf> = Node::new().keys(KEYS).items(&document(KEYS));

const KEYS: &[(&str, Node<Leaf>)] = &[
    kept("model", Leaf::Model),
    (
        "token_usage",
        Node::keep(Leaf::Total("token_usage"), NUMBER).keys(SPLIT),
    ),
    (
        "tokens_used",
        Node::keep(Leaf::Total("tokens_used"), NUMBER).keys(SPLIT),
    ),
    ("usage", Node::new().keys(SPLIT)),
    text("output"),
    text("text"),
    text("response"),
    text("completion"),
    error(),
];

const SPLIT: &[(&str, Node<Leaf>)] = &[
    count("prompt_tokens", Slot::Input),
    count("input_tokens", Slot::Input),
    count("completion_tokens", Slot::Output),
    count("output_tokens", Slot::Output),
    count("total_tokens", Slot::Total),
];

/// The usage that these numbers mean. A total without a split is counted as input.
pub(super) fn usage(counts: &Counts) -> Option<Usage> {
    let total = counts.get(Slot::Total);
    match (counts.get(Slot::Input), counts.get(Slot::Output)) {
        (None, None) => total.map(Usage::unsplit),
        // Half a split leaves the rest of the total to the other half, so that nothing goes uncounted.
        (Some(input), None) => Some(Usage::new(input, total.unwrap_or(0).saturating_sub(input))),
        (None, Some(output)) => Some(Usage::new(
            total.unwrap_or(0).saturating_sub(output),
            output,
        )),
        (Some(input), Some(output)) => Some(Usage::new(input, output)),
    }
}
