//! In each dialect, as a document and as a stream: the provider never refuses, and its books and ours agree to the token.

use std::time::Duration;

use tollgate::gate::Unit;
use tollgate::tokens::PolicySpec;
use tollgate_sim::Dialect;
use tollgate_sim::provider::{Charging, Quota, Rules, Shape, Unit as ProviderUnit};

use crate::support::{
    Client, What, Wire, all_at_once, gate_over, limits, per_minute, provider, read_limits, rules,
};

const CALLS: u64 = 60;
const CAP: u64 = 300;
/// A window has room for so many calls, so that three windows pass.
const REQUESTS: u64 = 24;
/// Less than [`REQUESTS`] calls take at arrival: both quotas bind, by turns.
const TOKENS: u64 = 9_000;

/// Sixty calls at once through two clients that share one gate.
async fn check(dialect: Dialect, name: &str, stream: bool, rules: Rules, limits: Vec<PolicySpec>) {
    let server = provider()
        .rules(rules)
        .chat(dialect)
        .start()
        .expect("a server");
    let (tollgate, log) = gate_over(name, limits);
    let wires = (0..CALLS).map(|n| Wire::new(&server, dialect, "sim-1", &prompt(n), CAP, stream));

    let answers = all_at_once(&Client::both(&tollgate), wires).await;
    for answer in &answers {
        let answer = answer.as_ref().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.report.attempts(), 1);
        assert!(answer.report.verdict().is_none() && !answer.text.is_empty());
    }
    assert_eq!(answers.len() as u64, CALLS);

    let books = server.books();
    assert_eq!((books.throttled, books.completed), (0, CALLS), "{books:?}");
    assert_eq!(books.requests_received, CALLS);

    let provider = (books.input_tokens, books.output_tokens);
    assert_eq!(log.reported(), provider, "what responses reported");
    let settled = (
        log.settled(Unit::InputTokens),
        log.settled(Unit::OutputTokens),
    );
    assert_eq!(settled, provider, "what was settled");
    assert_eq!(log.settled(Unit::TotalTokens), provider.0 + provider.1);
    assert_eq!(log.settled(Unit::Requests), CALLS);

    assert_eq!(log.count(What::is_settled) as u64, CALLS);
    assert_eq!(log.count(What::is_finished) as u64, CALLS);
    assert_eq!(tollgate.gate().open_reservations(), 0);
    assert_eq!(tollgate.gate().waiting(), 0);
    // The quotas did bind: without a gate, most of the calls would have been refused.
    let queued = log.count(|what| matches!(what, What::Queued(_))) as u64;
    assert!(queued >= CALLS - REQUESTS, "only {queued} calls waited");
    let for_tokens =
        |what: &What| matches!(what, What::Queued(Some(name)) if name.ends_with("tpm"));
    assert!(log.count(for_tokens) > 0, "no call waited for tokens");
}

/// Between 150 and 300 tokens, none like another.
fn prompt(n: u64) -> String {
    let line = "The keeper of the bridge counts every cart, and asks a coin for each. ";
    format!("Tale {n:03}. {}", line.repeat(8 + (n % 9) as usize))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn meta_llama_documents() {
    let (rules, limits) = (rules(REQUESTS, TOKENS), limits(REQUESTS, TOKENS));
    check(Dialect::MetaLlama, "meta-llama", false, rules, limits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn meta_llama_streams() {
    let (rules, limits) = (rules(REQUESTS, TOKENS), limits(REQUESTS, TOKENS));
    check(Dialect::MetaLlama, "meta-llama", true, rules, limits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openai_documents() {
    let (rules, limits) = (rules(REQUESTS, TOKENS), limits(REQUESTS, TOKENS));
    check(Dialect::OpenAi, "openai", false, rules, limits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openai_streams() {
    let (rules, limits) = (rules(REQUESTS, TOKENS), limits(REQUESTS, TOKENS));
    check(Dialect::OpenAi, "openai", true, rules, limits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generic_documents() {
    let (rules, limits) = (rules(REQUESTS, TOKENS), limits(REQUESTS, TOKENS));
    check(Dialect::Generic, "grok2-example", false, rules, limits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anthropic_documents() {
    let (rules, limits) = anthropic();
    check(Dialect::Anthropic, "anthropic", false, rules, limits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anthropic_streams() {
    let (rules, limits) = anthropic();
    check(Dialect::Anthropic, "anthropic", true, rules, limits).await;
}

/// Buckets for requests, input and output; output counts as it is produced, which a client books when it learns of it.
fn anthropic() -> (Rules, Vec<PolicySpec>) {
    let bucket = |unit, limit: u64| {
        let quota = per_minute(unit, limit);
        let (window, shape) = (
            Duration::from_nanos(quota.window_ns()),
            Shape::Bucket { burst: limit },
        );
        Quota::new(unit, limit, window, shape).expect("a valid quota")
    };
    let quotas = vec![
        bucket(ProviderUnit::Requests, REQUESTS),
        bucket(ProviderUnit::Input, 5_000),
        bucket(ProviderUnit::Output, 7_000),
    ];
    let limits = read_limits(
        r#"limits = [
            { name = "rpm", unit = "requests", limit = 24, window = "600ms", margin = "250ms" },
            { name = "itpm", unit = "input_tokens", limit = 5000, window = "600ms", margin = "250ms", charge = "arrival" },
            { name = "otpm", unit = "output_tokens", limit = 7000, window = "600ms", margin = "250ms", output = "cap" },
        ]"#,
    );
    (Rules::new(Charging::Produced, quotas), limits)
}
