//! The one file that reads time: tokio's clock, placed on the wall clock once.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tollgate_limits::Tick;

/// Tokio's monotonic clock as ticks since the Unix epoch.
///
/// The wall clock is read once, when the gate is made, so that windows aligned to the clock and calendar days fall where the
/// provider's do; from there on only tokio's clock counts, which never goes back and which tests can pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    start_tick: Tick,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the file that reads time"
    )]
    pub(crate) fn new() -> Self {
        Self::starting_at(SystemTime::now())
    }

    pub(crate) fn starting_at(wall: SystemTime) -> Self {
        let since_epoch = wall
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            start: now(),
            start_tick: Tick::after_origin(since_epoch),
        }
    }

    pub(crate) fn now(&self) -> Tick {
        self.tick(now())
    }

    /// The tick of an instant; instants before the clock's start count as its start.
    pub(crate) fn tick(&self, instant: Instant) -> Tick {
        self.start_tick
            .plus(instant.saturating_duration_since(self.start))
    }

    /// The instant of a tick; `None` beyond what the platform can tell.
    pub(crate) fn instant(&self, tick: Tick) -> Option<Instant> {
        self.start.checked_add(tick.since(self.start_tick))
    }
}

#[cfg(not(tollgate_shuttle))]
use self::read as now;
#[cfg(tollgate_shuttle)]
use crate::model::now;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads time"
)]
pub(crate) fn read() -> Instant {
    Instant::now()
}
