//! `Report`: what became of a call, in the extensions of its response.

use std::time::Duration;

use tollgate_gate::Tick;
use tollgate_tokens::{Scope, Verdict};

/// How a response came about. The exchange inserts it into the response's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) retry_at: Option<Tick>,
    pub(crate) output_cap: Option<u64>,
}

impl Report {
    /// Times the call was sent.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long it waited at the gate, over all attempts.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        self.waited
    }

    /// What the call's output cap was lowered to, in tokens over all answers, if it was
    /// ([`Settings::lower_output_cap`](crate::Settings::lower_output_cap)).
    #[must_use]
    pub const fn output_cap(&self) -> Option<u64> {
        self.output_cap
    }

    /// What the error response means; `None` for a success.
    #[must_use]
    pub const fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// What stood in the way; `None` for a success.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        self.verdict.as_ref().map(|verdict| verdict.scope)
    }

    /// When the call may succeed, on the gate's clock (Unix time in nanoseconds): the provider's word, or the schedule's next delay
    /// where it named no time. `None` for a success, and where waiting does not help.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Tick> {
        self.retry_at
    }
}
