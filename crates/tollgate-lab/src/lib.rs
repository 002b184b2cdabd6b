//! Experiments in virtual time: our limiter against the simulated provider's rules, with arrival jitter, and our estimates against the
//! truth; every seed is printed.
//!
//! Each experiment is a file that says what it plays, what is counted, and what must come out; a small version of it runs as a
//! test. `cargo xtask sim` lists them.

pub mod adaptive;
pub mod estimates;
pub mod foreign;
pub mod pairings;
pub mod pauses;
pub mod surprise;

mod report;
mod saturated;
mod world;

pub use report::{Report, Table};
