//! What a meter answers: whether and when a call fits, what is used, and what holds it back.

use super::{MISMATCH, Meter, State};
use crate::{
    Tick,
    rare::{Rare, Rares},
    terms::{Form, Terms},
};

impl Meter {
    /// Whether `units` more fit now.
    #[inline]
    pub(crate) fn fits(&mut self, now: Tick, units: u64, terms: &Terms, rares: &Rares) -> bool {
        let mut wanted = units.saturating_add(self.held);
        if !self.rare.is_none() {
            if self.held_back_until(rares) > now {
                return false;
            }
            wanted = wanted.saturating_add(self.headroom(now, units, terms, rares));
        }
        if units == 0 {
            return true;
        }
        if let (State::Bucket(bucket), Form::Bucket(rate)) = (&self.state, &terms.form) {
            return bucket.fits(now, wanted, rate);
        }
        self.fits_windowed(now, wanted, terms)
    }

    #[inline(never)]
    fn fits_windowed(&mut self, now: Tick, wanted: u64, terms: &Terms) -> bool {
        match (&mut self.state, &terms.form) {
            (State::Sliding(sliding), Form::Sliding(span)) => {
                sliding.advance(now, span);
                sliding.used().saturating_add(wanted) <= span.limit
            }
            (State::Window(window), Form::Window(frame)) => {
                window.advance(now, frame);
                window.fit(now, wanted, frame) == Some(now)
            }
            (State::Slots, Form::Slots(limit)) => wanted <= *limit,
            _ => unreachable!("{MISMATCH}"),
        }
    }

    /// The earliest instant from `from` on at which `units` more fit if nothing else is charged; `None` if that takes a
    /// settlement or longer than time lasts. The state must have been advanced, to no later than `from`.
    pub(crate) fn fit(&self, from: Tick, units: u64, terms: &Terms, rares: &Rares) -> Option<Tick> {
        self.fit_beside(from, units, self.held, terms, rares)
    }

    /// The same beside `held` units in flight.
    pub(crate) fn fit_beside(
        &self,
        from: Tick,
        units: u64,
        held: u64,
        terms: &Terms,
        rares: &Rares,
    ) -> Option<Tick> {
        let from = from.max(self.held_back_until(rares));
        if units == 0 {
            return Some(from);
        }
        let wanted = units
            .saturating_add(held)
            .saturating_add(self.headroom(from, units, terms, rares));
        match (&self.state, &terms.form) {
            (State::Bucket(bucket), Form::Bucket(rate)) => {
                bucket.fit(wanted, rate).map(|at| at.max(from))
            }
            (State::Window(window), Form::Window(frame)) => window.fit(from, wanted, frame),
            (State::Sliding(sliding), Form::Sliding(span)) => sliding.fit(from, wanted, span),
            (State::Slots, Form::Slots(limit)) => (wanted <= *limit).then_some(from),
            _ => unreachable!("{MISMATCH}"),
        }
    }

    /// Whether a call of so many units is refused because they are spent: no settlement of a call in flight can make room.
    pub(crate) fn is_spent(&self, now: Tick, units: u64, terms: &Terms) -> bool {
        terms.refuses && units > 0 && self.used(now, terms).saturating_add(units) > terms.capacity()
    }

    /// Units that could be granted now if no 429 held them back. The state must have been advanced.
    pub(crate) fn room(&self, now: Tick, terms: &Terms, rares: &Rares) -> u64 {
        let headroom = self.headroom(now, 0, terms, rares);
        let held = self.held.saturating_add(headroom);
        match (&self.state, &terms.form) {
            (State::Bucket(bucket), Form::Bucket(rate)) => bucket.room(now, held, rate),
            (State::Window(window), Form::Window(frame)) => window.room(now, held, frame),
            (State::Sliding(sliding), Form::Sliding(span)) => sliding.room(held, span),
            (State::Slots, Form::Slots(limit)) => limit.saturating_sub(self.held),
            _ => unreachable!("{MISMATCH}"),
        }
    }

    /// When the pause and the pacing after it next let a call through.
    pub(crate) fn held_back_until(&self, rares: &Rares) -> Tick {
        rares
            .get(self.rare)
            .map_or(Tick::ZERO, Rare::held_back_until)
    }

    /// The end of the latest pause.
    pub(crate) fn pause_end(&self, rares: &Rares) -> Tick {
        rares
            .get(self.rare)
            .map_or(Tick::ZERO, |rare| rare.paused_until)
    }

    /// The end of the pacing after it.
    pub(crate) fn pace_end(&self, rares: &Rares) -> Tick {
        rares.get(self.rare).map_or(Tick::ZERO, Rare::spaced_until)
    }

    /// Units counted now, without those held in flight; above the limit when in debt. The state must have been advanced.
    pub(crate) fn used(&self, now: Tick, terms: &Terms) -> u64 {
        match (&self.state, &terms.form) {
            (State::Bucket(bucket), Form::Bucket(rate)) => rate.used(bucket.level(now, rate)),
            (State::Window(window), _) => window.used(),
            (State::Sliding(sliding), _) => sliding.used(),
            _ => 0,
        }
    }

    pub(crate) const fn held(&self) -> u64 {
        self.held
    }

    /// Unit-nanoseconds in a bucket, otherwise units.
    #[inline(never)]
    pub(super) fn counted(&self, now: Tick, terms: &Terms) -> i128 {
        match (&self.state, &terms.form) {
            (State::Bucket(bucket), Form::Bucket(rate)) => bucket.level(now, rate),
            _ => self.used(now, terms).into(),
        }
    }

    pub(crate) fn check_invariants(&self, now: Tick, terms: &Terms, rares: &Rares) {
        match (&self.state, &terms.form) {
            (State::Bucket(bucket), Form::Bucket(rate)) => {
                let level = bucket.level(now, rate).max(0).unsigned_abs();
                if let Some(rare) = rares.get(self.rare) {
                    rare.layers.check_invariants(level, bucket.open());
                }
            }
            (State::Window(window), _) => window.check_invariants(),
            (State::Sliding(sliding), _) => sliding.check_invariants(),
            _ => {}
        }
    }
}
