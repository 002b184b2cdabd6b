//! `Queue`: who waits, where, in which order, until when. Pure: no clock, no lock, no tasks.
//!
//! Calls of one lane, class and tenant form a *line*, in the order of their tickets. A line *stands* at the one meter that its first
//! call lacks room in; whoever goes first there is looked at when that meter may have room, and nobody else. So nothing here walks
//! all lines, and a line that waits for one meter is in nobody's way at another.

pub(crate) mod fair;
pub(crate) mod line;
pub(crate) mod slab;

mod index;
mod lines;
mod park;
mod stand;
mod waiter;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Waker;

use tollgate_limits::{Amounts, Labels, Lane, Tick};

pub(crate) use self::{
    fair::{Standing, Tenant},
    index::IndexMap,
    line::{Kind, Line, LineId},
    lines::Lines,
    park::Ahead,
    slab::Place,
    waiter::{Told, Waiter},
};
use self::{park::Park, slab::Slab, waiter::Stage};
use crate::{Call, Ticket};

#[derive(Debug)]
pub(crate) struct Queue<A> {
    waiters: Slab<Waiter<A>>,
    pub(crate) lines: Lines,
    parks: IndexMap<u32, Park>,
    wakes: BTreeSet<(Tick, u32)>,
    deadlines: BTreeSet<(Tick, Place)>,
    // Meters whose first line has to be looked at.
    due: Vec<u32>,
    // With the ledger elsewhere nobody knows what a line lacks room in: all their heads in order, to be asked for.
    heads: Option<BTreeSet<(Ticket, LineId)>>,
    waiting: usize,
    /// The same by tenant, where that is bounded.
    by_tenant: Option<IndexMap<Tenant, usize>>,
    /// Those of them whose amounts are estimated, and so may have become less whenever something was learned.
    pub(crate) estimated: usize,
    /// Nanoseconds after which a class that is passed over at a meter rises by one.
    pub(crate) ageing: u64,
    /// Lanes that nobody waits for any more.
    pub(crate) vacated: Vec<Lane>,
}

/// What became of a call that was lined up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined {
    pub(crate) place: Place,
    pub(crate) line: LineId,
    /// It is the first of its line, which stands nowhere now.
    pub(crate) first: bool,
    /// It is the only one of its line.
    pub(crate) alone: bool,
}

/// What a call was answered, for what amounts, and since when it waited until when.
#[derive(Debug)]
pub(crate) struct Fetched<A> {
    pub(crate) answer: A,
    pub(crate) call: Call,
    pub(crate) amounts: Amounts,
    pub(crate) ticket: Ticket,
    pub(crate) since: Tick,
    pub(crate) answered: Tick,
}

/// What a call leaves behind whose caller went away. To be dropped once the lock is gone, because dropping a waker can run anybody's
/// code.
#[derive(Debug)]
pub(crate) struct Left<A> {
    pub(crate) labels: Arc<Labels>,
    pub(crate) since: Tick,
    /// It had been answered and had not fetched it.
    pub(crate) answer: Option<A>,
    _waker: Option<Waker>,
}

impl<A> Queue<A> {
    /// An empty queue. `in_store`: the ledger is elsewhere. `ageing` is at least 1.
    pub(crate) fn new(ageing: u64, in_store: bool) -> Self {
        Self {
            waiters: Slab::default(),
            lines: Lines::default(),
            parks: IndexMap::default(),
            wakes: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            due: Vec::new(),
            heads: in_store.then(BTreeSet::new),
            waiting: 0,
            by_tenant: None,
            estimated: 0,
            ageing: ageing.max(1),
            vacated: Vec::new(),
        }
    }

    /// Calls that wait and have no answer yet.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Counts by tenant from now on, before anybody waits.
    pub(crate) fn count_tenants(&mut self) {
        self.by_tenant = Some(IndexMap::default());
    }

    /// Calls of a tenant that wait; 0 if they are not counted.
    pub(crate) fn waiting_of(&self, tenant: Tenant) -> usize {
        let counts = self.by_tenant.as_ref();
        counts
            .and_then(|counts| counts.get(&tenant).copied())
            .unwrap_or_default()
    }

    /// Lines a call up. If it is the first of its line, the caller has to [`Queue::stand`] the line at a meter.
    pub(crate) fn enqueue(
        &mut self,
        kind: Kind,
        number: u64,
        waiter: impl FnOnce(LineId) -> Waiter<A>,
    ) -> Joined {
        let line = self.lines.find_or_open(kind);
        let waiter = waiter(line);
        let (deadline, amounts) = (waiter.deadline, *waiter.amounts());
        self.estimated += usize::from(waiter.is_estimated());
        let place = self.waiters.insert(waiter);
        if deadline < Tick::MAX {
            self.deadlines.insert((deadline, place));
        }
        self.waiting += 1;
        if let Some(counts) = &mut self.by_tenant {
            *counts.entry(kind.tenant).or_default() += 1;
        }
        self.lines[line].insert(number, place);
        self.lines[line].backlog.add(&amounts);
        let first = self.lines[line].front() == Some((number, place));
        if first {
            self.lift(line);
            self.lines[line].start_over();
            self.rehead(line);
        }
        let alone = self.lines[line].live() == 1;
        Joined {
            place,
            line,
            first,
            alone,
        }
    }

    /// The first call of a line.
    pub(crate) fn head_of(&self, id: LineId) -> Option<&Waiter<A>> {
        self.waiters.get(self.lines[id].front()?.1)
    }

    /// The earliest deadline of a waiting call.
    pub(crate) fn first_deadline(&self) -> Option<(Tick, Place)> {
        self.deadlines.first().copied()
    }

    /// The next line's head after `after`, in the order of tickets; for a ledger elsewhere.
    pub(crate) fn head_after(
        &self,
        after: Option<(Ticket, LineId)>,
    ) -> Option<((Ticket, LineId), Place)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let head = *self.heads.as_ref()?.range((from, Unbounded)).next()?;
        self.lines[head.1].front().map(|(_, place)| (head, place))
    }

    /// All lines' heads in the order of tickets; for a ledger elsewhere.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Waiter<A>> {
        let heads = self.heads.iter().flatten();
        heads.filter_map(|(_, id)| self.waiters.get(self.lines[*id].front()?.1))
    }

    /// Whether a call is the first of its line.
    pub(crate) fn is_head(&self, place: Place) -> bool {
        self.get(place)
            .and_then(|waiter| self.lines[waiter.line].front())
            .is_some_and(|(_, head)| head == place)
    }

    /// A call that waits and has no answer yet.
    pub(crate) fn get(&self, place: Place) -> Option<&Waiter<A>> {
        self.waiters.get(place).filter(|waiter| waiter.waits())
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Waiter<A>> {
        self.waiters.get_mut(place).filter(|waiter| waiter.waits())
    }

    /// What a waiting call asks for by now; nothing if it has left.
    pub(crate) fn look_again(&mut self, place: Place) -> Amounts {
        let Some(waiter) = self.waiters.get_mut(place) else {
            return Amounts::ZERO;
        };
        let before = waiter.estimate_again();
        let amounts = *waiter.amounts();
        if let Some(before) = before {
            let backlog = &mut self.lines[waiter.line].backlog;
            backlog.subtract(&before);
            backlog.add(&amounts);
        }
        amounts
    }

    /// Answers a waiting call; it no longer stands in line. Returns whom to wake.
    pub(crate) fn answer(&mut self, place: Place, answer: A, now: Tick) -> Option<Waker> {
        let waiter = self.get_mut(place)?;
        let waker = waiter.answer(answer, now);
        self.leave_line(place, now);
        waker
    }

    /// Takes the answer of a call, if it has one, and forgets the call; otherwise remembers whom to wake.
    pub(crate) fn fetch(&mut self, place: Place, waker: &Waker) -> Option<Fetched<A>> {
        let waiter = self.waiters.get_mut(place)?;
        match &mut waiter.stage {
            Stage::Waiting { waker: known, .. } => {
                if !known.will_wake(waker) {
                    known.clone_from(waker);
                }
                None
            }
            Stage::Answered { .. } => {
                let waiter = self.waiters.remove(place)?;
                let (amounts, ticket, since) = (*waiter.amounts(), waiter.ticket, waiter.since);
                let (answer, call, answered) = waiter.into_answer()?;
                Some(Fetched {
                    answer,
                    call,
                    amounts,
                    ticket,
                    since,
                    answered,
                })
            }
        }
    }

    /// Forgets a call whose caller went away; it may have been answered and not have fetched it.
    pub(crate) fn cancel(&mut self, place: Place, now: Tick) -> Option<Left<A>> {
        if let Some(waiter) = self.get_mut(place) {
            let waker = waiter.give_up(now);
            self.leave_line(place, now);
            return self.forget(place, waker);
        }
        self.forget(place, None)
    }

    fn forget(&mut self, place: Place, waker: Option<Waker>) -> Option<Left<A>> {
        let left = self.waiters.remove(place)?;
        Some(Left {
            since: left.since,
            labels: left.labels().clone(),
            answer: left.into_answer().map(|(answer, ..)| answer),
            _waker: waker,
        })
    }

    /// Everybody who waits, to be woken when the driver is gone.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.waiters
            .values()
            .filter_map(Waiter::waker)
            .cloned()
            .collect()
    }

    /// Everybody who waits, in the order of tickets, leaves its line and joins the one that `kind_of` says. Returns the new lines, which
    /// stand nowhere.
    pub(crate) fn line_up_anew(
        &mut self,
        mut kind_of: impl FnMut(&Waiter<A>) -> Kind,
    ) -> Vec<LineId> {
        let ids: Vec<LineId> = self.lines.iter().map(|(id, _)| id).collect();
        let mut calls = Vec::with_capacity(self.waiting);
        for id in ids {
            self.lift(id);
            let (class, waiters) = (self.lines[id].kind.class, &self.waiters);
            let alive = |place| waiters.get(place).is_some_and(Waiter::waits);
            let all = self.lines[id].empty(alive);
            calls.extend(
                all.into_iter()
                    .map(|(number, place)| (class, number, place)),
            );
            self.vacated.push(self.lines[id].kind.lane);
            self.lines.close(id);
        }
        calls.sort_unstable();
        let mut opened = Vec::new();
        for (_, number, place) in calls {
            let Some(waiter) = self.waiters.get_mut(place) else {
                continue;
            };
            waiter.line = self.lines.find_or_open(kind_of(waiter));
            let line = &mut self.lines[waiter.line];
            if line.live() == 0 {
                opened.push(waiter.line);
            }
            line.insert(number, place);
            line.backlog.add(waiter.amounts());
        }
        opened
    }

    /// Everybody who waits, in no order.
    pub(crate) fn places(&self) -> Vec<Place> {
        let lines = self.lines.iter();
        let calls = lines.flat_map(|(_, line)| line.calls());
        calls.filter(|place| self.get(*place).is_some()).collect()
    }

    /// Takes a call that waits no longer out of its line.
    fn leave_line(&mut self, place: Place, now: Tick) {
        let Some(waiter) = self.waiters.get(place) else {
            return;
        };
        let (id, deadline, amounts) = (waiter.line, waiter.deadline, *waiter.amounts());
        self.estimated -= usize::from(waiter.is_estimated());
        if deadline < Tick::MAX {
            self.deadlines.remove(&(deadline, place));
        }
        self.waiting -= 1;
        let line = &mut self.lines[id];
        // A tenant of whom nobody waits is forgotten: there may be any number of them.
        if let Some(counts) = &mut self.by_tenant
            && let Some(count) = counts.get_mut(&line.kind.tenant)
        {
            *count -= 1;
            if *count == 0 {
                counts.remove(&line.kind.tenant);
            }
        }
        line.backlog.subtract(&amounts);
        let was_first = line.front().is_some_and(|(_, first)| first == place);
        let waiters = &self.waiters;
        line.leave(|place| waiters.get(place).is_some_and(Waiter::waits));
        if line.live() == 0 {
            self.lift(id);
            self.rehead(id);
            self.vacated.push(self.lines[id].kind.lane);
            self.lines.close(id);
        } else if was_first {
            self.next_head(id, now);
        }
    }

    /// The head has gone and the next call moves up. The line keeps standing where it does, unless its head was senior.
    fn next_head(&mut self, id: LineId, now: Tick) {
        let line = &self.lines[id];
        let (senior, spot) = (line.senior, line.spots.first().copied());
        if senior {
            self.lift(id);
        }
        self.lines[id].start_over();
        match spot {
            Some(meter) if senior => self.stand(id, meter, now),
            Some(meter) => self.note(meter),
            None => {}
        }
        self.rehead(id);
    }

    /// Notes a line's new head down, where a ledger elsewhere is asked for it.
    fn rehead(&mut self, id: LineId) {
        let Some(heads) = &mut self.heads else {
            return;
        };
        let line = &mut self.lines[id];
        let ticket = |number| Ticket {
            priority: line.kind.class,
            number,
        };
        heads.remove(&(ticket(line.stands_as), id));
        if let Some((number, _)) = line.front() {
            heads.insert((ticket(number), id));
            line.stands_as = number;
        }
    }

    pub(crate) fn check_invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        assert!(self.waiting <= self.waiters.len());
        assert!(self.wakes.len() <= self.parks.len());
        // What takes long is looked at in short queues only.
        if self.waiting <= 32 {
            let waits = |place| self.get(place).is_some();
            let live: usize = self.lines.iter().map(|(_, line)| line.live()).sum();
            assert_eq!(live, self.waiting);
            for (_, line) in self.lines.iter() {
                line.check_invariants(waits);
                assert!(self.heads.is_some() || !line.spots.is_empty(), "{line:?}");
                assert!(line.senior || line.spots.len() <= 1);
            }
            for (meter, park) in &self.parks {
                park.check_invariants();
                assert!(!park.is_empty());
                assert!(
                    park.wake
                        .is_none_or(|wake| self.wakes.contains(&(wake, *meter)))
                );
                assert!(park.lines().all(|id| self.lines[id].spots.contains(meter)));
            }
        }
    }
}
