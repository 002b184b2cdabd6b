//! `Sums`: what calls add up to, as the roll-ups keep it.

/// One number per column of [`COLUMNS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sums([i64; COLUMNS.len()]);

/// The columns of the table `quarter` after its key. Those of `day` are the first [`REPORTED`] of them.
pub(crate) const COLUMNS: [&str; 21] = [
    "calls",
    "failed",
    "unreported",
    "unpriced",
    "attempts",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "reasoning",
    "cost",
    "waited_us",
    "charged_requests",
    "charged_failed",
    "charged_input",
    "charged_cache_read",
    "charged_output",
    "charged_output_spare",
    "charged_output_excess",
    "charged_tokens",
    "charged_cost",
];

/// How many of the columns totals show; the others restore budgets.
pub(crate) const REPORTED: usize = 12;

/// The largest number that a cell holds. An absurd usage must not overflow a sum of thousands of cells; of money it is a million
/// dollars.
pub(crate) const MOST: u64 = 1_000_000_000_000_000;

impl Sums {
    pub(crate) const ZERO: Self = Self([0; COLUMNS.len()]);

    /// The columns that totals show, and those that restore budgets.
    pub(crate) fn new(
        reported: &[u64; REPORTED],
        charged: &[u64; COLUMNS.len() - REPORTED],
    ) -> Self {
        let mut numbers = reported.iter().chain(charged).copied().map(cell);
        Self(std::array::from_fn(|_| numbers.next().unwrap_or(0)))
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, number) in self.0.iter_mut().zip(other.0) {
            *sum = cell(sum.unsigned_abs().saturating_add(number.unsigned_abs()));
        }
    }

    pub(crate) const fn cells(&self) -> &[i64; COLUMNS.len()] {
        &self.0
    }
}

/// A number as a cell holds it.
pub(crate) fn cell(number: u64) -> i64 {
    i64::try_from(number.min(MOST)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absurd_usage_is_cut_and_does_not_overflow() {
        let mut sums = Sums::new(&[u64::MAX; REPORTED], &[0; COLUMNS.len() - REPORTED]);
        let absurd = sums;
        sums.add(&absurd);
        assert_eq!(sums.cells()[0].unsigned_abs(), MOST);
    }
}
