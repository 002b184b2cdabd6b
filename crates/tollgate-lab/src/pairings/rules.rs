//! The rules that the simulated provider knows, and which of our shapes docs/DESIGN.md holds to be safe against each.

use tollgate_sim::provider::{Quota, Shape, Unit};

use super::shapes::{ALIGNED, FIRST_CALL, FULL, LOWERED, SLICED, SLIDING, SLOTS, SPACED, TENTH};
use crate::world::{MINUTE, span};

/// Units per minute.
pub(super) const LIMIT: u64 = 1_000;
/// Units of the dearest call.
pub(super) const DEAREST: u64 = LIMIT / 10;
/// Slices of a minute; one holds the dearest call.
pub(super) const SLICES: u64 = 6;

/// One rule.
#[derive(Debug)]
pub(super) struct ServerRule {
    pub(super) name: &'static str,
    pub(super) quota: Quota,
    pub(super) safe_for: &'static [&'static str],
}

/// All of them.
pub(super) fn all() -> Vec<ServerRule> {
    let rule = |name, shape, safe_for| ServerRule {
        name,
        quota: Quota::new(Unit::Total, LIMIT, span(MINUTE), shape).expect("a valid quota"),
        safe_for,
    };
    let slices = Shape::Slices {
        per_window: SLICES as u32,
    };
    vec![
        rule(
            "aligned window",
            Shape::Aligned,
            &[SLIDING, LOWERED, SPACED, ALIGNED, SLICED],
        ),
        rule(
            "window from the first call",
            Shape::FirstCall,
            &[SLIDING, LOWERED, SPACED, FIRST_CALL, SLICED],
        ),
        rule(
            "sliding log",
            Shape::SlidingLog,
            &[SLIDING, LOWERED, SPACED, SLICED],
        ),
        rule("sliding counter", Shape::SlidingCounter, &[LOWERED, SPACED]),
        rule(
            "bucket of the limit",
            Shape::Bucket { burst: LIMIT },
            &[SLIDING, FULL, TENTH, LOWERED, SPACED, SLICED],
        ),
        rule(
            "bucket of 10 %",
            Shape::Bucket { burst: DEAREST },
            &[TENTH, LOWERED, SPACED],
        ),
        rule("slices of 10 s", slices, &[SLICED]),
        ServerRule {
            name: "calls at once",
            quota: Quota::concurrency(20),
            safe_for: &[SLOTS],
        },
    ]
}
