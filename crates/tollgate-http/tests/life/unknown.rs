//! Hosts, formats and encodings that cannot be read: the call passes, and is never counted as nothing.

use tollgate_gate::{Amounts, Policy, Quota, Source, Unit};
use tollgate_http::CallOptions;

use crate::support::*;

fn one_request() -> Amounts {
    Amounts::ZERO.with(Unit::Requests, 1)
}

#[tokio::test(start_paused = true)]
async fn an_unknown_host_and_format_counts_as_one_request() {
    let bench = Bench::new();
    let ask = Ask {
        options: CallOptions::new(),
        ..Ask::to("elsewhere.example", "/rpc")
    };
    let client = Client::one(response(
        200,
        &[("content-type", "application/grpc")],
        full("\0\u{1}binary"),
    ));
    let answer = bench.run(&ask, &client).await.unwrap();
    assert_eq!(read_all(answer).await, "\0\u{1}binary");
    bench.assert_over();
    assert_eq!(bench.log.settled(), [(one_request(), Source::Kept)]);
    assert_eq!(bench.used("rpm"), 1);
    assert_eq!(
        bench.log.end(),
        End {
            attempts: 1,
            status: Some(200),
            ..End::default()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_known_format_on_an_unknown_host_is_read() {
    let bench = Bench::new();
    let answer = bench
        .run(
            &Ask::to("elsewhere.example", "/v1/chat/completions"),
            &Client::one(json(OPENAI_JSON)),
        )
        .await
        .unwrap();
    read_all(answer).await;
    assert_eq!(bench.log.settled(), [(reported(), Source::Reported)]);
}

#[tokio::test(start_paused = true)]
async fn on_a_proxy_s_host_the_path_means_what_it_means_at_home() {
    // At api.llama.com this path speaks Meta's own format; elsewhere it would be OpenAI's.
    let body = r#"{"completion_message":{"content":"Seven."},"metrics":[{"metric":"num_completion_tokens","value":5},{"metric":"num_prompt_tokens","value":11}]}"#;
    let own = Policy::new("own", Quota::sliding(Unit::Requests, 9, MINUTE).unwrap())
        .only("profile", ["meta-llama"]);
    let policies = || vec![own.clone()];
    let ask = || Ask::to("127.0.0.1", "/v1/chat/completions");
    for (settings, ask) in [
        (settings().provider("meta-llama"), ask()),
        (
            settings(),
            ask().with(|options| options.provider("meta-llama")),
        ),
    ] {
        let bench = Bench::of(policies(), settings);
        let answer = bench.run(&ask, &Client::one(json(body))).await.unwrap();
        read_all(answer).await;
        assert_eq!(bench.log.settled(), [(reported(), Source::Reported)]);
        assert_eq!(bench.used("own"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_the_catalog_does_not_know_is_an_unknown_one() {
    let bench = Bench::new();
    let ask = Ask::openai().with(|options| options.provider("nobody"));
    let answer = bench
        .run(&ask, &Client::one(json(OPENAI_JSON)))
        .await
        .unwrap();
    read_all(answer).await;
    assert_eq!(bench.log.settled(), [(reported(), Source::Reported)]);
    assert!(bench.log.printed().contains(r#""unknown""#));
}

#[tokio::test(start_paused = true)]
async fn a_compressed_response_keeps_its_reservation() {
    for encoding in ["gzip", "br", "GZIP, identity"] {
        let bench = Bench::new();
        let client = Client::one(response(
            200,
            &[JSON, ("content-encoding", encoding)],
            full(OPENAI_JSON),
        ));
        let answer = bench.run(&Ask::openai(), &client).await.unwrap();
        assert_eq!(read_all(answer).await, OPENAI_JSON);
        bench.assert_over();
        assert_eq!(bench.log.settled(), [(reserved(), Source::Kept)]);
        assert_eq!(
            (bench.log.end().error, bench.log.end().tokens),
            (None, None)
        );
    }
    let bench = Bench::new();
    let client = Client::one(response(
        200,
        &[JSON, ("content-encoding", "Identity")],
        full(OPENAI_JSON),
    ));
    read_all(bench.run(&Ask::openai(), &client).await.unwrap()).await;
    assert_eq!(
        bench.log.settled(),
        [(reported(), Source::Reported)],
        "identity is no compression"
    );
}

#[tokio::test(start_paused = true)]
async fn a_compressed_response_that_is_dropped_keeps_its_reservation_too() {
    let bench = Bench::new();
    let client = Client::one(response(
        200,
        &[SSE, ("content-encoding", "gzip")],
        full(OPENAI_SSE),
    ));
    drop(bench.run(&Ask::openai(), &client).await.unwrap());
    bench.assert_over();
    assert_eq!(bench.log.settled(), [(reserved(), Source::Kept)]);
    assert_eq!(bench.log.end().error.as_deref(), Some("canceled"));
}

#[tokio::test(start_paused = true)]
async fn a_request_body_that_is_no_json_passes() {
    let bench = Bench::new();
    let ask = Ask {
        options: CallOptions::new(),
        ..Ask::openai().body("{not json")
    };
    let answer = bench
        .run(&ask, &Client::one(json(OPENAI_JSON)))
        .await
        .unwrap();
    read_all(answer).await;
    assert_eq!(bench.log.settled(), [(reported(), Source::Reported)]);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_generates_nothing_takes_one_request() {
    let bench = Bench::new();
    let ask = Ask {
        options: CallOptions::new(),
        body: Some(String::new()),
        ..Ask::to("api.openai.com", "/v1/models")
    };
    let answer = bench
        .run(&ask, &Client::one(json(r#"{"data":[{"id":"m"}]}"#)))
        .await
        .unwrap();
    read_all(answer).await;
    assert_eq!(bench.log.settled(), [(one_request(), Source::Estimated)]);
}
