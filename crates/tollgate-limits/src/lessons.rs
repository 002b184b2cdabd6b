//! `Lesson`: what a policy has learned from refusals, as a value that outlives the ledger.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use crate::{Ledger, Unit, tighten::Tightening};

/// What a policy has learned from refusals: figures and the policy's name, and nothing of any call or label. To be kept from one run of
/// a program to the next, so that the same refusals need not be paid for again; see [`Ledger::lessons`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// The policy's name.
    pub policy: Arc<str>,
    /// What it counts.
    pub unit: Unit,
    /// Its quota's limit. A lesson fits no other.
    pub limit: u64,
    /// Its quota's window; zero for slots.
    pub window: Duration,
    /// The pace that it was told with [`crate::Policy::paced`].
    pub told: Option<u64>,
    /// How far it has spaced its grants: a rung of the ladder in docs/DESIGN.md; 0: not at all.
    pub rung: u8,
    /// How often it has tried a lower rung in vain.
    pub fails: u8,
    /// Units of the dearest call, for which the spacing leaves room.
    pub dearest: u64,
    /// Of an adaptive policy, the lowest limit that any of its partitions has found, and the use at which that was refused.
    pub found: Option<(u64, u64)>,
}

impl Ledger {
    /// What policies have learned from refusals and not unlearned since, in the plan's order; nothing of those that have learned nothing.
    #[must_use]
    pub fn lessons(&self) -> Vec<Lesson> {
        let policies = (0..).zip(self.plan.policies());
        let lessons = policies.map(|(index, policy)| {
            let terms = &self.books.terms[index as usize];
            let (rung, fails) = if terms.tightening.is_learned() {
                terms.tightening.proven()
            } else {
                (0, 0)
            };
            Lesson {
                policy: policy.name.clone(),
                unit: terms.unit,
                limit: policy.quota().limit(),
                window: Duration::from_nanos(terms.window_nanos()),
                told: terms.tightening.pace_told(),
                rung,
                fails,
                dearest: if rung > 0 {
                    terms.tightening.dearest()
                } else {
                    0
                },
                found: self.found(index),
            }
        });
        lessons
            .filter(|lesson| lesson.rung > 0 || lesson.found.is_some())
            .collect()
    }

    /// Begins with what an earlier ledger has learned. Returns whether it fits: not if there is no policy of that name, if its unit, limit,
    /// window or told pace is another, or if it has learned something itself. Then nothing has changed.
    pub fn take_up(&mut self, lesson: &Lesson) -> bool {
        let mut policies = (0..).zip(self.plan.policies());
        let Some((index, policy)) = policies.find(|(_, policy)| policy.name == lesson.policy)
        else {
            return false;
        };
        let terms = &self.books.terms[index as usize];
        let fits = terms.unit == lesson.unit
            && policy.quota().limit() == lesson.limit
            && Duration::from_nanos(terms.window_nanos()) == lesson.window
            && terms.tightening.pace_told() == lesson.told;
        let is_slots = terms.window_nanos() == 0;
        if !fits || terms.tightening.is_learned() || self.found(index).is_some() {
            return false;
        }
        let mut taken = false;
        if let (Some(climb), Some((limit, failed))) = (terms.climb, lesson.found) {
            self.books.terms[index as usize].climb = Some(climb.taken_up(limit, failed));
            taken = true;
        } else if lesson.rung > 0 && terms.climb.is_none() && !is_slots {
            let Lesson {
                told,
                rung,
                fails,
                dearest,
                ..
            } = *lesson;
            let tightening = Tightening::on(told, rung, fails, dearest);
            self.books.tighten(index, tightening);
            taken = true;
        }
        taken
    }

    /// The lowest limit that any partition of an adaptive policy has found, and where it was refused.
    fn found(&self, policy: u32) -> Option<(u64, u64)> {
        let all = self.books.terms.iter();
        let own = all.skip(self.plan.policies().len());
        let searched = own.filter(|terms| terms.policy == policy);
        let found = searched.filter_map(|terms| Some((terms.limit(), terms.climb?.failed()?)));
        found.min().or_else(|| {
            let climb = self.books.terms[policy as usize].climb?;
            Some((climb.start()?, climb.failed()?))
        })
    }
}
