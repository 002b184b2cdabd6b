//! `Acquire`: the future of a call that waits for its permit.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate_limits::{Tick, Wait};

use crate::{
    AcquireError, Call, Event, Gate, Permit, Ticket,
    core::{Answer, Core, Wakes},
    driver,
    permit::{Granted, Held},
    queue::{Place, Waiter},
};

/// Resolves to a [`Permit`] once every policy has room. See [`Gate::acquire`].
#[must_use = "a call waits only while this is awaited"]
pub struct Acquire {
    gate: Gate,
    call: Call,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    New,
    Waiting { place: Place, since: Tick },
    Done,
}

/// What happened when a call first asked.
enum First {
    Answered(Ticket, Answer),
    /// What it waits for is not known before a store is asked.
    Queued {
        place: Place,
        wait: Option<Wait>,
    },
}

impl Acquire {
    pub(crate) const fn new(gate: Gate, call: Call) -> Self {
        Self {
            gate,
            call,
            state: State::New,
        }
    }

    fn ask(&mut self, waker: &Waker) -> Poll<Result<Permit, AcquireError>> {
        let now = self.gate.now();
        let mut wakes = Wakes::default();
        let first = {
            let mut core = self.gate.lock();
            self.ask_core(&mut core, now, waker, &mut wakes)
        };
        self.gate.inner().wake(wakes);
        match first {
            First::Answered(ticket, answer) => {
                self.state = State::Done;
                Poll::Ready(self.finish(answer, ticket, Duration::ZERO, false))
            }
            First::Queued { place, wait } => {
                self.state = State::Waiting { place, since: now };
                let (binding, until) = wait.map_or((None, None), |w| (Some(w.binding), w.until));
                self.gate.record(&Event::Queued {
                    labels: &self.call.labels,
                    binding: binding.as_ref(),
                    until,
                });
                driver::ensure(self.gate.inner());
                // The lock was free for a moment: the answer may be there already.
                self.fetch(place, now, waker)
            }
        }
    }

    fn ask_core(&self, core: &mut Core, now: Tick, waker: &Waker, wakes: &mut Wakes) -> First {
        let Call {
            labels,
            amounts,
            ticket,
            deadline,
            priority,
        } = &self.call;
        let asked = amounts;
        let amounts = asked.now();
        let lane = core.ledger.lane(labels);
        let ticket = ticket.unwrap_or_else(|| core.ticket(*priority));
        let deadline = *deadline;
        let refuse = |error| First::Answered(ticket, Err(error));
        // Only the driver asks a store, one call after the other.
        let mut due = Some(now);
        let wait = if self.gate.inner().store.is_some() {
            None
        } else {
            let obstacle = match core.enter(now, lane, &amounts, ticket, wakes) {
                Ok(reservation) => {
                    let held = Held::Local(reservation);
                    return First::Answered(ticket, Ok(Granted { held, amounts }));
                }
                Err(obstacle) => obstacle,
            };
            due = obstacle.due();
            match obstacle.into_wait(now) {
                Ok(wait) => Some(wait),
                Err(error) => return refuse(error),
            }
        };
        let until = wait.as_ref().map_or(Some(now), |wait| wait.until);
        let too_late = |deadline: Tick| deadline <= now || until.is_some_and(|at| deadline < at);
        if wait.is_some() && deadline.is_some_and(too_late) {
            return refuse(AcquireError::deadline(wait, now));
        }
        if core.queue.waiting() >= self.gate.queue_limit() {
            return refuse(AcquireError::queue_full(self.gate.queue_limit(), now));
        }
        let waiter = Waiter::new(
            lane,
            labels.clone(),
            asked.clone(),
            amounts,
            deadline,
            waker.clone(),
        );
        let place = core.join(ticket, waiter, due, wakes);
        First::Queued { place, wait }
    }

    fn fetch(
        &mut self,
        place: Place,
        since: Tick,
        waker: &Waker,
    ) -> Poll<Result<Permit, AcquireError>> {
        let Some(answer) = self.gate.lock().queue.fetch(place, waker) else {
            return Poll::Pending;
        };
        self.state = State::Done;
        let waited = self.gate.now().since(since);
        Poll::Ready(self.finish(answer, place.ticket, waited, true))
    }

    fn finish(
        &self,
        answer: Answer,
        ticket: Ticket,
        waited: Duration,
        queued: bool,
    ) -> Result<Permit, AcquireError> {
        let labels = &self.call.labels;
        match answer {
            Ok(granted) => {
                let permit =
                    Permit::new(self.gate.clone(), granted, labels.clone(), ticket, waited);
                self.gate.record_admitted(&permit, queued);
                Ok(permit)
            }
            Err(error) => {
                self.gate.record_refused(labels, &error, waited, queued);
                Err(error)
            }
        }
    }
}

impl Future for Acquire {
    type Output = Result<Permit, AcquireError>;

    /// # Panics
    /// If polled again after it resolved, or outside a tokio runtime when the call has to wait.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.state {
            State::New => self.ask(cx.waker()),
            State::Waiting { place, since } => {
                let poll = self.fetch(place, since, cx.waker());
                if poll.is_pending() {
                    driver::ensure(self.gate.inner());
                }
                poll
            }
            State::Done => panic!("an acquire is polled after it resolved"),
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let State::Waiting { place, since } = self.state else {
            return;
        };
        let now = self.gate.now();
        let mut wakes = Wakes::default();
        let in_store = self.gate.inner().store.is_some();
        let left = self.gate.lock().leave(now, place, in_store, &mut wakes);
        self.gate.inner().wake(wakes);
        if let Some(Ok(granted)) = left.and_then(Waiter::into_answer) {
            self.gate.give_back(granted.held, None);
        }
        self.gate.record(&Event::Abandoned {
            labels: &self.call.labels,
            waited: now.since(since),
        });
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}
