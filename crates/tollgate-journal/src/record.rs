//! `Record`: one settled call, as it waits to be written.

use std::time::Duration;

use tollgate_gate::{Finished, Labels, Settled, Settlement, Source, Tick, Tokens};

use crate::{
    rollup::quarter_of,
    sums::{REPORTED, Sums},
};

/// One settled call.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) at_ms: i64,
    pub(crate) labels: Labels,
    pub(crate) error: Option<Box<str>>,
    pub(crate) status: Option<u16>,
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
    pub(crate) duration: Duration,
    pub(crate) source: Source,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) cost: Option<u64>,
    pub(crate) amounts: Settlement,
}

impl Record {
    /// What is kept of a call's end; `None` for a call of which nothing was sent, and so nothing settled.
    pub(crate) fn of(finished: &Finished<'_>) -> Option<Self> {
        let Settled { amounts, source } = finished.settled?;
        Some(Self {
            at_ms: millis(finished.at),
            labels: finished.labels.clone(),
            error: finished.error.map(Into::into),
            status: finished.status,
            attempts: finished.attempts,
            waited: finished.waited,
            duration: finished.duration,
            source,
            tokens: finished.tokens,
            cost: finished.cost,
            amounts,
        })
    }

    pub(crate) fn outcome(&self) -> &str {
        self.error.as_deref().unwrap_or("ok")
    }

    /// The quarter of an hour in which it ended.
    pub(crate) const fn quarter(&self) -> i64 {
        quarter_of(self.at_ms)
    }

    /// What it adds to the sums.
    pub(crate) fn sums(&self) -> Sums {
        let tokens = self.tokens.unwrap_or_default();
        let reported: [u64; REPORTED] = [
            1,
            u64::from(self.error.is_some()),
            u64::from(self.tokens.is_none()),
            u64::from(self.cost.is_none()),
            u64::from(self.attempts),
            tokens.input,
            tokens.output,
            tokens.cache_read,
            tokens.cache_write,
            tokens.reasoning,
            self.cost.unwrap_or(0),
            micros(self.waited),
        ];
        Sums::new(&reported, &self.amounts.used.to_numbers())
    }
}

pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A point in time as the file has it.
pub(crate) fn millis(at: Tick) -> i64 {
    i64::try_from(at.as_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
