//! What a refusal by the provider pauses, what the ledger learns from it, and how that is eased again.

use std::sync::Arc;
use std::time::Duration;

use tollgate_limits::{Binding, Labels, Lesson, Tick, Unit};

use crate::{Event, Gate, permit::Held};

impl Gate {
    /// Pauses the policies of such calls that count `unit` (`None`: all) for `span` from now. Pauses only ever grow.
    pub fn pause(&self, labels: &Arc<Labels>, unit: Option<Unit>, span: Duration) {
        let now = self.now();
        let until = now.plus(span);
        let mut policies = Vec::new();
        match &self.inner().store {
            None => {
                // It can only make calls wait for longer, and whoever is looked at too early is told so.
                let mut core = self.lock();
                let lane = core.ledger.lane(labels);
                core.ledger.pause(lane, unit, until);
                if self.is_heard() {
                    policies = core.ledger.paused(now, lane, unit);
                }
            }
            Some(store) => {
                let (store, labels) = (store.clone(), labels.clone());
                self.tell_store(async move { store.pause(now, &labels, unit, until).await });
            }
        }
        self.record_paused(labels, unit, (span, until), &policies);
    }

    fn record_paused(
        &self,
        labels: &Labels,
        unit: Option<Unit>,
        (span, until): (Duration, Tick),
        policies: &[Binding],
    ) {
        self.record(&Event::Paused {
            labels,
            unit,
            span,
            until,
            policies,
        });
    }

    /// As [`Gate::pause`], for the policies of a call that was refused: see [`crate::Permit::throttled`].
    pub(crate) fn throttled(
        &self,
        held: &Held,
        labels: &Arc<Labels>,
        unit: Option<Unit>,
        span: Duration,
    ) {
        let Held::Local(reservation, lane) = held else {
            return self.pause(labels, unit, span);
        };
        let now = self.now();
        let until = now.plus(span);
        let mut policies = Vec::new();
        let learned = {
            // It can only make calls wait for longer, and whoever is looked at too early is told so.
            let mut core = self.lock();
            let learned = core.ledger.throttled(now, reservation, unit, until);
            if self.is_heard() {
                policies = core.ledger.paused(now, *lane, unit);
            }
            learned
        };
        self.record_paused(labels, unit, (span, until), &policies);
        if let Some(learned) = &learned {
            self.record(&Event::Learned { labels, learned });
        }
    }

    /// What the policies have learned from refusals, to be kept from one run of the program to the next: see
    /// [`tollgate_limits::Ledger::lessons`]. Nothing for a gate with a store.
    #[must_use]
    pub fn learned(&self) -> Vec<Lesson> {
        self.lock().ledger.lessons()
    }

    /// Begins with what an earlier run has learned; best before the first call. Returns whether it fits one of the policies, which has
    /// learned nothing itself: see [`tollgate_limits::Ledger::take_up`].
    pub fn take_up(&self, lesson: &Lesson) -> bool {
        // It can only make calls wait for longer, and whoever is looked at too early is told so.
        self.inner().store.is_none() && self.lock().ledger.take_up(lesson)
    }

    /// Says which policies try a wider pace.
    #[cold]
    pub(crate) fn record_eased(&self, labels: &Labels) {
        let eased = self.lock().ledger.eased();
        for eased in &eased {
            self.record(&Event::Eased { labels, eased });
        }
    }
}
