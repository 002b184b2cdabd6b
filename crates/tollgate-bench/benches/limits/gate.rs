//! The gate, one call after another: `try_acquire` and settle, clock and lock included, alone and from two threads.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use throttle_net::{MultiLimiter, Throttle};
use tollgate_bench::{Goal, Report, Stopwatch, count_allocations, cpu, interleave};
use tollgate_gate::{Call, Gate, Labels, Plan, Policy, Quota, Source, Unit};

use crate::ROUNDS;
use crate::ledger::{RESERVED, USED};

/// Calls per sample and thread.
const CALLS: u64 = 10_000;

/// Calls per sample and thread where two threads meet: long enough that both run for most of it.
const CALLS_MEETING: u64 = 40_000;

/// Units per second, for requests as for tokens.
const RATE: u32 = 1_000_000_000;

pub(crate) fn run(report: &mut Report) {
    let second = Duration::from_secs(1);
    let bucket = |unit| Quota::bucket(unit, RATE.into(), second).expect("a valid quota");
    let sliding = |unit| Quota::sliding(unit, RATE.into(), second).expect("a valid quota");

    let [gate, multi, slides] = interleave(
        ROUNDS,
        [
            &mut || alone(through_gate(&two(bucket))),
            &mut || alone(through_multi(&two_dimensions())),
            &mut || alone(through_gate(&two(sliding))),
        ],
    );
    report.ratio(
        "gate_over_throttle_net",
        "two buckets / throttle-net MultiLimiter",
        &gate,
        &multi,
        Goal::AtMost(0.6),
    );
    report.aside("two sliding windows / same", &slides, &multi);

    let gate = two(bucket);
    let mut call = through_gate(&gate);
    call(1_000);
    let allocated = count_allocations(|| call(100_000));
    report.count(
        "gate_allocations",
        "allocations in 100,000 calls",
        allocated.count_total as f64,
        Goal::AtMost(0.0),
    );

    let [gate, multi] = interleave(
        ROUNDS,
        [
            &mut || {
                let gate = two(bucket);
                meeting(|| through_gate(&gate))
            },
            &mut || {
                let multi = two_dimensions();
                meeting(|| through_multi(&multi))
            },
        ],
    );
    report.ratio(
        "gate_over_throttle_net_2t",
        "2 threads: two buckets / MultiLimiter",
        &gate,
        &multi,
        Goal::AtMost(1.0),
    );
    report.note(
        "throttle-net takes dimension by dimension, with rollback, and has no permit: a call that is dropped is not settled",
    );
}

fn two(quota: impl Fn(Unit) -> Quota) -> Gate {
    let plan = Plan::new([
        Policy::new("rpm", quota(Unit::Requests)),
        Policy::new("tpm", quota(Unit::TotalTokens)),
    ]);
    Gate::new(plan.expect("two policies of two names"))
}

fn through_gate(gate: &Gate) -> impl FnMut(u64) {
    let gate = gate.clone();
    let call = Call::new(Labels::new().with("model", "llama-3"), RESERVED);
    move |calls| {
        for _ in 0..calls {
            let Ok(mut permit) = gate.try_acquire(black_box(&call)) else {
                panic!("the quotas are wide enough");
            };
            permit.mark_sent();
            black_box(permit.settle(black_box(&USED), Source::Reported));
        }
    }
}

fn two_dimensions() -> Arc<MultiLimiter> {
    let second = Duration::from_secs(1);
    let multi = MultiLimiter::builder()
        .dimension("requests", Throttle::per_duration(RATE, second))
        .dimension("tokens", Throttle::per_duration(RATE, second))
        .try_build();
    Arc::new(multi.expect("two dimensions of two names"))
}

/// As its example `llm_budget` does it, without waiting.
fn through_multi(multi: &Arc<MultiLimiter>) -> impl FnMut(u64) {
    let multi = multi.clone();
    let reserved = [("requests", 1), ("tokens", 500)];
    let used = [("requests", 1), ("tokens", 480)];
    move |calls| {
        for _ in 0..calls {
            assert!(multi.try_acquire_costs(black_box(&reserved)));
            multi.settle_costs(black_box(&reserved), black_box(&used));
        }
    }
}

fn alone(mut call: impl FnMut(u64)) -> f64 {
    cpu(|| call(CALLS)) / CALLS as f64
}

/// Wall time per call and thread while two threads use one limiter: from the first that begins to the last that is done.
fn meeting<F: FnMut(u64)>(caller: impl Fn() -> F + Sync) -> f64 {
    let barrier = Barrier::new(2);
    let spans = thread::scope(|scope| {
        let work = || {
            let mut call = caller();
            call(100);
            barrier.wait();
            let start = Stopwatch::start();
            call(CALLS_MEETING);
            (start.instant(), Stopwatch::start().instant())
        };
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().expect("a thread of the bench"))
    });
    let first = spans[0].0.min(spans[1].0);
    let last = spans[0].1.max(spans[1].1);
    last.duration_since(first).as_secs_f64() * 1e9 / CALLS_MEETING as f64
}
