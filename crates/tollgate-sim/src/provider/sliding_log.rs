//! An exact sliding log: no span of one window holds more than the limit.

use std::collections::VecDeque;

use super::rule::{Look, Rule};

#[derive(Debug)]
pub(crate) struct SlidingLog {
    limit: u64,
    window: u64,
    /// Charges as (instant, units), oldest first, one entry per instant; an entry counts until exactly one window later.
    entries: VecDeque<(u64, u64)>,
    used: u64,
}

impl SlidingLog {
    pub(crate) const fn new(limit: u64, window: u64) -> Self {
        Self {
            limit,
            window,
            entries: VecDeque::new(),
            used: 0,
        }
    }

    fn age(&mut self, now: u64) {
        while let Some(&(at, units)) = self.entries.front()
            && now - at >= self.window
        {
            self.entries.pop_front();
            self.used -= units;
        }
    }

    /// When the oldest charges that stand in the way of `need` have left the window.
    fn wait(&self, now: u64, need: u64) -> Option<u64> {
        if need > self.limit {
            return None;
        }
        let mut used = self.used;
        let mut wait = 0;
        for &(at, units) in &self.entries {
            if used.saturating_add(need) <= self.limit {
                break;
            }
            used -= units;
            wait = at + self.window - now;
        }
        Some(wait)
    }
}

impl Rule for SlidingLog {
    fn look(&mut self, now: u64, need: u64) -> Look {
        self.age(now);
        Look {
            limit: self.limit,
            used: self.used,
            wait_ns: self.wait(now, need),
        }
    }

    fn charge(&mut self, now: u64, amount: u64, _open: bool) {
        self.age(now);
        self.used += amount;
        match self.entries.back_mut() {
            Some((at, units)) if *at == now => *units += amount,
            _ => self.entries.push_back((now, amount)),
        }
    }

    fn correct(&mut self, now: u64, at: u64, reserved: u64, actual: u64) {
        self.age(now);
        // Not found means aged out: the correction has aged out with the charge.
        if let Ok(index) = self.entries.binary_search_by_key(&at, |&(at, _)| at) {
            let units = &mut self.entries[index].1;
            *units = *units - reserved + actual;
            self.used = self.used - reserved + actual;
        }
    }

    fn clear_in(&mut self, now: u64) -> u64 {
        self.age(now);
        let last = self.entries.iter().rev().find(|&&(_, units)| units > 0);
        last.map_or(0, |&(at, _)| at + self.window - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_charge_counts_for_exactly_one_window() {
        let mut rule = SlidingLog::new(10, 60);
        rule.charge(5, 4, false);
        rule.charge(30, 6, false);
        assert_eq!(
            rule.look(64, 4),
            Look {
                limit: 10,
                used: 10,
                wait_ns: Some(1)
            }
        );
        assert_eq!(
            rule.look(64, 5),
            Look {
                limit: 10,
                used: 10,
                wait_ns: Some(26)
            }
        );
        assert_eq!(
            rule.look(65, 4),
            Look {
                limit: 10,
                used: 6,
                wait_ns: Some(0)
            }
        );
        assert_eq!(rule.clear_in(65), 25);
        assert_eq!(
            rule.look(90, 10),
            Look {
                limit: 10,
                used: 0,
                wait_ns: Some(0)
            }
        );
        assert_eq!(rule.clear_in(90), 0);
    }

    #[test]
    fn no_span_of_a_window_holds_more_than_the_limit() {
        let (limit, window) = (7, 50);
        let mut rule = SlidingLog::new(limit, window);
        let mut admitted = Vec::new();
        for now in 0..500u64 {
            let need = 1 + now * 7 % 3;
            if rule.look(now, need).wait_ns == Some(0) {
                rule.charge(now, need, false);
                admitted.push((now, need));
            }
        }
        let mut fullest = 0;
        for start in 0..500 {
            let inside = admitted
                .iter()
                .filter(|&&(at, _)| at >= start && at < start + window);
            fullest = fullest.max(inside.map(|&(_, units)| units).sum());
        }
        assert_eq!(fullest, limit);
    }

    #[test]
    fn a_correction_keeps_the_date_of_the_arrival() {
        let mut rule = SlidingLog::new(10, 60);
        rule.charge(0, 3, true);
        rule.charge(0, 4, true);
        rule.charge(10, 2, true);
        rule.correct(20, 0, 4, 1);
        assert_eq!(rule.look(20, 0).used, 6);
        assert_eq!(rule.look(60, 0).used, 2);
        rule.correct(61, 0, 3, 9);
        assert_eq!(rule.look(61, 0).used, 2);
    }
}
