//! `Sniffer`: reads the size of an image from the beginning of its base64, and passes over the rest.

use super::Size;
use crate::base64::Base64;

/// Finds the size of a PNG, JPEG, GIF or WebP file that comes in base64, in pieces of any size. Memory is fixed, and what follows the
/// size is not decoded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sniffer {
    base64: Base64,
    /// What is still to be passed over of a data URL.
    url: Url,
    head: [u8; HEAD],
    filled: usize,
    /// Where in a JPEG file it is.
    marker: Marker,
    found: Found,
}

/// Whether the text is a data URL or the base64 itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Url {
    /// So many bytes of `data:` have been seen.
    Scheme(u8),
    /// The media type, up to the comma.
    Type,
    No,
}

impl Default for Url {
    fn default() -> Self {
        Self::Scheme(0)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Found {
    #[default]
    Looking,
    /// A JPEG file, whose size stands behind other segments.
    Segments,
    Size(Size),
    Nothing,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Marker {
    /// 0xFF begins a marker.
    #[default]
    Before,
    Name,
    /// Its name, and the first byte of its length.
    Length(u8, Option<u8>),
    /// So many bytes to pass over.
    Skip(u16),
    /// Precision, height and width.
    Frame(u8),
}

/// The size is within so many bytes in every format but JPEG.
const HEAD: usize = 30;
const DATA: &[u8] = b"data:";

impl Sniffer {
    pub(crate) fn push(&mut self, mut text: &[u8]) {
        while self.url != Url::No {
            let Some((byte, rest)) = text.split_first() else {
                return;
            };
            self.url = match self.url {
                Url::Scheme(at) if byte.eq_ignore_ascii_case(&DATA[usize::from(at)]) => {
                    if usize::from(at) + 1 == DATA.len() {
                        Url::Type
                    } else {
                        Url::Scheme(at + 1)
                    }
                }
                Url::Scheme(at) => {
                    self.decode(&DATA[..usize::from(at)]);
                    Url::No
                }
                Url::Type if *byte != b',' => Url::Type,
                Url::Type | Url::No => Url::No,
            };
            if matches!(self.url, Url::No) && *byte != b',' {
                break;
            }
            text = rest;
        }
        self.decode(text);
    }

    fn decode(&mut self, text: &[u8]) {
        // In pieces, so that little more is decoded than is looked at.
        for piece in text.chunks(256) {
            if matches!(self.found, Found::Size(_) | Found::Nothing) {
                return;
            }
            let mut base64 = self.base64;
            base64.push(piece, |bytes| {
                bytes.iter().for_each(|byte| self.take(*byte))
            });
            self.base64 = base64;
        }
    }

    /// The size, once all has been pushed.
    pub(crate) fn size(&self) -> Option<Size> {
        match self.found {
            Found::Size(size) => Some(size),
            _ => None,
        }
    }

    fn take(&mut self, byte: u8) {
        match self.found {
            Found::Looking => {
                self.head[self.filled] = byte;
                self.filled += 1;
                self.look();
            }
            Found::Segments => self.walk(byte),
            Found::Size(_) | Found::Nothing => {}
        }
    }

    /// Looks at the head of the file.
    fn look(&mut self) {
        let head = &self.head[..self.filled];
        let big =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let little = |at: usize| u32::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let three = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
        let size = match head.len() {
            3 if head.starts_with(b"\xFF\xD8\xFF") => {
                // The third byte begins the first segment.
                (self.found, self.marker) = (Found::Segments, Marker::Name);
                return;
            }
            10 if head.starts_with(b"GIF8") => (little(6), little(8)),
            24 if head.starts_with(b"\x89PNG\r\n\x1A\n") => (big(16), big(20)),
            HEAD if head.starts_with(b"RIFF") && head[8..12] == *b"WEBP" => match &head[12..16] {
                b"VP8 " => (little(26) & 0x3FFF, little(28) & 0x3FFF),
                b"VP8L" => (
                    1 + (little(21) & 0x3FFF),
                    1 + ((u32::from_le_bytes([head[21], head[22], head[23], head[24]]) >> 14)
                        & 0x3FFF),
                ),
                b"VP8X" => (1 + three(24), 1 + three(27)),
                _ => (0, 0),
            },
            HEAD => (0, 0),
            _ => return,
        };
        self.found = found(size);
    }

    /// Takes a byte of a JPEG file: segments of a marker, a length and so many bytes, until one describes the frame.
    fn walk(&mut self, byte: u8) {
        self.marker = match self.marker {
            Marker::Before if byte == 0xFF => Marker::Name,
            Marker::Before => return self.found = Found::Nothing,
            Marker::Name => match byte {
                0xFF => Marker::Name,
                // Markers without a segment.
                0x01 | 0xD0..=0xD8 => Marker::Before,
                // The end, or the picture itself: no frame came before it.
                0x00 | 0xD9 | 0xDA => return self.found = Found::Nothing,
                name => Marker::Length(name, None),
            },
            Marker::Length(name, None) => Marker::Length(name, Some(byte)),
            Marker::Length(name, Some(high)) => {
                let length = u16::from_be_bytes([high, byte]);
                match name {
                    // Frames of all kinds; the others between them are tables.
                    0xC0..=0xCF if !matches!(name, 0xC4 | 0xC8 | 0xCC) => Marker::Frame(0),
                    _ if length < 2 => return self.found = Found::Nothing,
                    _ if length == 2 => Marker::Before,
                    _ => Marker::Skip(length - 2),
                }
            }
            Marker::Skip(1) => Marker::Before,
            Marker::Skip(left) => Marker::Skip(left - 1),
            Marker::Frame(at) => {
                self.head[usize::from(at)] = byte;
                if at == 4 {
                    let [_, a, b, c, d, ..] = self.head;
                    let edge = |high, low| u32::from(u16::from_be_bytes([high, low]));
                    self.found = found((edge(c, d), edge(a, b)));
                }
                Marker::Frame((at + 1).min(4))
            }
        };
    }
}

const fn found((width, height): (u32, u32)) -> Found {
    if width == 0 || height == 0 {
        return Found::Nothing;
    }
    Found::Size(Size { width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(3), 0);
        padded
            .chunks_exact(3)
            .flat_map(|three| {
                let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
                [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]))
            })
            .collect()
    }

    fn check(file: &[u8], expected: Option<(u32, u32)>) {
        let text = encode(file);
        let url = format!("data:image/any;base64,{text}");
        let expected = expected.map(|(width, height)| Size { width, height });
        for size in [1, 2, 3, 7, 64, text.len().max(1)] {
            let (mut plain, mut by_url) = (Sniffer::default(), Sniffer::default());
            text.as_bytes()
                .chunks(size)
                .for_each(|piece| plain.push(piece));
            url.as_bytes()
                .chunks(size)
                .for_each(|piece| by_url.push(piece));
            assert_eq!(
                (plain.size(), by_url.size()),
                (expected, expected),
                "{file:x?} by {size}"
            );
        }
    }

    #[test]
    fn the_size_is_read_from_the_head_of_each_format() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x03\x20\0\0\x02\x58".to_vec();
        png.extend([7; 5_000]);
        check(&png, Some((800, 600)));
        check(b"GIF89a\x20\x03\x58\x02rest", Some((800, 600)));
        check(
            b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x20\x03\x58\x02\0\0",
            Some((800, 600)),
        );
        // 14 bits of the width less one, then 14 of the height less one.
        let bits = (799_u32 | 599 << 14).to_le_bytes();
        let mut lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".to_vec();
        lossless.extend(bits);
        lossless.extend([0; 9]);
        check(&lossless, Some((800, 600)));
        check(
            b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x1f\x03\0\x57\x02\0\0\0",
            Some((800, 600)),
        );
    }

    #[test]
    fn a_jpeg_s_size_is_found_behind_other_segments() {
        let mut jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
        jpeg.extend(b"\xff\xe1\x80\0");
        jpeg.extend([0xFF; 0x7FFE]); // A thumbnail, which must not be looked into.
        jpeg.extend(b"\xff\xc4\0\x04\0\0\xff\xff\xc2\0\x11\x08\x02\x58\x03\x20\x03");
        check(&jpeg, Some((800, 600)));
    }

    #[test]
    fn what_is_no_image_has_no_size() {
        check(b"", None);
        check(b"%PDF-1.7 and so on, and so forth, and more", None);
        check(b"\x89PNG\r\n\x1a\n", None);
        check(b"\xff\xd8\xff\xda\0\x02", None);
        check(b"\xff\xd8\xff\xe0\0\0", None);
        check(b"GIF89a\0\0\0\0", None);
        let mut elsewhere = Sniffer::default();
        elsewhere.push(b"https://example.com/iVBORw0KGgoAAAANSUhEUgAAAyAAAAJY");
        assert_eq!(elsewhere.size(), None);
    }
}
