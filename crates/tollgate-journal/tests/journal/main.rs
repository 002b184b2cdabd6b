//! The journal against its file: what is in it, what it adds up to, and what becomes of it when something fails.

mod support;

mod budgets;
mod crash;
mod failures;
mod measures;
mod records;
mod totals;
