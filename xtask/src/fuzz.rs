//! `cargo xtask fuzz`: runs the fuzz targets of tollgate-tokens for a fixed time each.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The targets there are, by the names of their files.
pub(crate) const TARGETS: [&str; 6] =
    ["body", "catalog", "events", "frames", "head", "retry_after"];

/// Seconds per target if nobody says otherwise.
const SECONDS: u32 = 30;

/// Most memory that a target may take, in MiB; it needs about forty.
const MEMORY: &str = "-rss_limit_mb=512";

/// `[--seconds N] [TARGET...]`; without a target, all of them one after another.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let (seconds, targets) = match arguments {
        ["--seconds", seconds, targets @ ..] => {
            let seconds = seconds.parse().ok().filter(|seconds| *seconds > 0);
            let wrong = "`--seconds` needs a whole number above zero";
            (seconds.ok_or(wrong)?, targets)
        }
        targets => (SECONDS, targets),
    };
    if let Some(unknown) = targets.iter().find(|target| !TARGETS.contains(target)) {
        return Err(format!(
            "there is no fuzz target `{unknown}`, only {}",
            TARGETS.join(", ")
        ));
    }
    let folder = root.join("crates/tollgate-tokens/fuzz");
    is_installed(&folder)?;
    let targets = if targets.is_empty() {
        &TARGETS[..]
    } else {
        targets
    };
    targets
        .iter()
        .try_for_each(|target| fuzz(&folder, target, seconds))
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder);
    cargo
}

fn is_installed(folder: &Path) -> Result<(), String> {
    let answer = cargo(folder)
        .args(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match answer {
        Ok(status) if status.success() => Ok(()),
        _ => Err("cargo-fuzz is not installed; get it with `cargo install cargo-fuzz --locked` (it needs a C++ compiler, and \
                  no nightly toolchain)"
            .to_owned()),
    }
}

fn fuzz(folder: &Path, target: &str, seconds: u32) -> Result<(), String> {
    // New finds go to the first folder, which is not kept in the repository; the seeds are only read.
    let corpus = folder.join("corpus").join(target);
    fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    println!("cargo xtask fuzz: {target} for {seconds} s");
    // The code is free of `unsafe`, so that there is nothing for a sanitizer to find, and without one the stable compiler will do.
    let status = cargo(folder)
        .args([
            "fuzz",
            "run",
            "--sanitizer",
            "none",
            "--fuzz-dir",
            ".",
            target,
        ])
        .arg(&corpus)
        .arg(folder.join("seeds").join(target))
        .args(["--", MEMORY, "-max_len=8192", "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"))
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!(
            "the target `{target}` found something; the input is in {}",
            folder.join("artifacts").join(target).display()
        ))
    }
}
