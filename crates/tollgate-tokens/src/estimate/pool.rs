//! `Pool`: the calls in flight that share their risk, and whether what was reserved for them was enough.

use super::answers::{Risk, quantile};
use super::fixed::{ONE, ratio};
use super::moments::Moments;

/// The calls in flight of one model that share its quotas.
///
/// Not each call's own worst case is reserved but what the pool still needs: the quantile of the sum of all that is in flight, whose
/// variances add up, less what is reserved already. So of a hundred calls the margin is ten times that of one, and whoever joins makes up
/// for what those that left have taken with them.
///
/// Whether that was enough is seen when all calls of a moment have ended. Moments are admissions: each ends up as a sum of what the calls
/// then in flight used, less what was reserved for them.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Tells it from one of the same name that was forgotten.
    origin: u64,
    /// Calls in flight, known ones and others.
    pub(super) open: u64,
    /// Of the known ones.
    mean: u64,
    variance: u128,
    third: u128,
    reserved: u64,
    moments: Moments,
}

/// A call in flight.
#[derive(Debug)]
pub(super) struct Member {
    origin: u64,
    risk: Risk,
    /// Output tokens that were reserved; `None` where that tells nothing, because the length of the answer was not known.
    reserved: Option<u64>,
    admission: u64,
}

/// Standard deviations of a normal distribution that the margin has: at first, at least, at most. At 2.75, 99.7 % are below it: those who begin should not be late to learn.
pub(super) const FIRST_SPREAD: i64 = ratio(275, 100);
const LEAST_SPREAD: i64 = ratio(12, 10);
const MOST_SPREAD: i64 = 4 * ONE;
/// A moment that was not covered widens the margin by this much over the number of calls in flight, and one that was narrows it by a
/// 150th of that: so one in 151 is not covered in the long run, whatever the distribution (Gibbs and Candès, "Adaptive conformal
/// inference", NeurIPS 2021). Over the number of calls, because an answer that is too long is so at as many moments as others are admitted
/// beside it; but over no more than `MOST_CALLS`, so that large pools learn within some thousand calls, too.
const WIDEN: i64 = ratio(15, 1_000);
const MOST_CALLS: i64 = 30;
const NARROW: i64 = WIDEN / 150;

impl Pool {
    pub(super) fn new(origin: u64) -> Self {
        Self {
            origin,
            ..Self::default()
        }
    }

    /// What to reserve for a call that joins the pool.
    pub(super) fn reserve(&self, risk: &Risk, spread: i64) -> u64 {
        let alone = quantile_of(risk.mean, risk.variance, risk.third, spread);
        let mean = self.mean.saturating_add(risk.mean);
        let variance = self.variance.saturating_add(risk.variance);
        let third = self.third.saturating_add(risk.third);
        let all = quantile_of(mean, variance, third, spread);
        // The call's own share: what is expected, and of the margin as much as its variance has in the whole (Euler's rule, by which
        // shares add up to all of it).
        let margin = u128::from(all - mean.min(all)) * risk.variance / variance.max(1);
        let share = risk.mean.saturating_add(margin as u64);
        let missing = all.saturating_sub(self.reserved);
        // Half of the way, so that a pool whose calls come and go does not hang on a few of them; and nobody bears more than its whole risk.
        missing.midpoint(share).min(alone)
    }

    pub(super) fn join(&mut self, risk: Risk, reserved: Option<u64>) -> Member {
        self.open += 1;
        self.mean = self.mean.saturating_add(risk.mean);
        self.variance = self.variance.saturating_add(risk.variance);
        self.third = self.third.saturating_add(risk.third);
        self.reserved = self.reserved.saturating_add(reserved.unwrap_or(0));
        Member {
            origin: self.origin,
            risk,
            reserved,
            admission: self.moments.admit(),
        }
    }

    /// Ends a call that used so many output tokens, if that is known. Returns how many calls were admitted while it was in flight, and
    /// moves `spread` by what the moments show whose last call this was.
    pub(super) fn leave(&mut self, member: &Member, used: Option<u64>, spread: &mut i64) -> u64 {
        if self.origin != member.origin {
            return 0;
        }
        self.open = self.open.saturating_sub(1);
        self.mean = self.mean.saturating_sub(member.risk.mean);
        self.variance = self.variance.saturating_sub(member.risk.variance);
        self.third = self.third.saturating_sub(member.risk.third);
        self.reserved = self.reserved.saturating_sub(member.reserved.unwrap_or(0));
        let beyond = match (used, member.reserved) {
            (Some(used), Some(reserved)) if member.risk.settled => signed(used) - signed(reserved),
            _ => 0,
        };
        self.moments
            .end(member.admission, beyond, |was_enough, calls| {
                let calls = calls.min(MOST_CALLS);
                *spread = if was_enough {
                    *spread - NARROW / calls
                } else {
                    *spread + WIDEN / calls
                }
                .clamp(LEAST_SPREAD, MOST_SPREAD);
            })
    }
}

/// The quantile of a sum with these cumulants, rounded up: against the caller.
fn quantile_of(mean: u64, variance: u128, third: u128, spread: i64) -> u64 {
    let deviation = variance.isqrt();
    // Sixteen binary digits are enough for a skewness.
    let skewness = third
        .checked_div(variance.saturating_mul(deviation) >> 16)
        .map_or(0, |skewness| (skewness << 16).min(1 << 40) as i64);
    let spread = quantile(spread, skewness).max(0) as u128;
    let margin = spread.saturating_mul(deviation).div_ceil(ONE as u128);
    mean.saturating_add(u64::try_from(margin).unwrap_or(u64::MAX))
}

/// Whether a margin can be so wide.
pub(super) fn is_spread(spread: i64) -> bool {
    (LEAST_SPREAD..=MOST_SPREAD).contains(&spread)
}

/// Absurd figures are taken for large ones.
fn signed(tokens: u64) -> i64 {
    tokens.min(1 << 40) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 500 tokens, give or take 500, of the exponential distribution.
    const RISK: Risk = Risk {
        mean: 500,
        variance: 250_000,
        third: 250_000_000,
        settled: true,
    };

    #[test]
    fn what_is_reserved_for_a_pool_is_the_quantile_of_its_sum() {
        // Exponential: at 2.58 deviations of a normal distribution lies ln(1 / 0.00494) = 5.31 times the mean.
        let alone = quantile_of(RISK.mean, RISK.variance, RISK.third, ratio(258, 100));
        assert!(alone.abs_diff(2_655) <= 40, "{alone}");
        // The sum of a hundred is all but normal: 50,000 + 2.58 * 5,000, and a little for what skewness is left (the gamma
        // distribution's own is 63,900).
        let all = quantile_of(50_000, 25_000_000, 25_000_000_000, ratio(258, 100));
        assert!(all.abs_diff(63_900) <= 200, "{all}");

        let mut pool = Pool::new(0);
        for _ in 0..300 {
            let reserved = pool.reserve(&RISK, FIRST_SPREAD);
            pool.join(RISK, Some(reserved));
        }
        let wanted = quantile_of(300 * 500, 300 * 250_000, 300 * 250_000_000, FIRST_SPREAD);
        assert!(
            pool.reserved.abs_diff(wanted) <= wanted / 200,
            "{} {wanted}",
            pool.reserved
        );
    }

    #[test]
    fn nobody_reserves_less_than_half_of_its_share_or_more_than_its_own_risk() {
        let mut pool = Pool::new(0);
        pool.join(RISK, Some(1_000_000));
        let share = quantile_of(1_000, 500_000, 500_000_000, FIRST_SPREAD) / 2;
        assert_eq!(pool.reserve(&RISK, FIRST_SPREAD), share / 2);
        let mut pool = Pool::new(0);
        for _ in 0..10 {
            pool.join(RISK, Some(0));
        }
        let alone = Pool::new(0).reserve(&RISK, FIRST_SPREAD);
        assert_eq!(pool.reserve(&RISK, FIRST_SPREAD), alone);
    }

    #[test]
    fn moments_that_were_not_covered_widen_the_margin() {
        let mut spread = FIRST_SPREAD;
        let mut pool = Pool::new(0);
        let first = pool.join(RISK, Some(400));
        let second = pool.join(RISK, Some(400));
        let third = pool.join(RISK, Some(400));
        // At the second's admission it was alone and short; at the third's the two were enough.
        assert_eq!(pool.leave(&first, Some(500), &mut spread), 2);
        assert_eq!(spread, FIRST_SPREAD + WIDEN);
        assert_eq!(pool.leave(&second, Some(200), &mut spread), 1);
        assert_eq!(spread, FIRST_SPREAD + WIDEN - NARROW / 2);
        assert_eq!(pool.leave(&third, Some(900), &mut spread), 0);
        assert_eq!((spread, pool.open), (FIRST_SPREAD + WIDEN - NARROW / 2, 0));
    }
}
