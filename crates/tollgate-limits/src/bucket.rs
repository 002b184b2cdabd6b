//! The state of a continuously refilled bucket (GCRA), with exact refunds.

use crate::{Tick, layers::Layers};

/// Fixed numbers of a bucket; unit-nanoseconds are units times the window's nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Units per window, and so unit-nanoseconds drained per nanosecond.
    pub(crate) limit: u64,
    /// Units at one instant.
    pub(crate) burst: u64,
    pub(crate) window: u64,
    pub(crate) margin: u64,
}

impl Rate {
    fn scaled(&self, units: u64) -> i128 {
        i128::from(units) * i128::from(self.window)
    }

    /// What jitter can add at the provider: the refill of one margin.
    fn slack(&self) -> i128 {
        i128::from(self.limit) * i128::from(self.margin)
    }

    /// How far a reservation may fill the bucket.
    fn ceiling(&self) -> i128 {
        self.scaled(self.burst) - self.slack()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    // Unit-nanoseconds. Above zero: the sum of the layers. Below zero, down to minus the slack: how long it has been empty, which
    // lets a call of exactly the burst through once the bucket has been empty for the margin. A refund that empties it starts that
    // time anew, since it does not tell since when the bucket would have been empty.
    level: i128,
    at: Tick,
    layers: Layers,
}

impl Bucket {
    /// A bucket that nobody has used yet, and that has been empty long enough for a call of exactly the burst.
    pub(crate) fn idle(rate: &Rate) -> Self {
        Self {
            level: -rate.slack(),
            at: Tick::ZERO,
            layers: Layers::default(),
        }
    }

    /// Drains up to `now`; an earlier `now` than the latest seen drains nothing.
    pub(crate) fn advance(&mut self, now: Tick, rate: &Rate) {
        let elapsed = now.as_nanos().saturating_sub(self.at.as_nanos());
        if elapsed == 0 {
            return;
        }
        self.at = now;
        let before = self.level.max(0);
        self.level = (self.level - i128::from(elapsed) * i128::from(rate.limit)).max(-rate.slack());
        self.layers
            .drain((before - self.level.max(0)).unsigned_abs());
    }

    /// The earliest instant at which `units` more fit beside `held` units in flight; `None` if that takes a settlement or longer
    /// than time lasts. The state must have been advanced.
    pub(crate) fn fit(&self, units: u64, held: u64, rate: &Rate) -> Option<Tick> {
        let wanted = units.saturating_add(held);
        if wanted > rate.burst {
            return None;
        }
        let over = (self.level + rate.scaled(wanted) - rate.ceiling()).max(0);
        // Rounded up, against the caller: at the instant named, the units fit.
        let wait = over.unsigned_abs().div_ceil(u128::from(rate.limit));
        self.at.checked_plus_nanos(u64::try_from(wait).ok()?)
    }

    /// Units that a call could take now.
    pub(crate) fn room(&self, held: u64, rate: &Rate) -> u64 {
        let free = (rate.ceiling() - self.level).max(0).unsigned_abs();
        // Rounded down, against the caller.
        let units = u64::try_from(free / u128::from(rate.window)).unwrap_or(u64::MAX);
        units.min(rate.burst).saturating_sub(held)
    }

    /// Charges `units`, refundable by the open reservation `seq` if one is given.
    pub(crate) fn charge(&mut self, units: u64, seq: Option<u64>, rate: &Rate) {
        let scaled = rate.scaled(units);
        if units > 0 {
            self.level = self.level.max(0) + scaled;
        }
        match seq {
            Some(seq) => self.layers.open(seq, scaled.unsigned_abs()),
            None => self.layers.charge(scaled.unsigned_abs()),
        }
    }

    /// Ends the reservation `seq` and gives back `refund` units, as far as they have not drained.
    pub(crate) fn settle(&mut self, seq: u64, refund: u64, rate: &Rate) {
        let fell = self.layers.settle(seq, rate.scaled(refund).unsigned_abs());
        self.level -= i128::try_from(fell).unwrap_or(i128::MAX);
    }

    /// Units in the bucket, rounded up against the caller.
    pub(crate) fn used(&self, rate: &Rate) -> u64 {
        let level = self.level.max(0).unsigned_abs();
        u64::try_from(level.div_ceil(u128::from(rate.window))).unwrap_or(u64::MAX)
    }

    pub(crate) fn check_invariants(&self) {
        debug_assert_eq!(
            self.layers.level(),
            self.level.max(0).unsigned_abs(),
            "the layers add up to the level"
        );
    }
}
