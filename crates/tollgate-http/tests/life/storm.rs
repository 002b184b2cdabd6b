//! Many calls at once, with faults of every kind and callers that go away: each is settled once and ends once.

use std::time::Duration;

use http_body::Frame;
use proptest::prelude::*;
use tollgate_gate::{Policy, Quota, Unit};
use tollgate_http::SendError;

use crate::support::*;

/// What the provider does with one send.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answers,
    Streams { cut: usize },
    Breaks,
    Refuses(u16),
    Throttles,
    Fails { sent: bool },
    Hangs,
}

/// One call: what becomes of its sends, how long each takes, and when its caller goes away.
#[derive(Clone, Debug)]
struct Plan {
    starts: u64,
    fates: Vec<Fate>,
    takes: u64,
    patience: u64,
    reads: bool,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Answers),
        2 => (0..4_usize).prop_map(|cut| Fate::Streams { cut }),
        1 => Just(Fate::Breaks),
        1 => prop::sample::select(vec![400, 500, 503, 529]).prop_map(Fate::Refuses),
        2 => Just(Fate::Throttles),
        1 => any::<bool>().prop_map(|sent| Fate::Fails { sent }),
        1 => Just(Fate::Hangs),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let fates = prop::collection::vec(fate(), 5);
    (
        0..3_000_u64,
        fates,
        0..2_000_u64,
        1..90_000_u64,
        any::<bool>(),
    )
        .prop_map(|(starts, fates, takes, patience, reads)| Plan {
            starts,
            fates,
            takes,
            patience,
            reads,
        })
}

fn answer(fate: Fate, takes: Duration) -> Answer {
    let events = |cut| OPENAI_SSE.split_inclusive("\n\n").take(4 - cut).map(data);
    let response = match fate {
        Fate::Answers => json(OPENAI_JSON),
        Fate::Streams { cut } => sse(frames(events(cut))),
        Fate::Breaks => sse(frames(
            events(2).chain([Err::<Frame<_>, _>(Broken("reset"))]),
        )),
        Fate::Refuses(status) => refusal(status, &[], ""),
        Fate::Throttles => throttled(&[("retry-after", "2")]),
        Fate::Fails { sent } => {
            return Answer::Now(Err(SendError {
                error: Broken("down"),
                sent,
                retryable: true,
            }));
        }
        Fate::Hangs => return Answer::Never,
    };
    Answer::After(takes, response)
}

fn check(plans: &[Plan]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(async {
        let rpm = Policy::new("rpm", Quota::bucket(Unit::Requests, 60, MINUTE).unwrap());
        let tpm = Policy::new(
            "tpm",
            Quota::sliding(Unit::TotalTokens, 20_000, MINUTE).unwrap(),
        );
        let bench = Bench::of(
            vec![rpm, tpm, Policy::new("slots", Quota::slots(4).unwrap())],
            settings(),
        );
        let ask = Ask::openai();
        let calls = plans.iter().map(|plan| async {
            let client = Client::of(
                plan.fates
                    .iter()
                    .map(|fate| answer(*fate, Duration::from_millis(plan.takes))),
            );
            tokio::time::sleep(Duration::from_millis(plan.starts)).await;
            let call = async {
                if let Ok(answer) = bench.run(&ask, &client).await
                    && plan.reads
                {
                    drop(read(answer.into_body()).await);
                }
            };
            drop(tokio::time::timeout(Duration::from_millis(plan.patience), call).await);
        });
        join_all(calls).await;

        let gate = bench.gate();
        prop_assert_eq!((gate.open_reservations(), gate.waiting()), (0, 0));
        prop_assert_eq!(
            bench.log.finished().len(),
            plans.len(),
            "each call ends once"
        );
        let admitted = bench.log.count(|seen| *seen == Seen::Admitted);
        let settled = bench.log.settled().len();
        let abandoned_grants = settled.checked_sub(admitted);
        prop_assert_eq!(
            abandoned_grants,
            Some(0),
            "each reservation is settled once"
        );
        for status in gate.snapshot() {
            prop_assert_eq!(status.held, 0, "{:?}", status);
        }
        Ok(())
    })
}

/// Polls all of them in one task, in order, whenever one of them wakes.
async fn join_all(calls: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut calls: Vec<_> = calls.map(|call| Some(Box::pin(call))).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut calls {
            if slot
                .as_mut()
                .is_some_and(|call| call.as_mut().poll(cx).is_ready())
            {
                *slot = None;
            }
        }
        if calls.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_of_a_storm_is_settled_once_and_ends_once(plans in prop::collection::vec(plan(), 1..40)) {
        check(&plans)?;
    }
}
