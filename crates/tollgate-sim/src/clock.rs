//! The provider's clock, the only file that reads time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that starts at zero and runs `speed` times as fast as ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    started_wall: Duration,
    speed: u32,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the provider's time starts here")]
    pub(crate) fn start(speed: u32) -> Self {
        let started_wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            started_wall,
            speed,
        }
    }

    /// Nanoseconds of the provider's time since it started.
    #[expect(
        clippy::disallowed_methods,
        reason = "the provider's only look at the time"
    )]
    pub(crate) fn now(&self) -> u64 {
        let ours = Instant::now().duration_since(self.started);
        u64::try_from(ours.as_nanos() * u128::from(self.speed)).unwrap_or(u64::MAX)
    }

    /// What a span of the provider's time lasts for its clients, rounded up: who waits that long has waited enough.
    pub(crate) fn real(&self, provider_ns: u64) -> Duration {
        Duration::from_nanos(provider_ns.div_ceil(u64::from(self.speed)))
    }

    /// The clients' wall clock at an instant of the provider's, since the Unix epoch.
    pub(crate) fn wall(&self, provider_ns: u64) -> Duration {
        self.started_wall.saturating_add(self.real(provider_ns))
    }

    /// Sleeps until an instant of the provider's time; returns at once when it has passed.
    pub(crate) async fn sleep_until(&self, provider_ns: u64) {
        let left = provider_ns.saturating_sub(self.now());
        if left > 0 {
            tokio::time::sleep(self.real(left)).await;
        }
    }
}
