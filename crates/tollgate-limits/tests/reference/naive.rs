//! A policy's whole history, kept for ever and replayed at each question: slow, plain, and written apart from the ledger.

#[path = "naive/change.rs"]
mod change;
#[path = "naive/count.rs"]
mod count;
#[path = "naive/room.rs"]
mod room;

use std::collections::{BTreeMap, BTreeSet};

use tollgate_limits::{Booking, News, Unit};

pub(crate) use count::Count;

/// A policy in the naive ledger's own terms; times in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spec {
    pub(crate) unit: Unit,
    pub(crate) shape: Kind,
    pub(crate) limit: u64,
    pub(crate) window: u64,
    pub(crate) margin: u64,
    pub(crate) booking: Booking,
    pub(crate) count: Count,
    pub(crate) refuses: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Bucket { burst: u64 },
    Sliding,
    Aligned { offset: u64 },
    FirstCall,
    Calendar(Vec<u64>),
    Slots,
}

/// One line of a policy's history.
#[derive(Clone, Debug)]
struct Line {
    at: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// `booked` units of which `units` still stand; `call` may get some back, forced bookings belong to nobody. `late` ones lie in
    /// the margin before a window's end.
    Charge {
        booked: u64,
        units: u64,
        call: Option<usize>,
        late: bool,
    },
    /// The limit fell to this.
    Limit(u64),
    /// The bucket's terms changed to these.
    Terms(Spec),
    /// A refund: whatever it makes of the past, the bucket was known to be this full (unit-nanoseconds, at most zero).
    AtLeast(i128),
}

#[derive(Clone, Copy, Debug)]
struct Charge {
    line: usize,
    at: u64,
    booked: u64,
    units: u64,
    forced: bool,
    late: bool,
}

/// One policy in one partition.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) spec: Spec,
    lines: Vec<Line>,
    /// What a bucket began with; its later terms are among the lines.
    first: Spec,
    lowered: Option<u64>,
    held: BTreeMap<usize, u64>,
    /// Calls whose provider keeps what they do not use.
    kept: BTreeSet<usize>,
    pub(crate) paused_until: u64,
    pub(crate) paced_until: u64,
    next_paced: u64,
    /// Every amount ever charged, and by each open call: the use when it was reserved, and how many of them there were.
    learned: Vec<u64>,
    seen: BTreeMap<usize, (u64, usize)>,
}

impl History {
    pub(crate) fn new(spec: &Spec) -> Self {
        Self {
            spec: spec.clone(),
            lines: Vec::new(),
            first: spec.clone(),
            lowered: None,
            held: BTreeMap::new(),
            kept: BTreeSet::new(),
            paused_until: 0,
            paced_until: 0,
            next_paced: 0,
            learned: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.lowered.unwrap_or(self.spec.limit)
    }

    pub(crate) fn capacity(&self) -> u64 {
        match self.spec.shape {
            // A lower limit caps the burst; a burst above the limit is the user's own choice.
            Kind::Bucket { burst } if self.lowered.is_some() => burst.min(self.limit()),
            Kind::Bucket { burst } => burst,
            _ => self.limit(),
        }
    }

    /// The same if no call were in flight that holds something.
    pub(crate) fn alone(&self) -> Self {
        let mut alone = self.clone();
        alone.held.clear();
        alone
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.values().sum()
    }

    fn charges(&self) -> impl Iterator<Item = Charge> {
        let charge = |(line, entry): (usize, &Line)| match entry.what {
            What::Charge {
                booked,
                units,
                call,
                late,
            } => Some(Charge {
                line,
                at: entry.at,
                booked,
                units,
                forced: call.is_none(),
                late,
            }),
            _ => None,
        };
        self.lines.iter().enumerate().filter_map(charge)
    }

    /// A bucket's level in unit-nanoseconds; below zero it counts how long it has been empty, up to the margin.
    fn level(&self, now: u64) -> i128 {
        let wide = i128::from;
        let mut spec = &self.first;
        let mut limit = wide(spec.limit);
        let (mut level, mut at) = (-limit * wide(spec.margin), 0);
        let drained = |level: i128, limit: i128, margin: u64, span: u64| {
            if span == 0 {
                level
            } else {
                (level - limit * wide(span)).max(-limit * wide(margin))
            }
        };
        for line in &self.lines {
            level = drained(level, limit, spec.margin, line.at - at);
            at = line.at;
            match &line.what {
                What::Charge { units: 0, .. } => {}
                What::Charge { units, .. } => {
                    level = level.max(0) + wide(*units) * wide(spec.window)
                }
                What::Limit(lowered) => limit = wide(*lowered),
                What::Terms(new) => {
                    let (idle, new_idle) = (
                        -limit * wide(spec.margin),
                        -wide(new.limit) * wide(new.margin),
                    );
                    level = match level {
                        _ if level <= idle => new_idle,
                        // For how long it has been empty, rounded down.
                        _ if level < 0 => (-(-level / limit) * wide(new.limit)).max(new_idle),
                        // Windows grow by whole multiples here, so nothing is rounded.
                        _ => level * wide(new.window / spec.window),
                    };
                    spec = new;
                    limit = wide(new.limit);
                }
                What::AtLeast(known) => level = level.max(*known),
            }
        }
        drained(level, limit, spec.margin, now - at)
    }

    /// What a sliding window holds: charges within a 4096th of the window of the first of them age out with the last of them.
    fn in_any_span(&self, now: u64) -> u64 {
        let kept = self.spec.window + self.spec.margin;
        let cells = self.cells().into_iter();
        cells
            .filter(|(_, last, _)| now < last + kept)
            .map(|(.., sum)| sum)
            .sum()
    }

    fn cells(&self) -> Vec<(u64, u64, u64)> {
        let mut cells: Vec<(u64, u64, u64)> = Vec::new();
        for charge in self.charges().filter(|charge| charge.booked > 0) {
            let at = charge.at;
            match cells.last_mut() {
                Some((first, last, sum))
                    if at - *first < self.spec.window / 4096 || at == *last =>
                {
                    *last = at;
                    *sum += charge.units;
                }
                _ => cells.push((at, at, charge.units)),
            }
        }
        cells
    }

    /// The window of the clock or the calendar that `at` lies in.
    fn frame(&self, at: u64) -> (u64, u64) {
        let window = self.spec.window;
        match &self.spec.shape {
            Kind::Aligned { offset } => {
                // Counted from far enough back that no boundary is missed.
                let first = offset % window;
                let n = (at + window - first) / window;
                (
                    (n * window + first).saturating_sub(window),
                    n * window + first,
                )
            }
            Kind::Calendar(boundaries) => {
                let mut end = boundaries[0];
                while end >= window && end - window > at {
                    end -= window;
                }
                let mut start = end.saturating_sub(window);
                let first = end;
                let mut listed = boundaries.iter().copied().filter(|b| *b > first);
                while end <= at {
                    start = end;
                    end = listed.next().unwrap_or(end + window);
                }
                (start, end)
            }
            _ => unreachable!("only these are set by the clock"),
        }
    }

    /// A window from the first call at `now`: its charges, those carried over from the one before, the instant from which a call
    /// is not certain to be in it, and the one from which a call is certain not to be.
    fn since_first_call(&self, now: u64) -> Option<(Vec<Charge>, Vec<Charge>, u64, u64)> {
        let Spec { window, margin, .. } = self.spec;
        let opened_after = |charge: &Charge| match charge.forced {
            true => charge.at.saturating_sub(margin),
            false => charge.at,
        };
        let span = |own: &[Charge], carried: &[Charge]| {
            let after = own.iter().chain(carried).map(opened_after).min()?;
            let before = own
                .first()
                .map(|c| c.at)
                .max(carried.last().map(|c| c.at))?;
            Some((after + window, before + window + margin))
        };
        let (mut own, mut carried) = (Vec::new(), Vec::new());
        let mut move_on = |own: &mut Vec<Charge>, at: u64| {
            while span(own, &carried).is_some_and(|(_, over)| at >= over) {
                own.retain(|charge| charge.late);
                carried = std::mem::take(own);
            }
        };
        for charge in self.charges().filter(|charge| charge.units > 0) {
            move_on(&mut own, charge.at);
            own.push(charge);
        }
        move_on(&mut own, now);
        let (end, over) = span(&own, &carried)?;
        Some((own, carried, end, over))
    }

    pub(crate) fn used(&self, now: u64) -> u64 {
        match self.spec.shape {
            Kind::Bucket { .. } => {
                let level = u128::try_from(self.level(now).max(0)).unwrap();
                u64::try_from(level.div_ceil(self.spec.window.into())).unwrap()
            }
            Kind::Sliding => self.in_any_span(now),
            Kind::FirstCall => self.since_first_call(now).map_or(0, |(own, carried, ..)| {
                own.iter().chain(&carried).map(|charge| charge.units).sum()
            }),
            Kind::Slots => 0,
            _ => {
                let (start, end) = self.frame(now);
                let counted = |c: &Charge| {
                    (start..end).contains(&c.at) || c.late && self.frame(c.at).1 == start
                };
                self.charges()
                    .filter(counted)
                    .map(|charge| charge.units)
                    .sum()
            }
        }
    }

    fn charge(&mut self, now: u64, units: u64, call: Option<usize>) {
        self.lines.push(Line {
            at: now,
            what: What::Charge {
                booked: units,
                units,
                call,
                late: false,
            },
        });
        let margin = self.spec.margin;
        let near_the_end = match self.spec.shape {
            Kind::Aligned { .. } | Kind::Calendar(_) => now + margin >= self.frame(now).1,
            Kind::FirstCall => self
                .since_first_call(now)
                .is_some_and(|(_, _, end, _)| now + margin >= end),
            _ => false,
        };
        if let Some(Line {
            what: What::Charge { late, .. },
            ..
        }) = self.lines.last_mut()
        {
            *late = near_the_end && units > 0;
        }
    }

    pub(crate) fn reserve(&mut self, now: u64, call: usize, units: u64) {
        if self.holds() {
            self.held.insert(call, units);
        } else {
            self.learned.push(units);
            self.charge(now, units, Some(call));
            if self.spec.booking == Booking::ArrivalKept {
                self.kept.insert(call);
            }
        }
        if now < self.paced_until {
            self.next_paced = now + (units * self.spec.window).div_ceil(self.limit());
        }
        self.seen
            .insert(call, (self.used(now) + self.held(), self.learned.len()));
    }

    pub(crate) fn settle(&mut self, now: u64, call: usize, reserved: u64, used: Option<u64>) {
        if self.held.remove(&call).is_some() {
            if let (Some(used), false) = (used, matches!(self.spec.shape, Kind::Slots)) {
                self.learned.push(used);
                self.charge(now, used, None);
            }
            return;
        }
        let kept = match used {
            None => 0,
            Some(_) if self.kept.contains(&call) => reserved,
            Some(used) => used.min(reserved),
        };
        let known = match self.spec.shape {
            Kind::Bucket { .. } => self.level(now).min(0),
            _ => 0,
        };
        let window_open = match self.spec.shape {
            Kind::FirstCall => self.since_first_call(now).map(|(own, ..)| own),
            _ => None,
        };
        let i = self
            .lines
            .iter()
            .position(|line| matches!(line.what, What::Charge { call: Some(c), .. } if c == call));
        // Its charge is not told apart any more if the shape has changed since.
        if let Some(i) = i {
            let counted = !matches!(self.spec.shape, Kind::FirstCall)
                || window_open.is_some_and(|own| own.iter().any(|charge| charge.line == i));
            if let (What::Charge { units, .. }, true) = (&mut self.lines[i].what, counted) {
                *units = kept;
            }
            self.lines.push(Line {
                at: now,
                what: What::AtLeast(known),
            });
        }
        let overrun = used.unwrap_or(0).saturating_sub(reserved);
        self.learned.push(overrun);
        self.charge(now, overrun, None);
    }

    fn holds(&self) -> bool {
        matches!(self.spec.shape, Kind::Slots) || self.spec.booking == Booking::Completion
    }

    pub(crate) fn adopt(&mut self, now: u64, call: usize, news: &News) -> bool {
        if matches!(self.spec.shape, Kind::Slots) {
            return false;
        }
        let lowered = news.limit.filter(|limit| *limit < self.limit());
        if let Some(limit) = lowered {
            self.lowered = Some(limit);
            self.lines.push(Line {
                at: now,
                what: What::Limit(limit),
            });
        }
        let Some(remaining) = news.remaining else {
            return lowered.is_some();
        };
        let theirs = self
            .capacity()
            .min(self.limit())
            .saturating_sub(remaining + news.rounding);
        let (used_then, learned_then) = self.seen[&call];
        let ours = used_then + self.learned[learned_then..].iter().sum::<u64>();
        let foreign = theirs.saturating_sub(ours);
        if foreign > 0 {
            self.learned.push(foreign);
            self.charge(now, foreign, None);
        }
        lowered.is_some() || foreign > 0
    }
}
