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
//! Reservations whose layers can no longer be told apart share a group, so that every operation is O(log open), amortised. While
//! there is but one group and nothing on top of it, the level says it all, and no layers are kept.

use alloc::collections::VecDeque;

/// The level of a bucket in unit-nanoseconds, split by open reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layers {
    // Ascending in `first`; each stands for the reservations from its `first` up to the next group's.
    groups: VecDeque<Group>,
    // Charges above the newest open reservation.
    top: u128,
    // All of them together.
    level: u128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    first: u64,
    open: u32,
    sum: u128,
}

impl Layers {
    pub(crate) const fn new() -> Self {
        Self {
            groups: VecDeque::new(),
            top: 0,
            level: 0,
        }
    }

    /// Whether the level says it all.
    pub(crate) fn are_plain(&self) -> bool {
        self.groups.is_empty()
    }

    /// Charges `sum`, for the reservation `seq` or for nobody who refunds it, in a bucket of this level in which `open` others are
    /// open. Where the level has said it all so far, it becomes their one layer.
    #[inline(never)]
    pub(crate) fn pour(&mut self, level: u128, open: u32, sum: u128, seq: Option<u64>) {
        if self.are_plain() {
            self.level = level;
            self.groups.push_back(Group {
                first: 0,
                open,
                sum: level,
            });
        } else {
            self.drain_to(level);
        }
        match seq {
            Some(seq) => self.open(seq, sum),
            None => self.charge(sum),
        }
    }

    /// As [`Layers::settle`], in a bucket of this level.
    #[inline(never)]
    pub(crate) fn settle_at(&mut self, level: u128, seq: u64, refund: u128) -> u128 {
        self.drain_to(level);
        self.settle(seq, refund)
    }

    /// Charges `sum` for the reservation `seq`, which must be the newest, and stays open until [`Layers::settle`].
    fn open(&mut self, seq: u64, sum: u128) {
        debug_assert!(
            self.groups.back().is_none_or(|g| g.first <= seq),
            "reservations open in order"
        );
        self.level += sum;
        // What lies on top is below the new layer, and nobody else can refund from there: it joins the new group.
        let sum = core::mem::take(&mut self.top) + sum;
        self.groups.push_back(Group {
            first: seq,
            open: 1,
            sum,
        });
    }

    /// Charges `sum` that nobody will refund.
    fn charge(&mut self, sum: u128) {
        self.top += sum;
        self.level += sum;
    }

    /// Takes from the top until `level` is left.
    fn drain_to(&mut self, level: u128) {
        debug_assert!(level <= self.level, "draining takes away");
        let mut sum = self.level - level;
        self.level = level;
        let from_top = sum.min(self.top);
        self.top -= from_top;
        sum -= from_top;
        while let Some(last) = self.groups.back_mut() {
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
            self.groups.pop_back();
            self.groups[below].open += open;
        }
    }

    /// Ends the reservation `seq`, giving back `refund`. Returns by how much the level falls: less than `refund` if part of the
    /// charge has drained meanwhile.
    fn settle(&mut self, seq: u64, refund: u128) -> u128 {
        let mut i = self.group_of(seq);
        let mut left = refund;
        loop {
            let taken = left.min(self.groups[i].sum);
            self.groups[i].sum -= taken;
            left -= taken;
            if self.groups[i].sum > 0 || i == 0 {
                break;
            }
            let empty = self.groups.remove(i).map_or(0, |empty| empty.open);
            i -= 1;
            self.groups[i].open += empty;
        }
        self.groups[i].open -= 1;
        if self.groups[i].open == 0 {
            // Nobody refunds from here any more, but refunds of newer reservations reach down to it.
            let closed = self.groups.remove(i).map_or(0, |closed| closed.sum);
            match self.groups.get_mut(i) {
                Some(above) => above.sum += closed,
                None => self.top += closed,
            }
        }
        let fell = refund - left;
        self.level -= fell;
        if self.top == 0 && self.groups.len() <= 1 || self.groups.is_empty() {
            self.clear();
        }
        fell
    }

    /// Forgets everything but its memory.
    pub(crate) fn clear(&mut self) {
        self.groups.clear();
        (self.top, self.level) = (0, 0);
    }

    /// Drains to a level, then measures it in other unit-nanoseconds: `to` per unit instead of `from`, rounded up. Returns it.
    pub(crate) fn rescale(&mut self, level: u128, from: u64, to: u64) -> u128 {
        self.drain_to(level);
        let parts = self.groups.iter_mut().map(|g| &mut g.sum);
        self.level = 0;
        for part in parts.chain([&mut self.top]) {
            *part = rescaled(*part, from, to);
            self.level += *part;
        }
        self.level
    }

    /// What `are_plain` hides is in order, and adds up to the bucket's own level once drained to it.
    pub(crate) fn check_invariants(&self, level: u128, open: u32) {
        if self.are_plain() {
            return;
        }
        debug_assert_eq!(
            self.groups.iter().map(|g| g.sum).sum::<u128>() + self.top,
            self.level,
            "the layers add up"
        );
        debug_assert!(level <= self.level, "the layers have only drained since");
        debug_assert_eq!(
            self.groups.iter().map(|g| g.open).sum::<u32>(),
            open,
            "every open reservation has a layer"
        );
        debug_assert!(
            self.groups.iter().is_sorted_by(|a, b| a.first < b.first),
            "layers lie in the order of their reservations"
        );
    }

    fn group_of(&self, seq: u64) -> usize {
        let after = self.groups.partition_point(|g| g.first <= seq);
        debug_assert!(after > 0, "a reservation is settled once");
        after.saturating_sub(1)
    }
}

/// `sum` unit-nanoseconds of windows of `from` nanoseconds as those of windows of `to`, rounded up, against the caller.
pub(crate) fn rescaled(sum: u128, from: u64, to: u64) -> u128 {
    let (from, to) = (u128::from(from), u128::from(to));
    // Units are below 2^65 and windows below 2^59, so neither product overflows.
    sum / from * to + (sum % from * to).div_ceil(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_takes_nothing_from_later_charges() {
        let mut layers = Layers::new();
        layers.open(1, 10);
        layers.drain_to(0);
        layers.open(2, 10);
        assert_eq!(layers.settle(1, 10), 0, "the first charge had drained");
        assert!(layers.are_plain());
    }

    #[test]
    fn a_refund_reaches_down_to_earlier_charges() {
        let mut layers = Layers::new();
        layers.open(1, 10);
        layers.open(2, 10);
        layers.charge(1);
        layers.drain_to(15);
        assert_eq!(
            layers.settle(2, 10),
            10,
            "draining happened once, whichever charge it is told of"
        );
        assert!(layers.are_plain(), "only the first one's layer is left");
    }

    #[test]
    fn reservations_that_drained_share_one_group() {
        let mut layers = Layers::new();
        for seq in 0..1_000 {
            layers.open(seq, 1);
            layers.drain_to(0);
        }
        assert_eq!(layers.groups.len(), 1);
        assert_eq!(layers.groups[0].open, 1_000);
    }

    #[test]
    fn other_unit_nanoseconds_hold_no_less() {
        assert_eq!(rescaled(7, 7, 1 << 58), 1 << 58);
        assert_eq!(rescaled(8, 7, 1), 2);
        let most = u128::from(u64::MAX) << 58;
        assert_eq!(
            rescaled(most, 1 << 58, (1 << 58) - 1),
            most - u128::from(u64::MAX)
        );
    }
}
