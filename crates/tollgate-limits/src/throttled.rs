//! `Ledger::throttled`: what a refusal by the provider pauses, and what it teaches.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use crate::{Ledger, News, Reservation, Tick, Unit, tick::nanos, tighten::Refused};

/// What the response of one call has said of its policies' quotas, by meter.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    seq: u64,
    news: Vec<(u32, News)>,
}

impl Heard {
    pub(crate) fn note(&mut self, seq: u64, m: u32, news: News) {
        if self.seq != seq {
            self.seq = seq;
            self.news.clear();
        }
        self.news.push((m, news));
    }

    fn of(&self, seq: u64, m: u32) -> Option<News> {
        let mut news = self.news.iter().rev().filter(|_| self.seq == seq);
        news.find_map(|(meter, news)| (*meter == m).then_some(*news))
    }
}

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

/// A wider pace that a policy tries, because whole windows have passed at the one before without a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eased {
    /// The policy's name.
    pub policy: Arc<str>,
    /// What it counts.
    pub unit: Unit,
    /// Its limit.
    pub limit: u64,
    /// Units per window at which its grants are spaced from now on; `None`: they are not spaced any more.
    pub pace: Option<u64>,
    /// By how much grants may run ahead of that pace, once two windows have passed.
    pub ahead: Duration,
}

impl Ledger {
    /// Learns that the call of this reservation was refused for want of `unit` (`None`: of something) until `until`. Pauses the
    /// policies that count it, as [`Ledger::pause`] does. If the books did not foresee it, the provider's rule is another than the
    /// policy assumes: its grants are then spaced, and more widely with each further time, in all partitions and from now on.
    ///
    /// After two windows without a refusal, in which the pace was used, a wider one is tried ([`Ledger::eased`]), in strides that double:
    /// where there was another cause that has gone, such as another program for a while, all is as it was after at most 14 such
    /// windows. A try that is refused leads back; the next one waits for 2,000 calls for each that was refused, and what has failed is
    /// tried again after twice as many windows each time. All is forgotten with a change of the policy's quota or pace
    /// ([`Ledger::change`]).
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
        if let Some(news) = self.heard.of(open.seq, m)
            && let Some(remaining) = news.remaining
            && remaining.saturating_add(news.rounding) < terms.units(&open.amounts)
        {
            // By the provider's own count there was no room, and by ours, without this call, there was: it is others.
            let position = meters.iter().position(|meter| *meter == m)?;
            let mark = self.open.mark(reservation, position, meters.len());
            let mark = mark.without(terms.units(&open.amounts));
            self.books
                .adopt(m, now, (open.at, mark), remaining, news.rounding);
            return None;
        }
        let units = if terms.tightening.is_learned() {
            terms.units(&open.amounts)
        } else {
            // The spacing leaves room for the dearest call, which the refused one need not be.
            let lately = self.open.lately(open.lane);
            lately
                .map(|amounts| terms.units(amounts))
                .max()
                .unwrap_or_default()
        };
        let refused = Refused {
            sent: open.at,
            until,
            units,
            limit: terms.limit(),
            window: terms.window_nanos(),
        };
        let policy = terms.policy;
        let mut tightening = terms.tightening;
        let step = tightening.refused(now, &refused);
        self.books.tighten(policy, tightening);
        step.then(|| self.tightened(policy, now)).flatten()
    }

    /// The policies that try a wider pace since this was asked last: each grant may have led to it.
    #[must_use]
    pub fn eased(&mut self) -> Vec<Eased> {
        let now = self.latest;
        let eased = core::mem::take(&mut self.books.eased).into_iter();
        eased
            .filter_map(|policy| self.easing(policy, now))
            .collect()
    }

    /// Whether [`Ledger::eased`] has something to tell.
    #[must_use]
    #[inline]
    pub const fn has_eased(&self) -> bool {
        !self.books.eased.is_empty()
    }

    fn easing(&self, policy: u32, now: Tick) -> Option<Eased> {
        let terms = self.books.terms.get(policy as usize)?;
        let window = terms.window_nanos();
        let grown = now.plus_nanos(window.saturating_mul(2));
        let slack = terms.tightening.slack(grown, window);
        Some(Eased {
            policy: self.plan.policies().get(policy as usize)?.name.clone(),
            unit: terms.unit,
            limit: terms.limit(),
            pace: terms.tightening.pace(now, terms.limit()),
            ahead: Duration::from_nanos(slack),
        })
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
