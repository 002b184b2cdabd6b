//! `cargo xtask test`: everything that must hold before a commit, cheapest first and the tests last.

mod examples;
mod report;
mod steps;

use std::path::Path;

use crate::tidy;
use steps::{Step, Steps};

/// Runs every step in order and stops at the first that fails.
///
/// On success nothing is printed after the tests, so that the runner's own summary closes the output.
pub(crate) fn run(root: &Path, quick: bool) -> Result<(), String> {
    let steps = Steps::new(root);
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !steps.answers(&[subcommand, "--version"]) {
            return Err(format!(
                "`cargo {subcommand}` does not run here; install it with `rustup component add {component}`"
            ));
        }
    }

    steps.run(Step::cargo("fmt --all --check"))?;
    steps.time("cargo xtask tidy", || {
        tidy::run(root).map_err(|count| format!("`cargo xtask tidy`: {count}"))
    })?;
    steps.run(Step::cargo(
        "clippy --workspace --all-targets --all-features --locked -- -D warnings",
    ))?;
    steps.run(
        Step::cargo("doc --workspace --no-deps --all-features").env("RUSTDOCFLAGS", "-Dwarnings"),
    )?;
    match bare_metal(&installed_targets(root)) {
        Some(target) => steps.run(Step::cargo(&format!(
            "build --package tollgate-limits --target {target}"
        )))?,
        None => steps.skip(
            "cargo build --package tollgate-limits --target thumbv7em-none-eabi",
            "no bare-metal target is installed; `cargo xtask tidy` has seen `#![no_std]` and no dependencies",
        ),
    }
    if quick {
        steps.skip("cargo run --release --example ...", "--quick");
    } else {
        examples::run(root, &steps)?;
    }
    steps.run(Step::cargo("test --doc --workspace --all-features"))?;
    steps.run(schedules())?;

    let tests = if steps.answers(&["nextest", "--version"]) {
        Step::cargo("nextest run --workspace --all-features")
    } else {
        Step::cargo("test --workspace --all-features --lib --bins --tests")
    };
    steps.last(tests)
}

/// Runs the gate under schedules that shuttle makes up. A folder of its own, because the flag compiles everything once more.
fn schedules() -> Step {
    Step::cargo(
        "test --package tollgate-gate --test schedules --target-dir target/schedules -- --quiet",
    )
    .env("RUSTFLAGS", "--cfg tollgate_shuttle")
}

/// Only that.
pub(crate) fn run_schedules(root: &Path) -> Result<(), String> {
    Steps::new(root).run(schedules())
}

/// The first installed target without an operating system on which the pure core must build.
///
/// Targets without atomic pointers (thumbv6m) are not among them: `alloc::sync::Arc` does not exist there.
fn bare_metal(installed: &str) -> Option<&'static str> {
    BARE_METAL
        .into_iter()
        .find(|target| installed.lines().any(|line| line.trim() == *target))
}

/// The targets that rustup has installed, one per line; empty where there is no rustup.
fn installed_targets(root: &Path) -> String {
    std::process::Command::new("rustup")
        .args(["target", "list", "--installed"])
        .current_dir(root)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

const BARE_METAL: [&str; 8] = [
    "thumbv7em-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv7m-none-eabi",
    "thumbv8m.main-none-eabi",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
    "aarch64-unknown-none",
    "x86_64-unknown-none",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_is_built_for_bare_metal_where_such_a_target_is_installed() {
        let check = |installed, expected| assert_eq!(bare_metal(installed), expected);
        check("", None);
        check("x86_64-unknown-linux-gnu\n", None);
        check("thumbv6m-none-eabi\n", None);
        check(
            "x86_64-unknown-linux-gnu\nthumbv7em-none-eabi\n",
            Some("thumbv7em-none-eabi"),
        );
        check("x86_64-unknown-none\r\n", Some("x86_64-unknown-none"));
    }
}
