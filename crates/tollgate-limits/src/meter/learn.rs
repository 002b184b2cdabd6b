//! What a meter learns: use by others that headers show, and how far apart its grants must be.

use alloc::boxed::Box;

use super::{Meter, State};
use crate::{
    Tick,
    mark::Mark,
    others::Others,
    rare::Rares,
    terms::{Form, Terms},
};

impl Meter {
    /// Spaces the next grant: after a pause, among others, and where refusals have taught to.
    #[inline(never)]
    pub(super) fn pace(&mut self, now: Tick, units: u64, terms: &Terms, rares: &mut Rares) {
        if matches!(self.state, State::Slots) {
            return;
        }
        let limit = terms.limit();
        let known = rares.get(self.rare);
        let after_pause = known.filter(|rare| now < rare.paced_until).map(|_| limit);
        let among_others = known
            .and_then(|rare| rare.others.as_ref())
            .and_then(|others| others.pace(limit));
        let tightened = terms.tightening.pace(now, limit);
        let searching = terms.climb.map(|_| limit);
        let window = terms.window_nanos();
        let paces = [after_pause, among_others, searching];
        let strict = paces.into_iter().flatten().min();
        if strict.or(tightened).is_none() {
            return;
        }
        let rare = rares.get_or_take(&mut self.rare);
        let mut next = strict.map_or(now, |pace| now.plus_nanos(gap(units, pace, window)));
        if let Some(pace) = tightened {
            // Those that ran ahead are made up for before others may.
            rare.caught_up = rare.caught_up.max(now).plus_nanos(gap(units, pace, window));
            let slack = terms.tightening.slack(now, window);
            next = next.max(rare.caught_up.minus_nanos(slack));
        }
        rare.next_paced = next;
        if among_others.or(searching).is_some() {
            rare.paced_until = rare.paced_until.max(next);
        }
    }

    /// Whether a call that is granted now comes about as close behind the one before it as the pace that was learned lets it.
    pub(crate) fn is_close(&self, now: Tick, units: u64, terms: &Terms, rares: &Rares) -> bool {
        let Some(pace) = terms.tightening.pace(now, terms.limit()) else {
            return false;
        };
        let due = rares
            .get(self.rare)
            .map_or(Tick::ZERO, |rare| rare.caught_up);
        now <= due.plus_nanos(gap(units, pace, terms.window_nanos()))
    }

    /// Whether a call reserved at `at` would hold back the next one.
    pub(crate) fn spaces_grants(&self, at: Tick, terms: &Terms, rares: &Rares) -> bool {
        let rare = rares.get(self.rare);
        let among_others = rare.and_then(|rare| rare.others.as_ref()?.pace(terms.limit()));
        terms.spaces_grants()
            || among_others.is_some()
            || rare.is_some_and(|rare| rare.spaced_until() > at)
    }

    /// Learns that a call used `units` more than was reserved for it: so much of what its answer's head showed was not others'.
    #[inline(never)]
    pub(super) fn overran(&mut self, units: u64, rares: &mut Rares) {
        if let Some(others) = rares
            .get_mut(self.rare)
            .and_then(|rare| rare.others.as_mut())
        {
            others.own(units);
        }
    }

    /// Units to leave free for others beside a call of `units`, which must fit some day.
    pub(super) fn headroom(&self, now: Tick, units: u64, terms: &Terms, rares: &Rares) -> u64 {
        let Some(others) = rares.get(self.rare).and_then(|rare| rare.others.as_ref()) else {
            return 0;
        };
        // Room left free in a bucket costs none of its rate; in a window it is lost.
        let lost = !matches!(self.state, State::Bucket(_));
        let headroom = others.headroom(now, terms.window_nanos(), terms.limit(), lost);
        headroom.min(terms.capacity().saturating_sub(units))
    }

    /// Whether the books already tell why a call was refused: usage was learned too late, or others use the quota.
    pub(crate) fn explains_refusal(&self, now: Tick, terms: &Terms, rares: &Rares) -> bool {
        let in_debt = self.used(now, terms).saturating_add(self.held) > terms.capacity();
        let others = rares.get(self.rare).and_then(|rare| rare.others.as_ref());
        in_debt || others.is_some_and(|others| others.known() > 0)
    }

    /// Books what the provider counts and we do not: use by others. Returns the units booked.
    ///
    /// `mark` is the books at the reservation of the call whose response brought the news, and `sent` its time. What we have charged
    /// since that reservation may or may not be in the provider's count, so only what exceeds both is foreign. One response never
    /// lowers the level, so it does not matter in which order they come.
    pub(crate) fn adopt(
        &mut self,
        now: Tick,
        sent: Tick,
        mark: Mark,
        provider_used: u64,
        terms: &Terms,
        rares: &mut Rares,
    ) -> u64 {
        if matches!(self.state, State::Slots) {
            return 0;
        }
        let since = mark.rest.wrapping_add(self.learned);
        let ours = mark.used(terms).saturating_add(since);
        let foreign = provider_used.saturating_sub(ours);
        if !terms.shared {
            if foreign > 0 {
                self.charge(now, foreign, None, terms, rares);
            }
            return foreign;
        }
        let window = terms.window_nanos();
        let known = rares
            .get_mut(self.rare)
            .and_then(|rare| rare.others.as_mut());
        // Used since the last answer, or else at any time within a window.
        let window_ago = now.minus_nanos(window);
        let used_since = known
            .as_ref()
            .map_or(window_ago, |others| others.last().max(window_ago));
        match known {
            Some(others) => others.hear(now, sent, used_since, foreign, window),
            None if foreign > 0 => {
                let mut others = Others::new(now);
                others.hear(now, sent, used_since, foreign, window);
                rares.get_or_take(&mut self.rare).others = Some(Box::new(others));
            }
            None => {}
        }
        if foreign > 0 {
            self.charge_since(used_since, now, foreign, terms, rares);
        }
        foreign
    }

    /// Charges what others used at unknown times between `since` and `now`.
    fn charge_since(
        &mut self,
        since: Tick,
        now: Tick,
        units: u64,
        terms: &Terms,
        rares: &mut Rares,
    ) {
        if let (State::Sliding(sliding), Form::Sliding(span)) = (&mut self.state, &terms.form) {
            self.learned = self.learned.wrapping_add(units);
            sliding.advance(now, span);
            sliding.charge_since(since, now, units.min(u64::MAX - sliding.used()));
        } else {
            self.charge(now, units, None, terms, rares);
        }
    }
}

/// For how long so many units hold back the next grant at `pace` units per window: rounded up, against the caller.
fn gap(units: u64, pace: u64, window: u64) -> u64 {
    let gap = (u128::from(units) * u128::from(window)).div_ceil(u128::from(pace));
    u64::try_from(gap).unwrap_or(u64::MAX)
}
