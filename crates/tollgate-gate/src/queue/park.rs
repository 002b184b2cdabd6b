//! `Park`: the lines that stand at one meter until it has room, classes apart.

use std::cmp::Reverse;

use tollgate_limits::Tick;

use super::{
    Lines,
    fair::{Standing, Tenant, Tier},
    line::{Line, LineId},
};
use crate::Priority;

#[derive(Debug, Default)]
pub(crate) struct Park {
    tiers: [Tier; Priority::ALL.len()],
    standing: usize,
    // The one line that stands here, if it is alone.
    alone: Option<LineId>,
    /// When somebody here may be admitted first; `None` if that takes a settlement.
    pub(crate) wake: Option<Tick>,
    /// Noted down to be looked at.
    pub(crate) due: bool,
}

/// What goes before a call at one meter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    pub(crate) in_class: u128,
    pub(crate) higher: u128,
    /// When its class may rise.
    pub(crate) until: Tick,
}

impl Park {
    pub(crate) const fn is_empty(&self) -> bool {
        self.standing == 0
    }

    pub(crate) fn insert(&mut self, lines: &Lines, id: LineId, now: Tick) {
        self.tier(lines[id].kind.class).insert(lines, id, now);
        self.standing += 1;
        self.alone = (self.standing == 1).then_some(id);
    }

    pub(crate) fn remove(&mut self, lines: &Lines, id: LineId) {
        self.tier(lines[id].kind.class).remove(lines, id);
        self.standing -= 1;
        let last = self.standing == 1;
        let alone = last.then(|| self.lines().next()).flatten();
        self.alone = alone;
    }

    fn tier(&mut self, class: Priority) -> &mut Tier {
        &mut self.tiers[class.rank()]
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = LineId> {
        self.tiers.iter().flat_map(Tier::lines)
    }

    /// Whoever goes next.
    pub(crate) fn first(&mut self, lines: &mut Lines, now: Tick, ageing: u64) -> Option<LineId> {
        if self.alone.is_some() {
            return self.alone;
        }
        let class = self.first_class(now, ageing)?;
        self.tier(class).first(lines)
    }

    /// Whether somebody here goes before this call.
    pub(crate) fn is_before(
        &mut self,
        lines: &mut Lines,
        call: &Standing,
        now: Tick,
        ageing: u64,
    ) -> bool {
        let own = call.kind.class;
        let outranked = self.classes().any(|class| {
            class != own && self.precedence(class, now, ageing) < self.precedence(own, now, ageing)
        });
        outranked || self.tier(own).is_before(lines, call)
    }

    /// The least that goes before a call that would stand here, in units: of its class, and of higher ones. The latter count until the
    /// instant given, when its class may have risen past them.
    pub(crate) fn ahead(
        &self,
        lines: &Lines,
        call: &Standing,
        now: Tick,
        ageing: u64,
        weight: &dyn Fn(Tenant) -> u32,
        units: &dyn Fn(&Line) -> u128,
    ) -> Ahead {
        let own = call.kind.class;
        let higher = self.classes().filter(|class| {
            *class != own
                && self.precedence(*class, now, ageing) < self.precedence(own, now, ageing)
        });
        let tier = &self.tiers[own.rank()];
        let since = if tier.is_empty() {
            now
        } else {
            tier.passed_over_since
        };
        Ahead {
            in_class: tier.ahead(lines, call, weight, units),
            higher: higher
                .map(|class| self.tiers[class.rank()].backlog(lines, units))
                .sum(),
            until: Tick::from_nanos(since.as_nanos().saturating_add(ageing)),
        }
    }

    /// When the next class that is passed over rises; `None` if there is nobody for it to overtake.
    pub(crate) fn next_promotion(&self, now: Tick, ageing: u64) -> Option<Tick> {
        let rise = |class: Priority| {
            let since = self.tiers[class.rank()].passed_over_since;
            let next = spans(since, now, ageing).saturating_add(1);
            let at = since.as_nanos().checked_add(next.checked_mul(ageing)?)?;
            (next <= class.rank() as u64).then_some(Tick::from_nanos(at))
        };
        // The first is already ahead of the others, unless one of them rises.
        self.classes().skip(1).filter_map(rise).min()
    }

    fn first_class(&self, now: Tick, ageing: u64) -> Option<Priority> {
        let mut waiting = self.classes();
        let only = waiting.next()?;
        if waiting.next().is_none() {
            return Some(only);
        }
        self.classes()
            .min_by_key(|class| self.precedence(*class, now, ageing))
    }

    /// Classes with calls that wait here, the highest first.
    fn classes(&self) -> impl Iterator<Item = Priority> {
        let tiers = &self.tiers;
        Priority::ALL
            .into_iter()
            .filter(move |class| !tiers[class.rank()].is_empty())
    }

    /// Lowest first: the class that it has risen to, and there the one that has risen furthest.
    fn precedence(&self, class: Priority, now: Tick, ageing: u64) -> (u64, Reverse<usize>) {
        let (rank, tier) = (class.rank(), &self.tiers[class.rank()]);
        let risen = if tier.is_empty() {
            0
        } else {
            spans(tier.passed_over_since, now, ageing)
        };
        ((rank as u64).saturating_sub(risen), Reverse(rank))
    }

    /// Takes note of a grant.
    pub(crate) fn charge(
        &mut self,
        class: Priority,
        tenant: Tenant,
        weight: u32,
        units: u64,
        in_turn: bool,
        now: Tick,
    ) {
        self.tier(class).charge(tenant, weight, units, in_turn, now);
    }

    pub(crate) fn check_invariants(&self) {
        if cfg!(debug_assertions) && self.standing <= 32 {
            assert_eq!(self.lines().count(), self.standing);
            assert!(self.alone.is_some() == (self.standing == 1));
        }
        self.tiers.iter().for_each(Tier::check_invariants);
    }
}

/// Full spans of `ageing` nanoseconds from `since` to `now`.
const fn spans(since: Tick, now: Tick, ageing: u64) -> u64 {
    now.as_nanos().saturating_sub(since.as_nanos()) / ageing
}
