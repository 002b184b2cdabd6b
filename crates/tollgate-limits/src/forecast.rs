//! When a batch of calls would be through, without making them.

use alloc::vec::Vec;

use crate::{
    Amounts, Lane, Ledger, Tick,
    bucket::ticks,
    meter::{Meter, Opened},
    rare::Rares,
    terms::{Form, Terms},
};

/// A meter as the batch finds it, and what each call takes from it.
struct Course<'a> {
    meter: Meter,
    terms: &'a Terms,
    units: u64,
}

/// A bucket between two calls of the batch, in unit-nanoseconds: see `Bucket`.
#[derive(Clone, Copy)]
struct Pouring {
    limit: u64,
    poured: i128,
    /// What a call takes.
    scaled: i128,
    /// The highest level at which a call fits.
    threshold: i128,
}

/// The instants of the next calls, as the bucket that binds sets them.
#[derive(Clone, Copy)]
enum Beat {
    /// As it drains: the level never reaches zero between two calls.
    Draining(Pouring),
    /// Once it has been empty for the margin, which takes equally long each time.
    Emptying { from: u64, period: u64 },
}

impl Ledger {
    // Windows whose open parts never overlap would be searched for ever.
    const FORECAST_ROUNDS: u32 = 4_096;

    /// When the last of so many equal calls would be admitted, if they came now, one behind the other, and nothing else came:
    /// `None` if that takes a settlement, a longer time than there is, or if such a call never fits. Of no calls: now.
    ///
    /// It assumes that each of the calls is settled as reserved at the instant of its admission, so that slots and policies booked
    /// on completion are not held by the batch itself; that calls in flight stay in flight; that no news and no pause comes; and that
    /// calls wait for a budget that is spent, though [`Ledger::reserve`] refuses them.
    ///
    /// Where only buckets and fixed windows apply, it takes as long for a million calls as for ten; with sliding windows it takes a
    /// step per instant at which charges age out.
    ///
    /// # Panics
    /// If the lane belongs to another ledger or has been forgotten.
    pub fn forecast(
        &mut self,
        now: Tick,
        lane: Lane,
        calls: u64,
        amounts: &Amounts,
    ) -> Option<Tick> {
        let now = self.forward(now);
        let mut rares = Rares::new();
        let mut courses = Vec::new();
        for &m in self.lanes.get(lane).meters.as_slice() {
            let terms = self.books.terms_of(m);
            let mut meter = self
                .books
                .meter(m)
                .without_open(&self.books.rares, &mut rares);
            meter.advance(now, terms);
            courses.push(Course {
                meter,
                terms,
                units: terms.units(amounts),
            });
        }
        let (mut at, mut left) = (now, calls);
        while left > 0 {
            at = first_fit(&courses, at, &rares)?;
            let at_once = courses
                .iter()
                .map(|course| course.at_once(at, &rares))
                .min();
            let admitted = at_once.unwrap_or(left).clamp(1, left);
            for course in &mut courses {
                course.admit(at, admitted, &mut rares);
            }
            left -= admitted;
            if let Some((dripped, last)) = drip(&mut courses, at, left, &mut rares) {
                left -= dripped;
                at = last;
            }
        }
        Some(at)
    }
}

fn first_fit(courses: &[Course<'_>], mut at: Tick, rares: &Rares) -> Option<Tick> {
    for _ in 0..Ledger::FORECAST_ROUNDS {
        let before = at;
        for Course {
            meter,
            terms,
            units,
        } in courses
        {
            at = meter.fit(at, *units, terms, rares)?;
        }
        if at == before {
            return Some(at);
        }
    }
    None
}

impl Course<'_> {
    /// How many calls fit at this instant, at which one does.
    fn at_once(&self, at: Tick, rares: &Rares) -> u64 {
        if self.units == 0 || matches!(self.terms.form, Form::Slots(_)) {
            return u64::MAX;
        }
        let emptied = self.pouring().is_some_and(|pouring| {
            // The time for which it has been empty lets one call through, and is gone with that.
            pouring
                .level_at(1, at.as_nanos())
                .is_some_and(|level| level < 0)
        });
        if emptied || self.meter.spaces_grants(at, self.terms, rares) {
            return 1;
        }
        let mut meter = self.meter.clone();
        meter.advance(at, self.terms);
        meter.room(at, self.terms, rares) / self.units
    }

    /// So many calls at one instant, settled at once.
    fn admit(&mut self, at: Tick, calls: u64, rares: &mut Rares) {
        let Self {
            meter,
            terms,
            units,
        } = self;
        meter.advance(at, terms);
        if matches!(terms.form, Form::Slots(_)) {
            return;
        }
        let opened = Opened {
            seq: 0,
            at,
            units: *units * calls,
        };
        meter.reserve(at, 0, opened.units, terms, rares);
        meter.settle(at, opened, opened.units, terms.manner.booked, terms, rares);
    }

    fn pouring(&self) -> Option<Pouring> {
        let Form::Bucket(rate) = &self.terms.form else {
            return None;
        };
        let wanted = self.units.checked_add(self.meter.held())?;
        (self.units > 0).then(|| Pouring {
            limit: rate.limit,
            poured: self.meter.poured().unwrap_or_default(),
            scaled: rate.scaled(self.units),
            threshold: rate.threshold(wanted),
        })
    }
}

/// Admits, all together, calls that come one by one as buckets drain, from the call after that at `at` on: how many, and when the
/// last. `None` if they have to be looked at one by one.
fn drip(courses: &mut [Course<'_>], at: Tick, left: u64, rares: &mut Rares) -> Option<(u64, Tick)> {
    let mut most = left;
    let mut open_until = u64::MAX;
    let mut first: Option<(u64, Pouring)> = None;
    for course in &*courses {
        if course.meter.held_back_until(rares) > at
            || course.meter.spaces_grants(at, course.terms, rares)
        {
            return None;
        }
        match &course.terms.form {
            _ if course.units == 0 => {}
            Form::Slots(_) => {}
            Form::Sliding(_) => return None,
            Form::Window(frame) => {
                most = most.min(course.meter.room(at, course.terms, rares) / course.units);
                open_until = open_until.min(course.meter.open_until(at, frame)?.as_nanos());
            }
            Form::Bucket(_) => {
                let pouring = course.pouring()?;
                let next = pouring.time_of(1)?;
                if first.is_none_or(|(latest, _)| next > latest) {
                    first = Some((next, pouring));
                }
            }
        }
    }
    // Otherwise it is not a bucket that binds, or more of them fit at once.
    let (_, pouring) = first.filter(|(next, _)| *next > at.as_nanos())?;
    let beat = pouring.beat(at)?;
    let fits = |calls: u64| {
        let last = beat.time_of(calls)?;
        let others = courses.iter().filter_map(Course::pouring);
        let mut others = others.map(|other| other.keeps_up_with(&beat, calls));
        (last < open_until && others.all(|kept| kept == Some(true))).then_some(())
    };
    // The largest number for which all assumptions hold; each holds up to some number.
    let (mut good, mut bad) = (0, most.checked_add(1)?);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if fits(middle).is_some() {
            good = middle;
        } else {
            bad = middle;
        }
    }
    if good == 0 {
        return None;
    }
    let last = Tick::from_nanos(beat.time_of(good)?);
    for course in courses.iter_mut() {
        match course.pouring() {
            Some(pouring) => {
                let poured = pouring.after(&beat, good)?;
                course.meter.set_poured(poured);
            }
            None => course.admit(last, good, rares),
        }
    }
    Some((good, last))
}

impl Pouring {
    /// When the call in this place, from 1, fits if the level never reaches zero before it.
    fn time_of(&self, call: u64) -> Option<u64> {
        let before = self.scaled.checked_mul(i128::from(call - 1))?;
        let over = self
            .poured
            .checked_add(before)?
            .checked_sub(self.threshold)?;
        ticks(over, self.limit)
    }

    /// The level before the call in this place, at some instant, if it never reached zero.
    fn level_at(&self, call: u64, at: u64) -> Option<i128> {
        let before = self.scaled.checked_mul(i128::from(call - 1))?;
        let poured = self.poured.checked_add(before)?;
        Some(poured - i128::from(self.limit) * i128::from(at))
    }

    fn beat(self, at: Tick) -> Option<Beat> {
        if self.threshold < 0 {
            let period = ticks(self.scaled - self.threshold, self.limit)?;
            let from = at.as_nanos();
            let next = from.checked_add(period)?;
            // Several calls at once are an exception.
            return (self.time_of(1) == Some(next)).then_some(Beat::Emptying { from, period });
        }
        // Draining overshoots by less than the limit.
        (self.threshold >= i128::from(self.limit)).then_some(Beat::Draining(self))
    }

    /// Whether every call goes empty before the next, whatever the beat, from its first call on.
    fn is_loose(&self, beat: &Beat) -> Option<bool> {
        let least = i128::from(self.limit) * beat.shortest();
        let first = beat.time_of(1)?;
        Some(
            self.level_at(1, first)? <= self.threshold.min(0)
                && self.scaled - self.threshold.min(0) <= least,
        )
    }

    /// Whether so many calls at the beat find it as expected: either empty each time, or never.
    ///
    /// The instants of a beat are a straight line, rounded up. So whatever holds, with a nanosecond to spare, of the first and of the
    /// last holds of all between.
    fn keeps_up_with(&self, beat: &Beat, calls: u64) -> Option<bool> {
        if beat.is_of(self) || self.is_loose(beat)? {
            return Some(true);
        }
        let mut kept = self.threshold >= 0;
        for call in [1, calls] {
            let at = beat.time_of(call)?;
            kept &= self.time_of(call)? < at && self.level_at(call, at)? >= i128::from(self.limit);
        }
        Some(kept)
    }

    /// What has been poured after so many calls.
    fn after(&self, beat: &Beat, calls: u64) -> Option<i128> {
        if !beat.is_of(self) && self.is_loose(beat)? {
            let last = i128::from(self.limit) * i128::from(beat.time_of(calls)?);
            return Some(last + self.scaled);
        }
        self.poured
            .checked_add(self.scaled.checked_mul(calls.into())?)
    }
}

impl Beat {
    fn time_of(&self, call: u64) -> Option<u64> {
        match self {
            Self::Draining(pouring) => pouring.time_of(call),
            Self::Emptying { from, period } => from.checked_add(period.checked_mul(call)?),
        }
    }

    /// The least time between two calls.
    fn shortest(&self) -> i128 {
        match self {
            Self::Draining(pouring) => pouring.scaled / i128::from(pouring.limit),
            Self::Emptying { period, .. } => (*period).into(),
        }
    }

    fn is_of(&self, other: &Pouring) -> bool {
        match self {
            Self::Draining(pouring) => {
                (
                    pouring.poured,
                    pouring.limit,
                    pouring.scaled,
                    pouring.threshold,
                ) == (other.poured, other.limit, other.scaled, other.threshold)
            }
            Self::Emptying { .. } => false,
        }
    }
}
