//! `Ledger`: every policy's count and every open reservation; reserve all-or-nothing, settle, release, adopt, pause.

mod probe;

pub use probe::Room;

use crate::{
    Amounts, Binding, Decision, Lane, News, Plan, Policy, Reservation, Settlement, Tick, Unit,
    Wait,
    books::Books,
    hash::Key,
    lanes::{Kind, Lanes},
    open::{Open, OpenReservations},
    terms::{Booked, Form},
    throttled::Heard,
    tick::nanos,
};

/// All counts and open reservations of a plan. See the crate's documentation for the contract.
///
/// Time only moves forward: where a method is given an earlier `now` than one before it, the latest seen counts.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) plan: Plan,
    pub(crate) books: Books,
    pub(crate) lanes: Lanes,
    pub(crate) open: OpenReservations,
    pub(crate) next_seq: u64,
    pub(crate) latest: Tick,
    pub(crate) partition_limit: u32,
    /// Whether every policy counts units as they stand and books them on arrival.
    pub(crate) is_plain: bool,
    pub(crate) heard: Heard,
    // Lanes found, to look at one more now and then; debug builds also count changes, to check everything now and then.
    pub(crate) found: u32,
    changes: usize,
}

impl Ledger {
    // Windows whose open parts never overlap would be searched for ever; a caller that comes too early is told a later instant.
    const UNTIL_ROUNDS: u32 = 16;
    // Changes, in debug builds, per check of all books, unless there are more meters.
    const CHANGES_PER_CHECK: usize = 64;

    /// An empty ledger: nothing used, nothing open. Its tables are keyed by a fixed seed; where strangers choose labels, take
    /// [`Ledger::with_seed`].
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self::with_seed(plan, 0)
    }

    /// An empty ledger whose tables are keyed by `seed`, which should be secret and random, so that strangers who choose labels
    /// cannot make them slow. No answer depends on it.
    #[must_use]
    pub fn with_seed(plan: Plan, seed: u64) -> Self {
        let key = Key::new(seed);
        Self {
            books: Books::new(plan.policies(), key),
            is_plain: plan.policies().iter().all(Policy::is_plain),
            plan,
            lanes: Lanes::new(key),
            open: OpenReservations::new(),
            next_seq: 0,
            latest: Tick::ZERO,
            partition_limit: Self::DEFAULT_PARTITION_LIMIT,
            heard: Heard::default(),
            found: 0,
            changes: 0,
        }
    }

    /// The plan it works by.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Charges `amounts` to every policy of the lane, or to none. O(policies of the lane).
    ///
    /// # Panics
    /// If the lane belongs to another ledger or has been forgotten.
    pub fn reserve(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Decision {
        let now = self.forward(now);
        let record = self.lanes.get_mut(lane);
        let meters = record.meters.as_slice();
        if !meters.iter().all(|m| self.books.fits(*m, now, amounts)) {
            return self.refuse(now, lane, amounts);
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        let call = (seq, now, lane.place);
        let (reservation, marks) = self.open.open(call, amounts, meters.len());
        for (m, mark) in meters.iter().zip(marks) {
            *mark = self.books.reserve(*m, now, seq, amounts);
        }
        record.open += 1;
        self.check_invariants(lane.place);
        Decision::Granted(reservation)
    }

    /// Whether such a call would be granted now, or why not. Charges nothing.
    ///
    /// # Panics
    /// If the lane belongs to another ledger or has been forgotten.
    pub fn check(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Check {
        let now = self.forward(now);
        let meters = self.lanes.get(lane).meters.as_slice();
        if meters.iter().all(|m| self.books.fits(*m, now, amounts)) {
            return Check::Fits;
        }
        match self.refuse(now, lane, amounts) {
            Decision::Wait(wait) => Check::Wait(wait),
            Decision::Spent(wait) => Check::Spent(wait),
            Decision::NeverFits(binding) => Check::NeverFits(binding),
            Decision::Granted(_) => unreachable!("one of the policies has no room"),
        }
    }

    /// The meters of the lane that have no room for `amounts` now, by an index that is equal for lanes which share them, and when
    /// each will by itself; `None` if that takes a settlement.
    ///
    /// # Panics
    /// If the lane belongs to another ledger or has been forgotten.
    pub fn blocked_by(
        &mut self,
        now: Tick,
        lane: Lane,
        amounts: &Amounts,
        mut each: impl FnMut(u32, Option<Tick>),
    ) {
        let now = self.forward(now);
        for &m in self.lanes.get(lane).meters.as_slice() {
            if !self.books.fits(m, now, amounts) {
                self.books.advance(m, now);
                let units = self.books.terms_of(m).units(amounts);
                each(m, self.books.fit(m, now, units));
            }
        }
    }

    /// Replaces a reservation by what was used: gives back what was not, as the policy's [`crate::Booking`] says, and charges what
    /// went beyond as debt.
    ///
    /// # Panics
    /// If the reservation belongs to another ledger.
    pub fn settle(&mut self, now: Tick, reservation: Reservation, used: &Amounts) -> Settlement {
        Settlement {
            reserved: *self.end(now, reservation, Some(used)),
            used: *used,
        }
    }

    /// Whether [`Ledger::settle`] of this reservation needs no instant: any from the reservation on leaves the same books, because
    /// every policy charged it on arrival and nothing goes beyond what was reserved. A driver then need not read its clock, and
    /// passes [`Tick::ZERO`], which counts as the latest instant seen.
    ///
    /// The same but for what is on the careful side: a bucket that a refund empties counts as empty from the instant given, and a
    /// window from the first call forgets a call that used nothing only while it is open.
    ///
    /// # Panics
    /// If the reservation belongs to another ledger.
    #[must_use]
    pub fn settles_at_any_time(&self, reservation: &Reservation, used: &Amounts) -> bool {
        let open = self.open.get(reservation);
        let record = self.lanes.at(open.lane);
        if self.is_plain && record.kind == Kind::Own && used.is_within(&open.amounts) {
            return true;
        }
        record.kind != Kind::Former
            && record.meters.as_slice().iter().all(|m| {
                let terms = self.books.terms_of(*m);
                terms.manner.booked != Booked::Held
                    && terms.units(used) <= terms.units(&open.amounts)
                    || matches!(terms.form, Form::Slots(_))
            })
    }

    /// Ends a reservation whose call was never sent, as if it had not been made.
    ///
    /// # Panics
    /// If the reservation belongs to another ledger.
    pub fn release(&mut self, now: Tick, reservation: Reservation) {
        self.end(now, reservation, None);
    }

    /// Charges the lane's policies with what calls of an earlier run used `at`: each counts it if `at` lies in its present window.
    ///
    /// Book in the order of time, before the first call, and every shape counts as if the calls had run through it. What is booked
    /// later than something younger is counted as if it had been used when the youngest was, which is against the caller.
    ///
    /// # Panics
    /// If the lane belongs to another ledger or has been forgotten.
    pub fn book(&mut self, at: Tick, lane: Lane, used: &Amounts) {
        let now = self.forward(at);
        for &m in self.lanes.get(lane).meters.as_slice() {
            self.books.book(m, at, now, used);
        }
        self.check_invariants(lane.place);
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
        let open = *self.open.get(reservation);
        let meters = self.lanes.at(open.lane).meters.as_slice();
        let Some(position) = self.meant_by(meters, news) else {
            return false;
        };
        let (m, count) = (meters[position], meters.len());
        let lowered = news
            .limit
            .is_some_and(|limit| self.books.hear_limit(m, now, limit));
        let foreign = news.remaining.map_or(0, |remaining| {
            let mark = self.open.mark(reservation, position, count);
            self.heard.note(open.seq, m, *news);
            self.books
                .adopt(m, now, (open.at, mark), remaining, news.rounding)
        });
        self.check_invariants(open.lane);
        lowered || foreign > 0
    }

    /// Pauses the policies of a lane that count `unit` (`None`: all but slots) until `until`. Pauses only ever grow.
    ///
    /// # Panics
    /// If the lane belongs to another ledger or has been forgotten.
    pub fn pause(&mut self, lane: Lane, unit: Option<Unit>, until: Tick) {
        for &m in self.lanes.get(lane).meters.as_slice() {
            self.books.pause(m, unit, until);
        }
    }

    /// Open reservations.
    #[must_use]
    pub const fn open_reservations(&self) -> usize {
        self.open.len()
    }

    /// Ends a reservation; what was reserved.
    #[inline(always)]
    fn end(&mut self, now: Tick, reservation: Reservation, used: Option<&Amounts>) -> &Amounts {
        let now = self.forward(now);
        let slot = reservation.slot;
        let open = self.open.close(reservation);
        let place = open.lane;
        let record = self.lanes.at_mut(place);
        record.open -= 1;
        if record.kind == Kind::Own {
            let reserved = (open.seq, open.at, &open.amounts);
            for m in record.meters.as_slice() {
                self.books.end(*m, now, reserved, used, None);
            }
        } else {
            let open = *open;
            self.end_elsewhere(now, &open, used);
        }
        self.check_invariants(place);
        self.open.amounts_of(slot)
    }

    /// Ends a reservation in a lane that may go with it, or is left to those from before a change of plan.
    #[cold]
    fn end_elsewhere(&mut self, now: Tick, open: &Open, used: Option<&Amounts>) {
        let manners = self.lanes.former(open.lane);
        let meters = self.lanes.at(open.lane).meters.as_slice();
        for (i, m) in meters.iter().enumerate() {
            let manner = manners.and_then(|manners| manners.get(i));
            let reserved = (open.seq, open.at, &open.amounts);
            self.books.end(*m, now, reserved, used, manner);
        }
        if self.lanes.left(open.lane) {
            self.forget(open.lane);
        }
    }

    /// Why a call that does not fit has to wait, or that it never fits.
    #[cold]
    fn refuse(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Decision {
        let meters = self.lanes.get(lane).meters.as_slice();
        let mut until = Some(now);
        let mut binding = None;
        for &m in meters {
            self.books.advance(m, now);
            let terms = self.books.terms_of(m);
            let units = terms.units(amounts);
            if units > terms.capacity() {
                return Decision::NeverFits(self.explain(now, m, units));
            }
            let fit = self.books.fit(m, now, units);
            // No instant at all is later than any.
            if until.is_some_and(|until| fit.is_none_or(|at| at > until)) {
                until = fit;
                binding = Some((m, units));
            }
        }
        let (m, units) = binding.expect("one of the policies has no room");
        if let Some(wait) = self.first_spent(now, meters, amounts) {
            return Decision::Spent(wait);
        }
        Decision::Wait(Wait {
            binding: self.explain(now, m, units),
            until: until.and_then(|at| self.all_fit_from(at, meters, amounts)),
        })
    }

    /// The first policy that refuses such a call because it is spent, and when it starts again. They must have been advanced.
    fn first_spent(&self, now: Tick, meters: &[u32], amounts: &Amounts) -> Option<Wait> {
        let (m, units, until) = meters.iter().find_map(|&m| {
            let terms = self.books.terms_of(m);
            if !terms.refuses {
                return None;
            }
            let units = terms.units(amounts);
            // Calls in flight will have ended by the time that it starts again.
            let until = self.books.fit_alone(m, now, units);
            (until != Some(now) && self.books.is_spent(m, now, units)).then_some((m, units, until))
        })?;
        Some(Wait {
            binding: self.explain(now, m, units),
            until,
        })
    }

    /// The earliest instant from `at` on at which every policy of the lane has room. One that has room now may be near its
    /// window's boundary by then.
    pub(crate) fn all_fit_from(
        &self,
        mut at: Tick,
        meters: &[u32],
        amounts: &Amounts,
    ) -> Option<Tick> {
        for _ in 0..Self::UNTIL_ROUNDS {
            let before = at;
            for &m in meters {
                at = self
                    .books
                    .fit(m, at, self.books.terms_of(m).units(amounts))?;
            }
            if at == before {
                break;
            }
        }
        Some(at)
    }

    /// Time only moves forward: an earlier instant than the latest seen counts as that one.
    pub(crate) fn forward(&mut self, now: Tick) -> Tick {
        self.latest = self.latest.max(now);
        self.latest
    }

    fn explain(&self, now: Tick, m: u32, units: u64) -> Binding {
        let (meter, terms) = (self.books.meter(m), self.books.terms_of(m));
        let held_back = meter.held_back_until(&self.books.rares);
        Binding {
            policy: self.plan.policies()[terms.policy as usize].name.clone(),
            unit: terms.unit,
            needed: units,
            used: meter.used(now, terms),
            remaining: meter.room(now, terms, &self.books.rares),
            capacity: terms.capacity(),
            paused_until: Some(held_back).filter(|&until| until > now),
        }
    }

    /// The policy that a piece of news is about: same unit and window; failing that, the only one of its unit that has the
    /// reported limit. Anything less certain is not adopted.
    fn meant_by(&self, meters: &[u32], news: &News) -> Option<usize> {
        let terms = || meters.iter().map(|m| self.books.terms_of(*m)).enumerate();
        let same_window = |window: u64| news.window.is_some_and(|w| nanos(w) == window);
        let mut named = terms()
            .filter(|(_, terms)| terms.unit == news.unit && same_window(terms.window_nanos()));
        if let Some((i, _)) = named.next() {
            return Some(i);
        }
        let mut found = terms()
            .filter(|(_, terms)| terms.unit == news.unit && news.limit == Some(terms.limit()));
        let (i, _) = found.next()?;
        found.next().is_none().then_some(i)
    }

    /// In debug builds: the books of a lane that was changed, and all of them now and then.
    pub(crate) fn check_invariants(&mut self, place: u32) {
        if cfg!(debug_assertions) {
            for m in self.lanes.at(place).meters.as_slice() {
                self.books.check_invariants(*m, self.latest);
            }
            self.changes += 1;
            if self.changes >= Self::CHANGES_PER_CHECK.max(self.books.meters.len()) {
                self.changes = 0;
                self.check_everything();
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
