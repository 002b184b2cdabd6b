//! A provider whose rule differs from the policy's: the 429s that the books did not foresee must teach the limiter, by itself.
//!
//! The client is saturated and hears nothing but 429s and how long they say to wait; in further rows, which promise nothing, headers too. A refused call is sent again, first in line.
//! Counted are the refusals up to one window after the first of them, the share of 429s from there on, and what was placed from there
//! on of what a clairvoyant client could have placed (as in [`crate::pairings`]). The first refusal is in the first window but for a
//! sliding counter, which cannot be told from a log before the second.

use serde::Serialize;
use tollgate_limits::{Policy, Quota, Unit};
use tollgate_sim::provider::{self, Charging, Rules, Shape};
use tollgate_sim::{CallRecord, optimum};

use crate::pairings::{lost, record};
use crate::report::{Report, Table};
use crate::saturated::{Saturated, Seen};
use crate::world::{MILLI, MINUTE, World, span};

/// One provider, played.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What the policy assumes.
    pub client_shape: String,
    /// What the provider enforces.
    pub server_rule: String,
    /// Whether the provider's answers say how the quota stands. Then nothing is promised: its count is ahead of ours, which looks like
    /// use by others.
    pub headers: bool,
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
    [false, true]
        .into_iter()
        .flat_map(|headers| played(seed, windows, headers))
        .collect()
}

fn played(seed: u64, windows: u64, headers: bool) -> Vec<Row> {
    cases()
        .iter()
        .map(|case| case.play(seed, windows, headers))
        .collect()
}

/// As table and JSON, with what does not hold.
#[must_use]
pub fn report(rows: &[Row], seed: u64) -> Report {
    let mut table = Table::new([
        "ours",
        "the provider's",
        "headers",
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
        if row.throttled_share >= 0.001 && !row.headers {
            broken.push(format!(
                "{pair}: less than 0.1 % 429s after the first window"
            ));
        }
        if row.share < 0.9 && !row.headers {
            broken.push(format!("{pair}: at least 90 % of the optimum"));
        }
        table.line([
            row.client_shape.clone(),
            row.server_rule.clone(),
            if row.headers { "yes" } else { "no" }.to_owned(),
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
    fn play(&self, seed: u64, windows: u64, headers: bool) -> Row {
        let unit = self.quota.unit();
        let policy = Policy::new("limit", self.quota.clone());
        let runs = 50 * MILLI..51 * MILLI;
        let mut client = Saturated::new(seed, policy, self.rule, self.dearest, runs);
        if headers {
            client = client.with_world(World::with_headers);
        }
        // One that is never refused is watched for as long all the same.
        let latest = client.now() + 2 * windows * MINUTE;
        let (mut warm, mut end) = (u64::MAX, latest);
        let mut admitted: Vec<(u64, CallRecord)> = Vec::new();
        let mut paces = Vec::new();
        let [mut first, mut first_throttled, mut calls, mut throttled] = [0; 4];
        while client.now() < end {
            match client.next() {
                Seen::Sent if client.now() < warm => first += 1,
                Seen::Sent => calls += 1,
                Seen::Admitted(answer) => {
                    if answer.arrived >= warm {
                        admitted.push((answer.order, record(unit, answer.call, answer.arrived)));
                    }
                }
                Seen::Refused(answer, learned) => {
                    if warm == u64::MAX {
                        warm = client.now() + MINUTE;
                        end = warm + windows * MINUTE;
                    }
                    if answer.sent < warm {
                        first_throttled += 1
                    } else {
                        throttled += 1
                    }
                    paces.extend(learned.map(|tightened| tightened.pace));
                }
                Seen::Eased(eased) => paces.push(eased.pace.unwrap_or(self.quota.limit())),
                Seen::Nothing => {}
            }
        }
        admitted.sort_unstable_by_key(|(order, _)| *order);
        let admitted: Vec<CallRecord> = admitted.into_iter().map(|(_, call)| call).collect();
        let rules = Rules::new(Charging::Arrival, vec![self.rule]);
        let best = optimum(&rules, &admitted, warm).expect("what was admitted fits");
        let best = best.last().map_or(0, |last| last - warm) as f64;
        Row {
            client_shape: self.client_shape.to_owned(),
            server_rule: self.server_rule.to_owned(),
            headers,
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
        let rows = played(seed, 60, false);
        let report = report(&rows, seed);
        assert!(report.held(), "{report}");
    }
}
