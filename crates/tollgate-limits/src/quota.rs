//! `Quota`: so many units per window, in one of four shapes; checked once at construction.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use crate::{Tick, Unit, tick::nanos};

/// An allocation of units: `limit` per `window`, shaped as the provider enforces it.
///
/// A value of this type is valid: the constructors reject what could never work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    unit: Unit,
    limit: u64,
    window: u64,
    shape: Shape,
}

/// How a quota comes back after use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Refills continuously at `limit / window`; at most `burst` units at one instant (GCRA, token bucket).
    Bucket {
        /// Most units grantable at one instant, at least 1.
        burst: u64,
    },
    /// Counts up to the limit and starts again at zero when the window ends.
    Window(Anchor),
    /// No more than the limit in *any* span of the window. Safe against fixed windows of any phase, sliding logs and buckets
    /// of size = limit, so it is the default where a provider documents nothing.
    Sliding,
    /// At most `limit` calls in flight; the window plays no part.
    Slots,
}

/// Where fixed windows begin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anchor {
    /// At `offset` after the origin of time and every window from there, for ever in both directions.
    Aligned {
        /// Shift against the origin; only its remainder by the window matters.
        offset: Duration,
    },
    /// With the first call after the previous window ended.
    FirstCall,
    /// At listed instants, such as the midnights of a time zone with daylight saving. The window's length is then only a
    /// nominal one: it spaces the boundaries before the first listed instant and after the last.
    Calendar(Calendar),
}

/// Ascending boundaries of calendar windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    boundaries: Arc<[Tick]>,
}

impl Calendar {
    /// Boundaries in ascending order.
    ///
    /// # Errors
    /// [`QuotaError::Calendar`] if the list is empty or not strictly ascending.
    pub fn new(boundaries: impl Into<Arc<[Tick]>>) -> Result<Self, QuotaError> {
        let boundaries = boundaries.into();
        if boundaries.is_empty() || !boundaries.is_sorted_by(|a, b| a < b) {
            return Err(QuotaError::Calendar);
        }
        Ok(Self { boundaries })
    }

    /// The last boundary at or before `at` and the first after it; `nominal` spaces those outside the list.
    pub(crate) fn around(&self, at: Tick, nominal: u64) -> (Tick, Tick) {
        let next = self.boundaries.partition_point(|&b| b <= at);
        let first = self.boundaries[0];
        if next == 0 {
            let gap = first.as_nanos() - at.as_nanos();
            // The last boundary of those before the list that is later than `at`.
            let end = first.minus_nanos((gap - 1) / nominal * nominal);
            return (end.minus_nanos(nominal), end);
        }
        let start = self.boundaries[next - 1];
        if let Some(&end) = self.boundaries.get(next) {
            return (start, end);
        }
        let start = start.plus_nanos((at.as_nanos() - start.as_nanos()) / nominal * nominal);
        (start, start.plus_nanos(nominal))
    }
}

impl Quota {
    /// The largest limit, 10^15 units: exact in the double-precision numbers of stores that keep the ledger elsewhere.
    pub const MAX_LIMIT: u64 = 1_000_000_000_000_000;
    /// The longest window, ten years.
    pub const MAX_WINDOW: Duration = Duration::from_secs(3_660 * 86_400);

    /// A continuously refilled bucket whose burst is the limit.
    ///
    /// # Errors
    /// A zero or absurd limit or window, or a unit that has no rate ([`Unit::Concurrency`]).
    pub fn bucket(unit: Unit, limit: u64, window: Duration) -> Result<Self, QuotaError> {
        Self::rate(unit, limit, window, Shape::Bucket { burst: limit })
    }

    /// A fixed window.
    ///
    /// # Errors
    /// As [`Quota::bucket`].
    pub fn window(
        unit: Unit,
        limit: u64,
        window: Duration,
        anchor: Anchor,
    ) -> Result<Self, QuotaError> {
        Self::rate(unit, limit, window, Shape::Window(anchor))
    }

    /// A sliding window.
    ///
    /// # Errors
    /// As [`Quota::bucket`].
    pub fn sliding(unit: Unit, limit: u64, window: Duration) -> Result<Self, QuotaError> {
        Self::rate(unit, limit, window, Shape::Sliding)
    }

    /// At most `limit` calls in flight at the same time.
    ///
    /// # Errors
    /// A zero or absurd limit.
    pub fn slots(limit: u64) -> Result<Self, QuotaError> {
        check_limit(limit)?;
        Ok(Self {
            unit: Unit::Concurrency,
            limit,
            window: 0,
            shape: Shape::Slots,
        })
    }

    /// The same bucket with another burst. Less than the limit smooths calls, more lets an idle quota save up.
    ///
    /// # Errors
    /// [`QuotaError::Burst`] if the burst is zero, absurd, or the quota is not a bucket.
    pub fn burst(mut self, burst: u64) -> Result<Self, QuotaError> {
        match &mut self.shape {
            Shape::Bucket { burst: b } if burst > 0 && burst <= Self::MAX_LIMIT => *b = burst,
            _ => return Err(QuotaError::Burst { burst }),
        }
        Ok(self)
    }

    /// The same with another limit, which a bucket's burst follows where it was the limit itself.
    pub(crate) fn with_limit(mut self, limit: u64) -> Result<Self, QuotaError> {
        check_limit(limit)?;
        if let Shape::Bucket { burst } = &mut self.shape
            && *burst == self.limit
        {
            *burst = limit;
        }
        self.limit = limit;
        Ok(self)
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Units per window, or calls in flight for [`Shape::Slots`]. At least 1.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The time over which the limit is allocated; zero for [`Shape::Slots`].
    #[must_use]
    pub const fn window_span(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// How it comes back after use.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The most units that one call can ever take: the burst of a bucket, otherwise the limit.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        match self.shape {
            Shape::Bucket { burst } => burst,
            _ => self.limit,
        }
    }

    pub(crate) const fn window_nanos(&self) -> u64 {
        self.window
    }

    fn rate(unit: Unit, limit: u64, window: Duration, shape: Shape) -> Result<Self, QuotaError> {
        check_limit(limit)?;
        if unit == Unit::Concurrency {
            return Err(QuotaError::NoRate);
        }
        if window.is_zero() || window > Self::MAX_WINDOW {
            return Err(QuotaError::Window { window });
        }
        Ok(Self {
            unit,
            limit,
            window: nanos(window),
            shape,
        })
    }
}

const fn check_limit(limit: u64) -> Result<(), QuotaError> {
    if limit == 0 || limit > Quota::MAX_LIMIT {
        return Err(QuotaError::Limit { limit });
    }
    Ok(())
}

/// Why a quota, or a policy around it, cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaError {
    /// The limit is zero or above [`Quota::MAX_LIMIT`].
    Limit {
        /// The rejected limit.
        limit: u64,
    },
    /// The window is zero or longer than [`Quota::MAX_WINDOW`].
    Window {
        /// The rejected window.
        window: Duration,
    },
    /// The burst is zero, above [`Quota::MAX_LIMIT`], or the quota is not a bucket.
    Burst {
        /// The rejected burst.
        burst: u64,
    },
    /// Concurrency has no rate: use [`Quota::slots`].
    NoRate,
    /// Calendar boundaries are missing or not in ascending order.
    Calendar,
    /// The margin leaves no room: it must be shorter than half a fixed window, and than the time in which a bucket refills its
    /// burst.
    Margin {
        /// The rejected margin.
        margin: Duration,
    },
    /// The pace is zero or above the limit, or the quota is one of slots.
    Pace {
        /// The rejected pace.
        pace: u64,
    },
    /// The bounds of an adaptive policy do not hold its start between them.
    Adaptive {
        /// The rejected floor.
        floor: u64,
        /// The rejected ceiling.
        ceiling: u64,
    },
    /// The policy has no name, or the plan has two policies of one name.
    Name,
    /// More than [`crate::Plan::MAX_POLICIES`] policies.
    TooManyPolicies,
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { limit: 0 } => {
                f.write_str("a limit of 0 admits nothing; give at least 1, or remove the policy")
            }
            Self::Limit { limit } => write!(
                f,
                "a limit of {limit} is above the largest, {}",
                Quota::MAX_LIMIT
            ),
            Self::Window { window } if window.is_zero() => {
                f.write_str("a window of 0 s has no rate; give a span such as 60 s")
            }
            Self::Window { window } => write!(f, "a window of {window:?} is longer than ten years"),
            Self::Burst { burst } => {
                write!(
                    f,
                    "a burst of {burst} cannot be set: only buckets have one, from 1 to {}",
                    Quota::MAX_LIMIT
                )
            }
            Self::NoRate => {
                f.write_str("concurrency is a number of slots, not a rate: use the slots shape")
            }
            Self::Calendar => f.write_str("calendar boundaries must be a non-empty ascending list"),
            Self::Margin { margin } => write!(
                f,
                "a margin of {margin:?} leaves no room: it must be below half a fixed window, and below the time in which a bucket \
                 refills its burst"
            ),
            Self::Pace { pace } => write!(
                f,
                "a pace of {pace} cannot be kept: it is a number of units per window, from 1 to the limit, and slots have none"
            ),
            Self::Adaptive { floor, ceiling } => write!(
                f,
                "an adaptive policy starts at its limit, which must lie between a floor of at least 1 ({floor}) and the ceiling                  ({ceiling}, at most {})",
                Quota::MAX_LIMIT
            ),
            Self::Name => f.write_str("each policy needs a name of its own"),
            Self::TooManyPolicies => write!(
                f,
                "a plan holds at most {} policies",
                crate::Plan::MAX_POLICIES
            ),
        }
    }
}

impl core::error::Error for QuotaError {}
