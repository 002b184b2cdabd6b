//! When what fits, in the naive ledger.

use super::{History, Kind, Spec};

impl History {
    /// Whether `units` fit at `now`, leaving pauses aside.
    pub(crate) fn has_room(&self, now: u64, units: u64) -> bool {
        let Spec { window, margin, .. } = self.spec;
        if units == 0 {
            return true;
        }
        let wanted = self.held() + units;
        if wanted > self.capacity() {
            return false;
        }
        match self.spec.shape {
            Kind::Bucket { .. } => {
                self.level(now)
                    <= i128::from(self.capacity() - wanted) * i128::from(window)
                        - i128::from(self.limit()) * i128::from(margin)
            }
            Kind::Slots => true,
            Kind::Sliding => self.used(now) + wanted <= self.limit(),
            Kind::FirstCall => {
                self.used(now) + wanted <= self.limit()
                    && self
                        .since_first_call(now)
                        .is_none_or(|(_, _, end, _)| now + margin < end)
            }
            _ => {
                let (start, end) = self.frame(now);
                self.used(now) + wanted <= self.limit()
                    && now >= start + margin
                    && now + margin < end
            }
        }
    }

    pub(crate) fn held_back_until(&self) -> u64 {
        self.paused_until.max(self.next_paced.min(self.paced_until))
    }

    pub(crate) fn fits(&self, now: u64, units: u64) -> bool {
        now >= self.held_back_until() && self.has_room(now, units)
    }

    /// Every instant from `now` on at which something may begin to fit if nothing else is charged.
    pub(crate) fn turning_points(&self, now: u64, units: u64) -> Vec<u64> {
        let Spec { window, margin, .. } = self.spec;
        let mut points = vec![now, self.held_back_until()];
        match self.spec.shape {
            Kind::Bucket { .. } => {
                // It only ever empties, so the first instant can be found by halving.
                let (mut too_early, mut fits) = (now, now + (1 << 50));
                while fits - too_early > 1 {
                    let middle = too_early.midpoint(fits);
                    if self.has_room(middle, units) {
                        fits = middle;
                    } else {
                        too_early = middle;
                    }
                }
                if self.has_room(fits, units) {
                    points.push(fits);
                }
            }
            Kind::Sliding => {
                points.extend(self.charges().map(|charge| charge.at + window + margin));
            }
            Kind::FirstCall => {
                let mut at = now;
                while let Some((.., over)) = self.since_first_call(at) {
                    points.push(over);
                    at = over;
                }
            }
            Kind::Slots => {}
            _ => {
                let mut at = now;
                for _ in 0..40 {
                    let (start, end) = self.frame(at);
                    points.extend([start + margin, end]);
                    at = end;
                }
            }
        }
        points.retain(|point| *point >= now);
        points
    }
}
