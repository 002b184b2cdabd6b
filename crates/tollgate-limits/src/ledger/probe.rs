//! Questions about one meter, for a driver that keeps a queue at each.

use crate::{Amounts, Binding, Lane, Ledger, Tick, Wait};

impl Ledger {
    /// The units that a call takes of a meter of [`Ledger::meters_of`], as the policy counts them.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    #[must_use]
    pub fn units_of(&self, meter: u32, amounts: &Amounts) -> u64 {
        self.meters[meter as usize].units(amounts)
    }

    /// Whether one meter has room for a call, and when.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    pub fn room(&mut self, now: Tick, meter: u32, amounts: &Amounts) -> Room {
        let now = self.forward(now);
        let meter = &mut self.meters[meter as usize];
        meter.advance(now);
        let units = meter.units(amounts);
        match meter.fit(now, units) {
            _ if units > meter.capacity() => Room::Refused,
            Some(at) if at == now => Room::Now,
            _ if meter.is_spent(units) => Room::Refused,
            at => Room::Later(at),
        }
    }

    /// The earliest instant from `now` on at which one meter can have granted `units` together, however they are divided into calls,
    /// if nothing else is charged until then; `None` if that takes settlements. Never too late.
    ///
    /// # Panics
    /// If the meter belongs to another ledger.
    pub fn earliest(&mut self, now: Tick, meter: u32, units: u64) -> Option<Tick> {
        let now = self.forward(now);
        let meter = &mut self.meters[meter as usize];
        meter.advance(now);
        meter.fit(now, units.min(meter.capacity()))
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
            meter.units(amounts) > meter.capacity()
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
        let meters = self.lanes[lane.index as usize].iter().copied();
        let (m, units, until) = meters.into_iter().find_map(|m| {
            let meter = &mut self.meters[m as usize];
            if !meter.refuses {
                return None;
            }
            meter.advance(now);
            let units = meter.units(amounts);
            // Calls in flight will have ended by the time that it starts again.
            let until = meter.fit_beside(now, units, 0);
            (until != Some(now) && meter.is_spent(units)).then_some((m, units, until))
        })?;
        Some(Wait {
            binding: self.explain(now, m, units),
            until,
        })
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
