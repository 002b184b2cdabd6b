//! The state of a fixed window: aligned to the clock, on the calendar, or from the first call.
//!
//! Near a boundary nobody knows in which of the two windows the provider will count a call, so no call is admitted from one margin
//! before it to one margin after it. What has to be booked there all the same (a completion, an overrun) counts in both.

use crate::{Anchor, Tick, decision::Fit, tick::nanos};

/// Fixed numbers of a fixed window.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) limit: u64,
    pub(crate) window: u64,
    pub(crate) margin: u64,
    pub(crate) anchor: Anchor,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    // The provider's window that is counted now; none before the first charge.
    bounds: Option<Bounds>,
    used: u64,
    // The part of `used` that was booked so near the end that the next window may count it, and when that last happened.
    late: u64,
    latest_late: Tick,
}

/// A window from `start` until just before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    start: Tick,
    end: Tick,
}

impl Window {
    /// Starts counting the window of `now` if the counted one is over.
    pub(crate) fn advance(&mut self, now: Tick, frame: &Frame) {
        let Some(current) = self.bounds else { return };
        if now < frame.over_at(current) {
            return;
        }
        let late = core::mem::take(&mut self.late);
        let next = match frame.anchor {
            // A window runs only once somebody has called, perhaps at the very end of the last one.
            Anchor::FirstCall if late == 0 => None,
            Anchor::FirstCall => {
                Some(frame.containing(self.latest_late)).filter(|b| now < frame.over_at(*b))
            }
            _ => Some(frame.containing(now)),
        };
        let adjacent = next.is_some_and(|next| next.start <= current.end.plus_nanos(frame.margin));
        self.used = if adjacent { late } else { 0 };
        self.bounds = next;
    }

    /// When `units` more fit beside `held` units in flight. The state must have been advanced.
    pub(crate) fn fit(&self, now: Tick, units: u64, held: u64, frame: &Frame) -> Fit {
        let wanted = units.saturating_add(held);
        if wanted > frame.limit {
            return Fit::OnSettle;
        }
        let room = frame.limit - wanted;
        let bounds = match self.bounds {
            Some(bounds) => bounds,
            None if frame.on_first_call() => return Fit::Now,
            None => frame.containing(now),
        };
        if self.used > room || now >= bounds.end.minus_nanos(frame.margin) {
            let next = Bounds {
                start: bounds.end,
                end: frame.containing(bounds.end).end,
            };
            return Fit::At(if self.late <= room {
                frame.opens_at(next)
            } else {
                next.end.plus_nanos(frame.margin)
            });
        }
        if !frame.on_first_call() && now < frame.opens_at(bounds) {
            return Fit::At(frame.opens_at(bounds));
        }
        Fit::Now
    }

    pub(crate) fn charge(&mut self, now: Tick, units: u64, frame: &Frame) {
        let bounds = *self.bounds.get_or_insert_with(|| frame.containing(now));
        self.used += units;
        if now >= bounds.end.minus_nanos(frame.margin) {
            self.late += units;
            self.latest_late = now;
        }
    }

    /// Gives back `refund` units of a reservation made `at`, if its window is still the counted one: a refund never crosses into a
    /// new window. (Reservations are never made so near a boundary that two windows count them.)
    pub(crate) fn refund(&mut self, at: Tick, refund: u64) {
        if self.bounds.is_some_and(|b| b.start <= at) {
            self.used = self.used.saturating_sub(refund).max(self.late);
        }
    }

    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn check_invariants(&self) {
        debug_assert!(self.late <= self.used, "late charges are part of the use");
    }
}

impl Frame {
    const fn on_first_call(&self) -> bool {
        matches!(self.anchor, Anchor::FirstCall)
    }

    /// When the count moves on: at the boundary where the clock sets it; a margin later where it depends on when the first call
    /// arrived.
    const fn over_at(&self, bounds: Bounds) -> Tick {
        if self.on_first_call() {
            bounds.end.plus_nanos(self.margin)
        } else {
            bounds.end
        }
    }

    /// The first instant at which a call sent is certain to be counted in this window.
    const fn opens_at(&self, bounds: Bounds) -> Tick {
        bounds.start.plus_nanos(self.margin)
    }

    fn containing(&self, at: Tick) -> Bounds {
        match &self.anchor {
            Anchor::FirstCall => Bounds {
                start: at,
                end: at.plus_nanos(self.window),
            },
            Anchor::Calendar(calendar) => {
                let (start, end) = calendar.around(at, self.window);
                Bounds { start, end }
            }
            Anchor::Aligned { offset } => {
                let phase = nanos(*offset) % self.window;
                let since = (at.as_nanos() % self.window + self.window - phase) % self.window;
                Bounds {
                    start: at.minus_nanos(since),
                    end: at.plus_nanos(self.window - since),
                }
            }
        }
    }
}
