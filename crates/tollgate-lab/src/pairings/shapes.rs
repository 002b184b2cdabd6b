//! What a client can use against a provider's limit of 1,000 units per minute.

use std::time::Duration;

use tollgate_limits::{Anchor, Policy, Quota, QuotaError, Unit};

use super::rules::{DEAREST, LIMIT, SLICES};
use crate::world::{MINUTE, span};

/// One way to use a limit.
#[derive(Debug)]
pub(super) struct ClientShape {
    pub(super) name: &'static str,
    pub(super) policies: Vec<Policy>,
}

pub(super) const SLIDING: &str = "sliding";
pub(super) const FULL: &str = "bucket, burst = limit";
pub(super) const TENTH: &str = "bucket, burst 10 %";
pub(super) const LOWERED: &str = "bucket, burst 10 %, limit - burst";
pub(super) const SPACED: &str = "bucket, burst 10 %, limit - 2 bursts";
pub(super) const ALIGNED: &str = "window, aligned";
pub(super) const FIRST_CALL: &str = "window, first call";
pub(super) const SLICED: &str = "sliding, and sliding per slice";
pub(super) const SLOTS: &str = "slots";

/// All of them.
pub(super) fn all() -> Vec<ClientShape> {
    let unit = Unit::TotalTokens;
    let minute = span(MINUTE);
    let bucket = |limit, burst| Quota::bucket(unit, limit, minute).and_then(|q| q.burst(burst));
    let aligned = Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let shape = |name, quotas: Vec<Result<Quota, QuotaError>>| ClientShape {
        name,
        policies: quotas
            .into_iter()
            .enumerate()
            .map(|(i, quota)| Policy::new(&format!("limit-{i}"), quota.expect("a valid quota")))
            .collect(),
    };
    vec![
        shape(SLIDING, vec![Quota::sliding(unit, LIMIT, minute)]),
        shape(FULL, vec![Quota::bucket(unit, LIMIT, minute)]),
        shape(TENTH, vec![bucket(LIMIT, DEAREST)]),
        shape(LOWERED, vec![bucket(LIMIT - DEAREST, DEAREST)]),
        shape(SPACED, vec![bucket(LIMIT - 2 * DEAREST, DEAREST)]),
        shape(ALIGNED, vec![Quota::window(unit, LIMIT, minute, aligned)]),
        shape(
            FIRST_CALL,
            vec![Quota::window(unit, LIMIT, minute, Anchor::FirstCall)],
        ),
        shape(
            SLICED,
            vec![
                Quota::sliding(unit, LIMIT, minute),
                Quota::sliding(unit, LIMIT / SLICES, minute / SLICES as u32),
            ],
        ),
        shape(SLOTS, vec![Quota::slots(20)]),
    ]
}
