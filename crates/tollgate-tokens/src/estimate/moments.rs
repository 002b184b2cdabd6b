//! `Moments`: whether what was reserved for the calls in flight at one moment was enough, once all of them have ended.

use std::collections::VecDeque;

/// Sums of what calls used beyond their reservations, over those in flight at a moment; one moment for every so many admissions.
///
/// A call adds to all moments from its admission to its end. Only the changes from one moment to the next are kept, so that it adds to two
/// of them, whatever its length.
#[derive(Debug)]
pub(super) struct Moments {
    /// Calls admitted so far.
    admitted: u64,
    /// Admissions from one moment to the next; doubled when there are too many of them.
    stride: u64,
    /// The number of the first that is kept: moment `n` is right before admission `n * stride`. Calls that arrive at random see on average
    /// what there is on average over time.
    first: u64,
    changes: VecDeque<Change>,
    /// The sum at the moment before the first, and how many calls were in flight.
    sum: i64,
    calls: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Change {
    by: i64,
    /// Of calls that have ended.
    calls: i64,
    /// Calls in flight of which this is the first moment.
    open: u32,
}

/// Most moments that wait for their calls to end.
const MOST: usize = 1_024;

impl Default for Moments {
    fn default() -> Self {
        Self {
            admitted: 0,
            stride: 1,
            first: 1,
            changes: VecDeque::new(),
            sum: 0,
            calls: 0,
        }
    }
}

impl Moments {
    /// Admits a call; its number.
    pub(super) fn admit(&mut self) -> u64 {
        self.admitted += 1;
        self.change(self.first_moment(self.admitted)).open += 1;
        if self.changes.len() > MOST {
            self.thin_out();
        }
        self.admitted
    }

    /// Ends a call that used so much `beyond` its reservation, and judges the moments whose last call it was: whether what was reserved was
    /// enough, and for how many calls. Returns how many calls were admitted while it was in flight.
    pub(super) fn end(
        &mut self,
        admission: u64,
        beyond: i64,
        mut judge: impl FnMut(bool, i64),
    ) -> u64 {
        let start = self.first_moment(admission);
        let end = self.admitted / self.stride + 1;
        let change = self.change(start);
        change.open = change.open.saturating_sub(1);
        // It may have come and gone between two moments.
        if start < end {
            change.by += beyond;
            change.calls += 1;
            let last = self.change(end);
            last.by -= beyond;
            last.calls -= 1;
        }
        while let Some(change) = self.changes.front()
            && change.open == 0
            && self.first < end
        {
            self.sum += change.by;
            self.calls += change.calls;
            if self.calls > 0 {
                judge(self.sum <= 0, self.calls);
            }
            self.changes.pop_front();
            self.first += 1;
        }
        self.admitted.saturating_sub(admission)
    }

    /// The first moment at which the call of an admission is in flight.
    const fn first_moment(&self, admission: u64) -> u64 {
        admission / self.stride + 1
    }

    fn change(&mut self, moment: u64) -> &mut Change {
        let at = moment.saturating_sub(self.first) as usize;
        if self.changes.len() <= at {
            self.changes.resize(at + 1, Change::default());
        }
        &mut self.changes[at]
    }

    /// Keeps every other moment. A call's first moment is then the next that is kept.
    fn thin_out(&mut self) {
        let old = std::mem::take(&mut self.changes);
        let first = self.first;
        self.stride *= 2;
        self.first = first.div_ceil(2);
        for (moment, change) in (first..).zip(old) {
            let kept = self.change(moment.div_ceil(2));
            kept.by += change.by;
            kept.calls += change.calls;
            kept.open += change.open;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls come and go at random; the sums of all moments are added up from their definition.
    fn check(seed: u64, most_open: usize, calls: usize) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut moments = Moments::default();
        let mut open: Vec<(u64, i64)> = Vec::new();
        // Of each moment, which is before an admission: what those in flight used beyond their reservations.
        let mut naive = Vec::new();
        let mut judged = Vec::new();
        for _ in 0..calls {
            if !open.is_empty() {
                naive.push(open.iter().map(|(_, beyond)| beyond).sum::<i64>());
            }
            let admission = moments.admit();
            open.push((admission, rng.i64(-100..100)));
            while open.len() > most_open || (!open.is_empty() && rng.u8(..) < 40) {
                let (admission, beyond) = open.swap_remove(rng.usize(0..open.len()));
                let beside =
                    moments.end(admission, beyond, |was_enough, _| judged.push(was_enough));
                assert_eq!(beside, moments.admitted - admission, "seed {seed}");
            }
        }
        for (admission, beyond) in open {
            moments.end(admission, beyond, |was_enough, _| judged.push(was_enough));
        }
        let expected: Vec<bool> = naive.iter().map(|sum| *sum <= 0).collect();
        assert_eq!(judged, expected, "seed {seed}");
        let left: i64 = moments.changes.iter().map(|change| change.by).sum();
        assert_eq!(moments.sum + left, 0, "seed {seed}");
    }

    #[test]
    fn every_moment_is_judged_by_all_that_was_in_flight() {
        for seed in 0..200 {
            check(seed, 1 + seed as usize % 30, 500);
        }
    }

    #[test]
    fn of_too_many_moments_every_other_is_kept_and_judged_rightly() {
        // One call stays while three thousand come and go, each short by one; it has a thousand to spare.
        let mut moments = Moments::default();
        let long = moments.admit();
        let mut open = Vec::new();
        let mut judged = Vec::new();
        for _ in 0..3_000 {
            open.push(moments.admit());
            if open.len() > 10 {
                let first = open.remove(0);
                moments.end(first, 1, |was_enough, _| judged.push(was_enough));
            }
        }
        assert!(moments.changes.len() <= MOST + 1);
        for call in open {
            moments.end(call, 1, |was_enough, _| judged.push(was_enough));
        }
        assert!(
            judged.is_empty(),
            "one call is still in flight at all of them"
        );
        // Ten in flight and short by one each, and one that is enough for nine of them.
        moments.end(long, -9, |was_enough, _| judged.push(was_enough));
        assert!(judged.len() > 500, "{}", judged.len());
        let short = judged.iter().filter(|was_enough| !**was_enough).count();
        assert!(short + 12 > judged.len(), "{short} of {}", judged.len());
    }
}
