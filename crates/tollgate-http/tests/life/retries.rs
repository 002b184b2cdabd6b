//! When retries stop, and what the caller gets then.

use std::time::Duration;

use tollgate_gate::{Amounts, Policy, Quota, Source, Unit};
use tollgate_http::{Failure, SendError, Settings};

use crate::support::*;

fn failing(text: &'static str, sent: bool, retryable: bool) -> Answer {
    Answer::Now(Err(SendError {
        error: Broken(text),
        sent,
        retryable,
    }))
}

#[track_caller]
fn transport(answer: Answered) -> Broken {
    match answer {
        Err(Failure::Transport(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_attempts_of_the_settings_or_of_the_call() {
    for (of_call, expected) in [(None, 3), (Some(2), 2), (Some(1), 1), (Some(0), 1)] {
        let bench = Bench::of(policies(), settings().attempts(3));
        let ask = match of_call {
            Some(attempts) => Ask::openai().with(|options| options.attempts(attempts)),
            None => Ask::openai(),
        };
        let client = Client::of((0..9).map(|_| now(refusal(503, &[], "down"))));
        let answer = bench.run(&ask, &client).await.unwrap();
        assert_eq!((answer.status().as_u16(), client.sends()), (503, expected));
        assert_eq!(report(&answer).attempts(), expected as u32);
        let next = seconds(1 << (expected - 1));
        assert_eq!(
            report(&answer).retry_at(),
            Some(bench.gate().now().plus(next)),
            "the schedule's next"
        );
        assert_eq!(read_all(answer).await, "down", "the last response, whole");
        bench.assert_over();
        assert_eq!(bench.log.end().status, Some(503));
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_budget_over_all_calls() {
    let bench = Bench::of(
        policies(),
        settings()
            .retry_percent(0)
            .attempts(100)
            .patience(Duration::MAX),
    );
    let client = Client::of((0..20).map(|_| now(refusal(503, &[("retry-after", "1")], ""))));
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), client.sends()),
        (503, 11),
        "the stock of ten"
    );
    let client = Client::one(refusal(503, &[], ""));
    drop(bench.run(&Ask::openai(), &client).await.unwrap());
    assert_eq!(client.sends(), 1, "the stock is empty");
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_with_the_provider_s_answer_and_without_waiting_for_nothing() {
    for refusal in [
        throttled(&[("retry-after", "30")]),
        refusal(503, &[("retry-after", "30")], ""),
    ] {
        let bench = Bench::new();
        let ask = Ask::openai().with(|options| options.within(seconds(20)));
        let status = refusal.status();
        let client = Client::one(refusal);
        let before = bench.gate().now();
        let answer = bench.run(&ask, &client).await.unwrap();
        assert_eq!((answer.status(), client.sends()), (status, 1));
        assert_eq!(bench.gate().now(), before, "at once");
        assert_eq!(report(&answer).retry_at(), Some(before.plus(seconds(30))));
        bench.assert_over();
    }
}

#[tokio::test(start_paused = true)]
async fn within_the_deadline_a_call_is_sent_again() {
    let bench = Bench::new();
    let ask = Ask::openai().with(|options| options.within(seconds(20)));
    let client = Client::refusing([throttled(&[("retry-after", "15")])]);
    let answer = bench.run(&ask, &client).await.unwrap();
    assert_eq!((answer.status().as_u16(), client.sends()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_admitted_again_before_its_deadline_is_refused() {
    let one = Policy::new("rpm", Quota::sliding(Unit::Requests, 1, MINUTE).unwrap());
    let bench = Bench::with(
        vec![one],
        settings(),
        &CATALOG.replace("failures = false", "failures = true"),
    );
    let ask = Ask::openai().with(|options| options.within(seconds(20)));
    let client = Client::one(refusal(503, &[], ""));
    let Err(Failure::Refused(refused)) = bench.run(&ask, &client).await else {
        panic!("refused")
    };
    assert_eq!(
        (refused.reason(), refused.is_permanent()),
        ("deadline", false)
    );
    let binding = refused.binding().unwrap();
    assert_eq!(
        (&*binding.policy, binding.needed, binding.remaining),
        ("rpm", 1, 0)
    );
    bench.assert_over();
    let end = End {
        attempts: 1,
        error: Some("deadline".into()),
        duration: seconds(1),
        ..End::default()
    };
    assert_eq!(
        bench.log.end(),
        end,
        "no response was handed over, so there is no status"
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_sent_again_is_not() {
    let bench = Bench::new();
    let ask = Ask {
        can_resend: false,
        body: None,
        ..Ask::openai()
    };
    let client = Client::one(refusal(503, &[], "down"));
    let answer = bench.run(&ask, &client).await.unwrap();
    assert_eq!((answer.status().as_u16(), client.sends()), (503, 1));
    let client = Client::of([failing("refused", false, true)]);
    assert_eq!(transport(bench.run(&ask, &client).await), Broken("refused"));
    assert_eq!(client.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_transport_error_that_never_reached_the_provider_costs_nothing_and_is_retried() {
    let bench = Bench::new();
    let client = Client::of([failing("refused", false, true), now(json(OPENAI_JSON))]);
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    read_all(answer).await;
    assert_eq!(
        bench.log.settled(),
        [
            (Amounts::ZERO, Source::Released),
            (reported(), Source::Reported)
        ]
    );
    assert_eq!(bench.log.retries(), [(1, seconds(1), "transport".into())]);
    assert_eq!(bench.used("rpm"), 1, "one request in all");
    let sent = client.sent_at();
    assert_eq!(sent[1].since(sent[0]), seconds(1));
    let end = bench.log.end();
    assert_eq!(
        (end.attempts, end.status, end.error, end.duration),
        (2, Some(200), None, seconds(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_transport_error_after_sending_keeps_its_charge() {
    let bench = Bench::new();
    let client = Client::of([failing("reset", true, true), failing("reset", true, false)]);
    assert_eq!(
        transport(bench.run(&Ask::openai(), &client).await),
        Broken("reset")
    );
    bench.assert_over();
    assert_eq!(bench.log.settled(), [(reserved(), Source::Kept); 2]);
    assert_eq!(bench.used("tpm"), 2 * (INPUT + OUTPUT));
    let end = bench.log.end();
    assert_eq!(
        (end.attempts, end.status, end.error.as_deref()),
        (2, None, Some("transport"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_last_attempt_has_no_status_of_an_earlier_one() {
    let bench = Bench::new();
    let client = Client::of([now(refusal(503, &[], "")), failing("no", false, false)]);
    assert_eq!(
        transport(bench.run(&Ask::openai(), &client).await),
        Broken("no")
    );
    assert_eq!(bench.log.end().status, None);
}

#[tokio::test(start_paused = true)]
async fn after_the_head_of_a_success_nothing_is_retried() {
    let bench = Bench::new();
    let broken = response(200, &[JSON], frames([Err(Broken("reset"))]));
    let client = Client::one(broken);
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    assert_eq!(read(answer.into_body()).await.unwrap_err(), Broken("reset"));
    assert_eq!(client.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_report_counts_attempts_and_waits_at_the_gate() {
    let one = Policy::new(
        "rpm",
        Quota::bucket(Unit::Requests, 60, MINUTE)
            .unwrap()
            .burst(1)
            .unwrap(),
    );
    let bench = Bench::of(
        vec![one.margin(Duration::ZERO).unwrap()],
        Settings::default(),
    );
    let ask = Ask::openai();
    let started = bench.gate().now();
    read_all(
        bench
            .run(&ask, &Client::one(json(OPENAI_JSON)))
            .await
            .unwrap(),
    )
    .await;
    let answer = bench
        .run(&ask, &Client::one(json(OPENAI_JSON)))
        .await
        .unwrap();
    assert_eq!(
        (report(&answer).attempts(), report(&answer).waited()),
        (1, seconds(1))
    );
    read_all(answer).await;
    let ends = bench.log.waits();
    assert_eq!(
        ends,
        [
            (Duration::ZERO, started),
            (seconds(1), started.plus(seconds(1)))
        ],
        "and so does the end of each call"
    );
}

#[test]
fn a_client_s_error_is_judged_by_the_io_error_at_its_root() {
    use std::io::{Error, ErrorKind};
    let check = |kind, sent, retryable| {
        let judged = SendError::by_cause(Error::other(Error::from(kind)).into());
        assert_eq!(
            (judged.sent, judged.retryable),
            (sent, retryable),
            "{kind:?}"
        );
        let judged = SendError::by_cause(Error::from(kind).into());
        assert_eq!(
            (judged.sent, judged.retryable),
            (sent, retryable),
            "{kind:?}, bare"
        );
    };
    check(ErrorKind::ConnectionRefused, false, true);
    check(ErrorKind::ConnectionReset, true, true);
    check(ErrorKind::ConnectionAborted, true, true);
    check(ErrorKind::BrokenPipe, true, true);
    check(ErrorKind::UnexpectedEof, true, true);
    check(ErrorKind::InvalidData, true, false);
    let judged = SendError::by_cause("no IO at all".into());
    assert_eq!((judged.sent, judged.retryable), (true, false));
}
