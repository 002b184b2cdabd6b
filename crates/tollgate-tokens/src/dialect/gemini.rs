//! Google's Gemini format, of the Gemini API and of Vertex AI (`python-genai`, `types.py`, August 2026).

use crate::descriptor::{self, Ask, cap, hidden, measured};
use crate::json::Node;
use crate::scanner::{Counts, Leaf, Slot, count, document, error, kept, text};
use crate::usage::Usage;

/// Where a request says what. The names come in two spellings, since servers read protocol buffers' JSON.
pub(super) static REQUEST: Node<Ask> = Node::new().keys(&[
    ("contents", CONTENTS),
    ("systemInstruction", ASKED_CONTENT),
    ("system_instruction", ASKED_CONTENT),
    ("tools", Node::deep(Ask::Tools)),
    ("generationConfig", CONFIG),
    ("generation_config", CONFIG),
    hidden("cachedContent"),
    hidden("cached_content"),
    // Embeddings, one or many.
    ("content", ASKED_CONTENT),
    (
        "requests",
        Node::new().items(&Node::new().keys(&[("content", ASKED_CONTENT)])),
    ),
    // A request whose tokens are to be counted.
    (
        "generateContentRequest",
        Node::new().keys(&[
            ("contents", CONTENTS),
            ("systemInstruction", ASKED_CONTENT),
            ("tools", Node::deep(Ask::Tools)),
            hidden("cachedContent"),
        ]),
    ),
]);

const CONTENTS: Node<Ask> = Node::mark(Ask::Messages).items(&ASKED_CONTENT);

const ASKED_CONTENT: Node<Ask> = Node::mark(Ask::Message).keys(&[(
    "parts",
    Node::new()
        .items(&Node::new().keys(ASKED_PART))
        .keys(ASKED_PART),
)]);

const ASKED_PART: &[(&str, Node<Ask>)] = &[
    measured("text", Ask::Text),
    ("inlineData", MEDIA),
    ("inline_data", MEDIA),
    ("fileData", FILE),
    ("file_data", FILE),
    ("functionCall", FUNCTION),
    ("functionResponse", FUNCTION),
    (
        "executableCode",
        Node::new().keys(&[measured("code", Ask::Text)]),
    ),
    (
        "codeExecutionResult",
        Node::new().keys(&[measured("output", Ask::Text)]),
    ),
];

/// Bytes of a picture, or of something whose tokens cannot be told from its length.
const MEDIA: Node<Ask> = Node::new().keys(&[
    descriptor::kept("mimeType", Ask::MediaType),
    descriptor::kept("mime_type", Ask::MediaType),
    measured("data", Ask::MediaData),
]);

const FILE: Node<Ask> = Node::mark(Ask::Hidden).keys(&[
    descriptor::kept("mimeType", Ask::MediaType),
    descriptor::kept("mime_type", Ask::MediaType),
]);

const FUNCTION: Node<Ask> = Node::new().keys(&[
    measured("name", Ask::Text),
    ("args", Node::deep(Ask::Text)),
    ("response", Node::deep(Ask::Text)),
]);

const CONFIG: Node<Ask> = Node::new().keys(&[
    cap("maxOutputTokens", 0),
    cap("max_output_tokens", 0),
    ("candidateCount", Node::mark(Ask::Choices("candidateCount"))),
    (
        "candidate_count",
        Node::mark(Ask::Choices("candidate_count")),
    ),
    ("responseSchema", Node::deep(Ask::Tools)),
    ("responseJsonSchema", Node::deep(Ask::Tools)),
]);

/// Where a response, one event of a stream, or one item of a list sent in pieces says what.
pub(super) static RESPONSE: Node<Leaf> = Node::new().keys(KEYS).items(&document(KEYS));

const KEYS: &[(&str, Node<Leaf>)] = &[
    (
        "candidates",
        Node::new().items(&Node::new().keys(&[
            (
                "content",
                Node::new().keys(&[("parts", Node::new().items(&PART))]),
            ),
            // No terminator follows: a reason to stop is the only sign of an end.
            kept("finishReason", Leaf::LastFinish),
        ])),
    ),
    ("usageMetadata", USAGE),
    kept("modelVersion", Leaf::Model),
    (
        "promptFeedback",
        Node::new().keys(&[kept("blockReason", Leaf::LastFinish)]),
    ),
    error(),
    // The answer of `:countTokens`.
    count("totalTokens", Slot::Counted),
];

const PART: Node<Leaf> = Node::new().keys(&[
    text("text"),
    (
        "functionCall",
        Node::new().keys(&[text("name"), ("args", Node::deep(Leaf::Text))]),
    ),
    ("executableCode", Node::new().keys(&[text("code")])),
]);

const USAGE: Node<Leaf> = Node::new().keys(&[
    count("promptTokenCount", Slot::Input),
    count("candidatesTokenCount", Slot::Output),
    count("thoughtsTokenCount", Slot::Reasoning),
    count("toolUsePromptTokenCount", Slot::ToolInput),
    count("cachedContentTokenCount", Slot::CacheRead),
    count("totalTokenCount", Slot::Total),
]);

/// The usage that these numbers mean: the total is "the sum of prompt, candidates, tool use prompt and thoughts" (`types.py`), so
/// thoughts are not among the candidates' tokens; cached tokens are part of the prompt. Any field may be missing.
pub(super) fn usage(counts: &Counts) -> Option<Usage> {
    let get = |slot| counts.get(slot).unwrap_or(0);
    let told = [
        Slot::Input,
        Slot::Output,
        Slot::Reasoning,
        Slot::ToolInput,
        Slot::CacheRead,
    ];
    if told.iter().all(|slot| counts.get(*slot).is_none()) {
        return counts.get(Slot::Total).map(Usage::unsplit);
    }
    let input = get(Slot::Input).saturating_add(get(Slot::ToolInput));
    let cache_read = get(Slot::CacheRead);
    Some(Usage {
        cache_read,
        reasoning: get(Slot::Reasoning),
        // A part cannot exceed its whole.
        ..Usage::new(
            input.max(cache_read),
            get(Slot::Output).saturating_add(get(Slot::Reasoning)),
        )
    })
}
