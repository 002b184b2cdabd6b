//! `cargo xtask sim EXPERIMENT`: the experiments of tollgate-lab, with optimisation.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Builds and runs the lab with these arguments; what it prints is passed on untouched, so that JSON stays JSON.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> ExitCode {
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "tollgate-lab",
            "--",
        ])
        .args(arguments)
        .current_dir(root)
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo xtask sim: cargo cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}
