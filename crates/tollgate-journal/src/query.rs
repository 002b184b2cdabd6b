//! `Query`: which totals are wanted, and the spans of time that its rows are about.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use tollgate_gate::Tick;

use crate::{
    JournalError,
    error::Kind,
    lane::SERIES,
    record::millis,
    rollup::{QUARTER_MS, quarter_of},
};

/// What totals are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum By {
    /// The label `team`.
    Team,
    /// The label `tenant`.
    Tenant,
    /// The label `provider`.
    Provider,
    /// The model that requests name.
    Model,
    /// The kind of call, such as `chat`.
    Operation,
    /// The day, as `2026-11-25`.
    Day,
    /// The month, as `2026-11`.
    Month,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Team,
        Self::Tenant,
        Self::Provider,
        Self::Model,
        Self::Operation,
        Self::Day,
        Self::Month,
    ];

    /// Its name in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Tenant => "tenant",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Operation => "operation",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Where a series has it; a time has no such place.
    pub(crate) fn column(self) -> Option<usize> {
        SERIES.iter().position(|column| *column == self.as_str())
    }
}

/// Which totals are wanted.
#[derive(Clone, Debug)]
pub struct Query {
    pub(crate) by: Vec<By>,
    /// The first quarter of an hour, and the first that is too late.
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
    zone: TimeZone,
}

impl Query {
    /// Everything in one sum, days in UTC.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            by: Vec::new(),
            since: None,
            until: None,
            zone: TimeZone::UTC,
        }
    }

    /// One row for each combination of these.
    #[must_use]
    pub fn by(mut self, by: impl IntoIterator<Item = By>) -> Self {
        self.by = by.into_iter().collect();
        self
    }

    /// Leaves out calls that ended before `at`, taken to the beginning of its quarter of an hour.
    #[must_use]
    pub fn since(mut self, at: Tick) -> Self {
        self.since = Some(quarter_of(millis(at)));
        self
    }

    /// Leaves out calls that ended at `at` or later, taken to the end of its quarter of an hour.
    #[must_use]
    pub fn until(mut self, at: Tick) -> Self {
        self.until = Some(quarter_of(millis(at).saturating_add(QUARTER_MS - 1)));
        self
    }

    /// The time zone in which days and months begin. Default: UTC, which is the quickest.
    ///
    /// # Errors
    /// If this machine does not know an IANA time zone of that name.
    pub fn time_zone(mut self, name: &str) -> Result<Self, JournalError> {
        self.zone = TimeZone::get(name).map_err(|_| {
            let name = name.to_owned();
            JournalError::new(&std::path::Path::new("").into(), Kind::TimeZone { name })
        })?;
        Ok(self)
    }
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

/// The quarters of an hour that one row is about, and the first of its days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) day: Date,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Query {
    /// Takes the quarters from `first` to before `end` apart into the days or months that rows are about.
    pub(crate) fn periods(&self, first: i64, end: i64) -> Vec<Period> {
        let mut periods = Vec::new();
        let by_day = self.by.contains(&By::Day);
        let by_time = by_day || self.by.contains(&By::Month);
        let mut from = first;
        while from < end {
            let day = self.day_of(from);
            let next = if by_day {
                day.tomorrow()
            } else {
                day.first_of_month().checked_add(1.month())
            };
            let to = match next
                .ok()
                .filter(|_| by_time)
                .and_then(|day| self.start_of(day))
            {
                Some(to) => to.clamp(from + 1, end),
                None => end,
            };
            periods.push(Period { day, from, to });
            from = to;
        }
        periods
    }

    fn day_of(&self, quarter: i64) -> Date {
        let at = Timestamp::from_millisecond(quarter.saturating_mul(QUARTER_MS));
        at.unwrap_or(Timestamp::MAX)
            .to_zoned(self.zone.clone())
            .date()
    }

    fn start_of(&self, day: Date) -> Option<i64> {
        let start = day.to_zoned(self.zone.clone()).ok()?;
        Some(quarter_of(start.timestamp().as_millisecond()))
    }
}
