//! What a provider limits: quotas, the shape of each, and when a call's tokens are charged.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls, each one unit, counted when they arrive.
    Requests,
    /// Tokens of the prompt.
    Input,
    /// Tokens of the answer.
    Output,
    /// Tokens of prompt and answer together.
    Total,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Input => "input tokens",
            Self::Output => "output tokens",
            Self::Total => "tokens",
        })
    }
}

/// How a quota spreads its limit over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A counter that is cleared whenever the provider's clock passes a whole multiple of the window.
    Aligned,
    /// A counter whose window opens with the first call that finds none open; it is cleared when that window ends.
    FirstCall,
    /// An exact log: no span of one window, wherever it begins, holds more than the limit.
    SlidingLog,
    /// The current aligned window plus the previous one, weighted by how much of it a sliding window still covers.
    SlidingCounter,
    /// A level that drains continuously at limit / window.
    Bucket {
        /// Most units the level may hold, and so the most that can pass at one instant. Zero admits nothing.
        burst: u64,
    },
    /// An aligned window whose limit is also enforced in equal aligned slices, each of limit / `per_window` units,
    /// rounded down. A call that needs more than a slice holds never fits.
    Slices {
        /// Slices in one window, from 1 to the limit; it divides the window's nanoseconds.
        per_window: u32,
    },
    /// At most limit calls at once; the window is not used.
    Concurrency,
}

/// One quota of a provider: `limit` units per window, in a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Quota {
    unit: Unit,
    limit: u64,
    window_ns: u64,
    shape: Shape,
}

impl Quota {
    /// A quota of `limit` units per `window`, at most 10^15. A limit of zero admits nothing.
    ///
    /// # Errors
    /// When the window is zero or longer than 100 years, when the limit or the burst is too large, when slices do not divide it or outnumber the limit, or when
    /// [`Shape::Concurrency`] counts anything but requests.
    pub fn new(
        unit: Unit,
        limit: u64,
        window: Duration,
        shape: Shape,
    ) -> Result<Self, InvalidQuota> {
        /// Leaves room in 64 bits for every sum of a level and a call.
        const LARGEST: u64 = 1_000_000_000_000_000;
        const LONGEST_NS: u64 = 100 * 366 * 86_400 * 1_000_000_000;
        let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        if window_ns == 0 || window_ns > LONGEST_NS {
            return Err(InvalidQuota(
                "the window must be longer than zero and at most 100 years",
            ));
        }
        let burst = if let Shape::Bucket { burst } = shape {
            burst
        } else {
            0
        };
        if limit.max(burst) > LARGEST {
            return Err(InvalidQuota(
                "the limit and the burst must be at most 10^15",
            ));
        }
        if let Shape::Slices { per_window } = shape
            && (per_window == 0
                || u64::from(per_window) > limit
                || window_ns % u64::from(per_window) != 0)
        {
            return Err(InvalidQuota(
                "slices must divide the window and be no more than the limit",
            ));
        }
        if shape == Shape::Concurrency && unit != Unit::Requests {
            return Err(InvalidQuota("concurrency counts requests"));
        }
        Ok(Self {
            unit,
            limit,
            window_ns,
            shape,
        })
    }

    /// A quota of `limit` units per minute, of a shape that takes no further number.
    pub(crate) const fn per_minute(unit: Unit, limit: u64, shape: Shape) -> Self {
        Self {
            unit,
            limit,
            window_ns: 60_000_000_000,
            shape,
        }
    }

    /// At most `limit` calls at once. Zero admits nothing.
    #[must_use]
    pub const fn concurrency(limit: u64) -> Self {
        Self {
            unit: Unit::Requests,
            limit,
            window_ns: 1,
            shape: Shape::Concurrency,
        }
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Units per window, or calls at once for [`Shape::Concurrency`].
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The window in nanoseconds of the provider's time. Without meaning for [`Shape::Concurrency`].
    #[must_use]
    pub const fn window_ns(&self) -> u64 {
        self.window_ns
    }

    /// How the limit is spread over time.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            unit,
            limit,
            window_ns,
            shape,
        } = self;
        let seconds = Duration::from_nanos(*window_ns);
        match shape {
            Shape::Concurrency => write!(f, "{limit} requests at once"),
            Shape::Aligned => write!(f, "{limit} {unit} per {seconds:?}, aligned window"),
            Shape::FirstCall => write!(
                f,
                "{limit} {unit} per {seconds:?}, window from the first call"
            ),
            Shape::SlidingLog => write!(f, "{limit} {unit} in any {seconds:?}"),
            Shape::SlidingCounter => write!(f, "{limit} {unit} per {seconds:?}, sliding counter"),
            Shape::Bucket { burst } => {
                write!(f, "{limit} {unit} per {seconds:?}, bucket of {burst}")
            }
            Shape::Slices { per_window } => {
                write!(f, "{limit} {unit} per {seconds:?} in {per_window} slices")
            }
        }
    }
}

/// When the tokens of a call are charged. Requests are always charged at arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Charging {
    /// Input and output cap at arrival, replaced at completion by what was really used, still dated to the arrival.
    Arrival,
    /// Nothing at arrival, which only checks that the input would fit; everything at completion, dated to it.
    Completion,
    /// Input at arrival, output as it is produced.
    Produced,
}

/// The quotas of one model for one team, and how calls are charged to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// All of them must have room for a call, or none is charged.
    pub quotas: Vec<Quota>,
    /// When tokens are charged.
    pub charging: Charging,
    /// Whether a refused call still counts as one request, as OpenAI's rate-limit guide says of failed requests.
    pub failed_count: bool,
}

impl Rules {
    /// Rules that charge as told and do not count refused calls. No quotas means no limit.
    #[must_use]
    pub const fn new(charging: Charging, quotas: Vec<Quota>) -> Self {
        Self {
            quotas,
            charging,
            failed_count: false,
        }
    }

    /// Whether a refused call still counts as one request.
    #[must_use]
    pub const fn failed_count(mut self, count: bool) -> Self {
        self.failed_count = count;
        self
    }
}

/// A quota that cannot be enforced as written; the message says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidQuota(&'static str);

impl fmt::Display for InvalidQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid quota: {}", self.0)
    }
}

impl std::error::Error for InvalidQuota {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_cannot_be_enforced_is_refused() {
        let minute = Duration::from_secs(60);
        let check = |unit, limit, window, shape, ok| {
            assert_eq!(Quota::new(unit, limit, window, shape).is_ok(), ok)
        };
        check(Unit::Total, 10, minute, Shape::Aligned, true);
        check(Unit::Total, 10, Duration::ZERO, Shape::Aligned, false);
        check(Unit::Total, u64::MAX, minute, Shape::Aligned, false);
        check(
            Unit::Total,
            1,
            minute,
            Shape::Bucket { burst: u64::MAX },
            false,
        );
        check(Unit::Total, 10, Duration::MAX, Shape::Aligned, false);
        check(
            Unit::Requests,
            60,
            minute,
            Shape::Slices { per_window: 60 },
            true,
        );
        check(
            Unit::Requests,
            59,
            minute,
            Shape::Slices { per_window: 60 },
            false,
        );
        check(
            Unit::Requests,
            60,
            minute,
            Shape::Slices { per_window: 0 },
            false,
        );
        check(
            Unit::Requests,
            60,
            Duration::from_nanos(61),
            Shape::Slices { per_window: 60 },
            false,
        );
        check(Unit::Input, 60, minute, Shape::Concurrency, false);
    }
}
