//! Calls that do not end well, and what the provider books for them.

use std::time::Duration;

use crate::support::{SCOUT, books_when, chat, header, json_of, post, streamed};
use serde_json::json;
use tollgate_sim::provider::Quota;
use tollgate_sim::{Ending, Faults, Latency, Provider, Server, tokens};

const CHAT: &str = "/v1/chat/completions";

/// A provider whose first token comes at once and the next ones so slowly that no test sees an end.
fn slow(preset: &str) -> Server {
    let latency = Latency {
        first_token: (Duration::ZERO, Duration::ZERO),
        tokens_per_second: (20, 20),
    };
    Provider::preset(preset)
        .expect("a preset")
        .latency(latency)
        .start()
        .expect("a server")
}

fn faulty(preset: &str, faults: Faults) -> Server {
    let builder = Provider::preset(preset)
        .expect("a preset")
        .latency(Latency::none());
    builder.faults(faults).start().expect("a server")
}

#[tokio::test]
async fn a_dropped_stream_is_booked_as_aborted_with_what_was_produced() {
    let server = slow("llama-api");
    let mut response = post(&server, CHAT, &streamed(chat(SCOUT, "toll road", 500)))
        .send()
        .await
        .expect("an answer");
    let mut seen = String::new();
    while !seen.contains("progress") {
        let chunk = response.chunk().await.expect("a chunk").expect("more");
        seen.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
    assert_eq!(server.books().in_flight, 1);
    drop(response);
    let books = books_when(&server, |books| books.in_flight == 0).await;
    assert_eq!(
        (books.aborted, books.completed, books.input_tokens),
        (1, 0, 6)
    );
    assert!((1..100).contains(&books.output_tokens), "{books:?}");
    let call = &server.calls()[0];
    assert_eq!(
        (call.ending, call.output, call.reserved),
        (Ending::Aborted, books.output_tokens, 506)
    );

    // What it did not produce was given back: only the usage is left in the quota.
    let response = post(&server, CHAT, &streamed(chat(SCOUT, "toll road", 500)))
        .send()
        .await
        .expect("an answer");
    let left = header(&response, "x-ratelimit-remaining-tokens").expect("a header");
    assert_eq!(left, (250_000 - 6 - books.output_tokens - 506).to_string());
}

#[tokio::test]
async fn a_client_that_stops_waiting_for_a_whole_answer_is_booked_as_aborted() {
    let server = slow("openai");
    let call = tokio::spawn(post(&server, CHAT, &chat("gpt-4o", "toll road", 500)).send());
    books_when(&server, |books| books.in_flight == 1).await;
    call.abort();
    let books = books_when(&server, |books| books.in_flight == 0).await;
    assert_eq!((books.aborted, books.input_tokens), (1, 6));
}

#[tokio::test]
async fn a_cut_stream_ends_without_its_terminator() {
    let faults = Faults {
        cut_streams_per_mille: 1_000,
        ..Faults::default()
    };
    for (preset, path, model) in [
        ("openai", CHAT, "gpt-4o"),
        ("llama-api", CHAT, SCOUT),
        ("claude-opus-4", "/v1/messages", "claude-opus-4"),
    ] {
        let server = faulty(preset, faults);
        let call = post(&server, path, &streamed(chat(model, "toll road", 500)));
        let mut response = call.send().await.expect("a head");
        let mut seen = Vec::new();
        let broken = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => seen.extend_from_slice(&chunk),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let seen = String::from_utf8(seen).expect("text");
        assert!(broken, "{preset} ended as if all were well");
        for terminator in [
            "[DONE]",
            "metrics",
            "message_stop",
            "finish_reason\":\"stop",
        ] {
            assert!(!seen.contains(terminator), "{preset}: {seen}");
        }
        let books = server.books();
        assert_eq!((books.cut, books.completed, books.aborted), (1, 0, 0));
        assert!(books.output_tokens > 0);
    }
}

#[tokio::test]
async fn whole_answers_are_never_cut() {
    let server = faulty(
        "openai",
        Faults {
            cut_streams_per_mille: 1_000,
            ..Faults::default()
        },
    );
    let body = json_of(
        post(&server, CHAT, &chat("gpt-4o", "toll road", 9))
            .send()
            .await
            .expect("an answer"),
    )
    .await;
    let text = body["choices"][0]["message"]["content"]
        .as_str()
        .expect("a text");
    assert_eq!((server.books().completed, tokens(text)), (1, 9));
}

#[tokio::test]
async fn a_failed_call_is_a_500_that_costs_its_request_alone() {
    let faults = Faults {
        error_500_per_mille: 1_000,
        ..Faults::default()
    };
    // Each call asks for nearly all tokens, so the second passes only because the first gave its own back.
    let server = faulty("llama-api", faults);
    for left in ["9", "8"] {
        let response = post(&server, CHAT, &chat(SCOUT, "toll road", 249_994))
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 500);
        assert_eq!(
            header(&response, "x-ratelimit-remaining-requests").as_deref(),
            Some(left)
        );
        assert_eq!(json_of(response).await["status"], json!(500));
    }
    let books = server.books();
    assert_eq!(
        (
            books.failed,
            books.admitted,
            books.input_tokens,
            books.output_tokens
        ),
        (2, 2, 0, 0)
    );
}

#[tokio::test]
async fn a_hanging_call_ends_when_its_client_leaves() {
    let server = faulty(
        "openai",
        Faults {
            hang_per_mille: 1_000,
            ..Faults::default()
        },
    );
    let call = tokio::spawn(post(&server, CHAT, &streamed(chat("gpt-4o", "toll road", 9))).send());
    books_when(&server, |books| books.in_flight == 1).await;
    assert!(!call.is_finished());
    call.abort();
    let books = books_when(&server, |books| books.in_flight == 0).await;
    assert_eq!((books.aborted, books.output_tokens), (1, 0));
}

#[tokio::test]
async fn shutting_down_frees_the_port_and_breaks_what_runs() {
    let server = faulty(
        "openai",
        Faults {
            hang_per_mille: 1_000,
            ..Faults::default()
        },
    );
    let call = tokio::spawn(post(&server, CHAT, &chat("gpt-4o", "toll road", 9)).send());
    books_when(&server, |books| books.in_flight == 1).await;
    let port = server.addr().port();
    server.shutdown();
    assert!(call.await.expect("no panic").is_err());
    let again = Provider::preset("openai")
        .expect("a preset")
        .port(port)
        .start()
        .expect("the port is free");
    assert_eq!(again.addr().port(), port);
}

#[tokio::test]
async fn after_a_storm_of_faults_every_call_is_booked_once() {
    let faults = Faults {
        cut_streams_per_mille: 200,
        error_500_per_mille: 100,
        hang_per_mille: 100,
        retry_after: true,
    };
    let builder = Provider::preset("llama-api")
        .expect("a preset")
        .faults(faults)
        .speed(600);
    let server = builder
        .quotas(&[Quota::concurrency(60)])
        .start()
        .expect("a server");
    let mut storm = tokio::task::JoinSet::new();
    for number in 0..300 {
        let body = chat(SCOUT, &format!("toll {number}"), 500);
        let body = if number % 2 == 0 {
            streamed(body)
        } else {
            body
        };
        let call = post(&server, CHAT, &body).timeout(Duration::from_millis(1 + number % 50));
        storm.spawn(async move {
            // Whether it ends well is not the question.
            if let Ok(response) = call.send().await {
                let _ = response.bytes().await;
            }
        });
    }
    while storm.join_next().await.is_some() {}
    let books = books_when(&server, |books| books.in_flight == 0).await;
    assert_eq!(books.requests_received, books.calls + books.rejected);
    assert_eq!(books.calls, books.admitted + books.throttled);
    assert_eq!(
        books.admitted,
        books.completed + books.aborted + books.cut + books.failed
    );
    let calls = server.calls();
    assert_eq!(calls.len() as u64, books.admitted);
    assert_eq!(
        calls.iter().map(|call| call.input).sum::<u64>(),
        books.input_tokens
    );
    assert_eq!(
        calls.iter().map(|call| call.output).sum::<u64>(),
        books.output_tokens
    );
    assert!(
        calls
            .iter()
            .all(|call| call.input + call.output <= call.reserved)
    );
}
