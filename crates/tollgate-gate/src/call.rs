//! `Call`: what is asked of the gate.

use std::fmt;
use std::sync::Arc;

use tollgate_limits::{Amounts, Labels, Tick};

use crate::{Priority, Ticket};

/// What is asked of the gate: a call's labels and the amounts to reserve. Clones share it.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) asked: Arc<Asked>,
}

/// The particulars of a call, shared by its caller, its future and the queue.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) labels: Arc<Labels>,
    pub(crate) amounts: Amounts,
    pub(crate) estimate: Option<Estimate>,
    pub(crate) ticket: Option<Ticket>,
    /// [`Tick::MAX`] if it has none.
    pub(crate) deadline: Tick,
    pub(crate) priority: Priority,
}

impl Call {
    /// A call that waits as long as it takes.
    #[must_use]
    pub fn new(labels: impl Into<Arc<Labels>>, amounts: Amounts) -> Self {
        Self::asking(labels.into(), amounts, None)
    }

    /// A call whose amounts are estimated afresh whenever the gate looks at it, so that one which waits for long is reserved by what
    /// has been learned meanwhile. `estimate` runs under the gate's lock: it must be quick, and must not use the gate.
    #[must_use]
    pub fn estimated(
        labels: impl Into<Arc<Labels>>,
        estimate: impl Fn() -> Amounts + Send + Sync + 'static,
    ) -> Self {
        let estimate = Estimate(Arc::new(estimate));
        Self::asking(labels.into(), Amounts::ZERO, Some(estimate))
    }

    /// Keeps the place in the queue of an earlier attempt.
    #[must_use]
    pub fn keeping(mut self, ticket: Ticket) -> Self {
        Arc::make_mut(&mut self.asked).ticket = Some(ticket);
        self
    }

    /// Waits no longer than until `deadline`, on the gate's clock ([`crate::Gate::now`]). [`Tick::MAX`] is no deadline.
    #[must_use]
    pub fn by(mut self, deadline: Tick) -> Self {
        Arc::make_mut(&mut self.asked).deadline = deadline;
        self
    }

    /// Goes before waiting calls of lower priority. A call that keeps a ticket keeps its priority too.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        Arc::make_mut(&mut self.asked).priority = priority;
        self
    }

    fn asking(labels: Arc<Labels>, amounts: Amounts, estimate: Option<Estimate>) -> Self {
        let asked = Asked {
            labels,
            amounts,
            estimate,
            ticket: None,
            deadline: Tick::MAX,
            priority: Priority::Normal,
        };
        Self {
            asked: Arc::new(asked),
        }
    }
}

/// Estimates a call's amounts by what has been learned so far.
#[derive(Clone)]
pub(crate) struct Estimate(Arc<dyn Fn() -> Amounts + Send + Sync>);

impl Asked {
    /// The amounts, estimated afresh if they are estimated.
    pub(crate) fn now(&self) -> Amounts {
        match &self.estimate {
            None => self.amounts,
            Some(estimate) => estimate.0(),
        }
    }
}

impl fmt::Debug for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0().fmt(f)
    }
}
