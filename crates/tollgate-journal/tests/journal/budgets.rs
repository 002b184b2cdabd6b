//! Budgets outlive the program: a gate made from a journal has what the one before had left.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use jiff::civil::date;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use tollgate_gate::{
    Amounts, Anchor, Calendar, Event, Finished, Gate, Labels, Plan, Policy, Quota, Settled,
    Settlement, Source, Status, Unit,
};
use tollgate_journal::{Journal, JournalOptions};

use crate::support::*;

const DOLLAR: u64 = 1_000_000_000;

/// A gate that was made at an instant and knows what the journal says.
fn restored(journal: &Journal, plan: &Plan, at_ms: i64) -> Gate {
    let gate = Gate::builder(plan.clone())
        .recorder(Arc::new(journal.clone()))
        .started_at(UNIX_EPOCH + Duration::from_millis(at_ms.unsigned_abs()))
        .build();
    journal.restore(&gate, plan).unwrap();
    gate
}

fn open(folder: &Folder, plan: &Plan) -> Journal {
    Journal::open_with(folder.journal(), JournalOptions::new().labels_of(plan)).unwrap()
}

/// Units used by policy and partition.
fn used(gate: &Gate) -> Vec<(String, u64)> {
    let name = |status: &Status| {
        let partition: Vec<&str> = status.partition.iter().map(|value| &**value).collect();
        format!("{}/{}", status.policy, partition.join("/"))
    };
    let mut used: Vec<_> = gate
        .snapshot()
        .iter()
        .map(|status| (name(status), status.used))
        .collect();
    used.sort();
    used
}

fn of<const N: usize>(used: [(&str, u64); N]) -> Vec<(String, u64)> {
    used.map(|(name, units)| (name.to_owned(), units)).into()
}

/// Days or months of a time zone.
fn calendar(zone: &str, step: Span) -> Anchor {
    let zone = TimeZone::get(zone).unwrap();
    let tick_of = |at: Zoned| tick(at.timestamp().as_millisecond());
    let starts: Vec<_> = date(2026, 1, 1)
        .series(step)
        .take(400)
        .map(|day| tick_of(day.to_zoned(zone.clone()).unwrap()))
        .collect();
    Anchor::Calendar(Calendar::new(starts).unwrap())
}

fn budget(name: &str, days: u64, anchor: Anchor) -> Policy {
    let window = Duration::from_secs(days * 24 * 3_600);
    Policy::new(
        name,
        Quota::window(Unit::Cost, 100 * DOLLAR, window, anchor).unwrap(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_what_was_spent_in_its_window_and_time_zone() {
    let folder = Folder::new();
    let utc = Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let plan = Plan::new([
        budget("utc", 1, utc),
        budget("berlin", 1, calendar("Europe/Berlin", Span::new().days(1))),
        budget(
            "kathmandu",
            1,
            calendar("Asia/Kathmandu", Span::new().days(1)),
        ),
        budget(
            "month",
            30,
            calendar("Europe/Berlin", Span::new().months(1)),
        ),
    ])
    .unwrap();
    let journal = open(&folder, &plan);
    let midnight = NOON - 12 * HOUR;
    // In Berlin the day begins at 23:00 UTC, in Kathmandu at 18:15; the month began at 23:00 on 31 October.
    let month = midnight - 24 * DAY - HOUR;
    for (at, cost) in [
        (month - 1, 1_000_000),
        (month, 100_000),
        (midnight - 6 * HOUR, 10_000),
        (midnight - 5 * HOUR - 45 * 60 * SECOND, 1_000),
        (midnight - HOUR, 100),
        (midnight - 1, 10),
        (midnight, 1),
    ] {
        End::at(at).costing(cost).record_in(&journal);
    }
    drop(journal);
    let gate = restored(&open(&folder, &plan), &plan, NOON);
    let expected = of([
        ("berlin/", 111),
        ("kathmandu/", 1_111),
        ("month/", 111_111),
        ("utc/", 1),
    ]);
    assert_eq!(used(&gate), expected);
    // The next day has a budget of its own; the month goes on.
    let gate = restored(&open(&folder, &plan), &plan, NOON + DAY);
    let expected = of([
        ("berlin/", 0),
        ("kathmandu/", 0),
        ("month/", 111_111),
        ("utc/", 0),
    ]);
    assert_eq!(used(&gate), expected);
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_only_the_calls_that_it_applies_to_each_in_its_partition() {
    let folder = Folder::new();
    let day = || Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let plan = Plan::new([
        budget("per tenant", 1, day()).per("tenant"),
        budget("per session", 1, day()).per("session"),
        budget("llama", 1, day()).only("model", ["llama-*"]),
        budget("house", 1, day()).only("profile", ["house"]),
    ])
    .unwrap();
    let journal = open(&folder, &plan);
    for (tenant, session, model, profile, cost) in [
        ("search", "s1", "llama-3", "house", 1),
        ("search", "s2", "llama-4", "other", 10),
        ("ads", "s2", "gpt-m", "house", 100),
    ] {
        End::at(NOON - HOUR)
            .with("tenant", tenant)
            .with("session", session)
            .with("model", model)
            .with("profile", profile)
            .costing(cost)
            .record_in(&journal);
    }
    drop(journal);
    let gate = restored(&open(&folder, &plan), &plan, NOON);
    let expected = of([
        ("house/", 101),
        ("llama/", 11),
        ("per session/s1", 1),
        ("per session/s2", 110),
        ("per tenant/ads", 100),
        ("per tenant/search", 11),
    ]);
    assert_eq!(used(&gate), expected);
}

#[tokio::test(start_paused = true)]
async fn a_program_that_restarts_gets_no_fresh_minute() {
    let folder = Folder::new();
    let minute = Duration::from_secs(60);
    let exact = |policy: Policy| policy.margin(Duration::ZERO).unwrap();
    let sliding = Quota::sliding(Unit::Requests, 10, minute).unwrap();
    let bucket = Quota::bucket(Unit::TotalTokens, 6_000, minute).unwrap();
    let plan = Plan::new([
        exact(Policy::new("rpm", sliding)),
        exact(Policy::new("tpm", bucket)),
    ])
    .unwrap();
    let journal = open(&folder, &plan);
    for ago in [61, 60, 59, 30, 1] {
        End::at(NOON - ago * SECOND).record_in(&journal);
    }
    drop(journal);
    let gate = restored(&open(&folder, &plan), &plan, NOON);
    // 120 tokens each; a hundred drain every second.
    assert_eq!(used(&gate), of([("rpm/", 3), ("tpm/", 20)]));
}

#[tokio::test(start_paused = true)]
async fn without_the_rows_of_single_calls_the_sums_count_against_the_caller() {
    let folder = Folder::new();
    let hour = Quota::sliding(Unit::Requests, 1_000, Duration::from_secs(3_600)).unwrap();
    let plan = Plan::new([
        Policy::new("rph", hour),
        budget("month", 30, calendar("UTC", Span::new().months(1))),
    ])
    .unwrap();
    let journal = open(&folder, &plan);
    for minutes in [1, 20, 54, 56, 59, 61, 200] {
        End::at(NOON - minutes * 60 * SECOND)
            .costing(1)
            .record_in(&journal);
    }
    journal.flush().wait().unwrap();
    let five_past = NOON + 5 * 60 * SECOND;
    let gate = restored(&journal, &plan, five_past);
    assert_eq!(used(&gate), of([("month/", 7), ("rph/", 3)]));
    journal.prune_before(tick(NOON)).unwrap();
    let gate = restored(&journal, &plan, five_past);
    // As if those of 11:00 to 11:05 had ended with their quarter of an hour.
    assert_eq!(used(&gate), of([("month/", 7), ("rph/", 5)]));
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_folded_into_the_sums_are_restored_from_them() {
    let folder = Folder::new();
    let day = Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let hour = Quota::sliding(Unit::Requests, 1_000, Duration::from_secs(3_600)).unwrap();
    let plan = Plan::new([Policy::new("rph", hour), budget("day", 1, day)]).unwrap();
    let options = JournalOptions::new().queue_limit(0);
    let journal = Journal::open_with(folder.journal(), options).unwrap();
    for i in 0..100 {
        End::at(NOON - i * SECOND).costing(3).record_in(&journal);
    }
    drop(journal);
    let journal = open(&folder, &plan);
    End::at(NOON + 1).costing(1).record_in(&journal);
    journal.flush().wait().unwrap();
    let gate = restored(&journal, &plan, NOON + SECOND);
    assert_eq!(used(&gate), of([("day/", 301), ("rph/", 101)]));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_does_not_lock_the_gate() {
    let folder = Folder::new();
    let day = Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let plan = Plan::new([budget("day", 1, day)]).unwrap();
    let journal = open(&folder, &plan);
    for at in [NOON - HOUR, NOON + HOUR, NOON + 30 * DAY] {
        End::at(at).costing(1).record_in(&journal);
    }
    journal.flush().wait().unwrap();
    let gate = restored(&journal, &plan, NOON);
    // What seems to come from the future counts now, against the caller.
    assert_eq!(used(&gate), of([("day/", 3)]));
}

#[tokio::test(start_paused = true)]
async fn what_a_gate_has_left_is_what_the_next_one_has_left() {
    let day = || Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let plan = Plan::new([
        budget("day", 1, day()),
        budget("tenant", 1, day()).per("tenant"),
        Policy::new(
            "tokens",
            Quota::window(
                Unit::TotalTokens,
                1_000_000,
                Duration::from_secs(86_400),
                day(),
            )
            .unwrap(),
        ),
    ])
    .unwrap();
    for seed in 0..5 {
        let folder = Folder::new();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut before = Vec::new();
        for run in 0..3 {
            let journal = open(&folder, &plan);
            let gate = restored(&journal, &plan, NOON + run * HOUR);
            assert!(run == 0 || used(&gate) == before, "seed {seed}, run {run}");
            for _ in 0..200 {
                spend(&gate, &mut random);
            }
            before = used(&gate);
        }
    }
}

/// A call that waits for nothing, ends in some way, and is recorded as a driver above the gate records it.
fn spend(gate: &Gate, random: &mut fastrand::Rng) {
    let labels = Labels::new()
        .with("tenant", ["search", "ads"][random.usize(..2)])
        .with("model", "llama-3");
    let reserved = Amounts::call(random.u64(..100), 100).with(Unit::Cost, random.u64(..10_000_000));
    let call = tollgate_gate::Call::new(labels, reserved);
    let mut permit = gate.try_acquire(&call).unwrap();
    let labels = permit.labels().clone();
    permit.mark_sent();
    let settlement = if random.bool() {
        let used = Amounts::call(random.u64(..100), random.u64(..200))
            .with(Unit::Cost, random.u64(..10_000_000));
        permit.settle(&used, Source::Reported)
    } else {
        drop(permit);
        Settlement {
            reserved,
            used: reserved,
        }
    };
    gate.record(&Event::Finished(&Finished {
        labels: &labels,
        response_model: None,
        finish_reason: None,
        tokens: None,
        cost: None,
        duration: Duration::ZERO,
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
