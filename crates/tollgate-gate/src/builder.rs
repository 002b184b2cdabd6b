//! `GateBuilder`: the settings of a gate that have defaults.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tollgate_limits::{Ledger, Plan};

use crate::{
    Gate, Recorder, Store,
    clock::Clock,
    core::Core,
    gate::Inner,
    lanes::Lanes,
    queue::Queue,
    sync::{Mutex, Notify},
};

/// Nanoseconds. A class that rose faster than calls are admitted would be no lower than the others.
const SHORTEST_AGEING: u64 = 1_000_000;

/// Settings of a gate that have defaults.
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct GateBuilder {
    plan: Plan,
    recorders: Vec<Arc<dyn Recorder>>,
    store: Option<Arc<dyn Store>>,
    started_at: Option<SystemTime>,
    queue_limit: usize,
    tenant_queue_limit: usize,
    longest_wait: Duration,
    partition_limit: u32,
    ageing: Duration,
    fair_between: Arc<str>,
    weights: Vec<(String, u32)>,
}

impl GateBuilder {
    /// How long a class of calls is passed over before it rises: see [`GateBuilder::ageing`].
    pub const DEFAULT_AGEING: Duration = Duration::from_secs(60);

    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            recorders: Vec::new(),
            store: None,
            started_at: None,
            queue_limit: usize::MAX,
            tenant_queue_limit: usize::MAX,
            longest_wait: Duration::MAX,
            partition_limit: Ledger::DEFAULT_PARTITION_LIMIT,
            ageing: Self::DEFAULT_AGEING,
            fair_between: "tenant".into(),
            weights: Vec::new(),
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

    /// The most calls of one tenant that may wait, beside [`GateBuilder::queue_limit`] for all: one value of the label in
    /// [`GateBuilder::fair_between`], calls without it counting as one tenant. So a tenant that floods the queue is refused alone. 0 refuses
    /// every call that does not fit now. Default: no bound.
    pub const fn tenant_queue_limit(mut self, calls: usize) -> Self {
        self.tenant_queue_limit = calls;
        self
    }

    /// The longest that a call may wait: one that cannot be admitted within it is refused at once, and nobody waits for longer. Zero
    /// refuses every call that does not fit now. Default: [`Duration::MAX`], no bound.
    pub const fn longest_wait(mut self, span: Duration) -> Self {
        self.longest_wait = span;
        self
    }

    /// The most partitions of each policy that get a count of their own, at least 1: see [`Ledger::partition_limit`]. Default:
    /// [`Ledger::DEFAULT_PARTITION_LIMIT`].
    pub const fn partition_limit(mut self, partitions: u32) -> Self {
        self.partition_limit = partitions;
        self
    }

    /// The label whose values share quota by weight while more is wanted than there is: calls of one value go first come, first
    /// served, and no value gets more than its share while another has calls waiting. Calls without the label share as one.
    /// Default: `tenant`.
    pub fn fair_between(mut self, label: impl Into<Arc<str>>) -> Self {
        self.fair_between = label.into();
        self
    }

    /// The weight of one value of the label in [`GateBuilder::fair_between`]: 2 gets twice the units of 1. 0 counts as 1, the
    /// default. Can be changed later: [`Gate::set_weight`].
    pub fn weight(mut self, tenant: impl Into<String>, weight: u32) -> Self {
        self.weights.push((tenant.into(), weight));
        self
    }

    /// How long a class may be passed over by higher ones at a policy before it rises by one, and then goes ahead of the class that
    /// it has reached until one of its calls has been admitted. Default: [`GateBuilder::DEFAULT_AGEING`]. [`Duration::MAX`] keeps
    /// classes strict for ever; less than a millisecond counts as one.
    pub const fn ageing(mut self, span: Duration) -> Self {
        self.ageing = span;
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
            tenant_queue_limit,
            longest_wait,
            partition_limit,
            ageing,
            fair_between,
            weights,
        } = self;
        let clock = started_at.map_or_else(Clock::new, Clock::starting_at);
        let mut lanes = Lanes::new(fair_between);
        for (tenant, weight) in weights {
            lanes.set_weight(&tenant, weight);
        }
        let ageing = u64::try_from(ageing.as_nanos()).unwrap_or(u64::MAX);
        let mut queue = Queue::new(ageing.max(SHORTEST_AGEING), store.is_some());
        if tenant_queue_limit < usize::MAX {
            queue.count_tenants();
        }
        // Labels may be strangers' words.
        let seed = RandomState::new().hash_one(());
        let ledger = Ledger::with_seed(plan, seed).partition_limit(partition_limit);
        let core = Mutex::new(Core::new(ledger, queue, lanes, longest_wait));
        Arc::new(Inner {
            clock,
            rearm: Notify::new(),
            store,
            core,
            recorders,
            queue_limit,
            tenant_queue_limit,
            longest_wait,
        })
        .gate()
    }
}
