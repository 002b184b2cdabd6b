//! The line on standard error that says how far a run is.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What has happened so far in one run.
#[derive(Debug)]
pub(crate) struct Progress {
    name: &'static str,
    calls: u64,
    start: Instant,
    pub(crate) done: AtomicU64,
    pub(crate) refused: AtomicU64,
}

impl Progress {
    pub(crate) fn new(name: &'static str, calls: usize, start: Instant) -> Self {
        Self {
            name,
            calls: calls as u64,
            start,
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Shows itself a few times a second; to be dropped when the run is over.
    pub(crate) async fn show(&self) {
        // A log file wants a line now and then, a person a line that moves.
        let (period, end) = if std::io::stderr().is_terminal() {
            (100, '\r')
        } else {
            (5_000, '\n')
        };
        let mut ticks = tokio::time::interval(Duration::from_millis(period));
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.line(end);
        }
    }

    pub(crate) fn finish(&self) {
        self.line('\n');
    }

    fn line(&self, end: char) {
        let (done, refused) = (
            self.done.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        );
        let seconds = self.start.elapsed().as_secs_f64();
        let filled = usize::try_from(done * 30 / self.calls.max(1)).unwrap_or(30);
        let bar = format!("{:█<filled$}{:·<rest$}", "", "", rest = 30 - filled);
        let line = format!(
            "{:<9} {bar} {done:>4}/{} calls   {refused:>5} x 429   {seconds:>5.1} s",
            self.name, self.calls
        );
        // Nobody to show it to is no reason to stop.
        let _ = write!(std::io::stderr().lock(), "{line}{end}");
    }
}
