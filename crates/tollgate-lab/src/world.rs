//! `World`: a client with a ledger and a provider with an enforcer, joined by a way that takes a varying time.
//!
//! Time is a number. The client sends whatever its ledger grants, in order; a call arrives after its way, runs, and is answered
//! after the way back. Both sides count from one origin, so that the way alone stands for jitter and for clocks that differ.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tollgate_limits::{Amounts, Decision, Labels, Lane, Ledger, Plan, Reservation, Tick, Unit};
use tollgate_sim::provider::{self, Arrival, Enforcer, Rules, Standing};

pub(crate) const MILLI: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MILLI;
pub(crate) const MINUTE: u64 = 60 * SECOND;

/// How far apart the fastest and the slowest way are.
pub(crate) const JITTER: u64 = 100 * MILLI;

/// One call: what it costs in the unit of the experiment, and how long it runs at the provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) units: u64,
    pub(crate) runs: u64,
}

/// What comes back to the client.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) call: Call,
    pub(crate) reservation: Reservation,
    /// Its place among all calls sent.
    pub(crate) order: u64,
    /// When it was sent.
    pub(crate) sent: u64,
    /// When it arrived at the provider.
    pub(crate) arrived: u64,
    /// For a refused call: how long the provider says to wait, from the instant of the refusal; `None` if it cannot say.
    pub(crate) refused: Option<Option<u64>>,
    /// What the headers say, as of when the answer was sent; only where the provider sends them.
    pub(crate) news: Option<Standing>,
}

/// What the world did in one step.
#[derive(Debug)]
pub(crate) enum Step {
    /// A call was answered; the client has not settled it yet.
    Answered(Answer),
    /// Time passed.
    Passed,
    /// Nothing will happen any more, and the client cannot send.
    Idle,
}

pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) lane: Lane,
    pub(crate) enforcer: Enforcer,
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: u64,
    unit: Unit,
    events: BinaryHeap<Reverse<(u64, u64, Event, u32)>>,
    order: u64,
    flights: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// Whether the ledger had no room for the client's next call, and when it will by itself.
    waits: bool,
    wake: Option<u64>,
    /// Until when it has none.
    idle_until: u64,
    headers: bool,
    others: Option<Others>,
    /// Units that the provider has admitted from others.
    pub(crate) used_by_others: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Complete,
    Answer,
    Others,
}

#[derive(Debug)]
struct Flight {
    call: Call,
    reservation: Reservation,
    order: u64,
    ticket: Option<provider::Ticket>,
    sent: u64,
    arrived: u64,
    refused: Option<Option<u64>>,
    news: Option<Standing>,
}

/// Another program on the same quota: bursts at random instants, each of up to `burst` units, `per_window` units on average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Others {
    pub(crate) per_window: u64,
    pub(crate) window: u64,
    pub(crate) burst: u64,
    /// Units of a call; what a burst has more goes in further calls.
    pub(crate) call: u64,
    /// When it stops for good.
    pub(crate) until: u64,
}

impl World {
    /// A world that begins at `start`; calls take from the policies' quotas of `unit`.
    pub(crate) fn new(plan: Plan, unit: Unit, rules: Rules, start: u64, seed: u64) -> Self {
        let mut ledger = Ledger::new(plan);
        let lane = ledger.lane(&Labels::new());
        Self {
            ledger,
            lane,
            enforcer: Enforcer::new(rules),
            rng: fastrand::Rng::with_seed(seed),
            now: start,
            unit,
            events: BinaryHeap::new(),
            order: 0,
            flights: Vec::new(),
            free: Vec::new(),
            waits: false,
            wake: None,
            idle_until: 0,
            headers: false,
            others: None,
            used_by_others: 0,
        }
    }

    /// Whether the client's next call has been told to wait, and nothing has happened since.
    pub(crate) const fn waits(&self) -> bool {
        self.waits
    }

    /// The client has nothing to send for so long.
    pub(crate) fn idle_for(&mut self, nanos: u64) {
        self.waits = true;
        self.idle_until = self.now + nanos;
        self.wake = Some(self.idle_until);
    }

    /// The client settles a call that was answered.
    pub(crate) fn settle(&mut self, reservation: Reservation, used: &Amounts) {
        let now = Tick::from_nanos(self.now);
        self.ledger.settle(now, reservation, used);
        self.waits &= self.idle_until > self.now;
    }

    /// What a call takes from the ledger.
    pub(crate) fn amounts(&self, call: Call) -> Amounts {
        match self.unit {
            Unit::Requests => Amounts::call(0, 0),
            unit => Amounts::call(0, 0).with(unit, call.units),
        }
    }

    /// Sends the call if the ledger grants it now; otherwise it is to be tried again once [`World::waits`] says no more.
    ///
    /// # Panics
    /// If it needs more than a policy can ever grant.
    pub(crate) fn send(&mut self, call: Call) -> bool {
        let now = Tick::from_nanos(self.now);
        match self.ledger.reserve(now, self.lane, &self.amounts(call)) {
            Decision::Granted(reservation) => {
                self.depart(call, reservation);
                true
            }
            Decision::Wait(wait) => {
                self.waits = true;
                self.wake = wait.until.map(Tick::as_nanos);
                false
            }
            Decision::Spent(wait) => panic!("{}", wait.binding),
            Decision::NeverFits(binding) => panic!("{binding}"),
        }
    }

    /// Moves on to the next thing that happens.
    pub(crate) fn step(&mut self) -> Step {
        let next = self.events.peek().map(|Reverse((at, ..))| *at);
        let at = match (next, self.wake) {
            (None, None) => return Step::Idle,
            (Some(at), None) | (None, Some(at)) => at,
            (Some(a), Some(b)) => a.min(b),
        };
        assert!(at >= self.now, "time moves forward");
        self.now = at;
        if self.wake.is_some_and(|wake| wake <= at) {
            self.wake = None;
            self.waits = false;
            return Step::Passed;
        }
        let Some(Reverse((_, _, event, slot))) = self.events.pop() else {
            return Step::Passed;
        };
        match event {
            Event::Arrive => self.arrive(slot),
            Event::Complete => self.complete(slot),
            Event::Answer => return self.answer(slot),
            Event::Others => self.others_burst(),
        }
        Step::Passed
    }

    /// From now on the provider says in each answer how its first quota stands.
    pub(crate) fn with_headers(mut self) -> Self {
        self.headers = true;
        self
    }

    /// From now on another program uses the quota too.
    pub(crate) fn with_others(mut self, others: Others) -> Self {
        self.others = Some(others);
        self.next_burst();
        self
    }

    fn next_burst(&mut self) {
        let Some(others) = self.others else { return };
        let bursts = 2 * others.per_window / (others.burst + 1);
        // Exponential gaps: bursts at random instants.
        let mean = others.window as f64 / bursts as f64;
        let gap = -mean * (1.0 - self.rng.f64()).ln();
        let at = self.now + gap as u64;
        if at < others.until {
            self.at(at, Event::Others, 0);
        }
    }

    fn others_burst(&mut self) {
        let Some(others) = self.others else { return };
        let mut left = self.rng.u64(1..=others.burst);
        while left > 0 {
            let units = left.min(others.call);
            left -= units;
            let (input, cap) = in_and_out(self.unit, units);
            let arrival = Arrival {
                team: "",
                pool: "",
                input,
                cap,
            };
            if let provider::Decision::Admit(ticket) = self.enforcer.arrive(self.now, &arrival) {
                self.enforcer.complete(ticket, self.now, input, cap);
                self.used_by_others += units;
            }
        }
        self.next_burst();
    }

    fn standing(&mut self) -> Option<Standing> {
        self.headers
            .then(|| self.enforcer.standings(self.now, "", ""))?
            .first()
            .copied()
    }

    fn depart(&mut self, call: Call, reservation: Reservation) {
        let flight = Some(Flight {
            call,
            reservation,
            order: self.order,
            ticket: None,
            sent: self.now,
            arrived: 0,
            refused: None,
            news: None,
        });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.flights[slot as usize] = flight;
                slot
            }
            None => {
                self.flights.push(flight);
                u32::try_from(self.flights.len() - 1).expect("fewer than 2^32 calls in flight")
            }
        };
        let way = self.way();
        self.at(self.now + way, Event::Arrive, slot);
    }

    fn arrive(&mut self, slot: u32) {
        let now = self.now;
        let flight = self.flights[slot as usize]
            .as_mut()
            .expect("a call arrives once");
        flight.arrived = now;
        let (input, cap) = in_and_out(self.unit, flight.call.units);
        let arrival = Arrival {
            team: "",
            pool: "",
            input,
            cap,
        };
        match self.enforcer.arrive(now, &arrival) {
            provider::Decision::Admit(ticket) => {
                flight.ticket = Some(ticket);
                let ends = now + flight.call.runs;
                self.at(ends, Event::Complete, slot);
            }
            provider::Decision::Refuse(refusal) => {
                flight.refused = Some(refusal.retry_after_ns);
                let news = self.standing();
                if let Some(flight) = &mut self.flights[slot as usize] {
                    flight.news = news;
                }
                let heard = now + self.way();
                self.at(heard, Event::Answer, slot);
            }
        }
    }

    fn complete(&mut self, slot: u32) {
        let flight = self.flights[slot as usize]
            .as_mut()
            .expect("a call ends once");
        let ticket = flight.ticket.take().expect("an admitted call has a ticket");
        let (input, output) = in_and_out(self.unit, flight.call.units);
        self.enforcer.complete(ticket, self.now, input, output);
        let news = self.standing();
        if let Some(flight) = &mut self.flights[slot as usize] {
            flight.news = news;
        }
        let heard = self.now + self.way();
        self.at(heard, Event::Answer, slot);
    }

    fn answer(&mut self, slot: u32) -> Step {
        let flight = self.flights[slot as usize]
            .take()
            .expect("a call is answered once");
        self.free.push(slot);
        Step::Answered(Answer {
            call: flight.call,
            reservation: flight.reservation,
            order: flight.order,
            sent: flight.sent,
            arrived: flight.arrived,
            refused: flight.refused,
            news: flight.news,
        })
    }

    fn at(&mut self, at: u64, event: Event, slot: u32) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event, slot)));
    }

    fn way(&mut self) -> u64 {
        self.rng.u64(0..JITTER)
    }
}

/// A call's units as the provider's input and output tokens.
pub(crate) const fn in_and_out(unit: Unit, units: u64) -> (u64, u64) {
    match unit {
        Unit::OutputTokens => (0, units),
        _ => (units, 0),
    }
}

/// `nanos` as a span.
pub(crate) const fn span(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}
