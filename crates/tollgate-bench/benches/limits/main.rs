//! `cargo xtask bench limits`: the ledger and the gate beside other limiters.
//!
//! Limits are so high that every call is granted at once, but where waiting is what is measured. What a rival does not do is said
//! beside it: none of them looks at a response, and only throttle-net takes back what a call did not use.

mod gate;
mod ledger;
mod partitions;
mod shares;
mod starvation;
mod waiting;

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate_bench::run(
        "limits",
        &[
            ("ledger", ledger::run),
            ("gate", gate::run),
            ("waiting", waiting::run),
            ("starvation", starvation::run),
            ("shares", shares::run),
            ("partitions", partitions::run),
        ],
    )
}

/// Rounds of interleaved samples where a sample takes milliseconds: enough to outlast what else the machine does for a second.
const ROUNDS: usize = 101;
