//! What a call is charged, before it is sent and after it: amounts that each policy then counts in its own way.

use tollgate_gate::{Amounts, Unit};
use tollgate_tokens::{Cost, Estimate, Price, Usage};

/// What to reserve for an estimate. Money is reserved as expected, not at the worst: a budget overshoots by at most what calls in
/// flight cost beyond that.
pub(crate) fn reserve(expected: &Expected, terms: &Terms) -> Amounts {
    let Terms {
        price,
        output_weight,
        reserves_cap,
    } = terms;
    let cost = price.as_ref().map_or(Cost::ZERO, |price| {
        price.cost(&Usage::new(expected.input, expected.output))
    });
    let amounts = Amounts::call(expected.input, expected.output);
    let amounts = if *reserves_cap {
        amounts.output_cap(expected.output_cap)
    } else {
        amounts
    };
    amounts
        .output_weight(*output_weight)
        .with(Unit::Cost, cost.nanos())
}

/// What to charge for `usage`.
pub(crate) fn settle(usage: &Usage, cost: Option<Cost>, output_weight: u32) -> Amounts {
    // Where only a bare total is known, it counts against input and output alike: against the caller.
    let output = if usage.split_known {
        usage.output
    } else {
        usage.total()
    };
    Amounts::call(usage.input, output)
        .with(Unit::TotalTokens, usage.total())
        .cache_read(usage.cache_read.min(usage.input))
        .output_weight(output_weight)
        .with(Unit::Cost, cost.unwrap_or_default().nanos())
}

/// What to charge for an attempt that the provider refused before doing work.
pub(crate) const fn rejected() -> Amounts {
    Amounts::call(0, 0).failed()
}

/// On what terms a call is charged.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) price: Option<Price>,
    /// How much a token of output counts at its model, in thousandths.
    pub(crate) output_weight: u32,
    /// Some limit of the provider is reserved by output caps.
    pub(crate) reserves_cap: bool,
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
