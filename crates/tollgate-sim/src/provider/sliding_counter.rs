//! A sliding counter: the current aligned window plus the still covered share of the previous one.

use super::rule::{Look, Rule};

#[derive(Debug)]
pub(crate) struct SlidingCounter {
    limit: u64,
    window: u64,
    index: u64,
    previous: u64,
    current: u64,
}

impl SlidingCounter {
    pub(crate) const fn new(limit: u64, window: u64) -> Self {
        Self {
            limit,
            window,
            index: 0,
            previous: 0,
            current: 0,
        }
    }

    const fn roll(&mut self, now: u64) {
        let index = now / self.window;
        match index - self.index {
            0 => return,
            1 => self.previous = self.current,
            _ => self.previous = 0,
        }
        self.current = 0;
        self.index = index;
    }

    /// Units in use, the previous window's share rounded up: against the caller.
    fn used(&self, now: u64) -> u64 {
        let covered = u128::from(self.window - now % self.window);
        let share = (u128::from(self.previous) * covered).div_ceil(u128::from(self.window));
        self.current + share as u64
    }

    fn wait(&self, now: u64, need: u64) -> Option<u64> {
        let room = self.limit.checked_sub(need)?;
        let elapsed = now % self.window;
        if let Some(room) = room.checked_sub(self.current) {
            return Some(
                self.share_fits_at(self.previous, room)
                    .saturating_sub(elapsed),
            );
        }
        // The current window alone is in the way: it must become the previous one and fade.
        Some(self.window - elapsed + self.share_fits_at(self.current, room))
    }

    /// How far into a window the share of `previous` has faded to `room`: the least `e` for which
    /// `previous * (window - e) <= room * window`. The division rounds down, so `e` rounds up: against the caller.
    fn share_fits_at(&self, previous: u64, room: u64) -> u64 {
        if previous <= room {
            return 0;
        }
        self.window - (u128::from(room) * u128::from(self.window) / u128::from(previous)) as u64
    }
}

impl Rule for SlidingCounter {
    fn look(&mut self, now: u64, need: u64) -> Look {
        self.roll(now);
        Look {
            limit: self.limit,
            used: self.used(now),
            wait_ns: self.wait(now, need),
        }
    }

    fn charge(&mut self, now: u64, amount: u64, _open: bool) {
        self.roll(now);
        self.current += amount;
    }

    fn correct(&mut self, now: u64, at: u64, reserved: u64, actual: u64) {
        self.roll(now);
        match self.index - at / self.window {
            0 => self.current = self.current - reserved + actual,
            1 => self.previous = self.previous - reserved + actual,
            _ => {}
        }
    }

    fn clear_in(&mut self, now: u64) -> u64 {
        self.roll(now);
        let rest = self.window - now % self.window;
        match (self.current, self.previous) {
            (0, 0) => 0,
            (0, _) => rest,
            _ => rest + self.window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_window_fades_in_proportion() {
        let mut rule = SlidingCounter::new(10, 60);
        rule.charge(30, 10, false);
        assert_eq!(rule.look(60, 0).used, 10);
        assert_eq!(rule.look(75, 0).used, 8); // 10 * 45 / 60 = 7.5, rounded up
        assert_eq!(
            rule.look(90, 5),
            Look {
                limit: 10,
                used: 5,
                wait_ns: Some(0)
            }
        );
        assert_eq!(
            rule.look(90, 6),
            Look {
                limit: 10,
                used: 5,
                wait_ns: Some(6)
            }
        );
        assert_eq!(rule.look(119, 0).used, 1);
        assert_eq!(
            rule.look(120, 10),
            Look {
                limit: 10,
                used: 0,
                wait_ns: Some(0)
            }
        );
    }

    #[test]
    fn the_wait_it_tells_is_exact() {
        for (current, need) in [(10, 1), (10, 10), (7, 5), (3, 8), (9, 2), (2, 4)] {
            let mut told = SlidingCounter::new(10, 61);
            told.charge(3, 10 - current / 2, false);
            told.charge(64, current, false);
            let wait = told.look(70, need).wait_ns.expect("it fits some day");
            assert_ne!(wait, 0, "current {current}, need {need}");
            assert_ne!(
                told.look(70 + wait - 1, need).wait_ns,
                Some(0),
                "current {current}, need {need}"
            );
            assert_eq!(
                told.look(70 + wait, need).wait_ns,
                Some(0),
                "current {current}, need {need}"
            );
        }
    }

    #[test]
    fn a_correction_reaches_the_window_of_the_arrival() {
        let mut rule = SlidingCounter::new(10, 60);
        rule.charge(0, 10, true);
        rule.charge(60, 4, true);
        rule.correct(60, 0, 10, 6);
        assert_eq!(rule.look(60, 0).used, 10);
        rule.correct(61, 60, 4, 1);
        assert_eq!(rule.look(119, 0).used, 2);
        assert_eq!(rule.clear_in(119), 61);
    }
}
