//! Documents of every dialect, generated from its places: what the scanner finds must be what is found in the whole.

use proptest::prelude::*;
use tollgate_tokens::{Dialect, Framing, UsageScanner};

use crate::checks::document::Document;
use crate::checks::places::{Fact, places};
use crate::checks::reference::Said;

/// What is put at a place: which one, what it has, and where among its neighbours it stands.
type Choice = (prop::sample::Index, u32, String, u8);

fn choice() -> impl Strategy<Value = Choice> {
    let text = prop_oneof!["[a-z\"\\\\\n]{0,6}", any::<String>()];
    (
        any::<prop::sample::Index>(),
        any::<u32>(),
        text,
        any::<u8>(),
    )
}

/// A document with these places, and with others that say nothing.
fn document(dialect: Dialect, choices: &[Choice]) -> Document {
    let mut document = Document::Object(Vec::new());
    for (which, number, text, order) in choices {
        let places = places(dialect);
        let (path, fact) = &places[which.index(places.len())];
        let number = u64::from(*number);
        let value = match fact {
            _ if *order % 16 == 0 => Document::Null,
            Fact::Count(_) | Fact::MetricValue if *order % 16 == 1 => {
                Document::Text(number.to_string())
            }
            Fact::Count(_) | Fact::MetricValue if *order % 16 == 2 => {
                Document::Other(number as f64)
            }
            Fact::Count(_) | Fact::MetricValue => Document::Count(number),
            Fact::Done => Document::Bool(number % 2 == 0),
            Fact::Metric => continue,
            Fact::MetricName => {
                let names = [
                    "num_prompt_tokens",
                    "num_completion_tokens",
                    "num_total_tokens",
                    "latency",
                ];
                Document::Text(names[number as usize % 4].to_owned())
            }
            Fact::Deep => Document::Object(vec![(
                text.clone(),
                Document::List(vec![Document::Count(number), Document::Text(text.clone())]),
            )]),
            Fact::Text | Fact::Model | Fact::Finish | Fact::Status => Document::Text(text.clone()),
        };
        put(&mut document, path, value, *order);
        // The same word where it means nothing.
        let nowhere = format!("noise.{path}");
        put(
            &mut document,
            &nowhere,
            Document::Text(format!("{{\"{path}\":{number}}}")),
            *order,
        );
    }
    document
}

/// Puts `value` at `path`, and makes the way there. Nothing happens where the way is barred.
fn put(at: &mut Document, path: &str, value: Document, order: u8) {
    let (step, rest) = match path.split_once('.') {
        Some((step, rest)) => (step, rest),
        None => (path, ""),
    };
    let key = step.trim_end_matches("[]");
    let is_list = step.len() > key.len();
    let Document::Object(entries) = at else {
        return;
    };
    let found = entries.iter().position(|(name, _)| name == key);
    let found = found.unwrap_or_else(|| {
        let place = usize::from(order) % (entries.len() + 1);
        let empty = if is_list {
            Document::List(Vec::new())
        } else {
            Document::Object(Vec::new())
        };
        entries.insert(place, (key.to_owned(), empty));
        place
    });
    let mut inner = &mut entries[found].1;
    if is_list {
        let Document::List(items) = inner else { return };
        if items.is_empty() || order % 4 == 3 {
            items.push(Document::Object(Vec::new()));
        }
        inner = items.last_mut().expect("not empty");
    }
    if rest.is_empty() {
        *inner = value;
    } else {
        put(inner, rest, value, order);
    }
}

fn written(document: &Document, blank: &str) -> String {
    let text = |text: &str| serde_json::to_string(text).expect("text can be written");
    match document {
        Document::Null => "null".to_owned(),
        Document::Bool(value) => value.to_string(),
        Document::Count(count) => count.to_string(),
        Document::Other(number) => format!("{number:?}"),
        Document::Text(value) => text(value),
        Document::List(items) => {
            let items: Vec<_> = items.iter().map(|item| written(item, blank)).collect();
            format!("[{blank}{}{blank}]", items.join(","))
        }
        Document::Object(entries) => {
            let entry = |(key, value): &(String, Document)| {
                format!("{}{blank}:{blank}{}", text(key), written(value, blank))
            };
            let entries: Vec<_> = entries.iter().map(entry).collect();
            format!("{{{blank}{}{blank}}}", entries.join(&format!("{blank},")))
        }
    }
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_dialect_is_read_as_its_whole_documents_are(
        dialect in dialect(),
        choices in prop::collection::vec(prop::collection::vec(choice(), 0..8), 1..5),
        framing in prop::sample::select(vec![Framing::Json, Framing::Sse, Framing::Ndjson]),
        blank in prop::sample::select(vec!["", " ", "\t "]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let documents: Vec<_> = choices.iter().map(|choices| document(dialect, choices)).collect();
        let texts: Vec<_> = documents.iter().map(|document| written(document, blank)).collect();
        // One document, or a list that is sent item by item.
        let body = match framing {
            Framing::Sse => texts.iter().map(|text| format!("data: {text}\n\n")).collect(),
            Framing::Ndjson => texts.join("\n"),
            _ if texts.len() == 1 => texts[0].clone(),
            _ => format!("[{}]", texts.join(",\n")),
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let mut scanner = UsageScanner::new(dialect, framing);
        for ends in cuts.windows(2) {
            scanner.push(&body.as_bytes()[ends[0]..ends[1]]);
        }
        let scan = scanner.finish();
        // The texts, read by `serde_json`, and not what they were written from.
        let parsed: Vec<_> = texts.iter().map(|text| Document::parse(text.as_bytes()).expect("it is JSON")).collect();
        if let Some(said) = Said::by(dialect, &parsed) {
            prop_assert_eq!(Said::found(&scan, &said), said, "{}", body);
        }
    }
}
