//! The quotas over HTTP: who is refused, in which words, with which headers, and until when.

use std::time::Duration;

use crate::support::{SCOUT, books_when, chat, header, json_of, post};
use reqwest::Response;
use serde_json::json;
use tollgate_sim::optimum::optimum;
use tollgate_sim::provider::{Charging, Quota, Rules, Shape, Unit};
use tollgate_sim::{Faults, Latency, Provider, Server};

fn provider(preset: &str) -> tollgate_sim::Builder {
    Provider::preset(preset)
        .expect("a preset")
        .latency(Latency::none())
}

fn per_minute(unit: Unit, limit: u64, shape: Shape) -> Quota {
    Quota::new(unit, limit, Duration::from_secs(60), shape).expect("a valid quota")
}

async fn send(server: &Server, path: &str, model: &str, cap: u64) -> Response {
    post(server, path, &chat(model, "toll road", cap))
        .send()
        .await
        .expect("an answer")
}

#[tokio::test]
async fn the_eleventh_call_of_a_minute_gets_metas_429() {
    let server = provider("llama-api").start().expect("a server");
    for left in (0..10).rev() {
        let response = send(&server, "/v1/chat/completions", SCOUT, 100).await;
        assert_eq!(response.status(), 200);
        let numbers = [
            "limit-requests",
            "remaining-requests",
            "limit-tokens",
            "reset-requests",
            "reset-tokens",
        ];
        let numbers = numbers.map(|name| header(&response, &format!("x-ratelimit-{name}")));
        let text = |number: u64| Some(number.to_string());
        assert_eq!(numbers, [text(10), text(left), text(250_000), None, None]);
    }
    let response = send(&server, "/v1/chat/completions", SCOUT, 100).await;
    assert_eq!(response.status(), 429);
    assert_eq!(
        header(&response, "x-ratelimit-remaining-requests").as_deref(),
        Some("0")
    );
    assert_eq!(header(&response, "retry-after"), None);
    let detail = "You have exceeded the maximum number of requests allowed within a given time frame. Wait a bit and try \
                  again.";
    assert_eq!(
        json_of(response).await,
        json!({"title": "Too Many Requests", "detail": detail, "status": 429})
    );

    // Another model and another team have quotas of their own.
    assert_eq!(
        send(
            &server,
            "/v1/chat/completions",
            "Llama-3.3-70B-Instruct",
            100
        )
        .await
        .status(),
        200
    );
    let other = post(&server, "/v1/chat/completions", &chat(SCOUT, "toll", 5))
        .header("x-api-key", "sk-other-1");
    assert_eq!(other.send().await.expect("an answer").status(), 200);

    let books = server.books();
    assert_eq!(
        (
            books.requests_received,
            books.calls,
            books.admitted,
            books.throttled
        ),
        (13, 13, 12, 1)
    );
    assert_eq!(
        (books.models[SCOUT].requests, books.models[SCOUT].throttled),
        (11, 1)
    );
    assert_eq!(
        (books.teams["acme"].requests, books.teams["other"].requests),
        (11, 1)
    );
}

#[tokio::test]
async fn the_tokens_a_call_did_not_use_are_given_back() {
    let server = provider("llama-api").start().expect("a server");
    let first = send(&server, "/v1/chat/completions", SCOUT, 200_000).await;
    assert_eq!(
        header(&first, "x-ratelimit-remaining-tokens").as_deref(),
        Some("49994")
    ); // 6 of input
    let settled = server.calls()[0].output + 6;
    let second = send(&server, "/v1/chat/completions", SCOUT, 200_000).await;
    let left = 250_000 - settled - 200_006;
    assert_eq!(
        header(&second, "x-ratelimit-remaining-tokens"),
        Some(left.to_string())
    );
}

#[tokio::test]
async fn openai_says_what_is_missing_and_when_to_come_back() {
    let quota = per_minute(Unit::Total, 60_000, Shape::Bucket { burst: 60_000 });
    let server = provider("openai")
        .quotas(&[quota])
        .start()
        .expect("a server");
    // A call in flight holds its whole reservation, so the level does not depend on how long the answer was.
    let hang = Faults {
        hang_per_mille: 1_000,
        ..Faults::default()
    };
    let hanging = provider("openai")
        .quotas(&[quota])
        .faults(hang)
        .start()
        .expect("a server");
    let running = tokio::spawn(
        post(
            &hanging,
            "/v1/chat/completions",
            &chat("gpt-4o", "toll road", 59_994),
        )
        .send(),
    );
    books_when(&hanging, |books| books.admitted == 1).await;
    let response = send(&hanging, "/v1/chat/completions", "gpt-4o", 59_994).await;
    assert_eq!(response.status(), 429);
    let seconds: u64 = header(&response, "retry-after")
        .expect("seconds")
        .parse()
        .expect("a number");
    let millis: u64 = header(&response, "retry-after-ms")
        .expect("milliseconds")
        .parse()
        .expect("a number");
    assert!(
        millis <= 60_000 && seconds == millis.div_ceil(1_000),
        "{seconds} s, {millis} ms"
    );
    let error = json_of(response).await["error"].clone();
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("tokens"), &json!("rate_limit_exceeded"))
    );
    let message = error["message"].as_str().expect("a message");
    let words = "Rate limit reached for gpt-4o in organization org-acme on tokens per min (TPM): Limit 60000, Used ";
    assert!(
        message.starts_with(words) && message.contains("Requested 60000. Please try again in "),
        "{message}"
    );
    running.abort();

    let response = send(&server, "/v1/chat/completions", "gpt-4o", 60_001).await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "retry-after")),
        (429, None)
    );
    let message = json_of(response).await["error"]["message"].clone();
    assert!(
        message
            .as_str()
            .expect("a message")
            .starts_with("Request too large for gpt-4o"),
        "{message}"
    );
}

#[tokio::test]
async fn resets_and_waits_are_in_the_clients_seconds() {
    let rules = Rules::new(
        Charging::Arrival,
        vec![per_minute(Unit::Requests, 1, Shape::Bucket { burst: 1 })],
    );
    let server = provider("openai")
        .rules(rules)
        .speed(10)
        .start()
        .expect("a server");
    let response = send(&server, "/v1/chat/completions", "gpt-4o", 5).await;
    assert_eq!(
        header(&response, "x-ratelimit-reset-requests").as_deref(),
        Some("6s")
    );
    let response = send(&server, "/v1/chat/completions", "gpt-4o", 5).await;
    let millis: u64 = header(&response, "retry-after-ms")
        .expect("milliseconds")
        .parse()
        .expect("a number");
    assert!((1..=6_000).contains(&millis), "{millis} ms");
}

#[tokio::test]
async fn a_refused_call_passes_when_it_waits_as_long_as_it_was_told() {
    let rules = Rules::new(
        Charging::Arrival,
        vec![per_minute(Unit::Requests, 1, Shape::SlidingLog)],
    );
    let server = provider("openai")
        .rules(rules)
        .speed(1_000)
        .start()
        .expect("a server");
    assert_eq!(
        send(&server, "/v1/chat/completions", "gpt-4o", 5)
            .await
            .status(),
        200
    );
    let refused = send(&server, "/v1/chat/completions", "gpt-4o", 5).await;
    assert_eq!(refused.status(), 429);
    let millis = header(&refused, "retry-after-ms")
        .expect("milliseconds")
        .parse()
        .expect("a number");
    tokio::time::sleep(Duration::from_millis(millis)).await;
    assert_eq!(
        send(&server, "/v1/chat/completions", "gpt-4o", 5)
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn anthropic_tells_each_limit_with_an_instant_of_reset() {
    let server = provider("claude-opus-4").start().expect("a server");
    let response = send(&server, "/v1/messages", "claude-opus-4", 100).await;
    let check = |name: &str, expected: &str| {
        assert_eq!(
            header(&response, &format!("anthropic-ratelimit-{name}")).as_deref(),
            Some(expected),
            "{name}"
        );
    };
    check("requests-limit", "50");
    check("requests-remaining", "49");
    check("input-tokens-limit", "20000");
    check("input-tokens-remaining", "20000"); // 19,994, to the nearest thousand
    check("output-tokens-limit", "8000");
    check("output-tokens-remaining", "8000");
    check("tokens-limit", "28000");
    let reset = header(&response, "anthropic-ratelimit-requests-reset").expect("a reset");
    assert!(reset.len() == 20 && reset.ends_with('Z'), "{reset}");
    assert!(header(&response, "anthropic-organization-id").is_some());
}

#[tokio::test]
async fn anthropic_refuses_a_prompt_above_its_input_limit() {
    let quota = per_minute(Unit::Input, 10, Shape::Bucket { burst: 10 });
    let server = provider("claude-opus-4")
        .quotas(&[quota])
        .start()
        .expect("a server");
    assert_eq!(
        send(&server, "/v1/messages", "claude-opus-4", 5)
            .await
            .status(),
        200
    );
    let response = send(&server, "/v1/messages", "claude-opus-4-20250514", 5).await;
    assert_eq!(response.status(), 429);
    assert!(header(&response, "retry-after").is_some());
    let body = json_of(response).await;
    assert_eq!(body["error"]["type"], "rate_limit_error");
    let message =
        "This request would exceed your organization's rate limit of 10 input tokens per minute.";
    assert_eq!(body["error"]["message"], message);
}

#[tokio::test]
async fn xai_names_the_team_and_does_not_say_when_to_come_back() {
    let quota = per_minute(Unit::Requests, 1, Shape::SlidingLog);
    let server = provider("grok-2")
        .quotas(&[quota])
        .start()
        .expect("a server");
    assert_eq!(
        send(&server, "/v1/chat/completions", "grok-2-1212", 5)
            .await
            .status(),
        200
    );
    let response = send(&server, "/v1/chat/completions", "grok-2", 5).await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "retry-after")),
        (429, None)
    );
    let body = json_of(response).await;
    let error = body["error"].as_str().expect("a text");
    assert!(
        error.starts_with("Too many requests for team 00000000-0000-4000-8000-"),
        "{error}"
    );
    assert!(
        error.ends_with("Your team's rate limit is - Requests per Minute (actual/limit): 2/1."),
        "{error}"
    );
}

#[tokio::test]
async fn a_429_keeps_silent_about_its_end_when_told_to() {
    let faults = Faults {
        retry_after: false,
        ..Faults::default()
    };
    let quota = per_minute(Unit::Requests, 1, Shape::SlidingLog);
    let server = provider("openai")
        .quotas(&[quota])
        .faults(faults)
        .start()
        .expect("a server");
    assert_eq!(
        send(&server, "/v1/chat/completions", "gpt-4o", 5)
            .await
            .status(),
        200
    );
    let response = send(&server, "/v1/chat/completions", "gpt-4o", 5).await;
    let told = (
        header(&response, "retry-after"),
        header(&response, "retry-after-ms"),
    );
    assert_eq!((response.status().as_u16(), told), (429, (None, None)));
}

#[tokio::test]
async fn the_calls_of_a_run_can_be_held_against_the_best_possible_run() {
    let rules = Rules::new(
        Charging::Arrival,
        vec![per_minute(Unit::Requests, 3, Shape::SlidingLog)],
    );
    let server = provider("openai")
        .rules(rules.clone())
        .speed(10_000)
        .start()
        .expect("a server");
    let mut admitted = 0;
    for _ in 0..10_000 {
        admitted += u32::from(
            send(&server, "/v1/chat/completions", "gpt-4o", 5)
                .await
                .status()
                == 200,
        );
        if admitted == 7 {
            break;
        }
    }
    let calls = server.calls();
    let start = calls[0].arrival_ns;
    let minute = 60_000_000_000;
    let expected = [0, 0, 0, minute, minute, minute, 2 * minute].map(|after| start + after);
    assert_eq!(optimum(&rules, &calls, start), Ok(expected.to_vec()));
    for (call, best) in calls.iter().zip(expected) {
        assert!(call.arrival_ns >= best, "{} before {best}", call.arrival_ns);
    }
}
