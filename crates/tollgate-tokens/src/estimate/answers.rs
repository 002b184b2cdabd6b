//! `Answers`: how long the answers of one route have been, and what risk a further one is.

use super::fixed::{ONE, div, mul};

/// The lengths of earlier answers, in a histogram whose older entries fade.
///
/// A long answer is in flight for longer than a short one, so at any moment there are more long ones in flight than are made. What
/// has to be covered is what is in flight; so each answer counts as often as other calls were admitted beside it.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) bins: [Bin; BINS],
    /// The squares of the weights, faded alike: they tell how many answers the weights stand for.
    pub(super) squares: u64,
    /// Admissions beside an answer, on average, in units of 1 / `UNIT`.
    pub(super) beside: u64,
    /// Answers learned.
    pub(super) reports: u64,
    /// The most admissions beside one of them.
    pub(super) most_beside: u64,
    /// The longest of the first `ENOUGH`.
    pub(super) longest: u64,
    pub(super) course: Course,
}

/// Whether answers have become longer or shorter: averages of the logarithms of their lengths, which no single one moves far.
#[derive(Clone, Copy, Default)]
pub(super) struct Course {
    /// Over the last `RECENT` or so.
    pub(super) recent: i64,
    /// Over the last `BESIDE` or so, and the variance about it.
    pub(super) usual: i64,
    pub(super) variance: i64,
}

/// Answers of about one length.
#[derive(Clone, Copy, Default)]
pub(super) struct Bin {
    /// In units of 1 / `UNIT`.
    pub(super) weight: u64,
    /// Tokens times weight.
    pub(super) tokens: u64,
}

/// What the output of one call is expected to be, and how it strays: cumulants, which add up over the calls of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Risk {
    /// Tokens, rounded up.
    pub(super) mean: u64,
    /// Tokens squared.
    pub(super) variance: u128,
    /// Tokens cubed.
    pub(super) third: u128,
    /// So much is known that a margin that was not enough was too narrow.
    pub(super) settled: bool,
}

/// Two bins per doubling, up to four million tokens.
pub(super) const BINS: usize = 46;
pub(super) const UNIT: u64 = 1 << 20;
/// Longer answers than this are taken for this long.
const MOST: u64 = 1 << 22;
/// Answers needed before they say anything about the next.
pub(super) const ENOUGH: u64 = 8;
/// Each answer takes this share of the weight of those before it, so that some ten thousand are remembered: a heavy
/// tail is made of few.
const FADE: u64 = 16_384;
/// Answers over which `beside` is averaged.
const BESIDE: u64 = 1_024;
/// Answers that are enough to see that they have changed.
const RECENT: u64 = 64;
/// Of what is forgotten, this share stays.
const FORGOTTEN: u64 = 64;
/// What is assumed of the tail counts as much as so many answers.
const ASSUMED: u64 = 2 * UNIT;
/// An answer of which nothing is known.
const GUESS: u64 = 1_024;
/// Before four times so many answers are known, or four times as many as were admitted beside the longest, it was not the margin's fault
/// if what was reserved was not enough: long answers are the last to be learned of.
const SETTLED: u64 = 64;

impl Answers {
    pub(super) const fn new() -> Self {
        Self {
            bins: [Bin {
                weight: 0,
                tokens: 0,
            }; BINS],
            squares: 0,
            beside: 0,
            reports: 0,
            most_beside: 0,
            longest: 0,
            course: Course {
                recent: 0,
                usual: 0,
                variance: 0,
            },
        }
    }

    /// Learns the length of one answer, while which was made `beside` calls were admitted. Where it was cut at a cap, it would
    /// have been longer by nobody knows how much: as much as those known to be longer than the cap.
    pub(super) fn learn(&mut self, length: u64, cut: bool, beside: u64) {
        let length = length.min(MOST);
        if self.reports < ENOUGH {
            self.longest = self.longest.max(length);
        }
        let weight = self.weight(beside);
        if self.course.turns(length, self.reports) {
            self.forget();
        }
        for bin in &mut self.bins {
            bin.weight -= bin.weight / FADE;
            bin.tokens -= bin.tokens / FADE;
        }
        self.squares -= self.squares / FADE * 2;
        self.squares += (u128::from(weight) * u128::from(weight) / u128::from(UNIT)) as u64;
        let at = bin_of(length);
        let longer = if cut {
            let weight = |bin: &Bin| u128::from(bin.weight);
            self.bins[at + 1..].iter().map(weight).sum::<u128>()
        } else {
            0
        };
        if longer == 0 {
            self.bins[at].add(weight, length);
            return;
        }
        for bin in &mut self.bins[at + 1..] {
            let part = u128::from(weight) * u128::from(bin.weight) / longer;
            if let Some(mean) = bin.mean() {
                bin.add(part as u64, mean);
            }
        }
    }

    /// Keeps of all answers as much as tells something of the tail.
    fn forget(&mut self) {
        for bin in &mut self.bins {
            bin.weight /= FORGOTTEN;
            bin.tokens /= FORGOTTEN;
        }
        self.squares /= FORGOTTEN * FORGOTTEN;
    }

    /// How much an answer counts: as often as it was seen in flight, over how often that has been usual.
    fn weight(&mut self, beside: u64) -> u64 {
        self.most_beside = self.most_beside.max(beside);
        // Also one that nobody saw was there.
        let beside = beside.min(1 << 20) * UNIT + UNIT / 8;
        let usual = if self.reports == 0 {
            beside
        } else {
            self.beside
        };
        let weight = u128::from(beside) * u128::from(UNIT) / u128::from(usual.max(1));
        self.reports = self.reports.saturating_add(1);
        let over = self.reports.min(BESIDE);
        self.beside = usual - usual / over + beside / over;
        (weight as u64).clamp(UNIT / 256, UNIT * 256)
    }

    /// What a call is expected to take that asks for `choices` answers of at most `cap` tokens each, among `others` like it in flight;
    /// `None` before enough answers are known.
    pub(super) fn risk(&self, cap: u64, choices: u64, others: u64) -> Option<Risk> {
        if self.reports < ENOUGH {
            return None;
        }
        let cap = cap.min(MOST);
        let lengths = || {
            self.bins.iter().filter_map(move |bin| {
                let length = bin.mean()?.min(cap);
                Some((i128::from(bin.weight), i128::from(length)))
            })
        };
        let (weight, tokens) = lengths().fold((0, 0), |(weights, tokens), (weight, length)| {
            (weights + weight, tokens + weight * length)
        });
        // Short answers are the first to be learned of. So a few more are assumed, as long as is guessed where nothing is known, with the
        // tail of an exponential distribution.
        let assumed = i128::from(ASSUMED);
        let guess = i128::from(GUESS.min(cap));
        let all = weight + assumed;
        let mean = (tokens + assumed * guess + all - 1) / all;
        let (mut square, mut cube) = (0, 0);
        for (weight, length) in lengths() {
            let off = length - mean;
            square += weight * off * off;
            cube += weight * off * off * off;
        }
        square += assumed * guess * guess;
        cube += 2 * assumed * guess * guess * guess;
        // No more than if every answer were either empty or cut at the cap.
        let most = mean * (i128::from(cap) - mean).max(0);
        let variance = (square / all).min(most);
        let third = (cube / all).max(0);
        // The mean itself is known from so many answers only, and is off for all calls in flight at once.
        let answers = weight * weight / (i128::from(self.squares.max(1)) * i128::from(UNIT));
        let crowd = i128::from(others) + 1;
        let variance = variance + variance * crowd / answers.max(1);
        let choices_wide = i128::from(choices.max(1));
        Some(Risk {
            mean: (mean as u64).saturating_mul(choices.max(1)),
            variance: (variance * choices_wide) as u128,
            third: (third * choices_wide) as u128,
            settled: self.reports / 4 >= self.most_beside.max(SETTLED),
        })
    }
}

impl Course {
    /// Takes the length of an answer, one of `reports`; whether the recent ones are no longer like those before.
    fn turns(&mut self, length: u64, reports: u64) -> bool {
        let length = length.max(1);
        let octave = length.ilog2();
        // Straight between powers of two.
        let log = (i64::from(octave) << 32) + (((length - (1 << octave)) << 32) >> octave) as i64;
        let over = |most: u64| reports.clamp(1, most) as i64;
        self.recent += (log - self.recent) / over(RECENT);
        let off = log - self.usual;
        self.usual += off / over(BESIDE);
        self.variance += (mul(off, off) - self.variance) / over(BESIDE);
        if reports < 4 * RECENT {
            return false;
        }
        let off = self.recent - self.usual;
        // An average that fades by a 64th has the variance of one over 127. Five standard deviations are no chance.
        let turns = mul(off, off) > 25 * (self.variance / 127);
        if turns {
            self.usual = self.recent;
        }
        turns
    }
}

impl Bin {
    fn add(&mut self, weight: u64, length: u64) {
        self.weight += weight;
        self.tokens = self.tokens.saturating_add(weight.saturating_mul(length));
    }

    /// The length of the answers in it, rounded up.
    fn mean(&self) -> Option<u64> {
        (self.weight > 0).then(|| self.tokens.div_ceil(self.weight))
    }
}

/// Twice the binary logarithm.
fn bin_of(length: u64) -> usize {
    let length = length.max(1);
    let octave = length.ilog2();
    // Above the octave's middle: the square root of two is 1.414.
    let upper = length * 1_000 >= (1_414 << octave);
    (2 * octave as usize + usize::from(upper)).min(BINS - 1)
}

/// The quantile of a sum, in standard deviations above its mean, where that of the normal distribution is `spread`: of the gamma
/// distribution with the same skewness, by Wilson and Hilferty's approximation (PNAS 17, 1931). Sums of what is never negative and has a long
/// tail resemble it closely.
pub(super) fn quantile(spread: i64, skewness: i64) -> i64 {
    // Less bends nothing; more is no sum.
    let skewness = skewness.clamp(0, 4 * ONE);
    if skewness < ONE / 64 {
        return spread;
    }
    let root = ONE + mul(skewness, spread) / 6 - mul(skewness, skewness) / 36;
    let cube = mul(mul(root, root), root);
    div(2 * (cube - ONE), skewness)
}
