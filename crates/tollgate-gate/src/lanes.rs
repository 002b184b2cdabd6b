//! `Lanes`: which lane and tenant a call belongs to, remembered for the labels seen last.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tollgate_limits::{Labels, Lane, Ledger};

use crate::queue::{IndexMap, Tenant};

/// Finds lane and tenant of labels without reading them again where the same `Arc` comes back.
#[derive(Debug)]
pub(crate) struct Lanes {
    recent: Vec<Option<Known>>,
    label: Arc<str>,
    weights: IndexMap<Tenant, u32>,
    seed: RandomState,
}

/// Holds its labels, so that their address names nothing else meanwhile.
#[derive(Debug)]
struct Known {
    labels: Arc<Labels>,
    lane: Lane,
    tenant: Tenant,
}

/// 2 to this power labels are remembered.
const RECENT_BITS: u32 = 6;

impl Lanes {
    /// `label`: what quota is shared between.
    pub(crate) fn new(label: Arc<str>) -> Self {
        Self {
            recent: Vec::new(),
            label,
            weights: IndexMap::default(),
            seed: RandomState::new(),
        }
    }

    /// The lane and the tenant of a call.
    pub(crate) fn find(&mut self, ledger: &mut Ledger, labels: &Arc<Labels>) -> (Lane, Tenant) {
        if self.recent.is_empty() {
            self.recent.resize_with(1 << RECENT_BITS, || None);
        }
        // 2^64 divided by the golden ratio spreads addresses, which end in zeros.
        let address = Arc::as_ptr(labels) as usize as u64;
        let index = address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - RECENT_BITS);
        let slot = &mut self.recent[index as usize];
        if let Some(known) = slot
            && Arc::ptr_eq(&known.labels, labels)
        {
            return (known.lane, known.tenant);
        }
        let lane = ledger.lane(labels);
        // Else it could be forgotten, and its place be taken by another.
        ledger.pin(lane);
        let tenant = Tenant(self.seed.hash_one(labels.get(&self.label).unwrap_or("")));
        let known = Known {
            labels: labels.clone(),
            lane,
            tenant,
        };
        if let Some(old) = slot.replace(known) {
            ledger.unpin(old.lane);
        }
        (lane, tenant)
    }

    /// What quota is shared between.
    pub(crate) const fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Forgets all lanes, because other policies may apply to them now.
    pub(crate) fn forget(&mut self, ledger: &mut Ledger) {
        for known in self.recent.drain(..).flatten() {
            ledger.unpin(known.lane);
        }
    }

    /// Sets the weight of a tenant.
    pub(crate) fn set_weight(&mut self, tenant: &str, weight: u32) {
        self.weights
            .insert(Tenant(self.seed.hash_one(tenant)), weight);
    }

    /// A tenant's weight, 1 if none was set.
    pub(crate) fn weight(&self, tenant: Tenant) -> u32 {
        self.weights.get(&tenant).copied().unwrap_or(1)
    }
}
