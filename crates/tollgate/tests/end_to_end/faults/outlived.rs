//! Calls that run longer than the quota's window, for providers that book at arrival and at completion.

use std::time::Duration;

use tollgate::gate::{Status, Unit};
use tollgate::tokens::PolicySpec;
use tollgate::{CallOptions, Tollgate};
use tollgate_sim::provider::{Charging, Rules, Unit as ProviderUnit};
use tollgate_sim::{Dialect, Latency};

use crate::support::{
    Client, What, Wire, all_at_once, books_when, gate_over, limits, one_window, per_minute,
    provider, read_limits, rules, whole,
};

/// Answers after this span of the provider's time, all at once.
const fn answering_after(span: Duration) -> Latency {
    Latency {
        first_token: (span, span),
        tokens_per_second: (u32::MAX, u32::MAX),
    }
}

/// Three windows of calls, each of which runs for one and a half.
async fn check(rules: Rules, limits: Vec<PolicySpec>) {
    const CALLS: u64 = 30;
    let server = provider()
        .rules(rules)
        .chat(Dialect::MetaLlama)
        .latency(Latency {
            first_token: (Duration::from_secs(80), Duration::from_secs(100)),
            tokens_per_second: (60, 120),
        })
        .start()
        .expect("a server");
    let (tollgate, log) = gate_over("meta-llama", limits);
    let wires = (0..CALLS).map(|n| {
        let prompt = format!("Night {n:02}. {}", "The gate stays shut. ".repeat(25));
        Wire::llama(&server, "sim-1", &prompt, 300, n % 2 == 0)
    });
    for answer in all_at_once(&Client::both(&tollgate), wires).await {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.report.attempts()), (200, 1));
    }
    let books = server.books();
    assert_eq!((books.throttled, books.completed), (0, CALLS), "{books:?}");
    let tokens = (books.input_tokens, books.output_tokens);
    assert_eq!(log.reported(), tokens);
    assert_eq!(log.settled(Unit::TotalTokens), tokens.0 + tokens.1);
    assert_eq!(log.settled(Unit::Requests), CALLS);
    assert!(log.count(|what| matches!(what, What::Queued(_))) > 0);
    assert_eq!(tollgate.gate().open_reservations(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_over_where_the_provider_books_at_arrival() {
    check(rules(12, 5_000), limits(12, 5_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_over_where_the_provider_books_at_completion() {
    let quotas = vec![
        per_minute(ProviderUnit::Requests, 12),
        per_minute(ProviderUnit::Total, 5_000),
    ];
    let limits = read_limits(
        r#"limits = [
            { name = "rpm", unit = "requests", limit = 12, window = "600ms", margin = "250ms" },
            { name = "tpm", unit = "tokens", limit = 5000, window = "600ms", margin = "250ms", output = "cap" },
        ]"#,
    );
    check(Rules::new(Charging::Completion, quotas), limits).await;
}

/// A gate over 1,000 tokens per window, booked as `charge` says.
fn a_thousand_tokens(charge: &str) -> Vec<PolicySpec> {
    read_limits(&format!(
        r#"limits = [{{ name = "tpm", unit = "tokens", limit = 1000, window = "600ms", shape = "sliding", margin = "250ms", charge = "{charge}" }}]"#
    ))
}

fn only(tollgate: &Tollgate) -> Status {
    let mut policies = tollgate.gate().snapshot();
    assert_eq!(policies.len(), 1);
    policies.remove(0).status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_does_not_cross_into_the_next_window() {
    let server = provider()
        .latency(answering_after(Duration::from_secs(120)))
        .start()
        .expect("a server");
    let (tollgate, _) = gate_over("openai", a_thousand_tokens("arrival"));
    let [by_reqwest, by_tower] = Client::both(&tollgate);
    let wire = |model| Wire::new(&server, Dialect::OpenAi, model, "Toll?", 5, false);

    let (first, early) = (wire("early"), by_reqwest.clone());
    let early =
        tokio::spawn(
            async move { whole(&early, &first, CallOptions::new().estimate(700, 100)).await },
        );
    books_when(&server, |books| books.admitted == 1).await;
    assert_eq!(only(&tollgate).used, 800);
    // It does not fit beside the first one, and is admitted once that has aged out, while it still runs.
    let (second, late) = (wire("late"), by_tower.clone());
    let late =
        tokio::spawn(
            async move { whole(&late, &second, CallOptions::new().estimate(800, 100)).await },
        );
    books_when(&server, |books| books.admitted == 2).await;
    assert_eq!(server.books().in_flight, 2);
    assert_eq!(only(&tollgate).used, 900);

    let answer = early.await.expect("no panic").expect("an answer");
    assert_eq!(
        (answer.status, answer.report.waited()),
        (200, Duration::ZERO)
    );
    // Nearly 800 tokens come back, but to a window that is over.
    assert_eq!(tollgate.gate().open_reservations(), 1);
    assert_eq!(only(&tollgate).used, 900);

    late.await.expect("no panic").expect("an answer");
    assert_eq!(tollgate.gate().open_reservations(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_booked_at_completion_is_held_for_as_long_as_the_call_runs() {
    let server = provider()
        .latency(answering_after(Duration::from_secs(200)))
        .start()
        .expect("a server");
    let (tollgate, _) = gate_over("openai", a_thousand_tokens("completion"));
    let [by_reqwest, by_tower] = Client::both(&tollgate);
    let wire = |model| Wire::new(&server, Dialect::OpenAi, model, "Toll?", 5, false);

    let (first, early) = (wire("early"), by_reqwest.clone());
    let early =
        tokio::spawn(
            async move { whole(&early, &first, CallOptions::new().estimate(700, 100)).await },
        );
    books_when(&server, |books| books.admitted == 1).await;
    let (second, late) = (wire("late"), by_tower.clone());
    let late =
        tokio::spawn(
            async move { whole(&late, &second, CallOptions::new().estimate(800, 100)).await },
        );
    one_window().await;
    let status = only(&tollgate);
    assert_eq!((status.used, status.held), (0, 800));
    assert_eq!(tollgate.gate().waiting(), 1);

    let early = early.await.expect("no panic").expect("an answer");
    let late = late.await.expect("no panic").expect("an answer");
    assert_eq!((early.status, late.status), (200, 200));
    let calls = server.calls();
    let models: Vec<&str> = calls.iter().map(|call| call.model.as_str()).collect();
    assert_eq!(models, ["early", "late"]);
    // What the first one used leaves room for the second, which so goes at once and waits for no window.
    let idle = Duration::from_nanos(calls[1].arrival_ns.saturating_sub(calls[0].finished_ns));
    assert!(calls[1].arrival_ns >= calls[0].finished_ns);
    assert!(idle < Duration::from_secs(60), "{idle:?}");
    assert_eq!(tollgate.gate().open_reservations(), 0);
}
