//! `Waiting`: how calls wait at the gate, in the builder and in the file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tollgate_gate::GateBuilder;
use tollgate_tokens::TimeSpan;

/// What is set of it; the gate's own defaults hold for the rest.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) queue_limit: Option<usize>,
    pub(crate) tenant_queue_limit: Option<usize>,
    pub(crate) longest_wait: Option<Duration>,
    pub(crate) partition_limit: Option<u32>,
    pub(crate) ageing: Option<Duration>,
    pub(crate) fair_between: Option<String>,
    pub(crate) weights: BTreeMap<String, u32>,
}

/// The table `[fairness]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fairness {
    between: Option<String>,
    ageing: Option<TimeSpan>,
    #[serde(default)]
    weights: BTreeMap<String, u32>,
}

impl Waiting {
    pub(crate) fn fairness(&mut self, fairness: Fairness) {
        self.fair_between = fairness.between;
        self.ageing = fairness.ageing.map(|TimeSpan(span)| span);
        self.weights = fairness.weights;
    }

    pub(crate) fn apply(self, mut gate: GateBuilder) -> GateBuilder {
        if let Some(calls) = self.queue_limit {
            gate = gate.queue_limit(calls);
        }
        if let Some(calls) = self.tenant_queue_limit {
            gate = gate.tenant_queue_limit(calls);
        }
        if let Some(span) = self.longest_wait {
            gate = gate.longest_wait(span);
        }
        if let Some(partitions) = self.partition_limit {
            gate = gate.partition_limit(partitions);
        }
        if let Some(span) = self.ageing {
            gate = gate.ageing(span);
        }
        if let Some(label) = self.fair_between {
            gate = gate.fair_between(label);
        }
        for (tenant, weight) in self.weights {
            gate = gate.weight(tenant, weight);
        }
        gate
    }
}
