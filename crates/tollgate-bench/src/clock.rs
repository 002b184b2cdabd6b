//! The only file of the benches that reads time: wall time, and the CPU time of one thread.

use std::time::{Duration, Instant};

use cpu_time::{ProcessTime, ThreadTime};

/// Wall time since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts at zero.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading of wall time in the benches"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since it was started.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::start().0.duration_since(self.0)
    }

    /// When it was started; for the first and the last of several threads.
    #[must_use]
    pub const fn instant(self) -> Instant {
        self.0
    }
}

/// Nanoseconds of wall time that `work` takes. For what several threads do together.
pub fn wall(work: impl FnOnce()) -> f64 {
    let stopwatch = Stopwatch::start();
    work();
    nanos(stopwatch.elapsed())
}

/// Nanoseconds of CPU time that `work` takes on this thread. Other programs disturb it less than wall time.
pub fn cpu(work: impl FnOnce()) -> f64 {
    let start = ThreadTime::now();
    work();
    nanos(start.elapsed())
}

/// Nanoseconds of CPU time that `work` takes on all threads of this program: a limiter may keep one of its own.
pub fn process_cpu(work: impl FnOnce()) -> f64 {
    let start = ProcessTime::now();
    work();
    nanos(start.elapsed())
}

fn nanos(span: Duration) -> f64 {
    span.as_secs_f64() * 1e9
}
