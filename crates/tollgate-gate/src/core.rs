//! `Core`: the ledger and the queue under one lock, and the one place where waiting calls are admitted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Waker;

use tollgate_limits::{
    Amounts, Binding, Check, Decision, Labels, Lane, Ledger, Reservation, Tick, Wait,
};

use crate::{
    AcquireError, Priority, Ticket,
    permit::{Granted, Held},
    queue::{Place, Queue, Waiter},
};

/// What a waiting call is told.
pub(crate) type Answer = Result<Granted, AcquireError>;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) ledger: Ledger,
    pub(crate) queue: Queue<Answer>,
    pub(crate) driver: Driver,
    /// When a waiting call may be admitted next, or has to be asked for; never too late.
    pub(crate) next_admission: Option<Tick>,
    /// Settlements that a store has taken; each may have made room.
    pub(crate) settlements: u64,
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

/// Why a call is not admitted now.
#[derive(Debug)]
pub(crate) enum Obstacle {
    Wait(Wait),
    /// It fits, but calls that came earlier wait for a policy that it needs; perhaps not from `until` on.
    Behind {
        binding: Binding,
        until: Option<Tick>,
    },
    Spent(Wait),
    NeverFits(Binding),
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
            settlements: 0,
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

    /// Reserves for a call that is not in line, if it fits and nobody who came earlier waits for what it needs.
    pub(crate) fn enter(
        &mut self,
        now: Tick,
        lane: Lane,
        amounts: &Amounts,
        ticket: Ticket,
        wakes: &mut Wakes,
    ) -> Result<Reservation, Obstacle> {
        self.catch_up(now, wakes);
        if self.queue.waiting() > 0
            && let Some(obstacle) = self.outlook(now, lane, amounts, ticket)
        {
            return Err(obstacle);
        }
        match self.ledger.reserve(now, lane, amounts) {
            Decision::Granted(reservation) => Ok(reservation),
            Decision::Wait(wait) => Err(Obstacle::Wait(wait)),
            Decision::Spent(wait) => Err(Obstacle::Spent(wait)),
            Decision::NeverFits(binding) => Err(Obstacle::NeverFits(binding)),
        }
    }

    /// Puts a call in line for which there is something to do at `due`, if that is known.
    pub(crate) fn join(
        &mut self,
        ticket: Ticket,
        waiter: Waiter<Answer>,
        due: Option<Tick>,
        wakes: &mut Wakes,
    ) -> Place {
        if self.queue.waiting() == 0 {
            self.next_admission = None;
        }
        let place = self.queue.enqueue(ticket, waiter);
        if self.queue.is_head(place) {
            self.next_admission = min_some(self.next_admission, due);
        }
        self.rearm(wakes);
        place
    }

    /// Takes a call out of line whose caller gave up, with the answer that it has not fetched. The caller drops both once the lock
    /// is gone, because dropping a waker can run anybody's code.
    pub(crate) fn leave(
        &mut self,
        now: Tick,
        place: Place,
        in_store: bool,
        wakes: &mut Wakes,
    ) -> Option<Waiter<Answer>> {
        let was_head = self.queue.is_head(place);
        let left = self.queue.cancel(place);
        if !in_store {
            self.pump(now, wakes);
        } else {
            if was_head {
                // The store has not been asked for whoever comes first now.
                self.next_admission = Some(now);
            }
            self.rearm(wakes);
        }
        left
    }

    /// A store has taken a settlement: there may be room now.
    pub(crate) fn settled(&mut self, now: Tick, wakes: &mut Wakes) {
        self.settlements += 1;
        if self.queue.waiting() > 0 {
            self.next_admission = Some(now);
        }
        self.rearm(wakes);
    }

    /// Admits whom the driver is about to admit, so that nobody comes in ahead of them before it runs.
    pub(crate) fn catch_up(&mut self, now: Tick, wakes: &mut Wakes) {
        if self.queue.waiting() > 0 && self.wake_at().is_some_and(|at| at <= now) {
            self.pump(now, wakes);
        }
    }

    /// Admits every waiting call that fits now, in order, then refuses those whose deadline has passed.
    pub(crate) fn pump(&mut self, now: Tick, wakes: &mut Wakes) {
        if self.queue.waiting() > 0 {
            self.next_admission = self.admit(now, wakes);
            while self.refuse_late(now, wakes) {
                // Whoever was refused may have stood in the way of others.
                self.next_admission = self.admit(now, wakes);
            }
        }
        self.rearm(wakes);
    }

    /// Tells the driver if it sleeps too long, or for nobody.
    pub(crate) fn rearm(&self, wakes: &mut Wakes) {
        if let Driver::Until(armed) = self.driver {
            let sooner = self
                .wake_at()
                .is_some_and(|wanted| armed.is_none_or(|armed| wanted < armed));
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
    pub(crate) fn wake_at(&self) -> Option<Tick> {
        min_some(
            self.next_admission,
            self.queue.first_deadline().map(|(deadline, _)| deadline),
        )
    }

    /// A call that does not fit claims the policies that have no room for it: calls behind it that need one of those wait too, so
    /// that a large call is never starved by small ones, while calls that share none of them pass.
    fn admit(&mut self, now: Tick, wakes: &mut Wakes) -> Option<Tick> {
        let mut claimed = BTreeSet::new();
        let mut earliest = None;
        // When the first claim lapses, which matters if anybody is held back by one.
        let mut lapse = None;
        let mut held_back = false;
        let mut after = None;
        while let Some((place, waiter)) = self.queue.head_after(after) {
            after = Some(place);
            let lane = waiter.lane;
            if self.touches(lane, &claimed) {
                held_back = true;
                continue;
            }
            let amounts = self.queue.look_again(place);
            let answer = match self.ledger.reserve(now, lane, &amounts) {
                Decision::Granted(reservation) => Ok(Granted {
                    held: Held::Local(reservation),
                    amounts,
                }),
                Decision::Wait(wait) => {
                    lapse = min_some(lapse, self.claim(now, lane, &amounts, &mut claimed));
                    earliest = min_some(earliest, wait.until);
                    continue;
                }
                Decision::Spent(wait) => Err(AcquireError::spent(wait, now)),
                Decision::NeverFits(binding) => Err(AcquireError::never_fits(binding, now)),
            };
            wakes.wakers.extend(self.queue.answer(place, answer));
        }
        if held_back {
            min_some(earliest, lapse)
        } else {
            earliest
        }
    }

    /// What keeps a call of this lane behind those that came earlier, by the same rule as [`Core::admit`].
    fn ahead(&mut self, now: Tick, lane: Lane, ticket: Ticket) -> Option<Obstacle> {
        let mut claimed = BTreeSet::new();
        let mut until = None;
        let mut after = None;
        while let Some((place, waiter)) = self.queue.head_after(after)
            && place.ticket <= ticket
        {
            after = Some(place);
            let (ahead, amounts) = (waiter.lane, waiter.amounts);
            if self.touches(ahead, &claimed) {
                continue;
            }
            until = min_some(until, self.claim(now, ahead, &amounts, &mut claimed));
            if self.touches(lane, &claimed)
                && let Check::Wait(wait) = self.ledger.check(now, ahead, &amounts)
            {
                let binding = wait.binding;
                return Some(Obstacle::Behind { binding, until });
            }
        }
        None
    }

    /// Why a call with this ticket would wait; `None` if it would be admitted now.
    pub(crate) fn outlook(
        &mut self,
        now: Tick,
        lane: Lane,
        amounts: &Amounts,
        ticket: Ticket,
    ) -> Option<Obstacle> {
        match self.ledger.check(now, lane, amounts) {
            Check::Fits => self.ahead(now, lane, ticket),
            Check::Wait(wait) => Some(Obstacle::Wait(wait)),
            Check::Spent(wait) => Some(Obstacle::Spent(wait)),
            Check::NeverFits(binding) => Some(Obstacle::NeverFits(binding)),
        }
    }

    /// Refuses calls whose deadline has come without an admission; whether there were any.
    pub(crate) fn refuse_late(&mut self, now: Tick, wakes: &mut Wakes) -> bool {
        let mut any = false;
        while let Some((deadline, place)) = self.queue.first_deadline()
            && deadline <= now
            && let Some(waiter) = self.queue.get_mut(place)
        {
            let (lane, amounts) = (waiter.lane, waiter.amounts);
            let wait = match waiter.told.take() {
                Some(told) => Some(told.wait),
                None => self
                    .outlook(now, lane, &amounts, place.ticket)
                    .and_then(|obstacle| obstacle.into_wait(now).ok()),
            };
            let answer = Err(AcquireError::deadline(wait, now));
            wakes.wakers.extend(self.queue.answer(place, answer));
            any = true;
        }
        any
    }

    /// The next lane's first call, after `after`, that a store has to be asked for.
    pub(crate) fn next_to_ask(
        &mut self,
        now: Tick,
        after: Option<Place>,
    ) -> Option<(Place, Arc<Labels>, Amounts)> {
        let mut after = after;
        while let Some((place, waiter)) = self.queue.head_after(after) {
            after = Some(place);
            if waiter
                .told
                .as_ref()
                .is_none_or(|told| told.again <= now || told.settlements != self.settlements)
            {
                let labels = waiter.labels.clone();
                return Some((place, labels, self.queue.look_again(place)));
            }
        }
        None
    }

    /// When a store has to be asked again, if it has been asked for every lane's first call.
    pub(crate) fn ask_again_at(&self) -> Option<Tick> {
        let again = |waiter: &Waiter<Answer>| waiter.told.as_ref().map(|told| told.again);
        self.queue.heads().filter_map(again).min()
    }

    /// Claims what has no room for a call; when the first of those claims lapses, because that policy has room again while another
    /// still has none.
    fn claim(
        &mut self,
        now: Tick,
        lane: Lane,
        amounts: &Amounts,
        claimed: &mut BTreeSet<u32>,
    ) -> Option<Tick> {
        let mut lapse = None;
        self.ledger.blocked_by(now, lane, amounts, |meter, fits| {
            claimed.insert(meter);
            lapse = min_some(lapse, fits);
        });
        lapse
    }

    fn touches(&self, lane: Lane, claimed: &BTreeSet<u32>) -> bool {
        !claimed.is_empty()
            && self
                .ledger
                .meters_of(lane)
                .iter()
                .any(|meter| claimed.contains(meter))
    }
}

impl Obstacle {
    /// When a call that comes in line may be admitted first; never too late.
    pub(crate) fn due(&self) -> Option<Tick> {
        match self {
            Self::Wait(wait) => wait.until,
            Self::Behind { until, .. } => *until,
            Self::Spent(_) | Self::NeverFits(_) => None,
        }
    }

    /// What the call waits for, or why it must not.
    pub(crate) fn into_wait(self, now: Tick) -> Result<Wait, AcquireError> {
        match self {
            Self::Wait(wait) => Ok(wait),
            Self::Behind { binding, .. } => Ok(Wait {
                binding,
                until: None,
            }),
            Self::Spent(wait) => Err(AcquireError::spent(wait, now)),
            Self::NeverFits(binding) => Err(AcquireError::never_fits(binding, now)),
        }
    }
}

fn min_some(a: Option<Tick>, b: Option<Tick>) -> Option<Tick> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
