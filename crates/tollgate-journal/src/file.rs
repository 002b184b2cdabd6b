//! `File`: the SQLite file behind a journal: opened, brought to the latest schema, written.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};
use tollgate_gate::Unit;

use crate::{
    JournalError,
    error::Kind,
    lane::LaneKey,
    queue::Batch,
    record::{Record, micros},
    rollup::{QUARTER_MS, QUARTERS, Rollup},
    sums::{COLUMNS, MOST, REPORTED, Sums, cell},
};

/// A connection that writes.
#[derive(Debug)]
pub(crate) struct File {
    connection: Connection,
    path: Arc<Path>,
    named: Vec<Arc<str>>,
    lanes: HashMap<LaneKey, Ids>,
}

/// The rows that stand for a call's labels.
#[derive(Clone, Copy, Debug)]
struct Ids {
    lane: i64,
    series: i64,
}

/// The rows that are known, and those that a transaction has found or made.
struct Lanes<'a> {
    known: &'a HashMap<LaneKey, Ids>,
    new: HashMap<LaneKey, Ids>,
}

/// Marks a file as a journal: "toll" in ASCII.
const APPLICATION_ID: i64 = 0x746f_6c6c;

/// What makes each schema out of the one before it.
const SCHEMAS: [&str; LATEST as usize] = [include_str!("schema/1.sql")];
const LATEST: i64 = 1;

/// How long a transaction waits for that of another program.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Tries to switch to a write-ahead log while others open the file, too.
const MOST_TRIES: u32 = 100;

/// Labels whose rows are remembered; beyond that they are looked up again.
const REMEMBERED: usize = 65_536;

/// Switches to a write-ahead log; the journal mode that the file has then.
///
/// SQLite reads the file before it locks it for that. Of two that do so at the same time none could go on, so one of them is told at
/// once that the file is busy, whatever the patience is. It waits until it can have the file for itself, and tries again.
fn keep_a_log(connection: &Connection) -> rusqlite::Result<String> {
    let mut tries = 0;
    loop {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0));
        tries += 1;
        match mode {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && tries < MOST_TRIES =>
            {
                // Whether that went well, the next try tells.
                drop(connection.execute_batch("BEGIN EXCLUSIVE; COMMIT"));
            }
            mode => return mode,
        }
    }
}

impl File {
    /// Opens a journal or makes one.
    pub(crate) fn open(path: &Path, named: Vec<Arc<str>>) -> Result<Self, JournalError> {
        let path: Arc<Path> = path.into();
        let wrong = |error| JournalError::sqlite(&path, &error, Kind::open);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(wrong)?;
        connection.busy_timeout(PATIENCE).map_err(wrong)?;
        let known = check(&connection, &path)?;
        let mode = keep_a_log(&connection).map_err(wrong)?;
        if mode != "wal" {
            let message = format!("its disk allows no write-ahead log, only `{mode}`");
            return Err(JournalError::new(&path, Kind::open(message)));
        }
        // A commit returns when its pages in the log are on the disk: what is acknowledged outlives a power failure.
        connection
            .pragma_update(None, "synchronous", "full")
            .and_then(|()| connection.pragma_update(None, "fullfsync", true))
            .map_err(wrong)?;
        if known < LATEST {
            migrate(&mut connection, &path)?;
        }
        Ok(Self {
            connection,
            path,
            named,
            lanes: HashMap::new(),
        })
    }

    pub(crate) const fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Writes a batch, all of it or nothing; it is durable afterwards.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<(), JournalError> {
        if self.lanes.len() > REMEMBERED {
            self.lanes.clear();
        }
        // What a transaction that fails has made must not be remembered.
        let mut lanes = Lanes {
            known: &self.lanes,
            new: HashMap::new(),
        };
        let wrong = |error| JournalError::sqlite(&self.path, &error, Kind::write);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(wrong)?;
        insert(&transaction, batch, &self.named, &mut lanes)
            .and_then(|()| transaction.commit())
            .map_err(wrong)?;
        let new = lanes.new;
        self.lanes.extend(new);
        Ok(())
    }

    /// Deletes the records of calls that ended before an instant, which is taken to the beginning of its quarter of an hour; their
    /// sums stay. Returns how many there were.
    pub(crate) fn prune(&mut self, before_ms: i64) -> Result<usize, JournalError> {
        let before = before_ms.div_euclid(QUARTER_MS) * QUARTER_MS;
        let mut deleted = 0;
        loop {
            let now = self
                .prune_some(before)
                .map_err(|error| JournalError::sqlite(&self.path, &error, Kind::write))?;
            deleted += now;
            if now < usize::from(PRUNED_AT_ONCE) {
                return Ok(deleted);
            }
        }
    }

    fn prune_some(&mut self, before: i64) -> rusqlite::Result<usize> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("UPDATE detail SET since = max(since, ?1)", [before])?;
        let deleted = transaction.execute(
            "DELETE FROM call WHERE id IN (SELECT id FROM call WHERE at < ?1 LIMIT ?2)",
            params![before, PRUNED_AT_ONCE],
        )?;
        transaction.commit()?;
        Ok(deleted)
    }
}

/// Records deleted in one transaction, so that the writer never waits for long.
const PRUNED_AT_ONCE: u16 = 5_000;

/// Checks that a file is a journal that this version knows, or empty. Returns its schema.
pub(crate) fn check(connection: &Connection, path: &Arc<Path>) -> Result<i64, JournalError> {
    // All at one moment: another program may be making the file.
    let transaction = connection
        .unchecked_transaction()
        .map_err(|error| JournalError::sqlite(path, &error, Kind::open))?;
    check_within(&transaction, path)
}

fn check_within(connection: &Connection, path: &Arc<Path>) -> Result<i64, JournalError> {
    let number =
        |sql: &str| -> rusqlite::Result<i64> { connection.query_row(sql, [], |row| row.get(0)) };
    let wrong = |error| JournalError::sqlite(path, &error, Kind::open);
    let application = number("PRAGMA application_id").map_err(wrong)?;
    let schema = number("PRAGMA user_version").map_err(wrong)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(wrong)?;
    if application != APPLICATION_ID {
        let is_empty = application == 0 && tables == 0;
        return if is_empty {
            Ok(0)
        } else {
            Err(JournalError::new(path, Kind::NotAJournal))
        };
    }
    if !(0..=LATEST).contains(&schema) {
        let (found, known) = (schema, LATEST);
        return Err(JournalError::new(path, Kind::Newer { found, known }));
    }
    Ok(schema)
}

/// Brings a file to the latest schema.
fn migrate(connection: &mut Connection, path: &Arc<Path>) -> Result<(), JournalError> {
    let wrong = |error| JournalError::sqlite(path, &error, Kind::open);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(wrong)?;
    // Another program may have been quicker.
    let known = check_within(&transaction, path)?;
    for (from, schema) in (0..).zip(SCHEMAS) {
        if from >= known {
            transaction.execute_batch(schema).map_err(wrong)?;
        }
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .and_then(|()| transaction.pragma_update(None, "user_version", LATEST))
        .and_then(|()| transaction.commit())
        .map_err(wrong)
}

fn insert(
    transaction: &Transaction<'_>,
    batch: &Batch,
    named: &[Arc<str>],
    lanes: &mut Lanes<'_>,
) -> rusqlite::Result<()> {
    let mut rollup = Rollup::default();
    let mut call = transaction.prepare(INSERT_CALL)?;
    for record in &batch.records {
        let key = LaneKey::of(&record.labels, named);
        let ids = ids_of(transaction, lanes, &key)?;
        insert_call(&mut call, record, ids.lane)?;
        rollup.add(record, key);
    }
    if let Some(until) = batch.folded_until {
        rollup.merge(&batch.folded);
        let since = (until.div_euclid(QUARTER_MS) + 1) * QUARTER_MS;
        transaction.execute("UPDATE detail SET since = max(since, ?1)", [since])?;
    }
    let mut days: HashMap<(i64, i64), Sums> = HashMap::new();
    let mut quarter = transaction.prepare(&upsert("quarter", "lane", &COLUMNS))?;
    for (at, key, sums) in rollup.iter() {
        let ids = ids_of(transaction, lanes, key)?;
        add(&mut quarter, at, ids.lane, sums.cells())?;
        days.entry((at.div_euclid(QUARTERS), ids.series))
            .or_insert(Sums::ZERO)
            .add(sums);
    }
    let mut day = transaction.prepare(&upsert("day", "series", &COLUMNS[..REPORTED]))?;
    for ((at, series), sums) in days {
        add(&mut day, at, series, &sums.cells()[..REPORTED])?;
    }
    Ok(())
}

fn add(
    statement: &mut rusqlite::Statement<'_>,
    at: i64,
    of: i64,
    cells: &[i64],
) -> rusqlite::Result<()> {
    let row = [at, of].into_iter().chain(cells.iter().copied());
    statement.execute(rusqlite::params_from_iter(row)).map(drop)
}

/// Adds numbers to a row of a roll-up, or makes it.
fn upsert(table: &str, of: &str, columns: &[&str]) -> String {
    let names = columns.join(", ");
    let marks = vec!["?"; columns.len()].join(", ");
    let sums: Vec<String> = columns
        .iter()
        .map(|column| format!("{column} = min({column} + excluded.{column}, {MOST})"))
        .collect();
    format!(
        "INSERT INTO {table} (at, {of}, {names}) VALUES (?, ?, {marks}) ON CONFLICT (at, {of}) DO UPDATE SET {}",
        sums.join(", ")
    )
}

/// The rows of a call's labels, made if they are new.
fn ids_of(
    transaction: &Transaction<'_>,
    lanes: &mut Lanes<'_>,
    key: &LaneKey,
) -> rusqlite::Result<Ids> {
    if let Some(ids) = lanes.known.get(key).or_else(|| lanes.new.get(key)) {
        return Ok(*ids);
    }
    let [team, tenant, provider, model, operation] = &key.series;
    let series = params![team, tenant, provider, model, operation];
    transaction.execute(
        "INSERT INTO series (team, tenant, provider, model, operation) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        series,
    )?;
    let series: i64 = transaction.query_row(
        "SELECT id FROM series WHERE team = ?1 AND tenant = ?2 AND provider = ?3 AND model = ?4 AND operation = ?5",
        series,
        |row| row.get(0),
    )?;
    transaction.execute(
        "INSERT INTO lane (series, labels) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![series, key.further],
    )?;
    let lane = transaction.query_row(
        "SELECT id FROM lane WHERE series = ?1 AND labels = ?2",
        params![series, key.further],
        |row| row.get(0),
    )?;
    let ids = Ids { lane, series };
    lanes.new.insert(key.clone(), ids);
    Ok(ids)
}

fn insert_call(
    statement: &mut rusqlite::Statement<'_>,
    record: &Record,
    lane: i64,
) -> rusqlite::Result<()> {
    let tokens = record.tokens;
    let [reserved, charged] = [&record.amounts.reserved, &record.amounts.used];
    let charged = charged.to_numbers().map(cell);
    statement.execute(params![
        record.at_ms,
        lane,
        record.labels.get("session"),
        record.outcome(),
        record.status,
        record.attempts,
        cell(micros(record.waited)),
        cell(micros(record.duration)),
        record.source.as_str(),
        tokens.map(|tokens| cell(tokens.input)),
        tokens.map(|tokens| cell(tokens.output)),
        tokens.map(|tokens| cell(tokens.cache_read)),
        tokens.map(|tokens| cell(tokens.cache_write)),
        tokens.map(|tokens| cell(tokens.reasoning)),
        record.cost.map(cell),
        cell(reserved.get(Unit::InputTokens)),
        cell(reserved.get(Unit::OutputTokens)),
        cell(reserved.get(Unit::TotalTokens)),
        cell(reserved.get(Unit::Cost)),
        charged[0],
        charged[1],
        charged[2],
        charged[3],
        charged[4],
        charged[5],
        charged[6],
        charged[7],
        charged[8],
    ])?;
    Ok(())
}

const INSERT_CALL: &str = "INSERT INTO call (at, lane, session, outcome, status, attempts, waited_us, duration_us, source, \
     input, output, cache_read, cache_write, reasoning, cost, reserved_input, reserved_output, reserved_tokens, reserved_cost, \
     charged_requests, charged_failed, charged_input, charged_cache_read, charged_output, charged_output_spare, \
     charged_output_excess, charged_tokens, charged_cost) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_until_its_log_is_on_the_disk() {
        let name = format!("tollgate-journal-file-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = File::open(&folder.join("usage.db"), Vec::new()).unwrap();
        let pragma = |name| -> rusqlite::types::Value {
            let connection = &file.connection;
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        // 2 is FULL; less than that survives a kill, but no power failure.
        assert_eq!(pragma("synchronous"), 2.into());
        drop(file);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
