//! `Core`: the ledger and the queue under one lock, and the one place where waiting calls are admitted.

use std::task::Waker;

use tollgate_limits::{Amounts, Binding, Check, Decision, Lane, Ledger, Tick, Wait};

use crate::{AcquireError, Priority, Ticket, permit::Held, queue::Queue};

/// What a waiting call is told.
pub(crate) type Answer = Result<Held, AcquireError>;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) ledger: Ledger,
    pub(crate) queue: Queue<Answer>,
    pub(crate) driver: Driver,
    pub(crate) next_admission: Option<Tick>,
    next_ticket: u64,
}

/// The task that wakes at the next admission while calls wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Nobody waits.
    None,
    /// Asleep until then; `None`: until it is told.
    Until(Option<Tick>),
}

/// What has to be done once the lock is gone.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    pub(crate) wakers: Vec<Waker>,
    /// The driver sleeps too long, or for nobody.
    pub(crate) driver: bool,
}

impl Core {
    pub(crate) const fn new(ledger: Ledger, queue: Queue<Answer>) -> Self {
        Self {
            ledger,
            queue,
            driver: Driver::None,
            next_admission: None,
            next_ticket: 0,
        }
    }

    pub(crate) const fn ticket(&mut self, priority: Priority) -> Ticket {
        let ticket = Ticket {
            priority,
            number: self.next_ticket,
        };
        self.next_ticket += 1;
        ticket
    }

    /// Admits every waiting call that fits now, in order, then refuses those whose deadline has passed.
    pub(crate) fn pump(&mut self, now: Tick, wakes: &mut Wakes) {
        if self.queue.waiting() == 0 && self.driver == Driver::None {
            return;
        }
        let mut earliest = self.admit(now, wakes);
        while self.refuse_late(now, wakes) {
            // Whoever was refused may have stood in the way of others.
            earliest = self.admit(now, wakes);
        }
        self.next_admission = earliest;
        let wanted = self.wake_at();
        if let Driver::Until(armed) = self.driver {
            let sooner = wanted.is_some_and(|wanted| armed.is_none_or(|armed| wanted < armed));
            wakes.driver |= sooner || self.queue.waiting() == 0;
        }
    }

    /// Notes until when the driver sleeps: `None` if nobody waits and it should end, `Some(None)` until it is told.
    pub(crate) fn sleep(&mut self) -> Option<Option<Tick>> {
        if self.queue.waiting() == 0 {
            self.driver = Driver::None;
            return None;
        }
        let wake_at = self.wake_at();
        self.driver = Driver::Until(wake_at);
        Some(wake_at)
    }

    /// When the driver has something to do: the next admission or the next deadline.
    fn wake_at(&self) -> Option<Tick> {
        min_some(
            self.next_admission,
            self.queue.first_deadline().map(|(deadline, _)| deadline),
        )
    }

    /// A call that does not fit claims the policies that have no room for it: calls behind it that need one of those wait too, so
    /// that a large call is never starved by small ones, while calls that share none of them pass.
    fn admit(&mut self, now: Tick, wakes: &mut Wakes) -> Option<Tick> {
        let mut claimed = Vec::new();
        let mut earliest = None;
        let mut after = None;
        while let Some((ticket, waiter)) = self.queue.head_after(after) {
            after = Some(ticket);
            let (lane, amounts) = (waiter.lane, waiter.amounts);
            if self.touches(lane, &claimed) {
                continue;
            }
            let answer = match self.ledger.reserve(now, lane, &amounts) {
                Decision::Granted(reservation) => Ok(Held::Local(reservation)),
                Decision::Wait(wait) => {
                    self.ledger
                        .blocked_by(now, lane, &amounts, |meter| claimed.push(meter));
                    earliest = min_some(earliest, wait.until);
                    continue;
                }
                Decision::NeverFits(binding) => Err(AcquireError::never_fits(binding, now)),
            };
            wakes.wakers.extend(self.queue.answer(ticket, answer));
        }
        earliest
    }

    /// The policy that keeps a call of this lane behind calls that came earlier.
    pub(crate) fn ahead(&mut self, now: Tick, lane: Lane) -> Option<Binding> {
        let mut after = None;
        while let Some((ticket, waiter)) = self.queue.head_after(after) {
            after = Some(ticket);
            let (ahead, amounts) = (waiter.lane, waiter.amounts);
            let mut claimed = Vec::new();
            self.ledger
                .blocked_by(now, ahead, &amounts, |meter| claimed.push(meter));
            if self.touches(lane, &claimed)
                && let Check::Wait(wait) = self.ledger.check(now, ahead, &amounts)
            {
                return Some(wait.binding);
            }
        }
        None
    }

    /// Why a call of this lane would wait, considering those ahead of it.
    pub(crate) fn outlook(&mut self, now: Tick, lane: Lane, amounts: &Amounts) -> Check {
        match self.ledger.check(now, lane, amounts) {
            Check::Fits => match self.ahead(now, lane) {
                Some(binding) => Check::Wait(Wait {
                    binding,
                    until: None,
                }),
                None => Check::Fits,
            },
            other => other,
        }
    }

    /// Refuses calls whose deadline has come without an admission; whether there were any.
    pub(crate) fn refuse_late(&mut self, now: Tick, wakes: &mut Wakes) -> bool {
        let mut any = false;
        while let Some((deadline, ticket)) = self.queue.first_deadline()
            && deadline <= now
            && let Some(waiter) = self.queue.get(ticket)
        {
            let (lane, amounts) = (waiter.lane, waiter.amounts);
            let wait = match self.outlook(now, lane, &amounts) {
                Check::Wait(wait) => Some(wait),
                Check::Fits | Check::NeverFits(_) => None,
            };
            wakes.wakers.extend(
                self.queue
                    .answer(ticket, Err(AcquireError::deadline(wait, now))),
            );
            any = true;
        }
        any
    }

    fn touches(&self, lane: Lane, claimed: &[u32]) -> bool {
        self.ledger
            .meters_of(lane)
            .iter()
            .any(|meter| claimed.contains(meter))
    }
}

fn min_some(a: Option<Tick>, b: Option<Tick>) -> Option<Tick> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
