//! What holds of all books together, checked now and then in debug builds.

use alloc::vec;
use core::cell::Cell;

use crate::{
    Ledger,
    lanes::{Kind, ahead},
    meter::Meter,
};

impl Ledger {
    /// O(lanes and partitions).
    pub(crate) fn check_everything(&self) {
        let books = &self.books;
        let (mut lanes_to, mut open) = (vec![0; books.meters.len()], 0);
        for place in self.lanes.places() {
            let record = self.lanes.at(place);
            open += record.open as usize;
            for m in record.meters.as_slice() {
                lanes_to[*m as usize] += 1;
                books.check_invariants(*m, self.latest);
            }
            if record.kind == Kind::Own {
                let labels = record.labels.as_str();
                let hash = self.lanes.hash_of(labels);
                let told = Cell::new(None);
                let found = self.lanes.find(hash, labels, |ahead| told.set(Some(ahead)));
                debug_assert_eq!(found, Some(place), "a lane is found by its labels");
                debug_assert_eq!(
                    told.get(),
                    Some(ahead(record.meters.as_slice())),
                    "the index tells which meters a lane leads to"
                );
            }
        }
        debug_assert_eq!(open, self.open.len(), "each open reservation has a lane");
        let mut counts = vec![0; books.shares.len()];
        for (m, lanes) in (0..).zip(lanes_to) {
            let meter = books.meter(m);
            debug_assert_eq!(
                meter.lanes, lanes,
                "a meter knows how many lanes lead to it"
            );
            if meter.owner != Meter::NOBODY {
                let (index, labels) = (
                    books.terms_of(m).policy,
                    self.lanes.at(meter.owner).labels.as_str(),
                );
                let policy = &self.plan.policies()[index as usize];
                let hash = books.hash_of(policy, index, labels);
                let found = books.find(policy, index, labels, hash, &self.lanes);
                debug_assert_eq!(found, Some(m), "a partition is found by its owner's labels");
                counts[index as usize] += 1;
            }
        }
        debug_assert!(
            counts
                .iter()
                .zip(&books.shares)
                .all(|(n, shares)| *n == shares.count),
            "partitions are counted"
        );
    }
}
