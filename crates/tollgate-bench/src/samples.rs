//! Interleaved samples of two or more contenders, and their ratios.
//!
//! Neither criterion nor divan samples contenders in turn: they finish one before they begin the next, and on a machine with a
//! changing clock rate, or with neighbours, the minutes between spoil the ratio. So this runner is our own.

/// What one contender measured, in the order of the rounds.
#[derive(Clone, Debug)]
pub struct Samples(Vec<f64>);

/// How one contender compares with another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Median over median.
    pub value: f64,
    /// The quartiles of the ratios within each round: half of the rounds lie between.
    pub middle_half: (f64, f64),
}

impl Samples {
    /// The median.
    #[must_use]
    pub fn median(&self) -> f64 {
        quantile(&self.0, 1, 2)
    }

    /// This contender over another that was sampled in the same rounds.
    #[must_use]
    pub fn over(&self, other: &Self) -> Ratio {
        let rounds = self.0.iter().zip(&other.0);
        let ratios: Vec<f64> = rounds.map(|(ours, theirs)| ours / theirs).collect();
        Ratio {
            value: self.median() / other.median(),
            middle_half: (quantile(&ratios, 1, 4), quantile(&ratios, 3, 4)),
        }
    }
}

/// Takes `rounds` samples of each contender, in turn, after a round that does not count. Each round begins with another contender,
/// so that none always runs in the wake of the same one.
///
/// # Panics
/// If `rounds` is 0.
pub fn interleave<const N: usize>(
    rounds: usize,
    contenders: [&mut dyn FnMut() -> f64; N],
) -> [Samples; N] {
    assert!(rounds > 0, "no rounds, no median");
    let mut samples = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for turn in 0..N {
            let who = (round + turn) % N;
            let sample = contenders[who]();
            if round > 0 {
                samples[who].push(sample);
            }
        }
    }
    samples.map(Samples)
}

/// The sample below which `part / parts` of them lie; between two, their mean.
fn quantile(samples: &[f64], part: usize, parts: usize) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let (low, high) = (last * part / parts, (last * part).div_ceil(parts));
    (sorted[low] + sorted[high]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_is_no_sample_and_each_round_begins_with_another() {
        let order = std::cell::RefCell::new(String::new());
        let contender = |name: char| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                f64::from(u32::from(name))
            }
        };
        let [a, b] = interleave(3, [&mut contender('a'), &mut contender('b')]);
        assert_eq!(*order.borrow(), "abbaabba");
        assert_eq!((a.0, b.0), (vec![97.0; 3], vec![98.0; 3]));
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_is_of_rounds() {
        let ours = Samples(vec![4.0, 2.0, 100.0, 3.0, 1.0]);
        let theirs = Samples(vec![2.0, 2.0, 2.0, 2.0, 2.0]);
        let ratio = ours.over(&theirs);
        assert_eq!(ratio.value, 1.5);
        assert_eq!(ratio.middle_half, (1.0, 2.0));
        assert_eq!(Samples(vec![1.0, 2.0]).median(), 1.5);
    }
}
