//! A fixed window that the first call opens: cleared one window after that call, opened again by the next.

use super::rule::{Look, Rule};

#[derive(Debug)]
pub(crate) struct FirstCall {
    limit: u64,
    window: u64,
    opened: Option<u64>,
    used: u64,
}

impl FirstCall {
    pub(crate) const fn new(limit: u64, window: u64) -> Self {
        Self {
            limit,
            window,
            opened: None,
            used: 0,
        }
    }

    fn roll(&mut self, now: u64) {
        if self
            .opened
            .is_some_and(|opened| now - opened >= self.window)
        {
            self.opened = None;
            self.used = 0;
        }
    }

    fn until_end(&self, now: u64) -> u64 {
        self.opened.map_or(0, |opened| opened + self.window - now)
    }
}

impl Rule for FirstCall {
    fn look(&mut self, now: u64, need: u64) -> Look {
        self.roll(now);
        let wait_ns = if need > self.limit {
            None
        } else if self.used.saturating_add(need) <= self.limit {
            Some(0)
        } else {
            Some(self.until_end(now))
        };
        Look {
            limit: self.limit,
            used: self.used,
            wait_ns,
        }
    }

    fn charge(&mut self, now: u64, amount: u64, _open: bool) {
        self.roll(now);
        self.opened.get_or_insert(now);
        self.used = self.used.saturating_add(amount);
    }

    fn correct(&mut self, now: u64, at: u64, reserved: u64, actual: u64) {
        self.roll(now);
        if self.opened.is_some_and(|opened| at >= opened) {
            self.used = self.used.saturating_sub(reserved).saturating_add(actual);
        }
    }

    fn clear_in(&mut self, now: u64) -> u64 {
        self.roll(now);
        self.until_end(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_opens_the_window() {
        let mut rule = FirstCall::new(10, 60);
        assert_eq!(rule.clear_in(7), 0);
        rule.charge(7, 10, false);
        assert_eq!(
            rule.look(66, 1),
            Look {
                limit: 10,
                used: 10,
                wait_ns: Some(1)
            }
        );
        assert_eq!(
            rule.look(67, 10),
            Look {
                limit: 10,
                used: 0,
                wait_ns: Some(0)
            }
        );
    }

    #[test]
    fn the_next_window_opens_with_the_next_call_and_not_where_the_last_one_ended() {
        let mut rule = FirstCall::new(10, 60);
        rule.charge(0, 10, false);
        rule.charge(100, 10, false);
        assert_eq!(rule.look(120, 1).wait_ns, Some(40));
    }

    #[test]
    fn a_correction_never_crosses_into_a_new_window() {
        let mut rule = FirstCall::new(10, 60);
        rule.charge(0, 8, true);
        rule.charge(60, 6, true);
        rule.correct(70, 0, 8, 0);
        assert_eq!(rule.look(70, 0).used, 6);
        rule.correct(70, 60, 6, 2);
        assert_eq!(rule.look(70, 0).used, 2);
    }
}
