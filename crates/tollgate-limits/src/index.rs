//! `Index`: an open-addressed table from hashes to places in a list.

use alloc::vec::Vec;

/// Linear probing over entries of a hash and a place, at most seven eighths full. The hashes are kept, so that growing never
/// looks at the list, and so that a look at the list is almost always the right one.
#[derive(Debug, Default)]
pub(crate) struct Index {
    // The hash in the upper half, the place plus one in the lower; zero is empty. A power of two of them, or none.
    entries: Vec<u64>,
    len: usize,
}

impl Index {
    const LEAST: usize = 8;

    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            len: 0,
        }
    }

    /// The place with this hash that `is_it`.
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.entries.len().checked_sub(1)?;
        let mut i = hash as usize & mask;
        loop {
            let entry = *self.entries.get(i)?;
            if entry == 0 {
                return None;
            }
            if hash_of(entry) == hash && is_it(place_of(entry)) {
                return Some(place_of(entry));
            }
            i = (i + 1) & mask;
        }
    }

    /// Adds a place that is not in the table.
    pub(crate) fn insert(&mut self, hash: u32, place: u32) {
        if (self.len + 1) * 8 > self.entries.len() * 7 {
            self.grow();
        }
        self.len += 1;
        put(
            &mut self.entries,
            u64::from(hash) << 32 | (u64::from(place) + 1),
        );
    }

    /// Removes a place. What follows it moves up, so that no markers pile up.
    pub(crate) fn remove(&mut self, hash: u32, place: u32) {
        let Some(mask) = self.entries.len().checked_sub(1) else {
            return;
        };
        let entry = u64::from(hash) << 32 | (u64::from(place) + 1);
        let mut hole = hash as usize & mask;
        while self.entries[hole] != entry {
            if self.entries[hole] == 0 {
                debug_assert!(false, "only what is in the table is removed");
                return;
            }
            hole = (hole + 1) & mask;
        }
        let mut i = hole;
        loop {
            i = (i + 1) & mask;
            let next = self.entries[i];
            if next == 0 {
                break;
            }
            let home = hash_of(next) as usize & mask;
            // It may move if its home is not between the hole and itself.
            if (i.wrapping_sub(home) & mask) >= (i.wrapping_sub(hole) & mask) {
                self.entries[hole] = next;
                hole = i;
            }
        }
        self.entries[hole] = 0;
        self.len -= 1;
    }

    fn grow(&mut self) {
        let wider = alloc::vec![0; (self.entries.len() * 2).max(Self::LEAST)];
        let entries = core::mem::replace(&mut self.entries, wider);
        for entry in entries {
            if entry != 0 {
                put(&mut self.entries, entry);
            }
        }
    }
}

fn put(entries: &mut [u64], entry: u64) {
    let mask = entries.len() - 1;
    let mut i = hash_of(entry) as usize & mask;
    while entries[i] != 0 {
        i = (i + 1) & mask;
    }
    entries[i] = entry;
}

const fn hash_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

const fn place_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
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
                assert_eq!(index.find(hash(place), |p| p == place), None);
                index.insert(hash(place), place);
            }
            for place in (0..200).filter(|p| p % 4 != round) {
                index.remove(hash(place), place);
            }
            for place in 0..200 {
                let kept = (place % 4 == round).then_some(place);
                assert_eq!(index.find(hash(place), |p| p == place), kept);
            }
            for place in (0..200).filter(|p| p % 4 == round) {
                index.remove(hash(place), place);
            }
        }
        assert!(index.entries.iter().all(|entry| *entry == 0));
    }
}
