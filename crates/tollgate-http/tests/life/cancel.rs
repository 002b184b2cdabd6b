//! A caller may go away at any point: nothing leaks, and the call ends once.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use http_body_util::BodyExt as _;
use tollgate_gate::{Amounts, Policy, Quota, Source, Unit};

use crate::support::*;

/// Polls a future until it makes no more progress by itself, without letting time pass, and drops it there.
async fn run_until_stuck(call: impl Future<Output = Answered>) {
    let mut call = pin!(call);
    for _ in 0..20 {
        let stuck = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
        assert!(stuck, "the call was to wait here");
        tokio::task::yield_now().await;
    }
}

fn canceled(attempts: u32) -> End {
    End {
        attempts,
        error: Some("canceled".into()),
        ..End::default()
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_at_the_gate() {
    let one = Policy::new("rpm", Quota::sliding(Unit::Requests, 1, MINUTE).unwrap());
    let bench = Bench::of(vec![one], settings());
    let first = bench
        .run(&Ask::openai(), &Client::one(json(OPENAI_JSON)))
        .await
        .unwrap();
    read_all(first).await;

    let client = Client::default();
    run_until_stuck(bench.run(&Ask::openai(), &client)).await;
    assert_eq!(client.sends(), 0);
    assert_eq!(
        (bench.gate().open_reservations(), bench.gate().waiting()),
        (0, 0)
    );
    assert_eq!(bench.log.finished()[1..], [canceled(0)]);
    let settled = bench.log.count(|seen| matches!(seen, Seen::Settled { .. }));
    assert_eq!((settled, bench.used("rpm")), (1, 1), "only the first call");
}

#[tokio::test(start_paused = true)]
async fn before_it_is_polled_at_all() {
    let bench = Bench::new();
    let client = Client::default();
    drop(bench.run(&Ask::openai(), &client));
    assert_eq!(
        (bench.log.all(), bench.gate().open_reservations()),
        (vec![], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn while_the_inner_client_works() {
    let bench = Bench::new();
    let client = Client::of([Answer::Never]);
    run_until_stuck(bench.run(&Ask::openai(), &client)).await;
    bench.assert_over();
    assert_eq!(bench.log.end(), canceled(1));
    assert_eq!(
        bench.log.settled(),
        [(reserved(), Source::Kept)],
        "it was sent, so it is charged"
    );
    assert_eq!(bench.used("tpm"), INPUT + OUTPUT);
}

#[tokio::test(start_paused = true)]
async fn while_it_waits_to_be_sent_again() {
    for response in [throttled(&[("retry-after", "7")]), refusal(503, &[], "")] {
        let bench = Bench::new();
        let client = Client::one(response);
        run_until_stuck(bench.run(&Ask::openai(), &client)).await;
        bench.assert_over();
        assert_eq!(
            bench.log.end(),
            canceled(1),
            "the caller never got the response, nor its status"
        );
        assert_eq!(bench.log.settled(), [(rejected(), Source::Rejected)]);
        assert_eq!(bench.log.retries().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn while_an_error_body_is_read() {
    let bench = Bench::new();
    let (mut sender, body) = channel();
    sender.send_data(r#"{"error":{"#.into()).await.unwrap();
    let client = Client::one(response(429, &[], body));
    run_until_stuck(bench.run(&Ask::openai(), &client)).await;
    bench.assert_over();
    assert_eq!(bench.log.end(), canceled(1));
    assert_eq!(
        bench.log.settled(),
        [(reserved(), Source::Kept)],
        "what it means was not known yet"
    );
}

#[tokio::test(start_paused = true)]
async fn while_a_later_attempt_works() {
    let bench = Bench::new();
    let client = Client::of([now(refusal(503, &[], "")), Answer::Never]);
    let ask = Ask::openai();
    let call = bench.run(&ask, &client);
    assert!(tokio::time::timeout(seconds(100), call).await.is_err());
    bench.assert_over();
    let expected = End {
        duration: seconds(100),
        ..canceled(2)
    };
    assert_eq!(bench.log.end(), expected);
    assert_eq!(
        bench.log.settled(),
        [(rejected(), Source::Rejected), (reserved(), Source::Kept)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_inner_client_leaks_nothing() {
    let bench = Bench::new();
    let (exchange, log) = (bench.exchange.clone(), bench.log.clone());
    let call = tokio::spawn(async move {
        let Ask {
            host,
            path,
            options,
            ..
        } = Ask::openai();
        let target = tollgate_http::Target {
            host,
            port: None,
            path,
        };
        let send = |_| async { panic!("the inner client's fault") };
        let answer: Answered = exchange.run(target, None, false, &options, send).await;
        drop(answer);
    });
    assert!(call.await.unwrap_err().is_panic());
    bench.assert_over();
    assert_eq!(log.settled(), [(reserved(), Source::Kept)]);
}

#[tokio::test(start_paused = true)]
async fn a_body_dropped_while_it_waits_for_a_frame() {
    let bench = Bench::new();
    let (mut sender, body) = channel();
    let mut body = bench
        .run(&Ask::openai(), &Client::one(sse(body)))
        .await
        .unwrap()
        .into_body();
    let first = OPENAI_SSE.split_inclusive("\n\n").next().unwrap();
    sender.send_data(first.into()).await.unwrap();
    body.frame().await.unwrap().unwrap();
    assert!(
        tokio::time::timeout(seconds(3), body.frame())
            .await
            .is_err()
    );
    drop(body);
    bench.assert_over();
    assert_eq!(
        bench.log.settled(),
        [(Amounts::call(INPUT, 2), Source::Estimated)]
    );
    assert!(
        sender.send_data("more".into()).await.is_err(),
        "the inner body is dropped too"
    );
}
