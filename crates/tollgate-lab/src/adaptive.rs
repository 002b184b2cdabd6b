//! A limit that nobody has told: an adaptive policy must find it from refusals alone.
//!
//! The client is saturated, hears no headers, and starts far below or far above the hidden limit. A refused call is sent again, first
//! in line. After 20 windows the policy's limit must be within 10 % of the hidden one, and of all calls until then less than 1 % may
//! have been refused. `share` is what was admitted from the 20th to the 40th window, of `limit x window / (window + jitter)`, and
//! shows what the search itself costs. Slots have no window: there a window is a minute, in which calls of one to three seconds run.

use serde::Serialize;
use tollgate_limits::{Policy, Quota, Tick, Unit};
use tollgate_sim::provider::{self, Shape};

use crate::pairings::lost;
use crate::report::{Report, Table};
use crate::saturated::{Saturated, Seen};
use crate::world::{MILLI, MINUTE, SECOND, span};

/// One search.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What the client uses.
    pub client_shape: String,
    /// What the provider enforces.
    pub server_rule: String,
    /// The hidden limit.
    pub hidden: u64,
    /// Where the search began.
    pub start: u64,
    /// The policy's limit after 20 windows.
    pub found: u64,
    /// Calls in 20 windows.
    pub calls: usize,
    /// Refused of them.
    pub throttled: usize,
    /// `throttled` of `calls`.
    pub throttled_share: f64,
    /// The same from the 20th to the 40th window.
    pub later_throttled_share: f64,
    /// Admitted from the 20th to the 40th window, of what the provider would have admitted.
    pub share: f64,
}

/// Plays every search.
#[must_use]
pub fn run(seed: u64) -> Vec<Row> {
    cases().iter().map(|case| case.play(seed)).collect()
}

/// As table and JSON, with what does not hold.
#[must_use]
pub fn report(rows: &[Row], seed: u64) -> Report {
    let mut table = Table::new([
        "ours",
        "the provider's",
        "hidden",
        "start",
        "found",
        "calls",
        "429s",
        "%",
        "later %",
        "share",
    ]);
    let mut broken = Vec::new();
    for row in rows {
        let search = format!(
            "{} against {} of {} from {}",
            row.client_shape, row.server_rule, row.hidden, row.start
        );
        if row.found.abs_diff(row.hidden) * 10 > row.hidden {
            broken.push(format!("{search}: within 10 % after 20 windows"));
        }
        if row.throttled_share >= 0.01 {
            broken.push(format!("{search}: less than 1 % 429s"));
        }
        table.line([
            row.client_shape.clone(),
            row.server_rule.clone(),
            row.hidden.to_string(),
            row.start.to_string(),
            row.found.to_string(),
            row.calls.to_string(),
            row.throttled.to_string(),
            format!("{:.3}", row.throttled_share * 100.0),
            format!("{:.3}", row.later_throttled_share * 100.0),
            format!("{:.4}", row.share),
        ]);
    }
    Report::new("adaptive", seed, &rows, table).broken(broken)
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
    let rpm = |start| Quota::sliding(Unit::Requests, start, minute).expect("a quota");
    let tpm = |start| Quota::sliding(Unit::TotalTokens, start, minute).expect("a quota");
    let bucket = |start| Quota::bucket(Unit::Requests, start, minute).expect("a quota");
    let rule = |unit, limit, shape| provider::Quota::new(unit, limit, minute, shape);
    let rule = |unit, limit, shape| rule(unit, limit, shape).expect("a valid quota");
    let (requests, tokens) = (provider::Unit::Requests, provider::Unit::Total);
    let full = Shape::Bucket { burst: 1_000 };
    let counter = Shape::SlidingCounter;
    let mut cases = Vec::new();
    let mut case = |client_shape, quota, server_rule, rule, dearest| {
        cases.push(Case {
            client_shape,
            quota,
            server_rule,
            rule,
            dearest,
        });
    };
    for start in [60, 5_000] {
        case(
            "sliding RPM",
            rpm(start),
            "sliding log",
            rule(requests, 1_000, Shape::SlidingLog),
            1,
        );
        case(
            "sliding RPM",
            rpm(start),
            "aligned window",
            rule(requests, 1_000, Shape::Aligned),
            1,
        );
        case(
            "sliding RPM",
            rpm(start),
            "sliding counter",
            rule(requests, 1_000, counter),
            1,
        );
        case(
            "sliding RPM",
            rpm(start),
            "bucket of the limit",
            rule(requests, 1_000, full),
            1,
        );
        case(
            "bucket RPM",
            bucket(start),
            "bucket of the limit",
            rule(requests, 1_000, full),
            1,
        );
    }
    for start in [20_000, 2_000_000] {
        let log = rule(tokens, 250_000, Shape::SlidingLog);
        case("sliding TPM", tpm(start), "sliding log", log, 2_000);
    }
    for start in [2, 50] {
        let slots = Quota::slots(start).expect("slots");
        case(
            "slots",
            slots,
            "calls at once",
            provider::Quota::concurrency(20),
            1,
        );
    }
    cases
}

impl Case {
    fn play(&self, seed: u64) -> Row {
        let unit = self.quota.unit();
        let floor = self.dearest.min(self.quota.limit());
        let policy = Policy::new("limit", self.quota.clone())
            .adaptive(floor, Quota::MAX_LIMIT)
            .expect("bounds around the start");
        let runs = match unit {
            Unit::Concurrency => SECOND..3 * SECOND,
            _ => 50 * MILLI..300 * MILLI,
        };
        let mut client = Saturated::new(seed, policy, self.rule, self.dearest, runs);
        let start = client.now();
        let (found_at, end) = (start + 20 * MINUTE, start + 40 * MINUTE);
        let (mut calls, mut throttled, mut found) = ([0; 2], [0; 2], 0);
        let mut admitted = 0;
        while client.now() < end {
            let later = usize::from(client.now() >= found_at);
            if later == 1 && found == 0 {
                let now = Tick::from_nanos(client.now());
                found = client.world.ledger.snapshot(now)[0].limit;
            }
            match client.next() {
                Seen::Sent => calls[later] += 1,
                Seen::Admitted(answer) => {
                    admitted += match unit {
                        Unit::Concurrency => answer.call.runs,
                        _ => answer.call.units,
                    } * later as u64;
                }
                Seen::Refused(..) => throttled[later] += 1,
                Seen::Eased(_) | Seen::Nothing => {}
            }
        }
        let best = match unit {
            Unit::Concurrency => (self.rule.limit() * (end - found_at)) as f64,
            _ => (self.rule.limit() * 20) as f64 / lost(&self.rule),
        };
        Row {
            client_shape: self.client_shape.to_owned(),
            server_rule: self.server_rule.to_owned(),
            hidden: self.rule.limit(),
            start: self.quota.limit(),
            found,
            calls: calls[0],
            throttled: throttled[0],
            throttled_share: throttled[0] as f64 / calls[0].max(1) as f64,
            later_throttled_share: throttled[1] as f64 / calls[1].max(1) as f64,
            share: admitted as f64 / best,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_limit_is_found() {
        let seed = 7;
        let report = report(&run(seed), seed);
        assert!(report.held(), "{report}");
    }
}
