//! What can be seen from outside: every policy's state with the calls that wait for it, and when a batch would be through.

use std::collections::BTreeMap;
use std::ops::Deref;

use tollgate_limits::{Amounts, Status, Tick};

use crate::{AcquireError, core::Core, outlook::Obstacle, queue::Standing};

/// The state of one policy in one partition, and the calls that wait for it. Reads like its [`Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyState {
    /// What the ledger knows of it.
    pub status: Status,
    /// Calls that wait until it has room, or behind such calls. A call that waits for several policies is counted at the one that
    /// holds it back now.
    pub waiting: usize,
    /// The units that they ask for together; [`u64::MAX`] if they are more.
    pub waiting_units: u64,
    /// When the next of them may be admitted, or without any, when one more unit fits; `None` if that takes a settlement.
    pub next_admission: Option<Tick>,
}

impl Deref for PolicyState {
    type Target = Status;

    fn deref(&self) -> &Status {
        &self.status
    }
}

impl Core {
    pub(crate) fn snapshot(&mut self, now: Tick) -> Vec<PolicyState> {
        let now = self.forward(now);
        let mut waiting: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
        for (meter, line) in self.queue.waiting_at() {
            let (calls, units) = waiting.entry(meter).or_default();
            *calls += line.live();
            let of_line = self.units_waiting(meter, line);
            *units = units.saturating_add(u64::try_from(of_line).unwrap_or(u64::MAX));
        }
        let state = |(meter, status): (u32, Status)| {
            let (waiting, waiting_units) = waiting.get(&meter).copied().unwrap_or_default();
            PolicyState {
                waiting,
                waiting_units,
                next_admission: self.queue.wake_of(meter).unwrap_or(status.next_admission),
                status,
            }
        };
        let statuses = self.ledger.statuses(now);
        statuses.into_iter().map(state).collect()
    }

    /// When the last of so many calls would be admitted at the earliest, if they came now.
    pub(crate) fn forecast(
        &mut self,
        now: Tick,
        call: &Standing,
        amounts: &Amounts,
        calls: u64,
    ) -> Result<Option<Tick>, AcquireError> {
        let now = self.forward(now);
        let lane = call.kind.lane;
        match self.outlook(now, call, amounts) {
            Some(Obstacle::Spent(wait)) => return Err(AcquireError::spent(wait, now)),
            Some(Obstacle::NeverFits(binding)) => {
                return Err(AcquireError::never_fits(binding, now));
            }
            Some(Obstacle::Wait(_) | Obstacle::Behind(_)) | None => {}
        }
        let alone = self.ledger.forecast(now, lane, calls, amounts);
        Ok(alone.and_then(|at| self.after_those_ahead(now, call, amounts, calls, at)))
    }
}
