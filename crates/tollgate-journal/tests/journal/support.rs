//! What the tests share: a folder that goes away, calls that end, and an independent look into the file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tollgate_gate::{
    Amounts, Event, Finished, Labels, Recorder as _, Settled, Settlement, Source, Tick, Tokens,
    Unit,
};
use tollgate_journal::Journal;

/// A folder that is deleted with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollgate-journal-{}-{next}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("usage.db")
    }

    /// Everything that is in its files.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(&self.0).unwrap();
        files
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Noon of 25 November 2026 in UTC, in milliseconds since the Unix epoch.
pub(crate) const NOON: i64 = 1_795_608_000_000;

pub(crate) fn tick(at_ms: i64) -> Tick {
    Tick::after_origin(Duration::from_millis(at_ms.unsigned_abs()))
}

/// A call that ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) at_ms: i64,
    pub(crate) labels: Labels,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) cost: Option<u64>,
    pub(crate) error: Option<&'static str>,
    pub(crate) used: Amounts,
}

impl End {
    /// One that went well.
    pub(crate) fn at(at_ms: i64) -> Self {
        let tokens = Tokens {
            input: 100,
            output: 20,
            cache_read: 30,
            cache_write: 10,
            reasoning: 5,
        };
        Self {
            at_ms,
            labels: Labels::new(),
            tokens: Some(tokens),
            cost: Some(1_000),
            error: None,
            used: Amounts::call(100, 20).with(Unit::Cost, 1_000),
        }
    }

    pub(crate) fn with(mut self, label: &str, value: &str) -> Self {
        self.labels = self.labels.with(label, value);
        self
    }

    pub(crate) fn costing(mut self, nanos: u64) -> Self {
        self.cost = Some(nanos);
        self.used = self.used.with(Unit::Cost, nanos);
        self
    }

    pub(crate) fn record_in(&self, journal: &Journal) {
        journal.record(&Event::Finished(&Finished {
            labels: &self.labels,
            response_model: Some("llama-3-70b"),
            finish_reason: Some("stop"),
            tokens: self.tokens,
            cost: self.cost,
            duration: Duration::from_millis(1_500),
            attempts: 2,
            status: Some(200),
            error: self.error,
            at: tick(self.at_ms),
            waited: Duration::from_micros(250),
            settled: Some(Settled {
                amounts: Settlement {
                    reserved: Amounts::call(120, 200).with(Unit::Cost, 3_000),
                    used: self.used,
                },
                source: Source::Reported,
            }),
        }));
    }
}

/// One number out of the file, read by SQLite alone.
pub(crate) fn number(folder: &Folder, sql: &str) -> i64 {
    let connection = Connection::open(folder.journal()).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}
