//! Where the days and months of a time zone begin, and the one window that holds all time.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use tollgate_limits::{Calendar, QuotaError, Tick};

use crate::ConfigError;

/// A calendar's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    Day,
    Month,
}

/// The midnights that begin the days or months of a time zone for twenty years; before and after, days are taken to last 24 hours and
/// months 31 days.
pub(crate) fn calendar(policy: &str, every: Every, zone: &str) -> Result<Calendar, ConfigError> {
    let unknown = || ConfigError::time_zone(policy, zone);
    let zone = TimeZone::get(zone).map_err(|_| unknown())?;
    let step = match every {
        Every::Day => Span::new().days(1),
        Every::Month => Span::new().months(1),
    };
    let midnights: Vec<Tick> = FIRST_DAY
        .series(step)
        .take_while(|day| *day <= LAST_DAY)
        .filter_map(|day| day.to_zoned(zone.clone()).ok())
        .map(|midnight| tick(&midnight))
        .collect();
    Calendar::new(midnights).map_err(|error: QuotaError| ConfigError::policy(policy, error))
}

/// One window for all time.
pub(crate) fn forever(policy: &str) -> Result<Calendar, ConfigError> {
    Calendar::new([Tick::ZERO, Tick::MAX]).map_err(|error| ConfigError::policy(policy, error))
}

fn tick(at: &Zoned) -> Tick {
    Tick::from_nanos(u64::try_from(at.timestamp().as_nanosecond()).unwrap_or(0))
}

const FIRST_DAY: Date = date(2026, 1, 1);
const LAST_DAY: Date = date(2045, 12, 31);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The length of the window that begins on a day, after a check that the calendar has both its ends.
    fn length(every: Every, zone: &str, start: Date, end: Date) -> Duration {
        let calendar = calendar("budget", every, zone).expect("a machine with time zones");
        let known = format!("{calendar:?}");
        let [start, end] = [start, end].map(|day| {
            let at = tick(&day.to_zoned(TimeZone::get(zone).unwrap()).unwrap());
            assert!(known.contains(&at.as_nanos().to_string()), "{day}");
            at
        });
        end.since(start)
    }

    #[test]
    fn a_day_in_berlin_has_23_hours_when_summer_time_begins() {
        let (start, end) = (date(2026, 3, 29), date(2026, 3, 30));
        assert_eq!(
            length(Every::Day, "Europe/Berlin", start, end),
            Duration::from_secs(23 * 3_600)
        );
    }

    #[test]
    fn a_month_is_as_long_as_it_is_in_its_time_zone() {
        let hours = |zone, start, end| length(Every::Month, zone, start, end).as_secs() / 3_600;
        assert_eq!(hours("UTC", date(2028, 2, 1), date(2028, 3, 1)), 29 * 24);
        let (start, end) = (date(2026, 3, 1), date(2026, 4, 1));
        assert_eq!(hours("Europe/Berlin", start, end), 31 * 24 - 1);
    }

    #[test]
    fn an_unknown_time_zone_is_named() {
        let error = calendar("budget", Every::Day, "Europe/Atlantis")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("policy `budget`") && error.contains("Europe/Atlantis"),
            "{error}"
        );
    }
}
