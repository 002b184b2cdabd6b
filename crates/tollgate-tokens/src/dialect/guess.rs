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
    if let Some(b'{') = head.first() {
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

/// What is at a telling place.
#[derive(Debug, Clone, Copy)]
enum Hint {
    /// Only this dialect has a value here.
    Sure(Dialect),
    /// This dialect has a value here, but others could.
    Likely(Dialect),
    /// OpenAI's name for the kind of object.
    Object,
    /// Anthropic's and the Responses API's name for the kind of event.
    Type,
}

static SHAPE: Node<Hint> = Node::new().keys(&[
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
        ]),
    ),
    ("input_tokens", Node::mark(Hint::Likely(Dialect::Anthropic))),
    (
        "error",
        Node::new().keys(&[("code", Node::keep(Hint::Likely(Dialect::OpenAiChat), 64))]),
    ),
]);

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

    fn literal(&mut self, _: Hint, _: Option<bool>) {}
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
    }

    #[test]
    fn an_unknown_shape_is_not_guessed() {
        let check = |body: &str| assert_eq!(Dialect::guess(body.as_bytes()), None, "{body}");
        check("");
        check("[]");
        check("<html>");
        check(r#"{"text":"{\"choices\":[]}","choices":null}"#);
        check(r#"{"error":"busy"}"#);
        check(r#"{"nested":{"choices":[]}}"#);
    }
}
