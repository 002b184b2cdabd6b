//! Limiter policies for calls to LLM APIs: given `now`, may this call go, when, and what did it cost?
//!
//! This crate decides and nothing else. It reads no clock, does no IO, takes no lock and has no dependencies; time is an argument
//! ([`Tick`]), so the same script of calls gives the same answers, under test as in production.
//!
//! A [`Plan`] is a set of [`Policy`]s, each a named [`Quota`] with the calls it applies to. A [`Ledger`] keeps the count of every
//! policy, in every partition, and every open [`Reservation`]. It has five kinds of methods:
//!
//! | kind | methods | what they do |
//! | --- | --- | --- |
//! | resolve | [`Ledger::lane`], [`Ledger::pin`], [`Ledger::unpin`] | find the policies of a call by its [`Labels`], and keep them while it waits |
//! | spend | [`Ledger::reserve`], [`Ledger::settle`], [`Ledger::release`], [`Ledger::book`] | charge every policy or none; replace the estimate by the usage; charge what an earlier run used |
//! | hear | [`Ledger::adopt`], [`Ledger::pause`] | take over what the provider says; it only ever tightens |
//! | change | [`Ledger::change`] | work by another plan; what was used carries over |
//! | look | [`Ledger::check`], [`Ledger::forecast`], [`Ledger::snapshot`], [`Ledger::open_reservations`] | change nothing |
//!
//! ```
//! use core::time::Duration;
//! use tollgate_limits::{Amounts, Decision, Labels, Ledger, Plan, Policy, Quota, Tick, Unit};
//!
//! let minute = Duration::from_secs(60);
//! let plan = Plan::new([
//!     Policy::new("rpm", Quota::sliding(Unit::Requests, 10, minute)?),
//!     Policy::new("tpm", Quota::sliding(Unit::TotalTokens, 10_000, minute)?).margin(Duration::ZERO)?,
//! ])?;
//! let mut ledger = Ledger::new(plan);
//! let lane = ledger.lane(&Labels::new().with("model", "llama-3"));
//!
//! // 500 prompt tokens leave at most 9,500 for the output in this window.
//! let start = Tick::ZERO;
//! let Decision::Granted(first) = ledger.reserve(start, lane, &Amounts::call(500, 9_500)) else { panic!() };
//! let Decision::Wait(wait) = ledger.reserve(start, lane, &Amounts::call(500, 100)) else { panic!() };
//! assert_eq!(wait.binding.to_string(), "call needs 600 tokens, policy `tpm` has 0 of 10000 left");
//! assert_eq!(wait.until, Some(start.plus(minute)));
//!
//! // The output was shorter: what was not used is given back at once.
//! ledger.settle(start.plus(Duration::from_secs(3)), first, &Amounts::call(500, 1_000));
//! assert!(matches!(ledger.reserve(start.plus(Duration::from_secs(3)), lane, &Amounts::call(500, 100)), Decision::Granted(_)));
//! # Ok::<(), tollgate_limits::QuotaError>(())
//! ```
#![no_std]

extern crate alloc;

mod adaptive;
mod amounts;
mod books;
mod bucket;
mod change;
mod chunks;
mod counting;
mod decision;
mod forecast;
mod hash;
mod index;
mod invariants;
mod labels;
mod lanes;
mod layers;
mod ledger;
mod lessons;
mod mark;
mod meter;
mod news;
mod open;
mod others;
mod policy;
mod quota;
mod rare;
mod resolve;
mod sliding;
mod status;
mod terms;
mod throttled;
mod tick;
mod tighten;
mod window;

pub use amounts::{Amounts, Number, Unit};
pub use change::ChangeError;
pub use counting::Counting;
pub use decision::{Binding, Decision, Reservation, Settlement, Wait};
pub use labels::Labels;
pub use lanes::Lane;
pub use ledger::{Check, Ledger, Room};
pub use lessons::Lesson;
pub use news::News;
pub use policy::{Booking, Plan, Policy};
pub use quota::{Anchor, Calendar, Quota, QuotaError, Shape};
pub use status::Status;
pub use throttled::{Eased, Tightened};
pub use tick::Tick;
