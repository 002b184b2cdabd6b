//! `Learned`: what is known of one model; `Models`: of all of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::answers::{Answers, Risk};
use super::input::Input;
use super::pool::{FIRST_SPREAD, Pool};
use crate::{Descriptor, Dialect, Operation};

#[derive(Default)]
pub(super) struct Models {
    by_name: HashMap<Key, Learned>,
    /// What holds for a model that nothing is known of.
    pub(super) nothing: Learned,
    /// Times that something was learned or admitted: the age of what is known.
    pub(super) reports: u64,
}

pub(super) type Key = (Dialect, Arc<str>);

/// What the calls of one model have taught, and those in flight.
pub(super) struct Learned {
    pub(super) input: Input,
    /// Few; the one used last comes last.
    pub(super) routes: Vec<(Route, Answers)>,
    /// The margin of pools, in standard deviations of a normal distribution.
    pub(super) spread: i64,
    pools: HashMap<Option<Arc<str>>, Pool>,
    /// The number of the report that taught it last.
    last_report: u64,
}

/// Calls whose answers are about as long as each other's.
pub(super) type Route = (Operation, Option<Arc<str>>);

/// Most models kept.
pub(super) const MOST_MODELS: usize = 1_024;
/// Most routes kept of a model.
pub(super) const MOST_ROUTES: usize = 16;
/// Longest name of a model, route or share that is worth remembering; real ones are shorter than half of it.
pub(super) const LONGEST_NAME: usize = 256;

impl Models {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Learned)> {
        self.by_name.iter()
    }

    /// Adds what is known of a model, if nothing is known of it yet and there is room.
    pub(super) fn add(&mut self, key: Key, learned: Learned) -> bool {
        let is_new = !self.by_name.contains_key(&key) && self.by_name.len() < MOST_MODELS;
        if is_new {
            self.by_name.insert(key, learned);
        }
        is_new
    }

    pub(super) fn get(&self, call: &Descriptor) -> Option<&Learned> {
        self.by_name.get(&key(call)?)
    }

    pub(super) fn get_mut(&mut self, call: &Descriptor) -> Option<&mut Learned> {
        self.by_name.get_mut(&key(call)?)
    }

    /// What is known of a call's model, to be added to.
    pub(super) fn entry(&mut self, call: &Descriptor) -> Option<&mut Learned> {
        self.insert(key(call)?)
    }

    pub(super) fn insert(&mut self, key: Key) -> Option<&mut Learned> {
        self.reports += 1;
        if !self.by_name.contains_key(&key) && self.by_name.len() >= MOST_MODELS {
            self.forget_oldest();
        }
        let learned = self.by_name.entry(key).or_default();
        learned.last_report = self.reports;
        Some(learned)
    }

    fn forget_oldest(&mut self) {
        // A scan of at most MOST_MODELS entries, and only when a model is new: no order needs to be kept up for it.
        let oldest = self
            .by_name
            .iter()
            .min_by_key(|(_, learned)| learned.last_report)
            .map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.by_name.remove(&oldest);
        }
    }
}

impl Default for Learned {
    fn default() -> Self {
        Self {
            input: Input::new(),
            routes: Vec::new(),
            spread: FIRST_SPREAD,
            pools: HashMap::new(),
            last_report: 0,
        }
    }
}

impl Learned {
    /// The pool of a call, if any is in flight in it, and the risk that the call is to it; no risk if too little is known.
    pub(super) fn risk(
        &self,
        call: &Descriptor,
        cap: Option<u64>,
    ) -> (Option<&Pool>, Option<Risk>) {
        let pool = self.pools.get(&call.share);
        let others = pool.map_or(0, |pool| pool.open);
        let choices = call.choices.max(1).into();
        let risk = self
            .answers(call)
            .and_then(|answers| answers.risk(cap.unwrap_or(u64::MAX), choices, others));
        (pool, risk)
    }

    pub(super) fn answers(&self, call: &Descriptor) -> Option<&Answers> {
        self.routes
            .iter()
            .find(|((operation, route), _)| *operation == call.operation && *route == call.route)
            .map(|(_, answers)| answers)
    }

    pub(super) fn answers_mut(&mut self, call: &Descriptor) -> &mut Answers {
        let known = self.routes.iter().position(|((operation, route), _)| {
            *operation == call.operation && *route == call.route
        });
        let entry = match known {
            Some(at) => self.routes.remove(at),
            None => {
                if self.routes.len() >= MOST_ROUTES {
                    self.routes.remove(0);
                }
                ((call.operation, call.route.clone()), Answers::new())
            }
        };
        self.routes.push(entry);
        let last = self.routes.len() - 1;
        &mut self.routes[last].1
    }

    /// The pool of a call that joins it.
    pub(super) fn pool_to_join(&mut self, call: &Descriptor) -> &mut Pool {
        let origin = self.last_report;
        self.pools
            .entry(call.share.clone())
            .or_insert_with(|| Pool::new(origin))
    }

    /// The pool of a call that leaves it, and the margin that it moves.
    pub(super) fn pool_to_leave(&mut self, call: &Descriptor) -> Option<(&mut Pool, &mut i64)> {
        let pool = self.pools.get_mut(&call.share)?;
        Some((pool, &mut self.spread))
    }

    /// Forgets a pool in which nothing is in flight.
    pub(super) fn tidy(&mut self, call: &Descriptor) {
        if self
            .pools
            .get(&call.share)
            .is_some_and(|pool| pool.open == 0)
        {
            self.pools.remove(&call.share);
        }
    }
}

/// Calls that name no model share what is learned; those with an absurd name learn nothing.
fn key(call: &Descriptor) -> Option<Key> {
    let is_short =
        |name: &Option<Arc<str>>| name.as_ref().is_none_or(|name| name.len() <= LONGEST_NAME);
    let model = call.model.clone().unwrap_or_default();
    (is_short(&call.model) && is_short(&call.route)).then_some((call.dialect?, model))
}
