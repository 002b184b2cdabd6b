//! `Node`: a place in a JSON document that somebody wants to hear about, with the places below it.

/// One place in a document. Dialects write their wanted paths down as a tree of these, in `static`s.
///
/// `L` is what the reader's [`Sink`](super::Sink) is told about the place. A place can be a scalar, an object and a list at once, because providers
/// use one key for several forms (`content` is a string or a list of parts).
#[derive(Clone, Copy)]
pub(crate) struct Node<L: 'static> {
    pub(super) leaf: Option<L>,
    pub(super) take: Take,
    pub(super) keys: &'static [(&'static str, Self)],
    /// By the kind of a key, the first place in `keys` with a key of that kind, plus one.
    first: [u8; KINDS],
    pub(super) items: Option<&'static Self>,
    pub(super) deep: bool,
}

/// What is done with a string at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// It is passed over.
    Skip,
    /// It is reported decoded, piece by piece.
    Measure,
    /// It is decoded and reported whole, cut at so many bytes.
    Keep(u16),
}

impl<L: Copy> Node<L> {
    /// A place of no interest in itself, to which `keys` or `items` are added.
    pub(crate) const fn new() -> Self {
        Self {
            leaf: None,
            take: Take::Skip,
            keys: &[],
            first: [0; KINDS],
            items: None,
            deep: false,
        }
    }

    /// Numbers and literals here, and the opening and closing of a list or object, are reported as `leaf`; strings are not.
    pub(crate) const fn mark(leaf: L) -> Self {
        Self {
            leaf: Some(leaf),
            ..Self::new()
        }
    }

    /// As `mark`; a string is reported decoded, piece by piece and at any length.
    pub(crate) const fn measure(leaf: L) -> Self {
        Self {
            leaf: Some(leaf),
            take: Take::Measure,
            ..Self::new()
        }
    }

    /// As `mark`; a string is reported decoded, and cut at `limit` bytes.
    pub(crate) const fn keep(leaf: L, limit: u16) -> Self {
        assert!(limit as usize <= super::HELD);
        Self {
            leaf: Some(leaf),
            take: Take::Keep(limit),
            ..Self::new()
        }
    }

    /// As `measure`, for everything below this place too, names of keys included.
    pub(crate) const fn deep(leaf: L) -> Self {
        Self {
            deep: true,
            ..Self::measure(leaf)
        }
    }

    /// The same place, with these keys when it is an object.
    pub(crate) const fn keys(self, keys: &'static [(&'static str, Self)]) -> Self {
        assert!(keys.len() < 256);
        let mut first = [0; KINDS];
        let mut at = keys.len();
        while at > 0 {
            first[kind(keys[at - 1].0.as_bytes())] = at as u8;
            at -= 1;
        }
        Self {
            keys,
            first,
            ..self
        }
    }

    /// The same place, with these items when it is a list.
    pub(crate) const fn items(self, items: &'static Self) -> Self {
        Self {
            items: Some(items),
            ..self
        }
    }

    /// The place under `key`.
    pub(super) fn child(&'static self, key: &[u8]) -> Option<&'static Self> {
        if self.deep {
            return Some(self);
        }
        let from = usize::from(self.first[kind(key)]).checked_sub(1)?;
        for (name, node) in self.keys.get(from..)? {
            if same(name.as_bytes(), key) {
                return Some(node);
            }
        }
        None
    }

    /// The place of every item.
    pub(super) fn item(&'static self) -> Option<&'static Self> {
        if self.deep { Some(self) } else { self.items }
    }

    /// The levels of lists and objects that lie on the way to the deepest place, and the longest key on any way.
    #[cfg(test)]
    pub(crate) fn extent(&self) -> (usize, usize) {
        let below = self
            .keys
            .iter()
            .map(|(key, node)| (node.extent(), key.len()));
        let items = self.items.map(|node| (node.extent(), 0));
        below
            .chain(items)
            .fold((0, 0), |(levels, longest), ((below, key_below), key)| {
                (levels.max(below + 1), longest.max(key_below).max(key))
            })
    }
}

/// How many kinds of key are told apart before they are compared.
const KINDS: usize = 32;

/// The kind of a key, by its length and first byte.
#[inline]
const fn kind(key: &[u8]) -> usize {
    let first = match key.first() {
        Some(first) => *first as usize,
        None => 0,
    };
    (key.len() * 11 + first) % KINDS
}

/// Whether two keys are the same. Nearly all have 4 to 16 bytes, and two words from either end cover those.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    fn ends<const N: usize>(key: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
        Some((key.first_chunk()?, key.last_chunk()?))
    }
    match one.len() {
        length if length != other.len() => false,
        4..8 => ends::<4>(one) == ends::<4>(other),
        8..=16 => ends::<8>(one) == ends::<8>(other),
        _ => one == other,
    }
}
