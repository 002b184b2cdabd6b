//! `Totals`: what calls add up to, by label, day or month, read from the roll-ups alone.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rusqlite::{Connection, Statement};
use tollgate_gate::Tokens;

use crate::{
    By, JournalError, Query, Reader,
    lane::SERIES,
    rollup::QUARTERS,
    sums::{COLUMNS, REPORTED},
};

/// What some calls add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What they have in common: a text for each [`By`] of the query, in its order; empty where calls have no such label.
    pub key: Vec<String>,
    /// Their sums.
    pub totals: Totals,
}

/// Sums over calls. A number that does not fit is the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Settled calls.
    pub calls: u64,
    /// Those that did not end well.
    pub failed: u64,
    /// Those whose response reported no tokens.
    pub unreported: u64,
    /// Those whose cost is not known, and so not part of `cost`.
    pub unpriced: u64,
    /// Times that calls were sent.
    pub attempts: u64,
    /// Tokens that responses reported.
    pub tokens: Tokens,
    /// In nano-US-dollars.
    pub cost: u64,
    /// Time spent waiting at the gate.
    pub waited: Duration,
}

impl Totals {
    fn of(numbers: [u64; REPORTED]) -> Self {
        let [
            calls,
            failed,
            unreported,
            unpriced,
            attempts,
            input,
            output,
            cache_read,
            cache_write,
            reasoning,
            cost,
            waited_us,
        ] = numbers;
        Self {
            calls,
            failed,
            unreported,
            unpriced,
            attempts,
            tokens: Tokens {
                input,
                output,
                cache_read,
                cache_write,
                reasoning,
            },
            cost,
            waited: Duration::from_micros(waited_us),
        }
    }
}

impl Reader {
    /// Adds calls up. Takes time in proportion to days and label combinations, not to calls: see `docs/JOURNAL.md` for figures.
    ///
    /// Rows are in the order of their keys.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn totals(&self, query: &Query) -> Result<Vec<Row>, JournalError> {
        let rows = self
            .read_totals(query)
            .map_err(|error| self.wrong(&error))?;
        Ok(rows
            .into_iter()
            .map(|(key, numbers)| Row {
                key,
                totals: Totals::of(numbers),
            })
            .collect())
    }

    fn read_totals(
        &self,
        query: &Query,
    ) -> rusqlite::Result<BTreeMap<Vec<String>, [u64; REPORTED]>> {
        let snapshot = self.connection.unchecked_transaction()?;
        let mut totals: BTreeMap<Vec<String>, [u64; REPORTED]> = BTreeMap::new();
        let Some((first, last)) = extent(&snapshot)? else {
            return Ok(totals);
        };
        let first = query.since.map_or(first, |since| since.max(first));
        let end = query.until.map_or(last + 1, |until| until.min(last + 1));
        let series = all_series(&snapshot)?;
        let mut adder = Adder::new(&snapshot)?;
        for period in query.periods(first, end) {
            for (id, numbers) in adder.add_up(period.from, period.to)? {
                let Some(series) = series.get(id) else {
                    continue;
                };
                let part = |by: &By| match (by, by.column()) {
                    (_, Some(column)) => series[column].clone(),
                    (By::Month, None) => period.day.strftime("%Y-%m").to_string(),
                    (_, None) => period.day.to_string(),
                };
                let key = query.by.iter().map(part).collect();
                plus(totals.entry(key).or_insert([0; REPORTED]), numbers);
            }
        }
        Ok(totals)
    }
}

/// Adds up spans of time by series. SQLite could group by itself, but would sort the rows for it, which takes longer.
struct Adder<'a> {
    days: Statement<'a>,
    quarters: Statement<'a>,
    series_of_lane: Statement<'a>,
    lanes: HashMap<i64, i64>,
    sums: HashMap<i64, [u64; REPORTED]>,
}

impl<'a> Adder<'a> {
    fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            days: connection.prepare(&rows_of("day", "series"))?,
            quarters: connection.prepare(&rows_of("quarter", "lane"))?,
            series_of_lane: connection.prepare("SELECT series FROM lane WHERE id = ?1")?,
            lanes: HashMap::new(),
            sums: HashMap::new(),
        })
    }

    /// Adds up the quarters from `from` to before `to`, whole days by their own sums.
    fn add_up(&mut self, from: i64, to: i64) -> rusqlite::Result<&HashMap<i64, [u64; REPORTED]>> {
        self.sums.clear();
        let first_day = (from + QUARTERS - 1).div_euclid(QUARTERS);
        let end_day = to.div_euclid(QUARTERS);
        if first_day >= end_day {
            self.add_quarters(from, to)?;
        } else {
            self.add_quarters(from, first_day * QUARTERS)?;
            self.add_days(first_day, end_day)?;
            self.add_quarters(end_day * QUARTERS, to)?;
        }
        Ok(&self.sums)
    }

    fn add_days(&mut self, from: i64, to: i64) -> rusqlite::Result<()> {
        let mut rows = self.days.query([from, to])?;
        while let Some(row) = rows.next()? {
            let sums = self.sums.entry(row.get(0)?).or_insert([0; REPORTED]);
            plus(sums, &numbers(row)?);
        }
        Ok(())
    }

    fn add_quarters(&mut self, from: i64, to: i64) -> rusqlite::Result<()> {
        if from >= to {
            return Ok(());
        }
        let mut rows = self.quarters.query([from, to])?;
        while let Some(row) = rows.next()? {
            let lane: i64 = row.get(0)?;
            let series = match self.lanes.get(&lane) {
                Some(series) => *series,
                None => {
                    let series = self.series_of_lane.query_row([lane], |row| row.get(0))?;
                    self.lanes.insert(lane, series);
                    series
                }
            };
            let sums = self.sums.entry(series).or_insert([0; REPORTED]);
            plus(sums, &numbers(row)?);
        }
        Ok(())
    }
}

fn numbers(row: &rusqlite::Row<'_>) -> rusqlite::Result<[u64; REPORTED]> {
    let mut numbers = [0; REPORTED];
    for (i, number) in numbers.iter_mut().enumerate() {
        *number = row.get::<_, i64>(1 + i)?.unsigned_abs();
    }
    Ok(numbers)
}

fn plus(sums: &mut [u64; REPORTED], numbers: &[u64; REPORTED]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum = sum.saturating_add(*number);
    }
}

fn rows_of(table: &str, of: &str) -> String {
    let columns = COLUMNS[..REPORTED].join(", ");
    format!("SELECT {of}, {columns} FROM {table} WHERE at >= ?1 AND at < ?2")
}

/// The first and the last quarter of an hour in which a call ended.
fn extent(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    connection.query_row(
        "SELECT (SELECT min(at) FROM quarter), (SELECT max(at) FROM quarter)",
        [],
        |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)),
    )
}

fn all_series(connection: &Connection) -> rusqlite::Result<HashMap<i64, [String; SERIES.len()]>> {
    let mut statement =
        connection.prepare("SELECT id, team, tenant, provider, model, operation FROM series")?;
    let series = statement.query_map([], |row| {
        let texts = [
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
        ];
        Ok((row.get(0)?, texts))
    })?;
    series.collect()
}

#[cfg(test)]
mod tests;
