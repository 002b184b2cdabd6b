//! An error response that is not sent again is handed over whole, at once, with what it means beside it.

use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tollgate_gate::Source;
use tollgate_tokens::Scope;

use crate::support::*;
use crate::throttle::REQUESTS;

#[tokio::test(start_paused = true)]
async fn beyond_patience_the_response_is_handed_over_whole_and_at_once() {
    let bench = Bench::new();
    let headers = [("retry-after", "3600"), ("x-request-id", "r1"), JSON];
    let trailers = HeaderMap::from_iter([(http::header::EXPIRES, "0".parse().unwrap())]);
    let (first, last) = REQUESTS.split_at(20);
    let body = frames([
        data(first),
        data(last),
        Ok(Frame::trailers(trailers.clone())),
    ]);
    let client = Client::one(response(429, &headers, body));
    let before = bench.gate().now();
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    assert_eq!((bench.gate().now(), client.sends()), (before, 1), "at once");
    bench.assert_over();
    let end = End {
        attempts: 1,
        status: Some(429),
        error: Some("requests".into()),
        ..End::default()
    };
    assert_eq!(bench.log.end(), end);

    assert_eq!(answer.status(), 429);
    for (name, value) in headers {
        assert_eq!(answer.headers()[name], value);
    }
    assert_eq!(
        report(&answer).retry_at(),
        Some(before.plus(seconds(3_600))),
        "the provider's word, without jitter"
    );
    assert_eq!(report(&answer).scope(), Some(Scope::Requests));
    assert_eq!(report(&answer).attempts(), 1);
    assert_eq!(
        read(answer.into_body()).await.unwrap(),
        (REQUESTS.into(), Some(trailers))
    );
    assert_eq!(
        bench.log.pauses().len(),
        1,
        "the policy is paused all the same"
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_body_that_breaks_off_breaks_off_for_the_caller_too() {
    let bench = Bench::new();
    let client = Client::one(response(
        400,
        &[],
        frames([data("half"), Err(Broken("reset"))]),
    ));
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    let mut body = answer.into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "half"
    );
    assert!(!body.is_end_stream());
    assert_eq!(body.frame().await.unwrap().unwrap_err(), Broken("reset"));
    assert!(
        body.frame().await.is_none(),
        "the inner body is not polled after its end"
    );
    bench.assert_over();
}

#[tokio::test(start_paused = true)]
async fn a_long_error_body_is_handed_over_whole() {
    let bench = Bench::new();
    let pieces: Vec<_> = (0..100_u8).map(|n| vec![n; 1_500]).collect();
    let client = Client::one(response(400, &[], frames(pieces.iter().cloned().map(data))));
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    bench.assert_over();
    assert_eq!(read_all(answer).await, pieces.concat());
}

#[tokio::test(start_paused = true)]
async fn an_error_body_knows_its_length() {
    let bench = Bench::new();
    let answer = bench
        .run(&Ask::openai(), &Client::one(refusal(400, &[], "bad")))
        .await
        .unwrap();
    assert_eq!(
        (
            answer.body().size_hint().exact(),
            answer.body().is_end_stream()
        ),
        (Some(3), false)
    );
    assert_eq!(read_all(answer).await, "bad");
    let empty = bench
        .run(&Ask::openai(), &Client::one(refusal(400, &[], "")))
        .await
        .unwrap();
    assert_eq!(
        (
            empty.body().size_hint().exact(),
            empty.body().is_end_stream()
        ),
        (Some(0), true)
    );
}

/// A response that is never followed by a retry, and what it means.
async fn check_final(response: http::Response<TestBody>, scope: Scope, pauses: usize) {
    let bench = Bench::new();
    let status = response.status();
    let client = Client::one(response);
    let before = bench.gate().now();
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    assert_eq!(
        (client.sends(), bench.gate().now()),
        (1, before),
        "{scope:?}"
    );
    assert_eq!(
        (answer.status(), report(&answer).scope()),
        (status, Some(scope))
    );
    assert_eq!(report(&answer).retry_at(), None, "{scope:?}");
    assert_eq!(bench.log.pauses().len(), pauses, "{scope:?}");
    bench.assert_over();
    assert_eq!(
        bench.log.settled(),
        [(rejected(), Source::Rejected)],
        "{scope:?}"
    );
    assert_eq!(bench.log.end().error.as_deref(), Some(scope.as_str()));
}

#[tokio::test(start_paused = true)]
async fn what_waiting_cannot_help_is_never_retried() {
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    check_final(
        refusal(429, &[("retry-after", "1")], quota),
        Scope::Billing,
        0,
    )
    .await;
    check_final(
        refusal(429, &[("x-should-retry", "true")], quota),
        Scope::Billing,
        0,
    )
    .await;
    let large = r#"{"error":{"message":"Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000.","type":"tokens","code":"rate_limit_exceeded"}}"#;
    check_final(
        refusal(429, &[("retry-after", "1")], large),
        Scope::NeverFits,
        0,
    )
    .await;
    check_final(refusal(413, &[], ""), Scope::NeverFits, 0).await;
    check_final(refusal(401, &[], "{}"), Scope::Auth, 0).await;
    check_final(refusal(400, &[], "{}"), Scope::BadRequest, 0).await;
}
