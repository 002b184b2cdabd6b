//! `Tier`: the lines of one class at one meter, in fair order between their tenants.
//!
//! Start-time fair queueing. Each tenant has a virtual time: it starts at the tier's clock, and `units` granted move it on by
//! `units / weight`. The tenant whose virtual time is earliest goes next, and the clock is the start of the one that went last, so
//! that somebody who was away neither owes nor saves anything. Within a tenant the call with the lowest ticket goes first. What is
//! kept between grants only ever grows, so what is out of date is noticed when it comes first.

use std::collections::BTreeSet;

use tollgate_limits::Tick;

use super::{
    Lines,
    index::IndexMap,
    line::{Kind, Line, LineId},
};

/// The value of the label that quota is shared between, as a hash with the gate's own seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tenant(pub(crate) u64);

/// Where a call stands, or would stand, against others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    /// The line that it is the head of; `None` for a call that has just come.
    pub(crate) line: Option<LineId>,
    pub(crate) senior: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Tier {
    lines: usize,
    // By ticket: their heads were turned away too often. They go before all tenants' turns.
    seniors: BTreeSet<(u64, LineId)>,
    // One entry for each tenant with lines here.
    order: BTreeSet<(u128, u64, Tenant)>,
    shares: IndexMap<Tenant, Share>,
    clock: u128,
    prune_at: usize,
    /// Since when calls wait here while none of them was admitted.
    pub(crate) passed_over_since: Tick,
}

#[derive(Debug, Default)]
struct Share {
    // The tenant's virtual time after its latest grant.
    finish: u128,
    // Its entry in `order`.
    stands: Option<(u128, u64)>,
    lines: BTreeSet<(u64, LineId)>,
}

impl Share {
    fn start(&self, clock: u128) -> u128 {
        self.finish
            .max(self.stands.map_or(clock, |(start, _)| start))
    }
}

impl Tier {
    /// Units are far finer than any weight, so that rounding does not tilt the shares: 2^32 to a unit.
    const SCALE_BITS: u32 = 32;
    /// Lines, and tenants, that are added up for a forecast.
    const LOOK_AT: usize = 64;
    /// Tenants that may be remembered before those who owe nothing are forgotten.
    const PRUNE_FROM: usize = 64;

    pub(crate) const fn is_empty(&self) -> bool {
        self.lines == 0
    }

    pub(crate) fn insert(&mut self, lines: &Lines, id: LineId, now: Tick) {
        if self.lines == 0 {
            self.passed_over_since = now;
        }
        self.lines += 1;
        let line = &lines[id];
        let number = line.stands_as;
        if line.senior {
            self.seniors.insert((number, id));
            return;
        }
        let tenant = line.kind.tenant;
        let share = self.shares.entry(tenant).or_default();
        share.lines.insert((number, id));
        let start = share.start(self.clock);
        match share.stands {
            Some((_, first)) if first <= number => {}
            stands => {
                if let Some((start, number)) = stands {
                    self.order.remove(&(start, number, tenant));
                }
                share.stands = Some((start, number));
                self.order.insert((start, number, tenant));
            }
        }
    }

    pub(crate) fn remove(&mut self, lines: &Lines, id: LineId) {
        let line = &lines[id];
        self.lines -= 1;
        if line.senior {
            self.seniors.remove(&(line.stands_as, id));
        } else if let Some(share) = self.shares.get_mut(&line.kind.tenant) {
            share.lines.remove(&(line.stands_as, id));
            if share.lines.is_empty()
                && let Some((start, number)) = share.stands.take()
            {
                // Its virtual time is kept: leaving and coming back wins nothing.
                share.finish = share.finish.max(start);
                self.order.remove(&(start, number, line.kind.tenant));
            }
        }
        if self.lines == 0 {
            // Shares bind only while calls wait.
            self.shares.clear();
            self.clock = 0;
        }
    }

    /// Whoever goes next.
    pub(crate) fn first(&mut self, lines: &mut Lines) -> Option<LineId> {
        match self.seniors.first() {
            Some((_, id)) => Some(*id),
            None => self.first_in_turn(lines).map(|(_, _, id)| id),
        }
    }

    /// Whether somebody here goes before a call of this class.
    pub(crate) fn is_before(&mut self, lines: &mut Lines, call: &Standing) -> bool {
        if let Some((number, id)) = self.seniors.first() {
            if Some(*id) == call.line {
                return false;
            }
            if *number <= call.number {
                return true;
            }
        }
        if call.senior {
            return false;
        }
        let start = self.start_of(call.kind.tenant);
        self.first_in_turn(lines)
            .is_some_and(|(first, number, _)| (first, number) <= (start, call.number))
    }

    /// Moves a tenant's virtual time on after a grant of `units`.
    pub(crate) fn charge(
        &mut self,
        tenant: Tenant,
        weight: u32,
        units: u64,
        in_turn: bool,
        now: Tick,
    ) {
        if self.lines == 0 {
            return;
        }
        self.passed_over_since = now;
        if self.shares.len() == 1 && self.order.first().is_some_and(|first| first.2 == tenant) {
            // Nobody to share with: whoever comes starts where this one stands.
            return;
        }
        let share = self.shares.entry(tenant).or_default();
        let start = share.start(self.clock);
        let cost = u128::from(units) << Self::SCALE_BITS;
        let cost = match weight {
            0 | 1 => cost,
            // Rounded up, against the tenant.
            weight => cost.div_ceil(u128::from(weight)),
        };
        share.finish = start.saturating_add(cost);
        if in_turn {
            self.clock = self.clock.max(start);
        }
        if self.shares.len() >= self.prune_at.max(Self::PRUNE_FROM) {
            let clock = self.clock;
            self.shares
                .retain(|_, share| share.stands.is_some() || share.finish > clock);
            self.prune_at = self.shares.len() * 2;
        }
    }

    /// The least that goes before a call that would stand here, in units, with `units` as those of a line. Who is far ahead is left
    /// out where there are very many.
    pub(crate) fn ahead(
        &self,
        lines: &Lines,
        call: &Standing,
        weight: &dyn Fn(Tenant) -> u32,
        units: &dyn Fn(&Line) -> u128,
    ) -> u128 {
        let of_share = |share: &Share| -> u128 {
            let ids = share.lines.iter().take(Self::LOOK_AT).map(|(_, id)| *id);
            ids.map(|id| units(&lines[id])).sum()
        };
        let tenant = call.kind.tenant;
        let own: u128 = self.shares.get(&tenant).map_or(0, |share| {
            let ids = share.lines.iter().take(Self::LOOK_AT).map(|(_, id)| *id);
            let before = ids.filter(|id| lines[*id].is_before(call.number));
            before.map(|id| units(&lines[id])).sum()
        });
        let turn =
            self.start_of(tenant) + (own << Self::SCALE_BITS) / u128::from(weight(tenant).max(1));
        let others = self.order.iter().take(Self::LOOK_AT);
        let others = others.filter(|(_, _, other)| *other != tenant);
        let before_turn = others.filter_map(|(_, _, other)| {
            let share = self.shares.get(other)?;
            let lead = turn.saturating_sub(share.start(self.clock));
            let due = (lead >> Self::SCALE_BITS) * u128::from(weight(*other).max(1));
            Some(due.min(of_share(share)))
        });
        own + before_turn.sum::<u128>()
    }

    /// The units of all lines that stand here, or of many of them.
    pub(crate) fn backlog(&self, lines: &Lines, units: &dyn Fn(&Line) -> u128) -> u128 {
        let ids = self.lines().take(Self::LOOK_AT);
        ids.map(|id| units(&lines[id])).sum()
    }

    /// Lines that stand here, in no order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = LineId> {
        let in_turn = self.shares.values().flat_map(|share| &share.lines);
        in_turn.chain(&self.seniors).map(|(_, id)| *id)
    }

    fn start_of(&self, tenant: Tenant) -> u128 {
        let share = self.shares.get(&tenant);
        share.map_or(self.clock, |share| share.start(self.clock))
    }

    /// The first in the tenants' turns: its virtual start, its ticket's number, its line.
    fn first_in_turn(&mut self, lines: &mut Lines) -> Option<(u128, u64, LineId)> {
        loop {
            let (start, number, tenant) = *self.order.first()?;
            let share = self.shares.get_mut(&tenant)?;
            let (first, id) = Self::first_of(share, lines)?;
            let now = (share.finish.max(start), first);
            let out_of_date = now > (start, number) && self.order.len() > 1;
            if out_of_date
                && self
                    .order
                    .iter()
                    .nth(1)
                    .is_some_and(|next| (next.0, next.1) < now)
            {
                self.order.remove(&(start, number, tenant));
                share.stands = Some(now);
                self.order.insert((now.0, now.1, tenant));
            } else {
                return Some((now.0, first, id));
            }
        }
    }

    /// The tenant's line whose head came first.
    fn first_of(share: &mut Share, lines: &mut Lines) -> Option<(u64, LineId)> {
        loop {
            let (stands_as, id) = *share.lines.first()?;
            let (number, _) = lines[id].front()?;
            let out_of_date = number > stands_as && share.lines.len() > 1;
            if out_of_date
                && share
                    .lines
                    .iter()
                    .nth(1)
                    .is_some_and(|(next, _)| *next < number)
            {
                share.lines.remove(&(stands_as, id));
                lines[id].stands_as = number;
                share.lines.insert((number, id));
            } else {
                return Some((number, id));
            }
        }
    }

    pub(crate) fn check_invariants(&self) {
        if cfg!(debug_assertions) && self.shares.len() <= Self::PRUNE_FROM {
            let standing = self
                .shares
                .iter()
                .filter(|(_, share)| share.stands.is_some());
            assert!(standing.clone().count() == self.order.len());
            for (tenant, share) in standing {
                let (start, number) = share.stands.unwrap_or_default();
                assert!(self.order.contains(&(start, number, *tenant)));
                assert!(!share.lines.is_empty());
            }
            assert_eq!(self.lines().count(), self.lines);
        }
    }
}
