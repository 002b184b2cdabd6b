//! `Rare`: what a meter has to remember only now and then, kept apart so that a million idle meters stay small.

use alloc::{boxed::Box, vec::Vec};

use crate::{Tick, layers::Layers, others::Others};

/// Layers of a bucket with several open reservations, pauses, and what is known of others.
#[derive(Clone, Debug)]
pub(crate) struct Rare {
    pub(crate) layers: Layers,
    pub(crate) paused_until: Tick,
    // After a pause, grants are spaced at the quota's rate until then, so that no herd returns at one instant.
    pub(crate) paced_until: Tick,
    pub(crate) next_paced: Tick,
    // When the grants so far would all have been made at the pace that refusals have taught.
    pub(crate) caught_up: Tick,
    pub(crate) others: Option<Box<Others>>,
}

/// Where a meter's [`Rare`] lies, if it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RareId(u32);

/// All of them; those given back keep their memory, so that a steady state allocates nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rares {
    items: Vec<Rare>,
    free: Vec<u32>,
}

impl Rare {
    const fn new() -> Self {
        Self {
            layers: Layers::new(),
            paused_until: Tick::ZERO,
            paced_until: Tick::ZERO,
            next_paced: Tick::ZERO,
            caught_up: Tick::ZERO,
            others: None,
        }
    }

    /// When the pause and the pacing after it next let a call through.
    pub(crate) fn held_back_until(&self) -> Tick {
        self.paused_until
            .max(self.next_paced.min(self.spaced_until()))
    }

    /// Until when each grant may hold back the next one.
    pub(crate) fn spaced_until(&self) -> Tick {
        self.paced_until.max(self.caught_up)
    }

    /// Whether it holds nothing that a later call could feel.
    pub(crate) fn is_past(&self, now: Tick, window: u64) -> bool {
        let others = self.others.as_ref();
        self.layers.are_plain()
            && self.paused_until <= now
            && self.spaced_until() <= now
            && others.is_none_or(|others| others.is_past(now, window))
    }
}

impl RareId {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    const fn place(self) -> usize {
        (self.0 as usize).wrapping_sub(1)
    }
}

impl Rares {
    pub(crate) const fn new() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn get(&self, id: RareId) -> Option<&Rare> {
        self.items.get(id.place())
    }

    pub(crate) fn get_mut(&mut self, id: RareId) -> Option<&mut Rare> {
        self.items.get_mut(id.place())
    }

    /// The meter's own, a new one if it has none.
    pub(crate) fn get_or_take(&mut self, id: &mut RareId) -> &mut Rare {
        if id.is_none() {
            let place = self.free.pop().unwrap_or_else(|| {
                self.items.push(Rare::new());
                u32::try_from(self.items.len() - 1).expect("fewer than 2^32 fit in memory")
            });
            *id = RareId(place + 1);
        }
        &mut self.items[id.place()]
    }

    /// A meter's own pauses, spacing and knowledge of others, copied from another one's.
    pub(crate) fn copy_pauses(&mut self, from: &Rare) -> RareId {
        let mut id = RareId::NONE;
        let rare = self.get_or_take(&mut id);
        rare.paused_until = from.paused_until;
        rare.paced_until = from.paced_until;
        rare.next_paced = from.next_paced;
        rare.caught_up = from.caught_up;
        rare.others.clone_from(&from.others);
        id
    }

    /// Gives back a meter's own.
    pub(crate) fn give_back(&mut self, id: &mut RareId) {
        if let Some(rare) = self.items.get_mut(id.place()) {
            let mut layers = core::mem::take(&mut rare.layers);
            layers.clear();
            *rare = Rare {
                layers,
                ..Rare::new()
            };
            self.free.push(id.0 - 1);
            *id = RareId::NONE;
        }
    }
}
