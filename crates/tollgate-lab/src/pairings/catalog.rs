//! The catalog's choices: each limit that it knows, in the shape that it gives it, against what its provider enforces.

use std::time::Duration;

use tollgate_limits::{Anchor, Booking, Policy, Quota, Unit};
use tollgate_sim::provider::{self, Charging, Shape};
use tollgate_tokens::{AnchorName, Catalog, ChargeName, PolicySpec, Provider, ShapeName};

use super::Pair;

/// One pair for each limit of each provider in the catalog.
pub(super) fn pairs(calls: usize) -> Vec<Pair> {
    let mut catalog = Catalog::builtin();
    catalog
        .merge(include_str!("accounts.toml"))
        .expect("accounts that fit the catalog");
    let mut pairs = Vec::new();
    for provider in catalog.providers() {
        for specs in limits(provider) {
            pairs.push(pair(&provider.name, &specs, calls));
        }
    }
    pairs
}

/// The limits of the provider's first model that has any, one by one; those that stand for one rule together.
fn limits(provider: &Provider) -> Vec<Vec<PolicySpec>> {
    let specs = provider.policies(None).expect("a provider's own tier");
    if provider.name == "xai" {
        return vec![specs];
    }
    let model = |spec: &PolicySpec| spec.name.split_once('/').map(|(model, _)| model.to_owned());
    let first = specs.first().map(model);
    specs
        .into_iter()
        .filter(|spec| Some(model(spec)) == first)
        .map(|spec| vec![spec])
        .collect()
}

/// What the provider enforces for a limit of that many units, as far as it is documented.
///
/// | provider | rule | why |
/// | --- | --- | --- |
/// | anthropic | bucket | its pages name the token bucket |
/// | openai, groq | bucket | the remaining amounts and resets in their headers fit one |
/// | grok2-example | aligned window | its guide: the counter is cleared at the reset |
/// | llama3-example | window from the first call | the guide's example: blocked until the reset |
/// | xai | slices | its pages: enforced per second as well as per minute |
/// | others | sliding log | undocumented: the reading that forgives least among those that take a whole window's units at once |
fn rule(provider: &str, limit: u64) -> (&'static str, Shape) {
    match provider {
        "anthropic" | "openai" | "groq" => ("bucket of the limit", Shape::Bucket { burst: limit }),
        "grok2-example" => ("aligned window", Shape::Aligned),
        "llama3-example" => ("window from the first call", Shape::FirstCall),
        "xai" => ("slices of 1 s", Shape::Slices { per_window: 60 }),
        _ => ("sliding log", Shape::SlidingLog),
    }
}

fn pair(provider: &str, specs: &[PolicySpec], calls: usize) -> Pair {
    let spec = &specs[0];
    let (server_rule, shape) = rule(provider, spec.limit);
    let window = spec.window.map_or(Duration::ZERO, |w| w.nominal());
    let quota = provider::Quota::new(counted(spec.unit), spec.limit, window, shape)
        .expect("a limit that can be enforced");
    let names = specs.iter().map(|spec| spec.name.as_str());
    let shapes = specs.iter().map(described);
    Pair {
        provider: Some(provider.to_owned()),
        policy: Some(names.collect::<Vec<_>>().join(" + ")),
        client_shape: shapes.collect::<Vec<_>>().join(" + "),
        policies: specs.iter().map(policy).collect(),
        server_rule: server_rule.to_owned(),
        quota,
        unit: spec.unit,
        charging: match spec.charge {
            ChargeName::Completion | ChargeName::Produced => Charging::Completion,
            _ => Charging::Arrival,
        },
        // No less than two windows of calls that take one unit each; what fits at once says nothing of a rate.
        calls: match spec.unit {
            Unit::Requests => calls.max(2 * usize::try_from(spec.limit).unwrap_or(usize::MAX)),
            _ => calls,
        },
        safe: true,
    }
}

/// The shape in words: `sliding 10/60s`.
fn described(spec: &PolicySpec) -> String {
    let shape = match (spec.shape, spec.anchor) {
        (ShapeName::Bucket, _) => "bucket",
        (ShapeName::Window, AnchorName::FirstCall) => "window from the first call",
        (ShapeName::Window, _) => "window",
        (ShapeName::Sliding, _) => "sliding",
        (ShapeName::Slots, _) => "slots",
    };
    let window = spec.window.map_or(Duration::ZERO, |w| w.nominal());
    format!("{shape} {}/{window:?}", spec.limit)
}

/// The limit as it is enforced, without its partitions and models.
fn policy(spec: &PolicySpec) -> Policy {
    let (unit, limit) = (spec.unit, spec.limit);
    let window = spec.window.map_or(Duration::ZERO, |w| w.nominal());
    let quota = match spec.shape {
        ShapeName::Slots => Quota::slots(limit),
        ShapeName::Sliding => Quota::sliding(unit, limit, window),
        ShapeName::Bucket => Quota::bucket(unit, limit, window).and_then(|quota| {
            spec.burst
                .map_or(Ok(quota.clone()), |burst| quota.burst(burst))
        }),
        ShapeName::Window => {
            let anchor = match spec.anchor {
                AnchorName::FirstCall => Anchor::FirstCall,
                _ => Anchor::Aligned {
                    offset: Duration::ZERO,
                },
            };
            Quota::window(unit, limit, window, anchor)
        }
    };
    let policy = Policy::new(&spec.name, quota.expect("a limit of the catalog works"));
    policy.booking(match spec.charge {
        ChargeName::Arrival => Booking::Arrival,
        ChargeName::ArrivalKept => Booking::ArrivalKept,
        ChargeName::Completion | ChargeName::Produced => Booking::Completion,
    })
}

/// The provider's name for what we count.
fn counted(unit: Unit) -> provider::Unit {
    match unit {
        Unit::InputTokens => provider::Unit::Input,
        Unit::OutputTokens => provider::Unit::Output,
        Unit::TotalTokens => provider::Unit::Total,
        _ => provider::Unit::Requests,
    }
}
