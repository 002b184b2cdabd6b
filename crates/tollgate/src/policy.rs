//! From a limit as it is written to a policy that is enforced.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use tollgate_limits::{Anchor, Booking, Calendar, Policy, Quota, QuotaError, Tick};
use tollgate_tokens::{AnchorName, ChargeName, PolicySpec, ShapeName, WindowSpec};

use crate::ConfigError;

/// A policy named `scope/name`, for calls of the provider `scope`; for all calls and named `name` without one.
pub(crate) fn policy(scope: Option<&str>, spec: &PolicySpec) -> Result<Policy, ConfigError> {
    let name = scope.map_or_else(
        || spec.name.clone(),
        |scope| format!("{scope}/{}", spec.name),
    );
    let wrong = |error| ConfigError::policy(&name, error);
    let mut policy = Policy::new(&name, quota(&name, spec)?).booking(match spec.charge {
        ChargeName::Arrival => Booking::Arrival,
        ChargeName::ArrivalKept => Booking::ArrivalKept,
        ChargeName::Completion => Booking::Completion,
    });
    if let Some(margin) = spec.margin {
        policy = policy.margin(margin).map_err(wrong)?;
    }
    if let Some(scope) = scope {
        policy = policy.only("profile", [scope]);
    }
    if !spec.models.is_empty() {
        policy = policy.only("model", &spec.models);
    }
    Ok(spec
        .per
        .iter()
        .fold(policy, |policy, label| policy.per(label)))
}

fn quota(name: &str, spec: &PolicySpec) -> Result<Quota, ConfigError> {
    let wrong = |error| ConfigError::policy(name, error);
    let (unit, limit) = (spec.unit, spec.limit);
    let window = spec
        .window
        .unwrap_or(WindowSpec::Span(std::time::Duration::ZERO));
    let span = window.nominal();
    match spec.shape {
        ShapeName::Slots => Quota::slots(limit),
        ShapeName::Sliding => Quota::sliding(unit, limit, span),
        ShapeName::Bucket => Quota::bucket(unit, limit, span).and_then(|quota| match spec.burst {
            Some(burst) => quota.burst(burst),
            None => Ok(quota),
        }),
        ShapeName::Window => {
            let anchor = match (spec.anchor, &spec.time_zone) {
                (AnchorName::FirstCall, _) => Anchor::FirstCall,
                (AnchorName::Day, Some(zone)) => Anchor::Calendar(days(name, zone)?),
                // Days in UTC are as long as each other.
                (AnchorName::Aligned | AnchorName::Day, _) => Anchor::Aligned {
                    offset: std::time::Duration::ZERO,
                },
            };
            Quota::window(unit, limit, span, anchor)
        }
    }
    .map_err(wrong)
}

/// The midnights of a time zone for twenty years; before and after, days are taken to last 24 hours.
fn days(policy: &str, zone: &str) -> Result<Calendar, ConfigError> {
    let unknown = || ConfigError::time_zone(policy, zone);
    let zone = TimeZone::get(zone).map_err(|_| unknown())?;
    let midnights: Vec<Tick> = FIRST_DAY
        .series(Span::new().days(1))
        .take_while(|day| *day <= LAST_DAY)
        .filter_map(|day| day.to_zoned(zone.clone()).ok())
        .map(|midnight| tick(&midnight))
        .collect();
    Calendar::new(midnights).map_err(|error: QuotaError| ConfigError::policy(policy, error))
}

fn tick(at: &Zoned) -> Tick {
    Tick::from_nanos(u64::try_from(at.timestamp().as_nanosecond()).unwrap_or(0))
}

const FIRST_DAY: Date = date(2026, 1, 1);
const LAST_DAY: Date = date(2045, 12, 31);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_in_berlin_has_23_hours_when_summer_time_begins() {
        let calendar = days("budget", "Europe/Berlin").expect("a machine with time zones");
        let start = date(2026, 3, 29)
            .to_zoned(TimeZone::get("Europe/Berlin").unwrap())
            .unwrap();
        let end = start.tomorrow().unwrap();
        assert_eq!(
            tick(&end).since(tick(&start)),
            std::time::Duration::from_secs(23 * 3_600)
        );
        assert!(format!("{calendar:?}").contains(&tick(&start).as_nanos().to_string()));
        assert!(format!("{calendar:?}").contains(&tick(&end).as_nanos().to_string()));
    }

    #[test]
    fn an_unknown_time_zone_is_named() {
        let error = days("budget", "Europe/Atlantis").unwrap_err().to_string();
        assert!(
            error.contains("policy `budget`") && error.contains("Europe/Atlantis"),
            "{error}"
        );
    }
}
