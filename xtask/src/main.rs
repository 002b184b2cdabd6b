//! The workspace's own commands: `cargo xtask test`, `tidy`, `bench`, `fuzz`, `sim` and others.

mod bench;
mod fuzz;
mod sim;
mod test;
mod tidy;

mod clock;

use std::env;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in a folder of the workspace");
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, outcome) = match arguments[..] {
        ["test"] => ("test", test::run(root, false)),
        ["test", "--quick"] => ("test", test::run(root, true)),
        ["tidy"] => ("tidy", tidy::run(root)),
        ["schedules"] => ("schedules", test::run_schedules(root)),
        ["fuzz", ref rest @ ..] => ("fuzz", fuzz::run(root, rest)),
        ["bench", name, ref rest @ ..] => ("bench", bench::run(root, name, rest)),
        ["sim", ref experiment @ ..] => return sim::run(root, experiment),
        [] | ["help" | "--help" | "-h", ..] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            println!(
                "xtask: unknown arguments `{}`\n\n{USAGE}",
                arguments.join(" ")
            );
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("cargo xtask {name}: FAILED: {reason}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test            everything that must hold before a commit, the tests last
  test --quick    the same without running the examples
  tidy            the rules that no compiler checks: layers, file names and sizes, reasons, links, MSRV
  schedules       the gate under schedules of threads and tasks that shuttle makes up; SCHEDULES=10000 tries more
  bench limits [--json] [GROUP...]
                  the ledger and the gate beside governor, leaky-bucket, throttle-net and tokio's semaphore
  bench tokens [--json] [GROUP...]
                  usage read out of answers and streams, beside serde_json, sonic-rs, sseer and eventsource-stream
  fuzz [--seconds N] [TARGET...]
                  the readers of bodies, heads and catalog files, each for N seconds (30) on inputs made up to break them
  sim EXPERIMENT  an experiment in virtual time, such as `sim pairings [--json] [--seed N]`; `sim help` lists them";
