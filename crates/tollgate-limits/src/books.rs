//! `Books`: the meters of all policies, and the partitions that they belong to.

mod own;

use alloc::vec::Vec;

use crate::{
    Amounts, Plan, Policy, Tick, Unit,
    chunks::Chunks,
    hash::Key,
    labels,
    lanes::Lanes,
    mark::Mark,
    meter::{Meter, Opened},
    rare::Rares,
    terms::{Manner, Terms},
};

#[derive(Debug)]
pub(crate) struct Books {
    /// By policy; behind them, those of meters that the provider has told of a lower limit.
    pub(crate) terms: Vec<Terms>,
    free_terms: Vec<u32>,
    pub(crate) meters: Chunks<Meter>,
    // Linked by `next`.
    free: u32,
    pub(crate) rares: Rares,
    /// Policies that have tried a wider pace, and have not told yet.
    pub(crate) eased: Vec<u32>,
    /// By policy.
    pub(crate) shares: Vec<Shares>,
    // Partitions by their hash: the first meter of each chain, which are linked by `next`. A power of two of them, or none.
    heads: Vec<u32>,
    partitions: usize,
    key: Key,
}

/// What a policy's partitions have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// The meter of a policy without partitions.
    pub(crate) only: Option<u32>,
    /// The meter of all keys that got no partition of their own, from when there are too many until nobody uses it.
    pub(crate) overflow: Option<u32>,
    /// Partitions.
    pub(crate) count: u32,
}

impl Books {
    pub(crate) fn new(policies: &[Policy], key: Key) -> Self {
        let terms = policies.iter().zip(0..).map(|(p, i)| Terms::new(p, i));
        Self {
            terms: terms.collect(),
            free_terms: Vec::new(),
            meters: Chunks::new(),
            free: Meter::NOBODY,
            rares: Rares::new(),
            eased: Vec::new(),
            shares: alloc::vec![Shares::NONE; policies.len()],
            heads: Vec::new(),
            partitions: 0,
            key,
        }
    }

    pub(crate) fn meter(&self, m: u32) -> &Meter {
        &self.meters[m]
    }

    /// Makes the processor fetch a meter that is probably needed next, while it waits for something else.
    #[inline]
    pub(crate) fn look_at(&self, m: u32) {
        core::hint::black_box(self.meters.get(m).map(Meter::held));
    }

    pub(crate) fn terms_of(&self, m: u32) -> &Terms {
        &self.terms[self.meters[m].terms as usize]
    }

    #[inline]
    pub(crate) fn fits(&mut self, m: u32, now: Tick, amounts: &Amounts) -> bool {
        let meter = &mut self.meters[m];
        let terms = &self.terms[meter.terms as usize];
        meter.fits(now, terms.units(amounts), terms, &self.rares)
    }

    pub(crate) fn fit(&self, m: u32, from: Tick, units: u64) -> Option<Tick> {
        let meter = &self.meters[m];
        let terms = &self.terms[meter.terms as usize];
        meter.fit(from, units, terms, &self.rares)
    }

    pub(crate) fn advance(&mut self, m: u32, now: Tick) {
        let meter = &mut self.meters[m];
        meter.advance(now, &self.terms[meter.terms as usize]);
    }

    #[inline]
    pub(crate) fn reserve(&mut self, m: u32, now: Tick, seq: u64, amounts: &Amounts) -> Mark {
        if self.terms_of(m).tightening.is_learned() {
            self.ease(m, now, amounts);
        }
        let meter = &mut self.meters[m];
        let terms = &mut self.terms[meter.terms as usize];
        let units = terms.units(amounts);
        let mark = meter.reserve(now, seq, units, terms, &mut self.rares);
        if terms.climb.is_some() {
            self.climb(m, now, units);
        }
        mark
    }

    /// Charges what was used `at`, up to `now`, by calls that were not reserved here.
    pub(crate) fn book(&mut self, m: u32, at: Tick, now: Tick, used: &Amounts) {
        let meter = &mut self.meters[m];
        let terms = &self.terms[meter.terms as usize];
        meter.book_past(at, now, terms.units(used), terms, &mut self.rares);
    }

    /// When a meter has room once no call is in flight.
    pub(crate) fn fit_alone(&self, m: u32, from: Tick, units: u64) -> Option<Tick> {
        let meter = &self.meters[m];
        meter.fit_beside(from, units, 0, self.terms_of(m), &self.rares)
    }

    pub(crate) fn is_spent(&self, m: u32, now: Tick, units: u64) -> bool {
        self.meter(m).is_spent(now, units, self.terms_of(m))
    }

    /// Ends a reservation at one of its meters: with what was used, or as if it had not been made.
    #[inline(always)]
    pub(crate) fn end(
        &mut self,
        m: u32,
        now: Tick,
        (seq, at, reserved): (u64, Tick, &Amounts),
        used: Option<&Amounts>,
        former: Option<&Manner>,
    ) {
        let meter = &mut self.meters[m];
        let terms = &self.terms[meter.terms as usize];
        let manner = former.unwrap_or(&terms.manner);
        let units = manner.units(terms.unit, reserved);
        let opened = Opened { seq, at, units };
        let booked = manner.booked;
        let rares = &mut self.rares;
        match used {
            Some(used) => {
                let used = manner.units(terms.unit, used);
                meter.settle(now, opened, used, booked, terms, rares);
            }
            None => meter.release(now, opened, booked, terms, rares),
        }
    }

    /// Books what the provider counts and we do not: use by others. Returns the units booked.
    pub(crate) fn adopt(
        &mut self,
        m: u32,
        now: Tick,
        (sent, mark): (Tick, Mark),
        remaining: u64,
        rounding: u64,
    ) -> u64 {
        let meter = &mut self.meters[m];
        let terms = &self.terms[meter.terms as usize];
        // What is left is compared with what is left here: a policy may be a share of the provider's limit, or a smaller burst.
        let here = terms.capacity().min(terms.limit());
        let used = here.saturating_sub(remaining).saturating_sub(rounding);
        meter.adopt(now, sent, mark, used, terms, &mut self.rares)
    }

    pub(crate) fn pause(&mut self, m: u32, unit: Option<Unit>, until: Tick) {
        let meter = &mut self.meters[m];
        let terms = &self.terms[meter.terms as usize];
        if unit.is_none_or(|unit| unit == terms.unit) {
            meter.pause(until, terms, &mut self.rares);
        }
    }

    pub(crate) fn check_invariants(&self, m: u32, now: Tick) {
        let meter = &self.meters[m];
        let terms = &self.terms[meter.terms as usize];
        meter.check_invariants(now, terms, &self.rares);
    }

    /// The meter of a policy without partitions.
    pub(crate) fn only(&mut self, policy: u32) -> u32 {
        if let Some(meter) = self.shares[policy as usize].only {
            return meter;
        }
        let meter = self.new_meter(policy);
        self.shares[policy as usize].only = Some(meter);
        meter
    }

    /// The meter of those that get no partition of their own.
    pub(crate) fn overflow(&mut self, policy: u32) -> u32 {
        if let Some(meter) = self.shares[policy as usize].overflow {
            return meter;
        }
        let meter = self.new_meter(policy);
        self.shares[policy as usize].overflow = Some(meter);
        meter
    }

    /// Whether a key needs no partition of a policy beside those that have one: ends the common one if nobody uses it any more.
    pub(crate) fn has_overflown(&mut self, policy: u32, now: Tick) -> bool {
        let Some(m) = self.shares[policy as usize].overflow else {
            return false;
        };
        if self.meter(m).lanes > 0 || !self.is_fresh(m, now) {
            return true;
        }
        self.shares[policy as usize].overflow = None;
        self.free_meter(m);
        false
    }

    /// Whether nothing is known of a meter that a new one would not know, provided that no reservation is open on it.
    pub(crate) fn is_fresh(&mut self, m: u32, now: Tick) -> bool {
        let meter = &mut self.meters[m];
        let own = meter.terms as usize >= self.shares.len();
        !own && meter.is_fresh(now, &self.terms[meter.terms as usize], &self.rares)
    }

    pub(crate) fn hash_of(&self, policy: &Policy, index: u32, labels: &str) -> u32 {
        let mut hash = u64::from(index);
        for label in &policy.partition {
            let value = labels::get(labels, label).unwrap_or_default();
            hash = self.key.of(hash).hash(value.as_bytes());
        }
        hash as u32
    }

    /// The meter of the partition that these labels lead to.
    pub(crate) fn find(
        &self,
        policy: &Policy,
        index: u32,
        labels: &str,
        hash: u32,
        lanes: &Lanes,
    ) -> Option<u32> {
        let mut m = *self.heads.get(self.head_of(hash))?;
        while let Some(meter) = self.meters.get(m) {
            let same = |owner: &str| {
                let mut names = policy.partition.iter();
                names.all(|name| {
                    labels::get(owner, name).unwrap_or_default()
                        == labels::get(labels, name).unwrap_or_default()
                })
            };
            if meter.hash == hash
                && self.terms[meter.terms as usize].policy == index
                && same(lanes.at(meter.owner).labels.as_str())
            {
                return Some(m);
            }
            m = meter.next;
        }
        None
    }

    /// A new partition, named by the labels of the lane at `owner`.
    pub(crate) fn add(&mut self, policy: u32, hash: u32, owner: u32) -> u32 {
        let m = self.new_meter(policy);
        self.shares[policy as usize].count += 1;
        let meter = &mut self.meters[m];
        (meter.hash, meter.owner) = (hash, owner);
        self.partitions += 1;
        if self.partitions > self.heads.len() {
            self.grow();
        } else {
            self.link(m);
        }
        m
    }

    /// Forgets a partition.
    pub(crate) fn forget(&mut self, m: u32) {
        let head = self.head_of(self.meter(m).hash);
        let next = self.meter(m).next;
        let mut at = self.heads[head];
        if at == m {
            self.heads[head] = next;
        } else {
            while self.meter(at).next != m {
                at = self.meter(at).next;
            }
            self.meters[at].next = next;
        }
        self.partitions -= 1;
        let policy = self.terms_of(m).policy;
        self.shares[policy as usize].count -= 1;
        self.free_meter(m);
    }

    /// Whether a place in the list is a meter.
    pub(crate) fn is_used(&self, m: u32) -> bool {
        let is_it = |meter: Option<u32>| meter == Some(m);
        self.meters[m].owner != Meter::NOBODY
            || self
                .shares
                .iter()
                .any(|shares| is_it(shares.only) || is_it(shares.overflow))
    }

    /// Takes other terms, which the meters have been given. Returns the old ones.
    pub(crate) fn replace_terms(&mut self, terms: Vec<Terms>, shares: Vec<Shares>) -> Vec<Terms> {
        self.free_terms.clear();
        self.shares = shares;
        core::mem::replace(&mut self.terms, terms)
    }

    /// Empties the place of a meter whose policy is gone.
    pub(crate) fn vacate(&mut self, m: u32) {
        let meter = &mut self.meters[m];
        self.rares.give_back(&mut meter.rare);
        *meter = Meter::vacant(self.free);
        self.free = m;
    }

    /// Numbers the partitions by the policies of another plan.
    pub(crate) fn rehash(&mut self, plan: &Plan, lanes: &Lanes) {
        self.heads.fill(Meter::NOBODY);
        self.partitions = 0;
        for shares in &mut self.shares {
            shares.count = 0;
        }
        for m in self.meters.places() {
            if self.meters[m].owner == Meter::NOBODY {
                continue;
            }
            let index = self.terms[self.meters[m].terms as usize].policy;
            let labels = lanes.at(self.meters[m].owner).labels.as_str();
            let hash = self.hash_of(&plan.policies()[index as usize], index, labels);
            self.meters[m].hash = hash;
            self.shares[index as usize].count += 1;
            self.partitions += 1;
            self.link(m);
        }
    }

    fn new_meter(&mut self, policy: u32) -> u32 {
        let meter = Meter::new(&self.terms[policy as usize], policy);
        let m = self.free;
        if let Some(place) = self.meters.get_mut(m) {
            self.free = place.next;
            *place = meter;
            return m;
        }
        self.meters.push(meter, || Meter::vacant(Meter::NOBODY))
    }

    fn free_meter(&mut self, m: u32) {
        let meter = &mut self.meters[m];
        self.rares.give_back(&mut meter.rare);
        if meter.terms as usize >= self.shares.len() {
            self.free_terms.push(meter.terms);
        }
        *meter = Meter::vacant(self.free);
        self.free = m;
    }

    const fn head_of(&self, hash: u32) -> usize {
        hash as usize & self.heads.len().wrapping_sub(1)
    }

    fn link(&mut self, m: u32) {
        let head = self.head_of(self.meters[m].hash);
        let first = core::mem::replace(&mut self.heads[head], m);
        self.meters[m].next = first;
    }

    fn grow(&mut self) {
        // Whoever is in the table has an owner; the newest is not linked yet.
        let wider = (self.heads.len() * 2).max(8);
        self.heads = alloc::vec![Meter::NOBODY; wider];
        for m in self.meters.places() {
            if self.meters[m].owner != Meter::NOBODY {
                self.link(m);
            }
        }
    }
}

impl Shares {
    pub(crate) const NONE: Self = Self {
        only: None,
        overflow: None,
        count: 0,
    };
}
