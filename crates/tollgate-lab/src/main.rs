//! `cargo xtask sim EXPERIMENT [--json] [--seed N]`: runs one experiment and prints what came out.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tollgate_lab::{Report, adaptive, estimates, foreign, pairings, pauses, surprise};

/// Experiments in virtual time: our limiter against the simulated provider's rules.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim")]
struct Flags {
    #[command(subcommand)]
    experiment: Experiment,
    /// Print one line of JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// What costs, delays and arrivals are drawn from.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Subcommand)]
enum Experiment {
    /// A limit that nobody has told, found from refusals alone.
    Adaptive,
    /// Every shape of ours against every rule of a provider's, and the catalog's choices against theirs.
    Pairings {
        /// Calls of each row that plays a catalog provider.
        #[arg(long, default_value_t = 1_000_000)]
        calls: usize,
        /// Calls of each row that pairs a shape with a rule.
        #[arg(long, default_value_t = 50_000)]
        matrix_calls: usize,
    },
    /// Providers whose rule differs from the policy's, which learns it from their 429s.
    Surprise {
        /// Windows after the first.
        #[arg(long, default_value_t = 100)]
        windows: u64,
    },
    /// A burst of 429s while a thousand callers wait.
    Pauses,
    /// Another program takes a random half of the quota; only headers tell.
    Foreign {
        /// Windows to play.
        #[arg(long, default_value_t = 100)]
        windows: u64,
    },
    /// Estimates of input against exact tokenizers on real text, and what is reserved for output against an oracle.
    Estimates {
        /// Times that an estimator is taught 200 calls and asked for 400 of each kind of text, per tokenizer.
        #[arg(long, default_value_t = 10)]
        runs: u64,
        /// Moments judged in each of the four runs of a workload.
        #[arg(long, default_value_t = 20_000)]
        moments: usize,
    },
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let report: Report = match flags.experiment {
        Experiment::Pairings {
            calls,
            matrix_calls,
        } => pairings::run(flags.seed, calls, matrix_calls).report(flags.seed),
        Experiment::Adaptive => adaptive::report(&adaptive::run(flags.seed), flags.seed),
        Experiment::Pauses => pauses::report(&pauses::run(flags.seed), flags.seed),
        Experiment::Foreign { windows } => {
            foreign::report(&foreign::run(flags.seed, windows), flags.seed)
        }
        Experiment::Surprise { windows } => {
            surprise::report(&surprise::run(flags.seed, windows), flags.seed)
        }
        Experiment::Estimates { runs, moments } => {
            estimates::run(flags.seed, runs, moments).report(flags.seed)
        }
    };
    if flags.json {
        println!("{}", report.json());
    } else {
        println!("{report}");
    }
    if report.held() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
