//! The built-in catalog, what a user's file may change in it, and what it may not.

mod builtin;
mod charges;
mod limits;
mod prices;
mod user_file;

use tollgate_limits::Unit;
use tollgate_tokens::{Catalog, PolicySpec};

/// Name, unit, limit, window in seconds.
fn rows(specs: &[PolicySpec]) -> Vec<(&str, Unit, u64, u64)> {
    specs
        .iter()
        .map(|s| {
            (
                &*s.name,
                s.unit,
                s.limit,
                s.window.map_or(0, |w| w.nominal().as_secs()),
            )
        })
        .collect()
}

fn merged(text: &str) -> Catalog {
    let mut catalog = Catalog::builtin();
    catalog.merge(text).unwrap();
    catalog
}
