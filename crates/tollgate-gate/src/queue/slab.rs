//! `Slab`: values in numbered slots that are used again; a `Place` outlives its value without ever naming another.

/// Grows by whole chunks, so that a long queue is never copied while the gate is locked.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Slot<T>>>,
    free: u32,
    len: usize,
    next_stay: u32,
}

/// Where a value lies, and the how-manieth that was ever put there or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    slot: u32,
    stay: u32,
}

#[derive(Debug)]
struct Slot<T> {
    stay: u32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    // The next free slot.
    Free(u32),
    Taken(T),
}

const CHUNK: usize = 256;
const NONE: u32 = u32::MAX;

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            free: NONE,
            len: 0,
            next_stay: 0,
        }
    }
}

impl<T> Slab<T> {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// # Panics
    /// With more than 4 billion values.
    pub(crate) fn insert(&mut self, value: T) -> Place {
        let stay = self.next_stay;
        self.next_stay = stay.wrapping_add(1);
        self.len += 1;
        let content = Content::Taken(value);
        if self.free != NONE {
            let slot = self.free;
            let reused = &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK];
            if let Content::Free(next) = reused.content {
                self.free = next;
            }
            *reused = Slot { stay, content };
            return Place { slot, stay };
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let Some(chunk) = self.chunks.last_mut() else {
            unreachable!("one was pushed");
        };
        let slot = u32::try_from(before + chunk.len()).expect("fewer than 4 billion calls wait");
        chunk.push(Slot { stay, content });
        Place { slot, stay }
    }

    pub(crate) fn get(&self, place: Place) -> Option<&T> {
        match self
            .chunks
            .get(place.slot as usize / CHUNK)?
            .get(place.slot as usize % CHUNK)?
        {
            Slot {
                stay,
                content: Content::Taken(value),
            } if *stay == place.stay => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        match self.slot_mut(place)? {
            Slot {
                stay,
                content: Content::Taken(value),
            } if *stay == place.stay => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<T> {
        self.get(place)?;
        let free = self.free;
        let slot = self.slot_mut(place)?;
        let content = std::mem::replace(&mut slot.content, Content::Free(free));
        self.free = place.slot;
        self.len -= 1;
        if self.len == 0 {
            // After a storm its memory is given back. Stays go on counting, so old places stay dead.
            self.chunks.truncate(1);
            self.chunks.iter_mut().for_each(Vec::clear);
            self.free = NONE;
        }
        match content {
            Content::Taken(value) => Some(value),
            Content::Free(_) => None,
        }
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.chunks
            .iter()
            .flatten()
            .filter_map(|slot| match &slot.content {
                Content::Taken(value) => Some(value),
                Content::Free(_) => None,
            })
    }

    fn slot_mut(&mut self, place: Place) -> Option<&mut Slot<T>> {
        self.chunks
            .get_mut(place.slot as usize / CHUNK)?
            .get_mut(place.slot as usize % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_never_names_another_value() {
        let mut slab = Slab::default();
        let seed = 11;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut live = Vec::new();
        let mut dead = Vec::new();
        for i in 0..20_000_u64 {
            if live.is_empty() || rng.bool() {
                live.push((slab.insert(i), i));
            } else {
                let (place, value) = live.swap_remove(rng.usize(..live.len()));
                assert_eq!(slab.remove(place), Some(value), "seed {seed}");
                dead.push(place);
            }
            assert_eq!(slab.len(), live.len());
        }
        for (place, value) in &live {
            assert_eq!(slab.get(*place), Some(value), "seed {seed}");
        }
        for place in dead {
            assert_eq!(slab.get(place), None, "seed {seed}");
            assert_eq!(slab.remove(place), None, "seed {seed}");
        }
    }
}
