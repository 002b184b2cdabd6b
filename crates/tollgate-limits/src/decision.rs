//! What the ledger answers: `Decision`, `Binding`, `Settlement`, and the `Reservation` that a grant hands out.

use alloc::sync::Arc;
use core::fmt;

use crate::{Amounts, Tick, Unit};

/// The answer to a reserve: take it, wait, or never.
#[derive(Debug)]
pub enum Decision {
    /// Every policy has been charged.
    Granted(Reservation),
    /// Nothing has been charged; some policy has no room now.
    Wait(Wait),
    /// Nothing has been charged; a policy that refuses calls once it is spent ([`crate::Policy::refusing`]) has no room until the
    /// instant named, when its next window starts; `None`: for ever.
    Spent(Wait),
    /// Nothing has been charged; the call needs more than a policy can ever grant.
    NeverFits(Binding),
}

/// Proof that a call has been charged; to be settled or released exactly once, so it is moved and never copied.
///
/// The ledger keeps a reservation open until then: dropping it without either leaves it open for ever, so a driver wraps it in a
/// type that settles on drop.
#[must_use = "a reservation stays open until it is settled or released"]
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {
    pub(crate) slot: u32,
    pub(crate) seq: u64,
}

/// Why a call has to wait, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The policy that takes longest.
    pub binding: Binding,
    /// The earliest instant at which the call fits into every policy if nothing else is charged until then; `None` if that depends
    /// on calls in flight being settled, or if it is later than [`Tick::MAX`]. Where fixed windows with wide margins hardly overlap
    /// it can be too early, never too late; the call is then told a later one.
    pub until: Option<Tick>,
}

/// Which policy stands in the way, and by how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The policy's name.
    pub policy: Arc<str>,
    /// What it counts.
    pub unit: Unit,
    /// Units that the call needs.
    pub needed: u64,
    /// Units used, without those reserved for calls in flight; above the capacity when in debt.
    pub used: u64,
    /// Units that could be granted now; less than `needed`, unless a 429 holds the policy back. Zero near a fixed window's
    /// boundary, however little has been used.
    pub remaining: u64,
    /// The most that the policy can grant at once.
    pub capacity: u64,
    /// The instant until which a 429 holds the policy back, if it does: the pause, or the spacing of calls that follows it.
    pub paused_until: Option<Tick>,
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            policy,
            unit,
            paused_until,
            ..
        } = self;
        let [needed, remaining, capacity] =
            [self.needed, self.remaining, self.capacity].map(|units| unit.number(units));
        if self.needed > self.capacity {
            write!(
                f,
                "call needs {needed:#}, but policy `{policy}` can grant at most {capacity}"
            )
        } else if paused_until.is_some() {
            write!(
                f,
                "policy `{policy}` is paused by the provider; call needs {needed:#}"
            )
        } else {
            write!(
                f,
                "call needs {needed:#}, policy `{policy}` has {remaining} of {capacity} left"
            )
        }
    }
}

/// What was reserved and what was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// What was reserved.
    pub reserved: Amounts,
    /// What was used.
    pub used: Amounts,
}

impl Settlement {
    /// Units reserved and not used.
    #[must_use]
    pub const fn refund(&self, unit: Unit) -> u64 {
        self.reserved.get(unit).saturating_sub(self.used.get(unit))
    }

    /// Units used above the reservation; charged as debt.
    #[must_use]
    pub const fn overrun(&self, unit: Unit) -> u64 {
        self.used.get(unit).saturating_sub(self.reserved.get(unit))
    }
}
