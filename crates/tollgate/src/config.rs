//! `tollgate.toml`: the builder's words in a file.
//!
//! ```toml
//! providers = ["meta-llama"]          # whose limits are enforced; default: those with a table below
//! default_provider = "meta-llama"     # behind hosts that the catalog does not know; default: the first of them
//! unknown_price = "refuse"            # or "ignore", or { assume = { input = "3", output = "15" } }
//!
//! [tiers]
//! anthropic = "1"
//!
//! [retry]
//! attempts = 5
//! patience = "60s"
//! first_delay = "500ms"
//! longest_delay = "60s"
//! percent = 20
//!
//! [provider.meta-llama]               # the catalog's words, merged over its own
//! limits = [{ name = "rpm", unit = "requests", limit = 3000, window = "1m", per = ["model"] }]
//!
//! [[policy]]                          # over the calls to all providers
//! name = "daily budget"
//! unit = "cost_usd"
//! limit = "25.00"
//! window = "day"
//! time_zone = "Europe/Berlin"
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_http::{Schedule, Settings};
use tollgate_tokens::{PolicySpec, TimeSpan, UnknownPrice};

use crate::{Builder, ConfigError, Tollgate};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    providers: Vec<String>,
    default_provider: Option<String>,
    unknown_price: Option<UnknownPrice>,
    #[serde(default)]
    tiers: BTreeMap<String, String>,
    retry: Option<Retry>,
    // Read by the catalog, from the same text.
    #[serde(default)]
    provider: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    policy: Vec<PolicySpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    attempts: Option<u32>,
    patience: Option<TimeSpan>,
    first_delay: Option<TimeSpan>,
    longest_delay: Option<TimeSpan>,
    percent: Option<u32>,
}

pub(crate) fn read(text: &str) -> Result<Builder, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|error| ConfigError::toml(&error, text))?;
    let mut builder = Tollgate::builder();
    builder.catalog.merge_section(text)?;
    let mut names = config.providers;
    for name in config.provider.keys().chain(config.tiers.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    for name in names {
        builder.known(&name)?;
        builder = match config.tiers.get(&name) {
            Some(tier) => builder.tier(name, tier),
            None => builder.provider(name),
        };
    }
    if let Some(name) = config.default_provider {
        builder.known(&name)?;
        builder.default_provider = Some(name);
    }
    let mut settings = config.retry.map(Retry::settings).unwrap_or_default();
    if let Some(policy) = config.unknown_price {
        settings = settings.unknown_price(policy);
    }
    Ok(config
        .policy
        .into_iter()
        .fold(builder.settings(settings), Builder::policy))
}

impl Retry {
    fn settings(self) -> Settings {
        let mut settings = Settings::default();
        if let Some(attempts) = self.attempts {
            settings = settings.attempts(attempts);
        }
        if let Some(TimeSpan(patience)) = self.patience {
            settings = settings.patience(patience);
        }
        if self.first_delay.is_some() || self.longest_delay.is_some() {
            let first = self
                .first_delay
                .map_or(Duration::from_millis(500), |TimeSpan(span)| span);
            let longest = self
                .longest_delay
                .map_or(Duration::from_secs(60), |TimeSpan(span)| span);
            settings = settings.schedule(Schedule::exponential(first, longest));
        }
        if let Some(percent) = self.percent {
            settings = settings.retry_percent(percent);
        }
        settings
    }
}
