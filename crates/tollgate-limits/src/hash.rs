//! `Key`: SipHash-1-3, so that strangers who choose labels cannot make the tables slow.

/// A secret key for hashes. Answers never depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    k0: u64,
    k1: u64,
}

struct Sip {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl Key {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            k0: seed,
            k1: mix(seed),
        }
    }

    /// A key that belongs to `n` under this one.
    pub(crate) const fn of(self, n: u64) -> Self {
        Self {
            k0: self.k0 ^ n,
            k1: self.k1,
        }
    }

    pub(crate) fn hash(self, bytes: &[u8]) -> u64 {
        let mut sip = Sip {
            v0: self.k0 ^ 0x736f_6d65_7073_6575,
            v1: self.k1 ^ 0x646f_7261_6e64_6f6d,
            v2: self.k0 ^ 0x6c79_6765_6e65_7261,
            v3: self.k1 ^ 0x7465_6462_7974_6573,
        };
        let (blocks, rest) = bytes.as_chunks::<8>();
        for block in blocks {
            sip.absorb(u64::from_le_bytes(*block));
        }
        let mut last = (bytes.len() as u64) << 56;
        if let Some(&[a, b, c, d]) = rest.first_chunk::<4>() {
            last |= u64::from(u32::from_le_bytes([a, b, c, d]));
            for (i, byte) in rest[4..].iter().enumerate() {
                last |= u64::from(*byte) << (32 + 8 * i);
            }
        } else {
            for (i, byte) in rest.iter().enumerate() {
                last |= u64::from(*byte) << (8 * i);
            }
        }
        sip.absorb(last);
        sip.v2 ^= 0xff;
        sip.round();
        sip.round();
        sip.round();
        sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3
    }
}

impl Sip {
    const fn absorb(&mut self, block: u64) {
        self.v3 ^= block;
        self.round();
        self.v0 ^= block;
    }

    const fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }
}

/// The finalizer of SplitMix64.
const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::hash::Hasher;

    #[test]
    fn it_is_siphash_1_3() {
        // Today's hasher of std is SipHash-1-3 with a key of zeros.
        let key = Key { k0: 0, k1: 0 };
        let bytes: alloc::vec::Vec<u8> = (0..=255).collect();
        for n in 0..bytes.len() {
            let mut reference = std::hash::DefaultHasher::new();
            reference.write(&bytes[..n]);
            assert_eq!(key.hash(&bytes[..n]), reference.finish(), "{n} bytes");
        }
        // From the reference implementation: the key 00..0f over one byte of zero.
        let key = Key {
            k0: 0x0706_0504_0302_0100,
            k1: 0x0f0e_0d0c_0b0a_0908,
        };
        assert_eq!(key.hash(&[0]), 0xc9f4_9bf3_7d57_ca93);
    }
}
