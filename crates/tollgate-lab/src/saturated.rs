//! `Saturated`: a client that always has a call to send, sends a refused one again first, and tells its ledger whatever it hears.

use std::ops::Range;

use tollgate_limits::{Amounts, Eased, News, Plan, Policy, Tick, Tightened, Unit};
use tollgate_sim::provider::{self, Charging, Rules};

use crate::world::{Answer, Call, MINUTE, SECOND, Step, World, span};

pub(crate) struct Saturated {
    pub(crate) world: World,
    rng: fastrand::Rng,
    unit: Unit,
    /// The provider's limit, as its headers say it.
    limit: u64,
    dearest: u64,
    runs: Range<u64>,
    /// What a refused call is charged.
    refused: Amounts,
    again: Vec<Call>,
}

/// What the client has seen.
pub(crate) enum Seen {
    /// It has sent a call.
    Sent,
    Admitted(Answered),
    Refused(Answered, Option<Tightened>),
    /// A policy tries a wider pace.
    Eased(Eased),
    /// Time has passed.
    Nothing,
}

/// An answer that has been settled.
pub(crate) struct Answered {
    pub(crate) call: Call,
    pub(crate) order: u64,
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
}

impl Saturated {
    /// A client of one policy over a provider of one rule. Calls cost up to `dearest` units and run for a time out of `runs`.
    pub(crate) fn new(
        seed: u64,
        policy: Policy,
        rule: provider::Quota,
        dearest: u64,
        runs: Range<u64>,
    ) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let unit = policy.quota().unit();
        let plan = Plan::new([policy]).expect("one policy");
        let rules = Rules::new(Charging::Arrival, vec![rule]);
        let start = rng.u64(0..MINUTE) + SECOND;
        Self {
            world: World::new(plan, unit, rules, start, rng.u64(..)),
            rng,
            unit,
            limit: rule.limit(),
            dearest,
            runs,
            refused: Amounts::call(0, 0),
            again: Vec::new(),
        }
    }

    /// The provider charges nothing for what it refuses, and the client knows.
    pub(crate) fn refused_free(mut self) -> Self {
        self.refused = Amounts::ZERO;
        self
    }

    pub(crate) fn with_world(mut self, change: impl FnOnce(World) -> World) -> Self {
        self.world = change(self.world);
        self
    }

    pub(crate) const fn now(&self) -> u64 {
        self.world.now
    }

    /// The next thing that the client sees.
    pub(crate) fn next(&mut self) -> Seen {
        if let Some(eased) = self.world.ledger.eased().pop() {
            return Seen::Eased(eased);
        }
        if !self.world.waits() {
            let call = self.again.pop().unwrap_or_else(|| Call {
                units: self.rng.u64(1..=self.dearest),
                runs: self.rng.u64(self.runs.clone()),
            });
            if self.world.send(call) {
                return Seen::Sent;
            }
            self.again.push(call);
            return Seen::Nothing;
        }
        match self.world.step() {
            Step::Answered(answer) => self.hear(answer),
            _ => Seen::Nothing,
        }
    }

    fn hear(&mut self, answer: Answer) -> Seen {
        let now = Tick::from_nanos(self.world.now);
        let reservation = &answer.reservation;
        if let Some(standing) = answer.news {
            let news = News {
                unit: self.unit,
                window: Some(span(MINUTE)),
                limit: Some(self.limit),
                remaining: Some(standing.remaining),
                rounding: 0,
            };
            self.world.ledger.adopt(now, reservation, &news);
        }
        let answered = Answered {
            call: answer.call,
            order: answer.order,
            sent: answer.sent,
            arrived: answer.arrived,
        };
        let (used, seen) = match answer.refused {
            None => (self.world.amounts(answer.call), Seen::Admitted(answered)),
            Some(wait) => {
                self.again.push(answer.call);
                // Who counts calls in flight cannot say when one ends; try again at once.
                let blind = if self.unit == Unit::Concurrency {
                    0
                } else {
                    SECOND
                };
                let until = now.plus(span(wait.unwrap_or(blind)));
                let unit = Some(self.unit);
                let learned = self.world.ledger.throttled(now, reservation, unit, until);
                (self.refused, Seen::Refused(answered, learned))
            }
        };
        self.world.settle(answer.reservation, &used);
        seen
    }
}
