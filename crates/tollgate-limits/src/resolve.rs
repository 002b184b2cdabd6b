//! From labels to lanes and partitions, and how both are forgotten.

use alloc::vec::Vec;

use crate::{Labels, Ledger, Plan, lanes::Lane};

impl Ledger {
    /// Partitions of one policy unless [`Ledger::partition_limit`] says otherwise.
    pub const DEFAULT_PARTITION_LIMIT: u32 = 1_000_000;
    // Lanes looked at per new one, so that those to be forgotten are found several times as fast as new ones come.
    const STEPS: u32 = 4;
    // Lanes found per lane looked at.
    const FOUND_PER_STEP: u32 = 64;
    // So few are not worth forgetting.
    const LANES_KEPT: u32 = 1_024;

    /// Keeps at most `limit` partitions of each policy, at least 1. A key beyond them shares one partition with all such keys, until
    /// nobody has used that one for long enough: never does a flood of keys get an allowance each, nor does a key that is forgotten.
    #[must_use]
    pub fn partition_limit(mut self, limit: u32) -> Self {
        self.partition_limit = limit.max(1);
        self
    }

    /// Finds the lane of calls with these labels, creating the counts of new partitions. O(1) expected.
    ///
    /// Forgets, a few steps at a time, lanes that nobody needs and partitions that answer like new ones.
    pub fn lane(&mut self, labels: &Labels) -> Lane {
        let hash = self.lanes.hash_of(labels.as_text());
        let books = &self.books;
        let found = self.lanes.find(hash, labels.as_text(), |ahead| {
            ahead.into_iter().for_each(|m| books.look_at(m));
        });
        let Some(place) = found else {
            return self.new_lane(labels);
        };
        let lane = self.lanes.touch(place);
        self.found = self.found.wrapping_add(1);
        if self.found.is_multiple_of(Self::FOUND_PER_STEP) {
            self.forget_some(1);
        }
        lane
    }

    /// Keeps a lane, and the indices of its meters, while a call waits in it; to be matched by one [`Ledger::unpin`].
    ///
    /// # Panics
    /// If the lane belongs to another ledger or has been forgotten.
    pub fn pin(&mut self, lane: Lane) {
        self.lanes.get_mut(lane).pins += 1;
    }

    /// Ends a [`Ledger::pin`].
    ///
    /// # Panics
    /// If the lane is not pinned, or belongs to another ledger.
    pub fn unpin(&mut self, lane: Lane) {
        let record = self.lanes.get_mut(lane);
        record.pins = record
            .pins
            .checked_sub(1)
            .expect("a lane is unpinned as often as pinned");
        self.lanes.left(lane.place);
    }

    /// The meters of the lane, by the same index as [`Ledger::blocked_by`].
    ///
    /// # Panics
    /// If the lane belongs to another ledger or has been forgotten.
    #[must_use]
    pub fn meters_of(&self, lane: Lane) -> &[u32] {
        self.lanes.get(lane).meters.as_slice()
    }

    #[cold]
    fn new_lane(&mut self, labels: &Labels) -> Lane {
        self.forget_idle();
        self.forget_some(Self::STEPS);
        let plan = self.plan.clone();
        let place = self.lanes.place();
        let mut meters = Vec::with_capacity(plan.policies().len());
        if self.meters_for(&plan, labels, place, &mut meters) {
            let lane = self.lanes.add(place, labels.as_text(), &meters);
            self.lead_to(&meters);
            return lane;
        }
        self.lanes.remove(place);
        let (lane, new) = self.lanes.share(&meters);
        if new {
            self.lead_to(&meters);
        }
        lane
    }

    /// Finds or creates the meters of a call with these labels, for the lane at `owner`. False if a key has to share a partition:
    /// then no partition of its own has been created.
    pub(crate) fn meters_for(
        &mut self,
        plan: &Plan,
        labels: &Labels,
        owner: u32,
        meters: &mut Vec<u32>,
    ) -> bool {
        let text = labels.as_text();
        let mut missing = Vec::new();
        let mut overflows = false;
        for (policy, index) in plan.policies().iter().zip(0_u32..) {
            if !policy.applies_to(labels) {
                continue;
            }
            if policy.partition.is_empty() {
                meters.push(self.books.only(index));
                continue;
            }
            let hash = self.books.hash_of(policy, index, text);
            if let Some(meter) = self.books.find(policy, index, text, hash, &self.lanes) {
                meters.push(meter);
                continue;
            }
            missing.push((meters.len(), index, hash));
            meters.push(u32::MAX);
            overflows |= self.books.has_overflown(index, self.latest)
                || self.books.shares[index as usize].count >= self.partition_limit;
        }
        for (at, index, hash) in missing {
            meters[at] = if overflows {
                self.books.overflow(index)
            } else {
                self.books.add(index, hash, owner)
            };
        }
        !overflows
    }

    pub(crate) fn lead_to(&mut self, meters: &[u32]) {
        for m in meters {
            self.books.meters[*m].lanes += 1;
        }
    }

    fn forget_idle(&mut self) {
        for _ in 0..Self::STEPS {
            let Some(place) = self.lanes.next_idle() else {
                break;
            };
            self.forget(place);
        }
    }

    /// Looks at some lanes, and forgets those that nobody needs and whose partitions, if no other lane leads to them, answer like
    /// new ones.
    fn forget_some(&mut self, steps: u32) {
        let kept = Self::LANES_KEPT.min(self.partition_limit / 2) as usize;
        for _ in 0..steps {
            if self.lanes.len() <= kept {
                break;
            }
            if let Some(place) = self.lanes.next_unused()
                && self.is_forgettable(place)
            {
                self.forget(place);
            }
        }
    }

    fn is_forgettable(&mut self, place: u32) -> bool {
        let (books, now) = (&mut self.books, self.latest);
        let meters = self.lanes.at(place).meters.as_slice();
        meters.iter().all(|m| {
            let meter = books.meter(*m);
            meter.owner != place || meter.lanes == 1 && books.is_fresh(*m, now)
        })
    }

    /// Forgets a lane that nobody needs, with the partitions that it owns.
    pub(crate) fn forget(&mut self, place: u32) {
        let meters = self.lanes.remove(place);
        for m in meters.as_slice() {
            let meter = &mut self.books.meters[*m];
            meter.lanes -= 1;
            if meter.owner == place {
                self.books.forget(*m);
            }
        }
    }
}
