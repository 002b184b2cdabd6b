//! The answers the simulated models give: how long they are, what they say and how fast they come.

use std::time::Duration;

/// How fast the models answer, in the provider's time. Each call draws evenly from both ranges, by its own hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Shortest and longest time to the first token. A longest below the shortest counts as the shortest.
    pub first_token: (Duration, Duration),
    /// Slowest and fastest production in tokens per second. Zero counts as one; a fastest below the slowest counts as
    /// the slowest.
    pub tokens_per_second: (u32, u32),
}

impl Latency {
    /// Answers at once. For tests that care for the books alone.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            first_token: (Duration::ZERO, Duration::ZERO),
            tokens_per_second: (u32::MAX, u32::MAX),
        }
    }
}

impl Default for Latency {
    /// 300 to 900 ms to the first token, then 60 to 120 tokens per second.
    fn default() -> Self {
        Self {
            first_token: (Duration::from_millis(300), Duration::from_millis(900)),
            tokens_per_second: (60, 120),
        }
    }
}

/// A number that depends on the bytes and the seed alone: FNV-1a, then mixed.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(seed ^ bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// SplitMix64's finisher: spreads every bit of `x` over the result.
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Output tokens the model wants to produce: log-normal, median 250, sigma 0.7, at least 1.
///
/// The normal deviate is the sum of twelve even ones (Irwin-Hall), so no answer is longer than 17,000 tokens.
pub(crate) fn length(hash: u64) -> u64 {
    let twelve = (0..3)
        .map(|i| mix(hash ^ i))
        .flat_map(|word| [0, 16, 32, 48].map(|shift| (word >> shift) as u16));
    let deviate = twelve
        .map(|part| (f64::from(part) + 0.5) / 65_536.0)
        .sum::<f64>()
        - 6.0;
    (250.0 * (0.7 * deviate).exp()).round().max(1.0) as u64
}

/// One text of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Real words; [`tokens`](crate::tokens) of it is the last mark's count.
    pub(crate) text: String,
    /// After each word: the bytes and the tokens up to there.
    marks: Vec<(usize, u64)>,
    /// Whether the cap ended it.
    pub(crate) capped: bool,
}

impl Text {
    /// The text of a call: as long as its hash wants, but at most `cap` tokens.
    pub(crate) fn write(hash: u64, cap: u64) -> Self {
        let wanted = length(hash);
        let (target, capped) = (wanted.min(cap), wanted > cap);
        let (mut text, mut marks, mut count, mut draw) = (String::new(), Vec::new(), 0, hash);
        while count < target {
            draw = mix(draw);
            let left = target - count;
            // A long word costs two tokens, so it fits only where two are left.
            let (words, cost): (&[&str], u64) = if left > 1 && draw % 4 == 0 {
                (&LONG, 2)
            } else {
                (&SHORT, 1)
            };
            let word = words[(draw >> 8) as usize % words.len()];
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
            count += cost;
            if marks.len() % 12 == 11 && count < target {
                text.push('.');
                count += 1;
            }
            marks.push((text.len(), count));
        }
        Self {
            text,
            marks,
            capped,
        }
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.marks.last().map_or(0, |&(_, count)| count)
    }

    /// The text in pieces of at least `least` tokens (the last may have fewer), each with its tokens.
    pub(crate) fn pieces(&self, least: u64) -> Vec<(&str, u64)> {
        let (mut pieces, mut from) = (Vec::new(), (0, 0));
        for &(end, count) in &self.marks {
            if count - from.1 >= least || count == self.tokens() {
                pieces.push((&self.text[from.0..end], count - from.1));
                from = (end, count);
            }
        }
        pieces
    }
}

/// When the tokens of one call come, in nanoseconds of the provider's time after its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    first_token: u64,
    tokens_per_second: u64,
}

impl Pace {
    pub(crate) fn draw(latency: &Latency, hash: u64) -> Self {
        let between = |low: u64, high: u64, draw: u64| {
            low + draw % (high.saturating_sub(low).saturating_add(1)).max(1)
        };
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2);
        let (slow, fast) = latency.tokens_per_second;
        Self {
            first_token: between(
                ns(latency.first_token.0),
                ns(latency.first_token.1),
                mix(hash ^ 1),
            ),
            tokens_per_second: between(u64::from(slow), u64::from(fast), mix(hash ^ 2)).max(1),
        }
    }

    /// When `count` tokens have been produced.
    pub(crate) fn at(&self, count: u64) -> u64 {
        let producing = u128::from(count) * 1_000_000_000 / u128::from(self.tokens_per_second);
        self.first_token
            .saturating_add(u64::try_from(producing).unwrap_or(u64::MAX))
    }
}

/// Words of one token.
const SHORT: [&str; 32] = [
    "toll", "road", "gate", "the", "a", "of", "and", "to", "in", "river", "stone", "by", "is",
    "was", "were", "over", "carts", "horse", "coin", "paid", "town", "years", "each", "on", "from",
    "with", "that", "it", "guard", "night", "rain", "mill",
];

/// Words of two tokens.
const LONG: [&str; 16] = [
    "bridge", "keeper", "valley", "travel", "merchant", "crossing", "wagons", "morning", "village",
    "between", "council", "harvest", "collect", "turnpike", "journey", "waiting",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens;

    #[test]
    fn the_text_counts_as_many_tokens_as_it_promises() {
        for seed in 0..200 {
            let text = Text::write(mix(seed), 1 + seed * 3);
            assert_eq!(tokens(&text.text), text.tokens(), "seed {seed}");
            assert!(text.tokens() <= 1 + seed * 3, "seed {seed}");
            assert_eq!(text.capped, length(mix(seed)) > 1 + seed * 3, "seed {seed}");
        }
    }

    #[test]
    fn the_pieces_are_the_text_and_every_prefix_counts_exactly() {
        for least in [1, 2, 7, 100_000] {
            let text = Text::write(99, 400);
            let (mut joined, mut count) = (String::new(), 0);
            for (piece, cost) in text.pieces(least) {
                joined.push_str(piece);
                count += cost;
                assert_eq!(tokens(&joined), count);
            }
            assert_eq!(joined, text.text);
        }
    }

    #[test]
    fn lengths_have_the_promised_median_and_depend_on_body_and_seed_alone() {
        let mut lengths: Vec<u64> = (0..4_001u64)
            .map(|i| length(hash(7, &i.to_le_bytes())))
            .collect();
        assert_eq!(length(hash(7, b"same")), length(hash(7, b"same")));
        assert_ne!(hash(7, b"same"), hash(8, b"same"));
        lengths.sort_unstable();
        let median = lengths[2_000];
        assert!((235..=265).contains(&median), "{median}");
    }

    #[test]
    fn tokens_come_after_the_first_at_the_drawn_rate() {
        let latency = Latency {
            first_token: (Duration::from_millis(5), Duration::ZERO),
            tokens_per_second: (100, 0),
        };
        let pace = Pace::draw(&latency, 3);
        assert_eq!(
            (pace.at(0), pace.at(1), pace.at(100)),
            (5_000_000, 15_000_000, 1_005_000_000)
        );
        for seed in 0..100 {
            let pace = Pace::draw(&Latency::default(), mix(seed));
            assert!(
                (300_000_000..=900_000_000).contains(&pace.first_token),
                "{pace:?}"
            );
            assert!((60..=120).contains(&pace.tokens_per_second), "{pace:?}");
        }
    }
}
