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
    /// How much calls stray beyond that: variances, over those of `strays`.
    pub(super) noise: [Factors; 2],
    /// How many standard deviations the margin has, by the kind that prevails in a call.
    pub(super) spread: Factors,
    /// Calls learned, by the kind that prevails in them.
    pub(super) calls: [u64; KINDS],
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
    strays: [i64; 2],
    prevails: usize,
}

/// How far the factors may lie from one, as standard deviations in hundredths: tokenizers differ little on words, much on scripts.
const FIRST_DOUBT: [i64; KINDS] = [10, 15, 40, 25, 15, 25, 40, 30, 50, 1, 30];
/// How much calls of a kind stray at first, in hundredths of what `strays` says. What was counted hardly does.
const FIRST_NOISE: [i64; KINDS] = [100, 130, 130, 130, 130, 100, 200, 200, 400, 1, 10];
const LEAST_NOISE: i64 = ratio(1, 200);
const MOST_NOISE: i64 = 64 * ONE;
/// What is assumed of a kind at first counts as much as so many calls of it; what is known of its noise in the end is that of the last
/// `NOISE_MEMORY`.
const FIRST_CALLS: u64 = 4;
const NOISE_MEMORY: u64 = 48;
/// Per call, the factors may have moved by three thousandths.
const DRIFT: i64 = ratio(9, 1_000_000);
const MOST_FACTOR: i64 = 64 * ONE;

/// Standard deviations of the margin: at first, at least, at most.
const FIRST_SPREAD: i64 = ratio(7, 2);
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
            noise: [FIRST_NOISE.map(|hundredths| ratio(hundredths, 100)); 2],
            spread: [FIRST_SPREAD; KINDS],
            calls: [0; KINDS],
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
        let margin = mul(self.spread[view.prevails], view.deviation());
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
        self.adjust_noise(&view, missing, only);
        self.adjust_factors(&view, missing, only);
        self.adjust_margin(kinds, &view, truth);
        let calls = &mut self.calls[view.prevails];
        *calls = calls.saturating_add(1);
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
            noise: self.noise(&share, strays),
            leverage,
            share,
            strays,
            prevails,
        })
    }

    /// The variance of calls of such a mixture and size.
    fn noise(&self, share: &Factors, strays: [i64; 2]) -> i64 {
        let dot = |row: &Factors| -> i64 { row.iter().zip(share).map(|(a, b)| mul(*a, *b)).sum() };
        mul(strays[0], dot(&self.noise[0])).saturating_add(mul(strays[1], dot(&self.noise[1])))
    }

    /// Widens at once where a call was beyond its margin, such that it would no longer be, now that all else has been learned of it;
    /// narrows slowly. `before` is how the call looked before.
    fn adjust_margin(&mut self, kinds: &TextKinds, before: &View, truth: i64) {
        if self.calls[before.prevails] < FIRST_CALLS {
            // Then it is not the margin's fault: the factors have moved a good deal, and are in less doubt.
            return;
        }
        let spread = self.spread[before.prevails];
        self.spread[before.prevails] = if before.needed(truth) > spread {
            let needed = self.view(kinds).map_or(0, |now| now.needed(truth));
            (spread + spread / 3)
                .max(needed.saturating_add(needed / 20))
                .min(MOST_SPREAD)
        } else {
            (spread - spread / NARROWING).max(LEAST_SPREAD)
        };
    }

    /// Each kind of noise grows or shrinks by the part that it has in what was expected of the call, such that all of it moves by one part in
    /// `NOISE_MEMORY`. So long calls teach what whole calls stray, and short ones what tokens do.
    fn adjust_noise(&mut self, view: &View, missing: i64, only: Option<Kind>) {
        let variance = (view.noise + view.doubt).max(1);
        // Where the factors are in doubt, a call tells little about the noise.
        let surprise = div(mul(missing, missing), variance) - ONE;
        let excess = mul(div(view.noise, variance), surprise);
        let part = |of: usize, kind: usize| {
            let noise = mul(view.strays[of], mul(view.share[kind], self.noise[of][kind]));
            div(noise, view.noise.max(1))
        };
        let parts: [Factors; 2] =
            std::array::from_fn(|of| std::array::from_fn(|kind| part(of, kind)));
        let squares: i64 = parts
            .as_flattened()
            .iter()
            .map(|part| mul(*part, *part))
            .sum();
        let memory = self.calls[view.prevails]
            .saturating_add(FIRST_CALLS)
            .min(NOISE_MEMORY) as i64;
        let excess = div(excess, squares.max(1)) / memory;
        for (noise, parts) in self.noise.iter_mut().zip(parts) {
            for (kind, noise) in noise.iter_mut().enumerate() {
                if only.is_none_or(|only| only as usize == kind) {
                    let moved = mul(parts[kind], excess).max(-ONE / 2);
                    *noise = noise
                        .saturating_add(mul(*noise, moved))
                        .clamp(LEAST_NOISE, MOST_NOISE);
                }
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

impl View {
    /// The standard deviations that a margin must have to cover so much.
    fn needed(&self, truth: i64) -> i64 {
        div(truth - self.level, self.deviation())
    }

    fn deviation(&self) -> i64 {
        sqrt(self.doubt.saturating_add(self.noise)).max(1)
    }
}

const fn first_doubt(kind: usize) -> i64 {
    ratio(FIRST_DOUBT[kind] * FIRST_DOUBT[kind], 10_000)
}

/// The variances of calls about what is expected, before anything is learned: as a whole, by their choice of words, by some two hundredths
/// of the tokens; and each token by about half of one on its own. (Measured on prose, code in five languages, JSON and Chinese, of 50 to
/// 5,000 tokens.)
fn strays(sum: u64) -> [i64; 2] {
    let own = i128::from(ONE) * 250 / i128::from(sum);
    [ratio(6, 10_000), i64::try_from(own).unwrap_or(ONE).min(ONE)]
}

/// Rounded up: against the caller.
fn tokens(sum: u64, level: i64) -> u64 {
    let thousandths = i128::from(sum) * i128::from(level.max(0));
    let tokens = (thousandths as u128).div_ceil(1_000 << 32);
    u64::try_from(tokens).unwrap_or(u64::MAX)
}
