//! 100,000 callers on one limiter with nothing left, until the last has had its turn: CPU time, polls, memory and order.
//!
//! What they are compared with is the least that any queue does on this runtime: one oneshot channel per caller, and one task that
//! fires them in order, at the same rate. It has no quotas, takes nothing back, and nobody can leave.

mod lines;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tollgate_bench::{Goal, Report, count_allocations, interleave, process_cpu};

use lines::{Channels, Governed, Leaky, Line, Permits, Tolled};

/// Callers that wait.
const WAITERS: u32 = 100_000;

/// Rounds with the ideal queue, and with rivals, each of about a second per contender.
const ROUNDS: usize = 15;
const ROUNDS_OF_RIVALS: usize = 3;

pub(crate) fn run(report: &mut Report) {
    let mut polls = Vec::new();
    let mut late = 0;
    let [ours, ideal] = interleave(
        ROUNDS,
        [
            &mut || {
                let drained = drain::<Tolled>();
                polls.push(drained.polls);
                late = late.max(drained.out_of_order);
                drained.cpu
            },
            &mut || drain::<Channels>().cpu,
        ],
    );
    report.ratio(
        "waiter_cpu_over_ideal",
        "CPU per waiter / oneshot channels",
        &ours,
        &ideal,
        Goal::AtMost(2.0),
    );
    let most = polls.iter().copied().fold(0.0, f64::max);
    report.count(
        "waiter_polls",
        "polls per waiter, the most of a round",
        most,
        Goal::AtMost(2.05),
    );
    report.count(
        "waiter_out_of_order",
        "admitted after a later one, the most of a round",
        f64::from(late),
        Goal::AtMost(0.0),
    );
    report.count(
        "waiter_bytes",
        "bytes per waiter, task included",
        bytes::<Tolled>(),
        Goal::AtMost(600.0),
    );

    let mut notes = [const { String::new() }; 4];
    let [by_channels, by_permits, by_leaky, by_governor] = &mut notes;
    let [ideal, semaphore, leaky, governor] = interleave(
        ROUNDS_OF_RIVALS,
        [
            &mut || told(by_channels, "oneshot channels", drain::<Channels>()),
            &mut || told(by_permits, "tokio Semaphore", drain::<Permits>()),
            &mut || told(by_leaky, "leaky-bucket", drain::<Leaky>()),
            &mut || told(by_governor, "governor", drain::<Governed>()),
        ],
    );
    report.aside(
        "(tokio Semaphore and a refill task / same)",
        &semaphore,
        &ideal,
    );
    report.aside("(leaky-bucket, fair / same)", &leaky, &ideal);
    report.aside("(governor until_ready / same)", &governor, &ideal);
    for note in &notes {
        report.note(note);
    }
    report.note(&format!(
        "bytes per waiter: oneshot channels {:.0}, tokio Semaphore {:.0}, leaky-bucket {:.0}",
        bytes::<Channels>(),
        bytes::<Permits>(),
        bytes::<Leaky>()
    ));
}

/// What became of a queue.
struct Drained {
    /// CPU nanoseconds per caller: to spawn it, park it, let it through and end it.
    cpu: f64,
    /// How often each was polled.
    polls: f64,
    /// Callers that had their turn after one that came later.
    out_of_order: u32,
}

fn told(note: &mut String, name: &str, drained: Drained) -> f64 {
    *note = format!(
        "{name}: {:.2} polls per waiter, {} of {WAITERS} after a later one",
        drained.polls, drained.out_of_order
    );
    drained.cpu
}

fn drain<L: Line>() -> Drained {
    let (cpu, _) = pass::<L>(|work| {
        work();
        0
    });
    Drained {
        cpu: cpu / f64::from(WAITERS),
        polls: f64::from(TALLY.polls.load(Relaxed)) / f64::from(WAITERS),
        out_of_order: TALLY.out_of_order.load(Relaxed),
    }
}

/// Bytes on the heap for each caller when all of them wait.
fn bytes<L: Line>() -> f64 {
    let (_, bytes) = pass::<L>(|work| count_allocations(work).bytes_current);
    assert_eq!(
        TALLY.done_when_parked.load(Relaxed),
        0,
        "the machine is too slow: some had their turn before all were in line"
    );
    bytes as f64 / f64::from(WAITERS)
}

/// Parks all callers, inside of `park`, and lets them through; nanoseconds of CPU time, and what `park` says.
fn pass<L: Line>(park: impl FnOnce(&mut dyn FnMut()) -> i64) -> (f64, i64) {
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    TALLY.reset();
    let line = runtime.block_on(async {
        let line = L::open();
        // Whatever task lets callers through is asleep from here on.
        yield_now().await;
        line
    });
    let mut said = 0;
    let parked = process_cpu(|| {
        said = park(&mut || {
            runtime.block_on(async {
                for number in 0..WAITERS {
                    tokio::spawn(counted(number, line.join()));
                }
                while TALLY.parked.load(Relaxed) < WAITERS {
                    yield_now().await;
                }
            });
        });
    });
    TALLY
        .done_when_parked
        .store(TALLY.done.load(Relaxed), Relaxed);
    let passed = process_cpu(|| runtime.block_on(TALLY.all_done.notified()));
    (parked + passed, said)
}

/// What is counted of the callers. One line is measured at a time, so that no caller has to hold a handle to it.
struct Tally {
    parked: AtomicU32,
    polls: AtomicU32,
    done: AtomicU32,
    done_when_parked: AtomicU32,
    latest: AtomicU32,
    out_of_order: AtomicU32,
    all_done: Notify,
}

static TALLY: Tally = Tally {
    parked: AtomicU32::new(0),
    polls: AtomicU32::new(0),
    done: AtomicU32::new(0),
    done_when_parked: AtomicU32::new(0),
    latest: AtomicU32::new(0),
    out_of_order: AtomicU32::new(0),
    all_done: Notify::const_new(),
};

impl Tally {
    fn reset(&self) {
        for counter in [
            &self.parked,
            &self.polls,
            &self.done,
            &self.done_when_parked,
            &self.latest,
            &self.out_of_order,
        ] {
            counter.store(0, Relaxed);
        }
    }
}

/// One caller: it waits for its turn and does nothing with it.
async fn counted(number: u32, turn: impl Future<Output = ()>) {
    TALLY.parked.fetch_add(1, Relaxed);
    let mut turn = pin!(turn);
    poll_fn(|cx| {
        TALLY.polls.fetch_add(1, Relaxed);
        turn.as_mut().poll(cx)
    })
    .await;
    if TALLY.latest.fetch_max(number, Relaxed) > number {
        TALLY.out_of_order.fetch_add(1, Relaxed);
    }
    if TALLY.done.fetch_add(1, Relaxed) + 1 == WAITERS {
        TALLY.all_done.notify_one();
    }
}
