//! `Status`: what is known of each policy in each partition.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use crate::{Ledger, Tick, Unit, labels, meter::Meter};

/// The state of one policy in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The values of the policy's partition labels, in their order; empty without partitions.
    pub partition: Vec<Arc<str>>,
    /// What it counts.
    pub unit: Unit,
    /// Its limit, as lowered by news.
    pub limit: u64,
    /// The most that it can grant at once: the burst of a bucket, otherwise the limit.
    pub capacity: u64,
    /// Its window; zero for slots.
    pub window: Duration,
    /// Units counted now; above the limit when in debt.
    pub used: u64,
    /// Units held by calls in flight beside `used`.
    pub held: u64,
    /// Open reservations of calls that it applies to.
    pub open: usize,
    /// Until when a 429 has paused it.
    pub paused_until: Option<Tick>,
    /// Until when calls are spaced at the quota's rate, after a pause.
    pub paced_until: Option<Tick>,
    /// Units per window at which calls are spaced since refusals have taught to; see [`Ledger::throttled`].
    pub pace: Option<u64>,
    /// When one more unit fits if nothing else is charged; `None` if that takes a settlement.
    pub next_admission: Option<Tick>,
    /// Whether it is the one partition of all keys that got none of their own; see [`Ledger::partition_limit`].
    pub overflow: bool,
}

impl Status {
    /// Units not in use: what could be granted now if the policy is not paused, and not within the margin that keeps it safe.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.capacity
            .saturating_sub(self.used)
            .saturating_sub(self.held)
    }
}

impl Ledger {
    /// The state of every policy in every partition that is remembered, in the plan's order. O(partitions and lanes).
    pub fn snapshot(&mut self, now: Tick) -> Vec<Status> {
        let statuses = self.statuses(now);
        statuses.into_iter().map(|(_, status)| status).collect()
    }

    /// The same, each with the index of its meter: see [`Ledger::blocked_by`].
    pub fn statuses(&mut self, now: Tick) -> Vec<(u32, Status)> {
        let now = self.forward(now);
        let mut open = alloc::vec![0; self.books.meters.len()];
        for place in self.lanes.places() {
            let record = self.lanes.at(place);
            for m in record.meters.as_slice() {
                open[*m as usize] += record.open as usize;
            }
        }
        let mut statuses = Vec::new();
        for (m, open) in (0..).zip(open) {
            if let Some(status) = self.status(m, now, open) {
                statuses.push((self.books.terms_of(m).policy, m, status));
            }
        }
        statuses.sort_by(|(a_policy, _, a), (b_policy, _, b)| {
            let key = |policy, status: &Status| (policy, status.overflow);
            key(a_policy, a)
                .cmp(&key(b_policy, b))
                .then_with(|| a.partition.cmp(&b.partition))
        });
        statuses
            .into_iter()
            .map(|(_, m, status)| (m, status))
            .collect()
    }

    fn status(&mut self, m: u32, now: Tick, open: usize) -> Option<Status> {
        self.books.advance(m, now);
        let (meter, terms) = (self.books.meter(m), self.books.terms_of(m));
        let policy = &self.plan.policies()[terms.policy as usize];
        let shares = &self.books.shares[terms.policy as usize];
        let overflow = shares.overflow == Some(m);
        let partition = if meter.owner != Meter::NOBODY {
            let owner = self.lanes.at(meter.owner).labels.as_str();
            let value = |label: &Arc<str>| labels::get(owner, label).unwrap_or_default().into();
            policy.partition.iter().map(value).collect()
        } else if overflow || shares.only == Some(m) {
            Vec::new()
        } else {
            return None;
        };
        let after_now = |until: Tick| Some(until).filter(|until| *until > now);
        Some(Status {
            policy: policy.name.clone(),
            partition,
            unit: terms.unit,
            limit: terms.limit(),
            capacity: terms.capacity(),
            window: Duration::from_nanos(terms.window_nanos()),
            used: meter.used(now, terms),
            held: meter.held(),
            open,
            paused_until: after_now(meter.pause_end(&self.books.rares)),
            paced_until: after_now(meter.pace_end(&self.books.rares)),
            pace: terms.tightening.pace(now, terms.limit()),
            next_admission: self.books.fit(m, now, 1),
            overflow,
        })
    }
}
