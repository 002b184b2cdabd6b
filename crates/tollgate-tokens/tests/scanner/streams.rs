//! Streams of events that begin alike, against `serde_json` on each of them.

use proptest::prelude::*;
use serde_json::Value;
use tollgate_tokens::Dialect::OpenAiChat;
use tollgate_tokens::Framing::{Ndjson, Sse};
use tollgate_tokens::{Framing, UsageScanner};

/// What a chat completion stream said, by the rules written out plainly: the latest wins, and text is added up.
#[derive(Debug, Default, PartialEq)]
struct Said {
    model: Option<String>,
    finish: Option<String>,
    input: Option<u64>,
    output: Option<u64>,
    error: Option<String>,
    text: u64,
}

impl Said {
    fn hear(&mut self, event: &Value) {
        let word = |value: &Value| {
            value
                .as_str()
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
        };
        self.model = word(&event["model"]).or(self.model.take());
        self.error = word(&event["error"]["message"]).or(self.error.take());
        for choice in event["choices"].as_array().into_iter().flatten() {
            self.finish = word(&choice["finish_reason"]).or(self.finish.take());
            self.text += choice["delta"]["content"]
                .as_str()
                .map_or(0, |text| text.len() as u64);
        }
        self.input = event["usage"]["prompt_tokens"].as_u64().or(self.input);
        self.output = event["usage"]["completion_tokens"].as_u64().or(self.output);
    }

    fn of(events: &[String], framing: Framing, cuts: &[prop::sample::Index]) -> Self {
        let body = match framing {
            Ndjson => events
                .iter()
                .map(|event| format!("{event}\n"))
                .collect::<String>(),
            _ => events
                .iter()
                .map(|event| format!("data: {event}\n\n"))
                .collect(),
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let mut scanner = UsageScanner::new(OpenAiChat, framing);
        for ends in cuts.windows(2) {
            scanner.push(&body.as_bytes()[ends[0]..ends[1]]);
        }
        let scan = scanner.finish();
        Self {
            model: scan.model.map(|word| word.to_string()),
            finish: scan.finish_reason.map(|word| word.to_string()),
            input: scan.usage.map(|usage| usage.input),
            output: scan.usage.map(|usage| usage.output),
            error: scan
                .error
                .and_then(|error| error.message)
                .map(|word| word.to_string()),
            text: scan.text_bytes,
        }
    }
}

/// An event in pieces, so that many events have the same pieces in front: what is drawn is which of a few forms each piece has.
fn event() -> impl Strategy<Value = String> {
    let pick = |forms: &'static [&'static str]| prop_oneof![4 => Just(forms[0]), 1 => prop::sample::select(forms)];
    (
        pick(&[
            r#""id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"#,
            r#""id":"chatcmpl-2","#,
            "",
        ]),
        pick(&[
            r#""model":"gpt-4o","#,
            r#""model":"gpt-4o-mini","#,
            r#""model":null,"#,
            "",
        ]),
        pick(&[
            "",
            r#""usage":{"prompt_tokens":9,"completion_tokens":1},"#,
            r#""usage":{"prompt_tokens":9,"completion_tokens":2},"#,
        ]),
        pick(&[
            r#""choices":[{"index":0,"delta":{"content":""#,
            r#""choices":[{"index":1,"delta":{"role":"assistant","content":""#,
        ]),
        prop_oneof![Just("the "), Just("their "), Just("\\n\\u00e9"), Just("")],
        pick(&[
            r#""},"finish_reason":null}]"#,
            r#""},"finish_reason":"stop"}]"#,
            r#""},"finish_reason":"length"}],"model":"other""#,
        ]),
        pick(&[
            "",
            r#","usage":{"prompt_tokens":7,"completion_tokens":3}"#,
            r#","error":{"message":"no"}"#,
            r#","model":"last""#,
        ]),
    )
        .prop_map(|(id, model, early, choice, text, finish, late)| {
            format!("{{{id}{model}{early}{choice}{text}{finish}{late}}}")
        })
}

proptest! {
    #[test]
    fn a_stream_says_what_its_events_say(
        events in prop::collection::vec((event(), 1..4_usize), 1..40),
        ndjson: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let events: Vec<_> = events
            .into_iter()
            .flat_map(|(event, times)| std::iter::repeat_n(event, times))
            .collect();
        let mut said = Said::default();
        for event in &events {
            said.hear(&serde_json::from_str(event).expect("the generator writes JSON"));
        }
        if said.input.is_some() != said.output.is_some() {
            (said.input, said.output) = (said.input.or(Some(0)), said.output.or(Some(0)));
        }
        let framing = if ndjson { Ndjson } else { Sse };
        prop_assert_eq!(Said::of(&events, framing, &cuts), said);
    }
}
