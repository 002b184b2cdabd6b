//! Another plan for a ledger at work: what was used carries over, and calls in flight end as they were booked.

use alloc::{collections::BTreeMap, sync::Arc, vec, vec::Vec};
use core::fmt;

use crate::{
    Labels, Ledger, Plan, Policy, QuotaError, Tick,
    books::Shares,
    lanes::Kind,
    meter::Meter,
    terms::{Manner, Terms},
};

/// Why a plan cannot take the place of another, or a limit that of another. Where a policy of the same name counts something else, give
/// it another name; it then starts with nothing used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeError {
    /// The unit of this policy is another.
    Unit(Arc<str>),
    /// The partition labels of this policy are others.
    Partition(Arc<str>),
    /// There is no policy of this name, whose limit could be set.
    Unknown(Arc<str>),
    /// The limit of this policy cannot be that.
    Limit(Arc<str>, QuotaError),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policy, what) = match self {
            Self::Unit(policy) => (policy, "unit"),
            Self::Partition(policy) => (policy, "partition labels"),
            Self::Unknown(policy) => {
                return write!(
                    f,
                    "there is no policy `{policy}`; `Gate::plan` names those there are"
                );
            }
            Self::Limit(policy, error) => return write!(f, "policy `{policy}`: {error}"),
        };
        write!(
            f,
            "policy `{policy}` cannot change its {what} while calls run; give the new one another name"
        )
    }
}

impl core::error::Error for ChangeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Limit(_, error) => Some(error),
            _ => None,
        }
    }
}

/// What a change makes of the meters, and the terms that they had.
struct Past {
    fates: Vec<Fate>,
    terms: Vec<Terms>,
}

/// What becomes of a meter.
#[derive(Clone, Copy)]
enum Fate {
    Vacant,
    Dropped,
    /// Where its old terms lie, and whether refunds for calls in flight still reach it.
    Kept {
        old: u32,
        refunds: bool,
    },
}

impl Past {
    /// How a reservation that is open on a meter was counted and booked; none if the meter is gone.
    fn manner(&self, m: u32, before: Option<Manner>) -> Option<Manner> {
        match self.fates[m as usize] {
            Fate::Kept { old, refunds } => {
                let manner = before.unwrap_or(self.terms[old as usize].manner);
                Some(if refunds { manner } else { manner.lumped() })
            }
            _ => None,
        }
    }
}

impl Ledger {
    /// Works by another plan from `now` on. Policies are the same if their names are: their limits, bursts, windows, margins,
    /// bookings, countings, shapes and conditions may change; new ones start with nothing used, and those that are gone are forgotten.
    ///
    /// What was used carries over:
    ///
    /// - A bucket keeps its units; one that is idle under the old terms is idle under the new.
    /// - A sliding window keeps its charges: they last as long as the new window says, but what has aged out does not come back.
    /// - A fixed window of which only the limit changes keeps its count. Slots keep the calls in flight.
    /// - Where the shape changes, or a fixed window otherwise than by its limit, as many units as are counted now are charged at
    ///   `now`, and calls in flight get nothing of them back.
    /// - Calls in flight are settled as they were counted and booked: a policy that is new to them neither charges nor refunds them.
    /// - Pauses stay. A lower limit that the provider reported stays unless the policy's quota or margin changes, and what refusals
    ///   have taught unless its quota or pace does.
    ///
    /// Lanes stay and lead to the policies that now apply to their labels, but lanes of keys without a partition of their own (see
    /// [`Ledger::partition_limit`]), whose labels are not known, lead to no new ones: whoever keeps such a lane takes it anew.
    /// O(partitions, lanes and open reservations).
    ///
    /// # Errors
    /// If a policy of the same name has another unit or other partition labels; nothing has changed then.
    pub fn change(&mut self, now: Tick, plan: Plan) -> Result<(), ChangeError> {
        let successors = self.successors(&plan)?;
        let now = self.forward(now);
        let past = self.change_meters(now, &plan, &successors);
        self.part_with_open(&past);
        self.is_plain = plan.policies().iter().all(Policy::is_plain);
        self.plan = plan;
        self.books.eased.clear();
        self.books.rehash(&self.plan, &self.lanes);
        self.lead_anew();
        if cfg!(debug_assertions) {
            self.check_everything();
        }
        Ok(())
    }

    /// Gives one policy another limit from `now` on, and changes nothing else: see [`Ledger::change`]. A raise that a provider has told of
    /// in a mail needs no more than this.
    ///
    /// # Errors
    /// If there is no such policy, or its limit cannot be that; nothing has changed then.
    pub fn set_limit(&mut self, now: Tick, policy: &str, limit: u64) -> Result<(), ChangeError> {
        let mut policies = self.plan.policies().to_vec();
        let Some(place) = policies.iter_mut().find(|known| known.name() == policy) else {
            return Err(ChangeError::Unknown(policy.into()));
        };
        let wrong = |error| ChangeError::Limit(policy.into(), error);
        *place = place.clone().with_limit(limit).map_err(wrong)?;
        let plan = Plan::new(policies).map_err(wrong)?;
        self.change(now, plan)
    }

    /// The new index of each policy that stays.
    fn successors(&self, plan: &Plan) -> Result<Vec<Option<u32>>, ChangeError> {
        let successor = |old: &Policy| {
            let mut policies = plan.policies().iter().zip(0..);
            let Some((new, index)) = policies.find(|(new, _)| new.name == old.name) else {
                return Ok(None);
            };
            if new.quota().unit() != old.quota().unit() {
                return Err(ChangeError::Unit(old.name.clone()));
            }
            if new.partition != old.partition {
                return Err(ChangeError::Partition(old.name.clone()));
            }
            Ok(Some(index))
        };
        self.plan.policies().iter().map(successor).collect()
    }

    /// Gives every meter its new terms, and the marks of open reservations with them.
    fn change_meters(&mut self, now: Tick, plan: &Plan, successors: &[Option<u32>]) -> Past {
        let policies = plan.policies();
        let mut terms: Vec<Terms> = policies
            .iter()
            .zip(0..)
            .map(|(p, i)| Terms::new(p, i))
            .collect();
        for (old, new) in (0..).zip(successors) {
            let Some(new) = *new else { continue };
            let (was, is) = (&self.plan.policies()[old], &policies[new as usize]);
            if was.quota() == is.quota() && was.pace == is.pace {
                terms[new as usize].tightening = self.books.terms[old].tightening;
                if was.adaptive == is.adaptive {
                    terms[new as usize].climb = self.books.terms[old].climb;
                }
            }
        }
        let mut fates = Vec::with_capacity(self.books.meters.len());
        for m in self.books.meters.places() {
            fates.push(self.change_meter(m, now, plan, successors, &mut terms));
        }
        let mut shares = vec![Shares::NONE; policies.len()];
        for (old, new) in self.books.shares.iter().zip(successors) {
            if let Some(new) = new {
                shares[*new as usize] = *old;
            }
        }
        let terms = self.books.replace_terms(terms, shares);
        let past = Past { fates, terms };
        let books = &self.books;
        for slot in self.open.iter_mut() {
            let lane = self.lanes.at(slot.lane()).meters.as_slice();
            slot.change_marks(lane, |m, mark| match past.fates[m as usize] {
                Fate::Kept { old, .. } => {
                    Some(mark.changed(&past.terms[old as usize], books.terms_of(m)))
                }
                _ => None,
            });
        }
        past
    }

    fn change_meter(
        &mut self,
        m: u32,
        now: Tick,
        plan: &Plan,
        successors: &[Option<u32>],
        terms: &mut Vec<Terms>,
    ) -> Fate {
        if !self.books.is_used(m) {
            return Fate::Vacant;
        }
        let books = &mut self.books;
        let meter = &mut books.meters[m];
        let place = meter.terms;
        let old = &books.terms[place as usize];
        let Some(index) = successors[old.policy as usize] else {
            return Fate::Dropped;
        };
        let was = &self.plan.policies()[old.policy as usize];
        let is = &plan.policies()[index as usize];
        let told = place as usize >= books.shares.len();
        let same =
            was.quota() == is.quota() && was.margin == is.margin && was.adaptive == is.adaptive;
        meter.terms = if told && same {
            terms.push(terms[index as usize].limited(old.limit()));
            u32::try_from(terms.len() - 1).unwrap_or(u32::MAX)
        } else {
            index
        };
        let refunds = meter.change(now, old, &terms[meter.terms as usize], &mut books.rares);
        Fate::Kept {
            old: place,
            refunds,
        }
    }

    /// Leaves the open reservations of each lane to a lane of their own, on those of its meters that are kept, and forgets the rest.
    fn part_with_open(&mut self, past: &Past) {
        let mut formers = BTreeMap::new();
        for place in self.lanes.places() {
            let record = self.lanes.at(place);
            let before = self.lanes.former(place);
            let kept = |(i, m): (usize, &u32)| {
                let before = before.and_then(|before| before.get(i).copied());
                past.manner(*m, before).map(|manner| (*m, manner))
            };
            let meters = record.meters.as_slice().iter().enumerate();
            let (meters, manners): (Vec<u32>, Vec<Manner>) = meters.filter_map(kept).unzip();
            match record.kind {
                Kind::Former => self.lanes.set_former(place, &meters, manners.into()),
                Kind::Own | Kind::Shared => {
                    let open = record.open > 0;
                    self.lanes.set_meters(place, &meters);
                    if open {
                        let former = self.lanes.add_former(place, &meters, manners.into());
                        formers.insert(place, former);
                    }
                }
                Kind::Keeper => self.lanes.set_meters(place, &meters),
                Kind::Vacant => {}
            }
        }
        for slot in self.open.iter_mut() {
            if let Some(former) = formers.get(&slot.lane()) {
                slot.set_lane(*former);
            }
        }
        for (m, fate) in (0..).zip(&past.fates) {
            if matches!(fate, Fate::Dropped) {
                self.books.vacate(m);
            }
        }
    }

    /// Finds the meters of every lane by its labels again.
    fn lead_anew(&mut self) {
        for meter in self.books.meters.iter_mut() {
            meter.lanes = 0;
        }
        for place in self.lanes.places() {
            let record = self.lanes.at(place);
            if record.kind != Kind::Own {
                let meters = record.meters.as_slice().to_vec();
                self.lead_to(&meters);
                // Those that lead nowhere are not needed, and those that are not needed are known.
                self.lanes.left(place);
            }
        }
        let plan = self.plan.clone();
        let mut meters = Vec::new();
        for place in self.lanes.places() {
            let record = self.lanes.at(place);
            if record.kind == Kind::Own {
                let labels = Labels::from_text(record.labels.as_str());
                meters.clear();
                self.meters_for(&plan, &labels, place, &mut meters);
                self.lanes.set_meters(place, &meters);
                self.lead_to(&meters);
            }
        }
        self.keep_orphans();
    }

    /// A partition that its owner's calls no longer use, as other calls may, lasts until it answers like a new one.
    fn keep_orphans(&mut self) {
        let mut orphans: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (m, meter) in (0..).zip(self.books.meters.iter()) {
            if meter.owner != Meter::NOBODY
                && !self.lanes.at(meter.owner).meters.as_slice().contains(&m)
            {
                orphans.entry(meter.owner).or_default().push(m);
            }
        }
        for (owner, orphans) in orphans {
            let keeper = self.lanes.add_keeper(owner, &orphans);
            for m in &orphans {
                self.books.meters[*m].owner = keeper;
            }
            self.lead_to(&orphans);
        }
    }
}
