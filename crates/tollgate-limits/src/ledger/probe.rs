//! Questions about one meter, for a driver that keeps a queue at each.

use alloc::vec::Vec;

use crate::{
    Amounts, Anchor, Binding, Lane, Ledger, Reservation, Tick, Unit, Wait,
    terms::{Booked, Form},
};

impl Ledger {
    /// The units that a call takes of a meter of [`Ledger::meters_of`], as the policy counts them.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    #[must_use]
    pub fn units_of(&self, meter: u32, amounts: &Amounts) -> u64 {
        self.books.terms_of(meter).units(amounts)
    }

    /// Whether one meter has room for a call, and when.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    pub fn room(&mut self, now: Tick, meter: u32, amounts: &Amounts) -> Room {
        let now = self.forward(now);
        if self.books.fits(meter, now, amounts) {
            return Room::Now;
        }
        self.books.advance(meter, now);
        let terms = self.books.terms_of(meter);
        let units = terms.units(amounts);
        if units > terms.capacity() || self.books.is_spent(meter, now, units) {
            return Room::Refused;
        }
        Room::Later(self.books.fit(meter, now, units))
    }

    /// The earliest instant from `now` on at which one meter can have granted `units` together, however they are divided into calls,
    /// if nothing else is charged until then and nothing is given back; `None` if that takes settlements. Never too late, and O(1):
    /// [`Ledger::forecast`] plays calls through.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    pub fn earliest(&mut self, now: Tick, meter: u32, units: u64) -> Option<Tick> {
        let now = self.forward(now);
        self.books.advance(meter, now);
        let terms = self.books.terms_of(meter);
        let (limit, window) = (terms.limit(), terms.window_nanos());
        // What fits at once, and how long the rest takes at least.
        let (at_once, span) = match &terms.form {
            Form::Bucket(rate) => {
                let rest = units.saturating_sub(rate.burst);
                let span = u128::from(rest) * u128::from(window) / u128::from(limit);
                (units - rest, u64::try_from(span).unwrap_or(u64::MAX))
            }
            // No span of a window has more than the limit.
            Form::Sliding(_) => {
                let windows = units.saturating_sub(1) / limit;
                (units - windows * limit, windows.saturating_mul(window))
            }
            // What is left of this one and all of the next are no further than the boundary between them.
            Form::Window(frame) if !matches!(frame.anchor, Anchor::Calendar(_)) => {
                let windows = (units / limit).saturating_sub(2);
                (units.min(limit), windows.saturating_mul(window))
            }
            Form::Window(_) | Form::Slots(_) => (units.min(limit), 0),
        };
        let at = self.books.fit(meter, now, at_once)?;
        Some(at.plus_nanos(span))
    }

    /// How one meter stands to a call that needs `units`.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    pub fn binding(&mut self, now: Tick, meter: u32, units: u64) -> Binding {
        let now = self.forward(now);
        self.books.advance(meter, now);
        self.explain(now, meter, units)
    }

    /// How the policies of the lane that a [`Ledger::pause`] of `unit` concerns stand now.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn paused(&mut self, now: Tick, lane: Lane, unit: Option<Unit>) -> Vec<Binding> {
        let meters: Vec<u32> = self.meters_of(lane).to_vec();
        let bindings = meters.into_iter().map(|m| self.binding(now, m, 0));
        let paused = bindings.filter(|binding| {
            binding.paused_until.is_some() && unit.is_none_or(|unit| unit == binding.unit)
        });
        paused.collect()
    }

    /// Whether a policy of the lane may refuse such a call instead of letting it wait: [`Ledger::never_fits`] and [`Ledger::spent`] say
    /// whether it does.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    #[must_use]
    pub fn may_refuse(&self, lane: Lane, amounts: &Amounts) -> bool {
        self.meters_of(lane).iter().any(|m| {
            let terms = self.books.terms_of(*m);
            terms.refuses || terms.units(amounts) > terms.capacity()
        })
    }

    /// Whether [`Ledger::settle`] of this reservation gives nothing back, so that no call fits after it that did not before.
    ///
    /// # Panics
    /// If the reservation belongs to another ledger.
    #[must_use]
    pub fn gives_nothing_back(&self, reservation: &Reservation, used: &Amounts) -> bool {
        let open = self.open.get(reservation);
        let mut meters = self.lanes.at(open.lane).meters.as_slice().iter();
        meters.all(|m| {
            let terms = self.books.terms_of(*m);
            // What is held while the call runs becomes something that is known to end.
            let held = terms.manner.booked == Booked::Held || matches!(terms.form, Form::Slots(_));
            !held && terms.units(used) >= terms.units(&open.amounts)
        })
    }

    /// The first policy of the lane that can never grant `amounts`.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn never_fits(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Option<Binding> {
        let too_small = self.meters_of(lane).iter().copied().find(|&m| {
            let terms = self.books.terms_of(m);
            terms.units(amounts) > terms.capacity()
        })?;
        let units = self.units_of(too_small, amounts);
        Some(self.binding(now, too_small, units))
    }

    /// The first policy of the lane that refuses such a call because it is spent, and when it starts again.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn spent(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Option<Wait> {
        let now = self.forward(now);
        let meters = self.lanes.get(lane).meters.as_slice();
        for m in meters {
            self.books.advance(*m, now);
        }
        self.first_spent(now, meters, amounts)
    }
}

/// Whether one meter has room for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It has.
    Now,
    /// From then on, if nothing else is charged until then; `None` if that takes a settlement.
    Later(Option<Tick>),
    /// The call must not wait for it: it is spent, or can never grant so much.
    Refused,
}
