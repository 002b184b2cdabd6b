//! Guesses the dialect of a response from the shape of its body.

use super::Dialect;
use crate::json::{Node, Reader, Sink};
use crate::sse::{EventSink, Events};

/// See [`Dialect::guess`].
pub(super) fn guess(head: &[u8]) -> Option<Dialect> {
    let mut guess = Guess {
        reader: Reader::new(&SHAPE),
        hints: Hints::default(),
    };
    let head = head
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(head)
        .trim_ascii_start();
    if is_event_stream(head) {
        return Some(Dialect::Bedrock);
    }
    if let Some(b'{' | b'[') = head.first() {
        // Of lines of JSON, the first one tells; what follows it is no part of the document.
        guess.data(head);
        guess.end(false);
    } else {
        let mut events = Events::default();
        events.push(head, &mut guess);
        events.finish(&mut guess);
    }
    guess.hints.sure.or(guess.hints.likely)
}

/// Whether a binary event stream of AWS's begins here, which the checksum of its first twelve bytes proves.
fn is_event_stream(head: &[u8]) -> bool {
    let checksum = head
        .get(8..12)
        .map(|bytes| bytes == crc32fast::hash(&head[..8]).to_be_bytes());
    checksum.unwrap_or(false)
}

/// What is at a telling place.
#[derive(Debug, Clone, Copy)]
enum Hint {
    /// Only this dialect has a value here.
    Sure(Dialect),
    /// This dialect has a value here, but others could.
    Likely(Dialect),
    /// OpenAI's name for the kind of object.
    Object,
    /// Anthropic's, Cohere's and the Responses API's name for the kind of event.
    Type,
}

static SHAPE: Node<Hint> = Node::new().keys(KEYS).items(&Node::new().keys(KEYS));

const KEYS: &[(&str, Node<Hint>)] = &[
    sure("completion_message", Dialect::MetaLlama),
    (
        "event",
        Node::new().keys(&[sure("event_type", Dialect::MetaLlama)]),
    ),
    sure("token_usage", Dialect::Generic),
    sure("tokens_used", Dialect::Generic),
    sure("choices", Dialect::OpenAiChat),
    ("object", Node::keep(Hint::Object, 64)),
    ("type", Node::keep(Hint::Type, 64)),
    (
        "usage",
        Node::new().keys(&[
            sure("prompt_tokens", Dialect::OpenAiChat),
            sure("cache_read_input_tokens", Dialect::Anthropic),
            sure("input_tokens_details", Dialect::OpenAiChat),
            sure("inputTokens", Dialect::Bedrock),
            sure("tokens", Dialect::Cohere),
            sure("billed_units", Dialect::Cohere),
        ]),
    ),
    sure("candidates", Dialect::Gemini),
    sure("usageMetadata", Dialect::Gemini),
    sure("promptFeedback", Dialect::Gemini),
    ("totalTokens", Node::mark(Hint::Likely(Dialect::Gemini))),
    sure("generation_id", Dialect::Cohere),
    ("event_type", Node::keep(Hint::Type, 64)),
    (
        "meta",
        Node::new().keys(&[sure("billed_units", Dialect::Cohere)]),
    ),
    sure("stopReason", Dialect::Bedrock),
    sure("messageStart", Dialect::Bedrock),
    sure("amazon-bedrock-invocationMetrics", Dialect::Bedrock),
    sure("inputTextTokenCount", Dialect::Bedrock),
    sure("generation_token_count", Dialect::Bedrock),
    ("inputTokens", Node::mark(Hint::Likely(Dialect::Bedrock))),
    sure("done", Dialect::Ollama),
    sure("prompt_eval_count", Dialect::Ollama),
    ("input_tokens", Node::mark(Hint::Likely(Dialect::Anthropic))),
    (
        "error",
        Node::new().keys(&[("code", Node::keep(Hint::Likely(Dialect::OpenAiChat), 64))]),
    ),
];

const fn sure(name: &'static str, dialect: Dialect) -> (&'static str, Node<Hint>) {
    (name, Node::keep(Hint::Sure(dialect), 64))
}

#[derive(Debug, Default)]
struct Hints {
    sure: Option<Dialect>,
    likely: Option<Dialect>,
}

impl Hints {
    fn take(&mut self, hint: Hint) {
        match hint {
            Hint::Sure(dialect) => self.sure = self.sure.or(Some(dialect)),
            Hint::Likely(dialect) => self.likely = self.likely.or(Some(dialect)),
            Hint::Object | Hint::Type => {}
        }
    }
}

impl Sink<Hint> for Hints {
    fn string(&mut self, hint: Hint, text: &[u8], _: bool) {
        match hint {
            Hint::Object if OPENAI_OBJECTS.contains(&text) => {
                self.take(Hint::Sure(Dialect::OpenAiChat))
            }
            Hint::Type if text.starts_with(b"response.") => {
                self.take(Hint::Sure(Dialect::OpenAiChat))
            }
            Hint::Type if COHERE_TYPES.contains(&text) => self.take(Hint::Sure(Dialect::Cohere)),
            Hint::Type if ANTHROPIC_TYPES.contains(&text) => {
                self.take(Hint::Sure(Dialect::Anthropic))
            }
            // The Responses API has an event of this type too, but in the middle of a stream and with a flat body.
            Hint::Type if text == b"error" => self.take(Hint::Likely(Dialect::Anthropic)),
            _ => self.take(hint),
        }
    }

    fn number(&mut self, hint: Hint, _: &[u8], _: u64) {
        self.take(hint);
    }

    fn open(&mut self, hint: Hint) {
        self.take(hint);
    }

    fn literal(&mut self, hint: Hint, value: Option<bool>) {
        if value.is_some() {
            self.take(hint);
        }
    }

    fn text(&mut self, _: Hint, _: &[u8], _: bool) {}
    fn close(&mut self, _: Hint) {}
}

const OPENAI_OBJECTS: &[&[u8]] = &[
    b"chat.completion",
    b"chat.completion.chunk",
    b"text_completion",
    b"response",
    b"response.input_tokens",
    b"list",
];

const ANTHROPIC_TYPES: &[&[u8]] = &[
    b"message",
    b"message_start",
    b"message_delta",
    b"message_stop",
    b"content_block_start",
    b"content_block_delta",
];

const COHERE_TYPES: &[&[u8]] = &[
    b"message-start",
    b"content-start",
    b"content-delta",
    b"message-end",
    b"stream-start",
    b"text-generation",
    b"stream-end",
];

struct Guess {
    reader: Reader<Hint>,
    hints: Hints,
}

impl EventSink for Guess {
    fn data(&mut self, piece: &[u8]) {
        self.reader.push(piece, &mut self.hints);
    }

    fn end(&mut self, _: bool) {
        self.reader.end(&mut self.hints);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_body_tells_its_dialect() {
        let check =
            |body: &str, expected| assert_eq!(Dialect::guess(body.as_bytes()), expected, "{body}");
        check(r#"{"id":"x","choices":[]}"#, Some(Dialect::OpenAiChat));
        check(r#"{"id":"x","object":"response"#, None); // Cut inside the telling word.
        check(
            r#"{"object":"response","status":"completed"#,
            Some(Dialect::OpenAiChat),
        );
        check(
            "event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
            Some(Dialect::OpenAiChat),
        );
        check(
            ": OPENROUTER PROCESSING\n\ndata: {\"choices\":[",
            Some(Dialect::OpenAiChat),
        );
        check(
            r#"{"error":{"message":"no","code":"rate_limit_exceeded"}}"#,
            Some(Dialect::OpenAiChat),
        );
        check(
            r#" {"type":"message","content":[]}"#,
            Some(Dialect::Anthropic),
        );
        check(
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
            Some(Dialect::Anthropic),
        );
        check(
            "event: message_start\ndata: {\"type\":\"message_start\",\"mess",
            Some(Dialect::Anthropic),
        );
        check(r#"{"input_tokens":9}"#, Some(Dialect::Anthropic));
        check(
            r#"{"completion_message":{"role":"assistant"}}"#,
            Some(Dialect::MetaLlama),
        );
        check(
            "data: {\"id\":\"A\",\"event\":{\"event_type\":\"start\"}}\n\n",
            Some(Dialect::MetaLlama),
        );
        check(
            r#"{"output":"text","token_usage":"57"}"#,
            Some(Dialect::Generic),
        );
        check(
            "{\"tokens_used\":5}\n{\"choices\":[]}",
            Some(Dialect::Generic),
        );
        check(r#"{"candidates":[{"content":{}}]}"#, Some(Dialect::Gemini));
        check(
            r#"[{"usageMetadata":{"promptTokenCount":9}}"#,
            Some(Dialect::Gemini),
        );
        check(r#"{"meta":{"billed_units":{}}}"#, Some(Dialect::Cohere));
        check(
            "event: message-start\ndata: {\"type\":\"message-start\"}",
            Some(Dialect::Cohere),
        );
        check(r#"{"usage":{"inputTokens":1}}"#, Some(Dialect::Bedrock));
        check(
            r#"[{"messageStart":{"role":"assistant"}}]"#,
            Some(Dialect::Bedrock),
        );
        check(r#"{"model":"m","done":false}"#, Some(Dialect::Ollama));
        let prelude = b"\0\0\0\x76\0\0\0\x52\x96\xd5\xfa\xde\x0b:event-type";
        assert_eq!(Dialect::guess(prelude), Some(Dialect::Bedrock));
    }

    #[test]
    fn an_unknown_shape_is_not_guessed() {
        let check = |body: &str| assert_eq!(Dialect::guess(body.as_bytes()), None, "{body}");
        check("");
        check("[]");
        check("\0\0\0\x76\0\0\0\x52\0\0\0\0");
        check("<html>");
        check(r#"{"text":"{\"choices\":[]}","choices":null}"#);
        check(r#"{"error":"busy"}"#);
        check(r#"{"nested":{"choices":[]}}"#);
    }
}
