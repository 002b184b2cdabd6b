//! `Waiter`: what the queue knows of one waiting call.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tollgate_limits::{Amounts, Labels, Tick, Wait};

use super::LineId;
use crate::{Call, Ticket};

/// A waiting call, or one that has been answered and has not fetched its answer. Kept small: there may be very many.
#[derive(Debug)]
pub(crate) struct Waiter<A> {
    pub(crate) line: LineId,
    pub(crate) ticket: Ticket,
    call: Call,
    // What it asked for when it was last looked at, if that is estimated.
    estimated: Option<Box<Amounts>>,
    pub(crate) since: Tick,
    /// [`Tick::MAX`] if it has none.
    pub(crate) deadline: Tick,
    pub(super) stage: Stage<A>,
}

#[derive(Debug)]
pub(super) enum Stage<A> {
    Waiting {
        waker: Waker,
        // What a store has said of it.
        told: Option<Box<Told>>,
    },
    Answered {
        // `None` if it gave up.
        answer: Option<A>,
        at: Tick,
    },
}

/// A store's answer to a call that has to wait.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) wait: Wait,
    /// It is asked again from then on, or after a settlement.
    pub(crate) again: Tick,
    /// Settlements when it was asked.
    pub(crate) settlements: u64,
}

impl<A> Waiter<A> {
    pub(crate) fn new(
        line: LineId,
        call: Call,
        ticket: Ticket,
        amounts: Amounts,
        since: Tick,
        deadline: Tick,
        waker: Waker,
    ) -> Self {
        let estimated = call.asked.estimate.is_some();
        Self {
            line,
            ticket,
            call,
            estimated: estimated.then(|| Box::new(amounts)),
            since,
            deadline,
            stage: Stage::Waiting { waker, told: None },
        }
    }

    pub(super) const fn is_estimated(&self) -> bool {
        self.estimated.is_some()
    }

    pub(crate) const fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }

    pub(crate) fn labels(&self) -> &Arc<Labels> {
        &self.call.asked.labels
    }

    /// What it asked for when it was last looked at.
    pub(crate) fn amounts(&self) -> &Amounts {
        self.estimated
            .as_deref()
            .unwrap_or(&self.call.asked.amounts)
    }

    /// Estimates what it asks for afresh, and says what that was before, if that is estimated.
    pub(super) fn estimate_again(&mut self) -> Option<Amounts> {
        let known = self.estimated.as_deref_mut()?;
        let now = self.call.asked.now();
        Some(std::mem::replace(known, now))
    }

    /// The longest that anybody may wait, if that ends before its own deadline.
    pub(crate) fn longest_wait(&self, longest: Duration) -> Option<Duration> {
        (self.deadline < self.call.asked.deadline && self.deadline == self.since.plus(longest))
            .then_some(longest)
    }

    /// What a store has said of it.
    pub(crate) fn told(&self) -> Option<&Told> {
        match &self.stage {
            Stage::Waiting { told, .. } => told.as_deref(),
            Stage::Answered { .. } => None,
        }
    }

    /// Notes what a store has said of it.
    pub(crate) fn tell(&mut self, news: Told) {
        if let Stage::Waiting { told, .. } = &mut self.stage {
            *told = Some(Box::new(news));
        }
    }

    /// Whom to wake when it is answered, until then.
    pub(super) const fn waker(&self) -> Option<&Waker> {
        match &self.stage {
            Stage::Waiting { waker, .. } => Some(waker),
            Stage::Answered { .. } => None,
        }
    }

    /// Answers it; whom to wake.
    pub(super) fn answer(&mut self, answer: A, at: Tick) -> Option<Waker> {
        self.end(Some(answer), at)
    }

    /// It waits no longer, and nobody will fetch an answer.
    pub(super) fn give_up(&mut self, at: Tick) -> Option<Waker> {
        self.end(None, at)
    }

    fn end(&mut self, answer: Option<A>, at: Tick) -> Option<Waker> {
        match std::mem::replace(&mut self.stage, Stage::Answered { answer, at }) {
            Stage::Waiting { waker, .. } => Some(waker),
            Stage::Answered { .. } => None,
        }
    }

    /// What it was answered and has not fetched, for which call, and when.
    pub(super) fn into_answer(self) -> Option<(A, Call, Tick)> {
        match self.stage {
            Stage::Waiting { .. } => None,
            Stage::Answered { answer, at } => answer.map(|answer| (answer, self.call, at)),
        }
    }
}
