//! A limit on calls at once: a call leaves when it ends, and time alone frees nothing.

use super::rule::{Look, Rule};

#[derive(Debug)]
pub(crate) struct Concurrency {
    limit: u64,
    running: u64,
}

impl Concurrency {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, running: 0 }
    }
}

impl Rule for Concurrency {
    fn look(&mut self, _now: u64, need: u64) -> Look {
        let fits = self.running + need <= self.limit;
        Look {
            limit: self.limit,
            used: self.running,
            wait_ns: fits.then_some(0),
        }
    }

    fn charge(&mut self, _now: u64, amount: u64, _open: bool) {
        self.running += amount;
    }

    fn correct(&mut self, _now: u64, _at: u64, _reserved: u64, _actual: u64) {}

    fn leave(&mut self) {
        self.running -= 1;
    }

    fn clear_in(&mut self, _now: u64) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_ends_makes_room_and_time_does_not() {
        let mut rule = Concurrency::new(2);
        rule.charge(0, 1, false);
        rule.charge(1, 1, false);
        assert_eq!(
            rule.look(1_000_000, 1),
            Look {
                limit: 2,
                used: 2,
                wait_ns: None
            }
        );
        rule.leave();
        assert_eq!(
            rule.look(1_000_000, 1),
            Look {
                limit: 2,
                used: 1,
                wait_ns: Some(0)
            }
        );
    }
}
