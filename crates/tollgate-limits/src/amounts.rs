//! `Unit` and `Amounts`: what a quota counts, and how much of each one call takes.

use core::fmt;

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Calls.
    Requests,
    /// Prompt tokens, as the provider counts them against this quota.
    InputTokens,
    /// Generated tokens, as the provider counts them against this quota.
    OutputTokens,
    /// Prompt and generated tokens together.
    TotalTokens,
    /// Money, in nano-US-dollars (1e-9 USD).
    Cost,
    /// Calls in flight at the same time. Each call takes exactly one.
    Concurrency,
}

impl Unit {
    /// Every unit, in a fixed order.
    pub const ALL: [Self; 6] = [
        Self::Requests,
        Self::InputTokens,
        Self::OutputTokens,
        Self::TotalTokens,
        Self::Cost,
        Self::Concurrency,
    ];

    /// The unit's name in configuration, telemetry and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::TotalTokens => "tokens",
            Self::Cost => "cost",
            Self::Concurrency => "concurrency",
        }
    }
}

impl Unit {
    /// So many units as people read them: money in dollars.
    #[must_use]
    pub const fn number(self, units: u64) -> Number {
        Number { unit: self, units }
    }
}

/// A number of units as people read it, by [`Unit::number`]; `{:#}` adds the unit's name where the number alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    unit: Unit,
    units: u64,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unit != Unit::Cost {
            return if f.alternate() {
                write!(f, "{} {}", self.units, self.unit)
            } else {
                write!(f, "{}", self.units)
            };
        }
        let (dollars, mut decimals) = (self.units / NANOS, self.units % NANOS);
        let mut width = 9;
        while width > 2 && decimals.is_multiple_of(10) {
            decimals /= 10;
            width -= 1;
        }
        write!(f, "${dollars}.{decimals:0width$}")
    }
}

/// Nano-dollars to a dollar.
const NANOS: u64 = 1_000_000_000;

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of each unit one call takes: an estimate before it is sent, the usage afterwards.
///
/// Beside the units stand what policies may count differently ([`crate::Counting`]): tokens read from a cache, an output cap, a
/// request that failed. Concurrency is always one. Zero takes nothing from that unit's quotas, but still needs them not to be
/// paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amounts {
    // By the number of the unit; concurrency has none here.
    by_unit: [u64; 5],
    // The part of the input that was read from the provider's cache.
    pub(crate) cache_read: u64,
    // The part of the output that its cap allows beyond what is expected.
    pub(crate) output_spare: u64,
    // The part of the requests that the provider answered with an error before doing work.
    pub(crate) failed: u64,
    // What the output counts beyond itself where a policy goes by the model's weight.
    pub(crate) output_excess: u64,
}

impl Amounts {
    /// Nothing of any unit.
    pub const ZERO: Self = Self {
        by_unit: [0; 5],
        cache_read: 0,
        output_spare: 0,
        failed: 0,
        output_excess: 0,
    };

    /// One request with `input` and `output` tokens; the total is their sum, saturating.
    #[must_use]
    pub const fn call(input: u64, output: u64) -> Self {
        Self {
            by_unit: [1, input, output, input.saturating_add(output), 0],
            ..Self::ZERO
        }
    }

    /// The same amounts, of whose input `tokens` were read from the provider's cache.
    #[must_use]
    pub const fn cache_read(mut self, tokens: u64) -> Self {
        self.cache_read = tokens;
        self
    }

    /// The same amounts, with an output of as much as `tokens`, of which only what it was is expected: policies that do not count the
    /// cap count that alone. A cap below the output changes nothing.
    #[must_use]
    pub const fn output_cap(mut self, tokens: u64) -> Self {
        let spare = tokens.saturating_sub(self.by_unit[2]);
        self.by_unit[2] = self.by_unit[2].saturating_add(spare);
        self.by_unit[3] = self.by_unit[3].saturating_add(spare);
        self.output_spare = spare;
        self
    }

    /// The same amounts, of a model whose tokens of output count so many thousandths each, rounded up, where a policy goes by the
    /// model ([`crate::Counting::model_weight`]). Less than 1,000 changes nothing.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what does not fit is cut to the largest first"
    )]
    pub const fn output_weight(mut self, thousandths: u32) -> Self {
        let beyond = thousandths.saturating_sub(1_000) as u128;
        let expected = self.by_unit[2].saturating_sub(self.output_spare);
        let excess = (expected as u128 * beyond).div_ceil(1_000);
        self.output_excess = if excess > u64::MAX as u128 {
            u64::MAX
        } else {
            excess as u64
        };
        self
    }

    /// The same amounts, of a call that the provider answered with an error before doing work.
    #[must_use]
    pub const fn failed(mut self) -> Self {
        self.failed = self.by_unit[0];
        self
    }

    /// The same amounts with `unit` set to `amount`. Setting [`Unit::Concurrency`] changes nothing: it is always one.
    #[must_use]
    pub const fn with(mut self, unit: Unit, amount: u64) -> Self {
        let i = unit as usize;
        if i < self.by_unit.len() {
            self.by_unit[i] = amount;
        }
        self
    }

    /// The amount of `unit`.
    #[must_use]
    #[inline]
    pub const fn get(&self, unit: Unit) -> u64 {
        // Concurrency comes last.
        let i = unit as usize;
        if i < self.by_unit.len() {
            self.by_unit[i]
        } else {
            1
        }
    }

    /// Both together, number by number; saturates.
    #[must_use]
    pub const fn plus(self, other: &Self) -> Self {
        let (mut sum, other) = (self.to_numbers(), other.to_numbers());
        let mut i = 0;
        while i < sum.len() {
            sum[i] = sum[i].saturating_add(other[i]);
            i += 1;
        }
        Self::from_numbers(sum)
    }

    /// Whether no unit, counted as it stands, is more than in `other`.
    #[inline]
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let mut units = self.by_unit.iter().zip(&other.by_unit);
        units.all(|(own, other)| own <= other) && self.output_spare | other.output_spare == 0
    }

    /// All its numbers, to be kept elsewhere: requests, those of them that failed, input, the part of it read from a cache, output,
    /// the part of it that only its cap allows, what it counts beyond itself at its model, total, cost.
    #[must_use]
    pub const fn to_numbers(&self) -> [u64; 9] {
        let [requests, input, output, total, cost] = self.by_unit;
        [
            requests,
            self.failed,
            input,
            self.cache_read,
            output,
            self.output_spare,
            self.output_excess,
            total,
            cost,
        ]
    }

    /// The amounts of [`Amounts::to_numbers`].
    #[must_use]
    pub const fn from_numbers(numbers: [u64; 9]) -> Self {
        let [
            requests,
            failed,
            input,
            cache_read,
            output,
            output_spare,
            output_excess,
            total,
            cost,
        ] = numbers;
        Self {
            by_unit: [requests, input, output, total, cost],
            cache_read,
            output_spare,
            output_excess,
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn numbers_kept_elsewhere_come_back_and_add_up() {
        let numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let amounts = Amounts::from_numbers(numbers);
        assert_eq!(amounts.to_numbers(), numbers);
        let call = Amounts::call(100, 20)
            .cache_read(70)
            .output_cap(50)
            .output_weight(1_500)
            .failed()
            .with(Unit::Cost, 9);
        assert_eq!(call.to_numbers(), [1, 1, 100, 70, 50, 30, 10, 150, 9]);
        assert_eq!(
            call.plus(&amounts).to_numbers(),
            [2, 3, 103, 74, 55, 36, 17, 158, 18]
        );
        let most = Amounts::from_numbers([u64::MAX; 9]);
        assert_eq!(most.plus(&most), most);
    }

    #[test]
    fn money_is_shown_in_dollars_with_two_to_nine_decimals() {
        let check = |nanos: u64, expected: &str| {
            assert_eq!(Unit::Cost.number(nanos).to_string(), expected);
        };
        check(0, "$0.00");
        check(25_000_000_000, "$25.00");
        check(1, "$0.000000001");
        check(10_370_500_000, "$10.3705");
        assert_eq!(Unit::TotalTokens.number(1_200).to_string(), "1200");
        let with_units =
            [Unit::Cost, Unit::TotalTokens].map(|unit| format!("{:#}", unit.number(5)));
        assert_eq!(with_units, ["$0.000000005", "5 tokens"]);
    }
}
