//! `Labels`: what a call is, in one small string that is cheap to build, compare and hash.

use alloc::{boxed::Box, string::String};
use core::fmt;

/// What a call is, in the words that policies match on and partition by: `model`, `tenant`, `key`, `operation`, or any other.
///
/// All pairs share one allocation. Two sets of labels are equal if they set the same labels to the same values, in whatever order.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    // Sorted by label: length, label, length, value, and so on; see `push_length`.
    text: String,
}

impl Labels {
    // Fits a model and a tenant without growing.
    const USUAL: usize = 64;

    /// No labels: only policies without conditions apply.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: String::new(),
        }
    }

    /// The same labels with `label` set to `value`.
    #[must_use]
    pub fn with(mut self, label: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (label, value) = (label.as_ref(), value.as_ref());
        let mut pairs = Pairs { rest: &self.text };
        let (mut at, mut tail) = (self.text.len(), self.text.len());
        loop {
            let start = self.text.len() - pairs.rest.len();
            let Some((other, _)) = pairs.next() else {
                break;
            };
            if other >= label {
                at = start;
                tail = if other == label {
                    self.text.len() - pairs.rest.len()
                } else {
                    start
                };
                break;
            }
        }
        let tail = self.text.split_off(tail);
        self.text.truncate(at);
        self.text.reserve(
            (label.len() + value.len() + tail.len() + 12).max(Self::USUAL - at.min(Self::USUAL)),
        );
        for part in [label, value] {
            push_length(&mut self.text, part.len());
            self.text.push_str(part);
        }
        self.text.push_str(&tail);
        self
    }

    /// The value of `label`.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&str> {
        get(&self.text, label)
    }

    /// All labels with their values, sorted by label.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        Pairs { rest: &self.text }
    }

    pub(crate) fn from_text(text: &str) -> Self {
        Self { text: text.into() }
    }

    pub(crate) fn as_text(&self) -> &str {
        &self.text
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The value of `label` in the text of some labels.
pub(crate) fn get<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    Pairs { rest: text }
        .find(|(other, _)| *other == label)
        .map(|(_, value)| value)
}

/// The text of some labels as the ledger keeps it: beside its lane if it is short, so that a lane is found with fewer looks into
/// cold memory.
#[derive(Debug)]
pub(crate) enum Kept {
    Short(u8, [u8; Self::SHORT]),
    Long(Box<str>),
}

impl Kept {
    const SHORT: usize = 22;
    pub(crate) const NONE: Self = Self::Short(0, [0; Self::SHORT]);

    pub(crate) fn new(text: &str) -> Self {
        let mut short = [0; Self::SHORT];
        match short.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short(text.len() as u8, short)
            }
            None => Self::Long(text.into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, short) => &short[..usize::from(*length).min(Self::SHORT)],
            Self::Long(long) => long.as_bytes(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short(..) => str::from_utf8(self.as_bytes()).expect("it was text"),
            Self::Long(long) => long,
        }
    }
}

struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Pairs<'a> {
    fn part(&mut self) -> &'a str {
        let (mut length, mut used) = (0_usize, 0);
        for byte in self.rest.bytes() {
            used += 1;
            length = length << 6 | usize::from(byte & 0x3f);
            if byte & 0x40 == 0 {
                break;
            }
        }
        let (part, rest) = self.rest[used..].split_at(length);
        self.rest = rest;
        part
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| (self.part(), self.part()))
    }
}

/// Six bits per byte, the highest first, 0x40 set in all but the last: ASCII, so that the whole stays text.
fn push_length(text: &mut String, length: usize) {
    let groups = (usize::BITS - length.leading_zeros()).div_ceil(6).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x40 } else { 0 };
        let bits = (length >> (6 * group) & 0x3f) as u8;
        text.push(char::from(bits | more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn labels_come_back_sorted_and_the_last_value_counts() {
        let long = "é".repeat(5_000);
        let labels = Labels::new()
            .with("tenant", "east")
            .with("model", &long)
            .with("", "")
            .with("tenant", "west")
            .with("a", "x".repeat(64));
        let pairs: Vec<_> = labels.iter().collect();
        let sixty_four = "x".repeat(64);
        assert_eq!(
            pairs,
            [
                ("", ""),
                ("a", &*sixty_four),
                ("model", &*long),
                ("tenant", "west")
            ]
        );
        assert_eq!(labels.get("model"), Some(&*long));
        assert_eq!(labels.get("mode"), None);
    }

    #[test]
    fn what_is_kept_of_labels_is_all_of_them() {
        for n in [0, 1, 8, 9, 10, 11, 100] {
            let labels = Labels::new().with("é", "ü".repeat(n));
            let kept = Kept::new(labels.as_text());
            assert_eq!(kept.as_str(), labels.as_text());
            assert_eq!(kept.as_bytes(), labels.as_text().as_bytes());
        }
    }

    #[test]
    fn the_order_of_setting_does_not_matter() {
        let one = Labels::new().with("a", "1").with("b", "2");
        let other = Labels::new().with("b", "2").with("a", "0").with("a", "1");
        assert_eq!(one, other);
        assert!(one < Labels::new().with("a", "1").with("c", ""));
    }
}
