//! `Layers`: whose charge a bucket's level is made of, so that refunds are exact.
//!
//! A bucket's level after any history is `X(now) - min X`, where `X` is everything charged minus everything drained, and the
//! minimum runs over the past (the level never goes below empty). A refund lowers `X` from the moment of its charge onwards, and
//! so lowers the minima that come after that moment too. Cut the level at each open reservation into the differences between
//! successive minima and the arithmetic becomes a stack of layers:
//!
//! - a charge puts a layer on top;
//! - draining eats from the top;
//! - a refund eats the layer of its own reservation, then the layers *below* it, never those above; what is left over at the
//!   bottom had drained already and is worth nothing.
//!
//! This equals a replay of the whole history with the charge replaced, which `tests/laws.rs` and `tests/reference.rs` check.
//! Reservations whose layers can no longer be told apart share a group, so that every operation is O(log open), amortised, and a
//! bucket without open reservations keeps one number.

use alloc::vec::Vec;

/// The level of a bucket in unit-nanoseconds, split by open reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layers {
    // Ascending in `first`; each stands for the reservations from its `first` up to the next group's.
    groups: Vec<Group>,
    // Charges above the newest open reservation.
    top: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    first: u64,
    open: u32,
    sum: u128,
}

impl Layers {
    /// Charges `sum` for the reservation `seq`, which must be the newest, and stays open until [`Layers::settle`].
    pub(crate) fn open(&mut self, seq: u64, sum: u128) {
        debug_assert!(
            self.groups.last().is_none_or(|g| g.first < seq),
            "reservations open in order"
        );
        // What lies on top is below the new layer, and nobody else can refund from there: it joins the new group.
        let sum = core::mem::take(&mut self.top) + sum;
        self.groups.push(Group {
            first: seq,
            open: 1,
            sum,
        });
    }

    /// Charges `sum` that nobody will refund.
    pub(crate) fn charge(&mut self, sum: u128) {
        self.top += sum;
    }

    /// Takes `sum` off the top; the caller passes no more than the level.
    pub(crate) fn drain(&mut self, mut sum: u128) {
        let from_top = sum.min(self.top);
        self.top -= from_top;
        sum -= from_top;
        while let Some(last) = self.groups.last_mut() {
            if sum < last.sum {
                last.sum -= sum;
                return;
            }
            sum -= last.sum;
            last.sum = 0;
            let open = last.open;
            // An empty layer refunds like the one below it, so the two become one; the bottom one stays.
            let Some(below) = self.groups.len().checked_sub(2) else {
                return;
            };
            self.groups.pop();
            self.groups[below].open += open;
        }
    }

    /// Ends the reservation `seq`, giving back `refund`. Returns by how much the level falls: less than `refund` if part of the
    /// charge has drained meanwhile.
    pub(crate) fn settle(&mut self, seq: u64, refund: u128) -> u128 {
        let mut i = self.group_of(seq);
        let mut left = refund;
        loop {
            let taken = left.min(self.groups[i].sum);
            self.groups[i].sum -= taken;
            left -= taken;
            if self.groups[i].sum > 0 || i == 0 {
                break;
            }
            let empty = self.groups.remove(i);
            i -= 1;
            self.groups[i].open += empty.open;
        }
        self.groups[i].open -= 1;
        if self.groups[i].open == 0 {
            // Nobody refunds from here any more, but refunds of newer reservations reach down to it.
            let closed = self.groups.remove(i);
            match self.groups.get_mut(i) {
                Some(above) => above.sum += closed.sum,
                None => self.top += closed.sum,
            }
        }
        refund - left
    }

    /// The whole level; `check_invariants` compares it with the bucket's own.
    pub(crate) fn level(&self) -> u128 {
        self.groups.iter().map(|g| g.sum).sum::<u128>() + self.top
    }

    fn group_of(&self, seq: u64) -> usize {
        let after = self.groups.partition_point(|g| g.first <= seq);
        debug_assert!(after > 0, "a reservation is settled once");
        after.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_takes_nothing_from_later_charges() {
        let mut layers = Layers::default();
        layers.open(1, 10);
        layers.drain(10);
        layers.open(2, 10);
        assert_eq!(layers.settle(1, 10), 0, "the first charge had drained");
        assert_eq!(layers.level(), 10);
        assert_eq!(layers.settle(2, 4), 4);
        assert_eq!(layers.level(), 6);
    }

    #[test]
    fn a_refund_reaches_down_to_earlier_charges() {
        let mut layers = Layers::default();
        layers.open(1, 10);
        layers.open(2, 10);
        layers.drain(5);
        assert_eq!(
            layers.settle(2, 10),
            10,
            "draining happened once, whichever charge it is told of"
        );
        assert_eq!(layers.level(), 5);
        assert_eq!(layers.settle(1, 10), 5);
        assert_eq!(layers, Layers::default());
    }

    #[test]
    fn reservations_that_drained_share_one_group() {
        let mut layers = Layers::default();
        for seq in 0..1_000 {
            layers.open(seq, 1);
            layers.drain(1);
        }
        assert_eq!(layers.groups.len(), 1);
        for seq in (0..1_000).rev() {
            assert_eq!(layers.settle(seq, 1), 0);
        }
        assert_eq!(layers, Layers::default());
    }
}
