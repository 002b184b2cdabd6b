//! `Document`: JSON as `serde_json` reads it, with every key that is there twice, twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

#[derive(Debug, Clone)]
pub(crate) enum Document {
    Null,
    Bool(bool),
    /// A whole number as `u64` has it.
    Count(u64),
    /// Any other number.
    Other(f64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Document {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Hears every place in the document, in order: the path to it, such as `choices[].text`, and what is there. A list or object comes
    /// before what is in it.
    pub(crate) fn each<'d>(&'d self, path: &mut String, hear: &mut impl FnMut(&str, &'d Self)) {
        hear(path.strip_prefix('.').unwrap_or(path), self);
        let length = path.len();
        match self {
            Self::List(items) => {
                path.push_str("[]");
                items.iter().for_each(|item| item.each(path, hear));
            }
            Self::Object(entries) => {
                for (key, value) in entries {
                    path.push('.');
                    // A key cannot be taken for several steps.
                    let step = |char| {
                        if matches!(char, '.' | '[' | ']') {
                            '\u{0}'
                        } else {
                            char
                        }
                    };
                    path.extend(key.chars().map(step));
                    value.each(path, hear);
                    path.truncate(length);
                }
            }
            _ => {}
        }
        path.truncate(length);
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Document, E> {
                Ok(Document::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
                Ok(Document::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
                Ok(Document::Count(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
                Ok(Document::Other(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
                Ok(Document::Other(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Document, E> {
                Ok(Document::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Document::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document, A::Error> {
                let mut object = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    object.push(entry);
                }
                Ok(Document::Object(object))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
