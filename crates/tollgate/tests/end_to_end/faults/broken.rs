//! The provider breaks off streams, answers 500, or does not answer at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tollgate::gate::Source;
use tollgate::{CallOptions, Schedule, Settings, Tollgate};
use tollgate_sim::{Dialect, Ending, Faults, Server};

use super::{in_step, one_model_per_call, records, settlement};
use crate::support::{
    Client, What, Wire, all_at_once, books_when, gate, gate_over, limits, one_window, provider,
    rules, whole,
};

const CALLS: u64 = 60;
const REQUESTS: u64 = 30;
const TOKENS: u64 = 14_000;

fn name(n: u64) -> String {
    format!("call-{n:02}")
}

fn faulty(faults: Faults) -> Server {
    one_model_per_call(provider(), (0..CALLS).map(name))
        .rules(rules(REQUESTS, TOKENS))
        .chat(Dialect::MetaLlama)
        .faults(faults)
        .start()
        .expect("a server")
}

fn prompt(n: u64) -> String {
    "The miller pays in flour. ".repeat(20 + (n % 7) as usize)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_the_provider_cuts_are_settled_from_what_came() {
    let server = faulty(Faults {
        cut_streams_per_mille: 400,
        ..Faults::default()
    });
    let (tollgate, log) = gate_over("meta-llama", limits(REQUESTS, TOKENS));
    let clients = Client::both(&tollgate);
    let mut running = JoinSet::new();
    for n in 0..CALLS {
        let wire = Wire::llama(&server, &name(n), &prompt(n), 300, true);
        let client = clients[(n % 2) as usize].clone();
        running.spawn(async move {
            let mut reply = client
                .send(&wire, CallOptions::new())
                .await
                .expect("a head");
            loop {
                match reply.chunk().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return (n, true),
                    Err(_) => return (n, false),
                }
            }
        });
    }
    let ended = running.join_all().await;

    let (books, records) = records(&server).await;
    assert_eq!((books.throttled, books.admitted), (0, CALLS));
    for (n, whole) in ended {
        let (_, used, source) = settlement(&log, &name(n)).expect("a settlement");
        let record = &records[&name(n)];
        let billed = record.input + record.output;
        if whole {
            assert_eq!(
                (record.ending, source),
                (Ending::Completed, Source::Reported)
            );
            assert_eq!(used, billed, "{record:?}");
        } else {
            assert_eq!((record.ending, source), (Ending::Cut, Source::Estimated));
            // What was lost with the connection cannot be counted; the prompt can, and it is never charged too low.
            assert!(used >= record.input, "{used}: {record:?}");
        }
        let error = log.has(
            &name(n),
            |what| matches!(what, What::Finished { error: Some(error), .. } if error == "body"),
        );
        assert_eq!(error, !whole, "{:?}", log.of(&name(n)));
    }
    assert!(books.cut >= CALLS / 5, "{books:?}");
    in_step(&server, &tollgate, &log, REQUESTS * 2).await;
}

/// Retries that come soon, as many as it takes.
fn patient() -> Settings {
    Settings::default()
        .attempts(20)
        .retry_percent(1_000)
        .schedule(Schedule::exponential(
            Duration::from_millis(10),
            Duration::from_millis(100),
        ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_that_the_provider_fails_is_charged_and_sent_again() {
    let server = faulty(Faults {
        error_500_per_mille: 300,
        ..Faults::default()
    });
    let limits = limits(REQUESTS, TOKENS);
    let builder = Tollgate::builder().limits("meta-llama", limits);
    let (tollgate, log) = gate(builder.settings(patient()));
    let clients = Client::both(&tollgate);
    let attempts = Arc::new(AtomicU64::new(0));
    // A few at a time: each call that starts earns retries for all, and no more than ten are ever saved up.
    let mut running = JoinSet::new();
    for n in 0..CALLS {
        if running.len() == 8 {
            running
                .join_next()
                .await
                .expect("a call")
                .expect("no panic");
        }
        let wire = Wire::llama(&server, &name(n), &prompt(n), 300, n % 3 == 0);
        let (client, attempts) = (clients[(n % 2) as usize].clone(), attempts.clone());
        running.spawn(async move {
            let answer = whole(&client, &wire, CallOptions::new()).await;
            let answer = answer.expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text);
            attempts.fetch_add(answer.report.attempts().into(), Ordering::Relaxed);
        });
    }
    running.join_all().await;
    let attempts = attempts.load(Ordering::Relaxed);

    let books = books_when(&server, |books| books.in_flight == 0).await;
    assert_eq!((books.throttled, books.completed), (0, CALLS));
    assert_eq!((books.admitted, books.failed), (attempts, attempts - CALLS));
    assert!(books.failed >= CALLS / 6, "{books:?}");
    // Each attempt was settled once: a failed one with its whole reservation, because the work may have been done.
    assert_eq!(log.count(What::is_settled) as u64, attempts);
    let kept = log.count(|what| {
        matches!(what, What::Settled { reserved, used, source: Source::Kept } if used == reserved)
    });
    assert_eq!(kept as u64, books.failed);
    assert_eq!(
        log.count(|what| *what == What::Retried) as u64,
        books.failed
    );
    assert_eq!(log.count(What::is_finished) as u64, CALLS);
    assert_eq!(log.reported(), (books.input_tokens, books.output_tokens));
    assert_eq!(tollgate.gate().open_reservations(), 0);

    never_refused(&server, &tollgate, &clients).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_never_answered_stays_charged_after_its_timeout() {
    let server = faulty(Faults {
        hang_per_mille: 300,
        ..Faults::default()
    });
    let (tollgate, log) = gate_over("meta-llama", limits(REQUESTS, TOKENS));
    let client = reqwest::Client::builder().timeout(Duration::from_millis(500));
    let client = Client::Reqwest(tollgate.wrap(client.build().expect("a client")));
    let mut running = JoinSet::new();
    for n in 0..CALLS {
        let wire = Wire::llama(&server, &name(n), &prompt(n), 300, false);
        let client = client.clone();
        running.spawn(async move { (n, whole(&client, &wire, CallOptions::new()).await) });
    }
    let answers = running.join_all().await;

    let (books, records) = records(&server).await;
    assert_eq!((books.throttled, books.admitted), (0, CALLS), "{books:?}");
    for (n, answer) in answers {
        let (reserved, used, source) = settlement(&log, &name(n)).expect("a settlement");
        let record = &records[&name(n)];
        let billed = record.input + record.output;
        match answer {
            Ok(answer) => {
                assert_eq!((answer.status, source), (200, Source::Reported));
                assert_eq!(used, billed, "{record:?}");
            }
            Err(_) => {
                assert_eq!((source, used), (Source::Kept, reserved), "{record:?}");
                assert!(used >= billed, "{used}: {record:?}");
            }
        }
    }
    assert!(books.aborted >= CALLS / 6, "{books:?}");
    assert_eq!(tollgate.gate().open_reservations(), 0);

    never_refused(&server, &tollgate, &[client]).await;
}

/// One window later, calls for two windows fail as the provider likes, but it never refuses one.
async fn never_refused(server: &Server, tollgate: &Tollgate, clients: &[Client]) {
    one_window().await;
    let wires = (0..REQUESTS * 2).map(|n| Wire::llama(server, "fresh", &prompt(n), 300, false));
    let answers = all_at_once(clients, wires).await;
    let succeeded = answers
        .iter()
        .filter(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200));
    assert!(succeeded.count() as u64 >= REQUESTS);
    let books = books_when(server, |books| books.in_flight == 0).await;
    assert_eq!(books.throttled, 0, "{books:?}");
    assert_eq!(tollgate.gate().open_reservations(), 0);
}
