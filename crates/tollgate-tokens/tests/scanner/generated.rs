//! The scanner against `serde_json` on generated bodies, and against itself on any bytes cut anywhere.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_tokens::Dialect::OpenAiChat;
use tollgate_tokens::Framing::{EventStream, Json, Ndjson, Sse};
use tollgate_tokens::{Dialect, Framing, Scan, Usage, UsageScanner};

/// JSON with the keys that matter in places where they do and do not.
fn noise() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "usage",
        "prompt_tokens",
        "model",
        "content",
        "\"usage\":{",
        "\\",
        "x",
        "data: [DONE]\n\n",
    ]);
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..4).prop_map(|entries| Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

/// A number as some server may write it.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => any::<u32>().prop_map(Value::from),
        1 => any::<u32>().prop_map(|n| Value::from(f64::from(n))),
        1 => any::<u32>().prop_map(|n| Value::from(n.to_string())),
        1 => Just(Value::Null),
    ]
}

prop_compose! {
    fn chat_body()(
        (prompt, completion, cached, reasoning) in (number(), number(), number(), number()),
        details in any::<bool>(),
        model in any::<String>(),
        content in any::<String>(),
        (before, after, inside) in (noise(), noise(), noise()),
    ) -> Value {
        let mut body = json!({
            "a_before": before,
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": content, "note": inside }, "finish_reason": "stop" }],
            "model": model,
            "usage": { "prompt_tokens": prompt, "completion_tokens": completion, "extra": after },
            "z_after": after,
        });
        if details {
            body["usage"]["prompt_tokens_details"] = json!({ "cached_tokens": cached });
            body["usage"]["completion_tokens_details"] = json!({ "reasoning_tokens": reasoning });
        }
        body
    }
}

/// What `serde_json` finds in a chat body, by the rules written out plainly.
fn reference(body: &Value) -> (Option<Usage>, u64) {
    let count = |value: &Value| match value {
        Value::Number(number) => Some(number.as_f64().expect("small") as u64),
        Value::String(text) => Some(text.parse::<u64>().expect("the generator writes numbers")),
        _ => None,
    };
    let usage = &body["usage"];
    let (input, output) = (
        count(&usage["prompt_tokens"]),
        count(&usage["completion_tokens"]),
    );
    let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]).unwrap_or(0);
    let reasoning = count(&usage["completion_tokens_details"]["reasoning_tokens"]).unwrap_or(0);
    let usage = (input.is_some() || output.is_some()).then(|| {
        let input = input.unwrap_or(0);
        let output = output.map_or(0, |output| {
            if reasoning > output {
                output + reasoning
            } else {
                output
            }
        });
        let input = if cached > input {
            input + cached
        } else {
            input
        };
        Usage {
            cache_read: cached,
            reasoning: reasoning.min(output),
            ..Usage::new(input, output)
        }
    });
    let text = body["choices"][0]["message"]["content"]
        .as_str()
        .expect("a string");
    (usage, text.len() as u64)
}

fn framing() -> impl Strategy<Value = Framing> {
    prop::sample::select(vec![Json, Sse, Ndjson])
}

/// The same body cut at these places.
fn scan_cut(dialect: Dialect, framing: Framing, body: &[u8], cuts: &[prop::sample::Index]) -> Scan {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    let mut scanner = UsageScanner::new(dialect, framing);
    for ends in cuts.windows(2) {
        scanner.push(&body[ends[0]..ends[1]]);
    }
    scanner.finish()
}

proptest! {
    #[test]
    fn the_scanner_reads_what_serde_json_reads(
        body in chat_body(),
        framing in framing(),
        pretty: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let text = if pretty && framing == Json { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) };
        let text = text.expect("a value can be written");
        let text = match framing {
            Json => text,
            Sse => format!(": hello\r\n\r\nevent: x\r\ndata: {text}\r\n\r\ndata: [DONE]\r\n\r\n"),
            Ndjson => format!("{{}}\n{text}\n"),
            EventStream => unreachable!("frames are not text"),
        };
        let scan = scan_cut(OpenAiChat, framing, text.as_bytes(), &cuts);
        prop_assert_eq!((scan.usage, scan.text_bytes), reference(&body));
        prop_assert!(scan.complete);
        let model = body["model"].as_str().filter(|model| !model.is_empty() && model.len() <= 256);
        prop_assert_eq!(scan.model.as_deref(), model);
    }

    #[test]
    fn any_cut_of_any_bytes_gives_the_same_answer(
        dialect in prop::sample::select(Dialect::ALL),
        framing in framing(),
        parts in prop::collection::vec(
            prop_oneof![
                noise().prop_map(|value| value.to_string().into_bytes()),
                chat_body().prop_map(|value| value.to_string().into_bytes()),
                prop::sample::select(vec!["data: ", "data:", "\n", "\r", "\r\n", "\n\n", ": c\n", "event: error\n", "[DONE]", "{", "\"", "\\u", "\u{feff}"])
                    .prop_map(|text| text.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 0..6),
            ],
            0..12,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let body = parts.concat();
        prop_assert_eq!(scan_cut(dialect, framing, &body, &cuts), scan_cut(dialect, framing, &body, &[]));
    }
}
