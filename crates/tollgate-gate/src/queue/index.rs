//! `ByIndex`: a quick hasher for numbers that the gate itself hands out, or that are hashes already.

use std::hash::{BuildHasherDefault, Hasher};

/// Spreads small numbers over all bits by one multiplication. Never for what comes from outside.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByIndex(u64);

pub(crate) type IndexMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<ByIndex>>;

impl Hasher for ByIndex {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}
