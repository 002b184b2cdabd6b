//! One large call among many small ones that come back at once: is it ever admitted?
//!
//! 100,000 units a second and nothing left; 64 callers ask for 10 units again and again, and in their midst one asks for 10,000.

mod limiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;
use tollgate_bench::{Goal, Report, Stopwatch, interleave};

use limiters::{Governed, InOrder, Leaky, Limiter, Permits, Tolled};

/// Units per second.
const RATE: u32 = 100_000;

/// What the large call asks for, which is also the most at once.
const LARGE: u32 = 10_000;

/// What each of the others asks for, again and again.
const SMALL: u32 = 10;

/// How many others there are.
const OTHERS: usize = 64;

/// Nobody waits for longer than this for the large call.
const PATIENCE: Duration = Duration::from_secs(2);

const ROUNDS: usize = 15;
const ROUNDS_OF_RIVALS: usize = 2;

pub(crate) fn run(report: &mut Report) {
    let [ours, ideal] = interleave(
        ROUNDS,
        [&mut || wait_of::<Tolled>().0, &mut || {
            wait_of::<InOrder>().0
        }],
    );
    report.ratio(
        "starvation_over_ideal",
        "wait of the large call / first in, first out",
        &ours,
        &ideal,
        Goal::AtMost(1.2),
    );
    let mut served = 0;
    let [ideal, permits, leaky, governor] = interleave(
        ROUNDS_OF_RIVALS,
        [
            &mut || wait_of::<InOrder>().0,
            &mut || wait_of::<Permits>().0,
            &mut || wait_of::<Leaky>().0,
            &mut || {
                let (wait, others) = wait_of::<Governed>();
                served = others;
                wait
            },
        ],
    );
    report.aside("(tokio Semaphore / same)", &permits, &ideal);
    report.aside("(leaky-bucket, fair / same)", &leaky, &ideal);
    report.aside("(governor until_n_ready / same)", &governor, &ideal);
    report.note(&format!(
        "a wait of {} s means: not by then. {served} small calls overtook the large one at governor",
        PATIENCE.as_secs()
    ));
}

/// How long the large call waits, in nanoseconds, and how many small ones are admitted meanwhile.
fn wait_of<L: Limiter>() -> (f64, u64) {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let limiter = Arc::new(L::empty());
        let served = Arc::new(AtomicU64::new(0));
        let mut others = JoinSet::new();
        for _ in 0..OTHERS {
            let (limiter, served) = (limiter.clone(), served.clone());
            others.spawn(async move {
                loop {
                    limiter.take(SMALL).await;
                    served.fetch_add(1, Relaxed);
                }
            });
        }
        // Everybody has asked once.
        for _ in 0..3 {
            yield_now().await;
        }
        served.store(0, Relaxed);
        let start = Stopwatch::start();
        drop(timeout(PATIENCE, limiter.take(LARGE)).await);
        let wait = start.elapsed();
        (wait.as_secs_f64() * 1e9, served.load(Relaxed))
    })
}
