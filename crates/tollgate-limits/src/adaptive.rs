//! `Climb`: how an adaptive policy finds a limit that nobody has told.
//!
//! Additive increase and multiplicative decrease, as TCP does it, wastes what is between the teeth of its saw. What it does not use is
//! that a refusal tells nearly exactly where the limit is: the books know how much had been admitted when it came. So this climbs like
//! CUBIC instead: it doubles until the first refusal, remembers the use at which that came as the ceiling, goes back a little below it,
//! closes half of the gap in each window, rests there, and only now and then tries a little above.
//!
//! - One cut for a burst: calls sent before a cut say nothing about it. A refusal soon after a cut, of a call sent after it, cuts more:
//!   the ceiling was too high, as it is where a bucket's burst had been saved up.
//! - It grows only while at least half of the limit is used; else nothing would have tried it.
//! - Its grants are spaced at the limit, so that a step too far costs a few calls and not a whole window's.

use crate::Tick;

/// The limit's bounds, and what was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Climb {
    floor: u64,
    ceiling: u64,
    /// The use at which the provider refused.
    failed: Option<u64>,
    /// Calls sent until then are not evidence against the present limit.
    since: Tick,
    /// When the limit was changed or confirmed last.
    looked: Tick,
    /// Units granted since.
    granted: u64,
    /// Whether the last change of slots was one more.
    by_one: bool,
    /// How often the limit just below the ceiling was confirmed.
    calm: u8,
    /// Where the search goes on, if an earlier one is known; only in what the meters of a policy begin with.
    start: Option<u64>,
}

impl Climb {
    /// Of the ceiling, what is left free below it after a cut: a thirty-second.
    const BELOW: u64 = 32;
    /// Of the limit, what a further cut takes: a twelfth.
    const FURTHER: u64 = 12;
    /// Of the limit, what one refusal takes at most: a half.
    const MOST: u64 = 2;
    /// Windows of calm until it tries a little more than what failed.
    const PATIENCE: u8 = 8;
    /// Of the ceiling, how much more: a thirty-second.
    const MORE: u64 = 32;

    pub(crate) const fn new(floor: u64, ceiling: u64) -> Self {
        Self {
            floor,
            ceiling,
            failed: None,
            since: Tick::ZERO,
            looked: Tick::ZERO,
            granted: 0,
            by_one: false,
            calm: 0,
            start: None,
        }
    }

    /// The same as if it had searched before, had been refused at `failed` and had ended at `limit`.
    pub(crate) fn taken_up(self, limit: u64, failed: u64) -> Self {
        let limit = limit.clamp(self.floor, self.ceiling);
        Self {
            failed: Some(failed.max(limit)),
            start: Some(limit),
            ..self
        }
    }

    /// Where the search goes on.
    pub(crate) const fn start(&self) -> Option<u64> {
        self.start
    }

    /// The use at which the provider refused.
    pub(crate) const fn failed(&self) -> Option<u64> {
        self.failed
    }

    /// Learns that a call, reserved at `sent`, was refused while `used` units of the quota were in use beside it. Returns the new limit
    /// if it was a cut.
    pub(crate) fn refused(
        &mut self,
        now: Tick,
        sent: Tick,
        used: u64,
        limit: u64,
        window: u64,
    ) -> Option<u64> {
        if sent <= self.since && self.since > Tick::ZERO {
            return None;
        }
        if window == 0 {
            return Some(self.too_many(now, limit));
        }
        let soon =
            self.since > Tick::ZERO && sent <= self.since.plus_nanos(window.saturating_mul(2));
        let ceiling = used.clamp(limit - limit / Self::MOST, limit);
        let lower = if soon {
            limit - limit.div_ceil(Self::FURTHER)
        } else {
            ceiling - ceiling.div_ceil(Self::BELOW)
        };
        self.failed = Some(if soon { lower } else { ceiling });
        self.since = now;
        self.looked = now;
        self.granted = 0;
        self.calm = 0;
        Some(lower.min(limit - 1).clamp(self.floor, self.ceiling))
    }

    /// The same for slots: how many of the calls in flight would have been refused too is not known, but after a step of one.
    fn too_many(&mut self, now: Tick, limit: u64) -> u64 {
        let lower = if self.by_one { limit - 1 } else { limit / 2 };
        self.failed = Some(if self.by_one { lower } else { limit });
        self.by_one = false;
        self.since = now;
        self.granted = 0;
        self.calm = 0;
        lower.clamp(self.floor, self.ceiling)
    }

    /// Counts a grant of `units`. Returns the new limit once a window has passed in which at least half of it was used.
    pub(crate) fn granted(
        &mut self,
        now: Tick,
        units: u64,
        limit: u64,
        window: u64,
    ) -> Option<u64> {
        self.granted = self.granted.saturating_add(units);
        let round = match (window, self.failed) {
            // Slots have no window: a round is so many calls for each.
            (0, None) => self.granted >= limit.saturating_mul(2),
            (0, Some(failed)) if failed == limit => self.granted >= limit.saturating_mul(64),
            (0, Some(_)) => self.granted >= limit.saturating_mul(8),
            _ => now >= self.looked.plus_nanos(window),
        };
        if !round {
            return None;
        }
        let busy = self.granted >= limit / 2;
        self.looked = now;
        self.granted = 0;
        if window == 0 {
            self.by_one = self.failed.is_some();
            let higher = if self.by_one { limit + 1 } else { limit * 2 };
            return Some(higher.min(self.ceiling)).filter(|higher| *higher > limit);
        }
        busy.then(|| self.higher(limit).clamp(self.floor, self.ceiling))
            .filter(|higher| *higher > limit)
    }

    fn higher(&mut self, limit: u64) -> u64 {
        let Some(failed) = self.failed else {
            return limit.saturating_mul(2);
        };
        let below = failed - failed.div_ceil(Self::BELOW * 2);
        if limit < below {
            return limit + (below - limit).div_ceil(2);
        }
        self.calm += 1;
        if self.calm < Self::PATIENCE {
            return limit;
        }
        self.calm = 0;
        let more = failed.saturating_add(failed.div_ceil(Self::MORE));
        self.failed = Some(more);
        more
    }
}
