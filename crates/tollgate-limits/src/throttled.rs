//! `Ledger::throttled`: what a refusal by the provider pauses, and what it teaches.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use crate::{Ledger, Reservation, Tick, Unit, tick::nanos, tighten::Refused};

/// What a policy has learned from refusals that its books did not foresee: to space its grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tightened {
    /// The policy's name.
    pub policy: Arc<str>,
    /// What it counts.
    pub unit: Unit,
    /// Its limit, which stays.
    pub limit: u64,
    /// Units per window at which its grants are spaced from now on: what to give to [`crate::Policy::paced`] so that it is known from
    /// the start. Of an adaptive policy the limit that it searches on with.
    pub pace: u64,
}

impl Ledger {
    /// Learns that the call of this reservation was refused for want of `unit` (`None`: of something) until `until`. Pauses the
    /// policies that count it, as [`Ledger::pause`] does. If the books did not foresee it, the provider's rule is another than the
    /// policy assumes: its grants are then spaced, and more widely with each further time, in all partitions and from now on. That
    /// ends only with a change of the policy's quota or pace ([`Ledger::change`]).
    ///
    /// One step for a burst: calls that were reserved before a step say nothing about it. No step is made where the books have since
    /// learned why: from usage above what was reserved, or from news of others within a window. Say what the refusal's own headers
    /// say first ([`Ledger::adopt`]).
    ///
    /// # Panics
    /// If the reservation belongs to another ledger.
    pub fn throttled(
        &mut self,
        now: Tick,
        reservation: &Reservation,
        unit: Option<Unit>,
        until: Tick,
    ) -> Option<Tightened> {
        let now = self.forward(now);
        let open = *self.open.get(reservation);
        let meters = self.lanes.at(open.lane).meters.as_slice();
        for &m in meters {
            self.books.pause(m, unit, until);
        }
        let m = self.refused_by(meters, unit, until.since(now))?;
        self.books.advance(m, now);
        let (meter, terms) = (self.books.meter(m), self.books.terms_of(m));
        if let Some(mut climb) = terms.climb {
            let own = terms.units(&open.amounts);
            let used = meter
                .used(now, terms)
                .saturating_add(meter.held())
                .saturating_sub(own);
            let (policy, limit) = (terms.policy, terms.limit());
            let lower = climb.refused(now, open.at, used, limit, terms.window_nanos())?;
            self.books.set_limit(m, now, lower, Some(climb));
            return Some(Tightened {
                policy: self.plan.policies()[policy as usize].name.clone(),
                unit: self.books.terms_of(m).unit,
                limit,
                pace: lower,
            });
        }
        if meter.explains_refusal(now, terms, &self.books.rares) {
            return None;
        }
        let refused = Refused {
            sent: open.at,
            until,
            units: terms.units(&open.amounts),
            limit: terms.limit(),
            window: terms.window_nanos(),
        };
        let policy = terms.policy;
        let mut tightening = terms.tightening;
        let step = tightening.refused(now, &refused);
        self.books.tighten(policy, tightening);
        step.then(|| self.tightened(policy, now)).flatten()
    }

    /// What all policies have learned, in the plan's order, or were told with [`crate::Policy::paced`].
    #[must_use]
    pub fn tightenings(&self) -> Vec<Tightened> {
        let policies = (0..).zip(self.plan.policies());
        policies
            .filter_map(|(policy, _)| self.tightened(policy, self.latest))
            .collect()
    }

    fn tightened(&self, policy: u32, now: Tick) -> Option<Tightened> {
        let terms = &self.books.terms[policy as usize];
        Some(Tightened {
            policy: self.plan.policies()[policy as usize].name.clone(),
            unit: terms.unit,
            limit: terms.limit(),
            pace: terms.tightening.pace(now, terms.limit())?,
        })
    }

    /// The policy that a refusal is most likely about: of those that count the unit the one with the shortest window that explains
    /// such a wait, otherwise the one with the longest. Where the unit is not known there must be only one.
    fn refused_by(&self, meters: &[u32], unit: Option<Unit>, wait: Duration) -> Option<u32> {
        let window = |m: &u32| self.books.terms_of(*m).window_nanos();
        let timed = meters.iter().copied().filter(|m| {
            let terms = self.books.terms_of(*m);
            (window(m) > 0 || terms.climb.is_some()) && unit.is_none_or(|unit| unit == terms.unit)
        });
        if unit.is_none() && timed.clone().nth(1).is_some() {
            return None;
        }
        let explains = timed.clone().filter(|m| window(m) >= nanos(wait));
        explains
            .min_by_key(window)
            .or_else(|| timed.max_by_key(window))
    }
}
