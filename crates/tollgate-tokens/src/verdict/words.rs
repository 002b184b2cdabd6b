//! Numbers and waits in the sentences of error messages, which are often the only place that has them.

use std::time::Duration;

use crate::retry_after::span::{decimal, leading_span};

/// What a message of a refused call tells in figures.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) limit: Option<u64>,
    pub(super) used: Option<u64>,
    pub(super) requested: Option<u64>,
}

impl Figures {
    /// Reads a message in lower case: `limit 30000, used 29800, requested 940` (OpenAI, Groq), `(actual/limit): 65605/16000` (xAI),
    /// `rate limit of 80,000 input tokens` (Anthropic), `limited to 20 api calls` (Cohere).
    pub(super) fn read(message: &str) -> Self {
        let after = |phrases: &[&str]| {
            phrases
                .iter()
                .find_map(|phrase| number_after(message, phrase))
        };
        let limit = actual_and_limit(message)
            .or_else(|| after(&["limit ", "limit: ", "limit of ", "limited to "]));
        Self {
            limit,
            used: after(&["used ", "used: "]),
            requested: after(&["requested ", "requested: "]),
        }
    }

    /// The call alone is larger than the limit.
    pub(super) fn never_fits(&self) -> bool {
        matches!((self.requested, self.limit), (Some(requested), Some(limit)) if requested > limit)
    }

    /// How long a bucket of `limit` units per `window` takes until `requested` units fit, rounded up.
    pub(super) fn wait(&self, window: Duration) -> Option<Duration> {
        let (limit, used, requested) =
            (self.limit.filter(|&l| l > 0)?, self.used?, self.requested?);
        let missing = u128::from(used)
            .saturating_add(u128::from(requested))
            .saturating_sub(u128::from(limit));
        let nanos = missing
            .checked_mul(window.as_nanos())?
            .div_ceil(u128::from(limit));
        u64::try_from(nanos).ok().map(Duration::from_nanos)
    }
}

/// The wait that a message in lower case asks for: `try again in 1.48s`, `retry in 34.07s`, `retry after 45 seconds`.
pub(super) fn wait(message: &str) -> Option<Duration> {
    ["try again in ", "retry in ", "retry after ", "wait for "]
        .iter()
        .find_map(|phrase| {
            let (_, rest) = message.split_once(phrase)?;
            leading_span(rest)
                .map(|(span, _)| span)
                .or_else(|| span_in_words(rest))
        })
}

fn span_in_words(text: &str) -> Option<Duration> {
    const SECOND: u64 = 1_000_000_000;
    let (number, rest) = text.split_once(' ')?;
    let unit = match () {
        () if rest.starts_with("millisecond") => SECOND / 1_000,
        () if rest.starts_with("second") => SECOND,
        () if rest.starts_with("minute") => 60 * SECOND,
        () if rest.starts_with("hour") => 3_600 * SECOND,
        () if rest.starts_with("day") => 86_400 * SECOND,
        () => return None,
    };
    decimal(number, unit)
}

/// The first number that directly follows `phrase`, wherever the phrase occurs.
fn number_after(message: &str, phrase: &str) -> Option<u64> {
    message
        .match_indices(phrase)
        .find_map(|(at, _)| leading_number(&message[at + phrase.len()..]))
}

/// A whole number with or without commas between thousands.
fn leading_number(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != ',')
        .unwrap_or(text.len());
    let mut groups = text[..end].split(',');
    let mut digits = groups.next().filter(|first| !first.is_empty())?.to_owned();
    digits.extend(groups.take_while(|group| group.len() == 3));
    digits.parse().ok()
}

fn actual_and_limit(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("(actual/limit): ")?;
    let (_, limit) = rest.split_once('/')?;
    leading_number(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_the_sentences_of_each_provider() {
        let check = |message: &str, limit, used, requested| {
            assert_eq!(
                Figures::read(message),
                Figures {
                    limit,
                    used,
                    requested
                },
                "{message}"
            );
        };
        check(
            "rate limit reached on tpm: limit 30000, used 29800, requested 940. please",
            Some(30_000),
            Some(29_800),
            Some(940),
        );
        check(
            "rate limit is - tokens per minute (actual/limit): 65605/16000. you can",
            Some(16_000),
            None,
            None,
        );
        check(
            "rate limit of 80,000 input tokens per minute.",
            Some(80_000),
            None,
            None,
        );
        check("limited to 20 api calls / minute", Some(20), None, None);
        check("quota exceeded, limit: 0, model: x", Some(0), None, None);
        check("the limit is near", None, None, None);
        check("limit 99999999999999999999", None, None, None);
    }

    #[test]
    fn a_wait_is_found_in_the_sentences_of_each_provider() {
        let check = |message: &str, ms: Option<u64>| {
            assert_eq!(wait(message), ms.map(Duration::from_millis), "{message}")
        };
        check("please try again in 1.48s. visit", Some(1_480));
        check("please try again in 20ms.", Some(20));
        check("please try again in 6m0s.", Some(360_000));
        check("please retry in 34.5s.", Some(34_500));
        check("please retry after 45 seconds.", Some(45_000));
        check("please retry after 1 minute", Some(60_000));
        check("please try again later", None);
        check("retry after -5 seconds", None);
    }

    #[test]
    fn the_wait_of_a_bucket_is_for_what_is_missing() {
        let figures = Figures {
            limit: Some(30_000),
            used: Some(29_800),
            requested: Some(940),
        };
        assert_eq!(
            figures.wait(Duration::from_secs(60)),
            Some(Duration::from_millis(1_480))
        );
        let fits = Figures {
            limit: Some(10),
            used: Some(1),
            requested: Some(1),
        };
        assert_eq!(fits.wait(Duration::from_secs(60)), Some(Duration::ZERO));
    }
}
