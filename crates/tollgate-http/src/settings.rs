//! `Settings`: how an exchange retries, and what it takes for granted.

use std::time::Duration;

use tollgate_tokens::{Estimator, UnknownPrice};

use crate::Schedule;

/// How an exchange retries, and what it takes for granted.
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    pub(crate) attempts: u32,
    pub(crate) patience: Duration,
    pub(crate) schedule: Schedule,
    pub(crate) retry_percent: u32,
    pub(crate) provider: Option<String>,
    pub(crate) unknown_price: UnknownPrice,
    pub(crate) lower_output_cap: bool,
    pub(crate) warn_at: u32,
    pub(crate) cold_percent: u32,
    pub(crate) estimator: Estimator,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: 5,
            patience: Duration::from_secs(60),
            schedule: Schedule::default(),
            retry_percent: 20,
            provider: None,
            unknown_price: UnknownPrice::Refuse,
            lower_output_cap: false,
            warn_at: 90,
            cold_percent: 10,
            estimator: Estimator::new(),
        }
    }
}

impl Settings {
    /// Times a call may be sent in all; 0 counts as 1, which never retries. Default: 5.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The longest delay that is waited out; a provider that asks for more gets its wish told to the caller at once, as
    /// [`Report::retry_at`](crate::Report::retry_at). Default: 60 s.
    pub const fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }

    /// The delays where the provider names none. Default: [`Schedule::default`].
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// How many of a hundred sends may be retries in the long run, besides a stock of ten; 0 allows the stock alone. Retries after
    /// a 429 do not count: the gate pauses and paces them. Default: 20.
    pub const fn retry_percent(mut self, percent: u32) -> Self {
        self.retry_percent = percent;
        self
    }

    /// The catalog's name of the provider behind hosts that the catalog does not know. Default: none, and such calls count as one
    /// request of an unknown provider.
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// Lowers a caller's own output cap to what is left of the context window, of the limit per request, and of the quotas that count
    /// output, instead of refusing the call or letting it wait. Default: no.
    ///
    /// The number in the body is replaced and every other byte stays; a field is never added or renamed, so a call without a cap goes as
    /// it is. Of the quotas, what is left *now* is taken if it is at least half of what the caller allowed, or as much as earlier answers
    /// of the model let expect; otherwise what they grant at most, and the call waits. The caller is told by
    /// [`Report::output_cap`](crate::Report::output_cap). Bedrock's bodies are never changed, because they are signed; where your own
    /// client signs bodies, leave this off.
    pub const fn lower_output_cap(mut self, lower: bool) -> Self {
        self.lower_output_cap = lower;
        self
    }

    /// Warns, in the call's span, of calls that take at least so many percent of the model's context window or of a quota on tokens; 0
    /// never does. Default: 90.
    pub const fn warn_at(mut self, percent: u32) -> Self {
        self.warn_at = percent;
        self
    }

    /// What a budget does with calls of unknown price. Default: refuse them.
    pub fn unknown_price(mut self, policy: UnknownPrice) -> Self {
        self.unknown_price = policy;
        self
    }

    /// As long as nothing has been learned of a call's answers, its output is reserved at no more than so many hundredths of the smallest
    /// limit on tokens that it counts towards, however high its cap; 0 counts as one token. Limits whose provider books the cap on
    /// arrival are not concerned: there the cap is what the call takes. Default: 10.
    pub const fn cold_percent(mut self, percent: u32) -> Self {
        self.cold_percent = percent;
        self
    }

    /// Estimates calls with this estimator, which may know something already; clones of it share what they learn. Default: a new one.
    pub fn estimator(mut self, estimator: Estimator) -> Self {
        self.estimator = estimator;
        self
    }
}
