//! What calls of earlier runs have spent, in the order of time, for the policies of a gate.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::params;
use tollgate_gate::{Amounts, Anchor, Labels, Plan, Quota, Shape, Tick};

use crate::{
    JournalError, Reader,
    lane::LaneKey,
    record::millis,
    rollup::{QUARTER_MS, quarter_of},
};

/// What calls with these labels used at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) at: Tick,
    pub(crate) labels: Labels,
    pub(crate) used: Amounts,
}

/// How far back the policies of a plan look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reach {
    /// Policies whose windows begin at a quarter of an hour: the sums will do.
    coarse: Duration,
    /// Others, for which each call counts at its own time.
    fine: Duration,
}

/// Single calls are replayed no further back; there may be millions of them.
const FINE: Duration = Duration::from_secs(25 * 60 * 60);

/// Calendar windows are not all of their nominal length: months differ by three days, and days by an hour or two.
const UNEVEN: Duration = Duration::from_secs(4 * 24 * 60 * 60);

/// How many windows are replayed to find out where those begin that begin with a call, if they are no longer than a day.
const WINDOWS: u32 = 8;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Reader {
    /// Hands over, in the order of time, what the policies of `plan` still count at `now`.
    pub(crate) fn spent(
        &self,
        plan: &Plan,
        now: Tick,
        each: impl FnMut(Spent),
    ) -> Result<(), JournalError> {
        self.read_spent(Reach::of(plan), millis(now), each)
            .map_err(|error| self.wrong(&error))
    }

    fn read_spent(
        &self,
        reach: Reach,
        now: i64,
        mut each: impl FnMut(Spent),
    ) -> rusqlite::Result<()> {
        let snapshot = self.connection.unchecked_transaction()?;
        let back = |span: Duration| {
            let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            quarter_of(now.saturating_sub(span).max(0))
        };
        let coarse_from = back(reach.coarse.max(reach.fine));
        let single_from: i64 =
            snapshot.query_row("SELECT since FROM detail", [], |row| row.get(0))?;
        let fine_from = if reach.fine.is_zero() {
            i64::MAX / QUARTER_MS
        } else {
            back(reach.fine.min(FINE)).max(quarter_of(single_from + QUARTER_MS - 1))
        };
        let mut lanes = Lanes::default();
        let mut hand_over = |at: i64, row: &rusqlite::Row<'_>| -> rusqlite::Result<()> {
            let labels = lanes.labels(&snapshot, row.get(1)?)?;
            let mut numbers = [0_u64; NUMBERS];
            for (i, number) in numbers.iter_mut().enumerate() {
                *number = row.get::<_, i64>(2 + i)?.unsigned_abs();
            }
            each(Spent {
                at: Tick::after_origin(Duration::from_millis(at.min(now).unsigned_abs())),
                labels,
                used: Amounts::from_numbers(numbers),
            });
            Ok(())
        };
        let mut sums = snapshot.prepare(SUMS)?;
        let mut rows = sums.query(params![coarse_from, fine_from])?;
        while let Some(row) = rows.next()? {
            let quarter: i64 = row.get(0)?;
            hand_over((quarter + 1) * QUARTER_MS - BEFORE_THE_END_MS, row)?;
        }
        let mut calls = snapshot.prepare(CALLS)?;
        let mut rows = calls.query(params![fine_from.saturating_mul(QUARTER_MS)])?;
        while let Some(row) = rows.next()? {
            hand_over(row.get(0)?, row)?;
        }
        Ok(())
    }
}

/// Numbers of an `Amounts`.
const NUMBERS: usize = 9;

/// What a quarter of an hour has used is booked so long before its end: within it, and not so near its end that a policy takes it for
/// the next window's too.
const BEFORE_THE_END_MS: i64 = 1_000;

const SUMS: &str = "SELECT at, lane, charged_requests, charged_failed, charged_input, charged_cache_read, charged_output, \
     charged_output_spare, charged_output_excess, charged_tokens, charged_cost FROM quarter WHERE at >= ?1 AND at < ?2 ORDER BY at, lane";

const CALLS: &str = "SELECT at, lane, charged_requests, charged_failed, charged_input, charged_cache_read, charged_output, \
     charged_output_spare, charged_output_excess, charged_tokens, charged_cost FROM call WHERE at >= ?1 ORDER BY at, id";

impl Reach {
    fn of(plan: &Plan) -> Self {
        let mut reach = Self::default();
        for policy in plan.policies() {
            let quota = policy.quota();
            let window = quota.window_span();
            match quota.shape() {
                Shape::Slots => {}
                Shape::Window(Anchor::Calendar(_)) => reach.add_coarse(window + UNEVEN),
                Shape::Window(Anchor::Aligned { offset })
                    if begins_at_quarters(window, *offset) =>
                {
                    reach.add_coarse(window);
                }
                Shape::Window(Anchor::FirstCall) => {
                    reach.add_fine((window * WINDOWS).min(DAY).max(window * 2));
                }
                Shape::Bucket { burst } => reach.add_fine(window + refill(quota, *burst)),
                // The margin of a policy is shorter than its window.
                _ => reach.add_fine(window.saturating_mul(2)),
            }
        }
        reach
    }

    fn add_coarse(&mut self, span: Duration) {
        self.coarse = self.coarse.max(span);
    }

    fn add_fine(&mut self, span: Duration) {
        self.fine = self.fine.max(span);
    }
}

fn begins_at_quarters(window: Duration, offset: Duration) -> bool {
    let quarter = u128::from(QUARTER_MS.unsigned_abs()) * 1_000_000;
    window.as_nanos().is_multiple_of(quarter) && offset.as_nanos().is_multiple_of(quarter)
}

/// How long an empty bucket takes to fill.
fn refill(quota: &Quota, burst: u64) -> Duration {
    let nanos = quota.window_span().as_nanos() * u128::from(burst) / u128::from(quota.limit());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Labels by lane, read when they are first met.
#[derive(Default)]
struct Lanes {
    known: HashMap<i64, Labels>,
}

impl Lanes {
    fn labels(&mut self, connection: &rusqlite::Connection, lane: i64) -> rusqlite::Result<Labels> {
        if let Some(labels) = self.known.get(&lane) {
            return Ok(labels.clone());
        }
        let key = connection.query_row(
            "SELECT team, tenant, provider, model, operation, labels FROM lane JOIN series ON series.id = lane.series \
             WHERE lane.id = ?1",
            [lane],
            |row| {
                Ok(LaneKey {
                    series: [
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                    ],
                    further: row.get(5)?,
                })
            },
        )?;
        let labels = key.labels();
        self.known.insert(lane, labels.clone());
        Ok(labels)
    }
}
