//! Killed in the middle of its work, a program finds every acknowledged record again, and budgets that add up.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tollgate_gate::{
    Amounts, Anchor, Call, Event, Finished, Gate, Labels, Plan, Policy, Quota, Settled, Source,
    Unit,
};
use tollgate_journal::{Journal, JournalOptions, Query};

use crate::support::*;

/// Settlements of one run.
const CALLS: u64 = 10_000;

/// Tells the child which file to write, and how often to ask for an acknowledgement.
const JOURNAL: &str = "TOLLGATE_TEST_JOURNAL";
const STEP: &str = "TOLLGATE_TEST_STEP";

fn plan() -> Plan {
    let anchor = Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let day = Duration::from_secs(86_400);
    let budget = Quota::window(Unit::Cost, Quota::MAX_LIMIT, day, anchor).unwrap();
    Plan::new([
        Policy::new("day", budget.clone()),
        Policy::new("tenant", budget).per("tenant"),
    ])
    .unwrap()
}

/// What the call of an ordinal costs, in nano-dollars.
const fn cost(ordinal: u64) -> u64 {
    1 + ordinal * 7_919 % 1_000_003
}

fn gate(journal: &Journal) -> Gate {
    let gate = Gate::builder(plan())
        .recorder(Arc::new(journal.clone()))
        .started_at(UNIX_EPOCH + Duration::from_millis(NOON.unsigned_abs()))
        .build();
    journal.restore(&gate, &plan()).unwrap();
    gate
}

fn open(path: &Path) -> Journal {
    Journal::open_with(path, JournalOptions::new().labels_of(&plan())).unwrap()
}

/// The program that is killed: settles calls, and prints how many are acknowledged.
#[test]
#[ignore = "started and killed by another test: cargo test -p tollgate-journal --test journal a_killed_program"]
fn settles_calls_until_it_is_killed() {
    let path = std::env::var_os(JOURNAL).expect("started by a test");
    let step: u64 = std::env::var(STEP).unwrap().parse().unwrap();
    let journal = open(path.as_ref());
    let gate = gate(&journal);
    for ordinal in 1..=CALLS {
        settle(&gate, ordinal);
        if ordinal % step == 0 {
            journal.flush().wait().unwrap();
            println!("acknowledged {}", journal.acknowledged());
        }
    }
    // Killed here at the latest.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn settle(gate: &Gate, ordinal: u64) {
    let labels = Labels::new()
        .with("tenant", if ordinal.is_multiple_of(3) { "a" } else { "b" })
        .with("session", ordinal.to_string());
    let reserved = Amounts::call(100, 200).with(Unit::Cost, 500_000);
    let mut permit = gate.try_acquire(&Call::new(labels, reserved)).unwrap();
    permit.mark_sent();
    let labels = permit.labels().clone();
    let used = Amounts::call(100, 20).with(Unit::Cost, cost(ordinal));
    let settlement = permit.settle(&used, Source::Reported);
    gate.record(&Event::Finished(&Finished {
        labels: &labels,
        response_model: None,
        finish_reason: None,
        tokens: None,
        cost: Some(cost(ordinal)),
        duration: Duration::from_millis(1),
        attempts: 1,
        status: Some(200),
        error: None,
        at: gate.now(),
        waited: Duration::ZERO,
        settled: Some(Settled {
            amounts: settlement,
            source: Source::Reported,
        }),
    }));
}

/// Starts the program, kills it a while after it has acknowledged so many, and returns how many it acknowledged by then.
fn killed_after(folder: &Folder, acknowledged: u64, step: u64, spins: u32) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::settles_calls_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(JOURNAL, folder.journal())
        .env(STEP, step.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut last = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut read = |last: &mut u64| {
        let line = lines.next()?.ok()?;
        if let Some(count) = line.strip_prefix("acknowledged ") {
            *last = count.parse().unwrap_or(0).max(*last);
        }
        Some(())
    };
    while last < acknowledged && read(&mut last).is_some() {}
    // Not when it has just written, but at any point of its next work.
    (0..spins).for_each(|_| std::hint::spin_loop());
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had printed by then counts too. A line cut short would not end in a number that is too large.
    while read(&mut last).is_some() {}
    last
}

#[test]
fn a_killed_program_loses_nothing_that_was_acknowledged() {
    for seed in 0..8 {
        let folder = Folder::new();
        let mut random = fastrand::Rng::with_seed(seed);
        let (target, step) = (random.u64(1..CALLS), random.u64(10..400));
        let acknowledged = killed_after(&folder, target, step, random.u32(..1_000_000));
        let at = format!("seed {seed}: {acknowledged} acknowledged, every {step}");
        assert!(acknowledged >= target / step * step, "{at}");

        let journal = open(&folder.journal());
        // In the order in which they were made, without a gap: every acknowledged one, and perhaps more.
        let kept = number(&folder, "SELECT count(*) FROM call").unsigned_abs();
        let last = number(&folder, "SELECT max(CAST(session AS INTEGER)) FROM call").unsigned_abs();
        let different = number(&folder, "SELECT count(DISTINCT session) FROM call").unsigned_abs();
        assert!(kept >= acknowledged, "{at}, {kept} kept");
        assert_eq!((last, different), (kept, kept), "{at}");

        let of = |tenant: u64| -> u64 {
            let calls = (1..=kept).filter(|n| tenant == u64::from(n.is_multiple_of(3)));
            calls.map(cost).sum()
        };
        let spent = of(0) + of(1);
        let rows = number(&folder, "SELECT sum(charged_cost) FROM call").unsigned_abs();
        let totals = journal.reader().unwrap().totals(&Query::new()).unwrap();
        assert_eq!((rows, totals[0].totals.cost), (spent, spent), "{at}");
        assert_eq!(totals[0].totals.calls, kept, "{at}");

        let gate = gate(&journal);
        let used: Vec<u64> = gate.snapshot().iter().map(|status| status.used).collect();
        assert_eq!(used, [spent, of(1), of(0)], "{at}");
        // And it goes on from there.
        settle(&gate, CALLS + 1);
        journal.flush().wait().unwrap();
        let check = number(
            &folder,
            "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'",
        );
        assert_eq!(check, 1, "{at}");
    }
}
