//! Counts the tokens of a prompt while it is parsed, without keeping a copy of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::tokens::{PER_ATTACHMENT, PER_MESSAGE, tokens};

/// The `messages` of a chat: how many, and their tokens.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) count: u64,
    pub(super) tokens: u64,
}

/// The tokens of a content: a string, or a list of parts, each a text, an attachment or a content of its own.
#[derive(Debug, Default)]
pub(super) struct Counted(pub(super) u64);

/// The tokens of tool definitions, counted as the JSON text they are.
#[derive(Debug, Default)]
pub(super) struct Tools(pub(super) u64);

#[derive(serde::Deserialize)]
struct Message {
    content: Option<Counted>,
    #[serde(default)]
    tool_calls: Tools,
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Messages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Messages, A::Error> {
                let mut messages = Messages::default();
                while let Some(message) = list.next_element::<Message>()? {
                    messages.count += 1;
                    messages.tokens +=
                        message.content.unwrap_or_default().0 + message.tool_calls.0 + PER_MESSAGE;
                }
                Ok(messages)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Content;
        impl<'de> Visitor<'de> for Content {
            type Value = Counted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of parts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Counted, E> {
                Ok(Counted(tokens(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Counted, A::Error> {
                let mut sum = 0;
                while let Some(part) = parts.next_element::<Counted>()? {
                    sum += part.0;
                }
                Ok(Counted(sum))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut part: A) -> Result<Counted, A::Error> {
                let mut sum = 0;
                while let Some(name) = part.next_key::<String>()? {
                    match name.as_str() {
                        "text" | "content" => {
                            sum += part.next_value::<Option<Counted>>()?.unwrap_or_default().0
                        }
                        // Base64 is not text: a picture costs the same whatever its bytes.
                        "image_url" | "input_audio" | "file" | "source" => {
                            part.next_value::<IgnoredAny>()?;
                            sum += PER_ATTACHMENT;
                        }
                        _ => {
                            part.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Counted(sum))
            }
        }
        deserializer.deserialize_any(Content)
    }
}

impl<'de> Deserialize<'de> for Tools {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tools = Option::<Value>::deserialize(deserializer)?;
        Ok(Self(tools.map_or(0, |tools| tokens(&tools.to_string()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_message_is_counted() {
        let check = |messages: &str, expected| {
            let counted: Messages = serde_json::from_str(messages).expect("messages");
            assert_eq!(counted.tokens, expected, "{messages}");
        };
        check("[]", 0);
        check(r#"[{"role":"user","content":"toll road"}]"#, 6);
        check(
            r#"[{"role":"user","content":"toll"},{"role":"assistant","content":null}]"#,
            9,
        );
        check(
            r#"[{"content":[{"type":"text","text":"toll"},{"type":"text","text":"road"}]}]"#,
            6,
        );
        check(
            r#"[{"content":[{"type":"image_url","image_url":{"url":"data:aaaaaaaaaaaaaaaaaaaaaa"}}]}]"#,
            1_604,
        );
        check(
            r#"[{"content":[{"type":"tool_result","content":[{"type":"text","text":"toll"}]}]}]"#,
            5,
        );
        check(r#"[{"content":"\u00fc\n"}]"#, 6);
        check(r#"[{"content":null,"tool_calls":["toll"]}]"#, 9);
    }

    #[test]
    fn a_prompt_of_another_kind_is_an_error() {
        for messages in [r#""toll""#, r#"[{"content":7}]"#, "{}"] {
            serde_json::from_str::<Messages>(messages).expect_err(messages);
        }
    }
}
