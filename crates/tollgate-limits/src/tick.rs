//! `Tick`: a point in time that the caller supplies; spans are `core::time::Duration`.

use core::time::Duration;

/// A point in time in nanoseconds since an origin that the caller chooses once.
///
/// The core never reads a clock: every operation takes `now: Tick`. Windows aligned to the clock (`Anchor::Aligned`)
/// count from the origin, so a driver that wants "each full minute" takes the Unix epoch as its origin.
/// Zero is the origin; the maximum (about 584 years later) means "never".
///
/// Arithmetic saturates: a tick beyond the maximum is [`Tick::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// The end of time: "never".
    pub const MAX: Self = Self(u64::MAX);

    /// A tick `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A tick `span` after the origin, saturating.
    #[must_use]
    pub fn after_origin(span: Duration) -> Self {
        Self(nanos(span))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This tick moved `span` into the future, saturating at [`Tick::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// The span from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    pub(crate) fn checked_plus_nanos(self, nanos: u64) -> Option<Self> {
        self.0.checked_add(nanos).map(Self)
    }

    pub(crate) const fn minus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }
}

/// A span in whole nanoseconds, saturating at about 584 years.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
