//! What a response's head says of the provider's quotas is taken over, once.

use tollgate_gate::{Event, Policy, Quota, Recorder, Unit};

use crate::support::*;

/// Calls with these headers on an answer; the use of each policy once the call is settled.
async fn books(bench: &Bench, ask: &Ask, status: u16, headers: &[(&str, &str)]) -> Vec<u64> {
    let answer = bench
        .run(
            ask,
            &Client::one(response(status, headers, full(OPENAI_JSON))),
        )
        .await
        .unwrap();
    read_all(answer).await;
    ["rpm", "itpm", "otpm", "tpm"]
        .map(|policy| bench.used(policy))
        .into()
}

fn tightened(bench: &Bench) -> Vec<Unit> {
    let unit = |seen| {
        if let Seen::Tightened(unit) = seen {
            Some(unit)
        } else {
            None
        }
    };
    bench.log.all().into_iter().filter_map(unit).collect()
}

#[tokio::test(start_paused = true)]
async fn openai_s_headers() {
    let bench = Bench::new();
    let headers = [
        JSON,
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "899"),
        ("x-ratelimit-limit-tokens", "200000"),
        ("x-ratelimit-remaining-tokens", "150000"),
    ];
    // Others have used 100 requests, and 50,000 tokens less the thousand reserved here.
    assert_eq!(
        books(&bench, &Ask::openai(), 200, &headers).await,
        [101, 11, 5, 49_000 + 16]
    );
    assert_eq!(tightened(&bench), [Unit::Requests, Unit::TotalTokens]);
}

#[tokio::test(start_paused = true)]
async fn meta_s_headers() {
    let bench = Bench::new();
    let headers = [
        JSON,
        ("x-ratelimit-limit-tokens", "200000"),
        ("x-ratelimit-remaining-tokens", "198000"),
        ("x-ratelimit-limit-requests", "500"),
        ("x-ratelimit-remaining-requests", "499"),
    ];
    let ask = Ask::to("api.llama.com", "/v1/chat/completions");
    let used = books(&bench, &ask, 200, &headers).await;
    assert_eq!(
        (used[0], tightened(&bench)),
        (1, vec![Unit::Requests, Unit::TotalTokens]),
        "the limit is lower"
    );
    let limit = bench
        .gate()
        .snapshot()
        .into_iter()
        .find(|status| &*status.policy == "rpm")
        .unwrap()
        .limit;
    assert_eq!(limit, 500);
}

#[tokio::test(start_paused = true)]
async fn anthropic_s_headers_are_rounded_to_thousands() {
    let bench = Bench::new();
    let headers = [
        JSON,
        ("anthropic-ratelimit-requests-limit", "1000"),
        ("anthropic-ratelimit-requests-remaining", "989"),
        ("anthropic-ratelimit-input-tokens-limit", "100000"),
        ("anthropic-ratelimit-input-tokens-remaining", "90000"),
        ("anthropic-ratelimit-output-tokens-limit", "100000"),
        ("anthropic-ratelimit-output-tokens-remaining", "99000"),
    ];
    let ask = Ask::to("api.anthropic.com", "/v1/messages");
    // Of the 10,000 input tokens used there, 500 may be rounding and 300 are reserved here; output is no further than 700.
    let answer = bench
        .run(&ask, &Client::one(response(200, &headers, full("{}"))))
        .await
        .unwrap();
    assert_eq!(bench.used("rpm"), 11);
    assert_eq!(bench.used("itpm"), 9_500);
    assert_eq!(bench.used("otpm"), OUTPUT);
    drop(answer);
    assert_eq!(tightened(&bench), [Unit::Requests, Unit::InputTokens]);
}

#[tokio::test(start_paused = true)]
async fn the_headers_of_a_refusal_are_heard_too_once_per_response() {
    let bench = Bench::new();
    let ask = Ask::openai().with(|options| options.attempts(1));
    let headers = [
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "900"),
    ];
    // The provider's 100 include this call's own.
    drop(
        bench
            .run(&ask, &Client::one(throttled(&headers)))
            .await
            .unwrap(),
    );
    assert_eq!(bench.used("rpm"), 100);
    assert_eq!(tightened(&bench), [Unit::Requests]);
    drop(
        bench
            .run(&ask, &Client::one(refusal(400, &headers, "")))
            .await,
    );
    assert_eq!(
        tightened(&bench),
        [Unit::Requests],
        "no news: nothing is taken twice"
    );
}

#[tokio::test(start_paused = true)]
async fn headers_never_raise_what_is_left() {
    let bench = Bench::new();
    let headers = [
        JSON,
        ("x-ratelimit-limit-requests", "2000"),
        ("x-ratelimit-remaining-requests", "2000"),
        ("x-ratelimit-limit-tokens", "0"),
        ("x-ratelimit-remaining-tokens", "nonsense"),
    ];
    assert_eq!(
        books(&bench, &Ask::openai(), 200, &headers).await,
        [1, 11, 5, 16]
    );
    assert_eq!(tightened(&bench), []);
}

#[tokio::test(start_paused = true)]
async fn news_for_a_policy_that_is_not_there_is_let_go() {
    let policy = Policy::new("rpm", Quota::sliding(Unit::Requests, 9, MINUTE).unwrap())
        .only("profile", ["other"]);
    let bench = Bench::of(vec![policy], settings());
    let headers = [
        JSON,
        ("x-ratelimit-limit-requests", "1"),
        ("x-ratelimit-remaining-requests", "0"),
    ];
    let answer = bench
        .run(
            &Ask::openai(),
            &Client::one(response(200, &headers, full(OPENAI_JSON))),
        )
        .await
        .unwrap();
    read_all(answer).await;
    assert_eq!(tightened(&bench), []);
    bench.log.record(&Event::Tightened {
        labels: &tollgate_gate::Labels::new(),
        unit: Unit::Requests,
    });
    assert_eq!(tightened(&bench), [Unit::Requests], "the log would have it");
}
