//! A fixed window aligned to the clock: a counter that is cleared at every whole multiple of the window.

use super::rule::{Look, Rule};

#[derive(Debug)]
pub(crate) struct Aligned {
    limit: u64,
    window: u64,
    index: u64,
    used: u64,
}

impl Aligned {
    pub(crate) const fn new(limit: u64, window: u64) -> Self {
        Self {
            limit,
            window,
            index: 0,
            used: 0,
        }
    }

    const fn roll(&mut self, now: u64) {
        let index = now / self.window;
        if index != self.index {
            self.index = index;
            self.used = 0;
        }
    }

    const fn until_next(&self, now: u64) -> u64 {
        self.window - now % self.window
    }
}

impl Rule for Aligned {
    fn look(&mut self, now: u64, need: u64) -> Look {
        self.roll(now);
        let wait_ns = if need > self.limit {
            None
        } else if self.used.saturating_add(need) <= self.limit {
            Some(0)
        } else {
            Some(self.until_next(now))
        };
        Look {
            limit: self.limit,
            used: self.used,
            wait_ns,
        }
    }

    fn charge(&mut self, now: u64, amount: u64, _open: bool) {
        self.roll(now);
        self.used = self.used.saturating_add(amount);
    }

    fn correct(&mut self, now: u64, at: u64, reserved: u64, actual: u64) {
        self.roll(now);
        // A charge of an earlier window went with it; its correction goes the same way.
        if at / self.window == self.index {
            self.used = self.used.saturating_sub(reserved).saturating_add(actual);
        }
    }

    fn clear_in(&mut self, now: u64) -> u64 {
        self.roll(now);
        if self.used == 0 {
            0
        } else {
            self.until_next(now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_cleared_at_the_boundary_and_not_a_nanosecond_before() {
        let mut rule = Aligned::new(10, 60);
        rule.charge(45, 10, false);
        assert_eq!(
            rule.look(59, 1),
            Look {
                limit: 10,
                used: 10,
                wait_ns: Some(1)
            }
        );
        assert_eq!(
            rule.look(60, 10),
            Look {
                limit: 10,
                used: 0,
                wait_ns: Some(0)
            }
        );
    }

    #[test]
    fn twice_the_limit_passes_around_a_boundary() {
        let mut rule = Aligned::new(10, 60);
        rule.charge(59, 10, false);
        assert_eq!(rule.look(60, 10).wait_ns, Some(0));
    }

    #[test]
    fn a_correction_never_crosses_into_a_new_window() {
        let mut rule = Aligned::new(10, 60);
        rule.charge(59, 8, true);
        rule.charge(60, 5, true);
        rule.correct(61, 59, 8, 1);
        assert_eq!(rule.look(61, 0).used, 5);
        rule.correct(61, 60, 5, 9);
        assert_eq!(rule.look(61, 0).used, 9);
        assert_eq!(rule.clear_in(61), 59);
    }

    #[test]
    fn what_exceeds_the_limit_never_fits() {
        assert_eq!(
            Aligned::new(10, 60).look(0, 11),
            Look {
                limit: 10,
                used: 0,
                wait_ns: None
            }
        );
    }
}
