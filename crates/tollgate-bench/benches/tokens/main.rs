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

fn main() -> ExitCode {
    tollgate_bench::run(
        "tokens",
        &[
            ("json", json::run),
            ("sse", sse::run),
            ("memory", memory::run),
        ],
    )
}

/// Rounds of interleaved samples: enough to outlast what else the machine does for a second.
const ROUNDS: usize = 101;
