//! `Rollup`: records added up per quarter of an hour and lane.

use std::collections::HashMap;

use crate::{lane::LaneKey, record::Record, sums::Sums};

/// Milliseconds of a quarter of an hour and of a day.
pub(crate) const QUARTER_MS: i64 = 15 * 60 * 1_000;
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Quarters of a day.
pub(crate) const QUARTERS: i64 = DAY_MS / QUARTER_MS;

/// The quarter of an hour of an instant, counted from the Unix epoch.
pub(crate) const fn quarter_of(at_ms: i64) -> i64 {
    at_ms.div_euclid(QUARTER_MS)
}

/// Sums by quarter and lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rollup {
    sums: HashMap<(i64, LaneKey), Sums>,
}

impl Rollup {
    pub(crate) fn add(&mut self, record: &Record, key: LaneKey) {
        self.sums
            .entry((record.quarter(), key))
            .or_insert(Sums::ZERO)
            .add(&record.sums());
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (key, sums) in &other.sums {
            self.sums.entry(key.clone()).or_insert(Sums::ZERO).add(sums);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &LaneKey, &Sums)> {
        self.sums
            .iter()
            .map(|((quarter, key), sums)| (*quarter, key, sums))
    }
}
