//! A 429 pauses the policy for every call, the refused call keeps its place, and what the provider asks for is a minimum.

use std::time::Duration;

use tollgate_gate::{Counting, Policy, Quota, Source, Tick, Unit};
use tollgate_http::{Schedule, Settings};

use crate::support::*;

/// A 429 with these headers and this body, then an answer; the wait between the sends is checked against the hint.
#[track_caller]
fn check_wait(headers: &[(&str, &str)], body: &'static str, hint: Duration, unit: Option<Unit>) {
    let at = std::panic::Location::caller();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::new();
        let client = Client::refusing([refusal(429, headers, body)]);
        let answer = bench.run(&Ask::openai(), &client).await.unwrap();
        assert_eq!(read_all(answer).await, OPENAI_JSON, "{at}");
        bench.assert_over();

        let [(1, delay, cause)] = &bench.log.retries()[..] else {
            panic!("one retry: {:?}", bench.log.all())
        };
        assert_eq!(cause, "429", "{at}");
        assert!(
            *delay >= hint && *delay <= hint + hint / 10,
            "{at}: {delay:?} for {hint:?}"
        );
        assert_eq!(bench.log.pauses(), [(unit, *delay)], "{at}");
        let sent = client.sent_at();
        let waited = sent[1].since(sent[0]);
        // Tokio's timer has milliseconds, and never fires early.
        assert!(
            waited >= *delay && waited - *delay < Duration::from_millis(2),
            "{at}: {waited:?}"
        );
        assert_eq!(
            bench.log.settled(),
            [
                (rejected(), Source::Rejected),
                (reported(), Source::Reported)
            ]
        );
        assert_eq!(bench.log.end().error, None);
        assert_eq!(
            (bench.log.end().attempts, bench.log.end().status),
            (2, Some(200))
        );
    });
}

pub(crate) const REQUESTS: &str =
    r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#;
const TOKENS: &str =
    r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#;

#[test]
fn every_form_of_retry_after_is_waited_out() {
    let date = ("date", "Thu, 21 Aug 2025 12:41:00 GMT");
    let requests = Some(Unit::Requests);
    check_wait(&[("retry-after", "14")], REQUESTS, seconds(14), requests);
    check_wait(
        &[("retry-after", "1.5")],
        REQUESTS,
        Duration::from_millis(1_500),
        requests,
    );
    check_wait(
        &[date, ("retry-after", "Thu, 21 Aug 2025 12:41:30 GMT")],
        REQUESTS,
        seconds(30),
        requests,
    );
    check_wait(
        &[("retry-after-ms", "250"), ("retry-after", "1")],
        REQUESTS,
        Duration::from_millis(250),
        requests,
    );
    check_wait(
        &[("retry-after", "9")],
        TOKENS,
        seconds(9),
        Some(Unit::TotalTokens),
    );
    check_wait(&[("retry-after", "9")], "no json", seconds(9), None);
}

#[test]
fn a_hint_in_the_body_is_waited_out() {
    let body = r#"{"error":{"message":"Rate limit reached for requests. Please try again in 6.5s.","type":"requests"}}"#;
    check_wait(
        &[],
        body,
        Duration::from_millis(6_500),
        Some(Unit::Requests),
    );
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_exactly_the_patience_is_waited_out_whatever_the_jitter() {
    for _ in 0..20 {
        let bench = Bench::new();
        let client = Client::refusing([throttled(&[("retry-after", "60")])]);
        let answer = bench.run(&Ask::openai(), &client).await.unwrap();
        assert_eq!((answer.status().as_u16(), client.sends()), (200, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_says_nothing_teaches_nothing() {
    let headers = [("x-ratelimit-limit-requests", "60")];
    for (headers, body, lessons) in [
        (&[][..], "", 0),
        (&[("server", "some proxy")], "", 0),
        (&headers, "", 1),
        (&[("retry-after", "2")], "", 1),
        (&[], REQUESTS, 1),
    ] {
        // One policy, so that a refusal which does not say for want of what is about that.
        let quota = Quota::sliding(Unit::Requests, 60, seconds(60)).unwrap();
        let bench = Bench::of(vec![Policy::new("rpm", quota)], settings());
        let client = Client::refusing([refusal(429, headers, body)]);
        let ask = Ask::to("api.llama.com", "/v1/chat/completions");
        let answer = bench.run(&ask, &client).await.unwrap();
        assert_eq!((answer.status().as_u16(), client.sends()), (200, 2));
        let learned = bench.log.count(|seen| matches!(seen, Seen::Learned(_)));
        let paused = bench.log.pauses().len();
        assert_eq!((learned, paused), (lessons, 1), "{headers:?} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_the_schedule_tells_the_delays() {
    let bench = Bench::new();
    let client = Client::refusing([(); 3].map(|()| throttled(&[])));
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    let cause = || "429".to_owned();
    assert_eq!(
        bench.log.retries(),
        [
            (1, seconds(1), cause()),
            (2, seconds(2), cause()),
            (3, seconds(4), cause())
        ]
    );
    let sent = client.sent_at();
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert_eq!(gaps, [seconds(1), seconds(2), seconds(4)]);
    assert_eq!(report(&answer).attempts(), 4);
    let requests = |span| (Some(Unit::Requests), span);
    assert_eq!(
        bench.log.pauses(),
        [
            requests(seconds(1)),
            requests(seconds(2)),
            requests(seconds(4))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_nothing_is_no_hint() {
    let bench = Bench::new();
    let client = Client::refusing([throttled(&[("retry-after", "0")])]);
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    drop(answer);
    assert_eq!(bench.log.retries()[0].1, seconds(1), "the schedule's first");
}

#[tokio::test(start_paused = true)]
async fn x_should_retry_is_obeyed_but_the_policy_pauses_all_the_same() {
    let bench = Bench::new();
    let client = Client::one(throttled(&[
        ("x-should-retry", "false"),
        ("retry-after", "5"),
    ]));
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    assert_eq!((answer.status().as_u16(), client.sends()), (429, 1));
    assert_eq!(
        report(&answer).retry_at(),
        Some(bench.gate().now().plus(seconds(5)))
    );
    let pauses = bench.log.pauses();
    assert!(
        matches!(pauses[..], [(Some(Unit::Requests), span)] if span >= seconds(5)),
        "{pauses:?}"
    );

    let bench = Bench::new();
    let client = Client::refusing([refusal(400, &[("x-should-retry", "true")], "{}")]);
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    assert_eq!((answer.status().as_u16(), client.sends()), (200, 2));
    assert_eq!(bench.log.pauses(), []);
}

#[tokio::test(start_paused = true)]
async fn trouble_at_the_provider_is_retried_without_pausing_the_quota() {
    for (status, used, source) in [
        (529, rejected(), Source::Rejected),
        (503, rejected(), Source::Rejected),
        // These may have failed after doing the work.
        (500, reserved(), Source::Kept),
        (502, reserved(), Source::Kept),
        (504, reserved(), Source::Kept),
    ] {
        let bench = Bench::new();
        let client = Client::refusing([refusal(status, &[], "")]);
        let answer = bench.run(&Ask::openai(), &client).await.unwrap();
        read_all(answer).await;
        assert_eq!(bench.log.pauses(), []);
        assert_eq!(bench.log.retries(), [(1, seconds(1), status.to_string())]);
        assert_eq!(
            bench.log.settled(),
            [(used, source), (reported(), Source::Reported)]
        );
        assert_eq!(
            bench
                .log
                .count(|seen| matches!(seen, Seen::Throttled { .. })),
            0
        );
        assert_eq!(bench.log.end().attempts, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn only_policies_that_count_failures_are_charged_for_them() {
    let requests = |name, failures| {
        let quota = Quota::sliding(Unit::Requests, 1_000, MINUTE).unwrap();
        Policy::new(name, quota).counting(Counting::PLAIN.failures(failures))
    };
    let all_and_good = vec![requests("all", true), requests("good", false)];
    let bench = Bench::of(all_and_good, settings());
    let client = Client::refusing([throttled(&[])]);
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    read_all(answer).await;
    assert_eq!([bench.used("all"), bench.used("good")], [2, 1]);
    assert_eq!(
        bench.log.settled(),
        [
            (rejected(), Source::Rejected),
            (reported(), Source::Reported)
        ]
    );
    assert_eq!(
        bench.log.count(|seen| *seen
            == Seen::Throttled {
                status: 429,
                scope: "requests".into()
            }),
        1
    );
}

/// Requests booked on arrival and given back, so that only the pause and the spacing after it hold calls back.
fn sixty_a_minute() -> Vec<Policy> {
    vec![Policy::new(
        "rpm",
        Quota::bucket(Unit::Requests, 60, MINUTE).unwrap(),
    )]
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_other_calls_and_the_refused_one_goes_first() {
    let bench = Bench::of(sixty_a_minute(), settings());
    let (ask, gate) = (Ask::openai(), bench.gate());
    let refused = Client::refusing([throttled(&[("retry-after", "10")])]);
    let later: Vec<_> = (0..3).map(|_| Client::one(json(OPENAI_JSON))).collect();
    let start = gate.now();
    let call = async |client, after| {
        tokio::time::sleep(after).await;
        read_all(bench.run(&ask, client).await.unwrap()).await
    };
    let late = |client| call(client, seconds(3));
    tokio::join!(
        call(&refused, seconds(0)),
        late(&later[0]),
        late(&later[1]),
        late(&later[2])
    );

    let delay = bench.log.retries()[0].1;
    let again = refused.sent_at()[1];
    let others: Vec<Tick> = later.iter().map(|client| client.sent_at()[0]).collect();
    assert!(again >= start.plus(delay), "not before the pause is over");
    assert!(
        again.since(start) - delay < Duration::from_millis(2),
        "the refused call goes first: {:?}",
        again.since(start)
    );
    for other in &others {
        assert!(*other > again, "who came later goes later");
    }
    // The books did not foresee the refusal: grants follow the quota's rate less one call, 59 a minute.
    let mut all = others;
    all.insert(0, again);
    all.sort();
    for pair in all.windows(2) {
        let gap = pair[1].since(pair[0]);
        assert!(
            gap >= MINUTE / 59 && gap < MINUTE / 59 + Duration::from_millis(2),
            "{gap:?}"
        );
    }
    assert_eq!(gate.open_reservations(), 0);
    assert_eq!(bench.log.finished().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_second_429_never_shortens_a_pause() {
    let bench = Bench::of(sixty_a_minute(), settings());
    let ask = Ask::openai().with(|options| options.attempts(1));
    let refusing =
        |after, wait| Client::of([Answer::After(after, throttled(&[("retry-after", wait)]))]);
    let (first, second) = (refusing(seconds(1), "40"), refusing(seconds(2), "1"));
    let (long, short) = tokio::join!(bench.run(&ask, &first), bench.run(&ask, &second));
    drop((long.unwrap(), short.unwrap()));
    let start = bench.gate().now();
    let client = Client::one(json(OPENAI_JSON));
    drop(bench.run(&ask, &client).await.unwrap());
    let waited = client.sent_at()[0].since(start);
    assert!(waited >= seconds(39) && waited < seconds(45), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_tokens_does_not_hold_calls_that_share_no_policy() {
    let policies = ["openai", "anthropic"].map(|profile| {
        Policy::new(profile, Quota::bucket(Unit::Requests, 60, MINUTE).unwrap())
            .only("profile", [profile])
    });
    let bench = Bench::of(policies.into(), settings());
    let ask = Ask::openai().with(|options| options.attempts(1));
    drop(
        bench
            .run(&ask, &Client::one(throttled(&[("retry-after", "40")])))
            .await
            .unwrap(),
    );
    let start = bench.gate().now();
    let other = Ask::to("api.anthropic.com", "/v1/messages");
    drop(
        bench
            .run(&other, &Client::one(json(OPENAI_JSON)))
            .await
            .unwrap(),
    );
    assert_eq!(bench.gate().now(), start);
}

#[tokio::test(start_paused = true)]
async fn where_no_policy_can_be_paused_the_call_itself_waits() {
    let bench = Bench::of(vec![], settings());
    let client = Client::refusing([throttled(&[])]);
    drop(bench.run(&Ask::openai(), &client).await.unwrap());
    let sent = client.sent_at();
    assert_eq!(sent[1].since(sent[0]), seconds(1));
}

#[tokio::test(start_paused = true)]
async fn a_short_pause_of_others_does_not_cut_a_long_delay_of_one_call() {
    // The other call's 429 pauses the policy for a second; this call's provider is in trouble for eight.
    let bench = Bench::of(sixty_a_minute(), settings());
    let ask = Ask::openai();
    let trouble = Client::refusing([refusal(503, &[("retry-after", "8")], "")]);
    let other = Client::refusing([throttled(&[])]);
    let (a, b) = tokio::join!(bench.run(&ask, &trouble), bench.run(&ask, &other));
    drop((a.unwrap(), b.unwrap()));
    let sent = trouble.sent_at();
    assert!(sent[1].since(sent[0]) >= seconds(8));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_is_at_its_end_ends_the_retries_and_still_pauses() {
    let bench = Bench::of(
        policies(),
        Settings::default().schedule(Schedule::new(std::iter::empty::<Duration>)),
    );
    let client = Client::one(throttled(&[]));
    let answer = bench.run(&Ask::openai(), &client).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), report(&answer).retry_at()),
        (429, None)
    );
    assert_eq!(bench.log.pauses(), [(Some(Unit::Requests), seconds(1))]);
}
