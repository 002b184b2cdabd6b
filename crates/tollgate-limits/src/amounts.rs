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

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of each unit one call takes: an estimate before it is sent, the usage afterwards.
///
/// Each amount is charged as it stands against quotas of its unit, so a driver whose provider weights or excludes tokens
/// (cache reads, output burn-down) sets the charged amounts here, and the total need not be the sum of input and output.
/// Concurrency is always one. Zero takes nothing from that unit's quotas, but still needs them not to be paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amounts {
    by_unit: [u64; 5],
}

impl Amounts {
    /// Nothing of any unit.
    pub const ZERO: Self = Self { by_unit: [0; 5] };

    /// One request with `input` and `output` tokens; the total is their sum, saturating.
    #[must_use]
    pub const fn call(input: u64, output: u64) -> Self {
        Self {
            by_unit: [1, input, output, input.saturating_add(output), 0],
        }
    }

    /// The same amounts with `unit` set to `amount`. Setting [`Unit::Concurrency`] changes nothing: it is always one.
    #[must_use]
    pub const fn with(mut self, unit: Unit, amount: u64) -> Self {
        match unit {
            Unit::Requests => self.by_unit[0] = amount,
            Unit::InputTokens => self.by_unit[1] = amount,
            Unit::OutputTokens => self.by_unit[2] = amount,
            Unit::TotalTokens => self.by_unit[3] = amount,
            Unit::Cost => self.by_unit[4] = amount,
            Unit::Concurrency => {}
        }
        self
    }

    /// The amount of `unit`.
    #[must_use]
    pub const fn get(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.by_unit[0],
            Unit::InputTokens => self.by_unit[1],
            Unit::OutputTokens => self.by_unit[2],
            Unit::TotalTokens => self.by_unit[3],
            Unit::Cost => self.by_unit[4],
            Unit::Concurrency => 1,
        }
    }
}
