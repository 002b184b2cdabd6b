//! `Index`: an open-addressed table from hashes to places in a list.

use alloc::vec::Vec;

/// Linear probing over entries of a hash and a place, at most seven eighths full. The hashes are kept, so that growing never
/// looks at the list, and so that a look at the list is almost always the right one.
#[derive(Debug, Default)]
pub(crate) struct Index {
    // A power of two of them, or none.
    entries: Vec<Entry>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    /// [`Entry::VACANT`] if there is nothing here.
    place: u32,
    ahead: Ahead,
}

/// Meters that a lane leads to. A hint: they are looked at while the lane itself is still on its way from memory.
pub(crate) type Ahead = [u32; 2];

impl Entry {
    const VACANT: u32 = u32::MAX;
    const NONE: Self = Self {
        hash: 0,
        place: Self::VACANT,
        ahead: [0; 2],
    };
}

impl Index {
    const LEAST: usize = 8;

    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            len: 0,
        }
    }

    /// The place with this hash that `is_it`; each that may be it is told to `look_ahead` first.
    #[inline]
    pub(crate) fn find(
        &self,
        hash: u32,
        look_ahead: impl Fn(Ahead),
        is_it: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let mask = self.entries.len().checked_sub(1)?;
        let mut i = hash as usize & mask;
        loop {
            let entry = self.entries.get(i)?;
            if entry.place == Entry::VACANT {
                return None;
            }
            if entry.hash == hash {
                look_ahead(entry.ahead);
                if is_it(entry.place) {
                    return Some(entry.place);
                }
            }
            i = (i + 1) & mask;
        }
    }

    /// Adds a place that is not in the table.
    pub(crate) fn insert(&mut self, hash: u32, place: u32, ahead: Ahead) {
        if (self.len + 1) * 8 > self.entries.len() * 7 {
            self.grow();
        }
        self.len += 1;
        put(&mut self.entries, Entry { hash, place, ahead });
    }

    /// Removes a place. What follows it moves up, so that no markers pile up.
    pub(crate) fn remove(&mut self, hash: u32, place: u32) {
        let Some(mask) = self.entries.len().checked_sub(1) else {
            return;
        };
        let mut hole = hash as usize & mask;
        while self.entries[hole].place != place {
            if self.entries[hole].place == Entry::VACANT {
                debug_assert!(false, "only what is in the table is removed");
                return;
            }
            hole = (hole + 1) & mask;
        }
        let mut i = hole;
        loop {
            i = (i + 1) & mask;
            let next = self.entries[i];
            if next.place == Entry::VACANT {
                break;
            }
            let home = next.hash as usize & mask;
            // It may move if its home is not between the hole and itself.
            if (i.wrapping_sub(home) & mask) >= (i.wrapping_sub(hole) & mask) {
                self.entries[hole] = next;
                hole = i;
            }
        }
        self.entries[hole] = Entry::NONE;
        self.len -= 1;
    }

    fn grow(&mut self) {
        let wider = alloc::vec![Entry::NONE; (self.entries.len() * 2).max(Self::LEAST)];
        let entries = core::mem::replace(&mut self.entries, wider);
        for entry in entries {
            if entry.place != Entry::VACANT {
                put(&mut self.entries, entry);
            }
        }
    }
}

fn put(entries: &mut [Entry], entry: Entry) {
    let mask = entries.len() - 1;
    let mut i = entry.hash as usize & mask;
    while entries[i].place != Entry::VACANT {
        i = (i + 1) & mask;
    }
    entries[i] = entry;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_inserted_and_not_removed_even_where_hashes_collide() {
        let mut index = Index::new();
        let hash = |place: u32| place % 7 * 0x1000_0000 + place % 3;
        for round in 0..4_u32 {
            for place in 0..200 {
                assert_eq!(index.find(hash(place), |_| (), |p| p == place), None);
                index.insert(hash(place), place, [0; 2]);
            }
            for place in (0..200).filter(|p| p % 4 != round) {
                index.remove(hash(place), place);
            }
            for place in 0..200 {
                let kept = (place % 4 == round).then_some(place);
                assert_eq!(index.find(hash(place), |_| (), |p| p == place), kept);
            }
            for place in (0..200).filter(|p| p % 4 == round) {
                index.remove(hash(place), place);
            }
        }
        assert!(
            index
                .entries
                .iter()
                .all(|entry| entry.place == Entry::VACANT)
        );
    }
}
