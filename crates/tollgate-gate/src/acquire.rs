//! `Acquire`: the future of a call that waits for its permit.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate_limits::{Binding, Check, Decision, Tick};

use crate::{
    AcquireError, Call, Event, Gate, Permit, Ticket,
    core::{Answer, Core, Driver, Wakes},
    driver,
    permit::Held,
    queue::Waiter,
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
    Waiting { ticket: Ticket, since: Tick },
    Done,
}

/// What happened when a call first asked.
enum First {
    Answered(Ticket, Answer),
    Queued {
        ticket: Ticket,
        binding: Option<Binding>,
        until: Option<Tick>,
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
            First::Queued {
                ticket,
                binding,
                until,
            } => {
                self.state = State::Waiting { ticket, since: now };
                self.gate.record(&Event::Queued {
                    labels: &self.call.labels,
                    binding: binding.as_ref(),
                    until,
                });
                driver::ensure(self.gate.inner());
                // The lock was free for a moment: the answer may be there already.
                self.fetch(ticket, now, waker)
            }
        }
    }

    fn ask_core(&self, core: &mut Core, now: Tick, waker: &Waker, wakes: &mut Wakes) -> First {
        let Call {
            labels,
            amounts,
            ticket,
            deadline,
            ..
        } = &self.call;
        let lane = core.ledger.lane(labels);
        let ticket = ticket.unwrap_or_else(|| core.ticket(self.call.priority));
        let deadline = *deadline;
        let refuse = |error| First::Answered(ticket, Err(error));
        let mut wait = None;
        if self.gate.inner().store.is_none() {
            if core.queue.waiting() == 0 {
                match core.ledger.reserve(now, lane, amounts) {
                    Decision::Granted(reservation) => {
                        return First::Answered(ticket, Ok(Held::Local(reservation)));
                    }
                    Decision::Wait(w) => wait = Some(w),
                    Decision::NeverFits(binding) => {
                        return refuse(AcquireError::never_fits(binding, now));
                    }
                }
            } else {
                match core.outlook(now, lane, amounts) {
                    Check::Fits => {}
                    Check::Wait(w) => wait = Some(w),
                    Check::NeverFits(binding) => {
                        return refuse(AcquireError::never_fits(binding, now));
                    }
                }
            }
            let too_late =
                |at: Tick| deadline.is_some_and(|deadline| deadline < at || deadline <= now);
            if let Some(w) = &wait
                && too_late(w.until.unwrap_or(now))
            {
                return refuse(AcquireError::deadline(wait, now));
            }
        }
        if core.queue.waiting() >= self.gate.queue_limit() {
            return refuse(AcquireError::queue_full(self.gate.queue_limit(), now));
        }
        core.queue.enqueue(
            ticket,
            Waiter::new(lane, labels.clone(), *amounts, deadline, waker.clone()),
        );
        if self.gate.inner().store.is_some() {
            wakes.driver = core.driver != Driver::None;
        } else {
            core.pump(now, wakes);
        }
        let (binding, until) = wait.map_or((None, None), |w| (Some(w.binding), w.until));
        First::Queued {
            ticket,
            binding,
            until,
        }
    }

    fn fetch(
        &mut self,
        ticket: Ticket,
        since: Tick,
        waker: &Waker,
    ) -> Poll<Result<Permit, AcquireError>> {
        let Some(answer) = self.gate.lock().queue.fetch(ticket, waker) else {
            return Poll::Pending;
        };
        self.state = State::Done;
        let waited = self.gate.now().since(since);
        Poll::Ready(self.finish(answer, ticket, waited, true))
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
            Ok(held) => {
                let permit = Permit::new(
                    self.gate.clone(),
                    held,
                    labels.clone(),
                    self.call.amounts,
                    ticket,
                    waited,
                );
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
            State::Waiting { ticket, since } => {
                let poll = self.fetch(ticket, since, cx.waker());
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
        let State::Waiting { ticket, since } = self.state else {
            return;
        };
        let now = self.gate.now();
        let mut granted = None;
        self.gate.change(now, |core| {
            granted = core.queue.cancel(ticket).and_then(Result::ok)
        });
        if let Some(held) = granted {
            self.gate.give_back(held, None);
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
