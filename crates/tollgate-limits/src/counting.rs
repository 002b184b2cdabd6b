//! `Counting`: how a policy counts what a call takes.

use crate::{Amounts, Unit};

/// How a policy counts what a call takes, where its provider does not count everything once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Counting {
    cache_reads: bool,
    failures: bool,
    output_cap: bool,
    // In thousandths; none goes by the call's model.
    output_weight: Option<u32>,
}

impl Counting {
    /// Everything counts once: cache reads as other input, failed requests as others, output as expected.
    pub const PLAIN: Self = Self {
        cache_reads: true,
        failures: true,
        output_cap: false,
        output_weight: Some(1_000),
    };

    /// Whether input read from the provider's cache counts.
    pub const fn cache_reads(mut self, count: bool) -> Self {
        self.cache_reads = count;
        self
    }

    /// Whether a request counts that the provider answered with an error before doing work.
    pub const fn failures(mut self, count: bool) -> Self {
        self.failures = count;
        self
    }

    /// Whether the output cap is counted before the output is known, as by a provider that books `max_tokens` on arrival. It is
    /// counted without a weight, which providers apply to what was generated; the weighted expectation counts where it is larger.
    pub const fn output_cap(mut self, count: bool) -> Self {
        self.output_cap = count;
        self
    }

    /// How much a token of output counts, in thousandths: 5,000 counts each five times (a provider's "burn-down rate"), 0 none.
    pub const fn output_weight(mut self, thousandths: u32) -> Self {
        self.output_weight = Some(thousandths);
        self
    }

    /// Lets a token of output count as much as it does at the call's model ([`Amounts::output_weight`]).
    pub const fn model_weight(mut self) -> Self {
        self.output_weight = None;
        self
    }

    /// The units of `unit` that a call takes. Rounded up, against the caller; saturates.
    #[must_use]
    pub const fn units(self, unit: Unit, amounts: &Amounts) -> u64 {
        let units = amounts.get(unit);
        match unit {
            Unit::Requests if self.failures => units,
            Unit::Requests => units.saturating_sub(amounts.failed),
            Unit::InputTokens => units.saturating_sub(self.uncounted_input(amounts)),
            Unit::OutputTokens => self.output(units, amounts),
            Unit::TotalTokens => {
                // The total need not be the sum: where a provider reports it alone, all of it may be output.
                let output = amounts.get(Unit::OutputTokens);
                let output = if output < units { output } else { units };
                let rest = units
                    .saturating_sub(output)
                    .saturating_sub(self.uncounted_input(amounts));
                rest.saturating_add(self.output(output, amounts))
            }
            Unit::Cost | Unit::Concurrency => units,
        }
    }

    const fn uncounted_input(self, amounts: &Amounts) -> u64 {
        if self.cache_reads {
            0
        } else {
            amounts.cache_read
        }
    }

    const fn output(self, output: u64, amounts: &Amounts) -> u64 {
        let weighted = self.weighted(output.saturating_sub(amounts.output_spare), amounts);
        if self.output_cap && amounts.output_spare > 0 && output > weighted {
            output
        } else {
            weighted
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "what does not fit is cut to the largest first"
    )]
    const fn weighted(self, output: u64, amounts: &Amounts) -> u64 {
        let Some(weight) = self.output_weight else {
            return output.saturating_add(amounts.output_excess);
        };
        if weight == 1_000 {
            return output;
        }
        let weighted = (output as u128 * weight as u128).div_ceil(1_000);
        if weighted > u64::MAX as u128 {
            u64::MAX
        } else {
            weighted as u64
        }
    }
}

impl Default for Counting {
    fn default() -> Self {
        Self::PLAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(counting: Counting, amounts: Amounts, expected: [u64; 4]) {
        const UNITS: [Unit; 4] = [
            Unit::Requests,
            Unit::InputTokens,
            Unit::OutputTokens,
            Unit::TotalTokens,
        ];
        assert_eq!(UNITS.map(|unit| counting.units(unit, &amounts)), expected);
    }

    #[test]
    fn plain_counts_everything_once() {
        let call = Amounts::call(100, 20).cache_read(70).output_cap(500);
        check(Counting::PLAIN, call.failed(), [1, 100, 20, 120]);
    }

    #[test]
    fn what_does_not_count_is_left_out_of_input_and_total() {
        let call = Amounts::call(100, 20).cache_read(70);
        check(Counting::PLAIN.cache_reads(false), call, [1, 30, 20, 50]);
        check(
            Counting::PLAIN.failures(false),
            call.failed(),
            [0, 100, 20, 120],
        );
    }

    #[test]
    fn a_weight_counts_output_and_rounds_against_the_caller() {
        let five = Counting::PLAIN.output_weight(5_000);
        check(five, Amounts::call(100, 20), [1, 100, 100, 200]);
        let odd = Counting::PLAIN.output_weight(1_500);
        check(odd, Amounts::call(100, 3), [1, 100, 5, 105]);
        check(
            Counting::PLAIN.output_weight(0),
            Amounts::call(100, 20),
            [1, 100, 0, 100],
        );
        let largest = Amounts::call(0, u64::MAX);
        check(five, largest, [1, 0, u64::MAX, u64::MAX]);
    }

    #[test]
    fn a_cap_is_reserved_as_it_stands_unless_the_weighted_expectation_is_larger() {
        let counting = Counting::PLAIN.output_cap(true).output_weight(10_000);
        let call = Amounts::call(100, 20);
        check(counting, call.output_cap(500), [1, 100, 500, 600]);
        check(counting, call.output_cap(50), [1, 100, 200, 300]);
        check(counting, call.output_cap(5), [1, 100, 200, 300]);
        check(counting, call, [1, 100, 200, 300]);
    }

    #[test]
    fn a_policy_can_go_by_the_weight_of_the_model() {
        let by_model = Counting::PLAIN.model_weight();
        check(by_model, Amounts::call(100, 20), [1, 100, 20, 120]);
        let heavy = Amounts::call(100, 20).output_weight(5_000);
        check(by_model, heavy, [1, 100, 100, 200]);
        check(Counting::PLAIN, heavy, [1, 100, 20, 120]);
    }

    #[test]
    fn a_total_that_may_all_be_output_is_weighted_as_such() {
        let bare = Amounts::call(60, 0)
            .with(Unit::OutputTokens, 60)
            .with(Unit::TotalTokens, 60);
        let five = Counting::PLAIN.output_weight(5_000);
        check(five, bare, [1, 60, 300, 300]);
    }
}
