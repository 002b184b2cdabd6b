//! Another program takes a random half of the quota, and only response headers tell of it.
//!
//! The other program's calls come in bursts at random instants; what the provider refuses of them is lost. Our client is saturated.
//! Each answer says how much of the quota remained when it was sent; it is heard up to 100 ms later, and answers overtake one another.
//!
//! `share` is what the provider admitted of ours, of what the others left: `limit x window / (window + jitter)` per window, as in
//! [`crate::pairings`], less what it admitted of theirs.

use std::time::Duration;

use serde::Serialize;
use tollgate_limits::{Amounts, Anchor, News, Plan, Policy, Quota, Tick, Unit};
use tollgate_sim::provider::{self, Charging, Rules, Shape};

use crate::pairings::lost;
use crate::report::{Report, Table};
use crate::world::{Call, MILLI, MINUTE, Others, SECOND, Step, World, span};

/// One quota, shared.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What the client uses.
    pub client_shape: String,
    /// What the provider enforces.
    pub server_rule: String,
    /// The most units of one burst of the others.
    pub burst: u64,
    /// Units that the provider admitted from others, of its limit.
    pub others: f64,
    /// Our calls.
    pub calls: usize,
    /// Refused of them.
    pub throttled: usize,
    /// `throttled` of `calls`.
    pub throttled_share: f64,
    /// Admitted of ours, of what the others left.
    pub share: f64,
    /// Whether less than 0.1 % 429s and 95 % of what was left are promised. Not where a sliding client meets an aligned window: what
    /// others use early in a window cannot be told from what we used late in the one before.
    pub promised: bool,
}

/// Plays every quota for that many windows.
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
        "burst",
        "others",
        "calls",
        "429s",
        "%",
        "share",
    ]);
    let mut broken = Vec::new();
    for row in rows {
        let pair = format!("{} against {}", row.client_shape, row.server_rule);
        if row.promised && row.throttled_share >= 0.001 {
            broken.push(format!("{pair}: less than 0.1 % 429s"));
        }
        if row.promised && row.share < 0.95 {
            broken.push(format!("{pair}: at least 95 % of what was left"));
        }
        table.line([
            row.client_shape.clone(),
            row.server_rule.clone(),
            row.burst.to_string(),
            format!("{:.3}", row.others),
            row.calls.to_string(),
            row.throttled.to_string(),
            format!("{:.3}", row.throttled_share * 100.0),
            format!("{:.4}", row.share),
        ]);
    }
    Report::new("foreign", seed, &rows, table).broken(broken)
}

struct Case {
    client_shape: &'static str,
    quota: Quota,
    server_rule: &'static str,
    rule: provider::Quota,
    dearest: u64,
    others: Others,
    promised: bool,
}

fn cases() -> Vec<Case> {
    let minute = span(MINUTE);
    let case = |client_shape, quota: Quota, server_rule, shape, dearest, burst| {
        let unit = match quota.unit() {
            Unit::Requests => provider::Unit::Requests,
            _ => provider::Unit::Total,
        };
        let limit = quota.limit();
        Case {
            client_shape,
            server_rule,
            rule: provider::Quota::new(unit, limit, minute, shape).expect("a valid quota"),
            quota,
            dearest,
            others: Others {
                per_window: limit / 2,
                window: MINUTE,
                burst,
                call: dearest,
            },
            promised: true,
        }
    };
    let (requests, tokens, limit) = (Unit::Requests, Unit::TotalTokens, 250_000);
    let rpm = Quota::sliding(requests, 1_200, minute).expect("a quota");
    let tpm = || Quota::sliding(tokens, limit, minute).expect("a quota");
    let bucket = Quota::bucket(tokens, limit, minute).expect("a quota");
    let full = Shape::Bucket { burst: limit };
    let anchor = Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let window = Quota::window(tokens, limit, minute, anchor).expect("a quota");
    vec![
        case(
            "sliding 1200 RPM",
            rpm,
            "sliding log",
            Shape::SlidingLog,
            1,
            5,
        ),
        case(
            "sliding 250000 TPM",
            tpm(),
            "sliding log",
            Shape::SlidingLog,
            1_000,
            1_000,
        ),
        case(
            "bucket 250000 TPM",
            bucket,
            "bucket of the limit",
            full,
            1_000,
            1_000,
        ),
        case(
            "window 250000 TPM",
            window,
            "aligned window",
            Shape::Aligned,
            1_000,
            1_000,
        ),
        Case {
            promised: false,
            ..case(
                "sliding 250000 TPM",
                tpm(),
                "aligned window",
                Shape::Aligned,
                1_000,
                1_000,
            )
        },
    ]
}

impl Case {
    fn play(&self, seed: u64, windows: u64) -> Row {
        let mut rng = fastrand::Rng::with_seed(seed);
        let unit = self.quota.unit();
        let plan = Plan::new([Policy::new("limit", self.quota.clone())]).expect("one policy");
        let rules = Rules::new(Charging::Arrival, vec![self.rule]);
        let start = rng.u64(0..MINUTE) + SECOND;
        let end = start + windows * MINUTE;
        let mut world = World::new(plan, unit, rules, start, rng.u64(..))
            .with_headers()
            .with_others(self.others);
        let mut again: Vec<Call> = Vec::new();
        let [mut calls, mut throttled] = [0; 2];
        let mut admitted = 0;
        while world.now < end {
            if !world.waits() {
                let call = again.pop().unwrap_or_else(|| Call {
                    units: rng.u64(1..=self.dearest),
                    runs: rng.u64(100 * MILLI..400 * MILLI),
                });
                if world.send(call) {
                    calls += 1;
                } else {
                    again.push(call);
                }
                continue;
            }
            let Step::Answered(answer) = world.step() else {
                continue;
            };
            let now = Tick::from_nanos(world.now);
            if let Some(standing) = answer.news {
                let news = News {
                    unit,
                    window: Some(span(MINUTE)),
                    limit: Some(self.rule.limit()),
                    remaining: Some(standing.remaining),
                    rounding: 0,
                };
                world.ledger.adopt(now, &answer.reservation, &news);
            }
            let used = match answer.refused {
                None => {
                    admitted += if self.dearest == 1 {
                        1
                    } else {
                        answer.call.units
                    };
                    world.amounts(answer.call)
                }
                Some(wait) => {
                    throttled += 1;
                    again.push(answer.call);
                    let until = now.plus(span(wait.unwrap_or(SECOND)));
                    world
                        .ledger
                        .throttled(now, &answer.reservation, Some(unit), until);
                    Amounts::ZERO
                }
            };
            world.settle(answer.reservation, &used);
        }
        let whole = (self.rule.limit() * windows) as f64;
        let saved = match self.rule.shape() {
            Shape::Bucket { burst } => burst as f64,
            _ => 0.0,
        };
        let left = whole / lost(&self.rule) + saved - world.used_by_others as f64;
        Row {
            client_shape: self.client_shape.to_owned(),
            server_rule: self.server_rule.to_owned(),
            burst: self.others.burst,
            others: world.used_by_others as f64 / whole,
            calls,
            throttled,
            throttled_share: throttled as f64 / calls.max(1) as f64,
            share: admitted as f64 / left,
            promised: self.promised,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_by_others_is_followed_by_headers_alone() {
        let seed = 7;
        let rows = run(seed, 30);
        let report = report(&rows, seed);
        // In few windows the first refusals, from which the policies learn, weigh more than in the experiment's own run.
        for row in rows.iter().filter(|row| row.promised) {
            assert!(row.throttled_share < 0.003, "{report}");
            assert!(row.share >= 0.95, "{report}");
        }
    }
}
