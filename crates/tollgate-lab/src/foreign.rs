//! Another program takes a random half of the quota, and only response headers tell of it.
//!
//! The other program's calls come in bursts at random instants; what the provider refuses of them is lost. Our client is saturated.
//! Each answer says how much of the quota remained when it was sent; it is heard up to 100 ms later, and answers overtake one another.
//!
//! `share` is what the provider admitted of ours, of what the others left: `limit x window / (window + jitter)` per window, as in
//! [`crate::pairings`], less what it admitted of theirs.

use std::time::Duration;

use serde::Serialize;
use tollgate_limits::{Anchor, Policy, Quota, Unit};
use tollgate_sim::provider::{self, Shape};

use crate::pairings::lost;
use crate::report::{Report, Table};
use crate::saturated::{Saturated, Seen};
use crate::world::{MILLI, MINUTE, Others, span};

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
    /// Where the others stop in the middle: after how many windows the whole quota is used again, and from then on always.
    pub full_again: Option<u64>,
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
        "full again",
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
        let within = if row.promised { FULL_AGAIN } else { UNTOLD };
        if row.full_again.is_some_and(|windows| windows > within) {
            broken.push(format!("{pair}: full pace again within {within} windows"));
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
            row.full_again
                .map_or_else(String::new, |windows| windows.to_string()),
        ]);
    }
    Report::new("foreign", seed, &rows, table).broken(broken)
}

/// Windows within which the whole quota is used again once the others have gone, where headers tell of them.
const FULL_AGAIN: u64 = 4;
/// The same where nothing but refusals has: by then a try may have failed, and two thousand calls have to pass before the next.
const UNTOLD: u64 = 40;

struct Case {
    client_shape: &'static str,
    quota: Quota,
    server_rule: &'static str,
    rule: provider::Quota,
    dearest: u64,
    others: Others,
    headers: bool,
    /// After how many windows the others stop.
    stops: Option<u64>,
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
                until: u64::MAX,
            },
            headers: true,
            stops: None,
            promised: true,
        }
    };
    let (requests, tokens, limit) = (Unit::Requests, Unit::TotalTokens, 250_000);
    let rpm = || Quota::sliding(requests, 1_200, minute).expect("a quota");
    let tpm = || Quota::sliding(tokens, limit, minute).expect("a quota");
    let bucket = Quota::bucket(tokens, limit, minute).expect("a quota");
    let full = Shape::Bucket { burst: limit };
    let anchor = Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let window = Quota::window(tokens, limit, minute, anchor).expect("a quota");
    let gone = |quota, shape, headers| Case {
        headers,
        stops: Some(10),
        promised: headers,
        ..case(
            if headers {
                "sliding 1200 RPM, they stop"
            } else {
                "the same without headers"
            },
            quota,
            "sliding log",
            shape,
            1,
            5,
        )
    };
    vec![
        case(
            "sliding 1200 RPM",
            rpm(),
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
        gone(rpm(), Shape::SlidingLog, true),
        gone(rpm(), Shape::SlidingLog, false),
    ]
}

impl Case {
    fn play(&self, seed: u64, windows: u64) -> Row {
        let policy = Policy::new("limit", self.quota.clone());
        let runs = 100 * MILLI..400 * MILLI;
        let mut client = Saturated::new(seed, policy, self.rule, self.dearest, runs).refused_free();
        let start = client.now();
        let end = start + windows * MINUTE;
        client = client.with_world(|world| {
            let world = if self.headers {
                world.with_headers()
            } else {
                world
            };
            let until = match self.stops {
                Some(stops) => start + stops * MINUTE,
                None => u64::MAX,
            };
            world.with_others(Others {
                until,
                ..self.others
            })
        });
        let [mut calls, mut throttled] = [0; 2];
        let mut admitted = vec![0; windows as usize + 1];
        while client.now() < end {
            match client.next() {
                Seen::Sent => calls += 1,
                Seen::Admitted(answer) => {
                    let window = (answer.arrived - start) / MINUTE;
                    admitted[window as usize] += answer.call.units;
                }
                Seen::Refused(..) => throttled += 1,
                Seen::Eased(_) | Seen::Nothing => {}
            }
        }
        let full_again = self.stops.map(|stops| {
            let full = |units: u64| units as f64 >= 0.95 * self.rule.limit() as f64;
            let late = &admitted[stops as usize..windows as usize];
            let slow = late.iter().rposition(|units| !full(*units));
            slow.map_or(0, |slow| slow as u64 + 1)
        });
        let whole = (self.rule.limit() * windows) as f64;
        let saved = match self.rule.shape() {
            Shape::Bucket { burst } => burst as f64,
            _ => 0.0,
        };
        let others = client.world.used_by_others as f64;
        let left = whole / lost(&self.rule) + saved - others;
        let admitted: u64 = admitted.iter().sum();
        Row {
            client_shape: self.client_shape.to_owned(),
            server_rule: self.server_rule.to_owned(),
            burst: self.others.burst,
            others: others / whole,
            calls,
            throttled,
            throttled_share: throttled as f64 / calls.max(1) as f64,
            share: admitted as f64 / left,
            full_again,
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
        assert!(report.held(), "{report}");
    }
}
