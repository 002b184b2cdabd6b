//! `OpenReservations`: what has been reserved and not yet settled, by slot.

use alloc::vec::Vec;

use crate::{
    Amounts, Reservation, Tick,
    ledger::Lane,
    meter::{Mark, Meter, Opened},
};

/// Slots and their mark vectors are used again, so that a steady state allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct OpenReservations {
    entries: Vec<Open>,
    // Parallel to `entries`; one mark per meter of the lane, in its order.
    marks: Vec<Vec<Mark>>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) seq: u64,
    pub(crate) at: Tick,
    pub(crate) lane: Lane,
    pub(crate) amounts: Amounts,
}

impl Open {
    pub(crate) fn as_counted_in(&self, meter: &Meter) -> Opened {
        Opened {
            seq: self.seq,
            at: self.at,
            units: meter.units(&self.amounts),
        }
    }
}

impl OpenReservations {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            marks: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Opens a reservation; the marks are for the caller to fill.
    pub(crate) fn open(&mut self, open: Open) -> (Reservation, &mut Vec<Mark>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(open);
            self.marks.push(Vec::new());
            u32::try_from(self.entries.len() - 1)
                .expect("fewer than 2^32 reservations fit in memory")
        });
        let i = slot as usize;
        self.entries[i] = open;
        self.marks[i].clear();
        (
            Reservation {
                slot,
                seq: open.seq,
            },
            &mut self.marks[i],
        )
    }

    pub(crate) fn get(&self, reservation: &Reservation) -> (Open, &[Mark]) {
        let i = reservation.slot as usize;
        let open = self.entries[i];
        assert_eq!(
            open.seq, reservation.seq,
            "a reservation is used with the ledger that made it"
        );
        (open, &self.marks[i])
    }

    #[expect(clippy::needless_pass_by_value, reason = "a reservation ends here")]
    pub(crate) fn close(&mut self, reservation: Reservation) -> Open {
        let (open, _) = self.get(&reservation);
        self.free.push(reservation.slot);
        open
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}
