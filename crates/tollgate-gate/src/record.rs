//! `Recorder`, the seam for telemetry, and `Event`, what it receives.

use std::fmt;
use std::time::Duration;

use tollgate_limits::{Amounts, Binding, Eased, Labels, Settlement, Tick, Tightened, Unit};

/// Receives every [`Event`], on the thread where it happens and after every lock is gone.
///
/// An implementation must be quick and must not panic: it runs inside the caller's own call. Labels carry what the program set
/// (`provider`, `model`, `operation`, `tenant`, `server`, `port`), never a key, a prompt or a URL.
pub trait Recorder: Send + Sync + fmt::Debug {
    /// Takes note of one event.
    fn record(&self, event: &Event<'_>);
}

/// Something that happened to one call, or to a policy because of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The call has to wait. Each `Queued` is followed by exactly one of `Admitted`, `Refused` or `Abandoned` with `queued`.
    Queued {
        /// What the call is.
        labels: &'a Labels,
        /// The policy in the way; `None` if only a shared ledger knows it.
        binding: Option<&'a Binding>,
        /// When it fits at the earliest, if that is known.
        until: Option<Tick>,
    },
    /// The call holds a permit.
    Admitted {
        /// What the call is.
        labels: &'a Labels,
        /// What was reserved for it.
        reserved: &'a Amounts,
        /// How long it waited; zero if it did not.
        waited: Duration,
        /// Whether it was queued.
        queued: bool,
    },
    /// The gate refused the call.
    Refused {
        /// What the call is.
        labels: &'a Labels,
        /// Why.
        reason: Refusal,
        /// The policy in the way, unless the queue or the store was.
        binding: Option<&'a Binding>,
        /// When it could have been admitted at the earliest, if that is known.
        until: Option<Tick>,
        /// How long it waited.
        waited: Duration,
        /// Whether it was queued.
        queued: bool,
    },
    /// The caller gave up waiting.
    Abandoned {
        /// What the call is.
        labels: &'a Labels,
        /// How long it waited.
        waited: Duration,
    },
    /// A reservation ended.
    Settled {
        /// What the call is.
        labels: &'a Labels,
        /// What was reserved and what was used.
        settlement: &'a Settlement,
        /// Where the used amounts come from.
        source: Source,
    },
    /// The provider refused an attempt because a quota is exhausted (429).
    Throttled {
        /// What the call is.
        labels: &'a Labels,
        /// The HTTP status.
        status: u16,
        /// Which of the provider's quotas it was, in one word.
        scope: &'a str,
    },
    /// The policies of a lane were paused.
    Paused {
        /// What the call is whose response caused it.
        labels: &'a Labels,
        /// The unit whose policies are paused; `None` for all.
        unit: Option<Unit>,
        /// For how long from now.
        span: Duration,
        /// Until when.
        until: Tick,
        /// The paused policies as they stand, with the instant until which each is held back, which may be later; empty for a gate
        /// with a store.
        policies: &'a [Binding],
    },
    /// The provider's count was ahead of ours, or its limit lower: the books were tightened.
    Tightened {
        /// What the call is whose response told so.
        labels: &'a Labels,
        /// What the tightened policy counts.
        unit: Unit,
    },
    /// The ledger did not foresee a refusal: the policy now spaces its calls, or more widely than before, or, where it is adaptive,
    /// searches on with a lower limit.
    Learned {
        /// What the call is that was refused.
        labels: &'a Labels,
        /// Which policy, and how.
        learned: &'a Tightened,
    },
    /// A policy that refusals had taught tries a wider pace, because whole windows have passed without one.
    Eased {
        /// What the call is that was settled first since then.
        labels: &'a Labels,
        /// Which policy, and how.
        eased: &'a Eased,
    },
    /// A further attempt will be made.
    Retried {
        /// What the call is.
        labels: &'a Labels,
        /// The ordinal of the coming resend: 1 for the first retry.
        resend: u32,
        /// How long until then.
        delay: Duration,
        /// Why, in one low-cardinality word: an HTTP status or an error class.
        cause: &'a str,
    },
    /// The call is over: the last byte of its response has passed, it failed, or its caller dropped it.
    Finished(&'a Finished<'a>),
}

/// The end of a call.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// What the call is.
    pub labels: &'a Labels,
    /// The model that answered, as the response names it.
    pub response_model: Option<&'a str>,
    /// Why generation ended, in the provider's word.
    pub finish_reason: Option<&'a str>,
    /// The tokens that the response reported; `None` if it reported none.
    pub tokens: Option<Tokens>,
    /// Its cost in nano-US-dollars, if the price is known.
    pub cost: Option<u64>,
    /// From the first send of the first attempt to the end of the last body, without waiting at the gate before the first send.
    pub duration: Duration,
    /// Times it was sent; 0 if it never was.
    pub attempts: u32,
    /// The HTTP status of the response handed to the caller.
    pub status: Option<u16>,
    /// What went wrong, in one low-cardinality word; `None` on success.
    pub error: Option<&'a str>,
    /// When it ended, on the gate's clock: nanoseconds since the Unix epoch.
    pub at: Tick,
    /// How long it waited at the gate, over all attempts.
    pub waited: Duration,
    /// What its attempts were settled with; `None` if none was sent.
    pub settled: Option<Settled>,
}

/// What was set aside for a call and what it was charged, over all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The sums of what was reserved and of what was used.
    pub amounts: Settlement,
    /// Where the amounts of the last attempt come from.
    pub source: Source,
}

/// Token counts of a finished call; `cache_read` and `cache_write` are parts of `input`, `reasoning` of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Prompt tokens.
    pub input: u64,
    /// Generated tokens.
    pub output: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
    /// Generated tokens that the caller does not see.
    pub reasoning: u64,
}

/// Why the gate refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It needs more than a policy can ever grant.
    NeverFits,
    /// A budget is spent: a policy that refuses calls instead of letting them wait.
    Spent,
    /// It has no room now and the caller would not wait.
    NotNow,
    /// It cannot be admitted before its deadline.
    Deadline,
    /// It would wait, or has waited, for longer than the gate lets anybody wait.
    LongestWait,
    /// The queue is full.
    QueueFull,
    /// As many calls of its tenant wait as may of one.
    TenantQueueFull,
    /// The store that keeps the ledger failed.
    Store,
}

impl Refusal {
    /// The reason in one word, for telemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverFits => "never_fits",
            Self::Spent => "spent",
            Self::NotNow => "not_now",
            Self::Deadline => "deadline",
            Self::LongestWait => "longest_wait",
            Self::QueueFull => "queue_full",
            Self::TenantQueueFull => "tenant_queue_full",
            Self::Store => "store",
        }
    }
}

/// Where the amounts of a settlement come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The response reported them.
    Reported,
    /// The response did not; they were estimated from what passed.
    Estimated,
    /// The provider refused the attempt before doing work.
    Rejected,
    /// Nobody knows; the reservation was kept whole, which is safe.
    Kept,
    /// The call was never sent.
    Released,
}

impl Source {
    /// The source in one word, for telemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Estimated => "estimated",
            Self::Rejected => "rejected",
            Self::Kept => "kept",
            Self::Released => "released",
        }
    }
}
