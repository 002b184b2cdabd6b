//! A provider whose rule differs from the policy's: the 429s that the books did not foresee must teach the limiter, by itself.
//!
//! The client is saturated and hears nothing but 429s and how long they say to wait. A refused call is sent again, first in line.
//! Counted are the refusals up to one window after the first of them, the share of 429s from there on, and what was placed from there
//! on of what a clairvoyant client could have placed (as in [`crate::pairings`]). The first refusal is in the first window but for a
//! sliding counter, which cannot be told from a log before the second.

use serde::Serialize;
use tollgate_limits::{Amounts, Plan, Policy, Quota, Tick, Unit};
use tollgate_sim::provider::{self, Charging, Rules, Shape};
use tollgate_sim::{CallRecord, optimum};

use crate::pairings::{lost, record};
use crate::report::{Report, Table};
use crate::world::{Call, MILLI, MINUTE, SECOND, Step, World, span};

/// One provider, played.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What the policy assumes.
    pub client_shape: String,
    /// What the provider enforces.
    pub server_rule: String,
    /// Calls sent until one window after the first refusal.
    pub first_window_calls: usize,
    /// Refused of them.
    pub first_window_throttled: usize,
    /// Calls sent from there on.
    pub calls: usize,
    /// Refused of them.
    pub throttled: usize,
    /// `throttled` of `calls`.
    pub throttled_share: f64,
    /// Placed from there on, of what a clairvoyant client could have placed.
    pub share: f64,
    /// Steps of the policy: units per window at which it spaces grants, one after the other.
    pub paces: Vec<u64>,
}

/// Plays every provider for that many windows after the first.
#[must_use]
pub fn run(seed: u64, windows: u64) -> Vec<Row> {
    cases()
        .iter()
        .map(|case| case.play(seed, windows))
        .collect()
}

/// As table and JSON, with what does not hold.
#[must_use]
pub fn report(rows: &[Row], seed: u64) -> Report {
    let mut table = Table::new([
        "ours",
        "the provider's",
        "calls",
        "429s",
        "then calls",
        "429s",
        "%",
        "share",
        "paces",
    ]);
    let mut broken = Vec::new();
    for row in rows {
        let pair = format!("{} against {}", row.client_shape, row.server_rule);
        if row.throttled_share >= 0.001 {
            broken.push(format!(
                "{pair}: less than 0.1 % 429s after the first window"
            ));
        }
        if row.share < 0.9 {
            broken.push(format!("{pair}: at least 90 % of the optimum"));
        }
        table.line([
            row.client_shape.clone(),
            row.server_rule.clone(),
            row.first_window_calls.to_string(),
            row.first_window_throttled.to_string(),
            row.calls.to_string(),
            row.throttled.to_string(),
            format!("{:.3}", row.throttled_share * 100.0),
            format!("{:.4}", row.share),
            format!("{:?}", row.paces),
        ]);
    }
    Report::new("surprise", seed, &rows, table).broken(broken)
}

struct Case {
    client_shape: &'static str,
    quota: Quota,
    server_rule: &'static str,
    rule: provider::Quota,
    dearest: u64,
}

fn cases() -> Vec<Case> {
    let minute = span(MINUTE);
    let requests = |limit| Quota::sliding(Unit::Requests, limit, minute).expect("a quota");
    let tokens = |limit| Quota::sliding(Unit::TotalTokens, limit, minute).expect("a quota");
    let bucket = |limit| Quota::bucket(Unit::TotalTokens, limit, minute).expect("a quota");
    let rule = |unit, limit, shape| {
        provider::Quota::new(unit, limit, minute, shape).expect("a valid quota")
    };
    let case = |client_shape, quota, server_rule, rule, dearest| Case {
        client_shape,
        quota,
        server_rule,
        rule,
        dearest,
    };
    let (rpm, tpm) = (provider::Unit::Requests, provider::Unit::Total);
    let slices = Shape::Slices { per_window: 60 };
    vec![
        case(
            "sliding 600 RPM",
            requests(600),
            "slices of 1 s",
            rule(rpm, 600, slices),
            1,
        ),
        case(
            "sliding 600 RPM",
            requests(600),
            "sliding counter",
            rule(rpm, 600, Shape::SlidingCounter),
            1,
        ),
        case(
            "sliding 1000 TPM",
            tokens(1_000),
            "sliding counter",
            rule(tpm, 1_000, Shape::SlidingCounter),
            100,
        ),
        case(
            "sliding 100000 TPM",
            tokens(100_000),
            "sliding counter",
            rule(tpm, 100_000, Shape::SlidingCounter),
            2_000,
        ),
        case(
            "bucket 1000 TPM",
            bucket(1_000),
            "aligned window",
            rule(tpm, 1_000, Shape::Aligned),
            100,
        ),
        case(
            "bucket 1000 TPM",
            bucket(1_000),
            "sliding log",
            rule(tpm, 1_000, Shape::SlidingLog),
            100,
        ),
        case(
            "sliding 1000 TPM",
            tokens(1_000),
            "bucket of 10 %",
            rule(tpm, 1_000, Shape::Bucket { burst: 100 }),
            50,
        ),
        case(
            "sliding 600 RPM",
            requests(600),
            "sliding log of 480",
            rule(rpm, 480, Shape::SlidingLog),
            1,
        ),
    ]
}

impl Case {
    fn play(&self, seed: u64, windows: u64) -> Row {
        let mut rng = fastrand::Rng::with_seed(seed);
        let unit = self.quota.unit();
        let plan = Plan::new([Policy::new("limit", self.quota.clone())]).expect("one policy");
        let rules = Rules::new(Charging::Arrival, vec![self.rule]);
        let start = rng.u64(0..MINUTE) + SECOND;
        let (mut warm, mut end) = (u64::MAX, u64::MAX);
        let mut world = World::new(plan, unit, rules, start, rng.u64(..));
        let mut again: Vec<Call> = Vec::new();
        let mut admitted: Vec<(u64, CallRecord)> = Vec::new();
        let mut paces = Vec::new();
        let [mut first, mut first_throttled, mut calls, mut throttled] = [0; 4];
        while world.now < end {
            if !world.waits() {
                let call = again.pop().unwrap_or_else(|| Call {
                    units: rng.u64(1..=self.dearest),
                    runs: 50 * MILLI,
                });
                if !world.send(call) {
                    again.push(call);
                } else if world.now < warm {
                    first += 1;
                } else {
                    calls += 1;
                }
                continue;
            }
            let Step::Answered(answer) = world.step() else {
                continue;
            };
            let used = match answer.refused {
                None => {
                    if answer.arrived >= warm {
                        admitted.push((answer.order, record(unit, &answer)));
                    }
                    world.amounts(answer.call)
                }
                Some(wait) => {
                    if warm == u64::MAX {
                        warm = world.now + MINUTE;
                        end = warm + windows * MINUTE;
                    }
                    if answer.sent < warm {
                        first_throttled += 1
                    } else {
                        throttled += 1
                    }
                    again.push(answer.call);
                    let now = Tick::from_nanos(world.now);
                    let until = now.plus(span(wait.unwrap_or(SECOND)));
                    let learned =
                        world
                            .ledger
                            .throttled(now, &answer.reservation, Some(unit), until);
                    paces.extend(learned.map(|tightened| tightened.pace));
                    // A refused request counts, tokens do not.
                    Amounts::call(0, 0)
                }
            };
            world.settle(answer.reservation, &used);
        }
        admitted.sort_unstable_by_key(|(order, _)| *order);
        let admitted: Vec<CallRecord> = admitted.into_iter().map(|(_, call)| call).collect();
        let rules = Rules::new(Charging::Arrival, vec![self.rule]);
        let best = optimum(&rules, &admitted, warm).expect("what was admitted fits");
        let best = best.last().map_or(0, |last| last - warm) as f64;
        Row {
            client_shape: self.client_shape.to_owned(),
            server_rule: self.server_rule.to_owned(),
            first_window_calls: first,
            first_window_throttled: first_throttled,
            calls,
            throttled,
            throttled_share: throttled as f64 / calls.max(1) as f64,
            share: best * lost(&self.rule) / (end - warm) as f64,
            paces,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_the_books_did_not_foresee_teach_the_providers_rule() {
        let seed = 7;
        let rows = run(seed, 60);
        let report = report(&rows, seed);
        assert!(report.held(), "{report}");
    }
}
