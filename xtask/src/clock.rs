//! The only file of xtask that reads time: how long a step took, and how long it may still take.

use std::time::{Duration, Instant};

/// A stopwatch that starts when it is made.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        now().duration_since(self.0)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one reading of time in xtask"
)]
fn now() -> Instant {
    Instant::now()
}
