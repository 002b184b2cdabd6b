//! When to send a call again: the schedule of delays, the budget of retries, and the decision.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use backon::BackoffBuilder as _;
use tollgate_tokens::Verdict;

/// Makes the schedule of delays of one call.
///
/// The default is `backon`'s exponential backoff with jitter. With the feature `backoff`, [`Schedule::from_backoff`] takes any
/// `backoff::backoff::Backoff`.
#[derive(Clone)]
pub struct Schedule {
    make: Arc<dyn Fn() -> Delays + Send + Sync>,
}

/// The delays before the first retry, the second and so on; its end ends the retries.
pub(crate) type Delays = Box<dyn Iterator<Item = Duration> + Send>;

impl Schedule {
    /// A schedule of the caller's own: `make` is asked once per call, and the delays once per retry. They need not be jittered
    /// further than the caller wants.
    pub fn new<I>(make: impl Fn() -> I + Send + Sync + 'static) -> Self
    where
        I: Iterator<Item = Duration> + Send + 'static,
    {
        Self {
            make: Arc::new(move || Box::new(make())),
        }
    }

    /// Exponential backoff: `first`, doubled each time up to `longest`, each with as much again added at random.
    #[must_use]
    pub fn exponential(first: Duration, longest: Duration) -> Self {
        let builder = backon::ExponentialBuilder::default()
            .with_min_delay(first)
            .with_max_delay(longest)
            .without_max_times()
            .with_jitter();
        Self::new(move || builder.build())
    }

    /// The delays of a `backoff::backoff::Backoff`; `make` is asked once per call.
    #[cfg(feature = "backoff")]
    pub fn from_backoff<B>(make: impl Fn() -> B + Send + Sync + 'static) -> Self
    where
        B: backoff::backoff::Backoff + Send + 'static,
    {
        Self::new(move || {
            let mut backoff = make();
            backoff.reset();
            std::iter::from_fn(move || backoff.next_backoff())
        })
    }

    pub(crate) fn delays(&self) -> Delays {
        (self.make)()
    }
}

impl Default for Schedule {
    /// From half a second up to a minute, doubling: the providers' own clients start so.
    fn default() -> Self {
        Self::exponential(Duration::from_millis(500), Duration::from_secs(60))
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schedule")
    }
}

/// How much sending again is allowed over all calls: every call earns a part of a retry, so that a provider in trouble meets at
/// most that much more load.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    // Thousandths of a retry.
    balance: AtomicI64,
    per_call: i64,
}

/// Retries that can be saved up, and that a quiet program starts with.
const SAVED: i64 = 10_000;

impl RetryBudget {
    /// `percent` of calls may be retried in the long run, besides a stock of ten.
    pub(crate) fn new(percent: u32) -> Self {
        Self {
            balance: AtomicI64::new(SAVED),
            per_call: i64::from(percent) * 10,
        }
    }

    pub(crate) fn earn(&self) {
        let earned = self.per_call;
        let _ = self
            .balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |b| {
                Some((b + earned).min(SAVED))
            });
    }

    pub(crate) fn spend(&self) -> bool {
        self.balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |b| {
                (b >= 1_000).then_some(b - 1_000)
            })
            .is_ok()
    }
}

/// The retries of one call.
pub(crate) struct Retries<'a> {
    budget: &'a RetryBudget,
    delays: Delays,
    patience: Duration,
    left: u32,
}

/// What to do with an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send it again after this span.
    Again(Duration),
    /// Hand the failure to the caller, who may try again after this span if one is known.
    GiveUp(Option<Duration>),
}

impl<'a> Retries<'a> {
    pub(crate) fn new(
        budget: &'a RetryBudget,
        schedule: &Schedule,
        attempts: u32,
        patience: Duration,
    ) -> Self {
        budget.earn();
        Self {
            budget,
            delays: schedule.delays(),
            patience,
            left: attempts.saturating_sub(1),
        }
    }

    /// The delay that the failure calls for, whether or not it is used: what the provider asked and a little more, so that not all
    /// come back at one instant; or the schedule's next, if it did not say.
    pub(crate) fn delay(&mut self, hint: Option<Duration>) -> Option<Duration> {
        match hint {
            Some(hint) => Some(hint + hint.min(LONGEST_JITTER * 10).mul_f64(0.1 * fastrand::f64())),
            None => self.delays.next(),
        }
    }

    pub(crate) fn after_verdict(&mut self, verdict: &Verdict, delay: Option<Duration>) -> Next {
        if !verdict.retryable {
            return Next::GiveUp(verdict.retry_after);
        }
        self.next(delay)
    }

    pub(crate) fn next(&mut self, delay: Option<Duration>) -> Next {
        match delay {
            Some(delay) if self.left > 0 && delay <= self.patience && self.budget.spend() => {
                self.left -= 1;
                Next::Again(delay)
            }
            delay => Next::GiveUp(delay),
        }
    }
}

/// Jitter is upward only, a tenth of the hint but no more than this.
const LONGEST_JITTER: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_in_trouble_meets_a_tenth_more_calls_at_most() {
        let budget = RetryBudget::new(10);
        let mut retried = 0;
        for _ in 0..1_000 {
            budget.earn();
            retried += u32::from(budget.spend());
        }
        // The stock of 10, then one for every ten calls.
        assert_eq!(retried, 10 + 99);
    }

    #[test]
    fn a_hint_is_a_minimum_and_jitter_goes_upward() {
        let budget = RetryBudget::new(10);
        let mut retries = Retries::new(&budget, &Schedule::default(), 3, Duration::from_secs(60));
        for _ in 0..100 {
            let delay = retries.delay(Some(Duration::from_secs(10))).unwrap();
            assert!(
                (Duration::from_secs(10)..=Duration::from_secs(11)).contains(&delay),
                "{delay:?}"
            );
        }
    }

    #[test]
    fn attempts_patience_and_the_schedule_end_retries() {
        let budget = RetryBudget::new(10);
        let schedule = Schedule::new(|| [1_u64, 2].into_iter().map(Duration::from_secs));
        let mut retries = Retries::new(&budget, &schedule, 2, Duration::from_secs(60));
        let first = retries.delay(None);
        assert_eq!(retries.next(first), Next::Again(Duration::from_secs(1)));
        let second = retries.delay(None);
        assert_eq!(
            retries.next(second),
            Next::GiveUp(Some(Duration::from_secs(2))),
            "two attempts in all"
        );
        let third = retries.delay(None);
        assert_eq!(third, None, "the schedule is at its end");

        let mut retries = Retries::new(&budget, &schedule, 9, Duration::from_secs(60));
        assert_eq!(
            retries.next(Some(Duration::from_secs(61))),
            Next::GiveUp(Some(Duration::from_secs(61))),
            "beyond patience"
        );
    }

    #[cfg(feature = "backoff")]
    #[test]
    fn any_backoff_of_the_backoff_crate_can_be_the_schedule() {
        let schedule =
            Schedule::from_backoff(|| backoff::backoff::Constant::new(Duration::from_millis(7)));
        assert_eq!(
            schedule.delays().take(3).collect::<Vec<_>>(),
            [Duration::from_millis(7); 3]
        );
        let stop = Schedule::from_backoff(|| backoff::backoff::Stop {});
        assert_eq!(stop.delays().next(), None);
    }
}
