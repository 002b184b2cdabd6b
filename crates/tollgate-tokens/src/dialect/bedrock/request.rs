//! Where a request to Bedrock says what: Converse's own format, and those of the vendors behind `invoke`, in one tree.

use crate::descriptor::{self, Ask, cap, measured, part};
use crate::json::Node;

/// The vendors' formats use no key for two things that could be mixed up.
pub(in crate::dialect) static REQUEST: Node<Ask> = Node::new().keys(&[
    ("system", SYSTEM),
    ("messages", MESSAGES),
    (
        "inferenceConfig",
        Node::new().keys(&[cap("maxTokens", 0), cap("max_new_tokens", 0)]), // Converse; Nova.
    ),
    ("toolConfig", Node::deep(Ask::Tools)),
    // A stored prompt, of which only the variables are here.
    ("promptVariables", Node::deep(Ask::Hidden)),
    // Anthropic, Mistral, Cohere, AI21 and OpenAI's open models.
    cap("max_tokens", 1),
    cap("max_completion_tokens", 0),
    (
        "thinking",
        Node::new().keys(&[("budget_tokens", Node::mark(Ask::Budget))]),
    ),
    ("tools", Node::deep(Ask::Tools)),
    ("stream", Node::mark(Ask::Stream)),
    measured("message", Ask::Message),
    (
        "chat_history",
        Node::new().items(&Node::mark(Ask::Message).keys(&[measured("message", Ask::Text)])),
    ),
    ("documents", Node::deep(Ask::Text)),
    (
        "texts",
        Node::mark(Ask::Input).items(&Node::measure(Ask::InputItem)),
    ),
    ("images", Node::new().items(&Node::measure(Ask::Image))),
    // Llama; Titan.
    measured("prompt", Ask::Prompt),
    cap("max_gen_len", 1),
    measured("inputText", Ask::Prompt),
    measured("inputImage", Ask::Image),
    (
        "textGenerationConfig",
        Node::new().keys(&[cap("maxTokenCount", 0)]),
    ),
    // The tokens of this are to be counted.
    (
        "input",
        Node::new().keys(&[
            (
                "converse",
                Node::new().keys(&[
                    ("system", SYSTEM),
                    ("messages", MESSAGES),
                    ("toolConfig", Node::deep(Ask::Tools)),
                ]),
            ),
            ("invokeModel", Node::mark(Ask::Hidden)),
        ]),
    ),
]);

const IMAGE: Node<Ask> = Node::mark(Ask::Image).keys(&[(
    "source",
    Node::new().keys(&[measured("bytes", Ask::MediaData)]),
)]);

const SYSTEM: Node<Ask> = Node::measure(Ask::Message).items(&BLOCK);

const MESSAGES: Node<Ask> = Node::mark(Ask::Messages)
    .items(&Node::mark(Ask::Message).keys(&[("content", Node::measure(Ask::Text).items(&BLOCK))]));

/// A block of content: Converse names its kind by the key, Anthropic by `type`.
const BLOCK: Node<Ask> = part(
    0,
    &[
        measured("text", Ask::Text),
        ("image", IMAGE),
        ("document", Node::mark(Ask::Hidden)),
        ("video", Node::mark(Ask::Hidden)),
        ("guardContent", Node::deep(Ask::Text)),
        (
            "reasoningContent",
            Node::new().keys(&[(
                "reasoningText",
                Node::new().keys(&[measured("text", Ask::Text)]),
            )]),
        ),
        (
            "toolUse",
            Node::new().keys(&[
                measured("name", Ask::Text),
                ("input", Node::deep(Ask::Text)),
            ]),
        ),
        (
            "toolResult",
            Node::new().keys(&[("content", Node::new().items(&RESULT))]),
        ),
        descriptor::kept("type", Ask::PartType(0)),
        measured("thinking", Ask::Text),
        measured("name", Ask::Text),
        ("input", Node::deep(Ask::Text)),
        ("content", Node::measure(Ask::Text).items(&RESULT)),
        (
            "source",
            Node::new().keys(&[
                descriptor::kept("type", Ask::SourceType(0)),
                measured("data", Ask::SourceData(0)),
            ]),
        ),
    ],
);

/// A block inside the result of a tool.
const RESULT: Node<Ask> = part(
    1,
    &[
        measured("text", Ask::Text),
        ("json", Node::deep(Ask::Text)),
        ("image", IMAGE),
        ("document", Node::mark(Ask::Hidden)),
        ("video", Node::mark(Ask::Hidden)),
        descriptor::kept("type", Ask::PartType(1)),
    ],
);
