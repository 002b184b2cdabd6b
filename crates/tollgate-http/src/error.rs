//! `Failure`: a call that was not sent, or whose transport failed.

use std::fmt;
use std::time::Duration;

use tollgate_gate::{AcquireError, Binding, Tick};

/// Why a call has no response.
#[derive(Debug)]
pub enum Failure<E> {
    /// It was refused before it was sent, and nothing was charged.
    Refused(Refused),
    /// The inner client failed at the last attempt.
    Transport(E),
}

/// Why a call was refused before it was sent. Carries numbers and the names of policies and models; never a URL, a key or text.
#[derive(Clone, Debug)]
pub struct Refused {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Gate(AcquireError),
    TooLong {
        what: Limit,
        input: u64,
        output: u64,
        limit: u64,
    },
    UnknownPrice {
        model: String,
    },
}

/// Which limit on the size of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Context,
    PerRequest,
}

impl Refused {
    pub(crate) const fn too_long(what: Limit, input: u64, output: u64, limit: u64) -> Self {
        Self {
            kind: Kind::TooLong {
                what,
                input,
                output,
                limit,
            },
        }
    }

    pub(crate) fn unknown_price(model: Option<&str>) -> Self {
        Self {
            kind: Kind::UnknownPrice {
                model: model.unwrap_or("?").to_owned(),
            },
        }
    }

    /// Whether the same call can never be admitted, however long it waits.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match &self.kind {
            Kind::Gate(error) => {
                error.is_never_fits() || (error.is_spent() && error.retry_at().is_none())
            }
            Kind::TooLong { .. } | Kind::UnknownPrice { .. } => true,
        }
    }

    /// Whether a budget is spent. [`Refused::binding`] names it, with what was used and of how much; [`Refused::retry_at`] says when it
    /// starts again, if it ever does.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        match &self.kind {
            Kind::Gate(error) => error.is_spent(),
            _ => false,
        }
    }

    /// The policy in the way, if it was one.
    #[must_use]
    pub const fn binding(&self) -> Option<&Binding> {
        match &self.kind {
            Kind::Gate(error) => error.binding(),
            _ => None,
        }
    }

    /// When the call could have been admitted at the earliest, on the gate's clock, if that is known.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Tick> {
        match &self.kind {
            Kind::Gate(error) => error.retry_at(),
            _ => None,
        }
    }

    /// The time from the refusal to [`Refused::retry_at`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Gate(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The reason in one low-cardinality word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match &self.kind {
            Kind::Gate(error) => error.refusal().as_str(),
            Kind::TooLong {
                what: Limit::Context,
                ..
            } => "context_window",
            Kind::TooLong {
                what: Limit::PerRequest,
                ..
            } => "per_request_limit",
            Kind::UnknownPrice { .. } => "unknown_price",
        }
    }
}

impl From<AcquireError> for Refused {
    fn from(error: AcquireError) -> Self {
        Self {
            kind: Kind::Gate(error),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Gate(error) => write!(f, "not admitted: {error}"),
            Kind::TooLong {
                what,
                input,
                output,
                limit,
            } => {
                let what = match what {
                    Limit::Context => "the model's context window",
                    Limit::PerRequest => "the limit per request",
                };
                write!(
                    f,
                    "not sent: a prompt of at least {input} tokens and an output cap of {output} exceed {what} of {limit} tokens; \
                     shorten the prompt or lower the cap"
                )
            }
            Kind::UnknownPrice { model } => write!(
                f,
                "not sent: a budget applies, but the price of model `{model}` is not known; give one in the catalog, or set \
                 `unknown_price`"
            ),
        }
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Gate(error) => Some(error),
            _ => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Transport(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Failure<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Transport(error) => Some(error),
        }
    }
}
