//! `Input`: what the usage of earlier calls taught about a model's tokenizer.

use super::fixed::{ONE, div, mul, ratio, sqrt};
use crate::descriptor::{KINDS, Kind, TextKinds};

/// One factor per kind of input, how sure they are, and the margin.
///
/// The factors are those of a linear regression of the reported tokens on what the kinds were expected to take, kept up to date call
/// by call (recursive least squares, that is a Kalman filter whose state drifts). All of it is in shares of the call's expected
/// tokens, so that long calls and short ones teach on one scale.
#[derive(Clone)]
pub(super) struct Input {
    /// What each kind takes, over what it was expected to.
    pub(super) factors: Factors,
    /// The covariance of the factors.
    pub(super) doubt: [Factors; KINDS],
    /// How much calls stray beyond that: a variance, over that of `strays`.
    pub(super) noise: Factors,
    /// How many standard deviations the margin has, by the kind that prevails in a call.
    pub(super) spread: Factors,
}

pub(super) type Factors = [i64; KINDS];

/// What a call takes, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    /// Tokens, rounded up.
    pub(super) expected: u64,
    /// The same with the margin, rounded up.
    pub(super) covered: u64,
}

/// One call against what is known.
struct View {
    /// Expected tokens, in thousandths.
    sum: u64,
    share: Factors,
    /// What it takes, over `sum`.
    level: i64,
    /// The doubt about `share`, times `share`.
    leverage: Factors,
    /// The variance of `level` that comes of it.
    doubt: i64,
    /// The variance of calls about it, and the same before anything is learned.
    noise: i64,
    strays: i64,
    prevails: usize,
}

/// How far the factors may lie from one, as standard deviations in hundredths: tokenizers differ little on words, much on scripts.
const FIRST_DOUBT: [i64; KINDS] = [10, 15, 40, 25, 15, 25, 40, 30, 50, 1, 30];
/// How much calls of a kind stray at first, in hundredths of what `strays` says. What was counted hardly does.
const FIRST_NOISE: [i64; KINDS] = [100, 130, 130, 130, 130, 100, 200, 200, 400, 1, 10];
const LEAST_NOISE: i64 = ratio(1, 200);
const MOST_NOISE: i64 = 64 * ONE;
/// New calls take this share of what is known about the noise.
const NOISE_MEMORY: i64 = 32;
/// Per call, the factors may have moved by three thousandths.
const DRIFT: i64 = ratio(9, 1_000_000);
const MOST_FACTOR: i64 = 64 * ONE;

/// Standard deviations of the margin: at first, at least, at most.
const FIRST_SPREAD: i64 = 3 * ONE;
const LEAST_SPREAD: i64 = ratio(5, 4);
const MOST_SPREAD: i64 = 16 * ONE;
/// A call within its margin narrows it by this share; one beyond it widens it by a third at least. So at most
/// (1/512) / ln(4/3) = 0.68 % of calls can be beyond it in the long run.
const NARROWING: i64 = 512;

impl Input {
    pub(super) fn new() -> Self {
        let mut doubt = [[0; KINDS]; KINDS];
        for (kind, row) in doubt.iter_mut().enumerate() {
            row[kind] = first_doubt(kind);
        }
        Self {
            factors: [ONE; KINDS],
            doubt,
            noise: FIRST_NOISE.map(|hundredths| ratio(hundredths, 100)),
            spread: [FIRST_SPREAD; KINDS],
        }
    }

    /// What such a call takes.
    pub(super) fn outlook(&self, kinds: &TextKinds) -> Outlook {
        let Some(view) = self.view(kinds) else {
            return Outlook {
                expected: 0,
                covered: 0,
            };
        };
        let margin = mul(self.spread[view.prevails], sqrt(view.doubt + view.noise));
        Outlook {
            expected: tokens(view.sum, view.level),
            covered: tokens(view.sum, view.level.saturating_add(margin)),
        }
    }

    /// Learns that a call took so many tokens. `only` says that everything else of it is known better.
    pub(super) fn learn(&mut self, kinds: &TextKinds, truth: u64, only: Option<Kind>) {
        let Some(view) = self.view(kinds) else { return };
        let truth = i128::from(truth) * 1_000 * i128::from(ONE) / i128::from(view.sum);
        let truth = i64::try_from(truth).unwrap_or(MOST_FACTOR).min(MOST_FACTOR);
        let missing = truth - view.level;
        self.adjust_margin(&view, missing);
        self.adjust_noise(&view, missing, only);
        self.adjust_factors(&view, missing, only);
    }

    fn view(&self, kinds: &TextKinds) -> Option<View> {
        let sum = kinds.sum();
        if sum == 0 {
            return None;
        }
        let share = kinds.all().map(|part| {
            let share = i128::from(part) * i128::from(ONE) / i128::from(sum);
            i64::try_from(share).unwrap_or(ONE)
        });
        let dot = |row: &Factors| -> i64 { row.iter().zip(share).map(|(a, b)| mul(*a, b)).sum() };
        let leverage = self.doubt.each_ref().map(dot);
        let strays = strays(sum);
        let prevails = (0..KINDS).max_by_key(|kind| share[*kind]).unwrap_or(0);
        Some(View {
            sum,
            level: dot(&self.factors).max(0),
            doubt: dot(&leverage).max(0),
            noise: mul(strays, dot(&self.noise)),
            leverage,
            share,
            strays,
            prevails,
        })
    }

    /// Widens at once, narrows slowly.
    fn adjust_margin(&mut self, view: &View, missing: i64) {
        let deviation = sqrt(view.doubt + view.noise).max(1);
        let needed = div(missing, deviation);
        let spread = &mut self.spread[view.prevails];
        *spread = if needed > *spread {
            (*spread + *spread / 3)
                .max(needed.saturating_add(needed / 20))
                .min(MOST_SPREAD)
        } else {
            (*spread - *spread / NARROWING).max(LEAST_SPREAD)
        };
    }

    fn adjust_noise(&mut self, view: &View, missing: i64, only: Option<Kind>) {
        let beyond = (mul(missing, missing) - view.doubt).max(0);
        let found = div(beyond, view.strays).min(MOST_NOISE);
        // So that a call moves what is known of its own mixture by one part in `NOISE_MEMORY`, however it is mixed.
        let squares: i64 = view.share.iter().map(|share| mul(*share, *share)).sum();
        let excess = div(found - div(view.noise, view.strays), squares.max(1));
        for kind in 0..KINDS {
            if only.is_none_or(|only| only as usize == kind) {
                let moved = self.noise[kind] + mul(view.share[kind], excess) / NOISE_MEMORY;
                self.noise[kind] = moved.clamp(LEAST_NOISE, MOST_NOISE);
            }
        }
    }

    fn adjust_factors(&mut self, view: &View, missing: i64, only: Option<Kind>) {
        let variance = (view.doubt + view.noise).max(1);
        // One call that takes far more than anything known says little about its kinds; several do.
        let far = 4 * sqrt(variance);
        let gain: Factors = std::array::from_fn(|kind| {
            if only.is_none_or(|only| only as usize == kind) {
                div(view.leverage[kind], variance)
            } else {
                0
            }
        });
        for (factor, gain) in self.factors.iter_mut().zip(gain) {
            let moved = *factor + mul(gain, missing.clamp(-far, far));
            *factor = moved.clamp(ratio(1, 64), MOST_FACTOR);
        }
        // Holds for any gain, not only for the best one: (1 - gain share) doubt (1 - gain share)' + gain noise gain'.
        for a in 0..KINDS {
            for b in 0..=a {
                let less = mul(gain[a], view.leverage[b]) + mul(gain[b], view.leverage[a])
                    - mul(mul(gain[a], gain[b]), variance);
                self.doubt[a][b] -= less;
                self.doubt[b][a] = self.doubt[a][b];
            }
        }
        let surprise = (mul(missing, missing) - mul(far, far)).max(0) / 4;
        for kind in 0..KINDS {
            if only.is_none_or(|only| only as usize == kind) {
                let drift = mul(view.share[kind], DRIFT.saturating_add(surprise));
                let doubt = &mut self.doubt[kind][kind];
                *doubt = doubt.saturating_add(drift).clamp(1, first_doubt(kind));
            }
        }
    }
}

const fn first_doubt(kind: usize) -> i64 {
    ratio(FIRST_DOUBT[kind] * FIRST_DOUBT[kind], 10_000)
}

/// The variance of calls about what is expected, before anything is learned: their choice of words by some two hundredths of the tokens,
/// and each token by about half of one on its own. (Measured on prose, code in five languages, JSON and Chinese, of 50 to 5,000 tokens.)
fn strays(sum: u64) -> i64 {
    let topic = ratio(6, 10_000);
    let own = i128::from(ONE) * 250 / i128::from(sum);
    topic + i64::try_from(own).unwrap_or(ONE).min(ONE)
}

/// Rounded up: against the caller.
fn tokens(sum: u64, level: i64) -> u64 {
    let thousandths = i128::from(sum) * i128::from(level.max(0));
    let tokens = (thousandths as u128).div_ceil(1_000 << 32);
    u64::try_from(tokens).unwrap_or(u64::MAX)
}
