//! Fixed-point arithmetic for what is learned: 32 bits behind the point, the same on every machine.

/// The number 1.
pub(super) const ONE: i64 = 1 << 32;

/// `num / den`, for constants.
pub(super) const fn ratio(num: i64, den: i64) -> i64 {
    ((num as i128 * ONE as i128) / den as i128) as i64
}

pub(super) fn mul(a: i64, b: i64) -> i64 {
    narrow((i128::from(a) * i128::from(b)) >> 32)
}

/// Toward zero; `b` must not be zero.
pub(super) fn div(a: i64, b: i64) -> i64 {
    narrow((i128::from(a) << 32) / i128::from(b))
}

/// Of a negative number, zero.
pub(super) fn sqrt(a: i64) -> i64 {
    narrow(((i128::from(a.max(0)) << 32) as u128).isqrt() as i128)
}

fn narrow(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}
