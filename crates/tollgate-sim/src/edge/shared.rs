//! What all calls of a running provider share: its setup, its clock, its quotas and its books.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::books::{Books, CallRecord, Ledger};
use crate::builder::Setup;
use crate::clock::Clock;
use crate::preset::Model;
use crate::provider::{Arrival, Decision, Enforcer, Refusal, Rules, Standing, Ticket};
use crate::reply::mix;

/// The running provider.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) setup: Setup,
    pub(crate) clock: Clock,
    state: Mutex<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) enforcer: Enforcer,
    pub(crate) ledger: Ledger,
}

/// A call that has been put before the quotas.
pub(crate) struct Arrived {
    pub(crate) decision: Admitted,
    /// The quotas right after it.
    pub(crate) standings: Vec<Standing>,
    /// When, in nanoseconds of the provider's time.
    pub(crate) now: u64,
    /// A draw for this call, by the seed and how many were admitted before it.
    pub(crate) draw: u64,
}

pub(crate) enum Admitted {
    Yes(Ticket),
    No(Refusal),
}

impl Shared {
    pub(crate) fn new(setup: Setup) -> Self {
        let by_pool = setup.preset.by_pool.iter();
        let enforcer = by_pool.fold(
            Enforcer::new(setup.preset.rules.clone()),
            |enforcer, (pool, rules)| enforcer.with_pool(pool, rules.clone()),
        );
        let clock = Clock::start(setup.speed);
        Self {
            setup,
            clock,
            state: Mutex::new(Inner {
                enforcer,
                ledger: Ledger::default(),
            }),
        }
    }

    /// Counts a request and gives it its number.
    pub(crate) fn received(&self) -> u64 {
        let books = &mut self.lock().ledger.books;
        books.requests_received += 1;
        books.requests_received
    }

    pub(crate) fn rejected(&self) {
        self.lock().ledger.books.rejected += 1;
    }

    /// Puts a call before the quotas and into the books.
    pub(crate) fn arrive(&self, team: &str, model: &Model, input: u64, cap: u64) -> Arrived {
        let mut inner = self.lock();
        let now = self.clock.now();
        let decision = match inner.enforcer.arrive(
            now,
            &Arrival {
                team,
                pool: &model.pool,
                input,
                cap,
            },
        ) {
            Decision::Admit(ticket) => {
                inner.ledger.admitted(&model.name, team);
                Admitted::Yes(ticket)
            }
            Decision::Refuse(refusal) => {
                inner.ledger.throttled(&model.name, team);
                Admitted::No(refusal)
            }
        };
        let standings = inner.enforcer.standings(now, team, &model.pool);
        let draw = mix(self.setup.seed ^ mix(inner.ledger.books.admitted));
        Arrived {
            decision,
            standings,
            now,
            draw,
        }
    }

    pub(crate) fn books(&self) -> Books {
        self.lock().ledger.books.clone()
    }

    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        self.lock().ledger.calls()
    }

    /// The rules of each model.
    pub(crate) fn limits(&self) -> Limits {
        let models = self.setup.preset.models.iter();
        let models = models
            .map(|model| (model.name.clone(), self.rules(&model.pool).clone()))
            .collect();
        Limits {
            speed: self.setup.speed,
            models,
        }
    }

    /// The models of each pool and their quotas, for people.
    pub(crate) fn limit_lines(&self) -> Vec<String> {
        let mut pools: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for model in &self.setup.preset.models {
            pools.entry(&model.pool).or_default().push(&model.name);
        }
        let line = |(pool, names): (&str, Vec<&str>)| {
            let quotas: Vec<String> = self
                .rules(pool)
                .quotas
                .iter()
                .map(ToString::to_string)
                .collect();
            let quotas = if quotas.is_empty() {
                "no limit".to_owned()
            } else {
                quotas.join(", ")
            };
            format!("{}: {quotas}", names.join(", "))
        };
        pools.into_iter().map(line).collect()
    }

    fn rules(&self, pool: &str) -> &Rules {
        let by_pool = self
            .setup
            .preset
            .by_pool
            .iter()
            .find(|(name, _)| name == pool);
        by_pool.map_or(&self.setup.preset.rules, |(_, rules)| rules)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that runs under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `/admin/limits` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Limits {
    speed: u32,
    models: BTreeMap<String, Rules>,
}
