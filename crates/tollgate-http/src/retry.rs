//! When to send a call again: the schedule of delays, the budget of retries, and the decision.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use backon::BackoffBuilder as _;
use tollgate_gate::Tick;

/// Makes the schedule of delays of one call.
///
/// The default is `backon`'s exponential backoff with jitter. With the feature `backoff`, `Schedule::from_backoff` takes any
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

/// How much sending again is allowed over all calls: every send earns a part of a retry, so that a provider in trouble meets at
/// most that much more load. Calls refused for want of quota need none: the gate pauses and paces them.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    // Thousandths of a retry.
    balance: AtomicI64,
    per_call: i64,
}

/// Retries that a program starts with, and the most that it can save up.
const STOCK: i64 = 10_000;
const MOST_SAVED: i64 = 100_000;

impl RetryBudget {
    /// `percent` of sends may be retries in the long run, besides a stock of ten.
    pub(crate) fn new(percent: u32) -> Self {
        Self {
            balance: AtomicI64::new(STOCK),
            per_call: i64::from(percent) * 10,
        }
    }

    pub(crate) fn earn(&self) {
        let earned = self.per_call;
        let _ = self
            .balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |b| {
                Some((b + earned).min(MOST_SAVED))
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
    deadline: Option<Tick>,
    left: u32,
}

/// How long a failure asks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay {
    /// What the provider asked for, or the schedule has next.
    pub(crate) asked: Duration,
    jitter: Duration,
}

impl Delay {
    /// What is waited: a little more than asked, so that not all come back at one instant.
    pub(crate) fn span(self) -> Duration {
        self.asked.saturating_add(self.jitter)
    }
}

impl<'a> Retries<'a> {
    pub(crate) fn new(
        budget: &'a RetryBudget,
        schedule: &Schedule,
        attempts: u32,
        patience: Duration,
        deadline: Option<Tick>,
    ) -> Self {
        let (delays, left) = (schedule.delays(), attempts.saturating_sub(1));
        Self {
            budget,
            delays,
            patience,
            deadline,
            left,
        }
    }

    /// The delay that a failure calls for, whether or not it is used. A provider that asks for none at all is taken to have said
    /// nothing, as its own clients do; then it is the schedule's next, which has its own jitter.
    pub(crate) fn delay(&mut self, hint: Option<Duration>) -> Option<Delay> {
        match hint.filter(|hint| !hint.is_zero()) {
            Some(asked) => {
                let most = (asked / 10).min(LONGEST_JITTER);
                Some(Delay {
                    asked,
                    jitter: most.mul_f64(fastrand::f64()),
                })
            }
            None => self.delays.next().map(|asked| Delay {
                asked,
                jitter: Duration::ZERO,
            }),
        }
    }

    /// Uses up a retry, and says how long to wait before it. `None`: the failure is the caller's, because there is no delay to wait
    /// for, attempts, patience or budget are at their end, or the deadline comes first. A retry that the gate holds back anyway
    /// (`paused`) costs no budget.
    pub(crate) fn again(
        &mut self,
        delay: Option<Delay>,
        now: Tick,
        paused: bool,
    ) -> Option<Duration> {
        let delay = delay?;
        let in_time = self
            .deadline
            .is_none_or(|deadline| now.plus(delay.span()) < deadline);
        if self.left == 0 || delay.asked > self.patience || !in_time {
            return None;
        }
        if !paused && !self.budget.spend() {
            return None;
        }
        self.left -= 1;
        Some(delay.span())
    }
}

/// Jitter is upward only: at most a tenth of what was asked, and no more than this.
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
        assert_eq!(retried, 10 + 100);
    }

    #[test]
    fn a_batch_that_starts_at_once_keeps_what_it_earns() {
        let budget = RetryBudget::new(20);
        (0..200).for_each(|_| budget.earn());
        assert_eq!((0..1_000).filter(|_| budget.spend()).count(), 10 + 40);
    }

    #[test]
    fn a_retry_that_the_gate_holds_back_costs_no_budget() {
        let budget = RetryBudget::new(0);
        let mut retries = retries(&budget, 99, None);
        let of = |asked| {
            Some(Delay {
                asked,
                jitter: Duration::ZERO,
            })
        };
        for _ in 0..50 {
            assert_eq!(retries.again(of(secs(1)), Tick::ZERO, true), Some(secs(1)));
        }
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn retries<'a>(budget: &'a RetryBudget, attempts: u32, deadline: Option<Tick>) -> Retries<'a> {
        let schedule = Schedule::new(|| [1, 2].into_iter().map(secs));
        Retries::new(budget, &schedule, attempts, secs(60), deadline)
    }

    #[test]
    fn a_hint_is_a_minimum_and_jitter_goes_upward() {
        let budget = RetryBudget::new(10);
        let mut retries = retries(&budget, 3, None);
        let mut check = |hint, most| {
            for _ in 0..100 {
                let delay = retries.delay(Some(hint)).unwrap();
                assert_eq!(delay.asked, hint);
                assert!((hint..=most).contains(&delay.span()), "{delay:?}");
            }
        };
        check(secs(10), secs(11));
        check(secs(1_000), secs(1_003));
        check(Duration::MAX, Duration::MAX);
    }

    #[test]
    fn attempts_and_the_schedule_end_retries() {
        let budget = RetryBudget::new(10);
        let mut retries = retries(&budget, 2, None);
        let first = retries.delay(None);
        assert_eq!(retries.again(first, Tick::ZERO, false), Some(secs(1)));
        let second = retries.delay(None);
        assert_eq!(second.map(Delay::span), Some(secs(2)));
        assert_eq!(
            retries.again(second, Tick::ZERO, false),
            None,
            "two attempts in all"
        );
        assert_eq!(retries.delay(None), None, "the schedule is at its end");
        assert_eq!(retries.again(None, Tick::ZERO, false), None);
    }

    #[test]
    fn patience_and_the_deadline_end_retries_and_cost_nothing() {
        let budget = RetryBudget::new(0);
        let of = |asked| {
            Some(Delay {
                asked,
                jitter: Duration::ZERO,
            })
        };
        let mut patient = retries(&budget, 99, None);
        assert_eq!(patient.again(of(secs(61)), Tick::ZERO, false), None);
        let mut hasty = retries(&budget, 99, Some(Tick::after_origin(secs(30))));
        assert_eq!(
            hasty.again(of(secs(10)), Tick::after_origin(secs(20)), false),
            None
        );
        let jittered = Some(Delay {
            asked: secs(60),
            jitter: secs(3),
        });
        for _ in 0..10 {
            assert_eq!(
                patient.again(jittered, Tick::ZERO, false),
                Some(secs(63)),
                "jitter is no impatience"
            );
        }
        assert_eq!(
            patient.again(of(secs(1)), Tick::ZERO, false),
            None,
            "the stock is empty"
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
