//! `Queue`: who waits, in which order, until when. Pure: no clock, no lock, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::task::Waker;

use tollgate_limits::{Amounts, Labels, Lane, Tick, Wait};

use crate::call::Asked;

/// First in, first out within a lane; lanes are asked in the order of their heads. Every operation is O(log waiters).
#[derive(Debug)]
pub(crate) struct Queue<G> {
    lanes: BTreeMap<Lane, BTreeSet<Place>>,
    // The first of each lane.
    heads: BTreeSet<Place>,
    deadlines: BTreeSet<(Tick, Place)>,
    waiters: BTreeMap<Place, Waiter<G>>,
    waiting: usize,
    next_stay: u64,
}

/// A call's place in the queue: by priority, then first come, first served. A call that is sent again keeps its ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub(crate) priority: Priority,
    pub(crate) number: u64,
}

/// Which calls go first among those that wait for the same quota. Strict: a lower class waits while a higher one has calls waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody is waiting for the answer.
    High,
    /// The default.
    #[default]
    Normal,
    /// Work that can wait, such as batches.
    Low,
}

/// One stay in the queue, never used again. A ticket is not enough to know it by: two hedged attempts can hold the same one, and a
/// call that gave up can come back with its own while an answer to the first attempt is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) ticket: Ticket,
    stay: u64,
}

#[derive(Debug)]
pub(crate) struct Waiter<G> {
    pub(crate) lane: Lane,
    pub(crate) labels: Arc<Labels>,
    pub(crate) asked: Asked,
    /// What it asked for when it was last looked at.
    pub(crate) amounts: Amounts,
    pub(crate) deadline: Option<Tick>,
    pub(crate) waker: Option<Waker>,
    /// What a store has said of it.
    pub(crate) told: Option<Told>,
    // What the gate has answered, until the caller fetches it.
    answer: Option<G>,
}

/// A store's answer to a call that has to wait.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) wait: Wait,
    /// It is asked again from then on, or after a settlement.
    pub(crate) again: Tick,
    /// Settlements when it was asked.
    pub(crate) settlements: u64,
}

impl<G> Default for Queue<G> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            heads: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            waiters: BTreeMap::new(),
            waiting: 0,
            next_stay: 0,
        }
    }
}

impl<G> Waiter<G> {
    pub(crate) const fn new(
        lane: Lane,
        labels: Arc<Labels>,
        asked: Asked,
        amounts: Amounts,
        deadline: Option<Tick>,
        waker: Waker,
    ) -> Self {
        Self {
            lane,
            labels,
            asked,
            amounts,
            deadline,
            waker: Some(waker),
            told: None,
            answer: None,
        }
    }

    /// What it was answered and has not fetched.
    pub(crate) fn into_answer(self) -> Option<G> {
        self.answer
    }
}

impl<G> Queue<G> {
    /// Calls that wait and have no answer yet.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn enqueue(&mut self, ticket: Ticket, waiter: Waiter<G>) -> Place {
        let place = Place {
            ticket,
            stay: self.next_stay,
        };
        self.next_stay += 1;
        let line = self.lanes.entry(waiter.lane).or_default();
        if let Some(head) = line.first() {
            self.heads.remove(head);
        }
        line.insert(place);
        self.heads.extend(line.first());
        self.deadlines
            .extend(waiter.deadline.map(|deadline| (deadline, place)));
        self.waiters.insert(place, waiter);
        self.waiting += 1;
        place
    }

    /// The lanes' first waiting calls that come after `after`, in order: the next one.
    pub(crate) fn head_after(&self, after: Option<Place>) -> Option<(Place, &Waiter<G>)> {
        let place = *match after {
            Some(after) => self.heads.range((Excluded(after), Unbounded)).next()?,
            None => self.heads.first()?,
        };
        Some((place, &self.waiters[&place]))
    }

    /// The lanes' first waiting calls, in order.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Waiter<G>> {
        self.heads.iter().map(|place| &self.waiters[place])
    }

    /// Whether it is the first of its lane.
    pub(crate) fn is_head(&self, place: Place) -> bool {
        self.heads.contains(&place)
    }

    /// What a waiting call asks for by now; nothing if it has left.
    pub(crate) fn look_again(&mut self, place: Place) -> Amounts {
        self.get_mut(place).map_or(Amounts::ZERO, |waiter| {
            waiter.amounts = waiter.asked.now();
            waiter.amounts
        })
    }

    /// The earliest deadline of a waiting call.
    pub(crate) fn first_deadline(&self) -> Option<(Tick, Place)> {
        self.deadlines.first().copied()
    }

    /// A call that waits and has no answer yet.
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Waiter<G>> {
        self.waiters
            .get_mut(&place)
            .filter(|waiter| waiter.answer.is_none())
    }

    /// Answers a waiting call; it no longer stands in line. Returns whom to wake.
    pub(crate) fn answer(&mut self, place: Place, answer: G) -> Option<Waker> {
        self.leave_line(place);
        let waiter = self.waiters.get_mut(&place)?;
        waiter.answer = Some(answer);
        waiter.waker.take()
    }

    /// Takes the answer of a call, if it has one, and forgets the call; otherwise remembers whom to wake.
    pub(crate) fn fetch(&mut self, place: Place, waker: &Waker) -> Option<G> {
        let waiter = self.waiters.get_mut(&place)?;
        if waiter.answer.is_none() {
            match &mut waiter.waker {
                Some(known) if known.will_wake(waker) => {}
                other => *other = Some(waker.clone()),
            }
            return None;
        }
        self.waiters.remove(&place)?.answer
    }

    /// Forgets a call whose caller went away; it may have been answered and not have fetched it.
    pub(crate) fn cancel(&mut self, place: Place) -> Option<Waiter<G>> {
        self.leave_line(place);
        self.waiters.remove(&place)
    }

    /// Everybody who waits, to be woken when the driver is gone.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.waiters
            .values()
            .filter_map(|waiter| waiter.waker.clone())
            .collect()
    }

    fn leave_line(&mut self, place: Place) {
        let Some(waiter) = self.get_mut(place) else {
            return;
        };
        let (lane, deadline) = (waiter.lane, waiter.deadline);
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, place));
        }
        self.waiting -= 1;
        let Some(line) = self.lanes.get_mut(&lane) else {
            return;
        };
        self.heads.remove(&place);
        line.remove(&place);
        match line.first() {
            Some(head) => {
                self.heads.insert(*head);
            }
            None => {
                self.lanes.remove(&lane);
            }
        }
    }
}
