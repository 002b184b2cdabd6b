//! `Acquire`: the future of a call that waits for its permit.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate_limits::{Amounts, Labels, Tick};

use crate::{
    AcquireError, Call, Event, Gate, Permit, Priority, Ticket,
    call::Asked,
    core::{Answer, Core, Reason, Wakes},
    driver,
    permit::Held,
    queue::{Place, Waiter},
};

/// Resolves to a [`Permit`] once every policy has room. See [`Gate::acquire`].
#[must_use = "a call waits only while this is awaited"]
pub struct Acquire {
    gate: Gate,
    labels: Arc<Labels>,
    state: State,
}

/// Kept small: there may be very many.
enum State {
    New(New),
    Waiting {
        place: Place,
        since: Tick,
        ticket: Ticket,
    },
    Done,
}

/// A call that has not asked yet.
#[derive(Debug)]
struct New {
    asked: Asked,
    ticket: Option<Ticket>,
    deadline: Tick,
    priority: Priority,
}

/// What happened when a call first asked.
enum First {
    Answered(Answer, Amounts),
    /// What it waits for is not known before a store is asked, and not looked for if nobody wants to hear it.
    Queued(Place, Option<Reason>),
}

impl Acquire {
    pub(crate) fn new(gate: Gate, call: &Call, deadline: Tick) -> Self {
        let new = New {
            asked: call.asked.clone(),
            ticket: call.ticket,
            deadline,
            priority: call.priority,
        };
        Self {
            gate,
            labels: call.labels.clone(),
            state: State::New(new),
        }
    }

    fn ask(&mut self, call: New, waker: &Waker) -> Poll<Result<Permit, AcquireError>> {
        let now = self.gate.now();
        let amounts = call.asked.now();
        let mut wakes = Wakes::default();
        let (ticket, first) = {
            let mut core = self.gate.lock();
            let ticket = call.ticket.unwrap_or_else(|| core.ticket(call.priority));
            let first = self.ask_core(&mut core, now, ticket, call, amounts, waker, &mut wakes);
            (ticket, first)
        };
        self.gate.inner().wake(wakes);
        match first {
            First::Answered(answer, amounts) => {
                Poll::Ready(self.finish(answer, amounts, ticket, Duration::ZERO, false))
            }
            First::Queued(place, reason) => {
                self.state = State::Waiting {
                    place,
                    since: now,
                    ticket,
                };
                let wait = reason.map(|reason| reason.wait);
                self.gate.record(&Event::Queued {
                    labels: &self.labels,
                    binding: wait.as_ref().map(|wait| &wait.binding),
                    until: wait.as_ref().and_then(|wait| wait.until),
                });
                driver::ensure(self.gate.inner());
                // The lock was free for a moment: the answer may be there already.
                self.fetch(place, now, ticket, waker)
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one caller, which holds the lock"
    )]
    fn ask_core(
        &self,
        core: &mut Core,
        now: Tick,
        ticket: Ticket,
        call: New,
        amounts: Amounts,
        waker: &Waker,
        wakes: &mut Wakes,
    ) -> First {
        let refuse = |error| First::Answered(Err(Box::new(error)), amounts);
        let arrival = core.arrival(&self.labels, ticket);
        // Only the driver asks a store, one call after the other.
        let (mut spot, mut reason) = (None, None);
        if self.gate.inner().store.is_none() {
            let found = match core.enter(now, &arrival, &amounts, wakes) {
                Ok(reservation) => {
                    return First::Answered(
                        Ok(Held::Local(reservation, arrival.kind.lane)),
                        amounts,
                    );
                }
                Err(found) => found,
            };
            if let Some(error) = core.must_refuse(now, arrival.kind.lane, &amounts) {
                return refuse(error);
            }
            spot = Some(found.spot());
            if call.deadline < Tick::MAX || self.gate.is_heard() {
                match core.reason(now, &arrival, &amounts, found) {
                    Ok(found) => reason = Some(found),
                    Err(error) => return refuse(error),
                }
            }
        }
        if let Some(reason) = &reason
            && (call.deadline <= now || reason.wait.until.is_some_and(|at| call.deadline < at))
        {
            return refuse(AcquireError::deadline(Some(reason.wait.clone()), now));
        }
        if core.queue.waiting() >= self.gate.queue_limit() {
            return refuse(AcquireError::queue_full(self.gate.queue_limit(), now));
        }
        let waiter = |line| {
            let estimate = call.asked.into_estimate();
            Waiter::new(line, amounts, estimate, call.deadline, waker.clone())
        };
        let place = core.join(now, &arrival, &self.labels, spot, waiter, wakes);
        First::Queued(place, reason)
    }

    fn fetch(
        &mut self,
        place: Place,
        since: Tick,
        ticket: Ticket,
        waker: &Waker,
    ) -> Poll<Result<Permit, AcquireError>> {
        let Some((answer, amounts)) = self.gate.lock().queue.fetch(place, waker) else {
            return Poll::Pending;
        };
        self.state = State::Done;
        let waited = self.gate.now().since(since);
        Poll::Ready(self.finish(answer, amounts, ticket, waited, true))
    }

    fn finish(
        &self,
        answer: Answer,
        amounts: Amounts,
        ticket: Ticket,
        waited: Duration,
        queued: bool,
    ) -> Result<Permit, AcquireError> {
        let labels = &self.labels;
        match answer {
            Ok(held) => {
                let gate = self.gate.clone();
                let permit = Permit::new(gate, held, amounts, labels.clone(), ticket, waited);
                self.gate.record_admitted(&permit, queued);
                Ok(permit)
            }
            Err(error) => {
                self.gate.record_refused(labels, &error, waited, queued);
                Err(*error)
            }
        }
    }
}

impl Future for Acquire {
    type Output = Result<Permit, AcquireError>;

    /// # Panics
    /// If polled again after it resolved, or outside a tokio runtime when the call has to wait.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::New(call) => self.ask(call, cx.waker()),
            State::Waiting {
                place,
                since,
                ticket,
            } => {
                self.state = State::Waiting {
                    place,
                    since,
                    ticket,
                };
                let poll = self.fetch(place, since, ticket, cx.waker());
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
        let State::Waiting { place, since, .. } = self.state else {
            return;
        };
        let now = self.gate.now();
        let mut wakes = Wakes::default();
        let in_store = self.gate.inner().store.is_some();
        let left = self.gate.lock().leave(now, place, in_store, &mut wakes);
        self.gate.inner().wake(wakes);
        if let Some(Ok(held)) = left.and_then(|left| left.answer) {
            self.gate.give_back(held, None);
        }
        self.gate.record(&Event::Abandoned {
            labels: &self.labels,
            waited: now.since(since),
        });
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}
