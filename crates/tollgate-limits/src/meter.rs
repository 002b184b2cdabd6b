//! `Meter`: one policy's count in one partition, whatever its shape, with pauses and news from the provider.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::{
    Amounts, Booking, Counting, Policy, Shape, Tick, Unit,
    bucket::{Bucket, Rate},
    decision::Binding,
    sliding::{Sliding, Span},
    window::{Frame, Window},
};

#[derive(Clone, Debug)]
pub(crate) struct Meter {
    pub(crate) policy: u32,
    pub(crate) partition: Vec<Arc<str>>,
    pub(crate) unit: Unit,
    booking: Booking,
    counting: Counting,
    pub(crate) refuses: bool,
    state: State,
    // Units of open reservations that are booked on completion; calls in flight for slots.
    held: u64,
    paused_until: Tick,
    // After a pause, grants are spaced at the quota's rate until then, so that no herd returns at one instant.
    paced_until: Tick,
    next_paced: Tick,
    // Running totals that date the provider's news: see `mark`.
    charged: u128,
    foreign: u128,
    news_sent: Tick,
}

#[derive(Clone, Debug)]
enum State {
    Bucket(Rate, Bucket),
    Window(Frame, Window),
    Sliding(Span, Sliding),
    Slots(u64),
}

/// A meter's books as a call left them when it was reserved, as one number: `used - charged - foreign`. Adding today's running
/// totals gives the use at the reservation plus everything learned since, without keeping a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark(i128);

/// An open reservation, as a meter sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) seq: u64,
    pub(crate) at: Tick,
    pub(crate) units: u64,
}

impl Meter {
    pub(crate) fn new(policy: &Policy, index: u32, partition: Vec<Arc<str>>) -> Self {
        let quota = policy.quota();
        let (limit, window, margin) = (quota.limit(), quota.window_nanos(), policy.margin);
        let state = match quota.shape() {
            Shape::Bucket { burst } => {
                let rate = Rate {
                    limit,
                    burst: *burst,
                    window,
                    margin,
                };
                State::Bucket(rate, Bucket::idle(&rate))
            }
            Shape::Window(anchor) => State::Window(
                Frame {
                    limit,
                    window,
                    margin,
                    anchor: anchor.clone(),
                },
                Window::default(),
            ),
            Shape::Sliding => State::Sliding(
                Span {
                    limit,
                    window,
                    margin,
                },
                Sliding::default(),
            ),
            Shape::Slots => State::Slots(limit),
        };
        Self {
            policy: index,
            partition,
            unit: quota.unit(),
            booking: policy.booking,
            counting: policy.counting,
            refuses: policy.refuses,
            state,
            held: 0,
            paused_until: Tick::ZERO,
            paced_until: Tick::ZERO,
            next_paced: Tick::ZERO,
            charged: 0,
            foreign: 0,
            news_sent: Tick::ZERO,
        }
    }

    /// The units that a call takes here.
    pub(crate) const fn units(&self, amounts: &Amounts) -> u64 {
        self.counting.units(self.unit, amounts)
    }

    /// Whether it refuses a call of so many units because they are spent: no settlement of a call in flight can make room.
    pub(crate) fn is_spent(&self, units: u64) -> bool {
        self.refuses && units > 0 && self.used().saturating_add(units) > self.capacity()
    }

    /// The most that one call can ever take.
    pub(crate) const fn capacity(&self) -> u64 {
        match &self.state {
            State::Bucket(rate, _) => rate.burst,
            _ => self.limit(),
        }
    }

    pub(crate) const fn limit(&self) -> u64 {
        match &self.state {
            State::Bucket(rate, _) => rate.limit,
            State::Window(frame, _) => frame.limit,
            State::Sliding(span, _) => span.limit,
            State::Slots(limit) => *limit,
        }
    }

    pub(crate) const fn window_nanos(&self) -> u64 {
        match &self.state {
            State::Bucket(rate, _) => rate.window,
            State::Window(frame, _) => frame.window,
            State::Sliding(span, _) => span.window,
            State::Slots(_) => 0,
        }
    }

    /// The earliest instant from `from` on at which `units` more fit if nothing else is charged; `None` if that takes a
    /// settlement or longer than time lasts. The state must have been advanced, to no later than `from`.
    pub(crate) fn fit(&self, from: Tick, units: u64) -> Option<Tick> {
        self.fit_beside(from, units, self.held)
    }

    /// The same beside `held` units in flight.
    pub(crate) fn fit_beside(&self, from: Tick, units: u64, held: u64) -> Option<Tick> {
        let from = from.max(self.held_back_until());
        if units == 0 {
            return Some(from);
        }
        match &self.state {
            State::Bucket(rate, bucket) => bucket.fit(units, held, rate).map(|at| at.max(from)),
            State::Window(frame, window) => window.fit(from, units, held, frame),
            State::Sliding(span, sliding) => sliding.fit(from, units, held, span),
            State::Slots(limit) => (held.saturating_add(units) <= *limit).then_some(from),
        }
    }

    /// Charges a reservation that fits.
    pub(crate) fn reserve(&mut self, now: Tick, seq: u64, units: u64) {
        if self.held_while_open() {
            self.held += units;
        } else {
            self.charge(now, units, Some(seq));
        }
        if now < self.paced_until {
            // Rounded up, against the caller.
            let gap = (u128::from(units) * u128::from(self.window_nanos()))
                .div_ceil(u128::from(self.limit()));
            self.next_paced = now.plus_nanos(u64::try_from(gap).unwrap_or(u64::MAX));
        }
    }

    /// Replaces a reservation's units by what was used.
    pub(crate) fn settle(&mut self, now: Tick, opened: Opened, used: u64) {
        self.advance(now);
        if self.held_while_open() {
            self.held -= opened.units;
            if !matches!(self.state, State::Slots(_)) {
                self.charge(now, used, None);
            }
            return;
        }
        let refund = match self.booking {
            Booking::ArrivalKept => 0,
            _ => opened.units.saturating_sub(used),
        };
        self.close(opened, refund);
        self.charge(now, used.saturating_sub(opened.units), None);
    }

    /// Ends a reservation that was never sent: as if it had not been made, as far as its charge has not aged out.
    pub(crate) fn release(&mut self, now: Tick, opened: Opened) {
        self.advance(now);
        if self.held_while_open() {
            self.held -= opened.units;
        } else {
            self.close(opened, opened.units);
        }
    }

    /// Charges what was used `at`, up to `now`, by calls that were not reserved here.
    pub(crate) fn book_past(&mut self, at: Tick, now: Tick, units: u64) {
        self.advance(now);
        let is_over = match &self.state {
            State::Window(frame, window) => window.starts_after(at, now, frame),
            State::Sliding(span, _) => span.free_at(at).is_some_and(|free| free <= now),
            State::Bucket(..) => false,
            State::Slots(_) => true,
        };
        if !is_over {
            self.charge(now, units, None);
        }
    }

    /// Blocks grants until `until`; an earlier pause is never shortened. Afterwards grants are paced for one window.
    pub(crate) fn pause(&mut self, until: Tick) {
        if matches!(self.state, State::Slots(_)) || until <= self.paused_until {
            return;
        }
        self.paused_until = until;
        self.paced_until = until.plus_nanos(self.window_nanos());
    }

    /// The books as they stand, to be compared with the provider's later.
    pub(crate) fn mark(&self) -> Mark {
        Mark(i128::from(self.used()) + i128::from(self.held) - self.learned())
    }

    /// Everything charged so far, whoever used it.
    fn learned(&self) -> i128 {
        i128::try_from(self.charged + self.foreign).unwrap_or(i128::MAX)
    }

    /// Books what the provider counts and we do not: use by others. Returns the units booked.
    ///
    /// `mark` is the books at the reservation of the call whose response brought the news, and `sent` its time: news from a call
    /// sent earlier than the latest heard is stale. What we have charged since that reservation may or may not be in the
    /// provider's count, so only what exceeds both is foreign; one response never lowers the level.
    pub(crate) fn adopt(&mut self, now: Tick, sent: Tick, mark: Mark, provider_used: u64) -> u64 {
        if matches!(self.state, State::Slots(_)) || sent < self.news_sent {
            return 0;
        }
        self.news_sent = sent;
        self.advance(now);
        let ours = mark.0 + self.learned();
        let foreign = u64::try_from(i128::from(provider_used) - ours).unwrap_or(0);
        if foreign > 0 {
            self.book(now, foreign, None);
            self.foreign += u128::from(foreign);
        }
        foreign
    }

    /// Takes over a lower limit that the provider reports. A higher one is ignored: raising is the user's decision.
    pub(crate) fn lower_limit(&mut self, reported: u64) -> bool {
        if reported == 0 || reported >= self.limit() {
            return false;
        }
        match &mut self.state {
            State::Bucket(rate, _) => {
                rate.limit = reported;
                rate.burst = rate.burst.min(reported);
            }
            State::Window(frame, _) => frame.limit = reported,
            State::Sliding(span, _) => span.limit = reported,
            State::Slots(_) => return false,
        }
        true
    }

    /// Explains why `units` do not fit now.
    pub(crate) fn binding(&self, now: Tick, units: u64, name: &Arc<str>) -> Binding {
        Binding {
            policy: name.clone(),
            unit: self.unit,
            needed: units,
            used: self.used(),
            remaining: self.room(now),
            capacity: self.capacity(),
            paused_until: Some(self.held_back_until()).filter(|&until| until > now),
        }
    }

    /// Units that could be granted now if no 429 held them back.
    fn room(&self, now: Tick) -> u64 {
        match &self.state {
            State::Bucket(rate, bucket) => bucket.room(self.held, rate),
            State::Window(frame, window) => window.room(now, self.held, frame),
            State::Sliding(span, sliding) => sliding.room(self.held, span),
            State::Slots(limit) => limit.saturating_sub(self.held),
        }
    }

    /// When the pause and the pacing after it next let a call through.
    fn held_back_until(&self) -> Tick {
        self.paused_until.max(self.next_paced.min(self.paced_until))
    }

    /// Units counted now, without those held in flight; above the limit when in debt.
    pub(crate) fn used(&self) -> u64 {
        match &self.state {
            State::Bucket(rate, bucket) => bucket.used(rate),
            State::Window(_, window) => window.used(),
            State::Sliding(_, sliding) => sliding.used(),
            State::Slots(_) => 0,
        }
    }

    pub(crate) const fn held(&self) -> u64 {
        self.held
    }

    pub(crate) fn paused_until(&self, now: Tick) -> Option<Tick> {
        (self.paused_until > now).then_some(self.paused_until)
    }

    pub(crate) fn advance(&mut self, now: Tick) {
        match &mut self.state {
            State::Bucket(rate, bucket) => bucket.advance(now, rate),
            State::Window(frame, window) => window.advance(now, frame),
            State::Sliding(span, sliding) => sliding.advance(now, span),
            State::Slots(_) => {}
        }
    }

    pub(crate) fn check_invariants(&self) {
        match &self.state {
            State::Bucket(_, bucket) => bucket.check_invariants(),
            State::Window(_, window) => window.check_invariants(),
            State::Sliding(_, sliding) => sliding.check_invariants(),
            State::Slots(_) => {}
        }
    }

    const fn held_while_open(&self) -> bool {
        matches!(self.booking, Booking::Completion) || matches!(self.state, State::Slots(_))
    }

    fn charge(&mut self, now: Tick, units: u64, seq: Option<u64>) {
        self.charged += u128::from(units);
        if units > 0 || seq.is_some() {
            self.book(now, units, seq);
        }
    }

    fn book(&mut self, now: Tick, units: u64, seq: Option<u64>) {
        // An absurd usage must not overflow the books. Reservations are never cut: they fit.
        let units = units.min(u64::MAX - self.used());
        match &mut self.state {
            State::Bucket(rate, bucket) => bucket.charge(units, seq, rate),
            State::Window(frame, window) => window.charge(now, units, seq.is_some(), frame),
            State::Sliding(span, sliding) => sliding.charge(now, units, span),
            State::Slots(_) => {}
        }
    }

    fn close(&mut self, opened: Opened, refund: u64) {
        match &mut self.state {
            State::Bucket(rate, bucket) => bucket.settle(opened.seq, refund, rate),
            State::Window(frame, window) => {
                window.settle(opened.at, opened.units, refund, frame);
            }
            State::Sliding(_, sliding) => sliding.refund(opened.at, refund),
            State::Slots(_) => {}
        }
    }
}
