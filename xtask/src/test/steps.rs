//! Running one command after another: what it is, how long it took, and why it failed.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::clock::Stopwatch;

/// One cargo command, with what its environment adds.
pub(super) struct Step {
    arguments: Vec<String>,
    environment: Vec<(&'static str, &'static str)>,
}

impl Step {
    /// `cargo` with these arguments, separated by spaces.
    pub(super) fn cargo(arguments: &str) -> Self {
        Self {
            arguments: arguments.split_whitespace().map(String::from).collect(),
            environment: Vec::new(),
        }
    }

    #[must_use]
    pub(super) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Adds arguments that are not shown with the command: a list of files, for example.
    #[must_use]
    pub(super) fn arguments(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.arguments.extend(more);
        self
    }

    /// The command as a person would type it, with a long list of arguments cut short.
    fn shown(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.environment {
            let quote = if value.contains(' ') { "'" } else { "" };
            line.push_str(&format!("{name}={quote}{value}{quote} "));
        }
        line.push_str("cargo");
        for argument in self.arguments.iter().take(SHOWN_ARGUMENTS) {
            line.push(' ');
            line.push_str(argument);
        }
        if self.arguments.len() > SHOWN_ARGUMENTS {
            let hidden = self.arguments.len() - SHOWN_ARGUMENTS;
            line.push_str(&format!(" ... and {hidden} more"));
        }
        line
    }
}

/// Runs steps in the workspace root and prints each one's command and time.
///
/// Everything goes to standard output, the steps' standard error included, so that a log keeps the order in which things happened.
pub(super) struct Steps {
    root: PathBuf,
    total: Stopwatch,
}

impl Steps {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            total: Stopwatch::start(),
        }
    }

    /// Whether `cargo` with these arguments succeeds; its output is dropped.
    pub(super) fn answers(&self, arguments: &[&str]) -> bool {
        self.cargo()
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Runs a step to its end.
    pub(super) fn run(&self, step: Step) -> Result<(), String> {
        let shown = step.shown();
        self.time(&shown, || {
            let status = self
                .command(&step)
                .status()
                .map_err(|error| cannot_start(&shown, &error))?;
            judge(&shown, status)
        })
    }

    /// Runs a step within `limit`, passes its standard output on line by line and returns it.
    ///
    /// A program that is not done by then is ended.
    pub(super) fn capture(&self, step: Step, limit: Duration) -> Result<Vec<String>, String> {
        let shown = step.shown();
        self.time(&shown, || {
            let mut command = self.command(&step);
            let mut child = command
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| cannot_start(&shown, &error))?;
            let printed = read_within(&mut child, limit);
            if printed.is_err() {
                // On Unix `cargo run` has become the program itself by now, so nothing outlives this.
                child
                    .kill()
                    .map_err(|error| format!("`{shown}` hangs and cannot be ended: {error}"))?;
            }
            let status = child
                .wait()
                .map_err(|error| format!("`{shown}` cannot be waited for: {error}"))?;
            let printed = printed.map_err(|reason| format!("`{shown}` {reason}"))?;
            judge(&shown, status)?;
            Ok(printed)
        })
    }

    /// Runs the last step: before it the time of all others is printed, and after it nothing.
    pub(super) fn last(&self, step: Step) -> Result<(), String> {
        let shown = step.shown();
        println!(
            "\n== all steps before the tests: {}",
            seconds(self.total.elapsed())
        );
        println!("== {shown}");
        let status = self
            .command(&step)
            .status()
            .map_err(|error| cannot_start(&shown, &error))?;
        judge(&shown, status)
    }

    /// Runs something that is no command of its own, under the name `shown`.
    pub(super) fn time<T>(
        &self,
        shown: &str,
        work: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        println!("\n== {shown}");
        let stopwatch = Stopwatch::start();
        let outcome = work()?;
        println!("== ok in {}", seconds(stopwatch.elapsed()));
        Ok(outcome)
    }

    /// Says that a step does not run, and why.
    pub(super) fn skip(&self, shown: &str, why: &str) {
        println!("\n== {shown}\n== skipped: {why}");
    }

    fn command(&self, step: &Step) -> Command {
        // What is still in the buffer must be written before the child writes.
        let _ = io::stdout().flush();
        let mut command = self.cargo();
        command
            .args(&step.arguments)
            .envs(step.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(io::stdout())
            .stderr(io::stdout());
        command
    }

    /// Cargo in the workspace root, without what `cargo run` has told this process about the package xtask: some build scripts
    /// (ring's) watch these variables and would compile everything above them once more.
    fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        for (name, _) in env::vars_os().filter(|(name, _)| describes_a_package(name)) {
            command.env_remove(name);
        }
        command
    }
}

fn describes_a_package(variable: &OsString) -> bool {
    variable
        .to_str()
        .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// The lines that the child prints until it closes its output, or why there are no more of them.
fn read_within(child: &mut Child, limit: Duration) -> Result<Vec<String>, String> {
    let stopwatch = Stopwatch::start();
    let lines = lines_of(child);
    let mut printed = Vec::new();
    loop {
        let left = limit.saturating_sub(stopwatch.elapsed());
        if left.is_zero() {
            return Err(format!("was not done after {}", seconds(limit)));
        }
        match lines.recv_timeout(left) {
            Ok(line) => {
                println!("{line}");
                printed.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(printed),
            // The time is up, which the next round says.
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Reads the child's standard output in a thread of its own, which ends when the output does.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

fn judge(shown: &str, status: ExitStatus) -> Result<(), String> {
    if status.success() {
        return Ok(());
    }
    Err(format!("`{shown}` ended with {status}"))
}

fn cannot_start(shown: &str, error: &io::Error) -> String {
    format!("`{shown}` cannot be started: {error}")
}

fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

/// How much of a command line is shown.
const SHOWN_ARGUMENTS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Steps {
        Steps::new(Path::new(env!("CARGO_MANIFEST_DIR")))
    }

    #[test]
    fn a_step_is_shown_as_a_person_would_type_it() {
        let step = Step::cargo("doc  --no-deps").env("RUSTDOCFLAGS", "-Dwarnings");
        assert_eq!(step.shown(), "RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps");
        let files = (0..20).map(|n| n.to_string());
        assert_eq!(
            Step::cargo("run --").arguments(files).shown(),
            "cargo run -- 0 1 2 3 4 5 6 7 8 9 ... and 10 more"
        );
    }

    #[test]
    fn a_command_that_fails_is_an_error_that_names_it() {
        let check = |argument, expected: Result<(), &str>| {
            let output = here().cargo().arg(argument).output().unwrap();
            let judged = judge(&format!("cargo {argument}"), output.status);
            assert_eq!(judged, expected.map_err(String::from));
        };
        check("--version", Ok(()));
        check(
            "no-such-command",
            Err("`cargo no-such-command` ended with exit status: 101"),
        );
    }

    #[test]
    fn what_a_command_prints_is_returned_line_by_line() {
        let minute = Duration::from_secs(60);
        let printed = here().capture(Step::cargo("--version"), minute).unwrap();
        assert_eq!(printed.len(), 1);
        assert!(printed[0].starts_with("cargo "), "{printed:?}");
    }

    #[test]
    fn a_program_that_is_not_done_in_time_is_ended() {
        let error = here()
            .capture(Step::cargo("--version"), Duration::ZERO)
            .unwrap_err();
        assert_eq!(error, "`cargo --version` was not done after 0.0 s");
    }

    #[test]
    fn what_cargo_said_about_this_package_is_not_passed_on() {
        let check = |name: &str, expected| {
            assert_eq!(describes_a_package(&name.into()), expected, "{name}");
        };
        check("CARGO_PKG_NAME", true);
        check("CARGO_MANIFEST_DIR", true);
        check("CARGO_TARGET_DIR", false);
        check("CARGO", false);
        check("PATH", false);
    }
}
