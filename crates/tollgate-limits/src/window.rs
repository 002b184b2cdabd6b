//! The state of a fixed window: aligned to the clock, on the calendar, or from the first call.
//!
//! Near a boundary nobody knows in which of the two windows the provider will count a call, so no call is admitted from one margin
//! before it to one margin after it. What has to be booked there all the same (a completion, an overrun) counts in both.
//!
//! A window from the first call has a second uncertainty: which charge opened it. A call that is admitted arrives up to a margin
//! later; a forced booking was made up to a margin before we learn of it; and a forced booking near a boundary may or may not have
//! opened the next window. So such a window has an earliest end, before which calls are certain to be in it, and a latest one.

use alloc::vec::Vec;

use crate::{Anchor, Tick, tick::nanos};

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
    count: Count,
    // Used only where the window opens with the first call.
    openers: Openers,
}

/// The part that time moves on, small enough to be moved on in a copy.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    // The provider's window that is counted now; none before the first charge.
    bounds: Option<Bounds>,
    used: u64,
    // The part of `used` that was booked so near the end that the next window may count it.
    late: Option<Late>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// From here on we count.
    start: Tick,
    /// The earliest end of the provider's window.
    end: Tick,
    /// The instant from which the count starts again.
    over: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Late {
    units: u64,
    first: Tick,
    last: Tick,
}

/// The charges that may have opened a window from the first call.
#[derive(Clone, Debug, Default)]
struct Openers {
    // Late bookings of the window before.
    carried: Option<Late>,
    // The first forced booking.
    forced: Option<Tick>,
    // The first reservation that was settled with something used.
    settled: Option<Tick>,
    // Open reservations before all of those, ascending: each may yet turn out never to have been sent.
    open: Vec<Tick>,
}

impl Window {
    /// Starts counting the window of `now` if the counted one is over.
    pub(crate) fn advance(&mut self, now: Tick, frame: &Frame) {
        let late = self.count.late;
        if self.count.advance(now, frame) {
            self.openers.clear();
            self.openers.carried = self.count.bounds.and(late);
        }
    }

    /// The earliest instant from `from` on at which `wanted` units fit, those in flight among them; `None` if that takes a
    /// settlement or longer than time lasts. The state must have been advanced.
    pub(crate) fn fit(&self, from: Tick, wanted: u64, frame: &Frame) -> Option<Tick> {
        let room = frame.limit.checked_sub(wanted)?;
        let mut count = self.count;
        let mut at = from;
        loop {
            count.advance(at, frame);
            let bounds = count.bounds_at(at, frame);
            let next = match bounds {
                Some(bounds) if count.used > room => bounds.over,
                Some(bounds) => match frame.reopens(bounds, at) {
                    Some(next) => next,
                    None => return Some(at),
                },
                None => return Some(at),
            };
            if next <= at {
                // A window that ends at the end of time.
                return None;
            }
            at = next;
        }
    }

    /// Units that a call could take now.
    pub(crate) fn room(&self, now: Tick, held: u64, frame: &Frame) -> u64 {
        match self.count.bounds_at(now, frame) {
            Some(bounds) if frame.reopens(bounds, now).is_some() => 0,
            _ => frame
                .limit
                .saturating_sub(self.count.used)
                .saturating_sub(held),
        }
    }

    /// Whether what happened `at` belongs to a window before the one of `now`.
    pub(crate) fn starts_after(&self, at: Tick, now: Tick, frame: &Frame) -> bool {
        self.count
            .bounds_at(now, frame)
            .is_some_and(|bounds| at < bounds.start)
    }

    /// Charges `units`; a reservation's can be withdrawn later, a forced booking's cannot.
    pub(crate) fn charge(&mut self, now: Tick, units: u64, reserved: bool, frame: &Frame) {
        if units == 0 {
            return;
        }
        self.count.used += units;
        if frame.on_first_call() {
            let start = self.count.bounds.map_or(now, |b| b.start);
            self.openers.add(now, reserved);
            self.count.bounds = self.openers.bounds(start, frame);
        } else if self.count.bounds.is_none() {
            self.count.bounds = Some(frame.containing(now));
        }
        if let Some(bounds) = self.count.bounds
            && now >= bounds.end.minus_nanos(frame.margin)
        {
            let late = self.count.late.get_or_insert(Late {
                units: 0,
                first: now,
                last: now,
            });
            late.units += units;
            late.last = now;
        }
    }

    /// Ends a reservation of `units` made `at`, giving back `refund` of them if its window is still the counted one: a refund never
    /// crosses into a new window. (Reservations are never made so near a boundary that two windows count them.)
    pub(crate) fn settle(&mut self, at: Tick, units: u64, refund: u64, frame: &Frame) {
        let Some(bounds) = self.count.bounds.filter(|b| b.start <= at) else {
            return;
        };
        self.count.used = self.count.used.saturating_sub(refund);
        if frame.on_first_call() && units > 0 {
            self.openers.settle(at, refund < units);
            self.count.bounds = self.openers.bounds(bounds.start, frame);
        }
    }

    /// From when on the window of `now` admits nothing; `None` if none is open.
    pub(crate) fn open_until(&self, now: Tick, frame: &Frame) -> Option<Tick> {
        let bounds = self.count.bounds_at(now, frame)?;
        Some(bounds.end.minus_nanos(frame.margin))
    }

    /// Whether nothing is counted, nor may have opened a window.
    pub(crate) const fn is_fresh(&self, frame: &Frame) -> bool {
        let idle = self.count.used == 0 && self.count.late.is_none();
        idle && (!frame.on_first_call() || self.count.bounds.is_none())
    }

    pub(crate) const fn used(&self) -> u64 {
        self.count.used
    }

    pub(crate) fn check_invariants(&self) {
        let Count { bounds, used, late } = self.count;
        debug_assert!(
            late.is_none_or(|late| late.units <= used),
            "late charges are part of the use"
        );
        debug_assert!(
            bounds.is_some() || used == 0,
            "what is used is used in a window"
        );
    }
}

impl Count {
    /// Moves on to the window of `now` if the counted one is over; returns whether it was.
    fn advance(&mut self, now: Tick, frame: &Frame) -> bool {
        let Some(current) = self.bounds else {
            return false;
        };
        if now < current.over || current.over == Tick::MAX {
            return false;
        }
        let late = self.late.take();
        let next = if frame.on_first_call() {
            // A window runs only once somebody has called, perhaps at the very end of the last one.
            late.map(|late| {
                frame.opened(
                    current.over,
                    late.first.minus_nanos(frame.margin),
                    late.last,
                )
            })
            .filter(|next| now < next.over)
        } else {
            Some(frame.containing(now))
        };
        self.used = match (next, late) {
            (Some(next), Some(late)) if next.start <= current.over => late.units,
            _ => 0,
        };
        self.bounds = next;
        true
    }

    fn bounds_at(&self, now: Tick, frame: &Frame) -> Option<Bounds> {
        if frame.on_first_call() {
            return self.bounds;
        }
        Some(self.bounds.unwrap_or_else(|| frame.containing(now)))
    }
}

impl Openers {
    fn clear(&mut self) {
        self.carried = None;
        self.forced = None;
        self.settled = None;
        self.open.clear();
    }

    fn add(&mut self, now: Tick, reserved: bool) {
        if !reserved {
            self.forced.get_or_insert(now);
        } else if self.forced.is_none() && self.settled.is_none() {
            self.open.push(now);
        }
    }

    /// A reservation made `at` was settled; it `stands` if something of it was used.
    fn settle(&mut self, at: Tick, stands: bool) {
        // One that is not listed came after a charge that stands for certain, and opened nothing.
        let Ok(i) = self.open.binary_search(&at) else {
            return;
        };
        if stands {
            self.settled = Some(at);
            self.open.retain(|&open| open < at);
        } else {
            self.open.remove(i);
        }
    }

    fn bounds(&self, start: Tick, frame: &Frame) -> Option<Bounds> {
        let before = |at: Tick| at.minus_nanos(frame.margin);
        let reserved = earliest([self.open.first().copied(), self.settled]);
        let own = earliest([reserved, self.forced]);
        let carried = self.carried;
        let first = earliest([
            reserved,
            self.forced.map(before),
            carried.map(|late| before(late.first)),
        ])?;
        let last = own.max(carried.map(|late| late.last))?;
        Some(frame.opened(start, first, last))
    }
}

fn earliest<const N: usize>(ticks: [Option<Tick>; N]) -> Option<Tick> {
    ticks.into_iter().flatten().min()
}

impl Frame {
    /// Whether its windows lie where those of another do.
    pub(crate) fn coincides_with(&self, other: &Self) -> bool {
        (self.window, self.margin, &self.anchor) == (other.window, other.margin, &other.anchor)
    }

    const fn on_first_call(&self) -> bool {
        matches!(self.anchor, Anchor::FirstCall)
    }

    /// When calls are admitted again, if `at` is too near one of the window's boundaries.
    fn reopens(&self, bounds: Bounds, at: Tick) -> Option<Tick> {
        if at >= bounds.end.minus_nanos(self.margin) {
            return Some(bounds.over);
        }
        let opens = bounds.start.plus_nanos(self.margin);
        (!self.on_first_call() && at < opens).then_some(opens)
    }

    /// A window from the first call that was opened between `first` and a margin after `last`.
    const fn opened(&self, start: Tick, first: Tick, last: Tick) -> Bounds {
        Bounds {
            start,
            end: first.plus_nanos(self.window),
            over: last.plus_nanos(self.window).plus_nanos(self.margin),
        }
    }

    /// The window set by the clock or the calendar that contains `at`.
    fn containing(&self, at: Tick) -> Bounds {
        let (start, end) = match &self.anchor {
            Anchor::FirstCall => (at, at.plus_nanos(self.window)),
            Anchor::Calendar(calendar) => calendar.around(at, self.window),
            Anchor::Aligned { offset } => {
                let phase = nanos(*offset) % self.window;
                let since = (at.as_nanos() % self.window + self.window - phase) % self.window;
                (at.minus_nanos(since), at.plus_nanos(self.window - since))
            }
        };
        Bounds {
            start,
            end,
            over: end,
        }
    }
}
