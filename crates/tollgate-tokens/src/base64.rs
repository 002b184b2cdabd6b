//! `Base64`: decodes base64 in pieces of any size, for documents that travel inside another document's string.

/// An incremental decoder of RFC 4648's base64, in either alphabet, padded or not. Memory is four bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Base64 {
    /// Up to three sextets that wait for the fourth.
    sextets: [u8; 4],
    filled: u8,
    /// A byte came that is none of the alphabet; nothing is decoded from there on.
    broken: bool,
}

/// Most decoded bytes that are handed on at once.
const BLOCK: usize = 192;

impl Base64 {
    /// Decodes the next piece and hands the bytes on.
    pub(crate) fn push(&mut self, piece: &[u8], mut take: impl FnMut(&[u8])) {
        let mut block = [0; BLOCK];
        let mut at = 0;
        for byte in piece {
            let sextet = SEXTETS[usize::from(*byte)];
            if sextet > 63 || self.broken {
                // Padding says nothing that the end does not say too.
                self.broken |= *byte != b'=';
                continue;
            }
            self.sextets[usize::from(self.filled)] = sextet;
            self.filled += 1;
            if self.filled == 4 {
                let [a, b, c, d] = self.sextets;
                block[at..at + 3].copy_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                self.filled = 0;
                at += 3;
                if at == BLOCK {
                    take(&block);
                    at = 0;
                }
            }
        }
        take(&block[..at]);
    }

    /// Ends the text, hands on its last bytes, and makes ready for the next.
    pub(crate) fn end(&mut self, mut take: impl FnMut(&[u8])) {
        let [a, b, c, _] = self.sextets;
        match self.filled {
            2 => take(&[a << 2 | b >> 4]),
            3 => take(&[a << 2 | b >> 4, b << 4 | c >> 2]),
            _ => {}
        }
        *self = Self::default();
    }
}

/// The value of each byte; 64 where it is none.
static SEXTETS: [u8; 256] = {
    let mut table = [64; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < alphabet.len() {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &str, size: usize) -> Vec<u8> {
        let (mut base64, mut decoded) = (Base64::default(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            base64.push(piece, |bytes| decoded.extend_from_slice(bytes));
        }
        base64.end(|bytes| decoded.extend_from_slice(bytes));
        decoded
    }

    /// RFC 4648's own encoding, written out plainly.
    fn encode(bytes: &[u8]) -> String {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let bits = (0..3).fold(0_u32, |bits, at| {
                bits << 8 | u32::from(group.get(at).copied().unwrap_or(0))
            });
            for at in 0..4 {
                let sextet = (bits >> (18 - 6 * at)) & 63;
                let char = if at <= group.len() {
                    alphabet[sextet as usize]
                } else {
                    b'='
                };
                text.push(char.into());
            }
        }
        text
    }

    #[test]
    fn the_examples_of_the_rfc_are_decoded() {
        let check =
            |text, expected: &str| assert_eq!(decode(text, 3), expected.as_bytes(), "{text}");
        check("", "");
        check("Zg==", "f");
        check("Zm8=", "fo");
        check("Zm9v", "foo");
        check("Zm9vYg==", "foob");
        check("Zm9vYg", "foob");
    }

    #[test]
    fn nothing_is_decoded_behind_a_byte_of_no_alphabet() {
        assert_eq!(decode("Zm9v!Zm9v", 2), b"foo");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_from_any_pieces(bytes: Vec<u8>, size in 1..300_usize) {
            prop_assert_eq!(decode(&encode(&bytes), size), bytes);
        }
    }
}
