//! `OpenReservations`: what has been reserved and not yet settled, by slot.

use alloc::vec::Vec;

use crate::{Amounts, Reservation, Tick, lanes::Meters, mark::Mark};

/// Slots are used again, so that a steady state allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct OpenReservations {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// An open reservation, or one that is over.
#[derive(Debug)]
pub(crate) struct Slot {
    open: Open,
    // One per meter of the lane, in its order; all of them in `many` if they are too many.
    few: [Mark; Meters::FEW],
    many: Vec<Mark>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) seq: u64,
    pub(crate) at: Tick,
    /// The place of its lane.
    pub(crate) lane: u32,
    pub(crate) is_open: bool,
    pub(crate) amounts: Amounts,
}

impl OpenReservations {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Opens a reservation in a lane of so many meters; the marks, one for each, are for the caller to fill.
    #[inline]
    pub(crate) fn open(
        &mut self,
        (seq, at, lane): (u64, Tick, u32),
        amounts: &Amounts,
        meters: usize,
    ) -> (Reservation, &mut [Mark]) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.grow(),
        };
        let Slot { open, few, many } = &mut self.slots[slot as usize];
        open.seq = seq;
        open.at = at;
        open.lane = lane;
        open.is_open = true;
        open.amounts = *amounts;
        let marks = match few.get_mut(..meters) {
            Some(few) => few,
            None => {
                many.resize(meters, Mark::default());
                many
            }
        };
        (Reservation { slot, seq }, marks)
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        self.slots.push(Slot {
            open: Open {
                seq: 0,
                at: Tick::ZERO,
                lane: 0,
                is_open: false,
                amounts: Amounts::ZERO,
            },
            few: [Mark::default(); Meters::FEW],
            many: Vec::new(),
        });
        u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 reservations fit in memory")
    }

    pub(crate) fn get(&self, reservation: &Reservation) -> &Open {
        let Slot { open, .. } = &self.slots[reservation.slot as usize];
        assert!(open.is_open && open.seq == reservation.seq, "{FOREIGN}");
        open
    }

    /// What was reserved for the reservation that was here last.
    #[inline]
    pub(crate) fn amounts_of(&self, slot: u32) -> &Amounts {
        &self.slots[slot as usize].open.amounts
    }

    /// The mark at the meter in this position of a lane of so many meters.
    pub(crate) fn mark(&self, reservation: &Reservation, position: usize, meters: usize) -> Mark {
        let Slot { few, many, .. } = &self.slots[reservation.slot as usize];
        if meters <= Meters::FEW {
            few[position]
        } else {
            many[position]
        }
    }

    /// Ends a reservation. What it was can still be looked at, until another is made.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "a reservation ends here")]
    pub(crate) fn close(&mut self, reservation: Reservation) -> &Open {
        let Slot { open, .. } = &mut self.slots[reservation.slot as usize];
        assert!(open.is_open && open.seq == reservation.seq, "{FOREIGN}");
        open.is_open = false;
        self.free.push(reservation.slot);
        open
    }

    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// What the calls of the lane at a place take that are open or ended lately: as far as their slots have not been used again.
    pub(crate) fn lately(&self, lane: u32) -> impl Iterator<Item = &Amounts> {
        let slots = self.slots.iter().map(|slot| &slot.open);
        slots
            .filter(move |open| open.lane == lane)
            .map(|open| &open.amounts)
    }

    /// All that are open.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut().filter(|slot| slot.open.is_open)
    }
}

impl Slot {
    pub(crate) const fn lane(&self) -> u32 {
        self.open.lane
    }

    pub(crate) const fn set_lane(&mut self, lane: u32) {
        self.open.lane = lane;
    }

    /// Changes the marks at the meters of its lane, or removes them.
    pub(crate) fn change_marks(
        &mut self,
        meters: &[u32],
        change: impl Fn(u32, Mark) -> Option<Mark>,
    ) {
        let marks = self.few.get(..meters.len()).unwrap_or(&self.many);
        let changed = meters
            .iter()
            .zip(marks)
            .filter_map(|(m, mark)| change(*m, *mark));
        let changed: Vec<Mark> = changed.collect();
        match self.few.get_mut(..changed.len()) {
            Some(few) => few.copy_from_slice(&changed),
            None => self.many = changed,
        }
    }
}

const FOREIGN: &str = "a reservation is used with the ledger that made it";
