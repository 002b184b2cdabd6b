//! What of a meter is carried elsewhere: to other terms, or into a forecast; and when nothing need be.

use super::{Meter, State};
use crate::{
    Tick,
    rare::{RareId, Rares},
    terms::{Form, Terms},
    window::Frame,
};

impl Meter {
    /// A copy to try calls on: it counts the same, and knows of no open reservations but by what they hold.
    pub(crate) fn without_open(&self, rares: &Rares, own: &mut Rares) -> Self {
        let mut copy = self.clone();
        copy.rare = rares
            .get(self.rare)
            .map_or(RareId::NONE, |rare| own.copy_pauses(rare));
        if let State::Bucket(bucket) = &mut copy.state {
            *bucket = bucket.without_open();
        }
        copy
    }

    /// What has been poured into a bucket.
    pub(crate) const fn poured(&self) -> Option<i128> {
        match &self.state {
            State::Bucket(bucket) => Some(bucket.poured()),
            _ => None,
        }
    }

    pub(crate) const fn set_poured(&mut self, poured: i128) {
        if let State::Bucket(bucket) = &mut self.state {
            bucket.set(poured);
        }
    }

    /// From when on a fixed window admits nothing before the next one.
    pub(crate) fn open_until(&self, now: Tick, frame: &Frame) -> Option<Tick> {
        match &self.state {
            State::Window(window) => window.open_until(now, frame),
            _ => None,
        }
    }

    /// Whether one that nobody has used yet would answer alike from `now` on, provided that no reservation is open.
    pub(crate) fn is_fresh(&mut self, now: Tick, terms: &Terms, rares: &Rares) -> bool {
        self.advance(now, terms);
        let idle = match (&self.state, &terms.form) {
            (State::Bucket(bucket), Form::Bucket(rate)) => {
                bucket.open() == 0 && bucket.level(now, rate) == rate.idle()
            }
            (State::Window(window), Form::Window(frame)) => window.is_fresh(frame),
            (State::Sliding(sliding), _) => sliding.is_fresh(),
            _ => true,
        };
        idle && self.held == 0
            && rares
                .get(self.rare)
                .is_none_or(|rare| rare.is_past(now, terms.window_nanos()))
    }

    /// Takes on other terms of the same shape from `now` on, which has been advanced to.
    pub(crate) fn retain_under(&mut self, now: Tick, old: &Terms, new: &Terms) {
        if let (State::Bucket(bucket), Form::Bucket(old), Form::Bucket(new)) =
            (&mut self.state, &old.form, &new.form)
        {
            let level = bucket.level(now, old);
            bucket.set_level(now, level, new);
        }
    }

    /// Takes on the terms of another plan. Whether refunds for calls in flight still reach it: not if the shape has changed, or a
    /// fixed window otherwise than by its limit, since their charges are no longer told apart then.
    pub(crate) fn change(
        &mut self,
        now: Tick,
        old: &Terms,
        new: &Terms,
        rares: &mut Rares,
    ) -> bool {
        self.advance(now, old);
        let rare = rares.get_mut(self.rare);
        let kept = match (&mut self.state, &old.form, &new.form) {
            (State::Bucket(bucket), Form::Bucket(old), Form::Bucket(new)) => {
                bucket.change(now, old, new, rare.map(|rare| &mut rare.layers));
                true
            }
            (State::Sliding(_), _, Form::Sliding(_)) | (State::Slots, _, Form::Slots(_)) => true,
            (State::Window(_), Form::Window(old), Form::Window(new)) => old.coincides_with(new),
            _ => false,
        };
        if !kept {
            let (used, learned) = (self.used(now, old), self.learned);
            if let Some(rare) = rares.get_mut(self.rare) {
                rare.layers.clear();
            }
            self.state = State::fresh(new);
            self.charge(now, used, None, new, rares);
            self.learned = learned;
        }
        kept
    }
}
