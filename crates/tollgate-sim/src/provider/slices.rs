//! A window that is also enforced in equal slices, as xAI and Azure do with a minute's requests.

use super::aligned::Aligned;
use super::rule::{Look, Rule};

#[derive(Debug)]
pub(crate) struct Slices {
    whole: Aligned,
    slice: Aligned,
}

impl Slices {
    /// A slice holds limit / `per_window` units, rounded down: against the caller.
    pub(crate) const fn new(limit: u64, window: u64, per_window: u64) -> Self {
        Self {
            whole: Aligned::new(limit, window),
            slice: Aligned::new(limit / per_window, window / per_window),
        }
    }
}

impl Rule for Slices {
    fn look(&mut self, now: u64, need: u64) -> Look {
        let (whole, slice) = (self.whole.look(now, need), self.slice.look(now, need));
        match (whole.wait_ns, slice.wait_ns) {
            (Some(window), Some(part)) if window >= part => whole,
            _ => slice,
        }
    }

    fn charge(&mut self, now: u64, amount: u64, open: bool) {
        self.whole.charge(now, amount, open);
        self.slice.charge(now, amount, open);
    }

    fn correct(&mut self, now: u64, at: u64, reserved: u64, actual: u64) {
        self.whole.correct(now, at, reserved, actual);
        self.slice.correct(now, at, reserved, actual);
    }

    fn clear_in(&mut self, now: u64) -> u64 {
        self.whole.clear_in(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_binds_before_the_window_does() {
        let mut rule = Slices::new(125, 60, 60); // 2 per slice of 1 ns
        rule.charge(0, 2, false);
        assert_eq!(
            rule.look(0, 1),
            Look {
                limit: 2,
                used: 2,
                wait_ns: Some(1)
            }
        );
        assert_eq!(rule.look(1, 2).wait_ns, Some(0));
        assert_eq!(rule.look(1, 3).wait_ns, None);
    }

    #[test]
    fn the_window_binds_when_slices_were_overrun() {
        let mut rule = Slices::new(120, 600, 60);
        rule.charge(0, 2, true);
        rule.correct(5, 0, 2, 119);
        assert_eq!(
            rule.look(10, 2),
            Look {
                limit: 120,
                used: 119,
                wait_ns: Some(590)
            }
        );
        assert_eq!(rule.clear_in(10), 590);
    }
}
