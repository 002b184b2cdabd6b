//! Measures Tollgate beside what a user would pick instead, in one run of one program.
//!
//! The benches are `benches/limits` and `benches/tokens`; `cargo xtask bench limits` and `cargo xtask bench tokens` run them. What
//! counts are ratios: both sides are sampled in turn, so that whatever else the machine does falls on both. This crate holds what
//! the benches share: [`interleave`] and its [`Samples`], the [`Stopwatch`]es, and the [`Report`].

mod clock;
mod machine;
mod report;
mod samples;

pub use allocation_counter::{AllocationInfo, measure as count_allocations};
pub use clock::{Stopwatch, cpu, process_cpu, wall};
pub use report::{Goal, Group, Report, run};
pub use samples::{Ratio, Samples, interleave};
