//! What every rule can do: look whether an amount fits, charge it, and correct a charge once the truth is known.

use std::fmt;

use super::aligned::Aligned;
use super::bucket::Bucket;
use super::concurrency::Concurrency;
use super::first_call::FirstCall;
use super::quota::{Quota, Shape};
use super::slices::Slices;
use super::sliding_counter::SlidingCounter;
use super::sliding_log::SlidingLog;

/// What a rule sees at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Most units the part that binds can hold.
    pub(crate) limit: u64,
    /// Units in use, rounded up.
    pub(crate) used: u64,
    /// Nanoseconds until the amount fits if nothing else is charged: zero when it fits now, none when no passing of
    /// time alone makes it fit.
    pub(crate) wait_ns: Option<u64>,
}

/// The state of one quota for one team and model. `now` never goes back; the [`Enforcer`](super::Enforcer) sees to it.
///
/// Without further charges room only grows: what fits at one instant fits at every later one.
pub(crate) trait Rule: fmt::Debug + Send {
    /// Whether `need` units fit at `now`, and when they will.
    fn look(&mut self, now: u64, need: u64) -> Look;

    /// Charges `amount` units at `now`, fitting or not. An `open` charge will be corrected exactly once.
    fn charge(&mut self, now: u64, amount: u64, open: bool);

    /// Replaces an open charge of `reserved` units, made at `at`, by `actual` units of the same date.
    fn correct(&mut self, now: u64, at: u64, reserved: u64, actual: u64);

    /// A call that was charged has ended.
    fn leave(&mut self) {}

    /// Nanoseconds until nothing is in use if nothing else is charged.
    fn clear_in(&mut self, now: u64) -> u64;
}

/// The empty state of a quota.
pub(crate) fn empty(quota: &Quota) -> Box<dyn Rule> {
    let (limit, window) = (quota.limit(), quota.window_ns());
    match quota.shape() {
        Shape::Aligned => Box::new(Aligned::new(limit, window)),
        Shape::FirstCall => Box::new(FirstCall::new(limit, window)),
        Shape::SlidingLog => Box::new(SlidingLog::new(limit, window)),
        Shape::SlidingCounter => Box::new(SlidingCounter::new(limit, window)),
        Shape::Bucket { burst } => Box::new(Bucket::new(limit, window, burst)),
        Shape::Slices { per_window } => Box::new(Slices::new(limit, window, u64::from(per_window))),
        Shape::Concurrency => Box::new(Concurrency::new(limit)),
    }
}
