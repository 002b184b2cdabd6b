//! `InFlight`: one call in flight, as far as its pool is concerned.

use std::fmt;
use std::sync::Arc;

use super::pool::Member;
use super::{Estimator, generates};
use crate::{Descriptor, Usage};

/// A call in flight: part of its pool's risk until it is settled or dropped.
#[must_use = "dropped at once, the call is not in flight"]
pub struct InFlight {
    estimator: Estimator,
    call: Arc<Descriptor>,
    /// `None` if it takes no part in any pool.
    member: Option<Member>,
}

impl InFlight {
    pub(super) fn new(estimator: Estimator, call: Arc<Descriptor>, reserved: u64) -> Self {
        let member = if call.dialect.is_some() && generates(&call) {
            let mut models = estimator.lock();
            models.entry(&call).map(|learned| {
                let cap = call
                    .output_cap
                    .map(|cap| cap / u64::from(call.choices.max(1)));
                let (_, risk) = learned.risk(&call, cap);
                let reserved = risk.map(|_| reserved);
                learned
                    .pool_to_join(&call)
                    .join(risk.unwrap_or_default(), reserved)
            })
        } else {
            None
        };
        Self {
            estimator,
            call,
            member,
        }
    }

    /// Ends it and learns from the usage that was reported. Drop it instead where usage is not known for certain.
    pub fn settle(mut self, usage: &Usage) {
        let used = usage.split_known.then_some(usage.output);
        let beside = self.leave(used);
        self.estimator.learn_among(&self.call, usage, beside);
    }

    /// How many calls were admitted while it was in flight.
    fn leave(&mut self, used: Option<u64>) -> u64 {
        let Some(member) = self.member.take() else {
            return 0;
        };
        let mut models = self.estimator.lock();
        // Its model may have been forgotten meanwhile.
        let Some(learned) = models.get_mut(&self.call) else {
            return 0;
        };
        let Some((pool, spread)) = learned.pool_to_leave(&self.call) else {
            return 0;
        };
        let beside = pool.leave(&member, used, spread);
        learned.tidy(&self.call);
        beside
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.leave(None);
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").finish_non_exhaustive()
    }
}
