//! The figures of docs/JOURNAL.md: what five million calls in three months cost to write, to add up and to restore.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tollgate_gate::{Anchor, Gate, Plan, Policy, Quota, Unit};
use tollgate_journal::{By, Journal, JournalOptions, Query};

use crate::support::*;

const CALLS: i64 = 5_000_000;
const DAYS: i64 = 90;

/// Fewer than find a place in the queue.
const FEW: u32 = 50_000;

#[test]
#[ignore = "takes minutes, and prints figures: cargo test --release -p tollgate-journal -- --ignored --nocapture five_million"]
fn five_million_calls_are_added_up_in_milliseconds() {
    let folder = Folder::new();
    let plan = plan();
    let journal =
        Journal::open_with(folder.journal(), JournalOptions::new().labels_of(&plan)).unwrap();
    let start = NOON - DAYS * DAY;
    let writing = now();
    for i in 0..CALLS {
        let tenant = ["search", "ads", "mail", "docs"][usize::try_from(i % 4).unwrap()];
        let model =
            ["llama-3", "llama-4", "gpt-m", "gpt-l", "other"][usize::try_from(i % 5).unwrap()];
        End::at(start + i * DAYS * DAY / CALLS)
            .with("tenant", tenant)
            .with("model", model)
            .with("session", &(i / 10).to_string())
            .record_in(&journal);
        if i % 50_000 == 0 {
            // As fast as the disk takes them, without folding.
            journal.flush().wait().unwrap();
        }
    }
    journal.flush().wait().unwrap();
    let took = writing.elapsed();
    println!(
        "writing {CALLS} calls: {took:?}, {:?} each",
        took / u32::try_from(CALLS).unwrap()
    );
    assert_eq!(
        (journal.acknowledged(), journal.folded()),
        (CALLS.unsigned_abs(), 0)
    );
    println!(
        "file: {} MB",
        std::fs::metadata(folder.journal()).unwrap().len() / 1_000_000
    );

    let end = End::at(NOON)
        .with("tenant", "search")
        .with("model", "llama-3");
    let recording = now();
    for _ in 0..FEW {
        end.record_in(&journal);
    }
    println!("recording one call: {:?}", recording.elapsed() / FEW);
    journal.flush().wait().unwrap();
    assert_eq!(journal.folded(), 0);

    let reader = journal.reader().unwrap();
    let berlin = || Query::new().time_zone("Europe/Berlin").unwrap();
    for (name, query) in [
        ("in one sum", Query::new()),
        (
            "by model and tenant",
            Query::new().by([By::Model, By::Tenant]),
        ),
        (
            "by month and model in Berlin",
            berlin().by([By::Month, By::Model]),
        ),
        (
            "by day, model and tenant",
            Query::new().by([By::Day, By::Model, By::Tenant]),
        ),
        (
            "by day, model and tenant in Berlin",
            berlin().by([By::Day, By::Model, By::Tenant]),
        ),
    ] {
        let mut times: Vec<Duration> = (0..15)
            .map(|_| {
                let start = now();
                let rows = reader.totals(&query).unwrap();
                let calls: u64 = rows.iter().map(|row| row.totals.calls).sum();
                assert_eq!(calls, CALLS.unsigned_abs() + u64::from(FEW));
                start.elapsed()
            })
            .collect();
        times.sort();
        println!("totals {name}: {:?}", times[7]);
    }
    let scan = now();
    let input = number(&folder, "SELECT sum(input) FROM call");
    assert_eq!(input, 100 * (CALLS + i64::from(FEW)));
    println!(
        "the same from the rows of single calls, for comparison: {:?}",
        scan.elapsed()
    );

    for (name, policies) in [
        ("day and month", 0..2),
        ("day, month and total", 0..3),
        ("all and a minute", 0..4),
    ] {
        let plan = Plan::new(plan.policies()[policies].iter().cloned()).unwrap();
        let gate = Gate::builder(plan.clone())
            .recorder(Arc::new(journal.clone()))
            .started_at(UNIX_EPOCH + Duration::from_millis(NOON.unsigned_abs()))
            .build();
        let start = now();
        journal.restore(&gate, &plan).unwrap();
        println!("restoring {name}: {:?}", start.elapsed());
        assert!(gate.snapshot().iter().all(|status| status.used > 0));
    }
}

fn plan() -> Plan {
    let aligned = |name, days: u64| {
        let span = Duration::from_secs(days * 86_400);
        let anchor = Anchor::Aligned {
            offset: Duration::ZERO,
        };
        Policy::new(
            name,
            Quota::window(Unit::Cost, Quota::MAX_LIMIT, span, anchor).unwrap(),
        )
    };
    let minute = Quota::sliding(Unit::Requests, 1_000_000, Duration::from_secs(60)).unwrap();
    Plan::new([
        aligned("day", 1),
        aligned("month", 31),
        aligned("total", 3_650),
        Policy::new("minute", minute),
    ])
    .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn now() -> Instant {
    Instant::now()
}
