//! Spans of time as servers and configuration files write them: `120ms`, `2m59.56s`, `1.5`.

use std::time::Duration;

/// Nanoseconds of a millisecond.
pub(crate) const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds of a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// The longest span that is believed, ten years: what is longer is a mistake or an attack.
pub(super) const LONGEST: Duration = Duration::from_secs(3_660 * 86_400);

/// Units by their names, the longer name first where one begins another.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
];

/// A plain decimal number of units of `unit` nanoseconds, rounded up to a nanosecond. `None` for a sign, an exponent, anything else
/// that is not a decimal number, and for more than ten years.
pub(crate) fn decimal(text: &str, unit: u64) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    // Fifteen decimals are exact to less than a nanosecond for every unit up to a day; what follows can only round up.
    let kept = &fraction[..fraction.len().min(15)];
    let rest = fraction[kept.len()..].bytes().any(|b| b != b'0');
    let scale = 10_u128.pow(u32::try_from(kept.len()).ok()?);
    let parts = if kept.is_empty() {
        0
    } else {
        kept.parse::<u128>().ok()?
    };
    // A wait that is a hair too short is refused again, so it rounds up.
    let nanos = (parts * u128::from(unit) + u128::from(rest)).div_ceil(scale);
    let nanos = u128::from(whole)
        .checked_mul(u128::from(unit))?
        .checked_add(nanos)?;
    let span = Duration::from_nanos(u64::try_from(nanos).ok()?);
    (span <= LONGEST).then_some(span)
}

/// One or more decimal numbers with units, as Go prints them (`6m0s`, `2m59.56s`, `120ms`), and days (`1d`). `None` for a number without a
/// unit, an unknown unit, spaces inside, and more than ten years.
pub(crate) fn parse_span(text: &str) -> Option<Duration> {
    let (span, rest) = leading_span(text)?;
    rest.is_empty().then_some(span)
}

/// The longest span at the beginning of `text`, and what follows it: for waits inside a sentence.
pub(crate) fn leading_span(text: &str) -> Option<(Duration, &str)> {
    let mut rest = text;
    let mut sum: Option<Duration> = None;
    while let Some((part, after)) = leading_part(rest) {
        sum = Some(
            sum.unwrap_or_default()
                .checked_add(part)
                .filter(|&sum| sum <= LONGEST)?,
        );
        rest = after;
    }
    sum.map(|sum| (sum, rest))
}

fn leading_part(text: &str) -> Option<(Duration, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(end);
    let (name, unit) = UNITS.iter().find(|(name, _)| {
        rest.strip_prefix(name)
            .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()))
    })?;
    Some((decimal(number, *unit)?, &rest[name.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_go_prints_them() {
        let check = |text, nanos: Option<u64>| {
            assert_eq!(
                parse_span(text),
                nanos.map(Duration::from_nanos),
                "{text:?}"
            )
        };
        check("6m0s", Some(360 * SECOND));
        check("2m59.56s", Some(179_560 * MILLISECOND));
        check("120ms", Some(120 * MILLISECOND));
        check("2ms", Some(2 * MILLISECOND));
        check("0s", Some(0));
        check("1h30m", Some(5_400 * SECOND));
        check("1d", Some(86_400 * SECOND));
        check("34.074824224s", Some(34_074_824_224));
        check("1.5us", Some(1_500));
        for nonsense in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "5x",
            "5mss",
            "1e3s",
            "99999999999h",
            "1s2",
            "..s",
        ] {
            check(nonsense, None);
        }
    }

    #[test]
    fn a_span_ends_where_the_sentence_goes_on() {
        assert_eq!(
            leading_span("5.289s. Visit"),
            Some((Duration::from_millis(5_289), ". Visit"))
        );
        assert_eq!(leading_span("6m0s"), Some((Duration::from_secs(360), "")));
        assert_eq!(leading_span("5 seconds"), None);
    }
}
