//! `Acquire`: the future of a call that waits for its permit.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate_limits::{Amounts, Tick};

use crate::{
    AcquireError, Call, Event, Gate, Permit, Ticket,
    core::{Answer, Core, Wakes},
    driver,
    outlook::Reason,
    permit::Held,
    queue::{Place, Waiter},
};

/// Resolves to a [`Permit`] once every policy has room. See [`Gate::acquire`].
#[must_use = "a call waits only while this is awaited"]
pub struct Acquire {
    gate: Gate,
    state: State,
}

/// Kept small, as a task may hold this several times over, and there may be very many. The rest of what is known of a waiting call
/// lies in the queue.
#[derive(Debug)]
enum State {
    /// It has not asked yet, and will wait until then. While it waits, the queue has the call.
    New(Call, Tick),
    Waiting(Place),
    Done,
}

/// What happened when a call first asked.
enum First {
    Answered(Call, Ticket, Answer),
    /// What it waits for is not known before a store is asked, and not looked for if nobody wants to hear it.
    Queued(Place, Option<Reason>),
}

impl Acquire {
    pub(crate) const fn new(gate: Gate, call: Call, deadline: Tick) -> Self {
        Self {
            gate,
            state: State::New(call, deadline),
        }
    }

    fn ask(
        &mut self,
        call: Call,
        deadline: Tick,
        waker: &Waker,
    ) -> Poll<Result<Permit, AcquireError>> {
        let now = self.gate.now();
        let amounts = call.asked.now();
        let labels = self.gate.is_heard().then(|| call.asked.labels.clone());
        let mut wakes = Wakes::default();
        let (first, undriven) = {
            let mut core = self.gate.lock();
            let first = self.ask_core(&mut core, now, call, deadline, amounts, waker, &mut wakes);
            (first, core.take_charge())
        };
        let queued = match first {
            First::Answered(call, ticket, answer) => {
                Poll::Ready(self.finish(answer, call, amounts, ticket, Duration::ZERO, false))
            }
            First::Queued(place, reason) => {
                self.state = State::Waiting(place);
                if let Some(labels) = &labels {
                    let wait = reason.map(|reason| reason.wait);
                    self.gate.record(&Event::Queued {
                        labels,
                        binding: wait.as_ref().map(|wait| &wait.binding),
                        until: wait.as_ref().and_then(|wait| wait.until),
                    });
                }
                Poll::Pending
            }
        };
        // If it has been answered meanwhile, its waker is among those woken here or has been woken already.
        self.gate.inner().wake(wakes);
        if undriven {
            driver::start(self.gate.inner());
        }
        queued
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one caller, which holds the lock"
    )]
    fn ask_core(
        &self,
        core: &mut Core,
        now: Tick,
        call: Call,
        deadline: Tick,
        amounts: Amounts,
        waker: &Waker,
        wakes: &mut Wakes,
    ) -> First {
        let ticket = core.ticket_of(&call.asked);
        let refuse = |call, error| First::Answered(call, ticket, Err(Box::new(error)));
        let arrival = core.arrival(&call.asked.labels, ticket);
        let longest_wait = self.gate.longest_wait();
        let latest = now.plus(longest_wait);
        let longest = (latest < deadline).then_some(longest_wait);
        let deadline = deadline.min(latest);
        let (mut spot, mut reason) = (None, None);
        // Only the driver asks a store, one call after the other.
        if self.gate.inner().store.is_none() {
            let obstacle = match core.enter(now, &arrival, &amounts, wakes) {
                Ok(reservation) => {
                    let held = Held::Local(reservation, arrival.kind.lane);
                    return First::Answered(call, ticket, Ok(held));
                }
                Err(obstacle) => obstacle,
            };
            if let Some(error) = core.must_refuse(now, arrival.kind.lane, &amounts) {
                return refuse(call, error);
            }
            spot = Some(obstacle.spot());
            if deadline < Tick::MAX || self.gate.is_heard() {
                match core.reason(now, &arrival, &amounts, obstacle) {
                    Ok(found) => reason = Some(found),
                    Err(error) => return refuse(call, error),
                }
            }
        }
        if let Some(reason) = &reason
            && (deadline <= now || reason.wait.until.is_some_and(|at| deadline < at))
        {
            let error = AcquireError::late(Some(reason.wait.clone()), longest, now);
            return refuse(call, error);
        }
        if core.queue.waiting() >= self.gate.queue_limit() {
            let error = AcquireError::queue_full(self.gate.queue_limit(), now);
            return refuse(call, error);
        }
        let bound = self.gate.tenant_queue_limit();
        if core.queue.waiting_of(arrival.kind.tenant) >= bound {
            let label = core.lanes.label().clone();
            let tenant = call.asked.labels.get(&label).unwrap_or_default().into();
            let error = AcquireError::tenant_queue_full(bound, label, tenant, now);
            return refuse(call, error);
        }
        let waiter = |line| Waiter::new(line, call, ticket, amounts, now, deadline, waker.clone());
        let place = core.join(now, &arrival, spot, waiter, wakes);
        First::Queued(place, reason)
    }

    fn fetch(&mut self, place: Place, waker: &Waker) -> Poll<Result<Permit, AcquireError>> {
        let (fetched, undriven) = {
            let mut core = self.gate.lock();
            let fetched = core.queue.fetch(place, waker);
            (fetched, core.take_charge())
        };
        if undriven {
            driver::start(self.gate.inner());
        }
        let Some(fetched) = fetched else {
            return Poll::Pending;
        };
        self.state = State::Done;
        let waited = fetched.answered.since(fetched.since);
        let finished = self.finish(
            fetched.answer,
            fetched.call,
            fetched.amounts,
            fetched.ticket,
            waited,
            true,
        );
        Poll::Ready(finished)
    }

    fn finish(
        &self,
        answer: Answer,
        call: Call,
        amounts: Amounts,
        ticket: Ticket,
        waited: Duration,
        queued: bool,
    ) -> Result<Permit, AcquireError> {
        match answer {
            Ok(held) => {
                let gate = self.gate.clone();
                let permit = Permit::new(gate, held, &amounts, call, ticket, waited);
                self.gate.record_admitted(&permit, queued);
                Ok(permit)
            }
            Err(error) => {
                let labels = &call.asked.labels;
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
        if let State::Waiting(place) = self.state {
            return self.fetch(place, cx.waker());
        }
        match std::mem::replace(&mut self.state, State::Done) {
            State::New(call, deadline) => self.ask(call, deadline, cx.waker()),
            _ => panic!("an acquire is polled after it resolved"),
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let State::Waiting(place) = self.state else {
            return;
        };
        let now = self.gate.now();
        let mut wakes = Wakes::default();
        let in_store = self.gate.inner().store.is_some();
        let left = self.gate.lock().leave(now, place, in_store, &mut wakes);
        self.gate.inner().wake(wakes);
        let Some(left) = left else {
            return;
        };
        if let Some(Ok(held)) = left.answer {
            self.gate.give_back(held, None);
        }
        self.gate.record(&Event::Abandoned {
            labels: &left.labels,
            waited: now.since(left.since),
        });
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
