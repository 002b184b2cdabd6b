//! `Words`: turns labels and other words into attributes, without a copy of the text once a word is known.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::KeyValue;
use tollgate_gate::{Labels, Unit};

use crate::instruments::key;

/// Words that attributes have as values, each kept once.
///
/// A value that is an `Arc<str>` costs no allocation when a point of a known series is recorded; labels lend `&str` only. Models,
/// providers and servers are few. Should a program have more than [`MOST`], the words that come later are copied each time.
#[derive(Debug, Default)]
pub(crate) struct Words {
    known: RwLock<HashSet<Arc<str>>>,
}

impl Words {
    pub(crate) fn get(&self, word: &str) -> Arc<str> {
        if let Some(known) = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(word)
        {
            return known.clone();
        }
        let word: Arc<str> = word.into();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST {
            known.insert(word.clone());
        }
        word
    }

    pub(crate) fn value(&self, key: &'static str, word: &str) -> KeyValue {
        KeyValue::new(key, self.get(word))
    }

    /// What the call is, in the one order that all instruments use: another order of the same attributes costs allocations and
    /// more than twice the time in the SDK. Labels that are missing stay away; a port that is none does too, and a port without
    /// a server (semantic conventions, `server.port`).
    pub(crate) fn of_call(&self, labels: &Labels) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(key::OF_CALL.len() + ROOM);
        let words = [
            (key::OPERATION, "operation"),
            (key::PROVIDER, "provider"),
            (key::REQUEST_MODEL, "model"),
            (key::SERVER_ADDRESS, "server"),
        ];
        for (key, label) in words {
            attributes.extend(labels.get(label).map(|word| self.value(key, word)));
        }
        if labels.get("server").is_some()
            && let Some(port) = labels.get("port").and_then(|port| port.parse::<u16>().ok())
        {
            attributes.push(KeyValue::new(key::SERVER_PORT, i64::from(port)));
        }
        attributes
    }
}

/// An amount as an attribute, which is signed: anything beyond its range is its maximum.
pub(crate) fn int(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// What a policy counts.
pub(crate) fn resource(unit: Unit) -> KeyValue {
    KeyValue::new(key::RESOURCE, unit.as_str())
}

const MOST: usize = 1_024;

/// Attributes that an instrument adds at most: the model that answered, and two more.
const ROOM: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_word_is_shared() {
        let words = Words::default();
        assert!(Arc::ptr_eq(&words.get("llama-3"), &words.get("llama-3")));
    }

    #[test]
    fn words_beyond_the_bound_are_copied_and_not_kept() {
        let words = Words::default();
        for i in 0..MOST + 10 {
            assert_eq!(*words.get(&format!("model-{i}")), *format!("model-{i}"));
        }
        assert_eq!(words.known.read().unwrap().len(), MOST);
        assert!(Arc::ptr_eq(&words.get("model-0"), &words.get("model-0")));
    }

    #[test]
    fn labels_become_attributes_in_one_order_whatever_theirs_is() {
        let check = |labels: &[(&str, &str)], expected: &[&str]| {
            let labels = labels.iter().fold(Labels::new(), |all, (label, value)| {
                all.with(*label, *value)
            });
            let attributes = Words::default().of_call(&labels);
            let found: Vec<String> = attributes
                .iter()
                .map(|kv| format!("{}={}", kv.key, kv.value))
                .collect();
            assert_eq!(found, expected);
        };
        check(&[], &[]);
        check(
            &[
                ("port", "443"),
                ("tenant", "acme"),
                ("model", "llama-3"),
                ("server", "api.example.com"),
                ("provider", "groq"),
                ("operation", "chat"),
            ],
            &[
                "gen_ai.operation.name=chat",
                "gen_ai.provider.name=groq",
                "gen_ai.request.model=llama-3",
                "server.address=api.example.com",
                "server.port=443",
            ],
        );
        check(&[("port", "443")], &[]);
        check(
            &[("server", "localhost"), ("port", "https")],
            &["server.address=localhost"],
        );
    }

    #[test]
    fn an_amount_beyond_the_signed_range_is_its_maximum() {
        assert_eq!(int(0), 0);
        assert_eq!(int(1_000_000), 1_000_000);
        assert_eq!(int(u64::MAX), i64::MAX);
    }
}
