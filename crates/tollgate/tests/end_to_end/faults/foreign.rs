//! Another program of the same team uses part of the quota, and our books cannot foresee its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tollgate::{CallOptions, Settings, Tollgate};
use tollgate_sim::{Dialect, Server};

use crate::support::{
    Client, MARGIN, SPEED, WINDOW, What, Wire, all_at_once, gate, one_window, provider,
    read_limits, rules, whole,
};

const REQUESTS: u64 = 40;
const TOKENS: u64 = 100_000;

fn wire(server: &Server, model: &str) -> Wire {
    // One model for all, so that they share the quota; the prompt tells the phases apart.
    let prompt = format!("Phase {model}: the toll is paid twice.");
    Wire::new(server, Dialect::OpenAi, "sim-1", &prompt, 50, false)
}

/// The other program: a bare client with a key of the same team, which neither waits nor retries.
async fn burst(server: &Server, calls: u64) {
    let client = reqwest::Client::new();
    let mut running = JoinSet::new();
    for _ in 0..calls {
        let Wire { url, headers, body } = wire(server, "other");
        let request = headers
            .into_iter()
            .fold(client.post(url).body(body), |request, (name, value)| {
                request.header(name, value)
            });
        running.spawn(request.send());
    }
    for response in running.join_all().await {
        response.expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_back_off_from_unforeseen_refusals_and_the_quota_is_used_again() {
    let server = provider()
        .rules(rules(REQUESTS, TOKENS))
        .chat(Dialect::OpenAi)
        .start()
        .expect("a server");
    let settings = Settings::default().attempts(20).retry_percent(1_000);
    // In the shape in which this provider enforces them; OpenAI itself has buckets.
    let own = read_limits(&format!(
        r#"limits = [
            {{ name = "rpm", unit = "requests", limit = {REQUESTS}, shape = "sliding", window = "600ms", margin = "250ms" }},
            {{ name = "tpm", unit = "tokens", limit = {TOKENS}, shape = "sliding", window = "600ms", margin = "250ms", charge = "arrival" }},
        ]"#
    ));
    let builder = Tollgate::builder().limits("openai", own);
    let (tollgate, log) = gate(builder.settings(settings));
    let clients = Client::both(&tollgate);

    let paused = Arc::new(AtomicBool::new(false));
    let watching = {
        let (paused, tollgate) = (paused.clone(), tollgate.clone());
        tokio::spawn(async move {
            loop {
                let now = tollgate.gate().now();
                let snapshot = tollgate.gate().snapshot();
                if snapshot
                    .iter()
                    .any(|status| status.paused_until.is_some_and(|until| until > now))
                {
                    paused.store(true, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };

    // Before each group of calls the other program takes the better part of a window.
    for _ in 0..3 {
        burst(&server, REQUESTS - 4).await;
        let mut running = JoinSet::new();
        for n in 0..8 {
            let (client, wire) = (clients[n % 2].clone(), wire(&server, "shared"));
            running.spawn(async move { whole(&client, &wire, CallOptions::new()).await });
        }
        for answer in running.join_all().await {
            assert_eq!(answer.expect("an answer").status, 200);
        }
    }
    watching.abort();
    let throttled = log.count(|what| *what == What::Throttled);
    assert!(throttled > 0, "nothing was unforeseen");
    assert_eq!(log.count(|what| *what == What::Retried), throttled);
    assert!(log.count(|what| matches!(what, What::Paused(_))) > 0);
    assert!(paused.load(Ordering::Relaxed), "no pause in any snapshot");
    assert_eq!(
        log.reported().0,
        log.settled(tollgate::gate::Unit::InputTokens)
    );
    assert_eq!(tollgate.gate().open_reservations(), 0);

    // The other one has gone. What it used is forgotten bit by bit while calls show that it is no longer there; then two windows of
    // calls take no longer than they must.
    for _ in 0..8 {
        let wires = (0..REQUESTS).map(|_| wire(&server, "on the way back"));
        for answer in all_at_once(&clients, wires).await {
            assert_eq!(answer.expect("an answer").status, 200);
        }
    }
    one_window().await;
    one_window().await;
    let (before, records) = (server.books(), server.calls().len());
    let wires = (0..REQUESTS * 2).map(|_| wire(&server, "alone"));
    for answer in all_at_once(&clients, wires).await {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.report.attempts()), (200, 1));
    }
    assert_eq!(server.books().throttled, before.throttled);
    let calls = &server.calls()[records..];
    let taken = Duration::from_nanos(calls[calls.len() - 1].arrival_ns - calls[0].arrival_ns);
    // The second half must wait for one window and its margin; a busy machine may take that long again. The headers of the refusals
    // said that others had used the quota, so nothing has been learned about the provider's rule.
    let must = (WINDOW + MARGIN) * SPEED;
    assert!(taken < must * 2, "{taken:?} for what takes {must:?}");
    assert_eq!(log.count(|what| *what == What::Learned), 0);
    for status in tollgate.gate().snapshot() {
        assert_eq!(status.paused_until, None);
        assert!([REQUESTS, TOKENS].contains(&status.limit), "{status:?}");
    }
}
