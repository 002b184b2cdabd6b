//! Runs one HTTP call to an LLM provider from description to settlement, with retries and backoff.
//!
//! [`Exchange::run`] is the whole life of a call in one async function; the adapters for tower and reqwest only bring the request in
//! and the response out. [`SettleBody`] is the other half: the permit travels in the response's body, so that a stream holds its
//! reservation until its end.

// The life of a call.
mod exchange;

// Its stations.
mod answer;
mod body;
mod call;
mod lower;
mod preflight;
mod retry;
mod trip;

// What is known beforehand.
mod charge;
mod options;
mod profile;
mod settings;

// What is told.
mod attempt;
mod error;
mod report;
mod span;

pub use attempt::{Attempt, SendError};
pub use body::SettleBody;
pub use call::Target;
pub use error::{Failure, Refused};
pub use exchange::Exchange;
pub use options::{CallOptions, Priority};
pub use report::Report;
pub use retry::Schedule;
pub use settings::Settings;
