//! Terms that change by what is learned: a meter's own limit, and what all meters of a policy keep to.

use super::Books;
use crate::{
    Amounts, Quota, Tick,
    adaptive::Climb,
    tighten::{Granted, Tightening},
};

impl Books {
    /// Gives a meter the limit that the provider reports. Not slots, and a higher one only where the policy trusts it.
    pub(crate) fn hear_limit(&mut self, m: u32, now: Tick, reported: u64) -> bool {
        let terms = self.terms_of(m);
        let limit = terms.limit();
        if reported == 0
            || terms.window_nanos() == 0
            || reported == limit
            || reported > limit && !terms.trusting
        {
            return false;
        }
        self.set_limit(m, now, reported.min(Quota::MAX_LIMIT), terms.climb);
        true
    }

    /// Gives a meter a limit of its own.
    pub(crate) fn set_limit(&mut self, m: u32, now: Tick, limit: u64, climb: Option<Climb>) {
        let meter = &mut self.meters[m];
        let old = &self.terms[meter.terms as usize];
        // A bucket's burst comes back with the limit.
        let mut new = self.terms[old.policy as usize].limited(limit);
        (new.tightening, new.climb) = (old.tightening, climb);
        // Up to now it drained at the old rate.
        meter.retain_under(now, old, &new);
        if meter.terms as usize >= self.shares.len() {
            self.terms[meter.terms as usize] = new;
        } else if let Some(place) = self.free_terms.pop() {
            self.terms[place as usize] = new;
            meter.terms = place;
        } else {
            meter.terms = u32::try_from(self.terms.len()).unwrap_or(u32::MAX);
            self.terms.push(new);
        }
    }

    /// Counts a grant of an adaptive policy, which may raise its limit.
    #[inline(never)]
    pub(super) fn climb(&mut self, m: u32, now: Tick, units: u64) {
        let place = self.own_terms(m, now);
        let terms = &mut self.terms[place as usize];
        let (limit, window) = (terms.limit(), terms.window_nanos());
        if window == 0 && self.meters[m].held() < limit / 2 {
            // Slots that nobody needs are not tried.
            return;
        }
        let Some(climb) = &mut terms.climb else {
            return;
        };
        if let Some(higher) = climb.granted(now, units, limit, window) {
            let climb = *climb;
            self.set_limit(m, now, higher, Some(climb));
        }
    }

    /// Where a meter's own terms lie: new ones like its policy's if it has none.
    pub(crate) fn own_terms(&mut self, m: u32, now: Tick) -> u32 {
        if (self.meter(m).terms as usize) < self.shares.len() {
            let terms = self.terms_of(m);
            let start = terms.climb.and_then(|climb| climb.start());
            self.set_limit(m, now, start.unwrap_or(terms.limit()), terms.climb);
        }
        self.meter(m).terms
    }

    /// Counts a grant of a policy that refusals have taught, which may ease its pace.
    #[inline(never)]
    pub(super) fn ease(&mut self, m: u32, now: Tick, amounts: &Amounts) {
        let terms = self.terms_of(m);
        let (policy, units) = (terms.policy, terms.units(amounts));
        let call = Granted {
            units,
            close: self.meter(m).is_close(now, units, terms, &self.rares),
            limit: terms.limit(),
            window: terms.window_nanos(),
        };
        let before = self.terms[policy as usize].tightening;
        let mut tightening = before;
        if tightening.granted(now, &call) {
            // A plan has few policies, so this stays small even if nobody asks.
            if !self.eased.contains(&policy) {
                self.eased.push(policy);
            }
            self.tighten(policy, tightening);
        } else if tightening.dearest() != before.dearest() {
            self.tighten(policy, tightening);
        } else {
            self.terms[policy as usize].tightening = tightening;
        }
    }

    /// Gives all meters of a policy what it has learned.
    pub(crate) fn tighten(&mut self, policy: u32, tightening: Tightening) {
        let terms = self.terms.iter_mut();
        for terms in terms.filter(|terms| terms.policy == policy) {
            terms.tightening = tightening;
        }
    }
}
