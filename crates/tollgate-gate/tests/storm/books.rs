//! What is checked: every quota by the simulated provider's own code, the order of calls, and that each has one answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tollgate_gate::{Labels, Priority, Tick};
use tollgate_sim::provider::{Arrival, Charging, Decision, Enforcer, Quota, Rules, Ticket};

/// One quota as the provider enforces it, for each value of a label on its own.
#[derive(Debug)]
pub(crate) struct Rule {
    label: &'static str,
    enforcer: Enforcer,
}

/// A call that the provider runs: one ticket per rule that admitted it.
#[derive(Debug)]
pub(crate) struct Running {
    tickets: Vec<(usize, Ticket)>,
    reserved: u64,
}

/// Shared by all callers of a world.
#[derive(Clone, Debug)]
pub(crate) struct Books(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    rules: Vec<Rule>,
    faults: Vec<String>,
    seen: Seen,
    next: u64,
    waits: BTreeMap<String, Vec<Wait>>,
    /// When the latest call ended that had used more than it had reserved.
    overran_at: Tick,
}

/// One call that was admitted.
#[derive(Clone, Copy, Debug)]
struct Wait {
    number: u64,
    priority: Priority,
    asked: Tick,
    admitted: Tick,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) admitted: u64,
    pub(crate) waited: u64,
    pub(crate) refused: u64,
    pub(crate) too_late: u64,
    pub(crate) gave_up: u64,
    pub(crate) aborted: u64,
    pub(crate) released: u64,
    pub(crate) dropped: u64,
    pub(crate) overran: u64,
    pub(crate) paused: u64,
    pub(crate) tightened: u64,
    pub(crate) jumps: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts_mut().into_iter().zip(other.counts()) {
            *mine += theirs;
        }
    }

    pub(crate) fn everything(&self) -> bool {
        self.counts().iter().all(|count| *count > 0)
    }

    /// Calls that have an answer, or whose caller is gone.
    pub(crate) const fn answers(&self) -> u64 {
        self.admitted + self.refused + self.too_late + self.gave_up
    }

    fn counts(&self) -> [u64; 12] {
        let mut copy = *self;
        copy.counts_mut().map(|count| *count)
    }

    const fn counts_mut(&mut self) -> [&mut u64; 12] {
        [
            &mut self.admitted,
            &mut self.waited,
            &mut self.refused,
            &mut self.too_late,
            &mut self.gave_up,
            &mut self.aborted,
            &mut self.released,
            &mut self.dropped,
            &mut self.overran,
            &mut self.paused,
            &mut self.tightened,
            &mut self.jumps,
        ]
    }
}

impl Rule {
    /// A quota that counts calls apart by `label`.
    pub(crate) fn new(label: &'static str, quota: Quota) -> Self {
        Self {
            label,
            enforcer: Enforcer::new(Rules::new(Charging::Arrival, vec![quota])),
        }
    }
}

impl Books {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            rules,
            faults: Vec::new(),
            seen: Seen::default(),
            next: 0,
            waits: BTreeMap::new(),
            overran_at: Tick::ZERO,
        })))
    }

    /// A number for a call that asks now; later calls have higher ones.
    pub(crate) fn number(&self) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        inner.next
    }

    pub(crate) fn count(&self, what: impl FnOnce(&mut Seen) -> &mut u64) {
        *what(&mut self.lock().seen) += 1;
    }

    pub(crate) fn fault(&self, fault: String) {
        self.lock().faults.push(fault);
    }

    /// A call was admitted that asked at `asked` as the `number`th.
    pub(crate) fn admitted(
        &self,
        labels: &Labels,
        number: u64,
        priority: Priority,
        asked: Tick,
        admitted: Tick,
    ) {
        let mut inner = self.lock();
        inner.seen.admitted += 1;
        inner.seen.waited += u64::from(admitted > asked);
        let wait = Wait {
            number,
            priority,
            asked,
            admitted,
        };
        inner
            .waits
            .entry(format!("{labels:?}"))
            .or_default()
            .push(wait);
    }

    /// A call reaches the provider, which must not refuse it. But for one case: the gate let it through just before it was told that
    /// another call had used more than it had reserved, and the provider knew that first.
    pub(crate) fn arrives(&self, now: Tick, labels: &Labels, tokens: u64) -> Running {
        let mut inner = self.lock();
        let excused = inner.overran_at == now;
        let Inner { rules, faults, .. } = &mut *inner;
        let mut tickets = Vec::new();
        for (number, rule) in rules.iter_mut().enumerate() {
            let call = Arrival {
                team: "storm",
                pool: labels.get(rule.label).unwrap_or(""),
                input: 0,
                cap: tokens,
            };
            match rule.enforcer.arrive(now.as_nanos(), &call) {
                Decision::Admit(ticket) => tickets.push((number, ticket)),
                Decision::Refuse(_) if excused => {}
                Decision::Refuse(refusal) => faults.push(format!(
                    "at {now:?} {labels:?} with {tokens} tokens is over {}: {refusal:?}",
                    refusal.quota
                )),
            }
        }
        Running {
            tickets,
            reserved: tokens,
        }
    }

    /// A call has ended at the provider.
    pub(crate) fn ends(&self, now: Tick, running: Running, tokens: u64) {
        let mut inner = self.lock();
        if tokens > running.reserved {
            inner.overran_at = now;
        }
        for (number, ticket) in running.tickets {
            let enforcer = &mut inner.rules[number].enforcer;
            enforcer.complete(ticket, now.as_nanos(), 0, tokens);
        }
    }

    /// What was wrong, and what has happened.
    pub(crate) fn close(&self) -> (Vec<String>, Seen) {
        let mut inner = self.lock();
        let Inner { waits, faults, .. } = &mut *inner;
        for (labels, waits) in waits {
            check_order(labels, waits, faults);
        }
        (std::mem::take(&mut inner.faults), inner.seen)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

/// Among calls of the same labels: first come, first served in each class, and no lower class while a higher one waits.
fn check_order(labels: &str, waits: &mut [Wait], faults: &mut Vec<String>) {
    waits.sort_by_key(|wait| wait.number);
    for class in [Priority::High, Priority::Normal, Priority::Low] {
        let mut latest: Option<Wait> = None;
        for &wait in waits.iter().filter(|wait| wait.priority == class) {
            if let Some(earlier) = latest.filter(|earlier| earlier.admitted > wait.admitted) {
                faults.push(format!("{labels}: {wait:?} overtook {earlier:?}"));
            }
            latest = Some(wait);
        }
    }
    // Those of a lower class, by when they were admitted; what a higher one waited through, both ends excluded, must hold none.
    for class in [Priority::High, Priority::Normal] {
        let mut lower: Vec<Wait> = waits
            .iter()
            .copied()
            .filter(|wait| wait.priority > class)
            .collect();
        lower.sort_by_key(|wait| wait.admitted);
        for higher in waits.iter().filter(|wait| wait.priority == class) {
            let after = lower.partition_point(|wait| wait.admitted <= higher.asked);
            if let Some(wait) = lower
                .get(after)
                .filter(|wait| wait.admitted < higher.admitted)
            {
                faults.push(format!("{labels}: {wait:?} went before {higher:?}"));
            }
        }
    }
}
