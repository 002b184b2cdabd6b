//! From a limit as it is written to a policy that is enforced.

use std::time::Duration;

use tollgate_limits::{Anchor, Booking, Policy, Quota, Unit};
use tollgate_tokens::{AnchorName, ChargeName, PolicySpec, ShapeName, SpentRule, WindowSpec};

use crate::ConfigError;
use crate::calendar::{Every, calendar, forever};

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
        ChargeName::Completion | ChargeName::Produced => Booking::Completion,
    });
    policy = policy.counting(spec.counting());
    // A budget of the user is counted here and nowhere else, so nothing can drift apart.
    let exact = || (spec.unit == Unit::Cost && scope.is_none()).then_some(Duration::ZERO);
    if let Some(margin) = spec.margin.or_else(exact) {
        policy = policy.margin(margin).map_err(wrong)?;
    }
    if spec.spent == SpentRule::Refuse {
        policy = policy.refusing();
    }
    if let Some(pace) = spec.pace {
        policy = policy.paced(pace).map_err(wrong)?;
    }
    if let Some(bounds) = spec.adaptive {
        policy = policy
            .adaptive(bounds.floor, bounds.ceiling)
            .map_err(wrong)?;
    }
    if spec.trusting {
        policy = policy.trusting();
    }
    if spec.alone {
        policy = policy.alone();
    }
    if spec.window == Some(WindowSpec::Session) {
        // Any value of it: a call that names no session is not in one.
        policy = policy.only(SESSION, ["*"]).per(SESSION);
    }
    if let Some(scope) = scope {
        policy = policy.only("profile", [scope]);
    }
    if !spec.models.is_empty() {
        policy = policy.only("model", &spec.models);
    }
    let per = spec
        .per
        .iter()
        .filter(|label| *label != SESSION || spec.window != Some(WindowSpec::Session));
    Ok(per.fold(policy, |policy, label| policy.per(label)))
}

/// The label by which calls name their session.
const SESSION: &str = "session";

fn quota(name: &str, spec: &PolicySpec) -> Result<Quota, ConfigError> {
    let wrong = |error| ConfigError::policy(name, error);
    let (unit, limit) = (spec.unit, spec.limit);
    let window = spec.window.unwrap_or(WindowSpec::Span(Duration::ZERO));
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
                (AnchorName::Day, Some(zone)) => {
                    Anchor::Calendar(calendar(name, Every::Day, zone)?)
                }
                (AnchorName::Month, zone) => {
                    let zone = zone.as_deref().unwrap_or("UTC");
                    Anchor::Calendar(calendar(name, Every::Month, zone)?)
                }
                (AnchorName::Never, _) => Anchor::Calendar(forever(name)?),
                // Days in UTC are as long as each other.
                (AnchorName::Aligned | AnchorName::Day, _) => Anchor::Aligned {
                    offset: Duration::ZERO,
                },
            };
            Quota::window(unit, limit, span, anchor)
        }
    }
    .map_err(wrong)
}
