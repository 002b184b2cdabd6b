//! `Line`: calls of one lane, class and tenant that wait, in the order in which they came.

use std::collections::VecDeque;

use tollgate_limits::{Amounts, Lane};

use super::{fair::Tenant, slab::Place};
use crate::Priority;

/// A line's index.
pub(crate) type LineId = u32;

/// What a line is for: the same for all its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) lane: Lane,
    pub(crate) class: Priority,
    pub(crate) tenant: Tenant,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    // By ticket number. Those who left are skipped when they come first, and swept out when they are more than half.
    calls: VecDeque<(u64, Place)>,
    live: usize,
    /// What those who wait ask for together.
    pub(crate) backlog: Backlog,
    /// Where it stands: one meter, or all of its lane's if it is senior.
    pub(crate) spots: Vec<u32>,
    /// The number under which it stands there; the head's may be higher by now.
    pub(crate) stands_as: u64,
    /// How often its head's turn came at one meter and another had no room.
    pub(crate) turned_away: u8,
    pub(crate) senior: bool,
}

/// A line as short as this is not swept.
const SWEEP_FROM: usize = 32;

impl Line {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            calls: VecDeque::new(),
            live: 0,
            backlog: Backlog::default(),
            spots: Vec::new(),
            stands_as: 0,
            turned_away: 0,
            senior: false,
        }
    }

    /// Takes an emptied line into use again, with the memory it has.
    pub(crate) fn renew(&mut self, kind: Kind) {
        debug_assert!(
            self.live == 0 && self.spots.is_empty(),
            "nobody stands there"
        );
        self.calls.clear();
        self.kind = kind;
        self.backlog = Backlog::default();
        self.turned_away = 0;
        self.senior = false;
    }

    /// Another call is the head now: it has not been turned away yet.
    pub(crate) const fn start_over(&mut self) {
        self.turned_away = 0;
        self.senior = false;
    }

    /// Gives back the memory of an emptied line.
    pub(crate) fn shrink(&mut self) {
        self.calls = VecDeque::new();
        self.spots = Vec::new();
    }

    /// Calls that wait here.
    pub(crate) const fn live(&self) -> usize {
        self.live
    }

    /// The first, with its ticket's number; perhaps one that has left, before [`Line::trim`].
    pub(crate) fn front(&self) -> Option<(u64, Place)> {
        self.calls.front().copied()
    }

    /// Whether all that wait here came before a call with this number.
    pub(crate) fn is_before(&self, number: u64) -> bool {
        self.calls.back().is_none_or(|(last, _)| *last <= number)
    }

    /// Lines a call up behind all with its number or a lower one.
    pub(crate) fn insert(&mut self, number: u64, place: Place) {
        self.live += 1;
        if self.calls.back().is_none_or(|(last, _)| *last <= number) {
            self.calls.push_back((number, place));
        } else {
            let at = self.calls.partition_point(|(other, _)| *other <= number);
            self.calls.insert(at, (number, place));
        }
    }

    /// Takes note that one has left; `alive` tells who still waits here.
    pub(crate) fn leave(&mut self, alive: impl Fn(Place) -> bool) {
        self.live -= 1;
        self.trim(&alive);
        if self.calls.len() > SWEEP_FROM && self.calls.len() > 2 * self.live {
            self.calls.retain(|(_, place)| alive(*place));
        }
    }

    fn trim(&mut self, alive: &impl Fn(Place) -> bool) {
        while let Some((_, place)) = self.calls.front()
            && !alive(*place)
        {
            self.calls.pop_front();
        }
    }

    /// Everybody here, and some who have left.
    pub(crate) fn calls(&self) -> impl Iterator<Item = Place> {
        self.calls.iter().map(|(_, place)| *place)
    }

    /// Takes everybody out who still waits here, with their tickets' numbers.
    pub(crate) fn empty(&mut self, alive: impl Fn(Place) -> bool) -> Vec<(u64, Place)> {
        self.live = 0;
        let all = std::mem::take(&mut self.calls).into_iter();
        all.filter(|(_, place)| alive(*place)).collect()
    }

    pub(crate) fn check_invariants(&self, alive: impl Fn(Place) -> bool) {
        if cfg!(debug_assertions) && self.calls.len() <= SWEEP_FROM {
            let live = self.calls.iter().filter(|(_, place)| alive(*place)).count();
            assert_eq!(live, self.live);
            assert!(self.calls.iter().is_sorted_by_key(|(number, _)| *number));
            assert!(self.front().is_none_or(|(_, place)| alive(place)));
        }
    }
}

/// Amounts of many calls together, beyond what one call can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog([u128; Amounts::ZERO.to_numbers().len()]);

impl Backlog {
    pub(crate) fn add(&mut self, amounts: &Amounts) {
        for (sum, number) in self.0.iter_mut().zip(amounts.to_numbers()) {
            *sum += u128::from(number);
        }
    }

    pub(crate) fn subtract(&mut self, amounts: &Amounts) {
        for (sum, number) in self.0.iter_mut().zip(amounts.to_numbers()) {
            *sum -= u128::from(number);
        }
    }

    /// As if one call asked for all of it; saturates.
    pub(crate) fn amounts(&self) -> Amounts {
        let number = |sum| u64::try_from(sum).unwrap_or(u64::MAX);
        Amounts::from_numbers(self.0.map(number))
    }
}
