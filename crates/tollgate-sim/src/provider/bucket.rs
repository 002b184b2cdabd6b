//! A continuous bucket: the level drains at limit / window, and corrections replay history exactly.

use std::collections::VecDeque;

use super::rule::{Look, Rule};

#[derive(Debug)]
pub(crate) struct Bucket {
    limit: u64,
    window: u64,
    burst: u64,
    /// The level right after the last charge before the entries, and its instant. Levels are in unit-nanoseconds
    /// (units times the window), so that draining is the product limit x time and nothing is divided.
    base: (u64, u128),
    /// The charges since the oldest open one, one per instant. Older ones can no longer change.
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    units: u64,
    /// Charges of this instant that are still to be corrected.
    open: u32,
    /// The level right after this charge.
    after: u128,
}

impl Bucket {
    pub(crate) const fn new(limit: u64, window: u64, burst: u64) -> Self {
        Self {
            limit,
            window,
            burst,
            base: (0, 0),
            entries: VecDeque::new(),
        }
    }

    /// The level at `now`, with `before` the instant and level it drains from.
    fn drained(&self, before: (u64, u128), now: u64) -> u128 {
        before
            .1
            .saturating_sub(u128::from(self.limit) * u128::from(now - before.0))
    }

    fn level(&self, now: u64) -> u128 {
        let last = self
            .entries
            .back()
            .map_or(self.base, |entry| (entry.at, entry.after));
        self.drained(last, now)
    }

    fn scaled(&self, units: u64) -> u128 {
        u128::from(units) * u128::from(self.window)
    }

    /// Computes the levels again from the entry at `index` on.
    fn replay(&mut self, index: usize) {
        let mut last = index
            .checked_sub(1)
            .map_or(self.base, |i| (self.entries[i].at, self.entries[i].after));
        for i in index..self.entries.len() {
            let after = self.drained(last, self.entries[i].at) + self.scaled(self.entries[i].units);
            self.entries[i].after = after;
            last = (self.entries[i].at, after);
        }
    }

    fn forget_closed(&mut self) {
        while let Some(entry) = self.entries.front()
            && entry.open == 0
        {
            self.base = (entry.at, entry.after);
            self.entries.pop_front();
        }
    }

    /// Nanoseconds until `excess` has drained, rounded up: against the caller. None when nothing ever drains.
    fn drains_in(&self, excess: u128) -> Option<u64> {
        match (excess, self.limit) {
            (0, _) => Some(0),
            (_, 0) => None,
            (excess, limit) => u64::try_from(excess.div_ceil(u128::from(limit))).ok(),
        }
    }
}

impl Rule for Bucket {
    fn look(&mut self, now: u64, need: u64) -> Look {
        let level = self.level(now);
        let used = level.div_ceil(u128::from(self.window)) as u64;
        let wait_ns = if need > self.burst {
            None
        } else {
            self.drains_in((level + self.scaled(need)).saturating_sub(self.scaled(self.burst)))
        };
        Look {
            limit: self.burst,
            used,
            wait_ns,
        }
    }

    fn charge(&mut self, now: u64, amount: u64, open: bool) {
        let after = self.level(now) + self.scaled(amount);
        match self.entries.back_mut() {
            Some(entry) if entry.at == now => {
                entry.units += amount;
                entry.open += u32::from(open);
                entry.after = after;
            }
            _ => self.entries.push_back(Entry {
                at: now,
                units: amount,
                open: u32::from(open),
                after,
            }),
        }
        self.forget_closed();
    }

    fn correct(&mut self, _now: u64, at: u64, reserved: u64, actual: u64) {
        let index = self
            .entries
            .binary_search_by_key(&at, |entry| entry.at)
            .expect("an open charge is kept");
        let entry = &mut self.entries[index];
        entry.units = entry.units - reserved + actual;
        entry.open -= 1;
        self.replay(index);
        self.forget_closed();
    }

    fn clear_in(&mut self, now: u64) -> u64 {
        self.drains_in(self.level(now)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_drains_continuously() {
        let mut rule = Bucket::new(10, 60, 10);
        rule.charge(0, 10, false);
        assert_eq!(
            rule.look(0, 1),
            Look {
                limit: 10,
                used: 10,
                wait_ns: Some(6)
            }
        );
        assert_eq!(
            rule.look(5, 1),
            Look {
                limit: 10,
                used: 10,
                wait_ns: Some(1)
            }
        );
        assert_eq!(
            rule.look(6, 1),
            Look {
                limit: 10,
                used: 9,
                wait_ns: Some(0)
            }
        );
        assert_eq!(rule.clear_in(6), 54);
        assert_eq!(
            rule.look(7, 11),
            Look {
                limit: 10,
                used: 9,
                wait_ns: None
            }
        );
    }

    #[test]
    fn a_refund_gives_back_only_what_has_not_drained() {
        let mut rule = Bucket::new(10, 60, 10);
        rule.charge(0, 6, true);
        // After 30 ns the 6 have drained by 5; another call takes 4, so the level is 5 units.
        rule.charge(30, 4, false);
        assert_eq!(rule.look(30, 0).used, 5);
        // Had the first call been charged 2, it would have been gone at 12 ns: the level is the other call's 4.
        rule.correct(30, 0, 6, 2);
        assert_eq!(rule.look(30, 0).used, 4);
    }

    #[test]
    fn corrections_equal_a_replay_of_history() {
        let script: [(u64, u64, u64); 6] = [
            (0, 50, 3),
            (7, 20, 25),
            (7, 9, 0),
            (30, 40, 11),
            (31, 5, 5),
            (90, 60, 70),
        ];
        let mut rule = Bucket::new(13, 17, 100);
        for (at, reserved, _) in script {
            rule.charge(at, reserved, true);
        }
        for i in [3, 0, 5, 2, 1, 4] {
            let (at, reserved, actual) = script[i];
            rule.correct(100, at, reserved, actual);
        }
        let mut truth = Bucket::new(13, 17, 100);
        for (at, _, actual) in script {
            truth.charge(at, actual, false);
        }
        assert_eq!(rule.level(100), truth.level(100));
        assert_eq!(
            rule.entries.len(),
            0,
            "nothing is kept once all charges are closed"
        );
    }

    #[test]
    fn a_limit_of_zero_admits_its_burst_and_then_nothing() {
        let mut rule = Bucket::new(0, 60, 1);
        assert_eq!(rule.look(0, 1).wait_ns, Some(0));
        rule.charge(0, 1, false);
        assert_eq!(rule.look(600, 1).wait_ns, None);
    }
}
