//! The pairing table: which shape of ours is safe against which rule of a provider's, and what it leaves unused.
//!
//! The client is saturated: whatever its ledger grants is sent at once, in order. A call's cost is known, its way to the provider
//! takes up to 100 ms more than the fastest, and it is answered soon. A refused call is dropped and stays charged in the ledger,
//! so that a shape keeps to its own schedule and every refusal is the shape's.
//!
//! `share` is what was admitted, against what a clairvoyant client could have placed in the same order: the time that
//! [`tollgate_sim::optimum()`] takes for the admitted calls, over the time that they took. Whole calls do not split there either, so
//! packing loss is in it. Against a rule that counts in windows the optimum is allowed `(window + jitter) / window` of its time,
//! since what left a window apart may arrive a jitter less than that apart; for slices the window is the slice. A client that is
//! refused may show a share above what the shape can give: what it sends too much, the provider sorts out.
//!
//! Some shapes fail only after an idle phase, so each pair is played once more by a client that stops and goes: it sends up to 60
//! calls, then nothing for up to two windows.

mod catalog;
mod rules;
mod shapes;

use serde::Serialize;
use tollgate_limits::{Plan, Policy, Unit};
use tollgate_sim::provider::{Charging, Quota, Rules, Shape};
use tollgate_sim::{CallRecord, Ending, optimum};

use crate::report::{Report, Table};
use crate::world::{Call, JITTER, MILLI, MINUTE, SECOND, Step, World, in_and_out};

/// One pair, played.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The catalog provider whose choice of shape this is; `None` where a shape and a rule are paired for the table.
    pub provider: Option<String>,
    /// The catalog's name of the limit.
    pub policy: Option<String>,
    /// What the client uses.
    pub client_shape: String,
    /// What the provider enforces.
    pub server_rule: String,
    /// Calls sent.
    pub calls: usize,
    /// Calls refused with 429.
    pub throttled: usize,
    /// Calls refused with 429 when the client stops and goes.
    pub throttled_stop_and_go: usize,
    /// Admitted, of what a clairvoyant client could have placed.
    pub share: f64,
    /// Whether docs/DESIGN.md holds the pair to be safe.
    pub safe: bool,
}

/// All rows.
#[derive(Clone, Debug)]
pub struct Pairings {
    /// The catalog's choices first, then every shape against every rule.
    pub rows: Vec<Row>,
}

/// Plays the table: `calls` (and no less than two windows of them) for each choice of the catalog, `matrix_calls` for each pair of a shape and a rule.
#[must_use]
pub fn run(seed: u64, calls: usize, matrix_calls: usize) -> Pairings {
    let mut pairs = catalog::pairs(calls);
    pairs.extend(matrix(matrix_calls));
    Pairings {
        rows: played(&pairs, seed),
    }
}

/// A client and a provider to be played against each other.
#[derive(Debug)]
struct Pair {
    provider: Option<String>,
    policy: Option<String>,
    client_shape: String,
    policies: Vec<Policy>,
    server_rule: String,
    quota: Quota,
    unit: Unit,
    charging: Charging,
    calls: usize,
    safe: bool,
}

/// Every shape against every rule, 1,000 units per minute and calls of 1 to 100 units.
fn matrix(calls: usize) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for rule in rules::all() {
        for shape in shapes::all() {
            let slots = rule.quota.shape() == Shape::Concurrency;
            if slots != (shape.name == shapes::SLOTS) {
                continue;
            }
            pairs.push(Pair {
                provider: None,
                policy: None,
                client_shape: shape.name.to_owned(),
                policies: shape.policies,
                server_rule: rule.name.to_owned(),
                quota: rule.quota,
                unit: Unit::TotalTokens,
                charging: Charging::Arrival,
                calls,
                safe: rule.safe_for.contains(&shape.name),
            });
        }
    }
    pairs
}

/// Plays the pairs on two threads; each pair's outcome depends on the seed alone.
fn played(pairs: &[Pair], seed: u64) -> Vec<Row> {
    let play = |first: usize| {
        let own = pairs.iter().enumerate().skip(first).step_by(2);
        own.map(|(i, pair)| (i, pair.play(seed.wrapping_add(i as u64))))
            .collect::<Vec<_>>()
    };
    let mut rows = std::thread::scope(|scope| {
        let other = scope.spawn(|| play(1));
        let mut rows = play(0);
        rows.extend(other.join().expect("the other half is played"));
        rows
    });
    rows.sort_by_key(|(i, _)| *i);
    rows.into_iter().map(|(_, row)| row).collect()
}

impl Pair {
    fn play(&self, seed: u64) -> Row {
        let (start, saturated, throttled) = self.once(seed, false);
        let (.., throttled_stop_and_go) = self.once(seed, true);
        Row {
            provider: self.provider.clone(),
            policy: self.policy.clone(),
            client_shape: self.client_shape.clone(),
            server_rule: self.server_rule.clone(),
            calls: self.calls,
            throttled,
            throttled_stop_and_go,
            share: self.share(&saturated, start),
            safe: self.safe,
        }
    }

    /// Plays all calls once: when it began, what was admitted, in the order sent, and how many calls were refused.
    fn once(&self, seed: u64, stop_and_go: bool) -> (u64, Vec<CallRecord>, usize) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let plan = Plan::new(self.policies.clone()).expect("policies with names");
        let rules = Rules::new(self.charging, vec![self.quota]);
        let slots = self.quota.shape() == Shape::Concurrency;
        let window = if slots {
            MINUTE
        } else {
            self.quota.window_ns()
        };
        // Anywhere in the provider's first window but at its beginning.
        let start = rng.u64(0..window) + SECOND;
        let mut world = World::new(plan, self.unit, rules, start, rng.u64(..));
        let dearest = match self.quota.unit() {
            tollgate_sim::provider::Unit::Requests => 1,
            _ => (self.quota.limit() / 10).max(1),
        };
        let mut draw = || Call {
            units: rng.u64(1..=dearest),
            runs: if slots {
                rng.u64(MINUTE / 3..MINUTE)
            } else {
                50 * MILLI
            },
        };
        let mut pauses = fastrand::Rng::with_seed(seed);
        let mut go_on_for = 1;
        let mut admitted = Vec::with_capacity(self.calls);
        let (mut sent, mut answered, mut throttled) = (0, 0, 0);
        let mut next = None;
        while answered < self.calls {
            if sent < self.calls && !world.waits() {
                let call = *next.get_or_insert_with(&mut draw);
                if world.send(call) {
                    sent += 1;
                    go_on_for -= u32::from(stop_and_go);
                    next = None;
                }
                if stop_and_go && go_on_for == 0 {
                    go_on_for = pauses.u32(1..=60);
                    world.idle_for(pauses.u64(0..=2 * window));
                }
                continue;
            }
            match world.step() {
                Step::Answered(answer) => {
                    answered += 1;
                    if answer.refused.is_some() {
                        throttled += 1;
                    } else {
                        admitted
                            .push((answer.order, record(self.unit, answer.call, answer.arrived)));
                    }
                    let used = world.amounts(answer.call);
                    world.settle(answer.reservation, &used);
                }
                Step::Passed => {}
                Step::Idle => panic!("a client with calls left waits for ever"),
            }
        }
        admitted.sort_unstable_by_key(|(order, _)| *order);
        let admitted = admitted.into_iter().map(|(_, record)| record).collect();
        (start, admitted, throttled)
    }

    /// What was admitted in its time, of what could have been placed in it.
    fn share(&self, admitted: &[CallRecord], start: u64) -> f64 {
        let rules = Rules::new(Charging::Arrival, vec![self.quota]);
        let best = optimum(&rules, admitted, start).expect("what was admitted fits");
        let Some(last) = best.last() else { return 0.0 };
        let took = admitted.iter().map(|call| call.arrival_ns).max();
        let took = took.unwrap_or(start).saturating_sub(start) as f64;
        let best = (last - start) as f64;
        best * lost(&self.quota) / took
    }
}

/// An admitted call, as the optimum wants it.
pub(crate) fn record(unit: Unit, call: Call, arrived: u64) -> CallRecord {
    let (input, output) = in_and_out(unit, call.units);
    CallRecord {
        model: String::new(),
        team: String::new(),
        arrival_ns: arrived,
        finished_ns: arrived + call.runs,
        input,
        output,
        reserved: input + output,
        ending: Ending::Completed,
    }
}

/// By how much arrival jitter stretches the optimum's time.
pub(crate) fn lost(quota: &Quota) -> f64 {
    let window = match quota.shape() {
        Shape::Bucket { .. } | Shape::Concurrency => return 1.0,
        Shape::Slices { per_window } => quota.window_ns() / u64::from(per_window),
        _ => quota.window_ns(),
    };
    (window + JITTER) as f64 / window as f64
}

impl Pairings {
    /// What must hold: the catalog's choices are refused nothing and use at least 99 %, pairs that are safe are refused nothing,
    /// and those that are not are shown failing.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let broken = |row: &Row| {
            let who = row.provider.as_deref().unwrap_or("the table");
            let pair = format!("{who}: {} against {}", row.client_shape, row.server_rule);
            let throttled = row.throttled + row.throttled_stop_and_go;
            if row.safe && throttled > 0 {
                Some(format!("{pair} is refused nothing"))
            } else if !row.safe && throttled == 0 {
                Some(format!("{pair} fails"))
            } else if row.provider.is_some() && row.share < 0.99 {
                Some(format!("{pair} uses 99 % ({:.4})", row.share))
            } else {
                None
            }
        };
        self.rows.iter().filter_map(broken).collect()
    }

    /// As table and JSON.
    #[must_use]
    pub fn report(&self, seed: u64) -> Report {
        let mut table = Table::new([
            "provider",
            "policy",
            "ours",
            "the provider's",
            "calls",
            "429s",
            "stop and go",
            "share",
            "",
        ]);
        for row in &self.rows {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            table.line([
                text(&row.provider),
                text(&row.policy),
                row.client_shape.clone(),
                row.server_rule.clone(),
                row.calls.to_string(),
                row.throttled.to_string(),
                row.throttled_stop_and_go.to_string(),
                format!("{:.4}", row.share),
                if row.safe { "safe" } else { "NOT SAFE" }.to_owned(),
            ]);
        }
        Report::new("pairings", seed, &self.rows, table).broken(self.broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogs_choices_are_refused_nothing_and_use_their_quotas() {
        let seed = 7;
        let rows = played(&catalog::pairs(1_500), seed);
        assert!(rows.len() > 10, "{rows:?}");
        let broken = Pairings { rows }.broken();
        assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
    }

    #[test]
    fn each_pair_is_as_safe_as_the_design_says() {
        let seed = 7;
        let rows = played(&matrix(3_000), seed);
        let broken = Pairings { rows }.broken();
        assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
    }
}
