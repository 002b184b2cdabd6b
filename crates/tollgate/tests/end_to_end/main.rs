//! Real clients behind one gate against a simulated provider, over HTTP on loopback.

mod support;

mod dialects;
mod options;

mod faults;
