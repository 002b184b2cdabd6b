//! `AcquireError`: why the gate refused a call, with numbers, and when it would have been admitted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tollgate_limits::{Binding, Tick, Wait};

use crate::{Refusal, StoreError, outlook::Reason};

/// Why a call was not admitted. Nothing is charged for it.
#[derive(Clone, Debug)]
pub struct AcquireError {
    kind: Kind,
    at: Tick,
}

#[derive(Clone, Debug)]
enum Kind {
    NeverFits(Binding),
    Spent(Wait),
    NotNow(Wait),
    Behind(Wait),
    Deadline(Option<Wait>),
    LongestWait(Option<Wait>, Duration),
    QueueFull(usize),
    TenantQueueFull {
        limit: usize,
        label: Arc<str>,
        tenant: Arc<str>,
    },
    Unasked,
    Store(StoreError),
}

impl AcquireError {
    pub(crate) const fn never_fits(binding: Binding, at: Tick) -> Self {
        Self {
            kind: Kind::NeverFits(binding),
            at,
        }
    }

    pub(crate) const fn spent(wait: Wait, at: Tick) -> Self {
        Self {
            kind: Kind::Spent(wait),
            at,
        }
    }

    pub(crate) fn not_now(reason: Reason, at: Tick) -> Self {
        let kind = if reason.behind {
            Kind::Behind(reason.wait)
        } else {
            Kind::NotNow(reason.wait)
        };
        Self { kind, at }
    }

    /// Not in time: for its deadline, or for the longest that the gate lets anybody wait if that is given.
    pub(crate) const fn late(wait: Option<Wait>, longest: Option<Duration>, at: Tick) -> Self {
        let kind = match longest {
            None => Kind::Deadline(wait),
            Some(longest) => Kind::LongestWait(wait, longest),
        };
        Self { kind, at }
    }

    pub(crate) const fn unasked(at: Tick) -> Self {
        Self {
            kind: Kind::Unasked,
            at,
        }
    }

    pub(crate) const fn queue_full(limit: usize, at: Tick) -> Self {
        Self {
            kind: Kind::QueueFull(limit),
            at,
        }
    }

    pub(crate) const fn tenant_queue_full(
        limit: usize,
        label: Arc<str>,
        tenant: Arc<str>,
        at: Tick,
    ) -> Self {
        let kind = Kind::TenantQueueFull {
            limit,
            label,
            tenant,
        };
        Self { kind, at }
    }

    pub(crate) const fn store(error: StoreError, at: Tick) -> Self {
        Self {
            kind: Kind::Store(error),
            at,
        }
    }

    /// The reason as one closed set.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self.kind {
            Kind::NeverFits(_) => Refusal::NeverFits,
            Kind::Spent(_) => Refusal::Spent,
            Kind::NotNow(_) | Kind::Behind(_) | Kind::Unasked => Refusal::NotNow,
            Kind::Deadline(_) => Refusal::Deadline,
            Kind::LongestWait(..) => Refusal::LongestWait,
            Kind::QueueFull(_) => Refusal::QueueFull,
            Kind::TenantQueueFull { .. } => Refusal::TenantQueueFull,
            Kind::Store(_) => Refusal::Store,
        }
    }

    /// Whether the call needs more than a policy can ever grant: waiting never helps.
    #[must_use]
    pub const fn is_never_fits(&self) -> bool {
        matches!(self.kind, Kind::NeverFits(_))
    }

    /// Whether a budget is spent: a policy that refuses calls instead of letting them wait ([`tollgate_limits::Policy::refusing`]).
    /// [`AcquireError::binding`] says which, what was spent and of how much; [`AcquireError::retry_at`] when it starts again.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        matches!(self.kind, Kind::Spent(_))
    }

    /// The policy in the way, unless the queue or the store was.
    #[must_use]
    pub const fn binding(&self) -> Option<&Binding> {
        match &self.kind {
            Kind::NeverFits(binding) => Some(binding),
            Kind::Spent(wait)
            | Kind::NotNow(wait)
            | Kind::Behind(wait)
            | Kind::Deadline(Some(wait))
            | Kind::LongestWait(Some(wait), _) => Some(&wait.binding),
            Kind::Deadline(None)
            | Kind::LongestWait(None, _)
            | Kind::QueueFull(_)
            | Kind::TenantQueueFull { .. }
            | Kind::Unasked
            | Kind::Store(_) => None,
        }
    }

    /// The earliest instant at which the call could have been admitted, if that is known: not for calls that never fit, wait
    /// behind others, or wait for calls in flight, nor for a spent budget that never starts again.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Tick> {
        match &self.kind {
            Kind::Spent(wait)
            | Kind::NotNow(wait)
            | Kind::Behind(wait)
            | Kind::Deadline(Some(wait))
            | Kind::LongestWait(Some(wait), _) => wait.until,
            _ => None,
        }
    }

    /// The time from the refusal to [`AcquireError::retry_at`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_at().map(|at| at.since(self.at))
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::NeverFits(binding) => write!(f, "{binding}: it can never be admitted"),
            Kind::Spent(wait) => {
                let Binding {
                    policy,
                    unit,
                    needed,
                    used,
                    capacity,
                    ..
                } = &wait.binding;
                let [needed, used, capacity] =
                    [needed, used, capacity].map(|units| unit.number(*units));
                write!(
                    f,
                    "budget `{policy}` is spent: {used} of {capacity:#}, and the call is expected to take {needed}"
                )?;
                return match self.retry_after() {
                    Some(span) => write!(f, "; it starts again in {span:.0?}"),
                    None => f.write_str("; it never starts again, so raise it or drop it"),
                };
            }
            Kind::NotNow(wait) => write!(f, "{}", wait.binding),
            Kind::Behind(wait) => {
                write!(f, "{}, and calls that go first wait for it", wait.binding)
            }
            Kind::Deadline(Some(wait)) => write!(f, "{}: not before the deadline", wait.binding),
            Kind::Deadline(None) => f.write_str("the call was not admitted before its deadline"),
            Kind::LongestWait(Some(wait), longest) => {
                write!(
                    f,
                    "{}: not within {longest:?}, the longest wait",
                    wait.binding
                )
            }
            Kind::LongestWait(None, longest) => {
                write!(
                    f,
                    "the call was not admitted within {longest:?}, the longest wait"
                )
            }
            Kind::QueueFull(limit) => write!(f, "the queue is full with {limit} waiting calls"),
            Kind::TenantQueueFull {
                limit,
                label,
                tenant,
            } => write!(
                f,
                "{limit} calls of {label} `{tenant}` wait already, the most of one tenant; others may still come"
            ),
            Kind::Unasked => {
                f.write_str("the shared ledger can only be asked by waiting: use `acquire`")
            }
            Kind::Store(error) => write!(f, "{error}"),
        }?;
        match self.retry_after() {
            Some(span) => write!(f, "; it fits in {span:.1?} at the earliest"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for AcquireError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Store(error) => Some(error),
            _ => None,
        }
    }
}
