//! `Queue`: who waits, in which order, until when. Pure: no clock, no lock, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;

use tollgate_limits::{Amounts, Labels, Lane, Tick};

/// First in, first out within a lane; lanes are asked in the order of their heads. Every operation is O(log waiters).
#[derive(Debug)]
pub(crate) struct Queue<G> {
    lanes: BTreeMap<Lane, BTreeSet<Ticket>>,
    heads: BTreeSet<(Ticket, Lane)>,
    deadlines: BTreeSet<(Tick, Ticket)>,
    waiters: BTreeMap<Ticket, Waiter<G>>,
    waiting: usize,
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

#[derive(Debug)]
pub(crate) struct Waiter<G> {
    pub(crate) lane: Lane,
    pub(crate) labels: Arc<Labels>,
    pub(crate) amounts: Amounts,
    pub(crate) deadline: Option<Tick>,
    pub(crate) waker: Option<Waker>,
    // What the gate has answered, until the caller fetches it.
    answer: Option<G>,
}

impl<G> Default for Queue<G> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            heads: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            waiters: BTreeMap::new(),
            waiting: 0,
        }
    }
}

impl<G> Waiter<G> {
    pub(crate) const fn new(
        lane: Lane,
        labels: Arc<Labels>,
        amounts: Amounts,
        deadline: Option<Tick>,
        waker: Waker,
    ) -> Self {
        Self {
            lane,
            labels,
            amounts,
            deadline,
            waker: Some(waker),
            answer: None,
        }
    }
}

impl<G> Queue<G> {
    /// Calls that wait and have no answer yet.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn enqueue(&mut self, ticket: Ticket, waiter: Waiter<G>) {
        let lane = self.lanes.entry(waiter.lane).or_default();
        if let Some(head) = lane.first() {
            self.heads.remove(&(*head, waiter.lane));
        }
        lane.insert(ticket);
        self.heads
            .extend(lane.first().map(|head| (*head, waiter.lane)));
        self.deadlines
            .extend(waiter.deadline.map(|deadline| (deadline, ticket)));
        self.waiters.insert(ticket, waiter);
        self.waiting += 1;
    }

    /// The first waiting call of the lane whose head comes next after `after`.
    pub(crate) fn head_after(&self, after: Option<Ticket>) -> Option<(Ticket, &Waiter<G>)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let (ticket, _) = match after {
            // A lane number above all others, so that the same ticket is not met twice.
            Some(after) => self
                .heads
                .range((Excluded((after, Lane::LAST)), Unbounded))
                .next()?,
            None => self.heads.first()?,
        };
        Some((*ticket, &self.waiters[ticket]))
    }

    /// The earliest deadline of a waiting call.
    pub(crate) fn first_deadline(&self) -> Option<(Tick, Ticket)> {
        self.deadlines.first().copied()
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Waiter<G>> {
        self.waiters.get(&ticket)
    }

    /// Answers a waiting call; it no longer stands in line. Returns whom to wake.
    pub(crate) fn answer(&mut self, ticket: Ticket, answer: G) -> Option<Waker> {
        self.leave_line(ticket);
        let waiter = self.waiters.get_mut(&ticket)?;
        waiter.answer = Some(answer);
        waiter.waker.take()
    }

    /// Takes the answer of a call, if it has one, and forgets the call; otherwise remembers whom to wake.
    pub(crate) fn fetch(&mut self, ticket: Ticket, waker: &Waker) -> Option<G> {
        let waiter = self.waiters.get_mut(&ticket)?;
        if waiter.answer.is_none() {
            match &mut waiter.waker {
                Some(known) if known.will_wake(waker) => {}
                other => *other = Some(waker.clone()),
            }
            return None;
        }
        self.waiters.remove(&ticket)?.answer
    }

    /// Forgets a call whose caller went away, with the answer it has not fetched.
    pub(crate) fn cancel(&mut self, ticket: Ticket) -> Option<G> {
        self.leave_line(ticket);
        self.waiters.remove(&ticket)?.answer
    }

    /// Everybody who waits, to be woken when the driver is gone.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.waiters
            .values()
            .filter_map(|waiter| waiter.waker.clone())
            .collect()
    }

    fn leave_line(&mut self, ticket: Ticket) {
        let Some(waiter) = self
            .waiters
            .get(&ticket)
            .filter(|waiter| waiter.answer.is_none())
        else {
            return;
        };
        if let Some(deadline) = waiter.deadline {
            self.deadlines.remove(&(deadline, ticket));
        }
        let lane = waiter.lane;
        self.waiting -= 1;
        let Some(line) = self.lanes.get_mut(&lane) else {
            return;
        };
        self.heads.remove(&(ticket, lane));
        line.remove(&ticket);
        match line.first() {
            Some(head) => {
                self.heads.insert((*head, lane));
            }
            None => {
                self.lanes.remove(&lane);
            }
        }
    }
}
