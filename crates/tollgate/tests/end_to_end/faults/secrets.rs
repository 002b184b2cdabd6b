//! Keys, organization ids and prompts are planted in real runs; nothing that leaves has any of them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use tollgate::tokens::{Catalog, PolicySpec};
use tollgate::{CallOptions, Report, Schedule, Settings, Tollgate};
use tollgate_sim::{Dialect, Faults, Server};
use tower::{ServiceBuilder, ServiceExt as _};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::{
    Client, KEY, Log, Wire, gate, limits, provider, read_limits, refused, rules, whole,
};

/// Stands in every prompt.
const PROMPT: &str = "prompt7canary";
/// Stands in every URL.
const QUERY: &str = "query7canary";
/// The provider says it in headers of every answer and in the text of a 429; the caller sends it too.
const ORGANIZATION: &str = "org-acme";

/// Everything that `tracing` writes.
#[derive(Clone, Debug, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What leaves the library.
#[derive(Debug, Default)]
struct Outside {
    texts: Vec<String>,
}

impl Outside {
    fn keep(&mut self, text: impl Into<String>) {
        self.texts.push(text.into());
    }

    fn keep_error(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.keep(format!("{error:?}"));
        let chain = std::iter::successors(Some(error), |error| error.source());
        self.texts.extend(chain.map(ToString::to_string));
    }

    fn keep_all_of(&mut self, tollgate: &Tollgate, log: &Log) {
        self.texts.extend(log.lines());
        self.keep(format!("{log:?} {tollgate:?} {:?}", tollgate.exchange()));
        self.keep(format!("{:?}", tollgate.gate()));
        self.keep(format!("{:?}", tollgate.gate().snapshot()));
        self.keep(format!(
            "{:?} {:?}",
            tollgate.middleware(),
            tollgate.layer()
        ));
        self.keep(format!("{:?}", Client::both(tollgate)));
    }

    #[track_caller]
    fn check(&self) {
        for secret in [KEY, PROMPT, QUERY, ORGANIZATION] {
            for text in &self.texts {
                assert!(!text.contains(secret), "{secret} is in: {text}");
            }
        }
    }
}

fn wire(server: &Server, model: &str, cap: u64, stream: bool) -> Wire {
    let prompt = format!("Never repeat this: {PROMPT}");
    let mut wire = Wire::new(server, Dialect::OpenAi, model, &prompt, cap, stream);
    wire.url += &format!("?api_key={QUERY}");
    wire.headers
        .push(("openai-organization", ORGANIZATION.to_owned()));
    wire
}

fn serving(requests: u64, faults: Faults) -> Server {
    provider()
        .rules(rules(requests, 1_000_000))
        .chat(Dialect::OpenAi)
        .faults(faults)
        .start()
        .expect("a server")
}

fn open_gate(limits: Vec<PolicySpec>) -> (Tollgate, Arc<Log>) {
    let soon = Schedule::exponential(Duration::from_millis(1), Duration::from_millis(2));
    let settings = Settings::default().attempts(2).schedule(soon);
    gate(
        Tollgate::builder()
            .limits("openai", limits)
            .settings(settings),
    )
}

/// Calls that succeed, are refused by the provider, fail and break off.
async fn answers(outside: &mut Outside) {
    let of_a_thousand = |faults: fn(&mut Faults)| {
        let mut all = Faults::default();
        faults(&mut all);
        all
    };
    let worlds = [
        (1_000, Faults::default()),
        (1, Faults::default()),
        (0, Faults::default()),
        (1_000, of_a_thousand(|f| f.error_500_per_mille = 1_000)),
        (1_000, of_a_thousand(|f| f.cut_streams_per_mille = 1_000)),
    ];
    for (requests, faults) in worlds {
        let server = serving(requests, faults);
        let (tollgate, log) = open_gate(limits(1_000, 1_000_000));
        for client in Client::both(&tollgate) {
            for stream in [false, true] {
                let options = CallOptions::new()
                    .tenant("ada")
                    .within(Duration::from_secs(5));
                outside.keep(format!("{options:?}"));
                match whole(&client, &wire(&server, "sim-1", 50, stream), options).await {
                    Ok(answer) => outside.keep(format!("{:?}", answer.report)),
                    // The stream was cut, in the client's own words.
                    Err(error) => assert_eq!(faults.cut_streams_per_mille, 1_000, "{error}"),
                }
            }
        }
        let books = server.books();
        assert_eq!(books.calls, books.teams["acme"].requests + books.throttled);
        assert!(books.calls >= 4, "{books:?}");
        outside.keep_all_of(&tollgate, &log);
    }
}

/// Calls that are refused before they are sent, for each reason there is.
async fn refusals(outside: &mut Outside) {
    let server = serving(1_000, Faults::default());
    let mut catalog = Catalog::builtin();
    let small = "[provider.openai]\n[provider.openai.models.small]\ncontext = 10";
    catalog.merge(small).expect("a catalog text");
    let mut policies = read_limits(
        r#"limits = [
            { name = "rpm", unit = "requests", limit = 1, window = "1h" },
            { name = "budget", unit = "cost_usd", limit = "1", window = "1d", models = ["priced", "unpriced"] },
            { name = "tpm", unit = "tokens", limit = 1000, window = "1m", models = ["large"] },
        ]"#,
    );
    let budget = policies.remove(1);
    let (with_budget, budget_log) = gate(
        Tollgate::builder()
            .limits("openai", Vec::new())
            .policy(budget),
    );
    let builder = Tollgate::builder().catalog(catalog);
    let (tollgate, log) = gate(builder.limits("openai", policies));
    whole(
        &Client::reqwest(&tollgate),
        &wire(&server, "sim-1", 50, false),
        CallOptions::new(),
    )
    .await
    .expect("an answer");

    let at_once = || CallOptions::new().within(Duration::ZERO);
    let cases = [
        (&tollgate, "sim-1", at_once(), "deadline"),
        (&tollgate, "small", at_once(), "context_window"),
        (
            &tollgate,
            "large",
            at_once().estimate(1_001, 0),
            "never_fits",
        ),
        (&with_budget, "unpriced", at_once(), "unknown_price"),
    ];
    for (tollgate, model, options, reason) in cases {
        for client in Client::both(tollgate) {
            let wire = wire(&server, model, 50, false);
            let error = whole(&client, &wire, options.clone()).await;
            let error = error.expect_err("a refusal");
            assert_eq!(refused(&error).reason(), reason);
            outside.keep_error(error.as_ref());
            outside.keep_error(refused(&error));
        }
    }
    assert_eq!(server.books().calls, 1);
    outside.keep_all_of(&tollgate, &log);
    outside.keep_all_of(&with_budget, &budget_log);
}

/// Calls that nobody answers. What the inner client says of it is its own affair: reqwest's error names the URL, to the caller who
/// wrote it. Nothing else may.
async fn nobody_there(outside: &mut Outside) {
    let server = serving(1_000, Faults::default());
    let wire = wire(&server, "sim-1", 50, false);
    server.shutdown();
    let (tollgate, log) = open_gate(limits(1_000, 1_000_000));
    for client in Client::both(&tollgate) {
        let error = whole(&client, &wire, CallOptions::new()).await;
        let error = error.expect_err("nobody listens");
        if matches!(client, Client::Tower(_)) {
            outside.keep_error(error.as_ref());
        }
    }
    outside.keep_all_of(&tollgate, &log);
}

/// A response in the hands of its caller, whose body holds the permit.
async fn a_body_under_way(outside: &mut Outside) {
    let server = serving(1_000, Faults::default());
    let (tollgate, log) = open_gate(limits(1_000, 1_000_000));
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let client = ServiceBuilder::new()
        .layer(tollgate.layer())
        .service(client);
    let Wire { url, headers, body } = wire(&server, "sim-1", 50, true);
    let request = headers
        .into_iter()
        .fold(Request::post(url), |request, (name, value)| {
            request.header(name, value)
        });
    let request = request.body(Full::new(body)).expect("a request");
    let response = client.oneshot(request).await.expect("an answer");
    outside.keep(format!("{:?}", response.extensions().get::<Report>()));
    let mut body = response.into_body();
    body.frame().await.expect("a frame").expect("bytes");
    outside.keep(format!("{body:?}"));
    outside.keep_all_of(&tollgate, &log);
}

// On one thread, because the subscriber is that thread's.
#[tokio::test]
async fn nothing_that_leaves_has_a_key_an_organization_or_a_prompt() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let mut outside = Outside::default();
    {
        let _here = tracing::subscriber::set_default(subscriber);
        answers(&mut outside).await;
        refusals(&mut outside).await;
        nobody_there(&mut outside).await;
        a_body_under_way(&mut outside).await;
    }
    let traces = String::from_utf8(written.0.lock().expect("a lock").clone()).expect("text");
    // The tracing output is real: it has spans of calls and their numbers.
    for word in [
        "tollgate.call",
        "gen_ai.usage.input_tokens",
        "http.response.status_code=429",
    ] {
        assert!(traces.contains(word), "no {word} in: {traces}");
    }
    outside.keep(traces);
    for kind in [
        "Queued",
        "Admitted",
        "Refused",
        "Settled",
        "Throttled",
        "Paused",
        "Retried",
        "Finished",
    ] {
        let seen = outside.texts.iter().any(|text| text.starts_with(kind));
        assert!(seen, "no event {kind} was looked at");
    }
    outside.check();
}
