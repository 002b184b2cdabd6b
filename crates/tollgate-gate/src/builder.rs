//! `GateBuilder`: the settings of a gate that have defaults.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::sync::Notify;
use tollgate_limits::{Ledger, Plan};

use crate::{Gate, Recorder, Store, clock::Clock, core::Core, gate::Inner, queue::Queue};

/// Settings of a gate that have defaults.
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct GateBuilder {
    plan: Plan,
    recorders: Vec<Arc<dyn Recorder>>,
    store: Option<Arc<dyn Store>>,
    started_at: Option<SystemTime>,
    queue_limit: usize,
}

impl GateBuilder {
    pub(crate) const fn new(plan: Plan) -> Self {
        Self {
            plan,
            recorders: Vec::new(),
            store: None,
            started_at: None,
            queue_limit: usize::MAX,
        }
    }

    /// Receives every event, beside those added before. Default: nobody does.
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorders.push(recorder);
        self
    }

    /// Keeps the ledger elsewhere. Default: in this process.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// The wall time of the gate's making, which places aligned windows and calendar days. Default: the system's.
    pub const fn started_at(mut self, wall: SystemTime) -> Self {
        self.started_at = Some(wall);
        self
    }

    /// The most calls that may wait; further ones are refused at once. 0 refuses every call that does not fit now. Default: no
    /// bound.
    pub const fn queue_limit(mut self, calls: usize) -> Self {
        self.queue_limit = calls;
        self
    }

    /// The gate.
    #[must_use]
    pub fn build(self) -> Gate {
        let Self {
            plan,
            recorders,
            store,
            started_at,
            queue_limit,
        } = self;
        let clock = started_at.map_or_else(Clock::new, Clock::starting_at);
        let core = Mutex::new(Core::new(Ledger::new(plan), Queue::default()));
        Arc::new(Inner {
            clock,
            rearm: Notify::new(),
            store,
            core,
            recorders,
            queue_limit,
        })
        .gate()
    }
}
