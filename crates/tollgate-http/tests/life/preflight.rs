//! What can never succeed is refused before it is sent, with numbers; what might succeed is not.

use std::error::Error as _;

use tollgate_gate::{Policy, Quota, Unit};
use tollgate_http::{CallOptions, Failure, Refused};
use tollgate_tokens::{Price, UnknownPrice};

use crate::support::*;

/// The refusal of a call that is never sent, nor reserved for.
async fn refused(bench: &Bench, ask: Ask) -> Refused {
    let client = Client::default();
    let Err(Failure::Refused(refused)) = bench.run(&ask, &client).await else {
        panic!("it was to be refused")
    };
    assert_eq!(client.sends(), 0);
    bench.assert_over();
    assert_eq!(bench.log.settled(), []);
    let end = bench.log.end();
    assert_eq!(
        (end.attempts, end.status, end.error.as_deref()),
        (0, None, Some(refused.reason()))
    );
    refused
}

async fn passes(ask: Ask) {
    let bench = Bench::new();
    let client = Client::one(json(OPENAI_JSON));
    drop(bench.run(&ask, &client).await.unwrap());
    assert_eq!(client.sends(), 1);
}

fn chat(model: &str, fields: &str, prompt_bytes: usize) -> Ask {
    let prompt = "x".repeat(prompt_bytes);
    Ask::openai().body(format!(
        r#"{{"model":"{model}"{fields},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    ))
}

#[tokio::test(start_paused = true)]
async fn a_prompt_and_cap_beyond_the_context_window() {
    // Ten bytes to a token at the very most: 500 tokens at least, and the window is 1,000.
    let refused = refused(&Bench::new(), chat("gpt-m", r#","max_tokens":501"#, 5_000)).await;
    assert_eq!(
        (refused.reason(), refused.is_permanent()),
        ("context_window", true)
    );
    assert_eq!(
        refused.to_string(),
        "not sent: a prompt of at least 500 tokens and an output cap of 501 exceed the model's context window of 1000 tokens; \
         shorten the prompt or lower the cap"
    );
    assert_eq!(
        (refused.binding(), refused.retry_at(), refused.retry_after()),
        (None, None, None)
    );
    passes(chat("gpt-m", r#","max_tokens":500"#, 5_000)).await;
    passes(chat("gpt-m", "", 9_999)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_limit_per_request() {
    let refused = refused(&Bench::new(), chat("tiny", r#","max_tokens":91"#, 100)).await;
    assert_eq!(
        (refused.reason(), refused.is_permanent()),
        ("per_request_limit", true)
    );
    assert!(
        refused.to_string().contains(
            "at least 10 tokens and an output cap of 91 exceed the limit per request of 100"
        ),
        "{refused}"
    );
    passes(chat("tiny", r#","max_tokens":90"#, 100)).await;
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_the_context_window_to_itself() {
    // Four answers of 400 tokens at most, each after the same prompt.
    passes(chat("gpt-m", r#","max_tokens":400,"n":4"#, 1_000)).await;
}

#[tokio::test(start_paused = true)]
async fn every_text_of_a_batch_has_the_context_window_to_itself() {
    let texts = vec![format!("\"{}\"", "x".repeat(4_000)); 20].join(",");
    let mut ask = Ask::to("api.openai.com", "/v1/embeddings");
    passes(Ask {
        body: Some(format!(r#"{{"model":"gpt-m","input":[{texts}]}}"#)),
        ..ask
    })
    .await;
    ask = Ask::to("api.openai.com", "/v1/completions");
    passes(Ask {
        body: Some(format!(
            r#"{{"model":"gpt-m","max_tokens":9,"prompt":[{texts}]}}"#
        )),
        ..ask
    })
    .await;
}

fn budget() -> (Vec<Policy>, String) {
    let policy = Policy::new(
        "budget",
        Quota::sliding(Unit::Cost, 1_000_000_000, MINUTE).unwrap(),
    );
    let spec = r#"{ name = "budget", unit = "cost_usd", limit = 1, window = "1m" },"#;
    (
        vec![policy],
        CATALOG.replacen("limits = [", &format!("limits = [ {spec}"), 1),
    )
}

fn priceless() -> Ask {
    Ask {
        options: CallOptions::new(),
        ..chat("priceless", "", 9)
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_price_where_a_budget_applies() {
    let (policies, catalog) = budget();
    let refused = refused(&Bench::with(policies, settings(), &catalog), priceless()).await;
    assert_eq!(
        (refused.reason(), refused.is_permanent()),
        ("unknown_price", true)
    );
    assert_eq!(
        refused.to_string(),
        "not sent: a budget applies, but the price of model `priceless` is not known; give one in the catalog, or set `unknown_price`"
    );
    assert!(refused.source().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_price_can_be_assumed_or_ignored() {
    // 11 tokens in, 5 out.
    let assumed = UnknownPrice::Assume(Price::new(3_000_000, 7_000_000));
    for (policy, expected) in [
        (assumed, Some(11 * 3_000 + 5 * 7_000)),
        (UnknownPrice::Ignore, None),
    ] {
        let (policies, catalog) = budget();
        let bench = Bench::with(policies, settings().unknown_price(policy), &catalog);
        let answer = bench
            .run(&priceless(), &Client::one(json(OPENAI_JSON)))
            .await
            .unwrap();
        read_all(answer).await;
        assert_eq!(bench.log.end().cost, expected);
        assert_eq!(bench.used("budget"), expected.unwrap_or(0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_price_is_charged_to_the_budget() {
    let (policies, catalog) = budget();
    let bench = Bench::with(policies, settings(), &catalog);
    let answer = bench
        .run(&chat("gpt-m", "", 9), &Client::one(json(OPENAI_JSON)))
        .await
        .unwrap();
    assert_eq!(bench.used("budget"), INPUT * 2_000 + OUTPUT * 10_000);
    read_all(answer).await;
    assert_eq!(bench.used("budget"), 11 * 2_000 + 5 * 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_call_above_a_policy_s_capacity() {
    let policy = Policy::new(
        "tpm",
        Quota::sliding(Unit::TotalTokens, 999, MINUTE).unwrap(),
    );
    let refused = refused(&Bench::of(vec![policy], settings()), Ask::openai()).await;
    assert_eq!(
        (refused.reason(), refused.is_permanent()),
        ("never_fits", true)
    );
    let binding = refused.binding().unwrap();
    assert_eq!(
        (
            &*binding.policy,
            binding.unit,
            binding.needed,
            binding.capacity
        ),
        ("tpm", Unit::TotalTokens, 1_000, 999)
    );
    assert_eq!(
        refused.to_string(),
        "not admitted: call needs 1000 tokens, but policy `tpm` can grant at most 999: it can never be admitted"
    );
    assert!(refused.source().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_admitted_in_time() {
    let policy = Policy::new("rpm", Quota::sliding(Unit::Requests, 1, MINUTE).unwrap());
    let bench = Bench::of(vec![policy], settings());
    drop(
        bench
            .run(&Ask::openai(), &Client::one(json(OPENAI_JSON)))
            .await
            .unwrap(),
    );
    let start = bench.gate().now();
    let client = Client::default();
    let ask = Ask::openai().with(|options| options.within(seconds(30)));
    let Err(Failure::Refused(refused)) = bench.run(&ask, &client).await else {
        panic!("refused")
    };
    // The window and the margin for jitter.
    let free = std::time::Duration::from_millis(60_100);
    assert_eq!(
        (refused.reason(), refused.is_permanent()),
        ("deadline", false)
    );
    assert_eq!(
        (refused.retry_after(), refused.retry_at()),
        (Some(free), Some(start.plus(free)))
    );
    assert_eq!((client.sends(), bench.gate().now()), (0, start), "at once");
    assert_eq!(bench.gate().open_reservations(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_says_what_its_cause_says() {
    let policy = Policy::new(
        "tpm",
        Quota::sliding(Unit::TotalTokens, 999, MINUTE).unwrap(),
    );
    let bench = Bench::of(vec![policy], settings());
    let failure = bench
        .run(&Ask::openai(), &Client::default())
        .await
        .unwrap_err();
    let Failure::Refused(refused) = &failure else {
        panic!("refused")
    };
    assert_eq!(failure.to_string(), refused.to_string());
    assert_eq!(Failure::Transport(Broken("reset")).to_string(), "reset");
}
