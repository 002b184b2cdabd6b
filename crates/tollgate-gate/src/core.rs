//! `Core`: the ledger and the queue under one lock, and when the driver has something to do.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tollgate_limits::{Amounts, Decision, Labels, Lane, Ledger, Reservation, Tick};

use crate::{
    AcquireError, Ticket,
    call::Asked,
    lanes::Lanes,
    outlook::{Obstacle, Spot},
    permit::Held,
    queue::{Joined, Kind, Left, LineId, Place, Queue, Standing, Waiter},
};

/// What a waiting call is told.
pub(crate) type Answer = Result<Held, Box<AcquireError>>;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) ledger: Ledger,
    pub(crate) queue: Queue<Answer>,
    pub(crate) lanes: Lanes,
    pub(crate) driver: Driver,
    /// When a store has to be asked next; never too late.
    pub(crate) next_question: Option<Tick>,
    /// Settlements that a store has taken; each may have made room.
    pub(crate) settlements: u64,
    /// The longest that anybody may wait.
    pub(crate) longest_wait: Duration,
    next_ticket: u64,
    latest: Tick,
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
    pub(crate) const fn new(
        ledger: Ledger,
        queue: Queue<Answer>,
        lanes: Lanes,
        longest_wait: Duration,
    ) -> Self {
        Self {
            ledger,
            queue,
            lanes,
            driver: Driver::None,
            next_question: None,
            settlements: 0,
            longest_wait,
            next_ticket: 0,
            latest: Tick::ZERO,
        }
    }

    /// The ticket that a call brings, or a new one.
    pub(crate) fn ticket_of(&mut self, asked: &Asked) -> Ticket {
        asked.ticket.unwrap_or_else(|| {
            let number = self.next_ticket;
            self.next_ticket += 1;
            Ticket {
                priority: asked.priority,
                number,
            }
        })
    }

    /// Whether somebody waits and no driver is on duty; the caller has to start the one that is noted down now.
    pub(crate) fn take_charge(&mut self) -> bool {
        let undriven = self.driver == Driver::None && self.queue.waiting() > 0;
        if undriven {
            self.driver = Driver::Until(None);
        }
        undriven
    }

    /// Time only moves forward: threads can come in with an instant that another has overtaken.
    pub(crate) fn forward(&mut self, now: Tick) -> Tick {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// How a call that is not in line stands against others.
    pub(crate) fn arrival(&mut self, labels: &Arc<Labels>, ticket: Ticket) -> Standing {
        let (lane, tenant) = self.lanes.find(&mut self.ledger, labels);
        let class = ticket.priority;
        Standing {
            kind: Kind {
                lane,
                class,
                tenant,
            },
            number: ticket.number,
            line: None,
            senior: false,
        }
    }

    /// Reserves for a call that is not in line, if it fits and nobody who waits for what it needs goes first.
    pub(crate) fn enter(
        &mut self,
        now: Tick,
        call: &Standing,
        amounts: &Amounts,
        wakes: &mut Wakes,
    ) -> Result<Reservation, Obstacle> {
        self.catch_up(now, wakes);
        let ahead = self
            .queue
            .joins(call)
            .or_else(|| self.behind(now, call, None));
        if let Some(meter) = ahead {
            return Err(Obstacle::Behind(meter));
        }
        match self.ledger.reserve(now, call.kind.lane, amounts) {
            Decision::Granted(reservation) => {
                if self.queue.crowded() > 0 {
                    self.charge(now, call, amounts);
                    self.pump(now, wakes);
                }
                Ok(reservation)
            }
            Decision::Wait(wait) => Err(Obstacle::Wait(wait)),
            Decision::Spent(wait) => Err(Obstacle::Spent(wait)),
            Decision::NeverFits(binding) => Err(Obstacle::NeverFits(binding)),
        }
    }

    /// The meter, other than `here`, at which somebody waits who goes before this call.
    pub(crate) fn behind(&mut self, now: Tick, call: &Standing, here: Option<u32>) -> Option<u32> {
        if self.queue.crowded() == usize::from(here.is_some()) {
            return None;
        }
        let Self { ledger, queue, .. } = self;
        let mut meters = ledger.meters_of(call.kind.lane).iter().copied();
        meters.find(|meter| Some(*meter) != here && queue.is_before(*meter, call, now))
    }

    /// Lines up a call that cannot be admitted now with the spot where it will stand; `None` if only a store can tell.
    pub(crate) fn join(
        &mut self,
        now: Tick,
        call: &Standing,
        spot: Option<Spot>,
        waiter: impl FnOnce(LineId) -> Waiter<Answer>,
        wakes: &mut Wakes,
    ) -> Place {
        if self.queue.waiting() == 0 {
            self.next_question = None;
        }
        let Joined {
            place,
            line,
            first,
            alone,
        } = self.queue.enqueue(call.kind, call.number, waiter);
        if alone {
            self.ledger.pin(call.kind.lane);
        }
        match spot {
            None if first => self.next_question = min_some(self.next_question, Some(now)),
            Some(spot) if first => {
                let meter = match spot {
                    Spot::Meter(meter) => Some(meter),
                    Spot::Binding => self.binding_meter(now, line).map(|(meter, _)| meter),
                };
                // What lacked room a moment ago and no longer does is looked at at once.
                let any = || self.ledger.meters_of(call.kind.lane).first().copied();
                if let Some(meter) = meter.or_else(any) {
                    self.queue.stand(line, meter, now);
                    self.pump(now, wakes);
                }
            }
            _ => {}
        }
        self.rearm(wakes);
        place
    }

    /// Takes a call out of line whose caller gave up, with the answer that it has not fetched.
    pub(crate) fn leave(
        &mut self,
        now: Tick,
        place: Place,
        in_store: bool,
        wakes: &mut Wakes,
    ) -> Option<Left<Answer>> {
        let was_head = self.queue.is_head(place);
        let left = self.queue.cancel(place, now);
        self.unpin_vacated();
        if !in_store {
            self.pump(now, wakes);
        } else {
            if was_head {
                // The store has not been asked for whoever comes first now.
                self.next_question = Some(now);
            }
            self.rearm(wakes);
        }
        left
    }

    /// A store has taken a settlement: there may be room now.
    pub(crate) fn settled(&mut self, now: Tick, wakes: &mut Wakes) {
        self.settlements += 1;
        if self.queue.waiting() > 0 {
            self.next_question = Some(now);
        }
        self.rearm(wakes);
    }

    /// Answers a waiting call; whom to wake.
    pub(crate) fn answer(&mut self, now: Tick, place: Place, answer: Answer) -> Option<Waker> {
        let waker = self.queue.answer(place, answer, now);
        self.unpin_vacated();
        waker
    }

    pub(crate) fn unpin_vacated(&mut self) {
        while let Some(lane) = self.queue.vacated.pop() {
            self.ledger.unpin(lane);
        }
    }

    /// Whether nobody who waits can be admitted because of this settlement: nothing comes back, and nobody's estimate may have changed.
    pub(crate) fn lets_nobody_in(&self, reservation: &Reservation, used: &Amounts) -> bool {
        self.queue.waiting() == 0
            || self.queue.estimated == 0 && self.ledger.gives_nothing_back(reservation, used)
    }

    /// Something about the meters of a lane has changed: whoever waits there is looked at.
    pub(crate) fn look_at(&mut self, now: Tick, lane: Lane, wakes: &mut Wakes) {
        if self.queue.waiting() > 0 {
            for &meter in self.ledger.meters_of(lane) {
                self.queue.note(meter);
            }
            self.pump(now, wakes);
        }
    }

    /// Admits whom the driver is about to admit, so that nobody comes in ahead of them before it runs.
    pub(crate) fn catch_up(&mut self, now: Tick, wakes: &mut Wakes) {
        if self.queue.waiting() > 0 && self.wake_at().is_some_and(|at| at <= now) {
            self.pump(now, wakes);
        }
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

    /// When the driver has something to do: the next admission, question or deadline.
    pub(crate) fn wake_at(&self) -> Option<Tick> {
        let deadline = self.queue.first_deadline().map(|(deadline, _)| deadline);
        let wake = min_some(self.queue.first_wake(), self.next_question);
        min_some(wake, deadline)
    }

    /// The next line's first call, after `after`, that a store has to be asked for.
    pub(crate) fn next_to_ask(
        &mut self,
        now: Tick,
        mut after: Option<(Ticket, LineId)>,
    ) -> Option<Question> {
        while let Some((head, place)) = self.queue.head_after(after) {
            after = Some(head);
            let waiter = self.queue.get(place)?;
            if waiter
                .told()
                .is_none_or(|told| told.again <= now || told.settlements != self.settlements)
            {
                let labels = waiter.labels().clone();
                return Some(Question {
                    head,
                    place,
                    labels,
                    amounts: self.queue.look_again(place),
                });
            }
        }
        None
    }

    /// When a store has to be asked again, if it has been asked for every line's first call.
    pub(crate) fn ask_again_at(&self) -> Option<Tick> {
        let heads = self.queue.heads();
        heads.filter_map(|waiter| Some(waiter.told()?.again)).min()
    }
}

/// What a store is asked: for whom, and what for.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) head: (Ticket, LineId),
    pub(crate) place: Place,
    pub(crate) labels: Arc<Labels>,
    pub(crate) amounts: Amounts,
}

pub(crate) fn min_some(a: Option<Tick>, b: Option<Tick>) -> Option<Tick> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
