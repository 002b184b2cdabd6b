//! Ollama's native format (`ollama`, `docs/api`, August 2026).

use crate::descriptor::{self, Ask, measured};
use crate::json::Node;
use crate::scanner::{Counts, Leaf, Slot, count, document, error, kept, text};
use crate::usage::Usage;

/// Where a request says what.
pub(super) static REQUEST: Node<Ask> = Node::new().keys(&[
    descriptor::kept("model", Ask::Model),
    ("stream", Node::mark(Ask::Stream)),
    (
        "options",
        Node::new().keys(&[descriptor::open_cap("num_predict", 0)]),
    ),
    (
        "messages",
        Node::mark(Ask::Messages).items(&Node::mark(Ask::Message).keys(&[
            measured("content", Ask::Text),
            measured("thinking", Ask::Text),
            ("images", IMAGES),
            (
                "tool_calls",
                Node::new().items(&Node::new().keys(&[(
                    "function",
                    Node::new().keys(&[
                        measured("name", Ask::Text),
                        ("arguments", Node::deep(Ask::Text)),
                    ]),
                )])),
            ),
        ])),
    ),
    ("tools", Node::deep(Ask::Tools)),
    ("format", Node::deep(Ask::Tools)),
    // `/api/generate`.
    measured("prompt", Ask::Prompt),
    measured("suffix", Ask::Text),
    measured("system", Ask::Text),
    ("images", IMAGES),
    // An earlier conversation, as the tokens it ended with.
    ("context", Node::new().items(&Node::mark(Ask::TokenId))),
    // `/api/embed`.
    (
        "input",
        Node::measure(Ask::Input).items(&Node::measure(Ask::InputItem)),
    ),
]);

const IMAGES: Node<Ask> = Node::new().items(&Node::measure(Ask::Image));

/// Where a response, or one line of a stream, says what.
pub(super) static RESPONSE: Node<Leaf> = Node::new().keys(KEYS).items(&document(KEYS));

const KEYS: &[(&str, Node<Leaf>)] = &[
    kept("model", Leaf::Model),
    (
        "message",
        Node::new().keys(&[
            text("content"),
            text("thinking"),
            (
                "tool_calls",
                Node::new().items(&Node::new().keys(&[(
                    "function",
                    Node::new().keys(&[text("name"), ("arguments", Node::deep(Leaf::Text))]),
                )])),
            ),
        ]),
    ),
    text("response"),
    text("thinking"),
    ("done", Node::mark(Leaf::Done)),
    kept("done_reason", Leaf::Finish),
    count("prompt_eval_count", Slot::Input),
    count("eval_count", Slot::Output),
    error(),
];

/// The usage that these numbers mean. Both counts are left out where they are zero, and a prompt that was in the cache from its last
/// use counts as zero; so once the answer is done, what is absent is zero and not unknown.
pub(super) fn usage(counts: &Counts) -> Option<Usage> {
    let told = [Slot::Input, Slot::Output, Slot::Done];
    told.iter().find_map(|slot| counts.get(*slot))?;
    let get = |slot| counts.get(slot).unwrap_or(0);
    Some(Usage::new(get(Slot::Input), get(Slot::Output)))
}
