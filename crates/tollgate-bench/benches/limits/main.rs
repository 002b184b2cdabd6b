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

use tollgate_bench::{Options, Report};

fn main() -> ExitCode {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::new("limits", options);
    report.group("ledger", ledger::run);
    report.group("gate", gate::run);
    report.group("waiting", waiting::run);
    report.group("starvation", starvation::run);
    report.group("shares", shares::run);
    report.group("partitions", partitions::run);
    report.finish();
    ExitCode::SUCCESS
}

/// Rounds of interleaved samples where a sample takes milliseconds: enough to outlast what else the machine does for a second.
const ROUNDS: usize = 101;
