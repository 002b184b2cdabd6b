//! The best a client could do: when a clairvoyant client could have placed the same calls in the same order.
//!
//! The span this takes, divided by the span a real client took, is the real client's utilisation of its quota.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use crate::books::CallRecord;
use crate::provider::{Charging, Quota, Rule, Rules, Shape, Unit, empty, tokens};

/// When each of `calls` could have been admitted, in nanoseconds of the provider's time.
///
/// The client keeps the order of the calls, knows each one's true cost, has all of them waiting at `start_ns`, and is
/// charged that cost (settled input and output) at arrival, where a provider that charges at arrival must have had room
/// for what the call reserved. It shares its quotas with nobody, so pass the calls of one
/// team and pool; they run as long as they really ran, which matters to [`Shape::Concurrency`] alone.
///
/// Each call goes at the first instant that its predecessors leave it. For every shape, and for every mix of shapes that
/// does not hold a [`Shape::FirstCall`] window next to another quota, no other choice lets any call go earlier: an earlier
/// charge is in nobody's way for longer. Next to another quota, holding back the call that opens a window can pay for later
/// calls; that is not searched.
///
/// # Errors
/// When a call's true cost exceeds what a quota can ever hold.
pub fn optimum(rules: &Rules, calls: &[CallRecord], start_ns: u64) -> Result<Vec<u64>, NeverFits> {
    let (slots, timed): (Vec<&Quota>, Vec<&Quota>) = rules
        .quotas
        .iter()
        .partition(|quota| quota.shape() == Shape::Concurrency);
    let slots = slots.iter().map(|quota| quota.limit()).min();
    let mut parts: Vec<(&Quota, Box<dyn Rule>)> = timed
        .into_iter()
        .map(|quota| (quota, empty(quota)))
        .collect();
    let mut running = BinaryHeap::new();
    let mut now = start_ns;
    let mut admitted = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        if let Some(slots) = slots {
            while running.len() as u64 >= slots {
                let Reverse(end) = running.pop().ok_or(NeverFits { index })?;
                now = now.max(end);
            }
        }
        let mut at = now;
        for (quota, rule) in &mut parts {
            let wait = rule
                .look(now, asked(rules, quota, call))
                .wait_ns
                .ok_or(NeverFits { index })?;
            at = at.max(now.saturating_add(wait));
        }
        now = at;
        for (quota, rule) in &mut parts {
            rule.charge(now, cost(quota, call), false);
        }
        running.push(Reverse(
            now.saturating_add(call.finished_ns.saturating_sub(call.arrival_ns)),
        ));
        admitted.push(now);
    }
    Ok(admitted)
}

/// A call costs more than a quota can ever hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverFits {
    /// Its place in the list of calls.
    pub index: usize,
}

impl fmt::Display for NeverFits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "call {} costs more than a quota can ever hold",
            self.index
        )
    }
}

impl std::error::Error for NeverFits {}

/// What must fit at arrival: a provider that charges then wants room for the whole output cap, however short the answer will be.
fn asked(rules: &Rules, quota: &Quota, call: &CallRecord) -> u64 {
    match (rules.charging, quota.unit()) {
        (_, Unit::Requests) => 1,
        (Charging::Arrival, unit) => {
            tokens(unit, call.input, call.reserved.saturating_sub(call.input))
        }
        (_, unit) => tokens(unit, call.input, call.output),
    }
}

fn cost(quota: &Quota, call: &CallRecord) -> u64 {
    match quota.unit() {
        Unit::Requests => 1,
        unit => tokens(unit, call.input, call.output),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::books::Ending;

    /// Calls of (input, output, how long they run), all recorded as arriving at zero.
    fn calls(costs: &[(u64, u64, u64)]) -> Vec<CallRecord> {
        let record = |&(input, output, duration): &(u64, u64, u64)| CallRecord {
            model: "model".to_owned(),
            team: "team".to_owned(),
            arrival_ns: 0,
            finished_ns: duration,
            input,
            output,
            reserved: input + output,
            ending: Ending::Completed,
        };
        costs.iter().map(record).collect()
    }

    fn rules(quotas: &[(Unit, u64, u64, Shape)]) -> Rules {
        let quota = |&(unit, limit, window, shape)| {
            Quota::new(unit, limit, Duration::from_nanos(window), shape)
        };
        Rules::new(
            Charging::Arrival,
            quotas
                .iter()
                .map(quota)
                .collect::<Result<_, _>>()
                .expect("valid quotas"),
        )
    }

    #[test]
    fn a_call_waits_until_its_whole_cap_fits_even_if_it_will_not_use_it() {
        let mut calls = calls(&[(6, 0, 0), (2, 1, 0), (1, 0, 0)]);
        calls[1].reserved = 5;
        let rules = rules(&[(Unit::Total, 10, 60, Shape::SlidingLog)]);
        // 6 used: room for the 3 that the second call takes, but not for the 5 that it asks for.
        assert_eq!(optimum(&rules, &calls, 0).expect("all fit"), [0, 60, 60]);
    }

    #[test]
    fn every_shape_is_packed_as_tight_as_it_allows() {
        let check = |shape, start, expected: &[u64]| {
            let rules = rules(&[(Unit::Total, 10, 60, shape)]);
            let calls = calls(&[(2, 2, 0), (3, 3, 0), (4, 0, 0), (0, 7, 0), (5, 0, 0)]);
            assert_eq!(
                optimum(&rules, &calls, start).expect("all fit"),
                expected,
                "{shape:?}"
            );
        };
        // 4 + 6 | 4, then 7 does not fit beside it | 7, then 5 does not fit beside it.
        check(Shape::Aligned, 50, &[50, 50, 60, 120, 180]);
        check(Shape::FirstCall, 50, &[50, 50, 110, 170, 230]);
        // 4 waits for the first 4 and the 6 of the same instant to leave; 7 for that 4; 5 for the 7.
        check(Shape::SlidingLog, 50, &[50, 50, 110, 170, 230]);
        // Of the 10 in the first window, 6 must be left for a 4: from 60 + 24 on. A 7 beside that 4 must wait until
        // the next window covers at most 3 of the 4: 120 + 15. A 5 beside the 7: at most 5 of the 7, from 180 + 18 on,
        // since 7 * 42 / 60 = 4.9, and at 17 it would be 7 * 43 / 60 = 5.02.
        check(Shape::SlidingCounter, 50, &[50, 50, 84, 135, 198]);
        // Full at 50; a unit drains in 6 ns: 4 units at 74, 7 more at 116, 5 more at 146.
        check(Shape::Bucket { burst: 10 }, 50, &[50, 50, 74, 116, 146]);
    }

    #[test]
    fn slices_let_only_their_share_pass() {
        let rules = rules(&[(Unit::Requests, 4, 60, Shape::Slices { per_window: 2 })]);
        let calls = calls(&[(1, 1, 0); 5]);
        assert_eq!(optimum(&rules, &calls, 10), Ok(vec![10, 10, 30, 30, 60]));
    }

    #[test]
    fn calls_at_once_wait_for_the_first_to_end() {
        let rules = Rules::new(Charging::Arrival, vec![Quota::concurrency(2)]);
        let calls = calls(&[(1, 1, 50), (1, 1, 20), (1, 1, 5), (1, 1, 100), (1, 1, 1)]);
        assert_eq!(optimum(&rules, &calls, 0), Ok(vec![0, 0, 20, 25, 50]));
    }

    #[test]
    fn with_several_quotas_the_tightest_decides_and_order_is_kept() {
        let rules = rules(&[
            (Unit::Requests, 2, 60, Shape::SlidingLog),
            (Unit::Total, 10, 100, Shape::SlidingLog),
        ]);
        let calls = calls(&[(1, 0, 0), (9, 0, 0), (1, 0, 0), (1, 0, 0)]);
        assert_eq!(optimum(&rules, &calls, 0), Ok(vec![0, 0, 100, 100]));
    }

    #[test]
    fn a_call_that_fits_in_no_window_is_an_error() {
        let calls = calls(&[(1, 0, 0), (6, 5, 0)]);
        let check = |rules, index| assert_eq!(optimum(&rules, &calls, 0), Err(NeverFits { index }));
        check(rules(&[(Unit::Total, 10, 60, Shape::SlidingLog)]), 1);
        check(
            Rules::new(Charging::Arrival, vec![Quota::concurrency(0)]),
            0,
        );
    }
}
