//! `tollgate.toml`: the builder's words in a file.
//!
//! ```toml
//! providers = ["meta-llama"]          # whose limits are enforced; default: those with a table below
//! default_provider = "meta-llama"     # behind hosts that the catalog does not know; default: the first of them
//! unknown_price = "refuse"            # or "ignore", or { assume = { input = "3", output = "15" } }
//! lower_output_cap = false            # lower a caller's output cap to what is left, instead of waiting or refusing
//! warn_at = 90                        # warn of calls that take so many percent of a context window or quota; 0: never
//! queue_limit = 10000                 # the most calls that may wait; further ones are refused at once
//! tenant_queue_limit = 1000           # the same for the calls of one tenant
//! longest_wait = "10m"                # a call that would wait for longer is refused at once
//! partition_limit = 1000000           # the most partitions of a policy with a count of their own
//!
//! [fairness]                          # while more is wanted than there is
//! between = "tenant"                  # the label whose values share quota
//! weights = { search = 5 }            # five times the units of the others, which have 1
//! ageing = "60s"                      # a class of calls that is passed over for so long rises by one; long: strict classes
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
//!
//! With the feature `journal`, `journal = "usage.db"` at the top records settled calls in that file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_http::{Schedule, Settings};
use tollgate_tokens::{PolicySpec, TimeSpan, UnknownPrice};
use toml::Spanned;

use crate::{Builder, ConfigError, Tollgate, policy::policy, waiting::Fairness};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    providers: Vec<Spanned<String>>,
    default_provider: Option<Spanned<String>>,
    unknown_price: Option<UnknownPrice>,
    lower_output_cap: Option<bool>,
    warn_at: Option<Spanned<u32>>,
    journal: Option<Spanned<std::path::PathBuf>>,
    queue_limit: Option<usize>,
    tenant_queue_limit: Option<usize>,
    longest_wait: Option<TimeSpan>,
    partition_limit: Option<u32>,
    #[serde(default)]
    fairness: Fairness,
    #[serde(default)]
    tiers: BTreeMap<Spanned<String>, Spanned<String>>,
    retry: Option<Retry>,
    // Read by the catalog, from the same text.
    #[serde(default)]
    provider: BTreeMap<Spanned<String>, IgnoredAny>,
    #[serde(default)]
    policy: Vec<Spanned<PolicySpec>>,
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
        if names.iter().all(|known| known.get_ref() != name.get_ref()) {
            names.push(name.clone());
        }
    }
    for name in names {
        builder
            .known(name.get_ref())
            .map_err(located(text, &name))?;
        builder = match config.tiers.get(name.get_ref().as_str()) {
            Some(tier) => {
                if let Some(provider) = builder.catalog.provider(name.get_ref()) {
                    // Asked here, where the text is at hand, so that the error can say where.
                    provider
                        .policies(Some(tier.get_ref()))
                        .map_err(|error| ConfigError::from(error).at(text, tier.span().start))?;
                }
                builder.tier(name.into_inner(), tier.get_ref())
            }
            None => builder.provider(name.into_inner()),
        };
    }
    if let Some(name) = config.default_provider {
        builder
            .known(name.get_ref())
            .map_err(located(text, &name))?;
        builder.default_provider = Some(name.into_inner());
    }
    let mut settings = config.retry.map(Retry::settings).unwrap_or_default();
    if let Some(policy) = config.unknown_price {
        settings = settings.unknown_price(policy);
    }
    if let Some(lower) = config.lower_output_cap {
        settings = settings.lower_output_cap(lower);
    }
    if let Some(percent) = config.warn_at {
        if *percent.get_ref() > 100 {
            return Err(located(text, &percent)(ConfigError::percent("warn_at")));
        }
        settings = settings.warn_at(percent.into_inner());
    }
    builder = builder.settings(settings);
    builder.waiting.queue_limit = config.queue_limit;
    builder.waiting.tenant_queue_limit = config.tenant_queue_limit;
    builder.waiting.longest_wait = config.longest_wait.map(|TimeSpan(span)| span);
    builder.waiting.partition_limit = config.partition_limit;
    builder.waiting.fairness(config.fairness);
    if let Some(path) = config.journal {
        #[cfg(feature = "journal")]
        {
            builder = builder.journal(path.into_inner());
        }
        #[cfg(not(feature = "journal"))]
        return Err(located(text, &path)(ConfigError::no_journal()));
    }
    let mut seen = BTreeSet::new();
    for spec in config.policy {
        policy(None, spec.get_ref()).map_err(located(text, &spec))?;
        if !seen.insert(spec.get_ref().name.clone()) {
            let error = ConfigError::same_name(&spec.get_ref().name);
            return Err(error.at(text, spec.span().start));
        }
        builder = builder.policy(spec.into_inner());
    }
    Ok(builder)
}

/// Places an error where `value` stands in the text.
fn located<T>(text: &str, value: &Spanned<T>) -> impl FnOnce(ConfigError) -> ConfigError {
    let offset = value.span().start;
    move |error| error.at(text, offset)
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
