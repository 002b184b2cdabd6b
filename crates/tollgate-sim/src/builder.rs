//! How a provider is set up: a preset, then whatever differs from it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use crate::preset::{Model, NAMES, Preset, preset};
use crate::provider::{Quota, Rules};
use crate::reply::Latency;
use crate::server::Server;
use crate::wire::Dialect;

/// A simulated provider, before it runs.
#[derive(Debug, Clone, Copy)]
pub struct Provider;

impl Provider {
    /// Starts from a named provider:
    ///
    /// | name | quotas per team and model | charged | `/v1/chat/completions` speaks |
    /// | --- | --- | --- | --- |
    /// | `llama-api` | 10 RPM, 250,000 TPM, sliding log, for each of 4 models | at arrival | Meta's format |
    /// | `grok-2` | 60 RPM, 100,000 TPM, aligned windows | at arrival | OpenAI's, as xAI |
    /// | `claude-opus-4` | 50 RPM, 20,000 ITPM, 8,000 OTPM, buckets, shared by its names | as produced | OpenAI's |
    /// | `openai` | 500 RPM, 30,000 TPM (200,000 for the small models), buckets; refused calls count | at arrival | OpenAI's |
    /// | `llama-3` | 10,000 TPM, window from the first call | at arrival | OpenAI's |
    /// | `unlimited` | none, and every model name | | OpenAI's |
    ///
    /// # Errors
    /// When no preset has that name.
    pub fn preset(name: &str) -> Result<Builder, UnknownPreset> {
        let preset = preset(name).ok_or_else(|| UnknownPreset(name.to_owned()))?;
        Ok(Builder {
            setup: Setup {
                preset,
                dialects: Dialect::ALL.to_vec(),
                keys: Vec::new(),
                speed: 1,
                seed: 0,
                latency: Latency::default(),
                faults: Faults::default(),
                max_body: 32 << 20,
            },
            port: 0,
        })
    }

    /// The names of all presets.
    #[must_use]
    pub const fn presets() -> &'static [&'static str] {
        &NAMES
    }
}

/// What goes wrong on purpose. Calls are drawn by the seed and their number, so a run of one call after another repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Of 1,000 admitted streams, how many end in the middle without a terminator. At least 1,000 cuts all.
    pub cut_streams_per_mille: u32,
    /// Of 1,000 admitted calls, how many are answered with 500, their tokens given back. Drawn before the others.
    pub error_500_per_mille: u32,
    /// Of 1,000 admitted calls, how many are never answered; they end when the client goes away.
    pub hang_per_mille: u32,
    /// Whether a 429 says in headers when to come back, in the dialects that do.
    pub retry_after: bool,
}

impl Default for Faults {
    /// Nothing goes wrong, and a 429 says when to come back.
    fn default() -> Self {
        Self {
            cut_streams_per_mille: 0,
            error_500_per_mille: 0,
            hang_per_mille: 0,
            retry_after: true,
        }
    }
}

/// What a provider is told before it starts. Every method replaces an earlier word on the same thing.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    setup: Setup,
    port: u16,
}

/// Everything a running provider needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) preset: Preset,
    pub(crate) dialects: Vec<Dialect>,
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) speed: u32,
    pub(crate) seed: u64,
    pub(crate) latency: Latency,
    pub(crate) faults: Faults,
    pub(crate) max_body: usize,
}

impl Builder {
    /// Runs the provider's time faster: its minute lasts 60 / `speed` seconds of ours. 1 by default; a number outside of
    /// 1 to 10,000 counts as the nearest of these.
    pub fn speed(mut self, speed: u32) -> Self {
        self.setup.speed = speed.clamp(1, 10_000);
        self
    }

    /// Draws lengths, texts, speeds and faults from another seed. 0 by default.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.setup.seed = seed;
        self
    }

    /// Serves only these dialects; the paths of others answer 404. All by default.
    pub fn dialects(mut self, dialects: &[Dialect]) -> Self {
        self.setup.dialects = dialects.to_vec();
        self
    }

    /// Speaks `dialect` at `/v1/chat/completions`, instead of what the preset says.
    pub const fn chat(mut self, dialect: Dialect) -> Self {
        self.setup.preset.chat = dialect;
        self
    }

    /// Replaces the rules of every model.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.setup.preset.rules = rules;
        self.setup.preset.by_pool.clear();
        self
    }

    /// Replaces the quotas of every model and keeps how calls are charged. None means no limit.
    pub fn quotas(mut self, quotas: &[Quota]) -> Self {
        self.setup.preset.rules.quotas = quotas.to_vec();
        self.setup.preset.by_pool.clear();
        self
    }

    /// Serves one more model, or another one under the same name.
    pub fn model(mut self, model: Model) -> Self {
        self.setup
            .preset
            .models
            .retain(|known| known.name != model.name);
        self.setup.preset.models.push(model);
        self
    }

    /// Charges calls with this API key to `team`. Other keys follow the rule of [`Server`].
    pub fn key(mut self, key: &str, team: &str) -> Self {
        self.setup.keys.push((key.to_owned(), team.to_owned()));
        self
    }

    /// Goes wrong on purpose. Nothing does by default.
    pub const fn faults(mut self, faults: Faults) -> Self {
        self.setup.faults = faults;
        self
    }

    /// Answers at another pace.
    pub const fn latency(mut self, latency: Latency) -> Self {
        self.setup.latency = latency;
        self
    }

    /// Refuses bodies of more than `bytes` with 413. 32 MiB by default, Anthropic's limit for messages.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.setup.max_body = bytes;
        self
    }

    /// Listens on this port of 127.0.0.1. Zero, the default, takes any free one.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the provider on a thread of its own, so that a busy client does not delay it.
    ///
    /// # Errors
    /// When the port cannot be bound or no thread or runtime can be made.
    pub fn start(self) -> io::Result<Server> {
        Server::start(
            self.setup,
            SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
        )
    }
}

/// No preset has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPreset(String);

impl fmt::Display for UnknownPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no preset is called {:?}; there are {}",
            self.0,
            NAMES.join(", ")
        )
    }
}

impl std::error::Error for UnknownPreset {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_out_of_range_counts_as_the_nearest() {
        let check = |asked, expected| {
            let builder = Provider::preset("unlimited")
                .expect("a preset")
                .speed(asked);
            assert_eq!(builder.setup.speed, expected);
        };
        check(0, 1);
        check(600, 600);
        check(u32::MAX, 10_000);
    }

    #[test]
    fn an_unknown_preset_names_the_known_ones() {
        let error = Provider::preset("llama-5").expect_err("no such preset");
        let expected = "no preset is called \"llama-5\"; there are llama-api, grok-2, claude-opus-4, openai, llama-3, unlimited";
        assert_eq!(error.to_string(), expected);
    }
}
