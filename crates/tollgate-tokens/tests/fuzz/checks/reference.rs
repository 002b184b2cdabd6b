//! What a body says, found by walking whole documents: slow, and written apart from the scanner's own trees of places.

use std::collections::HashMap;

use tollgate_tokens::{Billed, Dialect, Scan, Usage};

use super::document::Document;
use super::places::{Fact, places};

/// What a body said. `None` in `text`: it has numbers in generated text, whose bytes only the body knows.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) usage: Option<Usage>,
    pub(crate) model: Option<String>,
    pub(crate) finish: Option<String>,
    pub(crate) text: Option<u64>,
}

impl Said {
    /// What these documents say, one after another. `None`: something in them is beyond this reference, such as a count that is no
    /// whole number or a name of unusual length.
    pub(crate) fn by(dialect: Dialect, documents: &[Document]) -> Option<Self> {
        let mut facts = Facts {
            text: Some(0),
            ..Facts::default()
        };
        for document in documents {
            let items = match document {
                Document::List(items) => &items[..],
                one => std::slice::from_ref(one),
            };
            for item in items {
                item.each(&mut String::new(), &mut |path, value| {
                    facts.hear(dialect, path, value)
                });
            }
        }
        if facts.is_beyond {
            return None;
        }
        Some(Self {
            usage: facts.usage(dialect),
            model: facts.model,
            finish: facts.finish,
            text: facts.text,
        })
    }

    /// What the scanner found, as far as this reference can tell.
    pub(crate) fn found(scan: &Scan, like: &Self) -> Self {
        Self {
            usage: scan.usage.map(|usage| Usage {
                cost: None,
                ..usage
            }),
            model: scan.model.as_deref().map(str::to_owned),
            finish: scan.finish_reason.as_deref().map(str::to_owned),
            text: like.text.map(|_| scan.text_bytes),
        }
    }
}

#[derive(Default)]
struct Facts {
    counts: HashMap<&'static str, u64>,
    model: Option<String>,
    finish: Option<String>,
    text: Option<u64>,
    /// The name of a Meta metric and its value, which make a pair whatever their order.
    metric: (Option<String>, Option<u64>),
    is_beyond: bool,
}

impl Facts {
    fn hear(&mut self, dialect: Dialect, path: &str, value: &Document) {
        for (place, fact) in places(dialect) {
            match fact {
                Fact::Deep if is_below(path, place) => self.hear_deep(path, place, value),
                Fact::Deep => {}
                fact if path == place => self.hear_fact(fact, value),
                _ => {}
            }
        }
    }

    fn hear_fact(&mut self, fact: &Fact, value: &Document) {
        match (fact, value) {
            (_, Document::Null) => {}
            // A total may be an object with a split in its place.
            (Fact::Count("total or split"), Document::Object(_) | Document::List(_)) => {}
            (Fact::Count("total or split"), value) => self.hear_fact(&Fact::Count("total"), value),
            (Fact::Count(name), value) => {
                if let Some(count) = self.count(value) {
                    self.counts.insert(name, count);
                }
            }
            (Fact::Text, Document::Text(text)) => self.add(text.len()),
            // A number where text belongs counts by its digits.
            (Fact::Text, Document::Count(count)) => self.add(count.to_string().len()),
            (Fact::Text, Document::Other(_)) => self.text = None,
            (Fact::Model, Document::Text(name)) => {
                self.is_beyond |= name.len() > 256;
                self.model = Some(name.clone())
                    .filter(|name| !name.is_empty())
                    .or(self.model.take());
            }
            (Fact::Finish, Document::Text(name)) => {
                self.is_beyond |= name.len() > 128;
                self.finish = Some(name.clone())
                    .filter(|name| !name.is_empty())
                    .or(self.finish.take());
            }
            (Fact::Status, Document::Text(name))
                if !matches!(&**name, "in_progress" | "queued") =>
            {
                self.hear_fact(&Fact::Finish, value);
            }
            (Fact::Done, Document::Bool(true)) => drop(self.counts.insert("done", 1)),
            (Fact::Metric, _) => self.metric = (None, None),
            (Fact::MetricName, Document::Text(name)) => self.pair(Some(name.clone()), None),
            (Fact::MetricValue, value) => {
                if let Some(count) = self.count(value) {
                    self.pair(None, Some(count));
                }
            }
            _ => {}
        }
    }

    /// Of a list of named numbers, a name may come twice; then all of it is beyond this reference.
    fn pair(&mut self, name: Option<String>, value: Option<u64>) {
        self.is_beyond |= name.is_some() && self.metric.0.is_some();
        self.is_beyond |= value.is_some() && self.metric.1.is_some();
        self.metric.0 = name.or(self.metric.0.take());
        self.metric.1 = value.or(self.metric.1);
        if let (Some(name), Some(value)) = (&self.metric.0, self.metric.1) {
            let count = match &**name {
                "num_prompt_tokens" => "input",
                "num_completion_tokens" => "output",
                "num_total_tokens" => "total",
                _ => return,
            };
            self.counts.insert(count, value);
        }
    }

    fn count(&mut self, value: &Document) -> Option<u64> {
        match value {
            Document::Count(count) => return Some(*count),
            Document::Other(number)
                if *number >= 0.0 && *number < 9e15 && number.fract() == 0.0 =>
            {
                return Some(*number as u64);
            }
            Document::Text(digits) if digits.len() < 19 && !digits.is_empty() => {
                if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return digits.parse().ok();
                }
                self.is_beyond = true;
            }
            _ => self.is_beyond = true,
        }
        None
    }

    fn hear_deep(&mut self, path: &str, place: &str, value: &Document) {
        // A list is no step that has a name.
        if path != place && !path.ends_with("[]") {
            let key = path.rsplit(['.', ']']).next().unwrap_or_default();
            self.add(key.len());
        }
        match value {
            Document::Text(text) => self.add(text.len()),
            Document::Count(count) => self.add(count.to_string().len()),
            Document::Other(_) => self.text = None,
            _ => {}
        }
    }

    fn add(&mut self, bytes: usize) {
        self.text = self.text.map(|text| text + bytes as u64);
    }

    fn usage(&self, dialect: Dialect) -> Option<Usage> {
        let known = |name: &str| self.counts.get(name).copied();
        let get = |name: &str| known(name).unwrap_or(0);
        let unsplit = || {
            known("total").map(|total| Usage {
                split_known: false,
                ..Usage::new(total, 0)
            })
        };
        let any = |names: &[&str]| names.iter().any(|name| known(name).is_some());
        let (input, output, read) = (get("input"), get("output"), get("read"));
        match dialect {
            Dialect::Anthropic => any(&["input", "output"]).then(|| {
                let write =
                    known("write").unwrap_or_else(|| plus(get("write 5m"), get("write 1h")));
                Usage {
                    cache_read: read,
                    cache_write: write,
                    reasoning: get("reasoning").min(output),
                    ..Usage::new(plus(plus(input, read), write), output)
                }
            }),
            Dialect::MetaLlama if any(&["input", "output"]) => Some(Usage::new(input, output)),
            Dialect::Gemini if any(&["input", "output", "reasoning", "tools", "read"]) => {
                Some(Usage {
                    cache_read: read,
                    reasoning: get("reasoning"),
                    ..Usage::new(
                        plus(input, get("tools")).max(read),
                        plus(output, get("reasoning")),
                    )
                })
            }
            Dialect::MetaLlama | Dialect::Gemini => unsplit(),
            Dialect::Cohere => {
                let either = |name, billed| known(name).or(known(billed));
                let (input, output) = (
                    either("input", "billed input"),
                    either("output", "billed output"),
                );
                let billed = any(&["billed input", "billed output"]).then(|| Billed {
                    input: get("billed input"),
                    output: get("billed output"),
                });
                input.or(output).map(|_| Usage {
                    cache_read: read.min(input.unwrap_or(0)),
                    billed,
                    ..Usage::new(input.unwrap_or(0), output.unwrap_or(0))
                })
            }
            Dialect::Bedrock => {
                let either = |name, metric| known(name).or(known(metric));
                let (plain, output) = (
                    either("input", "metric input"),
                    either("output", "metric output"),
                );
                let read = either("read", "metric read").unwrap_or(0);
                let write = either("write", "metric write").unwrap_or(0);
                let cached = plus(read, write);
                let input = match (known("input"), known("prompt")) {
                    (None, Some(prompt)) => prompt.max(cached),
                    _ => plus(plain.unwrap_or(0), cached),
                };
                plain.or(known("prompt")).or(output).map(|_| Usage {
                    cache_read: read,
                    cache_write: write,
                    reasoning: get("reasoning").min(output.unwrap_or(0)),
                    ..Usage::new(input, output.unwrap_or(0))
                })
            }
            Dialect::Ollama => any(&["input", "output", "done"]).then(|| Usage::new(input, output)),
            Dialect::Generic => match (known("input"), known("output")) {
                (None, None) => unsplit(),
                (Some(input), None) => Some(Usage::new(input, get("total").saturating_sub(input))),
                (None, Some(output)) => {
                    Some(Usage::new(get("total").saturating_sub(output), output))
                }
                (Some(input), Some(output)) => Some(Usage::new(input, output)),
            },
            _ => self.openai(),
        }
    }

    fn openai(&self) -> Option<Usage> {
        let known = |name: &str| self.counts.get(name).copied();
        let get = |name: &str| known(name).unwrap_or(0);
        let output = known("completion").or(known("output"));
        if known("input").is_none() && output.is_none() {
            let timed = known("timed input")
                .or(known("timed output"))
                .map(|_| Usage {
                    cache_read: get("timed cache"),
                    ..Usage::new(
                        plus(get("timed input"), get("timed cache")),
                        get("timed output"),
                    )
                });
            let total = known("total").map(|total| Usage {
                split_known: false,
                ..Usage::new(total, 0)
            });
            return total.or(timed);
        }
        let reasoning = get("reasoning");
        let plain = plus(get("input"), get("completion"));
        let is_beside = known("completion").is_some()
            && reasoning > 0
            && match known("total") {
                Some(total) => {
                    total == plus(plain, reasoning) || (known("xai").is_some() && total != plain)
                }
                None => known("xai").is_some() || reasoning > get("completion"),
            };
        let output = plus(output.unwrap_or(0), if is_beside { reasoning } else { 0 });
        let read = known("read").or(known("read too")).unwrap_or(0);
        let input = if read > get("input") {
            plus(get("input"), read)
        } else {
            get("input")
        };
        Some(Usage {
            cache_read: read,
            cache_write: get("write").min(input - read),
            reasoning: reasoning.min(output),
            ..Usage::new(input, output)
        })
    }
}

fn plus(one: u64, other: u64) -> u64 {
    one.saturating_add(other)
}

fn is_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
