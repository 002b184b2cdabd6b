//! `Learned`: what the usage of earlier calls taught about one model.

/// The rate of tokens per byte with its margin, and the lengths of the last answers.
#[derive(Clone)]
pub(super) struct Learned {
    /// Tokens and bytes of text of the calls so far, the older ones fading; both in units of 1 / `SCALE`. Their quotient is the rate: long
    /// prompts, which matter most to a quota, weigh most in it.
    tokens: u64,
    bytes: u64,
    /// Added to estimates of text, in thousandths.
    margin: u64,
    outputs: [u32; WINDOW],
    /// How many of `outputs` are filled, and which is the next to be replaced.
    filled: usize,
    next: usize,
    /// `None` before `ENOUGH` answers are known.
    usual_output: Option<u64>,
    /// The number of the report that taught it last.
    pub(super) last_report: u64,
}

/// Answers remembered: enough for a quantile, few enough to follow a change of use.
const WINDOW: usize = 64;
/// Answers needed before they say anything about the next.
const ENOUGH: usize = 8;
/// The rate before anything is learned, one token in so many bytes.
const PRIOR_BYTES: u64 = 3;
/// What is assumed counts as much as so many bytes of text: a few short prompts say little about a long one.
const PRIOR_WEIGHT: u64 = 16 * 1_024;
/// Keeps the fading of small sums exact to a thousandth.
const SCALE: u64 = 1_024;
/// Each report takes this share of the weight of those before it, so that about sixteen calls are remembered.
const FADE: u64 = 16;
/// Larger counts than this are not believed, and sums of `FADE` such counts cannot overflow.
const MOST: u64 = 1 << 40;

/// Margins in thousandths: the first, the narrowest, the widest.
const FIRST_MARGIN: u64 = 50;
const NARROWEST: u64 = 25;
const WIDEST: u64 = 1_000;
/// A margin loses this share of its excess over the narrowest per call that needed less.
const NARROWING: u64 = 32;
/// An error is measured against at least so many tokens: short texts stray further from the rate than long ones, and what they lack is
/// little of a quota.
const SMALL: u64 = 1_000;

/// Tokens of text of a model about which nothing is known, rounded up.
pub(super) const fn prior(bytes: u64) -> u64 {
    bytes.div_ceil(PRIOR_BYTES)
}

impl Learned {
    pub(super) const fn new() -> Self {
        Self {
            tokens: prior(PRIOR_WEIGHT) * SCALE,
            bytes: PRIOR_WEIGHT * SCALE,
            margin: FIRST_MARGIN,
            outputs: [0; WINDOW],
            filled: 0,
            next: 0,
            usual_output: None,
            last_report: 0,
        }
    }

    /// Tokens of that much text, with the margin.
    pub(super) fn text_tokens(&self, bytes: u64) -> u64 {
        self.at_rate(bytes, 1_000 + self.margin)
    }

    /// Divides last and rounds up: against the caller.
    fn at_rate(&self, bytes: u64, thousandths: u64) -> u64 {
        let divisor = u128::from(self.bytes) * 1_000;
        let tokens = u128::from(bytes)
            .saturating_mul(u128::from(self.tokens))
            .saturating_mul(u128::from(thousandths))
            .div_ceil(divisor);
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    /// Learns that `bytes` of text and `fixed` tokens beside it were `input` tokens.
    pub(super) fn learn_input(&mut self, bytes: u64, fixed: u64, input: u64) {
        let bytes = bytes.min(MOST);
        let text = input.saturating_sub(fixed).min(MOST);
        if bytes == 0 || text == 0 {
            return;
        }
        self.tokens = self.tokens - self.tokens / FADE + text * SCALE;
        self.bytes = self.bytes - self.bytes / FADE + bytes * SCALE;
        // Against the rate as it is now: the rate has already moved towards a change of text, and the margin covers what is left.
        self.adjust_margin(
            self.at_rate(bytes, 1_000).saturating_add(fixed),
            text.saturating_add(fixed),
        );
    }

    fn adjust_margin(&mut self, expected: u64, truth: u64) {
        let missing = u128::from(truth.saturating_sub(expected)) * 1_000;
        let needed =
            u64::try_from(missing.div_ceil(u128::from(expected.max(SMALL)))).unwrap_or(u64::MAX);
        self.margin = if needed > self.margin {
            needed.saturating_add(NARROWEST).min(WIDEST)
        } else if truth >= SMALL {
            // Rounded up, so that it arrives.
            self.margin - (self.margin - NARROWEST).div_ceil(NARROWING)
        } else {
            self.margin
        };
    }

    /// Learns the length of one answer.
    pub(super) fn learn_output(&mut self, output: u64) {
        self.outputs[self.next] = u32::try_from(output).unwrap_or(u32::MAX);
        self.next = (self.next + 1) % WINDOW;
        self.filled = (self.filled + 1).min(WINDOW);
        if self.filled < ENOUGH {
            return;
        }
        let mut sorted = self.outputs;
        let known = &mut sorted[..self.filled];
        let mean = known
            .iter()
            .map(|&output| u64::from(output))
            .sum::<u64>()
            .div_ceil(self.filled as u64);
        // The smallest answer that at least nine in ten do not pass.
        let rank = (self.filled * 9).div_ceil(10) - 1;
        let quantile = u64::from(*known.select_nth_unstable(rank).1);
        let usual = mean.max(quantile);
        self.usual_output = Some(usual + usual / 16);
    }

    /// What an answer takes, if enough are known.
    pub(super) const fn usual_output(&self) -> Option<u64> {
        self.usual_output
    }

    /// The longest answer remembered; zero if there is none.
    pub(super) fn longest_output(&self) -> u64 {
        self.outputs
            .iter()
            .max()
            .map_or(0, |&longest| longest.into())
    }
}
