//! The state of a continuously refilled bucket (GCRA), with exact refunds.

use crate::{
    Tick,
    layers::{Layers, rescaled},
    rare::{RareId, Rares},
};

/// Fixed numbers of a bucket; unit-nanoseconds are units times the window's nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Units per window, and so unit-nanoseconds drained per nanosecond.
    pub(crate) limit: u64,
    /// Units at one instant.
    pub(crate) burst: u64,
    pub(crate) window: u64,
    pub(crate) margin: u64,
    // What jitter can add at the provider: the refill of one margin.
    slack: i128,
    // How far a reservation may fill the bucket.
    ceiling: i128,
}

impl Rate {
    pub(crate) const fn new(limit: u64, burst: u64, window: u64, margin: u64) -> Self {
        let slack = product(limit, margin);
        Self {
            limit,
            burst,
            window,
            margin,
            slack,
            ceiling: product(burst, window) - slack,
        }
    }

    pub(crate) fn limited(&self, limit: u64) -> Self {
        Self::new(limit, self.burst.min(limit), self.window, self.margin)
    }

    #[inline]
    pub(crate) const fn scaled(&self, units: u64) -> i128 {
        product(units, self.window)
    }

    /// The highest level at which `wanted` units, of those that ever fit, do.
    pub(crate) const fn threshold(&self, wanted: u64) -> i128 {
        self.ceiling - self.scaled(wanted)
    }

    /// What drains from the origin of time to `now`.
    #[inline]
    const fn drained(&self, now: Tick) -> i128 {
        product(self.limit, now.as_nanos())
    }

    /// The level of a bucket that has been empty for the margin.
    pub(crate) const fn idle(&self) -> i128 {
        -self.slack
    }

    /// Units of a level, rounded up against the caller.
    pub(crate) fn used(&self, level: i128) -> u64 {
        let level = level.max(0).unsigned_abs();
        u64::try_from(level.div_ceil(u128::from(self.window))).unwrap_or(u64::MAX)
    }
}

/// How full a bucket is. The level in unit-nanoseconds at some instant is what was `poured`, less the limit times the instant:
/// so a bucket that nobody touches needs no upkeep.
///
/// Above zero the level is the sum of the layers. Below zero, down to minus the slack, it tells how long the bucket has been empty,
/// which lets a call of exactly the burst through once that is the margin. A refund that empties it starts that time anew, since
/// it does not tell since when the bucket would have been empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    // An i128 in two halves, the upper one first, so that a bucket has the alignment of a u64.
    poured: [u64; 2],
    // Open reservations of at least one unit.
    open: u32,
    // Whether the level is cut into layers, which the meter's rare part keeps. (Also where the meter's state keeps its tag.)
    layered: bool,
}

impl Bucket {
    /// A bucket that nobody has used yet, and that has been empty long enough for a call of exactly the burst.
    pub(crate) const fn idle(rate: &Rate) -> Self {
        let mut bucket = Self {
            poured: [0; 2],
            open: 0,
            layered: false,
        };
        bucket.set(rate.idle());
        bucket
    }

    /// Unit-nanoseconds at `now`.
    #[inline]
    pub(crate) fn level(&self, now: Tick, rate: &Rate) -> i128 {
        (self.poured() - rate.drained(now)).max(-rate.slack)
    }

    pub(crate) fn set_level(&mut self, now: Tick, level: i128, rate: &Rate) {
        self.set(level + rate.drained(now));
    }

    pub(crate) const fn open(&self) -> u32 {
        self.open
    }

    /// Whether `wanted` units fit now, those in flight among them.
    #[inline]
    pub(crate) fn fits(&self, now: Tick, wanted: u64, rate: &Rate) -> bool {
        // However long it has been empty, the room is no more than the burst.
        wanted <= rate.burst && self.poured() - rate.drained(now) <= rate.threshold(wanted)
    }

    /// The earliest instant at which `wanted` units fit, those in flight among them; `None` if that takes a settlement or longer
    /// than time lasts.
    #[inline(never)]
    pub(crate) fn fit(&self, wanted: u64, rate: &Rate) -> Option<Tick> {
        if wanted > rate.burst {
            return None;
        }
        let over = self.poured() - rate.threshold(wanted);
        Some(Tick::from_nanos(ticks(over, rate.limit)?))
    }

    /// Units that a call could take now, beside `held` units in flight.
    pub(crate) fn room(&self, now: Tick, held: u64, rate: &Rate) -> u64 {
        let free = (rate.ceiling - self.level(now, rate)).max(0).unsigned_abs();
        // Rounded down, against the caller.
        let units = u64::try_from(free / u128::from(rate.window)).unwrap_or(u64::MAX);
        units.min(rate.burst).saturating_sub(held)
    }

    /// Charges `units`, at least one, refundable by the open reservation `seq` if one is given. Returns the new level.
    #[inline]
    pub(crate) fn charge(
        &mut self,
        now: Tick,
        units: u64,
        seq: Option<u64>,
        rate: &Rate,
        (rare, rares): (&mut RareId, &mut Rares),
    ) -> i128 {
        let (drained, scaled) = (rate.drained(now), rate.scaled(units));
        let poured = self.poured().max(drained);
        if self.open > 0 {
            let level = (poured - drained).unsigned_abs();
            let layers = &mut rares.get_or_take(rare).layers;
            layers.pour(level, self.open, scaled.unsigned_abs(), seq);
            self.layered = true;
        }
        self.open += u32::from(seq.is_some());
        self.set(poured + scaled);
        poured + scaled - drained
    }

    /// Ends the reservation `seq` of at least one unit and gives back `refund` units, as far as they have not drained. Whether layers
    /// have become needless.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        now: Tick,
        seq: u64,
        refund: u64,
        rate: &Rate,
        (rare, rares): (RareId, &mut Rares),
    ) -> bool {
        let level = (self.poured() - rate.drained(now)).max(0);
        let refund = rate.scaled(refund);
        self.open -= 1;
        if !self.layered {
            self.set(self.poured() - refund.min(level));
            return false;
        }
        let (fell, layered) = rares.get_mut(rare).map_or((0, false), |rare| {
            let (level, refund) = (level.unsigned_abs(), refund.unsigned_abs());
            let fell = rare.layers.settle_at(level, seq, refund);
            (fell.cast_signed(), !rare.layers.are_plain())
        });
        self.set(self.poured() - fell);
        self.layered = layered;
        !layered
    }

    /// Takes on other terms: the level keeps its units, rounded up, and the time for which it has been empty.
    pub(crate) fn change(
        &mut self,
        now: Tick,
        old: &Rate,
        new: &Rate,
        layers: Option<&mut Layers>,
    ) {
        if old == new {
            return;
        }
        let level = self.level(now, old);
        let level = if level == old.idle() {
            new.idle()
        } else if level < 0 {
            // Rounded down, against the caller.
            let empty = level.unsigned_abs() / u128::from(old.limit);
            let empty = u64::try_from(empty).unwrap_or(u64::MAX);
            (-product(new.limit, empty)).max(new.idle())
        } else {
            let level = level.unsigned_abs();
            rescaled(level, old.window, new.window).cast_signed()
        };
        let level = match layers {
            Some(layers) if self.layered => {
                let was = self.level(now, old).max(0).unsigned_abs();
                let is = layers.rescale(was, old.window, new.window);
                // Each layer is rounded up.
                if is > 0 { is.cast_signed() } else { level }
            }
            _ => level,
        };
        self.set_level(now, level, new);
    }

    /// Whether `units` more could not be counted.
    pub(crate) fn overflows(&self, now: Tick, units: u64, rate: &Rate) -> bool {
        self.level(now, rate) > rate.scaled(u64::MAX - units)
    }

    /// The same level with nobody's refund in sight.
    pub(crate) const fn without_open(mut self) -> Self {
        self.open = 0;
        self.layered = false;
        self
    }

    #[inline]
    pub(crate) const fn poured(&self) -> i128 {
        let [high, low] = self.poured;
        ((high as u128) << 64 | low as u128).cast_signed()
    }

    #[inline]
    pub(crate) const fn set(&mut self, poured: i128) {
        let poured = poured.cast_unsigned();
        self.poured = [(poured >> 64) as u64, poured as u64];
    }
}

/// The nanoseconds in which `over` unit-nanoseconds drain, rounded up, against the caller: at the instant named, the units fit.
pub(crate) fn ticks(over: i128, limit: u64) -> Option<u64> {
    let over = over.max(0).unsigned_abs();
    match u64::try_from(over) {
        // A division of 128 bits is slow.
        Ok(over) => Some(over.div_ceil(limit)),
        Err(_) => u64::try_from(over.div_ceil(u128::from(limit))).ok(),
    }
}

#[inline]
const fn product(a: u64, b: u64) -> i128 {
    // At most 2^122: a debt of 2^64 units in the longest window.
    (a as u128 * b as u128).cast_signed()
}
