//! The provider's quotas: pure code that decides which calls are admitted and charges them; time is an argument.
//!
//! It shares no line with the limiter under test, so that one mistake cannot hide in both. Every instant is a `u64`
//! of nanoseconds on the provider's own clock, which begins at zero when the provider starts. [`Enforcer`] is the entry.

mod quota;
mod rule;

mod aligned;
mod bucket;
mod concurrency;
mod first_call;
mod slices;
mod sliding_counter;
mod sliding_log;

mod enforcer;

pub(crate) use enforcer::tokens;
pub use enforcer::{Arrival, Decision, Enforcer, Refusal, Standing, Ticket};
pub use quota::{Charging, InvalidQuota, Quota, Rules, Shape, Unit};
pub(crate) use rule::{Rule, empty};
