//! Runs one HTTP call to an LLM provider from description to settlement, with retries and backoff.
//!
//! [`Exchange::run`] is the whole life of a call in one async function; the adapters for tower and reqwest only bring the request in
//! and the response out. [`SettleBody`] is the other half: the permit travels in the response's body, so that a stream holds its
//! reservation until its end.

mod body;
mod call;
mod charge;
mod error;
mod exchange;
mod options;
mod report;
mod retry;
mod span;
mod trip;

pub use body::SettleBody;
pub use call::Target;
pub use charge::ChargeRules;
pub use error::{Failure, Refused};
pub use exchange::{Attempt, Exchange, SendError, Settings};
pub use options::{CallOptions, Priority};
pub use report::Report;
pub use retry::Schedule;
