//! `Tollgate` and its `Builder`: catalog, limits, retries and telemetry put together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tollgate_gate::{Gate, GateBuilder, Recorder, Store};
use tollgate_http::{Exchange, Settings};
use tollgate_limits::Plan;
use tollgate_tokens::{Catalog, Estimator, PolicySpec, Warning};

use crate::{ConfigError, config, learned, policy::policy, waiting::Waiting};

/// A gate with everything that a call passes through. Clones, and all clients wrapped by them, share its quotas.
#[derive(Clone, Debug)]
pub struct Tollgate {
    exchange: Exchange,
    warnings: Arc<[Warning]>,
    #[cfg(feature = "journal")]
    journal: Option<tollgate_journal::Journal>,
}

impl Tollgate {
    /// The published limits of one provider of the catalog, which is also assumed for hosts that the catalog does not know.
    ///
    /// # Errors
    /// If the catalog has no provider of that name.
    pub fn preset(provider: &str) -> Result<Builder, ConfigError> {
        let builder = Self::builder();
        builder.known(provider)?;
        Ok(builder.provider(provider))
    }

    /// No limits, until some are added.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The configuration of a `tollgate.toml`.
    ///
    /// # Errors
    /// With line, column and the allowed values, if the text is not a configuration.
    pub fn from_toml(text: &str) -> Result<Builder, ConfigError> {
        config::read(text)
    }

    /// As [`Tollgate::from_toml`], from a file.
    ///
    /// # Errors
    /// As there, or if the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Builder, ConfigError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::file(path, &error))?;
        Self::from_toml(&text)
    }

    /// The gate, to look at or to use without HTTP.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        self.exchange.gate()
    }

    /// What adapters run calls through.
    #[must_use]
    pub const fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// What is odd about the limits, such as more requests than tokens per minute.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The usage journal, to flush, prune or read it; `None` without one.
    #[cfg(feature = "journal")]
    #[must_use]
    pub const fn journal(&self) -> Option<&tollgate_journal::Journal> {
        self.journal.as_ref()
    }

    /// The client with this gate in front of it.
    #[cfg(feature = "reqwest")]
    #[must_use]
    pub fn wrap(&self, client: reqwest::Client) -> reqwest_middleware::ClientWithMiddleware {
        reqwest_middleware::ClientBuilder::new(client)
            .with(self.middleware())
            .build()
    }

    /// The middleware, for a client that has others too; put it last.
    #[cfg(feature = "reqwest")]
    #[must_use]
    pub fn middleware(&self) -> tollgate_reqwest::TollgateMiddleware {
        tollgate_reqwest::TollgateMiddleware::new(self.exchange.clone())
    }

    /// The layer for a tower client.
    #[cfg(feature = "tower")]
    #[must_use]
    pub fn layer(&self) -> tollgate_tower::TollgateLayer {
        tollgate_tower::TollgateLayer::new(self.exchange.clone())
    }
}

/// What a [`Tollgate`] is made of.
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct Builder {
    pub(crate) catalog: Catalog,
    pub(crate) settings: Settings,
    pub(crate) default_provider: Option<String>,
    limits: BTreeMap<String, Limits>,
    policies: Vec<PolicySpec>,
    recorders: Vec<Arc<dyn Recorder>>,
    store: Option<Arc<dyn Store>>,
    pub(crate) waiting: Waiting,
    estimator: Option<Estimator>,
    learned: Option<PathBuf>,
    #[cfg(feature = "journal")]
    journal: Option<PathBuf>,
}

/// Which limits of a provider are in force.
#[derive(Debug)]
enum Limits {
    Catalog { tier: Option<String> },
    Own(Vec<PolicySpec>),
}

impl Builder {
    fn new() -> Self {
        Self {
            catalog: Catalog::builtin(),
            settings: Settings::default(),
            default_provider: None,
            limits: BTreeMap::new(),
            policies: Vec::new(),
            recorders: Vec::new(),
            store: None,
            waiting: Waiting::default(),
            estimator: None,
            learned: None,
            #[cfg(feature = "journal")]
            journal: None,
        }
    }

    /// Enforces the catalog's limits of a provider, those of its assumed tier included. The first provider named is also assumed for
    /// hosts that the catalog does not know.
    pub fn provider(self, name: impl Into<String>) -> Self {
        self.with_limits(name.into(), Limits::Catalog { tier: None })
    }

    /// Enforces the catalog's limits of a provider for an account in `tier`.
    pub fn tier(self, name: impl Into<String>, tier: impl Into<String>) -> Self {
        self.with_limits(
            name.into(),
            Limits::Catalog {
                tier: Some(tier.into()),
            },
        )
    }

    /// Enforces these limits for a provider instead of the catalog's, under its charge rules.
    pub fn limits(
        self,
        provider: impl Into<String>,
        limits: impl IntoIterator<Item = PolicySpec>,
    ) -> Self {
        self.with_limits(provider.into(), Limits::Own(limits.into_iter().collect()))
    }

    /// Adds a policy over the calls to all providers, such as a budget.
    ///
    /// It counts each token once, unless it says otherwise: the weights that a provider gives output are for the provider's limits.
    pub fn policy(mut self, mut spec: PolicySpec) -> Self {
        spec.output_weight = spec.output_weight.or(Some(1_000));
        self.policies.push(spec);
        self
    }

    /// Replaces the catalog.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = catalog;
        self
    }

    /// How calls are retried, and other settings of the exchange.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Estimates calls with this estimator: one with tokenizers, or one that is shared. Default: the one of the settings, which is a new one.
    pub fn estimator(mut self, estimator: Estimator) -> Self {
        self.estimator = Some(estimator);
        self
    }

    /// Takes over what an earlier run has learned about models and routes, and what refusals have taught its policies, from the file that
    /// [`Tollgate::save_learned`] wrote. What was learned for a policy that is gone or another is one of [`Tollgate::warnings`]. A file
    /// that is not there has nothing to teach; one that is broken or foreign is an error of [`Builder::build`].
    pub fn learned(mut self, path: impl Into<PathBuf>) -> Self {
        self.learned = Some(path.into());
        self
    }

    /// Lowers a caller's own output cap to what is left; see [`Settings::lower_output_cap`].
    pub fn lower_output_cap(mut self, lower: bool) -> Self {
        self.settings = self.settings.lower_output_cap(lower);
        self
    }

    /// Receives every event, beside the recorders added before.
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorders.push(recorder);
        self
    }

    /// Keeps the ledger elsewhere, so that many processes share it.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// The most calls that may wait; see [`GateBuilder::queue_limit`].
    pub const fn queue_limit(mut self, calls: usize) -> Self {
        self.waiting.queue_limit = Some(calls);
        self
    }

    /// The most calls of one tenant that may wait; see [`GateBuilder::tenant_queue_limit`].
    pub const fn tenant_queue_limit(mut self, calls: usize) -> Self {
        self.waiting.tenant_queue_limit = Some(calls);
        self
    }

    /// The longest that a call may wait; see [`GateBuilder::longest_wait`].
    pub const fn longest_wait(mut self, span: Duration) -> Self {
        self.waiting.longest_wait = Some(span);
        self
    }

    /// The label whose values share quota by weight; see [`GateBuilder::fair_between`].
    pub fn fair_between(mut self, label: impl Into<String>) -> Self {
        self.waiting.fair_between = Some(label.into());
        self
    }

    /// The weight of one of them; see [`GateBuilder::weight`].
    pub fn weight(mut self, tenant: impl Into<String>, weight: u32) -> Self {
        self.waiting.weights.insert(tenant.into(), weight);
        self
    }

    /// How long a class of calls may be passed over; see [`GateBuilder::ageing`].
    pub const fn ageing(mut self, span: Duration) -> Self {
        self.waiting.ageing = Some(span);
        self
    }

    /// The most partitions of each policy that get a count of their own; see [`GateBuilder::partition_limit`].
    pub const fn partition_limit(mut self, partitions: u32) -> Self {
        self.waiting.partition_limit = Some(partitions);
        self
    }

    /// Keeps a record of every settled call in this SQLite file, and restores from it what policies have counted in earlier runs, so
    /// that a restart hands out no fresh budget. The file is made if it is missing.
    #[cfg(feature = "journal")]
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.journal = Some(path.into());
        self
    }

    /// Puts it together.
    ///
    /// # Errors
    /// If a provider or tier is not in the catalog, a limit cannot work, or the journal cannot be opened.
    pub fn build(self) -> Result<Tollgate, ConfigError> {
        let mut policies = Vec::new();
        let mut in_force = BTreeMap::new();
        let mut warnings = Vec::new();
        for (name, limits) in &self.limits {
            self.known(name)?;
            let specs = match (limits, self.catalog.provider(name)) {
                (Limits::Own(specs), Some(provider)) => specs
                    .iter()
                    .map(|spec| spec.clone().under(&provider.charges))
                    .collect(),
                (Limits::Own(specs), None) => specs.clone(),
                (Limits::Catalog { tier }, Some(provider)) => provider.policies(tier.as_deref())?,
                (Limits::Catalog { .. }, None) => Vec::new(),
            };
            warnings.extend(PolicySpec::check(&specs));
            for spec in &specs {
                policies.push(policy(Some(name), spec)?);
            }
            in_force.insert(name.clone(), specs);
        }
        warnings.extend(PolicySpec::check(&self.policies));
        for spec in &self.policies {
            policies.push(policy(None, spec)?);
        }
        // Charge rules are kept per provider; policies over all calls belong to each of them, and to the unknown one.
        for name in self
            .catalog
            .providers()
            .map(|provider| provider.name.clone())
            .chain([String::new()])
        {
            in_force
                .entry(name)
                .or_default()
                .extend(self.policies.iter().cloned());
        }
        let plan = Plan::new(policies).map_err(ConfigError::plan)?;
        let mut gate = self
            .recorders
            .into_iter()
            .fold(Gate::builder(plan.clone()), GateBuilder::recorder);
        #[cfg(feature = "journal")]
        let journal = self
            .journal
            .map(|path| {
                let options = tollgate_journal::JournalOptions::new().labels_of(&plan);
                tollgate_journal::Journal::open_with(path, options)
            })
            .transpose()?;
        #[cfg(feature = "journal")]
        if let Some(journal) = &journal {
            gate = gate.recorder(Arc::new(journal.clone()));
        }
        if let Some(store) = self.store {
            gate = gate.store(store);
        }
        let mut settings = self.settings;
        if let Some(name) = self.default_provider {
            settings = settings.provider(name);
        }
        if let Some(estimator) = self.estimator {
            settings = settings.estimator(estimator);
        }
        let gate = self.waiting.apply(gate).build();
        #[cfg(feature = "journal")]
        if let Some(journal) = &journal {
            journal.restore(&gate, &plan)?;
        }
        let exchange = Exchange::new(gate, self.catalog, &in_force, settings);
        if let Some(path) = &self.learned {
            warnings.extend(learned::load(&exchange, path)?);
        }
        Ok(Tollgate {
            exchange,
            warnings: warnings.into(),
            #[cfg(feature = "journal")]
            journal,
        })
    }

    pub(crate) fn known(&self, provider: &str) -> Result<(), ConfigError> {
        if self.catalog.provider(provider).is_some() {
            return Ok(());
        }
        Err(ConfigError::unknown_provider(
            provider,
            self.catalog
                .providers()
                .map(|provider| provider.name.clone()),
        ))
    }

    fn with_limits(mut self, provider: String, limits: Limits) -> Self {
        self.default_provider
            .get_or_insert_with(|| provider.clone());
        self.limits.insert(provider, limits);
        self
    }
}
