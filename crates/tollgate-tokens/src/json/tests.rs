//! The reader against `serde_json`, on generated and on broken documents, in pieces of every size.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;

/// What was heard, in order, with pieces of one string joined.
#[derive(Debug, Default, PartialEq)]
struct Heard(Vec<String>);

impl Sink<&'static str> for Heard {
    fn text(&mut self, leaf: &'static str, text: &[u8], last: bool) {
        let open: u64 = match self
            .0
            .last()
            .and_then(|heard| heard.strip_prefix("measuring "))
        {
            Some(length) => {
                let length = length.parse().expect("written below");
                self.0.pop();
                length
            }
            None => 0,
        };
        let length = open + text.len() as u64;
        self.0.push(if last {
            format!("{leaf}: {length} bytes")
        } else {
            format!("measuring {length}")
        });
    }

    fn string(&mut self, leaf: &'static str, text: &[u8], whole: bool) {
        self.0.push(format!(
            "{leaf}: {:?}{}",
            String::from_utf8_lossy(text),
            if whole { "" } else { ".." }
        ));
    }

    fn number(&mut self, leaf: &'static str, text: &[u8], end: u64) {
        self.0.push(format!(
            "{leaf}: {} before {end}",
            String::from_utf8_lossy(text)
        ));
    }

    fn literal(&mut self, leaf: &'static str, value: Option<bool>) {
        self.0.push(format!("{leaf}: {value:?}"));
    }

    fn open(&mut self, leaf: &'static str) {
        self.0.push(format!("{leaf} opens"));
    }

    fn close(&mut self, leaf: &'static str) {
        self.0.push(format!("{leaf} closes"));
    }
}

fn read(tree: &'static Node<&'static str>, document: &[u8], size: usize) -> (Vec<String>, End) {
    let (mut reader, mut heard) = (Reader::new(tree), Heard::default());
    for piece in document.chunks(size) {
        reader.push(piece, &mut heard);
    }
    let end = reader.end(&mut heard);
    (heard.0, end)
}

/// What is heard of `document`, which must not depend on the size of its pieces.
fn hear(tree: &'static Node<&'static str>, document: &[u8]) -> (Vec<String>, End) {
    let whole = read(tree, document, usize::MAX);
    for size in 1..document.len().min(40) {
        assert_eq!(read(tree, document, size), whole, "in pieces of {size}");
    }
    whole
}

static TREE: Node<&str> = Node::new().keys(&[
    ("k", Node::keep("k", 8)),
    ("m", Node::measure("m")),
    (
        "o",
        Node::mark("o")
            .keys(&[("k", Node::keep("o.k", 8))])
            .items(&Node::keep("o[]", 8)),
    ),
    ("d", Node::deep("d")),
    ("caf\u{e9}\"", Node::mark("odd key")),
]);

/// What is heard of a sound document.
fn check(document: &str, expected: &[&str]) {
    let (heard, end) = hear(&TREE, document.as_bytes());
    assert_eq!(heard, expected, "{document}");
    assert_eq!(
        end,
        End {
            started: true,
            closed: true,
            faulty: false
        },
        "{document}"
    );
}

#[test]
fn scalars_at_wanted_places_are_heard() {
    check(
        r#"{"k":"v","x":1,"m":"four","o":{"k":12}}"#,
        &[
            r#"k: "v""#,
            "m: 4 bytes",
            "o opens",
            "o.k: 12 before 37",
            "o closes",
        ],
    );
    check(
        r#" { "k" : -1.5e+3 , "k" : null } "#,
        &["k: -1.5e+3 before 16", "k: None"],
    );
    check(
        r#"{"o":["a",["b"],{"k":"c"},true]}"#,
        &[
            "o opens",
            r#"o[]: "a""#,
            "o[] opens",
            "o[] closes",
            "o[] opens",
            "o[] closes",
            "o[]: Some(true)",
            "o closes",
        ],
    );
}

#[test]
fn the_same_key_elsewhere_is_not_heard() {
    check(
        r#"{"x":{"k":"v"},"y":[{"k":"v"}],"z":"{\"k\":\"v\"}","o":{"m":{"k":"v"}}}"#,
        &["o opens", "o closes"],
    );
    check(r#"[{"k":"v"}]"#, &[]);
    // Nor is one as deep as an earlier place that was wanted.
    check(
        r#"{"d":{"a":{}},"x":{"y":{"k":"v"}}}"#,
        &["d opens", "d: 1 bytes", "d opens", "d closes", "d closes"],
    );
}

#[test]
fn everything_below_a_deep_place_is_measured_keys_included() {
    check(
        r#"{"d":{"key":["four",12,{"deep\ner":""}]}}"#,
        &[
            "d opens",
            "d: 3 bytes",
            "d opens",
            "d: 4 bytes",
            "d: 12 before 22",
            "d opens",
            "d: 7 bytes",
            "d: 0 bytes",
            "d closes",
            "d closes",
            "d closes",
        ],
    );
    let nested = format!(r#"{{"d":{}"x"{}}}"#, "[".repeat(100), "]".repeat(100));
    assert!(
        read(&TREE, nested.as_bytes(), 7)
            .0
            .contains(&"d: 1 bytes".to_owned())
    );
}

#[test]
fn escapes_are_resolved_in_keys_and_values() {
    check(r#"{"\u006b":"\"\\\/\b\f"}"#, &[r#"k: "\"\\/\u{8}\u{c}""#]);
    check(r#"{"caf\u00e9\"":1}"#, &["odd key: 1 before 16"]);
    check(r#"{"k":"\u00e9\ud83d\uDE00"}"#, &["k: \"\u{e9}\u{1f600}\""]);
    check(r#"{"m":"\u00e9\ud83d\uDE00\u20ac\n"}"#, &["m: 10 bytes"]);
    check(
        r#"{"k":"\ud83d!","k":"\ude00","k":"\ud83d"}"#,
        &["k: \"\u{fffd}!\"", "k: \"\u{fffd}\"", "k: \"\u{fffd}\""],
    );
}

#[test]
fn a_kept_string_is_cut_at_its_limit() {
    check(r#"{"k":"12345678"}"#, &[r#"k: "12345678""#]);
    check(r#"{"k":"123456789"}"#, &[r#"k: "12345678".."#]);
    let long = format!(r#"{{"k{}":1,"k":2}}"#, "k".repeat(1000));
    check(&long, &["k: 2 before 1012"]);
}

#[test]
fn a_number_that_was_cut_is_not_heard() {
    let (heard, end) = hear(&TREE, br#"{"k":12"#);
    assert_eq!(
        (heard.len(), end),
        (
            0,
            End {
                started: true,
                closed: false,
                faulty: false
            }
        )
    );
}

#[test]
fn a_number_may_be_the_whole_document() {
    static ROOT: Node<&str> = Node::mark("root");
    assert_eq!(
        hear(&ROOT, b" 12"),
        (
            vec!["root: 12 before 3".to_owned()],
            End {
                started: true,
                closed: true,
                faulty: false
            }
        )
    );
    assert_eq!(
        hear(&ROOT, b"-").1,
        End {
            started: true,
            closed: false,
            faulty: true
        }
    );
    assert_eq!(
        hear(&ROOT, b" \n").1,
        End {
            started: false,
            closed: false,
            faulty: false
        }
    );
}

#[test]
fn an_absurdly_long_number_is_heard_as_nothing() {
    let document = format!(r#"{{"k":{}}}"#, "1".repeat(513));
    check(&document, &["k:  before 518"]);
}

#[test]
fn what_was_read_before_a_fault_stands() {
    let (heard, end) = hear(&TREE, br#"{"k":"v"]"#);
    assert_eq!(
        (&heard[..], end),
        (
            &["k: \"v\"".to_owned()][..],
            End {
                started: true,
                closed: false,
                faulty: true
            }
        )
    );
    let (heard, end) = hear(&TREE, br#"{"k":"v"} {"k":"w"}"#);
    assert_eq!(
        (&heard[..], end),
        (
            &["k: \"v\"".to_owned()][..],
            End {
                started: true,
                closed: true,
                faulty: true
            }
        )
    );
}

#[test]
fn a_reader_starts_afresh_after_a_document() {
    let (mut reader, mut heard) = (Reader::new(&TREE), Heard::default());
    for document in [r#"{"k":"\ud83"#, "{]", r#"{"k":[{"#, r#"{"k":"v"}"#] {
        reader.push(document.as_bytes(), &mut heard);
        reader.end(&mut heard);
    }
    assert_eq!(heard.0, ["k opens", "k: \"v\""]);
}

#[test]
fn nesting_ends_where_serde_json_ends_it() {
    for depth in [1, 126, 127, 128, 129, 1000] {
        let document = "[".repeat(depth) + &"]".repeat(depth);
        let end = read(&TREE, document.as_bytes(), 3).1;
        assert_eq!(
            !end.faulty,
            serde_json::from_str::<Value>(&document).is_ok(),
            "{depth}"
        );
    }
}

/// Text that leans towards what is special in JSON.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,6}",
        r#"[\\"/{}\[\]:,\u{0}-\u{1f}]{0,4}"#,
        any::<String>()
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(
                (
                    prop_oneof![Just("k".to_owned()), Just("d".to_owned()), text()],
                    inner
                ),
                0..5
            )
            .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// The same document, with all characters of strings escaped, as Python writes those beyond ASCII.
fn escaped(document: &str) -> String {
    let mut units = [0; 2];
    let escape = |char: char| -> String {
        if char.is_ascii() {
            return char.to_string();
        }
        char.encode_utf16(&mut units)
            .iter()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect()
    };
    document.chars().map(escape).collect()
}

/// All strings, keys and numbers in a value, one behind the other.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => String::new(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| key.clone() + &text_of(value))
            .collect(),
    }
}

/// Keeps what a deep place reports.
#[derive(Default)]
struct All(Vec<u8>);

impl Sink<()> for All {
    fn text(&mut self, (): (), text: &[u8], _: bool) {
        self.0.extend_from_slice(text);
    }

    fn number(&mut self, (): (), text: &[u8], _: u64) {
        self.0.extend_from_slice(text);
    }

    fn string(&mut self, (): (), _: &[u8], _: bool) {}
    fn literal(&mut self, (): (), _: Option<bool>) {}
    fn open(&mut self, (): ()) {}
    fn close(&mut self, (): ()) {}
}

#[test]
fn a_lone_half_of_a_pair_is_a_replacement_character_in_measured_text_too() {
    static ALL: Node<()> = Node::deep(());
    let document = br#"["\ud83d\ude00|\ud83d|\ude00|\ud83d\ud83d\ude00|\ud83d", "x"]"#;
    for size in 1..document.len() {
        let (mut reader, mut all) = (Reader::new(&ALL), All::default());
        for piece in document.chunks(size) {
            reader.push(piece, &mut all);
        }
        let text = String::from_utf8(all.0).expect("whole characters");
        assert_eq!(
            text, "\u{1f600}|\u{fffd}|\u{fffd}|\u{fffd}\u{1f600}|\u{fffd}x",
            "size {size}"
        );
    }
}

proptest! {
    #[test]
    fn all_text_is_measured_as_serde_json_decodes_it(value in value(), pretty: bool, escape: bool, size in 1..9_usize) {
        static ALL: Node<()> = Node::deep(());
        let document = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let document = document.expect("a value can be written");
        let document = if escape { escaped(&document) } else { document };
        let (mut reader, mut all) = (Reader::new(&ALL), All::default());
        for piece in document.as_bytes().chunks(size) {
            reader.push(piece, &mut all);
        }
        prop_assert_eq!(reader.end(&mut all), End { started: true, closed: true, faulty: false });
        prop_assert_eq!(all.0, text_of(&value).into_bytes());
    }

    #[test]
    fn a_kept_string_is_decoded_as_serde_json_decodes_it(text in any::<String>(), escape: bool) {
        static LONG: Node<&str> = Node::new().keys(&[("k", Node::keep("k", 512))]);
        prop_assume!(text.len() <= 512);
        let document = serde_json::json!({ "k": text }).to_string();
        let document = if escape { escaped(&document) } else { document };
        prop_assert_eq!(hear(&LONG, document.as_bytes()).0, [format!("k: {text:?}")]);
    }

    #[test]
    fn what_is_json_and_what_is_not_is_told_as_serde_json_tells_it(
        value in value(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, prop::sample::select(br#"{}[]:,"\/u0123456789+-.eEtrufalsn xA"#.to_vec())), 0..4),
    ) {
        let mut document = serde_json::to_vec(&value).expect("a value can be written");
        for (at, edit, byte) in edits {
            let at = at.index(document.len());
            match edit {
                0 => document[at] = byte,
                1 => document.insert(at, byte),
                _ if document.len() > 1 => drop(document.remove(at)),
                _ => {}
            }
        }
        let end = hear(&TREE, &document).1;
        let is_json = serde_json::from_slice::<IgnoredAny>(&document).is_ok();
        prop_assert_eq!(end.closed && !end.faulty, is_json, "{}", String::from_utf8_lossy(&document));
    }

    #[test]
    fn no_bytes_panic(document: Vec<u8>) {
        hear(&TREE, &document);
    }
}
