//! Reads decimal text as an exact integer: counts of tokens, and money in a fixed small unit.

/// `text` × 10^`power`, rounded up, because both tokens and money count against the caller.
///
/// Accepts what JSON calls a number, with blanks around it. `None` when it is anything else, is negative, or exceeds `u64`.
pub(crate) fn scaled(text: &[u8], power: i32) -> Option<u64> {
    // Nearly every count is a few digits and nothing else.
    if power == 0 && (1..=19).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        let value = |value, digit: &u8| value * 10 + u64::from(digit - b'0');
        return Some(text.iter().fold(0, value));
    }
    let text = text.trim_ascii();
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (digits, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, fraction) = match digits.iter().position(|b| *b == b'.') {
        Some(at) if at + 1 < digits.len() => (&digits[..at], &digits[at + 1..]),
        Some(_) => return None,
        None => (digits, &[][..]),
    };
    if whole.is_empty() {
        return None;
    }

    // 38 decimal digits always fit into a `u128`; what lies beyond only matters for rounding.
    let mut mantissa: u128 = 0;
    let mut shift = i64::from(exponent) + i64::from(power);
    let mut beyond = false;
    for (at, byte) in whole.iter().chain(fraction).enumerate() {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        let is_fraction = at >= whole.len();
        if mantissa < 10_u128.pow(37) {
            mantissa = mantissa * 10 + u128::from(digit);
            shift -= i64::from(is_fraction);
        } else {
            beyond |= digit != 0;
            shift += i64::from(!is_fraction);
        }
    }
    if mantissa == 0 {
        return Some(0);
    }
    if negative {
        return None;
    }
    if let Ok(up) = u32::try_from(shift) {
        let value = mantissa.checked_mul(10_u128.checked_pow(up)?)?;
        return u64::try_from(value).ok().filter(|_| !beyond);
    }
    let Some(divisor) = u32::try_from(-shift)
        .ok()
        .and_then(|down| 10_u128.checked_pow(down))
    else {
        return Some(1); // More than nothing, and less than the smallest unit: rounded up.
    };
    let inexact = beyond || !mantissa.is_multiple_of(divisor);
    let value = mantissa / divisor + u128::from(inexact); // Rounded up, against the caller.
    u64::try_from(value).ok()
}

/// The digits after `e`, with their sign. Absurdly large ones stop at ±1,000,000, which no mantissa can bring back into range.
fn parse_exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text.split_first()? {
        (b'-', rest) => (-1, rest),
        (b'+', rest) => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i32 = 0;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = (value * 10 + i32::from(digit)).min(1_000_000);
    }
    Some(sign * value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_exact_and_fractions_round_up() {
        let check =
            |text: &str, expected| assert_eq!(scaled(text.as_bytes(), 0), expected, "{text:?}");
        check("0", Some(0));
        check("41", Some(41));
        check("41.0", Some(41));
        check("41.2", Some(42));
        check("4.1e1", Some(41));
        check("4100E-2", Some(41));
        check("1e-400", Some(1));
        check("0e99999999999", Some(0));
        check("-0", Some(0));
        check("-0.0", Some(0));
        check(" 57\n", Some(57));
        check("18446744073709551615", Some(u64::MAX));
        check("18446744073709551616", None);
        check("1e20", None);
        check("1e99999999999", None);
        check("-1", None);
        check("1.", None);
        check(".5", None);
        check("1e", None);
        check("1e+", None);
        check("", None);
        check("-", None);
        check("N/A", None);
        check("1,000", None);
        check("0x10", None);
    }

    #[test]
    fn more_digits_than_fit_only_round_up() {
        let check =
            |text: &str, expected| assert_eq!(scaled(text.as_bytes(), 0), expected, "{text:?}");
        check("7.00000000000000000000000000000000000000000000", Some(7));
        check("7.00000000000000000000000000000000000000000001", Some(8));
        check("1000000000000000000000000000000000000000000e-40", Some(100));
        check("1000000000000000000000000000000000000000001e-40", Some(101));
    }

    #[test]
    fn dollars_become_nano_dollars() {
        let check =
            |text: &str, expected| assert_eq!(scaled(text.as_bytes(), 9), expected, "{text:?}");
        check("1.21e-05", Some(12_100));
        check("0.0000000001", Some(1));
        check("2", Some(2_000_000_000));
        check("18446744073.709551616", None);
    }

    proptest! {
        #[test]
        fn every_integer_is_read_exactly(n: u64, zeros in 0..20_usize) {
            prop_assert_eq!(scaled(n.to_string().as_bytes(), 0), Some(n));
            prop_assert_eq!(scaled(format!("{n}.{}", "0".repeat(zeros + 1)).as_bytes(), 0), Some(n));
        }

        #[test]
        fn no_text_panics(text: Vec<u8>, power in -40..40_i32) {
            let _ = scaled(&text, power);
        }
    }
}
