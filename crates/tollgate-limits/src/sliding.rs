//! The state of a sliding window: no more than the limit in any span of the window.

use alloc::collections::VecDeque;

use crate::Tick;

/// Charges closer together than this part of the window share a cell and age out together, with the latest of them. It bounds
/// the log at as many cells, and costs at most that part of the quota.
const CELLS: u64 = 4096;

/// Charges of unknown time are dated to so many instants.
const PIECES: u64 = 16;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) limit: u64,
    pub(crate) window: u64,
    pub(crate) margin: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Sliding {
    cells: VecDeque<Cell>,
    used: u64,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    first: Tick,
    last: Tick,
    units: u64,
}

impl Sliding {
    /// Forgets what has aged out by `now`.
    pub(crate) fn advance(&mut self, now: Tick, span: &Span) {
        while let Some(cell) = self.cells.front()
            && span.free_at(cell.last).is_some_and(|at| at <= now)
        {
            self.used -= cell.units;
            self.cells.pop_front();
        }
    }

    /// The earliest instant from `from` on at which `wanted` units fit, those in flight among them; `None` if that takes a
    /// settlement or longer than time lasts. The state must have been advanced.
    pub(crate) fn fit(&self, from: Tick, wanted: u64, span: &Span) -> Option<Tick> {
        let room = span.limit.checked_sub(wanted)?;
        let mut over = self.used.saturating_sub(room);
        if over == 0 {
            return Some(from);
        }
        for cell in &self.cells {
            over = over.saturating_sub(cell.units);
            if over == 0 {
                return span.free_at(cell.last).map(|at| at.max(from));
            }
        }
        None
    }

    /// Units that a call could take now.
    pub(crate) const fn room(&self, held: u64, span: &Span) -> u64 {
        span.limit.saturating_sub(self.used).saturating_sub(held)
    }

    pub(crate) fn charge(&mut self, now: Tick, units: u64, span: &Span) {
        if units == 0 {
            return;
        }
        self.used += units;
        match self.cells.back_mut() {
            Some(cell)
                if now == cell.last
                    || now.since(cell.first).as_nanos() < u128::from(span.window / CELLS) =>
            {
                cell.last = now;
                cell.units += units;
            }
            _ => self.cells.push_back(Cell {
                first: now,
                last: now,
                units,
            }),
        }
    }

    /// Charges `units` that were used at unknown times between `since` and `now`, as if they had been used evenly.
    pub(crate) fn charge_since(&mut self, since: Tick, now: Tick, units: u64) {
        let span = u128::from(now.as_nanos().saturating_sub(since.as_nanos()));
        let mut left = units;
        for i in 1..=PIECES {
            let later = (span * u128::from(i)).div_ceil(u128::from(PIECES));
            let at = since.plus_nanos(u64::try_from(later).unwrap_or(u64::MAX));
            let piece = left.div_ceil(PIECES + 1 - i);
            left -= piece;
            // In a cell that ages out no earlier, so that the cells stay in order.
            let cell = self.cells.partition_point(|cell| cell.last < at);
            match self.cells.get_mut(cell) {
                Some(cell) => cell.units += piece,
                None => self.cells.push_back(Cell {
                    first: at,
                    last: at,
                    units: piece,
                }),
            }
        }
        self.used += units;
    }

    /// Gives back `refund` units of a charge made `at`, if it has not aged out.
    pub(crate) fn refund(&mut self, at: Tick, refund: u64) {
        let i = self.cells.partition_point(|cell| cell.last < at);
        if let Some(cell) = self.cells.get_mut(i)
            && cell.first <= at
        {
            let taken = refund.min(cell.units);
            cell.units -= taken;
            self.used -= taken;
        }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.cells.is_empty()
    }

    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn check_invariants(&self) {
        debug_assert_eq!(
            self.used,
            self.cells.iter().map(|c| c.units).sum::<u64>(),
            "the cells add up to the use"
        );
    }
}

impl Span {
    /// When a charge ages out; `None` if that is after the end of time.
    pub(crate) fn free_at(&self, charged: Tick) -> Option<Tick> {
        charged
            .checked_plus_nanos(self.window)?
            .checked_plus_nanos(self.margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span {
        limit: 10,
        window: 60_000_000_000,
        margin: 0,
    };

    #[test]
    fn charges_close_together_share_a_cell_and_the_log_stays_bounded() {
        let mut sliding = Sliding::default();
        for i in 0..100_000_u64 {
            let now = Tick::from_nanos(i * 1_000_000);
            sliding.advance(now, &SPAN);
            sliding.charge(now, 1, &SPAN);
        }
        assert!(
            sliding.cells.len() as u64 <= CELLS + 1,
            "{} cells",
            sliding.cells.len()
        );
        sliding.check_invariants();
    }
}
