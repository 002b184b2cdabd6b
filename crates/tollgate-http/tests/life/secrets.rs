//! Nothing that leaves an exchange carries a key, text of a prompt or an answer, or the name of an organization.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use http::Uri;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use tollgate_gate::{Policy, Quota, Unit};
use tollgate_http::{CallOptions, Failure, Target};

use crate::support::*;

/// Writes down every field of every span and event.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<String>>);

impl Trace {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Visit for Trace {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Trace {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.lock().unwrap().push_str(span.metadata().name());
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

const URL: &str = "https://user:SECRET-userinfo@api.openai.com:8443/SECRET-path/v1/chat/completions?key=SECRET-query";

const PROMPT: &str = r#"{"model":"gpt-m","user":"SECRET-user","messages":[{"role":"user","content":"SECRET-prompt"}],"SECRET-field":1}"#;

/// Headers whose values are secrets, or nonsense that looks like one.
const HEADERS: [(&str, &str); 9] = [
    ("openai-organization", "org-SECRET"),
    ("set-cookie", "session=SECRET"),
    ("x-request-id", "req-SECRET"),
    ("x-secret-SECRET", "1"),
    ("x-ratelimit-limit-requests", "SECRET"),
    ("x-ratelimit-remaining-requests", "sk-SECRET"),
    ("x-ratelimit-reset-requests", "SECRET"),
    ("retry-after", "sk-SECRET"),
    ("date", "SECRET"),
];

fn with_headers(
    status: u16,
    more: &[(&str, &str)],
    body: &'static str,
) -> http::Response<TestBody> {
    response(status, &[&HEADERS, more].concat(), full(body))
}

/// Every way in which a call can end, with secrets wherever there is room for one.
fn responses() -> Vec<http::Response<TestBody>> {
    const REFUSAL: &str = r#"{"error":{"message":"Rate limit reached for gpt-m in organization org-SECRET on requests per min, key sk-SECRET","type":"SECRET","code":"SECRET","param":"SECRET"}}"#;
    const STREAM: &str = concat!(
        "data: {\"id\":\"SECRET\",\"choices\":[{\"delta\":{\"content\":\"SECRET\"}}]}\n\n",
        "data: {\"error\":{\"message\":\"Rate limit reached in organization org-SECRET\",\"type\":\"tokens SECRET\",\"code\":\"SECRET\"}}\n\n",
    );
    const USAGE: &str = r#"{"id":"SECRET","choices":[{"message":{"content":"SECRET"}}],"usage":{"prompt_tokens":"SECRET","completion_tokens":-1}}"#;
    vec![
        with_headers(200, &[JSON], USAGE),
        with_headers(200, &[JSON], "SECRET, no json"),
        with_headers(
            200,
            &[("content-type", "application/json; key=SECRET")],
            OPENAI_JSON,
        ),
        with_headers(200, &[SSE], STREAM),
        with_headers(200, &[JSON, ("content-encoding", "SECRET")], OPENAI_JSON),
        with_headers(200, &[JSON, ("content-encoding", "gzip")], OPENAI_JSON),
        with_headers(429, &[], REFUSAL),
        with_headers(500, &[], REFUSAL),
        with_headers(403, &[], REFUSAL),
        with_headers(429, &[], "SECRET"),
        with_headers(
            429,
            &[],
            r#"{"error":{"type":"insufficient_quota","message":"org-SECRET"}}"#,
        ),
        with_headers(413, &[], "SECRET"),
    ]
}

#[tokio::test(start_paused = true)]
async fn no_secret_reaches_an_event_a_span_an_error_or_a_debug_output() {
    let trace = Trace::default();
    let guard = tracing::subscriber::set_default(trace.clone());
    let uri: Uri = URL.parse().unwrap();
    let target = Target::of(&uri);
    assert_eq!((target.host, target.port), ("api.openai.com", Some(8443)));
    let bench = Bench::of(policies(), settings().attempts(2));
    let options = CallOptions::new();
    let mut told = format!("{options:?} {:?} {:?}\n", bench.exchange, settings());

    for first in 0..responses().len() {
        let client = Client::of(
            responses()
                .into_iter()
                .skip(first)
                .chain(responses())
                .map(now),
        );
        let send = |attempt| client.send(attempt, bench.gate());
        let answer: Answered = bench
            .exchange
            .run(target, Some(PROMPT.as_bytes()), true, &options, send)
            .await;
        let answer = answer.unwrap();
        writeln!(told, "{:?} {:?}", report(&answer), answer.body()).unwrap();
        read_all(answer).await;
    }

    // Refused before it is sent, and failed on the way.
    let tight = Bench::of(
        vec![Policy::new(
            "tpm",
            Quota::sliding(Unit::TotalTokens, 1, MINUTE).unwrap(),
        )],
        settings(),
    );
    let long = format!(
        r#"{{"model":"gpt-m","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "SECRET".repeat(9_000)
    );
    for (bench, body) in [(&bench, long.as_str()), (&tight, PROMPT)] {
        let send = |_| async { panic!("it is never sent") };
        let answer: Answered = bench
            .exchange
            .run(target, Some(body.as_bytes()), true, &options, send)
            .await;
        let failure = answer.unwrap_err();
        writeln!(told, "{failure} {failure:?}").unwrap();
        let Failure::Refused(refused) = &failure else {
            panic!("refused")
        };
        writeln!(
            told,
            "{refused} {refused:?} {:?}",
            std::error::Error::source(refused)
        )
        .unwrap();
    }
    drop(guard);

    let everything = [told, trace.text(), bench.log.printed(), tight.log.printed()].concat();
    // What is to be told is there, so that an empty text cannot pass.
    for word in [
        "gpt-m",
        "tollgate.call",
        "api.openai.com",
        "8443",
        "gzip",
        "makes no sense",
        "never be admitted",
        "context window",
        "Finished",
    ] {
        assert!(
            everything.contains(word),
            "{word} is not told:\n{everything}"
        );
    }
    let leak = everything.lines().find(|line| line.contains("SECRET"));
    assert_eq!(leak, None);
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_call_tells_its_numbers() {
    let trace = Trace::default();
    let guard = tracing::subscriber::set_default(trace.clone());
    let bench = Bench::new();
    let client = Client::refusing([refusal(503, &[], "")]);
    read_all(bench.run(&Ask::openai(), &client).await.unwrap()).await;
    drop(guard);
    let text = trace.text();
    for field in [
        "otel.name=chat other",
        "gen_ai.operation.name=\"chat\"",
        "gen_ai.provider.name=\"openai\"",
        "gen_ai.request.model=\"other\"",
        "gen_ai.response.model=\"gpt-m-2\"",
        "gen_ai.usage.input_tokens=11",
        "gen_ai.usage.output_tokens=5",
        "server.address=\"api.openai.com\"",
        "http.response.status_code=200",
        "tollgate.attempts=2",
    ] {
        assert!(
            text.lines().any(|line| line.ends_with(field)),
            "{field} is not in\n{text}"
        );
    }
    assert!(!text.contains("error.type="), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_compressed_response_is_warned_of() {
    let trace = Trace::default();
    let guard = tracing::subscriber::set_default(trace.clone());
    let bench = Bench::new();
    let client = Client::one(response(
        200,
        &[JSON, ("content-encoding", "br")],
        full(OPENAI_JSON),
    ));
    drop(bench.run(&Ask::openai(), &client).await.unwrap());
    drop(guard);
    assert!(
        trace
            .text()
            .contains("warning=the body is encoded as \"br\" and could not be read"),
        "{}",
        trace.text()
    );
}
