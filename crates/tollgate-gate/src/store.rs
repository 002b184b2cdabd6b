//! `Store`, the seam for a ledger kept elsewhere, so that many processes share one quota.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tollgate_limits::{Amounts, Binding, Labels, News, Tick, Unit, Wait};

/// A ledger behind IO: the operations of [`tollgate_limits::Ledger`], each one round trip.
///
/// The gate asks for one call at a time in queue order, and waits without asking again until the instant that the store names.
/// An implementation keeps its own clock if its processes do not share one; `now` is the gate's.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Charges every matching policy or none.
    ///
    /// # Errors
    /// If the store cannot be asked; the call is then refused with this error.
    async fn reserve(
        &self,
        now: Tick,
        labels: &Labels,
        amounts: &Amounts,
    ) -> Result<StoreDecision, StoreError>;

    /// Replaces the reservation `id` by what was used. Must be idempotent.
    ///
    /// # Errors
    /// If the store cannot be told; its lease on the reservation then decides.
    async fn settle(&self, now: Tick, id: u64, used: &Amounts) -> Result<(), StoreError>;

    /// Ends the reservation `id` of a call that was never sent. Must be idempotent.
    ///
    /// # Errors
    /// As [`Store::settle`].
    async fn release(&self, now: Tick, id: u64) -> Result<(), StoreError>;

    /// Takes over what the response to the call of reservation `id` says.
    ///
    /// # Errors
    /// If the store cannot be told.
    async fn adopt(&self, now: Tick, id: u64, news: &News) -> Result<(), StoreError>;

    /// Pauses the policies of such calls that count `unit` (`None`: all) until `until`; never shortens a pause.
    ///
    /// # Errors
    /// If the store cannot be told.
    async fn pause(
        &self,
        now: Tick,
        labels: &Labels,
        unit: Option<Unit>,
        until: Tick,
    ) -> Result<(), StoreError>;
}

/// A store's answer to a reserve.
#[derive(Clone, Debug)]
pub enum StoreDecision {
    /// Charged; the number names the reservation.
    Granted(u64),
    /// Not charged; ask again at `wait.until`, which is in the gate's time. If that is `None`, the gate asks after its next
    /// settlement, and at least every 250 ms, since it does not hear of settlements elsewhere.
    Wait(Wait),
    /// Not charged; a policy that does not let calls wait is spent until `wait.until`, or for ever.
    Spent(Wait),
    /// Not charged; it needs more than a policy can ever grant.
    NeverFits(Binding),
}

/// A store that could not be asked or told.
#[derive(Clone, Debug)]
pub struct StoreError {
    message: Arc<str>,
}

impl StoreError {
    /// An error with a message that says what failed; it must not carry a secret such as a connection URL.
    #[must_use]
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the shared ledger failed: {}", self.message)
    }
}

impl std::error::Error for StoreError {}
