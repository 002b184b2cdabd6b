//! `Call`: what is asked of the gate.

use std::fmt;
use std::sync::Arc;

use tollgate_limits::{Amounts, Labels, Tick};

use crate::{Priority, Ticket};

/// What is asked of the gate: a call's labels and the amounts to reserve.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) labels: Arc<Labels>,
    pub(crate) asked: Asked,
    pub(crate) ticket: Option<Ticket>,
    /// [`Tick::MAX`] if it has none.
    pub(crate) deadline: Tick,
    pub(crate) priority: Priority,
}

impl Call {
    /// A call that waits as long as it takes.
    #[must_use]
    pub fn new(labels: impl Into<Arc<Labels>>, amounts: Amounts) -> Self {
        Self {
            labels: labels.into(),
            asked: Asked::Fixed(amounts),
            ticket: None,
            deadline: Tick::MAX,
            priority: Priority::Normal,
        }
    }

    /// A call whose amounts are estimated afresh whenever the gate looks at it, so that one which waits for long is reserved by what
    /// has been learned meanwhile. `estimate` runs under the gate's lock: it must be quick, and must not use the gate.
    #[must_use]
    pub fn estimated(
        labels: impl Into<Arc<Labels>>,
        estimate: impl Fn() -> Amounts + Send + Sync + 'static,
    ) -> Self {
        Self {
            asked: Asked::Estimated(Estimate(Arc::new(estimate))),
            ..Self::new(labels, Amounts::ZERO)
        }
    }

    /// Keeps the place in the queue of an earlier attempt.
    #[must_use]
    pub const fn keeping(mut self, ticket: Ticket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// Waits no longer than until `deadline`, on the gate's clock ([`crate::Gate::now`]). [`Tick::MAX`] is no deadline.
    #[must_use]
    pub const fn by(mut self, deadline: Tick) -> Self {
        self.deadline = deadline;
        self
    }

    /// Goes before waiting calls of lower priority. A call that keeps a ticket keeps its priority too.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }
}

/// The amounts that a call asks for.
#[derive(Clone)]
pub(crate) enum Asked {
    Fixed(Amounts),
    Estimated(Estimate),
}

/// Estimates a call's amounts by what has been learned so far.
#[derive(Clone)]
pub(crate) struct Estimate(Arc<dyn Fn() -> Amounts + Send + Sync>);

impl Asked {
    pub(crate) fn now(&self) -> Amounts {
        match self {
            Self::Fixed(amounts) => *amounts,
            Self::Estimated(estimate) => estimate.now(),
        }
    }

    /// How to estimate it again, if it is estimated.
    pub(crate) fn into_estimate(self) -> Option<Estimate> {
        match self {
            Self::Fixed(_) => None,
            Self::Estimated(estimate) => Some(estimate),
        }
    }
}

impl Estimate {
    pub(crate) fn now(&self) -> Amounts {
        self.0()
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}

impl fmt::Debug for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}
