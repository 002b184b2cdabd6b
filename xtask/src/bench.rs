//! `cargo xtask bench`: runs a bench of tollgate-bench, the rivals beside us.

use std::env;
use std::path::Path;
use std::process::Command;

/// The benches there are, by the names of their targets.
pub(crate) const BENCHES: [&str; 2] = ["limits", "tokens"];

/// Builds and runs one bench with these arguments; what it prints is passed on as it is.
pub(crate) fn run(root: &Path, bench: &str, arguments: &[&str]) -> Result<(), String> {
    if !BENCHES.contains(&bench) {
        return Err(format!(
            "there is no bench `{bench}`, only {}",
            BENCHES.join(" and ")
        ));
    }
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["bench", "--quiet", "--package", "tollgate-bench", "--bench"])
        .arg(bench)
        .arg("--")
        .args(arguments)
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the bench `{bench}` ended with {status}"))
    }
}
