//! The limiters that the large call meets, each at a rate of [`RATE`] with [`LARGE`] at once, and with nothing left.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota as Cells, RateLimiter};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;
use tollgate_bench::Stopwatch;
use tollgate_gate::{Amounts, Call, Gate, Labels, Plan, Policy, Quota, Source, Unit};

use super::{LARGE, RATE};

/// A limiter with a rate, that can be waited for.
pub(super) trait Limiter: Send + Sync + 'static {
    /// With nothing left.
    fn empty() -> Self;

    /// Waits for so many units.
    fn take(&self, units: u32) -> impl Future<Output = ()> + Send;
}

/// The gate. Calls use what they reserve.
pub(super) struct Tolled(Gate, Arc<Labels>);

impl Limiter for Tolled {
    fn empty() -> Self {
        let quota = Quota::bucket(Unit::TotalTokens, RATE.into(), Duration::from_secs(1));
        let quota = quota.and_then(|quota| quota.burst(LARGE.into()));
        let policy = Policy::new("tps", quota.expect("a valid quota"));
        let policy = policy.margin(Duration::ZERO).expect("no margin is valid");
        let gate = Gate::new(Plan::new([policy]).expect("one policy"));
        let labels = Arc::new(Labels::new());
        let all = Amounts::call(0, LARGE.into());
        let Ok(first) = gate.try_acquire(&Call::new(labels.clone(), all)) else {
            panic!("a gate that nobody has used has room");
        };
        first.settle(&all, Source::Reported);
        Self(gate, labels)
    }

    async fn take(&self, units: u32) {
        let amounts = Amounts::call(0, units.into());
        let permit = self.0.acquire(&Call::new(self.1.clone(), amounts)).await;
        let permit = permit.expect("nothing is refused");
        permit.settle(&amounts, Source::Reported);
    }
}

/// First in, first out, by one oneshot channel per caller and one task; the least that a fair limiter does.
pub(super) struct InOrder(Arc<Mutex<VecDeque<Turn>>>);

/// The units that a caller asks for, and what tells it that it has them.
type Turn = (u32, oneshot::Sender<()>);

impl Limiter for InOrder {
    fn empty() -> Self {
        let queue = Arc::new(Mutex::new(VecDeque::<Turn>::new()));
        let line = Arc::downgrade(&queue);
        tokio::spawn(async move {
            let start = Stopwatch::start();
            let mut taken = 0;
            while let Some(line) = line.upgrade() {
                let refilled = start.elapsed().as_nanos() * u128::from(RATE) / 1_000_000_000;
                loop {
                    let mut line = line.lock().expect("nothing panics");
                    let fits = |(units, _): &Turn| taken + u128::from(*units) <= refilled;
                    if !line.front().is_some_and(fits) {
                        break;
                    }
                    let Some((units, turn)) = line.pop_front() else {
                        break;
                    };
                    taken += u128::from(units);
                    // At the end of a run callers are gone before their turns.
                    let _ = turn.send(());
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
        Self(queue)
    }

    async fn take(&self, units: u32) {
        let (turn, mine) = oneshot::channel();
        self.0
            .lock()
            .expect("nothing panics")
            .push_back((units, turn));
        mine.await.expect("everybody has a turn");
    }
}

/// Tokio's semaphore, with a task that adds permits.
pub(super) struct Permits(Arc<Semaphore>);

impl Limiter for Permits {
    fn empty() -> Self {
        let semaphore = Arc::new(Semaphore::new(0));
        let refilled = Arc::downgrade(&semaphore);
        tokio::spawn(async move {
            let start = Stopwatch::start();
            let mut added = 0;
            while let Some(semaphore) = refilled.upgrade() {
                let due = start.elapsed().as_nanos() * u128::from(RATE) / 1_000_000_000;
                semaphore.add_permits(usize::try_from(due - added).unwrap_or(0));
                added = due;
                sleep(Duration::from_millis(1)).await;
            }
        });
        Self(semaphore)
    }

    async fn take(&self, units: u32) {
        let permit = self.0.acquire_many(units).await;
        permit.expect("it is never closed").forget();
    }
}

/// A fair leaky bucket.
pub(super) struct Leaky(leaky_bucket::RateLimiter);

impl Limiter for Leaky {
    fn empty() -> Self {
        let units = |units: u32| usize::try_from(units).unwrap_or(usize::MAX);
        let limiter = leaky_bucket::RateLimiter::builder()
            .initial(0)
            .max(units(LARGE))
            .interval(Duration::from_millis(1))
            .refill(units(RATE / 1_000))
            .fair(true)
            .build();
        Self(limiter)
    }

    async fn take(&self, units: u32) {
        self.0
            .acquire(usize::try_from(units).unwrap_or(usize::MAX))
            .await;
    }
}

/// Governor, where each caller sleeps and looks again.
pub(super) struct Governed(DefaultDirectRateLimiter);

impl Limiter for Governed {
    fn empty() -> Self {
        let limiter = RateLimiter::direct(Cells::per_second(cells(RATE)).allow_burst(cells(LARGE)));
        let all = limiter.check_n(cells(LARGE));
        assert!(matches!(all, Ok(Ok(()))), "it begins with a whole burst");
        Self(limiter)
    }

    async fn take(&self, units: u32) {
        let turn = self.0.until_n_ready(cells(units)).await;
        turn.expect("no call is larger than the burst");
    }
}

fn cells(units: u32) -> NonZeroU32 {
    NonZeroU32::new(units).expect("not zero")
}
