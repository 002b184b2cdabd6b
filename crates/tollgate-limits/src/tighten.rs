//! `Tightening`: what a policy learns from a 429 that its books did not foresee.
//!
//! The books foresee every refusal of a provider whose rule is the one that the policy assumes. Where they do not, the rule is
//! another: a sliding counter, slices of the window, a smaller burst, a lower limit, clocks that differ by more than the margin. All
//! of these are met by the same two things, even spacing and a lower limit, so the ladder is short:
//!
//! 1. Grants are spaced, one call at a time, at the rate of the limit less the dearest call seen since. That is safe against logs,
//!    windows and sliding counters of any phase, as docs/DESIGN.md shows, and leaves nearly all of the quota where calls are small.
//! 2. Each further burst of 429s lowers that rate by a twenty-fifth, down to a quarter of the limit.
//!
//! Nothing is ever loosened by itself. Calls sent before a step say nothing about it, so a burst of 429s is one step. For a window
//! after the first step the provider still counts what was sent unspaced: a refusal then only slows the grants until that window has
//! passed.

use crate::Tick;

/// What is remembered of one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tightening {
    /// Units per window at which grants are spaced, before the dearest call is taken off; `None`: they are not spaced.
    rate: Option<u64>,
    /// Whether the rate was told, and has room for the dearest call already.
    told: bool,
    /// Units of the dearest call since.
    dearest: u64,
    /// The same at the last step.
    dearest_then: u64,
    /// Calls sent until then are not evidence against the present step.
    since: Tick,
    /// Until then the provider may count what was sent before the first step.
    settles: Tick,
    /// How often the pace is halved until then.
    slowed: u32,
}

/// A call that was refused, and the quota that it was refused by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    /// When the call was reserved.
    pub(crate) sent: Tick,
    /// When the provider lets calls through again.
    pub(crate) until: Tick,
    pub(crate) units: u64,
    pub(crate) limit: u64,
    pub(crate) window: u64,
}

impl Tightening {
    /// Of the rate, what one step takes: a twenty-fifth.
    const STEP: u64 = 25;
    /// Of the limit, what is never taken: a quarter. Whatever is refused even then is not about spacing.
    const FLOOR: u64 = 4;
    /// Of the limit, what is taken off for the dearest call at most: a quarter, so that one odd call does not slow all others for ever.
    const DEAREST: u64 = 4;
    const MOST_SLOWED: u32 = 4;

    /// One that spaces grants at `pace` units per window.
    pub(crate) fn at(pace: u64) -> Self {
        Self {
            rate: Some(pace),
            told: true,
            ..Self::default()
        }
    }

    /// Learns that a call was refused. Returns whether it was a step.
    pub(crate) fn refused(&mut self, now: Tick, call: &Refused) -> bool {
        let Some(rate) = self.rate else {
            self.rate = Some(call.limit);
            self.dearest = call.units;
            self.dearest_then = call.units;
            self.since = now;
            self.settles = call.until.max(now).plus_nanos(call.window);
            return true;
        };
        if call.sent <= self.since {
            return false;
        }
        self.since = now;
        if call.sent < self.settles {
            self.slowed = (self.slowed + 1).min(Self::MOST_SLOWED);
            return false;
        }
        if self.dearest > self.dearest_then {
            // The pace has become lower since the last step: first see what comes of that.
            self.dearest_then = self.dearest;
            return true;
        }
        let floor = (call.limit / Self::FLOOR).max(1);
        let lower = (rate - rate.div_ceil(Self::STEP)).max(floor);
        self.rate = Some(lower);
        lower < rate
    }

    /// Notes a call of so many units.
    pub(crate) fn see(&mut self, units: u64) {
        if !self.told {
            self.dearest = self.dearest.max(units);
        }
    }

    /// Whether grants are spaced.
    pub(crate) const fn is_on(&self) -> bool {
        self.rate.is_some()
    }

    /// Units per window at which grants are spaced at `now`, under a quota of `limit`; `None`: they are not.
    pub(crate) fn pace(&self, now: Tick, limit: u64) -> Option<u64> {
        let rate = self.rate?.min(limit);
        let pace = rate - self.dearest.min(rate / Self::DEAREST);
        let pace = if now < self.settles {
            pace >> self.slowed
        } else {
            pace
        };
        Some(pace.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 60;

    fn refused(tightening: &mut Tightening, now: u64, sent: u64) -> bool {
        let call = Refused {
            sent: Tick::from_nanos(sent),
            until: Tick::from_nanos(now + 5),
            units: 10,
            limit: 1_000,
            window: WINDOW,
        };
        tightening.refused(Tick::from_nanos(now), &call)
    }

    fn pace(tightening: &Tightening, now: u64) -> Option<u64> {
        tightening.pace(Tick::from_nanos(now), 1_000)
    }

    #[test]
    fn the_first_refusal_spaces_grants_at_the_limit_less_one_call() {
        let mut tightening = Tightening::default();
        assert_eq!(pace(&tightening, 0), None);
        assert!(refused(&mut tightening, 100, 90));
        assert_eq!(pace(&tightening, 100), Some(990));
        // A dearer call takes more off, up to a quarter.
        tightening.see(50);
        assert_eq!(pace(&tightening, 101), Some(950));
        tightening.see(900);
        assert_eq!(pace(&tightening, 102), Some(750));
        // A limit that news has lowered since is kept too.
        assert_eq!(tightening.pace(Tick::from_nanos(101), 500), Some(375));
    }

    #[test]
    fn a_burst_of_refusals_is_one_step() {
        let mut tightening = Tightening::default();
        assert!(refused(&mut tightening, 100, 90));
        assert!(!refused(&mut tightening, 101, 90));
        assert!(!refused(&mut tightening, 110, 100));
        assert_eq!(pace(&tightening, 110), Some(990));
    }

    #[test]
    fn while_the_provider_counts_what_was_sent_unspaced_a_refusal_only_slows() {
        let mut tightening = Tightening::default();
        assert!(refused(&mut tightening, 100, 90));
        assert!(!refused(&mut tightening, 120, 110));
        assert_eq!(pace(&tightening, 120), Some(495));
        assert_eq!(pace(&tightening, 105 + WINDOW), Some(990));
    }

    #[test]
    fn later_refusals_lower_the_rate_step_by_step_down_to_a_quarter() {
        let mut tightening = Tightening::default();
        assert!(refused(&mut tightening, 100, 90));
        assert!(refused(&mut tightening, 200, 190));
        assert_eq!(pace(&tightening, 200), Some(950));
        let steps = (0..100).filter(|i| refused(&mut tightening, 300 + i, 299 + i));
        assert_eq!(steps.count(), 33);
        assert_eq!(pace(&tightening, 500), Some(240));
    }
}
