//! Questions about one meter, for a driver that keeps a queue at each.

use crate::{Amounts, Binding, Lane, Ledger, Tick, Wait};

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
    /// if nothing else is charged until then; `None` if that takes settlements. Never too late.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    pub fn earliest(&mut self, now: Tick, meter: u32, units: u64) -> Option<Tick> {
        let now = self.forward(now);
        self.books.advance(meter, now);
        let capacity = self.books.terms_of(meter).capacity();
        self.books.fit(meter, now, units.min(capacity))
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
