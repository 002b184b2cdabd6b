//! `Waiter`: what the queue knows of one waiting call.

use std::task::Waker;

use tollgate_limits::{Amounts, Tick, Wait};

use super::LineId;
use crate::call::Estimate;

/// A waiting call, or one that has been answered and has not fetched its answer. Kept small: there may be very many.
#[derive(Debug)]
pub(crate) struct Waiter<A> {
    pub(crate) line: LineId,
    /// What it asked for when it was last looked at.
    pub(crate) amounts: Amounts,
    estimate: Option<Estimate>,
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
    // `None` if it gave up.
    Answered(Option<A>),
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
    pub(crate) const fn new(
        line: LineId,
        amounts: Amounts,
        estimate: Option<Estimate>,
        deadline: Tick,
        waker: Waker,
    ) -> Self {
        Self {
            line,
            amounts,
            estimate,
            deadline,
            stage: Stage::Waiting { waker, told: None },
        }
    }

    pub(crate) const fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }

    /// What it asks for by now, if that is estimated afresh.
    pub(super) fn estimate_again(&self) -> Option<Amounts> {
        self.estimate.as_ref().map(Estimate::now)
    }

    /// What a store has said of it.
    pub(crate) fn told(&self) -> Option<&Told> {
        match &self.stage {
            Stage::Waiting { told, .. } => told.as_deref(),
            Stage::Answered(_) => None,
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
            Stage::Answered(_) => None,
        }
    }

    /// Answers it; whom to wake.
    pub(super) fn answer(&mut self, answer: A) -> Option<Waker> {
        self.end(Some(answer))
    }

    /// It waits no longer, and nobody will fetch an answer.
    pub(super) fn give_up(&mut self) -> Option<Waker> {
        self.end(None)
    }

    fn end(&mut self, answer: Option<A>) -> Option<Waker> {
        match std::mem::replace(&mut self.stage, Stage::Answered(answer)) {
            Stage::Waiting { waker, .. } => Some(waker),
            Stage::Answered(_) => None,
        }
    }

    /// What it was answered and has not fetched.
    pub(crate) fn into_answer(self) -> Option<A> {
        match self.stage {
            Stage::Waiting { .. } => None,
            Stage::Answered(answer) => answer,
        }
    }
}
