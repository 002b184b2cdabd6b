//! The estimator against the truth: its input estimates against exact tokenizers on real text, and what it reserves for the output of
//! calls in flight against an oracle that knows how long answers are.

mod pools;
mod samples;
mod texts;

use serde_json::json;

use crate::Report;

/// What came out.
#[derive(Debug)]
pub struct Estimates {
    texts: texts::Texts,
    pools: pools::Pools,
}

/// Teaches and asks an estimator so many times on real text, then plays each workload of calls in flight with so many moments in each of
/// four runs.
#[must_use]
pub fn run(seed: u64, runs: u64, moments: usize) -> Estimates {
    Estimates {
        texts: texts::run(seed, runs),
        pools: pools::run(seed, moments),
    }
}

impl Estimates {
    /// Prints it, and what should have held and did not.
    #[must_use]
    pub fn report(&self, seed: u64) -> Report {
        let rows = json!({ "texts": self.texts.rows(), "pools": self.pools.rows() });
        Report::new("estimates", seed, &rows, self.texts.table())
            .also(self.pools.table())
            .broken(self.texts.broken())
            .broken(self.pools.broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_calls_teach_every_kind_of_text() {
        let seed = 1;
        assert_eq!(
            texts::run(seed, 2).broken(),
            Vec::<String>::new(),
            "seed {seed}"
        );
    }
}
