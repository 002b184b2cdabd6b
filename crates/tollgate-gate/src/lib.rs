//! The gate: calls wait their turn for every quota they need, in order, and hold a permit that settles once.
//!
//! [`Gate`] drives the pure ledger of `tollgate-limits`: it owns the clock, the lock and the queue. A program that speaks another
//! protocol than HTTP, or uses a provider's SDK, can hold a gate by itself: [`Gate::acquire`] before the call, [`Permit::settle`]
//! after it. There are two seams where strangers plug in: [`Store`], a ledger shared by many processes, and [`Recorder`], telemetry.

mod acquire;
mod admit;
mod builder;
mod call;
mod change;
mod clock;
mod core;
mod driver;
mod error;
mod gate;
mod lanes;
mod outlook;
mod permit;
mod queue;
mod record;
mod snapshot;
mod store;
mod sync;
mod throttled;
mod ticket;

#[cfg(tollgate_shuttle)]
pub mod model;

pub use acquire::Acquire;
pub use builder::GateBuilder;
pub use call::Call;
pub use error::AcquireError;
pub use gate::{Gate, WeakGate};
pub use permit::Permit;
pub use record::{Event, Finished, Recorder, Refusal, Settled, Source, Tokens};
pub use snapshot::PolicyState;
pub use store::{Store, StoreDecision, StoreError};
pub use ticket::{Priority, Ticket};
pub use tollgate_limits::{
    Amounts, Anchor, Binding, Booking, Calendar, ChangeError, Check, Counting, Eased, Labels, News,
    Plan, Policy, Quota, QuotaError, Settlement, Shape, Status, Tick, Tightened, Unit, Wait,
};
