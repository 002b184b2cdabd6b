//! `Price` and `Cost`: money in integers, rounded against the caller.

use std::fmt;
use std::ops::{Add, AddAssign};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::Usage;

/// An amount of money in nano-US-dollars (1e-9 USD); the largest is about 18 billion dollars. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(pub u64);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount in nano-US-dollars.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Add::add)
    }
}

/// Dollars with at least two and at most nine decimals: `$0.0000121`, `$2.50`.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let decimals = format!("{nanos:09}");
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "${dollars}.{}", &decimals[..kept])
    }
}

/// What a model costs per token, in pico-US-dollars (1e-12 USD), which is micro-US-dollars per million tokens: the unit in which
/// every published price is a whole number. In TOML a price is written in dollars per million tokens:
///
/// ```toml
/// price = { input = "15", output = "75", cache_read = "1.50", cache_write = "18.75" }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Price {
    /// Per input token that is neither read from nor written to the provider's prompt cache. Zero means free.
    #[serde(deserialize_with = "per_million")]
    pub input: u64,
    /// Per output token, reasoning included. Zero means free.
    #[serde(deserialize_with = "per_million")]
    pub output: u64,
    /// Per token read from the prompt cache. `None`: as `input`.
    #[serde(default, deserialize_with = "per_million_if_given")]
    pub cache_read: Option<u64>,
    /// Per token written to the prompt cache. `None`: as `input`. Providers with several lifetimes charge more for longer ones
    /// (Anthropic: 1.25 times the input price for five minutes, twice for an hour), which usage reports do not always tell apart:
    /// set the price of the lifetime in use.
    #[serde(default, deserialize_with = "per_million_if_given")]
    pub cache_write: Option<u64>,
    /// Prices for long prompts, if they differ.
    #[serde(default)]
    pub long: Option<Box<LongPrice>>,
}

/// Prices of calls whose input is above a threshold. The whole call is charged at them, not only what is above.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LongPrice {
    /// The most input tokens, cached ones included, that the normal prices cover.
    pub above: u64,
    /// As [`Price::input`].
    #[serde(deserialize_with = "per_million")]
    pub input: u64,
    /// As [`Price::output`].
    #[serde(deserialize_with = "per_million")]
    pub output: u64,
    /// As [`Price::cache_read`].
    #[serde(default, deserialize_with = "per_million_if_given")]
    pub cache_read: Option<u64>,
    /// As [`Price::cache_write`].
    #[serde(default, deserialize_with = "per_million_if_given")]
    pub cache_write: Option<u64>,
}

impl Price {
    /// A price in pico-US-dollars per token, without special rates for cached tokens or long prompts.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            output,
            cache_read: None,
            cache_write: None,
            long: None,
        }
    }

    /// What `usage` costs by this list, rounded up to a whole nano-dollar. A cost that the provider reported itself
    /// ([`Usage::cost`]) is nearer the truth; this function does not look at it.
    ///
    /// Where only a bare total is known, all of it is charged at the dearer of the input and output prices. Saturates.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Cost {
        // What a provider says it bills for is what it bills for.
        let billed = usage
            .billed
            .map(|billed| Usage::new(billed.input, billed.output));
        let usage = billed.as_ref().unwrap_or(usage);
        let rates = self.rates(usage.input);
        if !usage.split_known {
            return Cost(nanos(
                u128::from(usage.total()) * u128::from(rates.input.max(rates.output)),
            ));
        }
        // Cached tokens are subsets of the input; a report in which they exceed it is charged for the cached ones alone.
        let plain = usage
            .input
            .saturating_sub(usage.cache_read.saturating_add(usage.cache_write));
        let picos = [
            (plain, rates.input),
            (usage.cache_read, rates.cache_read),
            (usage.cache_write, rates.cache_write),
            (usage.output, rates.output),
        ]
        .iter()
        .fold(0_u128, |sum, &(tokens, rate)| {
            sum.saturating_add(u128::from(tokens) * u128::from(rate))
        });
        Cost(nanos(picos))
    }

    fn rates(&self, input: u64) -> Rates {
        let (plain, output, read, write) = match &self.long {
            Some(long) if input > long.above => {
                (long.input, long.output, long.cache_read, long.cache_write)
            }
            _ => (self.input, self.output, self.cache_read, self.cache_write),
        };
        Rates {
            input: plain,
            output,
            cache_read: read.unwrap_or(plain),
            cache_write: write.unwrap_or(plain),
        }
    }
}

struct Rates {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
}

/// Pico-dollars as nano-dollars, rounded up: against the caller.
fn nanos(picos: u128) -> u64 {
    u64::try_from(picos.div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// What to do with a call whose model has no price, where a budget or a cost report needs one.
///
/// In TOML: `"refuse"`, `"ignore"`, or `{ assume = { input = "3", output = "15" } }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownPrice {
    /// Refuse the call: a budget that does not see every call is no budget.
    #[default]
    Refuse,
    /// Charge it at this price.
    Assume(Price),
    /// Let it pass without charging the budget; its cost is reported as unknown, not as zero.
    Ignore,
}

impl UnknownPrice {
    /// The price to charge: the known one, the assumed one, or none for a call that passes uncharged.
    ///
    /// # Errors
    /// [`PriceUnknown`] if there is none and the call must be refused.
    pub fn resolve<'a>(
        &'a self,
        known: Option<&'a Price>,
    ) -> Result<Option<&'a Price>, PriceUnknown> {
        match (known, self) {
            (Some(price), _) | (None, Self::Assume(price)) => Ok(Some(price)),
            (None, Self::Ignore) => Ok(None),
            (None, Self::Refuse) => Err(PriceUnknown),
        }
    }
}

/// The model has no price and the policy for that case is to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceUnknown;

impl fmt::Display for PriceUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the model has no known price, and calls of unknown price are refused")
    }
}

impl std::error::Error for PriceUnknown {}

/// The most decimals of a price per million tokens; one step is one pico-dollar per token.
const PRICE_DECIMALS: u32 = 6;

/// The dearest price accepted, one million dollars per million tokens: anything above is a slip of the pen.
const MAX_PRICE: u64 = 1_000_000_000_000;

fn per_million<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_dollars(&text, PRICE_DECIMALS).filter(|&price| price <= MAX_PRICE).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is not a price, write dollars per million tokens as a string such as \"0.25\", with at most 6 decimals"
        ))
    })
}

fn per_million_if_given<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    per_million(deserializer).map(Some)
}

/// A decimal number as an integer of `10^-decimals` steps: `parse_dollars("1.5", 6)` is 1,500,000. `None` if it is not a plain
/// non-negative decimal number, has more decimals than that (nothing is rounded silently), or is too large.
pub(crate) fn parse_dollars(text: &str, decimals: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = decimals.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let fraction = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?
    };
    let fraction = fraction.checked_mul(10_u64.pow(missing))?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(10_u64.pow(decimals))?
        .checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64, cache_read: u64, cache_write: u64) -> Usage {
        Usage {
            cache_read,
            cache_write,
            ..Usage::new(input, output)
        }
    }

    fn price(toml: &str) -> Price {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn billed_units_are_billed_and_not_the_tokens() {
        let usage = Usage {
            billed: Some(crate::Billed {
                input: 12,
                output: 7,
            }),
            ..usage(507, 10, 448, 0)
        };
        let price = Price::new(1_000_000, 2_000_000);
        assert_eq!(price.cost(&usage), price.cost(&Usage::new(12, 7)));
    }

    #[test]
    fn a_price_is_exact_down_to_two_cents_per_million() {
        let price = price("input = \"0.02\"\noutput = \"0\"");
        assert_eq!(price.cost(&usage(1, 0, 0, 0)), Cost(20));
        assert_eq!(price.cost(&usage(1_000_000, 0, 0, 0)), Cost(20_000_000));
    }

    #[test]
    fn fractions_of_a_nano_dollar_are_rounded_against_the_caller_once() {
        let price = price("input = \"0.0375\"\noutput = \"0.15\"");
        // 37.5 nano-dollars per token: three tokens are 112.5, and only the sum is rounded.
        assert_eq!(price.cost(&usage(3, 0, 0, 0)), Cost(113));
        assert_eq!(price.cost(&usage(2, 0, 0, 0)), Cost(75));
    }

    #[test]
    fn cached_tokens_are_charged_at_their_own_price_and_not_twice() {
        let opus = price(
            "input = \"15\"\noutput = \"75\"\ncache_read = \"1.50\"\ncache_write = \"18.75\"",
        );
        // 50 plain, 200,000 read, 300 written, 410 generated.
        let expected = 50 * 15_000 + 200_000 * 1_500 + 300 * 18_750 + 410 * 75_000;
        assert_eq!(
            opus.cost(&usage(200_350, 410, 200_000, 300)),
            Cost(expected)
        );
    }

    #[test]
    fn without_a_cache_price_cached_tokens_cost_as_much_as_others() {
        let price = price("input = \"2\"\noutput = \"10\"");
        assert_eq!(price.cost(&usage(100, 0, 60, 0)), Cost(200_000));
    }

    #[test]
    fn a_long_prompt_reprices_the_whole_call() {
        let price = price(
            "input = \"2.5\"\noutput = \"15\"\nlong = { above = 272000, input = \"5\", output = \"22.5\" }",
        );
        assert_eq!(
            price.cost(&usage(272_000, 10, 0, 0)),
            Cost(272_000 * 2_500 + 10 * 15_000)
        );
        assert_eq!(
            price.cost(&usage(272_001, 10, 0, 0)),
            Cost(272_001 * 5_000 + 10 * 22_500)
        );
    }

    #[test]
    fn a_bare_total_is_charged_at_the_dearer_price() {
        let mut bare = usage(57, 0, 0, 0);
        bare.split_known = false;
        assert_eq!(
            price("input = \"0.10\"\noutput = \"0.25\"").cost(&bare),
            Cost(57 * 250)
        );
    }

    #[test]
    fn the_largest_usage_saturates() {
        let dear = Price::new(MAX_PRICE, MAX_PRICE);
        assert_eq!(
            dear.cost(&usage(u64::MAX, u64::MAX, u64::MAX, u64::MAX)),
            Cost(u64::MAX)
        );
        assert_eq!(Cost(u64::MAX) + Cost(1), Cost(u64::MAX));
    }

    #[test]
    fn an_unknown_price_follows_the_stated_policy() {
        let known = Price::new(1, 2);
        let assumed = UnknownPrice::Assume(Price::new(3, 4));
        assert_eq!(UnknownPrice::Refuse.resolve(Some(&known)), Ok(Some(&known)));
        assert_eq!(UnknownPrice::Refuse.resolve(None), Err(PriceUnknown));
        assert_eq!(UnknownPrice::Ignore.resolve(None), Ok(None));
        assert_eq!(assumed.resolve(None), Ok(Some(&Price::new(3, 4))));
    }

    #[test]
    fn the_policy_for_unknown_prices_is_written_in_one_line() {
        #[derive(Deserialize)]
        struct File {
            unknown_price: UnknownPrice,
        }
        let read = |text: &str| toml::from_str::<File>(text).map(|file| file.unknown_price);
        assert_eq!(read("unknown_price = \"ignore\""), Ok(UnknownPrice::Ignore));
        assert_eq!(read("unknown_price = \"refuse\""), Ok(UnknownPrice::Refuse));
        assert_eq!(
            read("unknown_price = { assume = { input = \"3\", output = \"15\" } }"),
            Ok(UnknownPrice::Assume(Price::new(3_000_000, 15_000_000)))
        );
        assert!(read("unknown_price = \"free\"").is_err());
    }

    #[test]
    fn dollars_are_read_exactly_or_not_at_all() {
        let check = |text, expected| assert_eq!(parse_dollars(text, 6), expected, "{text:?}");
        check("0.02", Some(20_000));
        check("75", Some(75_000_000));
        check("0.000001", Some(1));
        check("0.0000010", Some(1));
        check("0.0000001", None);
        check("18446744073709551615", None);
        for nonsense in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.2.3", " 1", "$1",
        ] {
            check(nonsense, None);
        }
    }

    #[test]
    fn a_cost_is_shown_in_dollars() {
        let check = |nanos, expected: &str| assert_eq!(Cost(nanos).to_string(), expected);
        check(0, "$0.00");
        check(2_500_000_000, "$2.50");
        check(12_100, "$0.0000121");
        check(1, "$0.000000001");
        check(u64::MAX, "$18446744073.709551615");
    }
}
