//! All quotas of all teams and models: admits a call against every rule that applies to it, or charges none.

use std::collections::HashMap;

use serde::Serialize;

use super::quota::{Charging, Quota, Rules, Shape, Unit};
use super::rule::{Rule, empty};

/// What the provider knows of a call when it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Whose quotas it is charged to; all keys of a team share them.
    pub team: &'a str,
    /// The model, or the class of models that shares its quotas.
    pub pool: &'a str,
    /// Tokens of the prompt.
    pub input: u64,
    /// Output tokens the call asks room for. Zero when it names no cap and the provider reserves nothing for that.
    pub cap: u64,
}

/// The provider's answer to an arrival.
#[derive(Debug)]
pub enum Decision {
    /// The call runs. The ticket must go to [`Enforcer::complete`] or [`Enforcer::abort`].
    Admit(Ticket),
    /// The call is refused, and nothing was charged but, where the rules say so, the request itself.
    Refuse(Refusal),
}

/// The quota that refused a call: of several, the one that makes it wait longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The quota.
    pub quota: Quota,
    /// Most units that can be in use, of the slice or the burst where one of those binds.
    pub limit: u64,
    /// Units in use, rounded up.
    pub used: u64,
    /// Units the call asked for. More than `limit` means that it can never pass.
    pub requested: u64,
    /// Nanoseconds of the provider's time until the call would fit if nothing else were charged. None when no time is
    /// enough: it never fits, or it waits for running calls to end.
    pub retry_after_ns: Option<u64>,
}

/// An admitted call that has not ended.
#[derive(Debug)]
#[must_use = "a call that never ends keeps its reservation"]
pub struct Ticket {
    partition: usize,
    arrival: u64,
    input: u64,
    cap: u64,
    produced: u64,
}

impl Ticket {
    /// When it arrived, in nanoseconds of the provider's time.
    #[must_use]
    pub const fn arrival_ns(&self) -> u64 {
        self.arrival
    }
}

/// One quota as a team sees it at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The quota.
    pub quota: Quota,
    /// Units in use, rounded up; may exceed the limit after an overrun.
    pub used: u64,
    /// Units left, zero after an overrun.
    pub remaining: u64,
    /// Nanoseconds of the provider's time until nothing is in use if nothing else is charged.
    pub reset_ns: u64,
}

/// The provider's quotas at work. One instance holds every team and model.
///
/// All methods take `now`, nanoseconds on the provider's clock; an instant before the latest one seen counts as that one.
/// A ticket belongs to the enforcer that made it; in the hands of another one it can panic or end another call.
#[derive(Debug)]
pub struct Enforcer {
    rules: Rules,
    by_pool: HashMap<String, Rules>,
    partitions: Vec<Partition>,
    index: HashMap<(String, String), usize>,
    now: u64,
}

/// The quotas of one team and pool.
#[derive(Debug)]
struct Partition {
    charging: Charging,
    failed_count: bool,
    parts: Vec<(Quota, Box<dyn Rule>)>,
}

impl Enforcer {
    /// Enforces `rules` for each pair of team and pool on its own.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            by_pool: HashMap::new(),
            partitions: Vec::new(),
            index: HashMap::new(),
            now: 0,
        }
    }

    /// Enforces other rules for one pool.
    #[must_use]
    pub fn with_pool(mut self, pool: &str, rules: Rules) -> Self {
        self.by_pool.insert(pool.to_owned(), rules);
        self
    }

    /// Admits a call against every quota of its team and pool, or refuses it.
    pub fn arrive(&mut self, now: u64, call: &Arrival<'_>) -> Decision {
        let now = self.advance(now);
        let partition = self.partition(call.team, call.pool);
        let ticket = Ticket {
            partition,
            arrival: now,
            input: call.input,
            cap: call.cap,
            produced: 0,
        };
        let Partition {
            charging,
            failed_count,
            parts,
        } = &mut self.partitions[partition];
        let refused = |parts: &mut Vec<(Quota, Box<dyn Rule>)>| {
            let refusals = parts.iter_mut().filter_map(|(quota, rule)| {
                let requested = wanted(quota, *charging, &ticket);
                let look = rule.look(now, requested);
                (look.wait_ns != Some(0)).then_some(Refusal {
                    quota: *quota,
                    limit: look.limit,
                    used: look.used,
                    requested,
                    retry_after_ns: look.wait_ns,
                })
            });
            refusals.max_by_key(|refusal| refusal.retry_after_ns.unwrap_or(u64::MAX))
        };
        if let Some(refusal) = refused(parts) {
            if !*failed_count {
                return Decision::Refuse(refusal);
            }
            for (_, rule) in parts.iter_mut().filter(|(quota, _)| counts_requests(quota)) {
                rule.charge(now, 1, false);
            }
            // Looked up again: the refused call itself may now be what the next one waits for.
            return Decision::Refuse(refused(parts).unwrap_or(refusal));
        }
        for (quota, rule) in parts {
            let (amount, open) = charged_at_arrival(quota, *charging, &ticket);
            rule.charge(now, amount, open);
        }
        Decision::Admit(ticket)
    }

    /// A running call has produced `output` more tokens. Charges them where output is charged as it is produced.
    pub fn produce(&mut self, ticket: &mut Ticket, now: u64, output: u64) {
        let now = self.advance(now);
        ticket.produced += output;
        let partition = &mut self.partitions[ticket.partition];
        if partition.charging == Charging::Produced {
            for (_, rule) in partition
                .parts
                .iter_mut()
                .filter(|(quota, _)| counts_output(quota))
            {
                charge_some(rule.as_mut(), now, output);
            }
        }
    }

    /// A call has ended with the usage it is billed for. Output already charged as produced is not given back.
    pub fn complete(&mut self, ticket: Ticket, now: u64, actual_input: u64, actual_output: u64) {
        let now = self.advance(now);
        let Partition {
            charging, parts, ..
        } = &mut self.partitions[ticket.partition];
        for (quota, rule) in parts {
            rule.leave();
            if quota.unit() == Unit::Requests {
                continue;
            }
            let (reserved, open) = charged_at_arrival(quota, *charging, &ticket);
            let actual = tokens(quota.unit(), actual_input, actual_output);
            match charging {
                Charging::Arrival => rule.correct(now, ticket.arrival, reserved, actual),
                Charging::Completion => charge_some(rule.as_mut(), now, actual),
                Charging::Produced => {
                    if open {
                        rule.correct(
                            now,
                            ticket.arrival,
                            reserved,
                            tokens(quota.unit(), actual_input, 0),
                        );
                    }
                    let rest = actual_output.saturating_sub(ticket.produced);
                    charge_some(rule.as_mut(), now, tokens(quota.unit(), 0, rest));
                }
            }
        }
    }

    /// The client went away from a running call, which is billed for its input and what was `produced` by then.
    pub fn abort(&mut self, ticket: Ticket, now: u64, produced: u64) {
        let input = ticket.input;
        self.complete(ticket, now, input, produced);
    }

    /// The quotas of a team and pool as they stand now, in the order of the rules. Makes no partition.
    pub fn standings(&mut self, now: u64, team: &str, pool: &str) -> Vec<Standing> {
        let now = self.advance(now);
        let Some(&index) = self.index.get(&(team.to_owned(), pool.to_owned())) else {
            let quotas = &self.by_pool.get(pool).unwrap_or(&self.rules).quotas;
            return quotas
                .iter()
                .map(|quota| standing(now, quota, empty(quota).as_mut()))
                .collect();
        };
        let parts = self.partitions[index].parts.iter_mut();
        parts
            .map(|(quota, rule)| standing(now, quota, rule.as_mut()))
            .collect()
    }

    const fn advance(&mut self, now: u64) -> u64 {
        if now > self.now {
            self.now = now;
        }
        self.now
    }

    fn partition(&mut self, team: &str, pool: &str) -> usize {
        let key = (team.to_owned(), pool.to_owned());
        if let Some(&index) = self.index.get(&key) {
            return index;
        }
        let rules = self.by_pool.get(pool).unwrap_or(&self.rules);
        let parts = rules
            .quotas
            .iter()
            .map(|quota| (*quota, empty(quota)))
            .collect();
        let (charging, failed_count) = (rules.charging, rules.failed_count);
        self.partitions.push(Partition {
            charging,
            failed_count,
            parts,
        });
        self.index.insert(key, self.partitions.len() - 1);
        self.partitions.len() - 1
    }
}

/// What a call must find room for. Where that is nothing, because its output is charged later, one unit must be free:
/// an exhausted quota takes no new call.
fn wanted(quota: &Quota, charging: Charging, ticket: &Ticket) -> u64 {
    match (quota.unit(), charging) {
        (Unit::Requests, _) => 1,
        (unit, Charging::Arrival) => tokens(unit, ticket.input, ticket.cap).max(1),
        (unit, _) => tokens(unit, ticket.input, 0).max(1),
    }
}

/// What is charged when a call arrives, and whether that will be corrected.
fn charged_at_arrival(quota: &Quota, charging: Charging, ticket: &Ticket) -> (u64, bool) {
    match (quota.unit(), charging) {
        (Unit::Requests, _) => (1, false),
        (unit, Charging::Arrival) => (tokens(unit, ticket.input, ticket.cap), true),
        (_, Charging::Completion) | (Unit::Output, Charging::Produced) => (0, false),
        (unit, Charging::Produced) => (tokens(unit, ticket.input, 0), true),
    }
}

/// The part of a call that a unit counts.
pub(crate) const fn tokens(unit: Unit, input: u64, output: u64) -> u64 {
    match unit {
        Unit::Requests => 0,
        Unit::Input => input,
        Unit::Output => output,
        Unit::Total => input.saturating_add(output),
    }
}

/// Charges a running call. Nothing is no charge: only an arrival opens a window without using it.
fn charge_some(rule: &mut dyn Rule, now: u64, amount: u64) {
    if amount > 0 {
        rule.charge(now, amount, false);
    }
}

fn counts_output(quota: &Quota) -> bool {
    matches!(quota.unit(), Unit::Output | Unit::Total)
}

fn counts_requests(quota: &Quota) -> bool {
    quota.unit() == Unit::Requests && quota.shape() != Shape::Concurrency
}

fn standing(now: u64, quota: &Quota, rule: &mut dyn Rule) -> Standing {
    let look = rule.look(now, 0);
    let remaining = look.limit.saturating_sub(look.used);
    Standing {
        quota: *quota,
        used: look.used,
        remaining,
        reset_ns: rule.clear_in(now),
    }
}

#[cfg(test)]
mod tests;
