//! `Ledger`: every policy's count and every open reservation; reserve all-or-nothing, settle, release, adopt, pause.

mod probe;

pub use probe::Room;

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

use crate::{
    Amounts, Binding, Decision, Labels, Plan, Reservation, Settlement, Tick, Unit, Wait,
    meter::Meter,
    open::{Open, OpenReservations},
    tick::nanos,
};

/// All counts and open reservations of a plan. See the crate's documentation for the contract.
///
/// Time only moves forward: where a method is given an earlier `now` than one before it, the latest seen counts.
#[derive(Debug)]
pub struct Ledger {
    plan: Plan,
    meters: Vec<Meter>,
    meter_index: BTreeMap<(u32, Vec<Arc<str>>), u32>,
    lanes: Vec<Box<[u32]>>,
    lane_index: BTreeMap<Labels, Lane>,
    open: OpenReservations,
    next_seq: u64,
    latest: Tick,
}

/// The policies that apply to calls with the same labels, found once by [`Ledger::lane`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    index: u32,
    // Tells a lane from a forgotten one whose place it has taken.
    generation: u32,
}

impl Lane {
    /// Above every lane of every ledger: an upper bound for ordered collections.
    pub const LAST: Self = Self {
        index: u32::MAX,
        generation: u32::MAX,
    };
}

/// What a response says about one of the provider's quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// What the quota counts.
    pub unit: Unit,
    /// Its window, where the provider names it.
    pub window: Option<Duration>,
    /// Its limit.
    pub limit: Option<u64>,
    /// Units left when the provider answered.
    pub remaining: Option<u64>,
    /// How far `remaining` may be off through rounding: half of the provider's rounding step, 0 if it is exact.
    pub rounding: u64,
}

/// The state of one policy in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The values of the policy's partition labels, in their order; empty without partitions.
    pub partition: Vec<Arc<str>>,
    /// What it counts.
    pub unit: Unit,
    /// Its limit, as lowered by news.
    pub limit: u64,
    /// The most that it can grant at once: the burst of a bucket, otherwise the limit.
    pub capacity: u64,
    /// Its window; zero for slots.
    pub window: Duration,
    /// Units counted now; above the limit when in debt.
    pub used: u64,
    /// Units held by calls in flight beside `used`.
    pub held: u64,
    /// Until when a 429 has paused it.
    pub paused_until: Option<Tick>,
}

impl Status {
    /// Units not in use: what could be granted now if the policy is not paused, and not within the margin that keeps it safe.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.capacity
            .saturating_sub(self.used)
            .saturating_sub(self.held)
    }
}

impl Ledger {
    // Windows whose open parts never overlap would be searched for ever; a caller that comes too early is told a later instant.
    const UNTIL_ROUNDS: u32 = 16;

    /// An empty ledger: nothing used, nothing open.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            meters: Vec::new(),
            meter_index: BTreeMap::new(),
            lanes: Vec::new(),
            lane_index: BTreeMap::new(),
            open: OpenReservations::new(),
            next_seq: 0,
            latest: Tick::ZERO,
        }
    }

    /// An empty ledger whose tables are keyed by `seed`, so that strangers who choose labels cannot make them slow. No answer
    /// depends on it.
    #[must_use]
    pub const fn with_seed(plan: Plan, _seed: u64) -> Self {
        Self::new(plan)
    }

    /// The plan it was made with.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Finds the lane of calls with these labels, creating the counts of new partitions. O(log lanes) once known.
    pub fn lane(&mut self, labels: &Labels) -> Lane {
        if let Some(&lane) = self.lane_index.get(labels) {
            return lane;
        }
        let plan = self.plan.clone();
        let mut meters = Vec::new();
        for (policy, index) in plan.policies().iter().zip(0_u32..) {
            if policy.applies_to(labels) {
                let partition = policy.partition_of(labels);
                let next = u32::try_from(self.meters.len()).unwrap_or(u32::MAX);
                let meter = *self
                    .meter_index
                    .entry((index, partition.clone()))
                    .or_insert(next);
                if meter == next {
                    self.meters.push(Meter::new(policy, index, partition));
                }
                meters.push(meter);
            }
        }
        let lane = Lane {
            index: u32::try_from(self.lanes.len()).unwrap_or(u32::MAX),
            generation: 0,
        };
        self.lanes.push(meters.into());
        self.lane_index.insert(labels.clone(), lane);
        lane
    }

    /// Keeps a lane, and the indices of its meters, while a call waits in it. A lane that is neither pinned nor has an open
    /// reservation may be forgotten by a later [`Ledger::lane`]; to be matched by one [`Ledger::unpin`].
    pub const fn pin(&mut self, _lane: Lane) {}

    /// Ends a [`Ledger::pin`].
    pub const fn unpin(&mut self, _lane: Lane) {}

    /// Charges `amounts` to every policy of the lane, or to none. O(policies of the lane).
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn reserve(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Decision {
        let now = self.forward(now);
        match self.check(now, lane, amounts) {
            Check::Fits => {}
            Check::Wait(wait) => return Decision::Wait(wait),
            Check::Spent(wait) => return Decision::Spent(wait),
            Check::NeverFits(binding) => return Decision::NeverFits(binding),
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        let (reservation, marks) = self.open.open(Open {
            seq,
            at: now,
            lane,
            amounts: *amounts,
        });
        for &m in &self.lanes[lane.index as usize] {
            let meter = &mut self.meters[m as usize];
            let units = meter.units(amounts);
            meter.reserve(now, seq, units);
            marks.push(meter.mark());
        }
        self.check_invariants();
        Decision::Granted(reservation)
    }

    /// Whether such a call would be granted now, or why not. Charges nothing.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn check(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Check {
        let now = self.forward(now);
        let mut until = Some(now);
        let mut binding = None;
        for &m in &self.lanes[lane.index as usize] {
            let meter = &mut self.meters[m as usize];
            meter.advance(now);
            let units = meter.units(amounts);
            if units > meter.capacity() {
                return Check::NeverFits(self.explain(now, m, units));
            }
            let fit = meter.fit(now, units);
            // No instant at all is later than any.
            if until.is_some_and(|until| fit.is_none_or(|at| at > until)) {
                until = fit;
                binding = Some((m, units));
            }
        }
        let Some((m, units)) = binding else {
            return Check::Fits;
        };
        if let Some(wait) = self.spent(now, lane, amounts) {
            return Check::Spent(wait);
        }
        Check::Wait(Wait {
            binding: self.explain(now, m, units),
            until: until.and_then(|at| self.all_fit_from(at, lane, amounts)),
        })
    }

    /// The meters of the lane that have no room for `amounts` now, by an index that is equal for lanes which share them, and when
    /// each will by itself; `None` if that takes a settlement.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn blocked_by(
        &mut self,
        now: Tick,
        lane: Lane,
        amounts: &Amounts,
        mut each: impl FnMut(u32, Option<Tick>),
    ) {
        let now = self.forward(now);
        for &m in &self.lanes[lane.index as usize] {
            let meter = &mut self.meters[m as usize];
            meter.advance(now);
            let fit = meter.fit(now, meter.units(amounts));
            if fit != Some(now) {
                each(m, fit);
            }
        }
    }

    /// The meters of the lane, by the same index as [`Ledger::blocked_by`].
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    #[must_use]
    pub fn meters_of(&self, lane: Lane) -> &[u32] {
        &self.lanes[lane.index as usize]
    }

    /// Replaces a reservation by what was used: gives back what was not, as the policy's [`crate::Booking`] says, and charges what
    /// went beyond as debt.
    ///
    /// # Panics
    /// If the reservation belongs to another ledger.
    pub fn settle(&mut self, now: Tick, reservation: Reservation, used: &Amounts) -> Settlement {
        let now = self.forward(now);
        let open = self.open.close(reservation);
        for &m in &self.lanes[open.lane.index as usize] {
            let meter = &mut self.meters[m as usize];
            let (opened, used) = (open.as_counted_in(meter), meter.units(used));
            meter.settle(now, opened, used);
        }
        let settlement = Settlement {
            reserved: open.amounts,
            used: *used,
        };
        self.check_invariants();
        settlement
    }

    /// Ends a reservation whose call was never sent, as if it had not been made.
    ///
    /// # Panics
    /// If the reservation belongs to another ledger.
    pub fn release(&mut self, now: Tick, reservation: Reservation) {
        let now = self.forward(now);
        let open = self.open.close(reservation);
        for &m in &self.lanes[open.lane.index as usize] {
            let meter = &mut self.meters[m as usize];
            let opened = open.as_counted_in(meter);
            meter.release(now, opened);
        }
        self.check_invariants();
    }

    /// Charges the lane's policies with what calls of an earlier run used `at`: each counts it if `at` lies in its present window.
    ///
    /// Book in the order of time, before the first call, and every shape counts as if the calls had run through it. What is booked
    /// later than something younger is counted as if it had been used when the youngest was, which is against the caller.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn book(&mut self, at: Tick, lane: Lane, used: &Amounts) {
        let now = self.forward(at);
        for &m in &self.lanes[lane.index as usize] {
            let meter = &mut self.meters[m as usize];
            let units = meter.units(used);
            meter.book_past(at, now, units);
        }
        self.check_invariants();
    }

    /// Takes over what a response says about the provider's quotas. One-sided: use by others is added and lower limits are taken
    /// over; nothing is ever raised. Returns whether anything changed.
    ///
    /// The call's reservation must still be open: what has been charged since it was made is set against the news.
    ///
    /// # Panics
    /// If the reservation belongs to another ledger.
    pub fn adopt(&mut self, now: Tick, reservation: &Reservation, news: &News) -> bool {
        if news.limit == Some(0) {
            // A limit of zero is how some providers say "no such quota", and then what remains of it says nothing either.
            return false;
        }
        let now = self.forward(now);
        let (open, marks) = self.open.get(reservation);
        let Some(position) = self.meant_by(open.lane, news) else {
            return false;
        };
        let meter = &mut self.meters[self.lanes[open.lane.index as usize][position] as usize];
        // Up to now it drained at the old rate.
        meter.advance(now);
        let lowered = news.limit.is_some_and(|limit| meter.lower_limit(limit));
        let foreign = news.remaining.map_or(0, |remaining| {
            // What is left is compared with what is left here: a policy may be a share of the provider's limit, or a smaller burst.
            let provider_used = meter
                .capacity()
                .min(meter.limit())
                .saturating_sub(remaining)
                .saturating_sub(news.rounding);
            meter.adopt(now, open.at, marks[position], provider_used)
        });
        self.check_invariants();
        lowered || foreign > 0
    }

    /// Pauses the policies of a lane that count `unit` (`None`: all but slots) until `until`. Pauses only ever grow.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn pause(&mut self, lane: Lane, unit: Option<Unit>, until: Tick) {
        for &m in &self.lanes[lane.index as usize] {
            let meter = &mut self.meters[m as usize];
            if unit.is_none_or(|unit| unit == meter.unit) {
                meter.pause(until);
            }
        }
    }

    /// The state of every policy in every partition seen, in the plan's order.
    pub fn snapshot(&mut self, now: Tick) -> Vec<Status> {
        let now = self.forward(now);
        let Self {
            plan,
            meters,
            meter_index,
            ..
        } = self;
        let status = |meter: &mut Meter| {
            meter.advance(now);
            Status {
                policy: plan.policies()[meter.policy as usize].name.clone(),
                partition: meter.partition.clone(),
                unit: meter.unit,
                limit: meter.limit(),
                capacity: meter.capacity(),
                window: Duration::from_nanos(meter.window_nanos()),
                used: meter.used(),
                held: meter.held(),
                paused_until: meter.paused_until(now),
            }
        };
        meter_index
            .values()
            .map(|&m| status(&mut meters[m as usize]))
            .collect()
    }

    /// Open reservations.
    #[must_use]
    pub const fn open_reservations(&self) -> usize {
        self.open.len()
    }

    /// The earliest instant from `at` on at which every policy of the lane has room. One that has room now may be near its
    /// window's boundary by then.
    fn all_fit_from(&self, mut at: Tick, lane: Lane, amounts: &Amounts) -> Option<Tick> {
        for _ in 0..Self::UNTIL_ROUNDS {
            let before = at;
            for &m in &self.lanes[lane.index as usize] {
                let meter = &self.meters[m as usize];
                at = meter.fit(at, meter.units(amounts))?;
            }
            if at == before {
                break;
            }
        }
        Some(at)
    }

    /// Time only moves forward: an earlier instant than the latest seen counts as that one.
    fn forward(&mut self, now: Tick) -> Tick {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn explain(&self, now: Tick, meter: u32, units: u64) -> Binding {
        let meter = &self.meters[meter as usize];
        meter.binding(
            now,
            units,
            &self.plan.policies()[meter.policy as usize].name,
        )
    }

    /// The lane's policy that a piece of news is about: same unit and window; failing that, the only one of its unit that has the
    /// reported limit. Anything less certain is not adopted.
    fn meant_by(&self, lane: Lane, news: &News) -> Option<usize> {
        let of_unit = |m: &&u32| self.meters[**m as usize].unit == news.unit;
        let lane = &self.lanes[lane.index as usize];
        let same_window = |m: &u32| {
            news.window
                .is_some_and(|w| nanos(w) == self.meters[*m as usize].window_nanos())
        };
        if let Some(i) = lane.iter().position(|m| of_unit(&m) && same_window(m)) {
            return Some(i);
        }
        let same_limit = |m: &u32| news.limit == Some(self.meters[*m as usize].limit());
        let mut found = lane
            .iter()
            .enumerate()
            .filter(|(_, m)| of_unit(m) && same_limit(m));
        let (i, _) = found.next()?;
        found.next().is_none().then_some(i)
    }

    fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            for meter in &self.meters {
                meter.check_invariants();
            }
        }
    }
}

/// The answer of [`Ledger::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It would be granted.
    Fits,
    /// It would have to wait.
    Wait(Wait),
    /// A policy that does not let calls wait is spent, until then.
    Spent(Wait),
    /// It needs more than a policy can ever grant.
    NeverFits(Binding),
}
