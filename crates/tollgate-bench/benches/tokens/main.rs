//! `cargo xtask bench tokens`: usage read out of answers and streams, beside parsers.
//!
//! Every rival reads the numbers of the usage and nothing else. Ours reads the model, the finish reason and an error as well, in
//! every dialect, and needs no body in memory. The rivals stop at the first byte that is not JSON; so does ours, with a warning.

mod bodies;
mod json;
mod memory;
mod sse;
mod usage;

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
    let mut report = Report::new("tokens", options);
    report.group("json", json::run);
    report.group("sse", sse::run);
    report.group("memory", memory::run);
    report.finish();
    ExitCode::SUCCESS
}

/// Rounds of interleaved samples: enough to outlast what else the machine does for a second.
const ROUNDS: usize = 101;
