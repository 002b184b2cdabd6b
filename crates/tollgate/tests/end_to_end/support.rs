//! What the tests share: a provider and a gate of the same quotas, clients of both kinds, and a log of all events.

mod client;
mod log;
mod wire;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinSet;
use tollgate::tokens::PolicySpec;
use tollgate::{Builder, CallOptions, Refused, Report, Settings, Tollgate};
use tollgate_sim::provider::{Charging, Quota, Rules, Shape, Unit};
use tollgate_sim::{Books, Latency, Provider, Server};

pub(crate) use client::{BoxError, Client};
pub(crate) use log::{Log, What};
pub(crate) use wire::{KEY, Wire};

/// How much faster than ours the provider's time runs.
pub(crate) const SPEED: u32 = 100;

/// The provider's minute, as it lasts here. Long enough that a busy machine still sends a window's worth of calls within it.
pub(crate) const WINDOW: Duration = Duration::from_millis(600);

/// How far apart two calls may drift on their way through a busy machine.
pub(crate) const MARGIN: Duration = Duration::from_millis(250);

/// A limit of so many units per minute of the provider's time, in any span of a minute.
pub(crate) fn per_minute(unit: Unit, limit: u64) -> Quota {
    Quota::new(unit, limit, Duration::from_secs(60), Shape::SlidingLog).expect("a valid quota")
}

/// A provider without limits of its own that serves every model and answers within a few milliseconds.
pub(crate) fn provider() -> tollgate_sim::Builder {
    Provider::preset("unlimited")
        .expect("a preset")
        .speed(SPEED)
        .latency(Latency::default())
}

/// Requests and tokens per minute, charged at arrival.
pub(crate) fn rules(requests: u64, tokens: u64) -> Rules {
    let quotas = vec![
        per_minute(Unit::Requests, requests),
        per_minute(Unit::Total, tokens),
    ];
    Rules::new(Charging::Arrival, quotas)
}

/// The same limits as [`rules`], as a user writes them.
pub(crate) fn limits(requests: u64, tokens: u64) -> Vec<PolicySpec> {
    read_limits(&format!(
        r#"limits = [
            {{ name = "rpm", unit = "requests", limit = {requests}, window = "600ms", margin = "250ms" }},
            {{ name = "tpm", unit = "tokens", limit = {tokens}, window = "600ms", margin = "250ms", charge = "arrival" }},
        ]"#
    ))
}

/// Limits in the words of a configuration file.
pub(crate) fn read_limits(text: &str) -> Vec<PolicySpec> {
    #[derive(Deserialize)]
    struct Limits {
        limits: Vec<PolicySpec>,
    }
    toml::from_str::<Limits>(text).expect("limits").limits
}

/// A gate and the log of everything that happens at it.
pub(crate) fn gate(builder: Builder) -> (Tollgate, Arc<Log>) {
    let log = Arc::new(Log::default());
    let tollgate = builder
        .recorder(log.clone())
        .build()
        .expect("a configuration");
    (tollgate, log)
}

/// A gate over these limits of a provider of the catalog, which is assumed at the simulated provider's address. Retries are not
/// rationed: the tests say how many there may be.
pub(crate) fn gate_over(name: &str, limits: Vec<PolicySpec>) -> (Tollgate, Arc<Log>) {
    let settings = Settings::default().retry_percent(100);
    gate(Tollgate::builder().limits(name, limits).settings(settings))
}

/// What one whole call came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) report: Report,
    pub(crate) text: String,
}

/// Sends a call and reads its answer to the end.
pub(crate) async fn whole(
    client: &Client,
    wire: &Wire,
    options: CallOptions,
) -> Result<Answer, BoxError> {
    let mut reply = client.send(wire, options).await?;
    let (status, report) = (reply.status(), reply.report());
    let mut body = Vec::new();
    while let Some(bytes) = reply.chunk().await? {
        body.extend_from_slice(&bytes);
    }
    Ok(Answer {
        status,
        report: report.expect("a report in the response's extensions"),
        text: String::from_utf8(body).expect("text"),
    })
}

/// Sends calls all at once, by turns through each of the clients, and returns their answers in no particular order.
pub(crate) async fn all_at_once(
    clients: &[Client],
    wires: impl IntoIterator<Item = Wire>,
) -> Vec<Result<Answer, BoxError>> {
    let mut calls = JoinSet::new();
    for (client, wire) in clients.iter().cycle().zip(wires) {
        let client = client.clone();
        calls.spawn(async move { whole(&client, &wire, CallOptions::new()).await });
    }
    calls.join_all().await
}

/// Drives a future until it is over, or until `done` holds after one of its polls; `None` if it is not over then.
pub(crate) async fn poll_until<F: Future + Unpin>(
    future: &mut F,
    done: impl Fn() -> bool,
) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if done() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// What the gate said, as the user of either client finds it; panics if it was not the gate that refused.
#[track_caller]
pub(crate) fn refused(error: &BoxError) -> &Refused {
    let refused = match error.downcast_ref::<reqwest_middleware::Error>() {
        Some(reqwest_middleware::Error::Middleware(error)) => error.downcast_ref(),
        _ => error.downcast_ref(),
    };
    refused.unwrap_or_else(|| panic!("not refused by the gate: {error:?}"))
}

/// The provider's books once `ready` holds: it learns of a client that left when its socket tells it.
pub(crate) async fn books_when(server: &Server, ready: impl Fn(&Books) -> bool) -> Books {
    for _ in 0..2_000 {
        let books = server.books();
        if ready(&books) {
            return books;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the books never got there: {:?}", server.books());
}

/// A window and its margin pass.
pub(crate) async fn one_window() {
    tokio::time::sleep(WINDOW + MARGIN).await;
}
