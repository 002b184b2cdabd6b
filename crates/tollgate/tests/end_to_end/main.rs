//! Real clients behind one gate against a simulated provider, over HTTP on loopback.

mod support;

mod budgets;
mod dialects;
mod options;

mod faults;
