//! `Totals`: what calls add up to, by label, day or month, read from the roll-ups alone.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rusqlite::{Connection, params};
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
        let mut sums = SumStatements {
            days: snapshot.prepare(&sum_days())?,
            quarters: snapshot.prepare(&sum_quarters())?,
        };
        for period in query.periods(first, end) {
            sums.add_up(period.from, period.to, |id, numbers| {
                let Some(series) = series.get(&id) else {
                    return;
                };
                let part = |by: &By| match (by, by.column()) {
                    (_, Some(column)) => series[column].clone(),
                    (By::Month, None) => period.day.strftime("%Y-%m").to_string(),
                    (_, None) => period.day.to_string(),
                };
                let key = query.by.iter().map(part).collect();
                let sums = totals.entry(key).or_insert([0; REPORTED]);
                for (sum, number) in sums.iter_mut().zip(numbers) {
                    *sum = sum.saturating_add(number);
                }
            })?;
        }
        Ok(totals)
    }
}

/// The two ways to add up a span of time.
struct SumStatements<'a> {
    days: rusqlite::Statement<'a>,
    quarters: rusqlite::Statement<'a>,
}

impl SumStatements<'_> {
    /// Adds up the quarters from `from` to before `to`, whole days by their own sums.
    fn add_up(
        &mut self,
        from: i64,
        to: i64,
        mut each: impl FnMut(i64, [u64; REPORTED]),
    ) -> rusqlite::Result<()> {
        let first_day = (from + QUARTERS - 1).div_euclid(QUARTERS);
        let end_day = to.div_euclid(QUARTERS);
        if first_day >= end_day {
            return run(&mut self.quarters, from, to, &mut each);
        }
        run(&mut self.quarters, from, first_day * QUARTERS, &mut each)?;
        run(&mut self.days, first_day, end_day, &mut each)?;
        run(&mut self.quarters, end_day * QUARTERS, to, &mut each)
    }
}

fn run(
    statement: &mut rusqlite::Statement<'_>,
    from: i64,
    to: i64,
    each: &mut impl FnMut(i64, [u64; REPORTED]),
) -> rusqlite::Result<()> {
    if from >= to {
        return Ok(());
    }
    let mut rows = statement.query(params![from, to])?;
    while let Some(row) = rows.next()? {
        let mut numbers = [0; REPORTED];
        for (i, number) in numbers.iter_mut().enumerate() {
            *number = row.get::<_, i64>(1 + i)?.unsigned_abs();
        }
        each(row.get(0)?, numbers);
    }
    Ok(())
}

fn sum_days() -> String {
    format!(
        "SELECT series, {} FROM day WHERE at >= ?1 AND at < ?2 GROUP BY series",
        sums()
    )
}

fn sum_quarters() -> String {
    format!(
        "SELECT series, {} FROM quarter JOIN lane ON lane.id = quarter.lane WHERE at >= ?1 AND at < ?2 GROUP BY series",
        sums()
    )
}

fn sums() -> String {
    let sums: Vec<String> = COLUMNS[..REPORTED]
        .iter()
        .map(|column| format!("sum({column})"))
        .collect();
    sums.join(", ")
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
