//! A caller's output cap is lowered to what is left, where that is allowed, and nothing else of the body changes.

use tollgate_gate::{Booking, Counting, Policy, Quota, Unit};
use tollgate_http::{CallOptions, Settings};

use crate::secrets::Trace;
use crate::support::*;

/// Ten thousand tokens a minute, of which the prompt takes 500.
const LIMIT: u64 = 10_000;
const PROMPT: u64 = 500;

fn tpm() -> Vec<Policy> {
    let quota = Quota::sliding(Unit::TotalTokens, LIMIT, MINUTE).unwrap();
    let policy = Policy::new("tpm", quota).booking(Booking::Arrival);
    vec![policy.counting(Counting::PLAIN.output_cap(true))]
}

fn lowering() -> Settings {
    settings().lower_output_cap(true)
}

/// A call whose prompt has so many tokens and whose cap is so many.
fn capped(model: &str, input: u64, cap: u64) -> Ask {
    let body = format!(
        "{{\"model\":\"{model}\", \"max_tokens\" : {cap} ,\"n\":1,\"messages\":[{{\"role\":\"user\",\"content\":\"max_tokens: {cap}\"}}]}}\n"
    );
    let options = CallOptions::new().estimate(input, cap);
    Ask {
        options,
        ..Ask::openai().body(body)
    }
}

/// The body that is sent instead of the call's own, and the cap that the report names.
async fn sent(bench: &Bench, ask: &Ask) -> (Option<String>, Option<u64>) {
    let client = Client::one(json(OPENAI_JSON));
    let answer = bench.run(ask, &client).await.unwrap();
    let cap = report(&answer).output_cap();
    (client.bodies().remove(0), cap)
}

#[track_caller]
fn assert_lowered(ask: &Ask, (body, told): (Option<String>, Option<u64>), from: u64, to: u64) {
    let own = ask.body.clone().unwrap();
    let expected = own.replacen(&format!(": {from} ,"), &format!(": {to} ,"), 1);
    assert_eq!((body, told), (Some(expected), Some(to)));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_of_500_tokens_leaves_9500_of_10000() {
    let bench = Bench::of(tpm(), lowering());
    let ask = capped("other", PROMPT, 20_000);
    assert_lowered(&ask, sent(&bench, &ask).await, 20_000, 9_500);
}

#[tokio::test(start_paused = true)]
async fn without_leave_nothing_is_lowered() {
    let bench = Bench::of(tpm(), settings());
    let client = Client::default();
    bench
        .run(&capped("other", PROMPT, 20_000), &client)
        .await
        .unwrap_err();
    let leave = capped("other", PROMPT, 20_000).with(|options| options.lower_output_cap(true));
    assert_lowered(&leave, sent(&bench, &leave).await, 20_000, 9_500);
    let bench = Bench::of(tpm(), lowering());
    let no_leave = capped("other", PROMPT, 20_000).with(|options| options.lower_output_cap(false));
    bench.run(&no_leave, &client).await.unwrap_err();
    assert_eq!(client.sends(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_fits_and_a_body_without_one_go_as_they_are() {
    let bench = Bench::of(tpm(), lowering());
    let fits = capped("other", PROMPT, 9_500);
    assert_eq!(sent(&bench, &fits).await, (None, None));
    let bench = Bench::of(tpm(), lowering());
    let bare = Ask::openai().with(|options| options.estimate(PROMPT, 9_000));
    assert_eq!(sent(&bench, &bare).await, (None, None));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_now_is_taken_if_it_is_half_of_what_was_asked() {
    let bench = Bench::of(tpm(), lowering());
    let client = Client::one(json(OPENAI_JSON));
    let first = capped("other", 0, 3_000);
    // It is under way, and keeps what it reserved.
    let first = bench.run(&first, &client).await.unwrap();
    let ask = capped("other", PROMPT, 8_000);
    assert_lowered(&ask, sent(&bench, &ask).await, 8_000, 6_500);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_rather_than_be_cut_below_half() {
    let bench = Bench::of(tpm(), lowering());
    let client = Client::one(json(OPENAI_JSON));
    let first = bench
        .run(&capped("other", 0, 7_000), &client)
        .await
        .unwrap();
    let ask = capped("other", PROMPT, 8_000).with(|options| options.within(seconds(0)));
    let error = bench.run(&ask, &client).await.unwrap_err();
    assert!(error.to_string().contains("needs 8500 tokens"), "{error}");
    assert_eq!(client.sends(), 1);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn the_context_window_and_the_limit_per_request_bound_a_cap_too() {
    let bench = Bench::of(Vec::new(), lowering());
    let ask = capped("gpt-m", 400, 5_000);
    assert_lowered(&ask, sent(&bench, &ask).await, 5_000, 600);
    let ask = capped("tiny", 40, 5_000);
    assert_lowered(&ask, sent(&bench, &ask).await, 5_000, 60);
}

#[tokio::test(start_paused = true)]
async fn each_answer_is_capped_alike() {
    let bench = Bench::of(tpm(), lowering());
    let mut ask = capped("other", PROMPT, 4_000);
    ask.body = ask.body.map(|body| body.replace("\"n\":1", "\"n\":3"));
    let ask = ask.with(|_| CallOptions::new().estimate(PROMPT, 12_000));
    let (body, told) = sent(&bench, &ask).await;
    // A third of what is left, rounded down.
    assert!(body.unwrap().contains(": 3166 ,"));
    assert_eq!(told, Some(9_498));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_sends_the_lowered_cap_and_a_warning_tells_of_it() {
    let trace = Trace::default();
    let guard = tracing::subscriber::set_default(trace.clone());
    let bench = Bench::of(tpm(), lowering());
    let client = Client::refusing([refusal(503, &[], "")]);
    let ask = capped("other", PROMPT, 20_000);
    drop(bench.run(&ask, &client).await.unwrap());
    drop(guard);
    let bodies = client.bodies();
    assert_eq!(bodies.len(), 2);
    assert!(
        bodies
            .iter()
            .flatten()
            .all(|body| body.contains(": 9500 ,"))
    );
    let warning =
        "warning=the output cap of 20000 tokens was lowered to 9500, which is what is left";
    assert!(trace.text().contains(warning), "{}", trace.text());
}

#[tokio::test(start_paused = true)]
async fn signed_bodies_of_bedrock_are_never_changed() {
    let catalog = "[provider.bedrock]\nhosts = [\"*.amazonaws.com\"]\ndialect = \"bedrock\"\n\
                   [provider.bedrock.models.m]\ncontext = 1000";
    let bench = Bench::with(Vec::new(), lowering(), catalog);
    let ask = Ask::to(
        "bedrock-runtime.us-east-1.amazonaws.com",
        "/model/m/converse",
    );
    let ask = ask
        .body("{\"inferenceConfig\":{\"maxTokens\":990},\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Seven?\"}]}]}")
        .with(|_| CallOptions::new().estimate(100, 990));
    assert_eq!(sent(&bench, &ask).await, (None, None));
}

#[tokio::test(start_paused = true)]
async fn calls_that_take_nearly_all_of_a_window_or_quota_are_warned_of() {
    let text = |percent: u32, ask: Ask| async move {
        let trace = Trace::default();
        let guard = tracing::subscriber::set_default(trace.clone());
        let bench = Bench::of(policies(), settings().warn_at(percent));
        drop(
            bench
                .run(&ask, &Client::one(json(OPENAI_JSON)))
                .await
                .unwrap(),
        );
        drop(guard);
        trace.text()
    };
    let context = "warning=the call takes 900 of the 1000 tokens that `context window` allows";
    assert!(text(90, capped("gpt-m", 300, 600)).await.contains(context));
    assert!(
        !text(90, capped("gpt-m", 300, 599))
            .await
            .contains("context window")
    );
    assert!(
        text(50, capped("gpt-m", 300, 200))
            .await
            .contains("500 of the 1000")
    );
    assert!(
        !text(0, capped("gpt-m", 300, 600))
            .await
            .contains("context window")
    );
    // The provider's `tpm` counts both kinds of tokens.
    let quota = "warning=the call takes 180000 of the 200000 tokens that `tpm` allows";
    let long = Ask::openai().with(|options| options.estimate(90_000, 90_000));
    assert!(text(90, long).await.contains(quota));
}
