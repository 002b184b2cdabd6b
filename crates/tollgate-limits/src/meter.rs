//! `Meter`: one policy's count in one partition, whatever its shape, with pauses and news from the provider.

mod carry;
mod learn;
mod look;

use alloc::boxed::Box;

use crate::{
    Tick,
    bucket::Bucket,
    mark::Mark,
    rare::{RareId, Rares},
    sliding::Sliding,
    terms::{Booked, Form, Terms},
    window::Window,
};

/// One line of the processor's cache, because a million of them are touched at random.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Meter {
    state: State,
    // Units of open reservations that are booked on completion; calls in flight for slots.
    held: u64,
    // All units ever charged, whoever used them, modulo 2^64: the difference to a `Mark` is what was learned since.
    learned: u64,
    pub(crate) rare: RareId,
    /// Which terms hold: those of its policy by the policy's index, or its own behind them.
    pub(crate) terms: u32,
    /// The lane whose labels name the partition, the lanes that lead here, and the table of partitions.
    pub(crate) owner: u32,
    pub(crate) lanes: u32,
    pub(crate) next: u32,
    pub(crate) hash: u32,
}

#[derive(Clone, Debug)]
enum State {
    Bucket(Bucket),
    Window(Box<Window>),
    Sliding(Box<Sliding>),
    Slots,
}

/// An open reservation, as a meter sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) seq: u64,
    pub(crate) at: Tick,
    pub(crate) units: u64,
}

impl Meter {
    pub(crate) const NOBODY: u32 = u32::MAX;

    pub(crate) fn new(terms: &Terms, index: u32) -> Self {
        Self {
            state: State::fresh(terms),
            held: 0,
            learned: 0,
            rare: RareId::NONE,
            terms: index,
            owner: Self::NOBODY,
            lanes: 0,
            next: Self::NOBODY,
            hash: 0,
        }
    }

    /// An empty place in the list, linked to the next one.
    pub(crate) const fn vacant(next: u32) -> Self {
        Self {
            state: State::Slots,
            held: 0,
            learned: 0,
            rare: RareId::NONE,
            terms: 0,
            owner: Self::NOBODY,
            lanes: 0,
            next,
            hash: 0,
        }
    }

    /// Charges a reservation that fits, and notes the books as it left them.
    #[inline(always)]
    pub(crate) fn reserve(
        &mut self,
        now: Tick,
        seq: u64,
        units: u64,
        terms: &Terms,
        rares: &mut Rares,
    ) -> Mark {
        let mark = if terms.manner.booked == Booked::Held {
            self.held += units;
            None
        } else {
            self.charge(now, units, Some(seq), terms, rares)
        };
        if !self.rare.is_none() || terms.spaces_grants() {
            self.pace(now, units, terms, rares);
        }
        let counted = mark.unwrap_or_else(|| self.counted(now, terms));
        Mark::new(counted, self.held.wrapping_sub(self.learned))
    }

    /// Replaces a reservation's units, which were `booked` so, by what was used.
    #[inline(always)]
    pub(crate) fn settle(
        &mut self,
        now: Tick,
        opened: Opened,
        used: u64,
        booked: Booked,
        terms: &Terms,
        rares: &mut Rares,
    ) {
        if booked == Booked::Held {
            self.held -= opened.units;
            if !matches!(self.state, State::Slots) {
                self.charge_later(now, used, terms, rares);
            }
            return;
        }
        if booked != Booked::Lump {
            let unused = opened.units.saturating_sub(used);
            let refund = if booked == Booked::Refunded {
                unused
            } else {
                0
            };
            self.close(now, opened, refund, terms, rares);
        }
        if used > opened.units {
            self.charge_later(now, used - opened.units, terms, rares);
            if !self.rare.is_none() {
                self.overran(used - opened.units, rares);
            }
        }
    }

    /// Charges what was not reserved.
    #[inline(never)]
    fn charge_later(&mut self, now: Tick, units: u64, terms: &Terms, rares: &mut Rares) {
        self.charge(now, units, None, terms, rares);
    }

    /// Ends a reservation that was never sent: as if it had not been made, as far as its charge has not aged out.
    #[inline]
    pub(crate) fn release(
        &mut self,
        now: Tick,
        opened: Opened,
        booked: Booked,
        terms: &Terms,
        rares: &mut Rares,
    ) {
        match booked {
            Booked::Held => self.held -= opened.units,
            Booked::Refunded | Booked::Kept => {
                self.close(now, opened, opened.units, terms, rares);
            }
            Booked::Lump => {}
        }
    }

    /// Charges what was used `at`, up to `now`, by calls that were not reserved here.
    pub(crate) fn book_past(
        &mut self,
        at: Tick,
        now: Tick,
        units: u64,
        terms: &Terms,
        rares: &mut Rares,
    ) {
        self.advance(now, terms);
        let is_over = match (&self.state, &terms.form) {
            (State::Window(window), Form::Window(frame)) => window.starts_after(at, now, frame),
            (State::Sliding(_), Form::Sliding(span)) => {
                span.free_at(at).is_some_and(|free| free <= now)
            }
            (State::Slots, _) => true,
            _ => false,
        };
        if !is_over {
            self.charge(now, units, None, terms, rares);
        }
    }

    /// Blocks grants until `until`; an earlier pause is never shortened. Afterwards grants are paced for one window.
    pub(crate) fn pause(&mut self, until: Tick, terms: &Terms, rares: &mut Rares) {
        if matches!(self.state, State::Slots) || until <= self.pause_end(rares) {
            return;
        }
        let rare = rares.get_or_take(&mut self.rare);
        rare.paused_until = until;
        rare.paced_until = until.plus_nanos(terms.window_nanos());
    }

    /// Forgets what is over by `now`.
    pub(crate) fn advance(&mut self, now: Tick, terms: &Terms) {
        match (&mut self.state, &terms.form) {
            (State::Window(window), Form::Window(frame)) => window.advance(now, frame),
            (State::Sliding(sliding), Form::Sliding(span)) => sliding.advance(now, span),
            _ => {}
        }
    }

    /// Charges units; in a bucket it returns the new level.
    #[inline(always)]
    fn charge(
        &mut self,
        now: Tick,
        units: u64,
        seq: Option<u64>,
        terms: &Terms,
        rares: &mut Rares,
    ) -> Option<i128> {
        if units == 0 {
            return None;
        }
        self.learned = self.learned.wrapping_add(units);
        if let (State::Bucket(bucket), Form::Bucket(rate)) = (&mut self.state, &terms.form) {
            let units = if seq.is_none() && bucket.overflows(now, units, rate) {
                // As below.
                units.min(u64::MAX - rate.used(bucket.level(now, rate)))
            } else {
                units
            };
            return Some(bucket.charge(now, units, seq, rate, (&mut self.rare, rares)));
        }
        self.charge_windowed(now, units, seq.is_some(), terms);
        None
    }

    #[inline(never)]
    fn charge_windowed(&mut self, now: Tick, units: u64, reserved: bool, terms: &Terms) {
        // An absurd usage must not overflow the books. Reservations are never cut: they fit.
        let capped = |used: u64| units.min(u64::MAX - used);
        match (&mut self.state, &terms.form) {
            (State::Window(window), Form::Window(frame)) => {
                window.advance(now, frame);
                window.charge(now, capped(window.used()), reserved, frame);
            }
            (State::Sliding(sliding), Form::Sliding(span)) => {
                sliding.advance(now, span);
                sliding.charge(now, capped(sliding.used()), span);
            }
            _ => {}
        }
    }

    #[inline(always)]
    fn close(&mut self, now: Tick, opened: Opened, refund: u64, terms: &Terms, rares: &mut Rares) {
        if opened.units == 0 {
            return;
        }
        if let (State::Bucket(bucket), Form::Bucket(rate)) = (&mut self.state, &terms.form) {
            if bucket.settle(now, opened.seq, refund, rate, (self.rare, rares)) {
                self.tidy(now, rate.window, rares);
            }
            return;
        }
        self.close_windowed(now, opened, refund, terms);
    }

    #[inline(never)]
    fn close_windowed(&mut self, now: Tick, opened: Opened, refund: u64, terms: &Terms) {
        match (&mut self.state, &terms.form) {
            (State::Window(window), Form::Window(frame)) => {
                window.advance(now, frame);
                window.settle(opened.at, opened.units, refund, frame);
            }
            (State::Sliding(sliding), Form::Sliding(span)) => {
                sliding.advance(now, span);
                sliding.refund(opened.at, refund);
            }
            _ => {}
        }
    }

    /// Gives back the rare part if it has become needless.
    fn tidy(&mut self, now: Tick, window: u64, rares: &mut Rares) {
        if let Some(rare) = rares.get(self.rare)
            && rare.is_past(now, window)
        {
            rares.give_back(&mut self.rare);
        }
    }
}

const MISMATCH: &str = "a meter has the shape of its terms";

impl State {
    fn fresh(terms: &Terms) -> Self {
        match &terms.form {
            Form::Bucket(rate) => Self::Bucket(Bucket::idle(rate)),
            Form::Window(_) => Self::Window(Box::default()),
            Form::Sliding(_) => Self::Sliding(Box::default()),
            Form::Slots(_) => Self::Slots,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_takes_one_line_of_the_cache() {
        assert_eq!(size_of::<Meter>(), 64);
    }
}
