//! `Lanes`: the lanes in use by their labels, and who still needs them.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use crate::{
    chunks::Chunks,
    hash::Key,
    index::{Ahead, Index},
    labels::Kept,
    terms::Manner,
};

/// The policies that apply to calls with the same labels, found by [`crate::Ledger::lane`].
///
/// It lasts while it is pinned or has open reservations; otherwise until a later [`crate::Ledger::lane`] forgets it. Using a lane
/// that has been forgotten panics; it never means another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    pub(crate) place: u32,
    // Tells a lane from a forgotten one whose place it has taken.
    generation: u32,
}

impl Lane {
    /// Above every lane of every ledger: an upper bound for ordered collections.
    pub const LAST: Self = Self {
        place: u32::MAX,
        generation: u32::MAX,
    };
}

#[derive(Debug)]
pub(crate) struct Lanes {
    records: Chunks<Record>,
    free: Vec<u32>,
    index: Index,
    key: Key,
    // Where the search for lanes to forget goes on.
    hand: u32,
    // Shared lanes that nobody needed when they were put here.
    idle: Vec<u32>,
    // How the open reservations of former lanes were counted and booked, by meter.
    former: BTreeMap<u32, Former>,
}

/// What a former lane remembers.
#[derive(Debug)]
struct Former {
    manners: Box<[Manner]>,
    // The lane that its reservations were made in, which it keeps.
    origin: u32,
}

/// One line of the processor's cache.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Record {
    /// The text of its labels.
    pub(crate) labels: Kept,
    pub(crate) meters: Meters,
    pub(crate) open: u32,
    pub(crate) pins: u32,
    generation: u32,
    pub(crate) kind: Kind,
    // Of an ordinary lane: used since the hand came by. Of a shared one: among the idle.
    marked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Vacant,
    /// Of one set of labels.
    Own,
    /// Of all labels that lead to these meters, where one is the partition of those that got none of their own.
    Shared,
    /// Left to reservations that were open when the plan changed.
    Former,
    /// Of partitions that no call of its labels uses since the plan changed.
    Keeper,
}

/// The meters of a lane, in the order of the plan.
#[derive(Debug)]
pub(crate) enum Meters {
    Few(u8, [u32; Self::FEW]),
    // Twice a box, to be small.
    Many(Box<Box<[u32]>>),
}

impl Meters {
    pub(crate) const FEW: usize = 4;
    const NONE: Self = Self::Few(0, [0; Self::FEW]);

    pub(crate) fn new(meters: &[u32]) -> Self {
        let mut few = [0; Self::FEW];
        match few.get_mut(..meters.len()) {
            Some(places) => {
                places.copy_from_slice(meters);
                Self::Few(meters.len() as u8, few)
            }
            None => Self::Many(Box::new(meters.into())),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        match self {
            Self::Few(n, few) => &few[..usize::from(*n).min(Self::FEW)],
            Self::Many(many) => many,
        }
    }
}

impl Record {
    const fn new() -> Self {
        Self {
            labels: Kept::NONE,
            meters: Meters::NONE,
            open: 0,
            pins: 0,
            generation: 0,
            kind: Kind::Vacant,
            marked: false,
        }
    }

    pub(crate) const fn is_needed(&self) -> bool {
        self.open > 0 || self.pins > 0
    }
}

impl Lanes {
    pub(crate) const fn new(key: Key) -> Self {
        Self {
            records: Chunks::new(),
            free: Vec::new(),
            index: Index::new(),
            key,
            hand: 0,
            idle: Vec::new(),
            former: BTreeMap::new(),
        }
    }

    /// Lanes that are not vacant.
    pub(crate) const fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }

    pub(crate) fn hash_of(&self, labels: &str) -> u32 {
        self.key.hash(labels.as_bytes()) as u32
    }

    fn hash_of_shared(&self, meters: &[u32]) -> u32 {
        let mut hash = 0;
        for meter in meters {
            hash = self.key.of(hash).hash(&meter.to_le_bytes());
        }
        hash as u32
    }

    /// The lane of these labels. The meters that it may lead to are told to `look_ahead` first.
    #[inline]
    pub(crate) fn find(&self, hash: u32, labels: &str, look_ahead: impl Fn(Ahead)) -> Option<u32> {
        self.index.find(hash, look_ahead, |place| {
            let record = &self.records[place];
            record.labels.as_bytes() == labels.as_bytes() && record.kind == Kind::Own
        })
    }

    fn find_shared(&self, hash: u32, meters: &[u32]) -> Option<u32> {
        let nothing = |_| ();
        self.index.find(hash, nothing, |place| {
            let record = &self.records[place];
            record.kind == Kind::Shared && record.meters.as_slice() == meters
        })
    }

    /// The handle of a lane that is about to be used.
    pub(crate) fn touch(&mut self, place: u32) -> Lane {
        let record = &mut self.records[place];
        record.marked |= record.kind == Kind::Own;
        Lane {
            place,
            generation: record.generation,
        }
    }

    /// A place for a lane that is going to be added.
    pub(crate) fn place(&mut self) -> u32 {
        self.free
            .pop()
            .unwrap_or_else(|| self.records.push(Record::new(), Record::new))
    }

    pub(crate) fn add(&mut self, place: u32, labels: &str, meters: &[u32]) -> Lane {
        let hash = self.hash_of(labels);
        self.index.insert(hash, place, ahead(meters));
        let record = &mut self.records[place];
        record.labels = Kept::new(labels);
        record.meters = Meters::new(meters);
        record.kind = Kind::Own;
        record.marked = false;
        Lane {
            place,
            generation: record.generation,
        }
    }

    /// The lane shared by all who lead to these meters; whether it is new.
    pub(crate) fn share(&mut self, meters: &[u32]) -> (Lane, bool) {
        let hash = self.hash_of_shared(meters);
        if let Some(place) = self.find_shared(hash, meters) {
            return (self.touch(place), false);
        }
        let place = self.place();
        self.index.insert(hash, place, ahead(meters));
        let record = &mut self.records[place];
        record.meters = Meters::new(meters);
        record.kind = Kind::Shared;
        record.marked = true;
        self.idle.push(place);
        (self.touch(place), true)
    }

    /// The record of a lane.
    #[inline]
    pub(crate) fn get(&self, lane: Lane) -> &Record {
        let record = self.records.get(lane.place);
        record
            .filter(|record| record.generation == lane.generation)
            .expect(FORGOTTEN)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, lane: Lane) -> &mut Record {
        let record = self.records.get_mut(lane.place);
        record
            .filter(|record| record.generation == lane.generation)
            .expect(FORGOTTEN)
    }

    #[inline]
    pub(crate) fn at(&self, place: u32) -> &Record {
        &self.records[place]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, place: u32) -> &mut Record {
        &mut self.records[place]
    }

    pub(crate) const fn places(&self) -> core::ops::Range<u32> {
        self.records.places()
    }

    /// Notes that somebody no longer needs a lane; a former one that nobody needs is left to the caller to remove.
    pub(crate) fn left(&mut self, place: u32) -> bool {
        let record = &mut self.records[place];
        if record.is_needed() {
            return false;
        }
        if record.kind == Kind::Shared && !record.marked {
            record.marked = true;
            self.idle.push(place);
        }
        record.kind == Kind::Former
    }

    /// A shared lane that nobody needs.
    pub(crate) fn next_idle(&mut self) -> Option<u32> {
        while let Some(place) = self.idle.pop() {
            let record = &mut self.records[place];
            if record.kind == Kind::Shared {
                record.marked = false;
                if !record.is_needed() {
                    return Some(place);
                }
            }
        }
        None
    }

    /// The next lane round that has not been used since the last time and that nobody needs, if it is the next.
    pub(crate) fn next_unused(&mut self) -> Option<u32> {
        let place = self.hand;
        let Some(record) = self.records.get_mut(place) else {
            self.hand = 0;
            return None;
        };
        self.hand += 1;
        if !matches!(record.kind, Kind::Own | Kind::Keeper) || record.is_needed() {
            return None;
        }
        (!core::mem::take(&mut record.marked)).then_some(place)
    }

    /// Empties a place; its former handles mean nothing any more.
    pub(crate) fn remove(&mut self, place: u32) -> Meters {
        let record = &self.records[place];
        match record.kind {
            Kind::Own => self
                .index
                .remove(self.hash_of(record.labels.as_str()), place),
            Kind::Shared => {
                let hash = self.hash_of_shared(record.meters.as_slice());
                self.index.remove(hash, place);
            }
            Kind::Former => {
                if let Some(Former { origin, .. }) = self.former.remove(&place) {
                    self.records[origin].pins -= 1;
                    self.left(origin);
                }
            }
            Kind::Keeper | Kind::Vacant => {}
        }
        let record = &mut self.records[place];
        let generation = record.generation.wrapping_add(1);
        let old = core::mem::replace(record, Record::new());
        record.generation = generation;
        self.free.push(place);
        old.meters
    }

    /// Leaves all open reservations of a lane to one of their own, on these meters, counted and booked so. The lane is kept as long.
    pub(crate) fn add_former(
        &mut self,
        origin: u32,
        meters: &[u32],
        manners: Box<[Manner]>,
    ) -> u32 {
        let place = self.place();
        let old = &mut self.records[origin];
        let open = core::mem::take(&mut old.open);
        old.pins += 1;
        let record = &mut self.records[place];
        record.meters = Meters::new(meters);
        record.kind = Kind::Former;
        record.open = open;
        self.former.insert(place, Former { manners, origin });
        place
    }

    pub(crate) fn set_former(&mut self, place: u32, meters: &[u32], manners: Box<[Manner]>) {
        self.records[place].meters = Meters::new(meters);
        if let Some(former) = self.former.get_mut(&place) {
            former.manners = manners;
        }
    }

    /// A lane that nobody finds, with the labels of another, for partitions of those labels.
    pub(crate) fn add_keeper(&mut self, owner: u32, meters: &[u32]) -> u32 {
        let place = self.place();
        let labels = Kept::new(self.records[owner].labels.as_str());
        let record = &mut self.records[place];
        record.labels = labels;
        record.meters = Meters::new(meters);
        record.kind = Kind::Keeper;
        place
    }

    /// Leads a lane to other meters.
    pub(crate) fn set_meters(&mut self, place: u32, meters: &[u32]) {
        let record = &self.records[place];
        // The index tells which meters a lane leads to, and a shared lane is found by them.
        let hashes = match record.kind {
            Kind::Own => {
                let hash = self.hash_of(record.labels.as_str());
                Some((hash, hash))
            }
            Kind::Shared => Some((
                self.hash_of_shared(record.meters.as_slice()),
                self.hash_of_shared(meters),
            )),
            Kind::Former | Kind::Keeper | Kind::Vacant => None,
        };
        if let Some((old, new)) = hashes {
            self.index.remove(old, place);
            self.index.insert(new, place, ahead(meters));
        }
        self.records[place].meters = Meters::new(meters);
    }

    /// How the reservations of a former lane were counted and booked.
    #[inline]
    pub(crate) fn former(&self, place: u32) -> Option<&[Manner]> {
        let former = (self.records[place].kind == Kind::Former).then(|| self.former.get(&place))?;
        former.map(|former| &*former.manners)
    }
}

/// The first two meters of a lane.
pub(crate) fn ahead(meters: &[u32]) -> Ahead {
    let first = meters.first().copied().unwrap_or_default();
    [first, meters.get(1).copied().unwrap_or(first)]
}

const FORGOTTEN: &str = "a lane is used with the ledger that found it, and before it is forgotten";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_takes_one_line_of_the_cache() {
        assert_eq!(size_of::<Record>(), 64);
    }
}
