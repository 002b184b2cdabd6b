//! `News`: what a response says about the provider's quotas.

use core::time::Duration;

use crate::Unit;

/// What a response says about one of the provider's quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// What the quota counts.
    pub unit: Unit,
    /// Its window, where the provider names it.
    pub window: Option<Duration>,
    /// Its limit.
    pub limit: Option<u64>,
    /// Units left when the provider answered.
    pub remaining: Option<u64>,
    /// How far `remaining` may be off through rounding: half of the provider's rounding step, 0 if it is exact.
    pub rounding: u64,
}
