//! What a call takes of a policy, in the naive ledger: written from the words of the documentation, with whole numbers and no rounding but one.

use tollgate_limits::{Amounts, Unit};

/// How a policy counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Count {
    pub(crate) cache_reads: bool,
    pub(crate) failures: bool,
    pub(crate) output_cap: bool,
    /// In thousandths; none goes by the call's model.
    pub(crate) output_weight: Option<u32>,
}

impl Count {
    pub(crate) fn units(&self, unit: Unit, amounts: &Amounts) -> u64 {
        let [
            requests,
            failed,
            input,
            cached,
            output,
            spare,
            excess,
            total,
            cost,
        ] = amounts.to_numbers();
        let uncounted = if self.cache_reads { 0 } else { cached };
        let of_output = |output: u64| {
            let expected = output.saturating_sub(spare);
            let weighted = match self.output_weight {
                None => expected + excess,
                Some(weight) => (expected * u64::from(weight)).div_ceil(1_000),
            };
            let capped = self.output_cap && spare > 0;
            weighted.max(if capped { output } else { 0 })
        };
        match unit {
            Unit::Requests if !self.failures => requests.saturating_sub(failed),
            Unit::Requests => requests,
            Unit::InputTokens => input.saturating_sub(uncounted),
            Unit::OutputTokens => of_output(output),
            Unit::TotalTokens => {
                let part = output.min(total);
                (total - part).saturating_sub(uncounted) + of_output(part)
            }
            Unit::Cost => cost,
            _ => 1,
        }
    }
}
