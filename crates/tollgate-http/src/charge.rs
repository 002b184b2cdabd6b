//! `ChargeRules`: what one provider counts, per unit, before a call and after it.

use tollgate_gate::{Amounts, Unit};
use tollgate_tokens::{ChargeName, Cost, Estimate, OutputRule, PolicySpec, Price, Usage};

/// How calls are charged against the policies of one provider.
///
/// One amount per unit serves all policies of that unit, so where they differ the dearer rule holds for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChargeRules {
    requests: UnitRules,
    input: UnitRules,
    output: UnitRules,
    total: UnitRules,
    has_cost: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct UnitRules {
    reserve_cap: bool,
    cache_reads: bool,
    failures: bool,
}

impl ChargeRules {
    /// The rules that follow from a provider's limits.
    #[must_use]
    pub fn of(specs: &[PolicySpec]) -> Self {
        let unit = |unit: Unit| {
            let of_unit = || specs.iter().filter(move |spec| spec.unit == unit);
            UnitRules {
                reserve_cap: of_unit().any(|spec| {
                    spec.output == OutputRule::Cap || spec.charge == ChargeName::ArrivalKept
                }),
                cache_reads: of_unit().any(|spec| spec.cache_reads),
                failures: of_unit().any(|spec| spec.failures),
            }
        };
        Self {
            requests: unit(Unit::Requests),
            input: unit(Unit::InputTokens),
            output: unit(Unit::OutputTokens),
            total: unit(Unit::TotalTokens),
            has_cost: specs.iter().any(|spec| spec.unit == Unit::Cost),
        }
    }

    /// Whether a budget needs to know the price of each call.
    #[must_use]
    pub const fn needs_price(&self) -> bool {
        self.has_cost
    }

    /// What to reserve for an estimate. Money is reserved as expected, not at the worst: a budget overshoots by at most what is in
    /// flight.
    pub(crate) fn reserve(&self, expected: &Expected, price: Option<&Price>) -> Amounts {
        let output = |rules: UnitRules| {
            if rules.reserve_cap {
                expected.output_cap
            } else {
                expected.output
            }
        };
        let cost = price.map_or(Cost::ZERO, |price| {
            price.cost(&Usage::new(expected.input, expected.output))
        });
        Amounts::ZERO
            .with(Unit::Requests, 1)
            .with(Unit::InputTokens, expected.input)
            .with(Unit::OutputTokens, output(self.output))
            .with(
                Unit::TotalTokens,
                expected.input.saturating_add(output(self.total)),
            )
            .with(Unit::Cost, cost.nanos())
    }

    /// What the provider charges for `usage`.
    pub(crate) fn settle(&self, usage: &Usage, cost: Option<Cost>) -> Amounts {
        let input = |rules: UnitRules| {
            if rules.cache_reads {
                usage.input
            } else {
                usage.input - usage.cache_read.min(usage.input)
            }
        };
        // Where only a bare total is known, it counts against input and output alike: against the caller.
        let output = if usage.split_known {
            usage.output
        } else {
            usage.total()
        };
        Amounts::ZERO
            .with(Unit::Requests, 1)
            .with(Unit::InputTokens, input(self.input))
            .with(Unit::OutputTokens, output)
            .with(
                Unit::TotalTokens,
                input(self.total).saturating_add(usage.output),
            )
            .with(Unit::Cost, cost.unwrap_or_default().nanos())
    }

    /// What the provider charges for an attempt that it refused before doing work.
    pub(crate) fn rejected(&self) -> Amounts {
        Amounts::ZERO.with(Unit::Requests, u64::from(self.requests.failures))
    }
}

/// What a call is expected to take, in tokens: the estimator's word, or the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// The most that the provider lets it generate.
    pub(crate) output_cap: u64,
}

impl From<Estimate> for Expected {
    fn from(estimate: Estimate) -> Self {
        Self {
            input: estimate.input,
            output: estimate.output,
            output_cap: estimate.output_cap_bound,
        }
    }
}
