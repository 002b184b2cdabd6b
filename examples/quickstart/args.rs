//! The flags.

use std::path::PathBuf;

use clap::Parser;

/// Runs the same calls with sleep-and-retry and with Tollgate, and compares what the provider saw.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// End with one JSON line instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask for streamed answers.
    #[arg(long)]
    pub(crate) stream: bool,
    /// Calls to send.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) calls: u32,
    /// Folder whose Markdown files the prompts are made of. Default: this workspace.
    #[arg(long)]
    pub(crate) input: Option<PathBuf>,
    /// How many times faster than life the simulated provider's time runs.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) speed: u32,
    /// Seed of sizes and answers.
    #[arg(long, default_value_t = 4)]
    pub(crate) seed: u64,
    /// Use a real provider at this URL instead of the simulated one.
    #[arg(long, requires_all = ["dialect", "model"])]
    pub(crate) base_url: Option<String>,
    /// The wire format of the real provider: openai, meta-llama, anthropic or generic, or a provider of the catalog.
    #[arg(long, requires = "base_url")]
    pub(crate) dialect: Option<String>,
    /// The model to ask at the real provider.
    #[arg(long, requires = "base_url")]
    pub(crate) model: Option<String>,
    /// The environment variable that holds the real provider's key.
    #[arg(long, requires = "base_url")]
    pub(crate) api_key_env: Option<String>,
    /// A tollgate.toml with the real provider's limits. Default: the catalog's.
    #[arg(long, requires = "base_url")]
    pub(crate) config: Option<PathBuf>,
    /// Run with Tollgate alone.
    #[arg(long)]
    pub(crate) skip_naive: bool,
    /// Export metrics and spans to this OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318.
    #[arg(long)]
    pub(crate) otlp: Option<String>,
}
