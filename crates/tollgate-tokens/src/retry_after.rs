//! `retry_after`: how long a response says to wait, in every form that servers send.

pub(crate) mod span;

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;

/// The wait that a response's headers ask for: `retry-after-ms` (OpenAI, Azure; milliseconds) if it can be read, otherwise
/// `Retry-After`. It is a minimum.
///
/// RFC 9110, section 10.2.3 gives `Retry-After` two forms: whole seconds, and an HTTP date. The date is read against the response's
/// own `Date`, so that no clock is needed and a skewed one does no harm; one already past means zero. Servers and the SDKs of OpenAI
/// and Anthropic also use seconds with decimals, which are read exactly and rounded up to a nanosecond.
///
/// `None` where both are absent or make no sense: negative, not a number, longer than ten years, or a date without a `Date`. Only error
/// responses are worth asking: some servers send the header with success (seen at Together in 2026), where it means nothing.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = || span::decimal(text(RETRY_AFTER_MS)?, span::MILLISECOND);
    let seconds = |value: &str| span::decimal(value, span::SECOND);
    let until = |value: &str| Some(span_until(http_date(value)?, date(headers)?));
    let until = |value: &str| until(value).filter(|wait| *wait <= span::LONGEST);
    millis().or_else(|| {
        text(RETRY_AFTER.as_str()).and_then(|value| seconds(value).or_else(|| until(value)))
    })
}

/// The header name of OpenAI and Azure for a wait in milliseconds.
pub(crate) const RETRY_AFTER_MS: &str = "retry-after-ms";

/// The time at which the response was made, by the server's own clock.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?.trim())
}

/// From `now` to `then`, or zero if that is past.
pub(crate) fn span_until(then: Timestamp, now: Timestamp) -> Duration {
    then.duration_since(now)
        .try_into()
        .unwrap_or(Duration::ZERO)
}

/// An HTTP date in one of the three forms that RFC 9110, section 5.6.7 tells recipients to accept.
fn http_date(text: &str) -> Option<Timestamp> {
    const FORMS: [&str; 3] = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let time = FORMS
        .iter()
        .find_map(|form| jiff::civil::DateTime::strptime(form, text).ok())?;
    jiff::tz::TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: Option<Duration>) {
        let map: HeaderMap = headers
            .iter()
            .map(|&(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        assert_eq!(retry_after(&map), expected, "{headers:?}");
    }

    const MS: fn(u64) -> Option<Duration> = |ms| Some(Duration::from_millis(ms));

    #[test]
    fn whole_and_decimal_seconds_are_read() {
        check(&[("retry-after", "14")], MS(14_000));
        check(&[("retry-after", " 0 ")], MS(0));
        check(&[("retry-after", "1.5")], MS(1_500));
        check(
            &[("retry-after", "0.0000000001")],
            Some(Duration::from_nanos(1)),
        );
        check(&[("retry-after", "86400")], MS(86_400_000));
    }

    #[test]
    fn milliseconds_win_over_seconds_if_they_make_sense() {
        check(
            &[("retry-after", "45"), ("retry-after-ms", "44730")],
            MS(44_730),
        );
        check(
            &[("retry-after", "45"), ("retry-after-ms", "soon")],
            MS(45_000),
        );
        check(
            &[("retry-after-ms", "1480.5")],
            Some(Duration::from_micros(1_480_500)),
        );
    }

    #[test]
    fn a_date_is_read_against_the_response_s_own_date() {
        let date = ("date", "Thu, 21 Aug 2025 12:41:00 GMT");
        check(
            &[date, ("retry-after", "Thu, 21 Aug 2025 12:41:30 GMT")],
            MS(30_000),
        );
        check(
            &[date, ("retry-after", "Thursday, 21-Aug-25 12:42:00 GMT")],
            MS(60_000),
        );
        check(
            &[date, ("retry-after", "Thu Aug 21 12:41:01 2025")],
            MS(1_000),
        );
        check(
            &[date, ("retry-after", "Thu, 21 Aug 2025 12:40:59 GMT")],
            MS(0),
        );
        check(&[("retry-after", "Thu, 21 Aug 2025 12:41:30 GMT")], None);
    }

    #[test]
    fn nonsense_is_no_wait_rather_than_a_wrong_one() {
        let date = ("date", "Thu, 21 Aug 2025 12:41:00 GMT");
        for value in [
            "",
            "-1",
            "+1",
            "NaN",
            "inf",
            "1e3",
            "0x10",
            "1.2.3",
            "soon",
            "99999999999999999999",
            "21 Aug 2025",
            ".",
        ] {
            check(&[date, ("retry-after", value)], None);
        }
        // Nor is a date that is longer away than any wait can be.
        check(
            &[date, ("retry-after", "Thu, 21 Aug 2042 12:41:00 GMT")],
            None,
        );
        check(&[], None);
    }
}
