//! `Chunks`: a long list that grows without moving what is in it, and so never stops anybody for long.

use alloc::{boxed::Box, vec::Vec};
use core::ops::{Index, IndexMut};

/// Items in pieces of a fixed size, the rest of the last one vacant.
#[derive(Clone, Debug)]
pub(crate) struct Chunks<T> {
    chunks: Vec<Box<[T; SIZE]>>,
    len: u32,
}

const BITS: u32 = 8;
const SIZE: usize = 1 << BITS;

impl<T> Chunks<T> {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Adds an item; its place. `vacant` fills the places behind it.
    ///
    /// # Panics
    /// With 2^32 items.
    pub(crate) fn push(&mut self, item: T, vacant: impl Fn() -> T) -> u32 {
        let place = self.len;
        self.len = place
            .checked_add(1)
            .expect("fewer than 2^32 items fit in memory");
        if self.chunks.len() <= (place >> BITS) as usize {
            let chunk: Vec<T> = (0..SIZE).map(|_| vacant()).collect();
            self.chunks
                .extend(Box::try_from(chunk.into_boxed_slice()).ok());
        }
        self[place] = item;
        place
    }

    #[inline]
    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        (place < self.len).then(|| &self[place])
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        (place < self.len).then(|| &mut self[place])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .take(self.len())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let len = self.len();
        self.chunks
            .iter_mut()
            .flat_map(|chunk| chunk.iter_mut())
            .take(len)
    }

    /// All places.
    pub(crate) const fn places(&self) -> core::ops::Range<u32> {
        0..self.len
    }
}

impl<T> Index<u32> for Chunks<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: u32) -> &T {
        &self.chunks[(place >> BITS) as usize][place as usize % SIZE]
    }
}

impl<T> IndexMut<u32> for Chunks<T> {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut T {
        &mut self.chunks[(place >> BITS) as usize][place as usize % SIZE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_stays_at_its_place() {
        let mut chunks = Chunks::new();
        assert_eq!((chunks.len(), chunks.get(0)), (0, None));
        for n in 0..5_000_u32 {
            assert_eq!(chunks.push(n, || 0), n);
            assert_eq!(chunks.len() as u32, n + 1);
        }
        assert!(chunks.places().all(|place| chunks[place] == place));
        assert!(chunks.iter().copied().eq(0..5_000));
        for n in chunks.iter_mut() {
            *n += 1;
        }
        assert_eq!(chunks.get_mut(4_999), Some(&mut 5_000));
        assert_eq!(chunks.get(5_000), None);
    }
}
