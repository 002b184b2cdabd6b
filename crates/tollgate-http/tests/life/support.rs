//! What the tests share: an exchange with a log of its events, and a request to send through it.

mod client;
mod log;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use tollgate_gate::{Amounts, Booking, Gate, Plan, Policy, Quota, Unit};
use tollgate_http::{CallOptions, Exchange, Failure, Report, Settings, SettleBody, Target};
use tollgate_tokens::Catalog;

pub(crate) use client::*;
pub(crate) use log::*;

pub(crate) type Answered = Result<Response<SettleBody<TestBody>>, Failure<Broken>>;

/// An exchange and what it tells.
pub(crate) struct Bench {
    pub(crate) exchange: Exchange,
    pub(crate) log: Arc<Log>,
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Sliding windows keep what was charged until it ages out a minute later, so that the books can be read exactly.
pub(crate) fn policies() -> Vec<Policy> {
    let sliding = |unit, limit| Quota::sliding(unit, limit, MINUTE).unwrap();
    vec![
        Policy::new("rpm", sliding(Unit::Requests, 1_000)).booking(Booking::ArrivalKept),
        Policy::new("itpm", sliding(Unit::InputTokens, 100_000)),
        Policy::new("otpm", sliding(Unit::OutputTokens, 100_000)),
        Policy::new("tpm", sliding(Unit::TotalTokens, 200_000)),
    ]
}

/// Providers of each dialect on hosts of their own.
pub(crate) const CATALOG: &str = r#"
[provider.openai]
hosts = ["api.openai.com"]
dialect = "openai"
limits = [
    { name = "rpm", unit = "requests", limit = 1000, window = "1m" },
    { name = "tpm", unit = "tokens", limit = 200000, window = "1m", output = "expected" },
]
[provider.openai.models."gpt-m"]
context = 1000
price = { input = "2", output = "10" }
[provider.openai.models."tiny"]
context = 1000000
per_request = 100
[provider.openai.models."priceless"]

[provider.meta-llama]
hosts = ["api.llama.com"]
dialect = "meta-llama"
[provider.anthropic]
hosts = ["api.anthropic.com"]
dialect = "anthropic"
[provider.generic]
hosts = ["generic.example"]
dialect = "generic"
"#;

/// Retries at known instants.
pub(crate) fn settings() -> Settings {
    let seconds = || (0..).map(|n| Duration::from_secs(1 << n));
    Settings::default().schedule(tollgate_http::Schedule::new(seconds))
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(policies(), settings())
    }

    pub(crate) fn of(policies: Vec<Policy>, settings: Settings) -> Self {
        Self::with(policies, settings, CATALOG)
    }

    pub(crate) fn with(policies: Vec<Policy>, settings: Settings, catalog_text: &str) -> Self {
        let log = Arc::new(Log::default());
        let gate = Gate::builder(Plan::new(policies).unwrap())
            .recorder(log.clone())
            .started_at(UNIX_EPOCH + Duration::from_secs(1_000_000))
            .build();
        let mut catalog = Catalog::empty();
        catalog.merge(catalog_text).unwrap();
        let limits: BTreeMap<_, _> = catalog
            .providers()
            .map(|provider| (provider.name.clone(), provider.policies(None).unwrap()))
            .collect();
        Self {
            exchange: Exchange::new(gate, catalog, &limits, settings),
            log,
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        self.exchange.gate()
    }

    /// Units charged to a policy.
    #[track_caller]
    pub(crate) fn used(&self, policy: &str) -> u64 {
        let status = self
            .gate()
            .snapshot()
            .into_iter()
            .find(|status| *status.policy == *policy);
        status.unwrap_or_else(|| panic!("no policy {policy}")).used
    }

    /// Nothing is open, nobody waits, and the only call has ended once.
    #[track_caller]
    pub(crate) fn assert_over(&self) {
        assert_eq!(self.gate().open_reservations(), 0, "open reservations");
        assert_eq!(self.gate().waiting(), 0, "waiting calls");
        self.log.end();
        self.log.assert_adds_up();
    }

    pub(crate) async fn run(&self, ask: &Ask, client: &Client) -> Answered {
        let gate = self.gate().clone();
        let target = Target {
            host: ask.host,
            port: None,
            path: ask.path,
        };
        let body = ask.body.as_deref().map(str::as_bytes);
        let send = |attempt| client.send(attempt, &gate);
        self.exchange
            .run(target, body, ask.can_resend, &ask.options, send)
            .await
    }
}

/// A request.
pub(crate) struct Ask {
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: Option<String>,
    pub(crate) can_resend: bool,
    pub(crate) options: CallOptions,
}

/// What is reserved for each call here unless a test says otherwise.
pub(crate) const INPUT: u64 = 300;
pub(crate) const OUTPUT: u64 = 700;

pub(crate) fn reserved() -> Amounts {
    Amounts::call(INPUT, OUTPUT)
}

/// What an attempt is charged that the provider refused.
pub(crate) fn rejected() -> Amounts {
    Amounts::call(0, 0).failed()
}

impl Ask {
    pub(crate) fn openai() -> Self {
        Self {
            host: "api.openai.com",
            path: "/v1/chat/completions",
            body: Some(
                r#"{"model":"other","messages":[{"role":"user","content":"Seven?"}]}"#.into(),
            ),
            can_resend: true,
            options: CallOptions::new().estimate(INPUT, OUTPUT),
        }
    }

    pub(crate) fn to(host: &'static str, path: &'static str) -> Self {
        Self {
            host,
            path,
            ..Self::openai()
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(CallOptions) -> CallOptions) -> Self {
        self.options = change(self.options);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }
}

/// All bytes and the trailers.
pub(crate) async fn read(body: SettleBody<TestBody>) -> Result<(Bytes, Option<HeaderMap>), Broken> {
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes(), trailers))
}

pub(crate) async fn read_all(response: Response<SettleBody<TestBody>>) -> Bytes {
    read(response.into_body()).await.unwrap().0
}

pub(crate) fn report(response: &Response<SettleBody<TestBody>>) -> &Report {
    response
        .extensions()
        .get()
        .expect("a report in the extensions")
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
