//! What the callers wait in line for: the gate, the ideal queue, and what a user would pick instead.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota as Cells, RateLimiter};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;
use tollgate_bench::Stopwatch;
use tollgate_gate::{Amounts, Call, Gate, Labels, Plan, Policy, Quota, Source, Unit};

use super::WAITERS;

/// Calls per second: the queue is gone after half a second.
const RATE: u32 = 200_000;

/// The most calls at once, ten milliseconds' worth.
const BURST: u32 = 2_000;

/// For so long nobody is let through, so that all callers are in line before the first has its turn.
const CLOSED: Duration = Duration::from_millis(400);

/// One limiter, from which nobody gets anything while it is closed.
pub(super) trait Line {
    /// A line that has just closed.
    fn open() -> Self;

    /// A turn in it.
    fn join(&self) -> impl Future<Output = ()> + Send + 'static;
}

/// Calls that may have had their turn so long after the line closed.
fn due(since: Duration) -> u64 {
    let open = since.saturating_sub(CLOSED).as_nanos();
    u64::try_from(open * u128::from(RATE) / 1_000_000_000).unwrap_or(u64::MAX)
}

/// The gate over one bucket, in debt until the line opens. Each caller settles its permit as soon as it has it.
pub(super) struct Tolled(Gate, Call);

impl Line for Tolled {
    fn open() -> Self {
        let quota = Quota::bucket(Unit::Requests, RATE.into(), Duration::from_secs(1));
        let quota = quota.and_then(|quota| quota.burst(BURST.into()));
        let policy = Policy::new("rps", quota.expect("a valid quota"));
        let policy = policy.margin(Duration::ZERO).expect("no margin is valid");
        let gate = Gate::new(Plan::new([policy]).expect("one policy"));
        let call = Call::new(Labels::new().with("model", "llama-3"), Amounts::call(0, 0));
        let Ok(first) = gate.try_acquire(&call) else {
            panic!("a gate that nobody has used has room");
        };
        let debt = u64::from(BURST) + due(2 * CLOSED);
        let debt = Amounts::ZERO.with(Unit::Requests, debt);
        first.settle(&debt, Source::Reported);
        Self(gate, call)
    }

    fn join(&self) -> impl Future<Output = ()> + Send + 'static {
        let acquire = self.0.acquire(&self.1);
        async {
            let permit = acquire.await.expect("nothing is refused");
            permit.settle(&Amounts::call(0, 0), Source::Reported);
        }
    }
}

/// The ideal queue.
pub(super) struct Channels(Arc<Mutex<VecDeque<oneshot::Sender<()>>>>);

impl Line for Channels {
    fn open() -> Self {
        let queue = Arc::new(Mutex::new(VecDeque::<oneshot::Sender<()>>::new()));
        let line = queue.clone();
        let next = move || line.lock().expect("nothing panics").pop_front();
        tokio::spawn(async move {
            let start = Stopwatch::start();
            let mut passed = 0;
            sleep(CLOSED).await;
            while passed < u64::from(WAITERS) {
                let due = due(start.elapsed());
                while passed < due
                    && let Some(turn) = next()
                {
                    passed += 1;
                    turn.send(()).expect("nobody leaves");
                }
                sleep(Duration::from_secs(1) / RATE).await;
            }
        });
        Self(queue)
    }

    fn join(&self) -> impl Future<Output = ()> + Send + 'static {
        let (turn, mine) = oneshot::channel();
        self.0.lock().expect("nothing panics").push_back(turn);
        async { mine.await.expect("everybody has a turn") }
    }
}

/// Tokio's semaphore is fair too, but knows no time: a task adds permits.
pub(super) struct Permits(Arc<Semaphore>);

impl Line for Permits {
    fn open() -> Self {
        let semaphore = Arc::new(Semaphore::new(0));
        let refilled = semaphore.clone();
        tokio::spawn(async move {
            let start = Stopwatch::start();
            let mut added = 0;
            sleep(CLOSED).await;
            while added < u64::from(WAITERS) {
                let due = due(start.elapsed());
                let more = usize::try_from(due - added).unwrap_or(usize::MAX);
                refilled.add_permits(more);
                added = due;
                sleep(Duration::from_secs(1) / RATE).await;
            }
        });
        Self(semaphore)
    }

    fn join(&self) -> impl Future<Output = ()> + Send + 'static {
        let acquire = self.0.clone().acquire_owned();
        async { acquire.await.expect("it is never closed").forget() }
    }
}

/// A fair leaky bucket, refilled each millisecond; the first in line wants so much that the rest wait for it until the line opens.
pub(super) struct Leaky(Arc<leaky_bucket::RateLimiter>);

impl Line for Leaky {
    fn open() -> Self {
        let limiter = leaky_bucket::RateLimiter::builder()
            .initial(0)
            .max(usize::try_from(BURST).unwrap_or(1))
            .interval(Duration::from_millis(1))
            .refill(usize::try_from(RATE / 1_000).unwrap_or(1))
            .fair(true)
            .build();
        let limiter = Arc::new(limiter);
        let first = usize::try_from(due(2 * CLOSED)).unwrap_or(1);
        tokio::spawn(limiter.clone().acquire_owned(first));
        Self(limiter)
    }

    fn join(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.clone().acquire_owned(1)
    }
}

/// Governor: every caller sleeps for itself and looks again, so nobody can be kept out of an open line, and its first turns are
/// given while the others still arrive.
pub(super) struct Governed(Arc<DefaultDirectRateLimiter>);

impl Line for Governed {
    fn open() -> Self {
        let cells = |units| NonZeroU32::new(units).expect("not zero");
        let quota = Cells::per_second(cells(RATE)).allow_burst(cells(BURST));
        let limiter = Arc::new(RateLimiter::direct(quota));
        let all = limiter.check_n(cells(BURST));
        assert!(matches!(all, Ok(Ok(()))), "it begins with a whole burst");
        Self(limiter)
    }

    fn join(&self) -> impl Future<Output = ()> + Send + 'static {
        let limiter = self.0.clone();
        async move { limiter.until_ready().await }
    }
}
