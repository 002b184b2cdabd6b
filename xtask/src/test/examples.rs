//! Runs the examples and checks what they print: an example that only compiles proves nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::report;
use super::steps::{Step, Steps};
use crate::tidy::source;

/// Builds the examples, runs `quickstart` plain and with streams, shows `inspect` every recorded answer, and lets `usage` add up a
/// journal of calls that it has just made.
pub(super) fn run(root: &Path, steps: &Steps) -> Result<(), String> {
    // Built first, so that the limit below is about the programs and not about the compiler.
    steps.run(Step::cargo(
        "build --release --example quickstart --example inspect --example usage",
    ))?;
    for mode in ["", "--stream"] {
        let shown = format!("run --release --example quickstart -- --json {mode}");
        let printed = steps.capture(Step::cargo(&shown), LIMIT)?;
        let last = printed.last().map_or("", String::as_str);
        report::check(last).map_err(|reason| format!("`cargo {}`: {reason}", shown.trim_end()))?;
    }

    let files: Vec<String> = source::files_under(root, FIXTURES)?
        .into_iter()
        .filter(|file| recorded(file))
        .collect();
    if files.is_empty() {
        return Err(format!(
            "{FIXTURES} holds no recorded answer for the example `inspect`"
        ));
    }
    let inspect = Step::cargo("run --release --example inspect --").arguments(files);
    let printed = steps.capture(inspect, LIMIT)?;
    if printed.is_empty() {
        return Err("the example `inspect` printed nothing about the fixtures".into());
    }
    // What a limit is charged hangs on the provider's charge rules.
    let shown = format!(
        "run --release --example inspect -- --dialect anthropic {FIXTURES}/anthropic/message.http"
    );
    let printed = steps.capture(Step::cargo(&shown), LIMIT)?;
    if !printed
        .iter()
        .any(|line| line.contains(r#""itpm_cost":350,"#))
    {
        return Err("200,000 of 200,350 tokens of input came from Anthropic's cache, and `inspect` does not say that 350 count".into());
    }
    usage(root, steps)
}

/// The totals must be there again when another process reads the file.
fn usage(root: &Path, steps: &Steps) -> Result<(), String> {
    for file in ["", "-wal", "-shm"] {
        // None is there the first time.
        drop(fs::remove_file(root.join(format!("{JOURNAL}{file}"))));
    }
    let shown = format!("run --release --example usage -- --journal {JOURNAL} --csv");
    let made = steps.capture(Step::cargo(&format!("{shown} --demo")), LIMIT)?;
    let read = steps.capture(Step::cargo(&shown), LIMIT)?;
    report::check_usage(&made).map_err(|reason| format!("`cargo {shown} --demo`: {reason}"))?;
    if made != read {
        return Err(format!(
            "`cargo {shown}` prints other totals than the run that made them"
        ));
    }
    Ok(())
}

/// Whether a fixture holds what a provider sent, and not what a test expects of it.
fn recorded(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let extension = name.rsplit('.').next().unwrap_or("");
    RECORDED.contains(&extension) && !name.starts_with("expected")
}

/// A simulated minute at quickstart's speed takes about half a minute; ten times that is a hang.
const LIMIT: Duration = Duration::from_secs(300);

const FIXTURES: &str = "crates/tollgate-tokens/tests/fixtures";

/// Where `usage` keeps its journal, below the workspace root.
const JOURNAL: &str = "target/usage-demo.db";

const RECORDED: [&str; 5] = ["json", "sse", "http", "ndjson", "bin"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspect_is_shown_recorded_answers_only() {
        let check = |file, expected| assert_eq!(recorded(file), expected, "{file}");
        check("a/fixtures/openai/chat.http", true);
        check("a/fixtures/openai/stream.sse", true);
        check("a/fixtures/openai/chat.json", true);
        check("a/fixtures/openai/expected.json", false);
        check("a/fixtures/README.md", false);
    }
}
