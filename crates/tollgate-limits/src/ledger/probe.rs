//! Questions about one meter, for a driver that keeps a queue at each.

use crate::{Amounts, Binding, Lane, Ledger, Tick, Unit};

impl Ledger {
    /// What a meter of [`Ledger::meters_of`] counts.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    #[must_use]
    pub fn unit_of(&self, meter: u32) -> Unit {
        self.meters[meter as usize].unit
    }

    /// The earliest instant from `now` on at which one meter has room for `units` if nothing else is charged until then; `None` if
    /// that takes a settlement. `units` must not exceed the meter's capacity.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    pub fn fit(&mut self, now: Tick, meter: u32, units: u64) -> Option<Tick> {
        let now = self.forward(now);
        let meter = &mut self.meters[meter as usize];
        meter.advance(now);
        meter.fit(now, units)
    }

    /// How one meter stands to a call that needs `units`.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    pub fn binding(&mut self, now: Tick, meter: u32, units: u64) -> Binding {
        let now = self.forward(now);
        self.meters[meter as usize].advance(now);
        self.explain(now, meter, units)
    }

    /// The first policy of the lane that can never grant `amounts`.
    ///
    /// # Panics
    /// If the lane belongs to another ledger.
    pub fn never_fits(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Option<Binding> {
        let too_small = self.meters_of(lane).iter().copied().find(|&m| {
            let meter = &self.meters[m as usize];
            amounts.get(meter.unit) > meter.capacity()
        })?;
        let units = amounts.get(self.unit_of(too_small));
        Some(self.binding(now, too_small, units))
    }
}
