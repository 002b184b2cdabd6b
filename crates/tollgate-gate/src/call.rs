//! `Call`: what is asked of the gate.

use std::fmt;
use std::sync::Arc;

use tollgate_limits::{Amounts, Labels, Tick};

use crate::{Priority, Ticket};

/// What is asked of the gate: a call's labels and the amounts to reserve.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) labels: Arc<Labels>,
    pub(crate) amounts: Asked,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) deadline: Option<Tick>,
    pub(crate) priority: Priority,
}

impl Call {
    /// A call that waits as long as it takes.
    #[must_use]
    pub fn new(labels: impl Into<Arc<Labels>>, amounts: Amounts) -> Self {
        Self {
            labels: labels.into(),
            amounts: Asked::Fixed(amounts),
            ticket: None,
            deadline: None,
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
            amounts: Asked::Estimated(Arc::new(estimate)),
            ..Self::new(labels, Amounts::ZERO)
        }
    }

    /// Keeps the place in the queue of an earlier attempt.
    #[must_use]
    pub const fn keeping(mut self, ticket: Ticket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    /// Waits no longer than until `deadline`, on the gate's clock ([`crate::Gate::now`]).
    #[must_use]
    pub const fn by(mut self, deadline: Tick) -> Self {
        self.deadline = Some(deadline);
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
    Estimated(Arc<dyn Fn() -> Amounts + Send + Sync>),
}

impl Asked {
    pub(crate) fn now(&self) -> Amounts {
        match self {
            Self::Fixed(amounts) => *amounts,
            Self::Estimated(estimate) => estimate(),
        }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}
