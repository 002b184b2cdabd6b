//! `Tightening`: what a policy learns from a 429 that its books did not foresee, and how it finds its way back.
//!
//! The books foresee every refusal of a provider whose rule is the one that the policy assumes. Where they do not, the rule is
//! another: a sliding counter, slices of the window, a smaller burst, a lower limit, clocks that differ by more than the margin. All
//! of these are met by the same two things, even spacing and a lower limit, so there is one ladder, and the policy stands on one of
//! its rungs:
//!
//! | rung | grants |
//! | --- | --- |
//! | 0 | are free |
//! | 1 to 6 | are spaced, but may run ahead by a window, half a window, ... a thirty-second |
//! | 7 | are spaced one by one at the limit less the dearest call: safe against logs, windows and sliding counters of any phase |
//! | 8 and above | the same at a rate that is lower by a twenty-fifth for each, down to a quarter of the limit |
//!
//! **Up.** The first refusal leads to rung 7, each further burst of them to the next. Calls sent before a step say nothing about it, so
//! a burst is one step. For a window after the first step the provider still counts what was sent unspaced: a refusal then only slows
//! the grants until that window has passed.
//!
//! **Down.** Perhaps there was another cause, such as another program for a while, and it has gone. So after two windows without a
//! refusal a lower rung is tried, and as long as that goes well the strides double. A window counts once half of its units have been
//! granted close behind one another, for only then has the rung been tried. What a rung lets run ahead grows over two windows, so that
//! a try that fails costs a call or two and not a burst.
//!
//! **A try that fails** leads back to where it began. The next one is put off until [`BUDGET`] calls have
//! passed for each that was refused, and the rung that has failed is tried again, one rung at a time, only after twice as many windows as
//! before.

use crate::Tick;

/// Calls let through per refusal that a try may cost, once one has failed: 0.05 %.
const BUDGET: u64 = 2_000;

/// What is remembered of one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tightening {
    /// Units per window that the policy was told to keep to: its rung 0 is there, and the next ones are slower.
    told: Option<u64>,
    rung: u8,
    /// Where it was when this climb down began: the rung that a failed try leads back to.
    base: u8,
    /// The rung that was tried last, and from where.
    from: u8,
    /// When that was, or when it became free.
    eased: Tick,
    /// Rungs of the next try.
    stride: u8,
    /// Tries that have failed, and the highest rung of them.
    fails: u8,
    failed: u8,
    /// Units of the dearest call since the first step.
    dearest: u64,
    /// The same at the last step.
    dearest_then: u64,
    /// Calls sent until then are not evidence against the present rung.
    since: Tick,
    /// Until then the provider may count what was sent before the first step or in a failed try.
    settles: Tick,
    /// How often the pace is halved until then.
    slowed: u8,
    /// Calls refused in the last burst.
    refused: u32,
    /// Calls granted since.
    calls: u64,
    /// When the present window of evidence began, the units granted close behind one another in it, and such windows before it.
    looked: Tick,
    close: u64,
    windows: u32,
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

/// A call that was granted, under a quota.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    pub(crate) units: u64,
    /// Whether it came as close behind the one before it as the rung lets it.
    pub(crate) close: bool,
    pub(crate) limit: u64,
    pub(crate) window: u64,
}

impl Tightening {
    /// Where grants are spaced at the limit.
    const SPACED: u8 = 7;
    /// Of the rate, what a rung takes: a twenty-fifth.
    const STEP: u64 = 25;
    /// Of the limit, what is never taken: a quarter. Whatever is refused even then is not about spacing.
    const FLOOR: u64 = 4;
    /// Of the limit, what is taken off for the dearest call at most: a quarter, so that one odd call does not slow all others for ever.
    const DEAREST: u64 = 4;
    const MOST_SLOWED: u8 = 4;
    /// Windows until a try.
    const PATIENCE: u32 = 2;
    /// Doublings of that at most.
    const MOST_FAILS: u8 = 12;
    /// Highest rung; a quarter of the limit is reached before.
    const HIGHEST: u8 = 64;

    /// One that spaces grants at `pace` units per window from the start.
    pub(crate) fn told(pace: u64) -> Self {
        Self {
            told: Some(pace),
            ..Self::default()
        }
    }

    /// One that is taken up on a rung that was learned earlier, with so many failed tries.
    pub(crate) fn on(told: Option<u64>, rung: u8, fails: u8, dearest: u64) -> Self {
        let rung = rung.min(Self::HIGHEST);
        let fails = fails.min(Self::MOST_FAILS);
        Self {
            told,
            rung,
            base: rung,
            stride: 1,
            fails,
            failed: if fails > 0 { rung.saturating_sub(1) } else { 0 },
            refused: 1,
            dearest,
            dearest_then: dearest,
            ..Self::default()
        }
    }

    /// What is to be remembered of it: the rung that has proven itself, and how many tries have failed.
    pub(crate) const fn proven(&self) -> (u8, u8) {
        (self.base, self.fails)
    }

    /// Units per window that it was told.
    pub(crate) const fn pace_told(&self) -> Option<u64> {
        self.told
    }

    /// Learns that a call was refused. Returns whether it was a step.
    pub(crate) fn refused(&mut self, now: Tick, call: &Refused) -> bool {
        let settled = call.until.max(now).plus_nanos(call.window);
        if self.rung == 0 {
            return self.begin(now, call, settled);
        }
        if call.sent <= self.since {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        self.since = now;
        self.starts_over(now);
        if call.sent < self.settles {
            self.slowed = (self.slowed + 1).min(Self::MOST_SLOWED);
            return false;
        }
        if self.rung < self.base {
            self.fail();
            if self.rung < self.first() {
                // What ran ahead is still counted.
                self.settles = settled;
                self.slowed = 1;
            }
            self.rung = self.base;
            return true;
        }
        if self.dearest > self.dearest_then {
            // The pace has become lower since the last step: first see what comes of that.
            self.dearest_then = self.dearest;
            return true;
        }
        let before = self.rate(call.limit);
        self.rung = (self.rung + 1).min(Self::HIGHEST);
        if self.rate(call.limit) == before {
            self.rung -= 1;
            return false;
        }
        self.base = self.rung;
        self.from = self.rung;
        self.stride = 1;
        true
    }

    /// The first refusal, or the first after all has been eased.
    fn begin(&mut self, now: Tick, call: &Refused, settled: Tick) -> bool {
        if call.sent <= self.since && self.since > Tick::ZERO {
            return false;
        }
        // Having been free for long is not a try any more.
        let tried = u64::from(Self::PATIENCE) << (self.fails + 2).min(Self::MOST_FAILS);
        let recently = self.eased.plus_nanos(call.window.saturating_mul(tried));
        if self.eased > Tick::ZERO && now < recently {
            self.fail();
            self.rung = self.base.max(self.first());
        } else {
            *self = Self {
                told: self.told,
                stride: 1,
                ..Self::default()
            };
            self.rung = self.first();
        }
        self.base = self.rung;
        self.from = self.rung;
        self.since = now;
        if self.told.is_none() {
            self.dearest = call.units;
            self.dearest_then = call.units;
            self.settles = settled;
        }
        self.slowed = 0;
        self.starts_over(now);
        true
    }

    fn fail(&mut self) {
        self.fails = (self.fails + 1).min(Self::MOST_FAILS);
        self.failed = self.failed.max(self.rung);
        self.stride = 1;
    }

    /// Whatever was granted up to now is no evidence any more.
    const fn starts_over(&mut self, now: Tick) {
        self.refused = 1;
        self.calls = 0;
        self.windows = 0;
        self.close = 0;
        self.looked = now;
    }

    /// Notes a grant. Returns whether a lower rung is tried from now on.
    pub(crate) fn granted(&mut self, now: Tick, call: &Granted) -> bool {
        if self.told.is_none() {
            self.dearest = self.dearest.max(call.units);
        }
        self.calls = self.calls.saturating_add(1);
        if call.close {
            self.close = self.close.saturating_add(call.units);
        }
        if now < self.settles {
            self.looked = now;
            self.close = 0;
            return false;
        }
        let half = self.pace(now, call.limit).unwrap_or(call.limit) / 2;
        if now < self.looked.plus_nanos(call.window) || self.close < half {
            return false;
        }
        (self.looked, self.close) = (now, 0);
        self.windows += 1;
        let next = match self.rung {
            0 | 1 => 0,
            // Not past what has failed.
            rung if rung > self.failed => rung
                .saturating_sub(self.stride.max(1))
                .max(1)
                .max(self.failed),
            rung => rung - 1,
        };
        let spent = BUDGET.saturating_mul(self.refused.into());
        let patience = if self.fails > 0 && next <= self.failed {
            Self::PATIENCE << self.fails
        } else {
            Self::PATIENCE
        };
        if self.windows < patience || self.fails > 0 && self.calls < spent {
            return false;
        }
        if self.rung <= self.failed {
            // What has failed once has gone well for long.
            self.failed = 0;
        }
        self.from = self.rung;
        self.rung = next;
        self.eased = now;
        self.windows = 0;
        self.stride = if self.failed == 0 {
            self.stride.max(1).saturating_mul(2)
        } else {
            1
        };
        true
    }

    /// The first rung that a refusal leads to.
    const fn first(&self) -> u8 {
        if self.told.is_some() { 1 } else { Self::SPACED }
    }

    /// Whether grants are spaced.
    pub(crate) const fn is_on(&self) -> bool {
        self.rung > 0 || self.told.is_some()
    }

    /// Whether there is something that grants are evidence about.
    pub(crate) const fn is_learned(&self) -> bool {
        self.rung > 0
    }

    /// Units of the dearest call since the first step; zero before.
    pub(crate) const fn dearest(&self) -> u64 {
        self.dearest
    }

    /// Units per window of the rung under a quota of `limit`, before the dearest call is taken off.
    fn rate(&self, limit: u64) -> u64 {
        let (mut rate, steps) = match self.told {
            Some(pace) => (pace.min(limit), self.rung),
            None => (limit, self.rung.saturating_sub(Self::SPACED)),
        };
        let floor = (limit / Self::FLOOR).max(1).min(rate);
        for _ in 0..steps {
            rate = (rate - rate.div_ceil(Self::STEP)).max(floor);
        }
        rate
    }

    /// Units per window at which grants are spaced at `now`, under a quota of `limit`; `None`: they are not.
    pub(crate) fn pace(&self, now: Tick, limit: u64) -> Option<u64> {
        if !self.is_on() {
            return None;
        }
        let rate = self.rate(limit);
        let pace = rate - self.dearest.min(rate / Self::DEAREST);
        let pace = if now < self.settles {
            pace >> self.slowed
        } else {
            pace
        };
        Some(pace.max(1))
    }

    /// By how many nanoseconds grants may run ahead of that pace.
    pub(crate) fn slack(&self, now: Tick, window: u64) -> u64 {
        if now < self.settles {
            return 0;
        }
        let (from, to) = (
            self.slack_of(self.from, window),
            self.slack_of(self.rung, window),
        );
        let since = now.since(self.eased).as_nanos();
        let span = u128::from(window.max(1)) * u128::from(Self::PATIENCE);
        if to <= from || since >= span {
            return to;
        }
        let grown = u128::from(to - from) * since / span;
        from + u64::try_from(grown).unwrap_or(u64::MAX)
    }

    const fn slack_of(&self, rung: u8, window: u64) -> u64 {
        if self.told.is_some() || rung >= Self::SPACED || rung == 0 {
            0
        } else {
            window >> (rung - 1)
        }
    }
}

#[cfg(test)]
mod tests;
