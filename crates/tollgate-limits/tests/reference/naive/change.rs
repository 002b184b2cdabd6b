//! Other terms for a policy, and when its past no longer matters, in the naive ledger.

use super::{History, Kind, Line, Spec, What};

impl History {
    /// Other terms from now on, of a policy of the same unit.
    pub(crate) fn change(&mut self, now: u64, spec: &Spec) {
        let old = std::mem::replace(&mut self.spec, spec.clone());
        let same = |a: &Spec, b: &Spec| {
            (a.limit, a.window, a.margin, &a.shape) == (b.limit, b.window, b.margin, &b.shape)
        };
        if same(&old, spec) {
            return;
        }
        let lowered = self.lowered.take();
        match (&old.shape, &spec.shape) {
            (Kind::Bucket { .. }, Kind::Bucket { .. }) => self.lines.push(Line {
                at: now,
                what: What::Terms(spec.clone()),
            }),
            (Kind::Sliding, Kind::Sliding) => {
                // What has aged out does not come back. (Cells keep their length, so they are those of either window.)
                let age = old.window + old.margin;
                let mut over = self
                    .cells()
                    .into_iter()
                    .filter(|(_, last, _)| now >= last + age);
                if let Some((_, last, _)) = over.next_back() {
                    self.lines.retain(|line| line.at > last);
                }
            }
            (Kind::Slots, Kind::Slots) => {}
            (from, to) if from == to && (old.window, old.margin) == (spec.window, spec.margin) => {}
            _ => {
                self.spec = old;
                self.lowered = lowered;
                let used = self.used(now);
                (self.spec, self.lowered) = (spec.clone(), None);
                self.first = spec.clone();
                self.lines.clear();
                if used > 0 {
                    self.charge(now, used, None);
                }
            }
        }
    }

    /// Whether one that nobody has used would answer alike from now on.
    pub(crate) fn is_fresh(&self, now: u64) -> bool {
        let idle = match self.spec.shape {
            Kind::Bucket { .. } => {
                self.level(now) <= -i128::from(self.limit()) * i128::from(self.spec.margin)
            }
            Kind::FirstCall => self.since_first_call(now).is_none(),
            _ => self.used(now) == 0,
        };
        idle && self.lowered.is_none()
            && self.held.is_empty()
            && now >= self.paused_until
            && now >= self.paced_until
    }
}
