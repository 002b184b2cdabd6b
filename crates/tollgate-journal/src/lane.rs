//! `LaneKey`: the labels of a call that the journal keeps, and no others.

use std::sync::Arc;

use serde_json::{Map, Value};
use tollgate_gate::Labels;

/// What totals are grouped by: the columns of the table `series`.
pub(crate) const SERIES: [&str; 5] = ["team", "tenant", "provider", "model", "operation"];

/// The labels of a call that the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    /// In the order of [`SERIES`]; empty where the call has no such label.
    pub(crate) series: [String; SERIES.len()],
    /// The further labels that policies name, as a JSON object.
    pub(crate) further: String,
}

impl LaneKey {
    /// Keeps of a call's labels those of a series and those `named` by policies.
    pub(crate) fn of(labels: &Labels, named: &[Arc<str>]) -> Self {
        let further: Map<String, Value> = labels
            .iter()
            .filter(|(label, _)| {
                !SERIES.contains(label) && named.iter().any(|named| **named == **label)
            })
            .map(|(label, value)| (label.to_owned(), value.into()))
            .collect();
        Self {
            series: SERIES.map(|label| labels.get(label).unwrap_or_default().to_owned()),
            further: Value::Object(further).to_string(),
        }
    }

    /// The labels again.
    pub(crate) fn labels(&self) -> Labels {
        let series = SERIES.into_iter().zip(&self.series);
        let labels = series
            .filter(|(_, value)| !value.is_empty())
            .fold(Labels::new(), |labels, (label, value)| {
                labels.with(label, value.as_str())
            });
        // What else may stand there was not written by this crate.
        let further: Map<String, Value> = serde_json::from_str(&self.further).unwrap_or_default();
        further
            .into_iter()
            .filter_map(|(label, value)| Some((label, value.as_str()?.to_owned())))
            .fold(labels, |labels, (label, value)| labels.with(label, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_names_comes_back_and_nothing_else_is_kept() {
        let labels = Labels::new()
            .with("team", "blue")
            .with("model", "llama-3")
            .with("session", "s\"1")
            .with("key", "sk-secret")
            .with("server", "llm.example.com");
        let key = LaneKey::of(&labels, &["session".into(), "profile".into()]);
        assert_eq!(key.further, r#"{"session":"s\"1"}"#);
        let kept = Labels::new()
            .with("team", "blue")
            .with("model", "llama-3")
            .with("session", "s\"1");
        assert_eq!(key.labels(), kept);
    }
}
