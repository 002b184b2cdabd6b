//! The provider of a run: a simulated Llama API of its own, or a real one.

use std::error::Error;
use std::time::Duration;

use tollgate::tokens::{Catalog, Dialect, PolicySpec, Price, WindowSpec};
use tollgate_sim::provider::{Charging, Quota, Rules, Shape, Unit};
use tollgate_sim::{Provider, Server};

use crate::args::Args;
use crate::wire;
use crate::work::Work;

/// Where the calls go.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) dialect: Dialect,
    pub(crate) key: Option<String>,
    pub(crate) catalog: Catalog,
    /// The catalog's name of the provider.
    pub(crate) name: String,
    pub(crate) server: Option<Server>,
    models: Vec<String>,
    speed: u32,
}

/// The Llama API's published limits, for each model (llama.developer.meta.com/docs/rate-limits, 2025).
pub(crate) const REQUESTS_PER_MINUTE: u64 = 10;
pub(crate) const TOKENS_PER_MINUTE: u64 = 250_000;
const MINUTE: Duration = Duration::from_secs(60);

/// The preview of the Llama API names no prices; these are Groq's for the same or the nearest model (2025), so that there is
/// something to add up.
const PRICES: &str = r#"
[provider.meta-llama]
[provider.meta-llama.models."Llama-4-Maverick-17B-128E-Instruct-FP8"]
price = { input = "0.20", output = "0.60" }
[provider.meta-llama.models."Llama-4-Scout-17B-16E-Instruct-FP8"]
price = { input = "0.11", output = "0.34" }
[provider.meta-llama.models."Llama-3.3-70B-Instruct"]
price = { input = "0.59", output = "0.79" }
[provider.meta-llama.models."Llama-3.3-8B-Instruct"]
price = { input = "0.05", output = "0.08" }
"#;

/// How far arrivals may drift apart on this machine when others keep it busy, in its own time.
const MARGIN: Duration = Duration::from_millis(80);

impl Target {
    /// A fresh provider.
    pub(crate) fn start(args: &Args) -> Result<Self, Box<dyn Error>> {
        match &args.base_url {
            None => Self::simulated(args),
            Some(url) => Self::real(args, url),
        }
    }

    fn simulated(args: &Args) -> Result<Self, Box<dyn Error>> {
        let mut catalog = Catalog::builtin();
        catalog.merge(PRICES)?;
        let name = "meta-llama";
        let provider = catalog
            .provider(name)
            .ok_or("the catalog has no meta-llama")?;
        let models = provider
            .models
            .iter()
            .map(|model| model.name.clone())
            .collect();
        let server = Provider::preset("llama-api")?
            .rules(rules()?)
            .speed(args.speed)
            .seed(args.seed)
            .start()?;
        Ok(Self {
            url: server.url(),
            dialect: Dialect::MetaLlama,
            key: Some("sk-quickstart-1".to_owned()),
            name: name.to_owned(),
            catalog,
            models,
            server: Some(server),
            speed: args.speed,
        })
    }

    fn real(args: &Args, url: &str) -> Result<Self, Box<dyn Error>> {
        let word = args.dialect.as_deref().unwrap_or_default();
        let catalog = Catalog::builtin();
        let by_name = catalog.provider(word);
        let dialect = by_name
            .map(|provider| provider.dialect)
            .or_else(|| Dialect::from_name(word));
        let dialect =
            dialect.ok_or_else(|| format!("no dialect or provider is called `{word}`"))?;
        let url = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let host = url.split("://").nth(1).unwrap_or(&url);
        let (host, path) = host
            .split_once('/')
            .map_or((host, ""), |(host, path)| (host, path));
        let name = by_name
            .or_else(|| catalog.by_host(host, &format!("/{path}")))
            .map(|provider| provider.name.clone());
        let key = match &args.api_key_env {
            None => None,
            Some(variable) => Some(
                std::env::var(variable)
                    .map_err(|_| format!("the environment has no variable {variable}"))?,
            ),
        };
        Ok(Self {
            url,
            dialect,
            key,
            name: name.ok_or("the catalog knows no such provider: name one with --dialect, or describe it in --config")?,
            catalog,
            models: args.model.iter().cloned().collect(),
            server: None,
            speed: 1,
        })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}{}", self.url, wire::path(self.dialect))
    }

    pub(crate) fn models(&self) -> &[String] {
        &self.models
    }

    /// Tokens a call takes on average if both quotas are to be used up.
    pub(crate) fn tokens_per_call(&self) -> u64 {
        if self.server.is_some() {
            TOKENS_PER_MINUTE / REQUESTS_PER_MINUTE
        } else {
            1_500
        }
    }

    pub(crate) fn output_cap(&self) -> u64 {
        if self.server.is_some() { 500 } else { 200 }
    }

    /// A span of the provider's time, as it lasts here.
    pub(crate) fn lasts(&self, span: Duration) -> Duration {
        span / self.speed
    }

    /// The catalog's limits of the provider, in time as it runs here; `None` for a real provider, whose limits need no change.
    pub(crate) fn compressed_limits(&self) -> Result<Option<Vec<PolicySpec>>, Box<dyn Error>> {
        if self.server.is_none() {
            return Ok(None);
        }
        let provider = self
            .catalog
            .provider(&self.name)
            .ok_or("an unknown provider")?;
        let mut limits = provider.policies(None)?;
        for limit in &mut limits {
            limit.window = limit
                .window
                .map(|window| WindowSpec::Span(self.lasts(window.nominal())));
            limit.margin = Some(MARGIN);
        }
        Ok(Some(limits))
    }

    pub(crate) fn price(&self, model: &str) -> Option<&Price> {
        self.catalog
            .provider(&self.name)?
            .model(model)?
            .price
            .as_ref()
    }

    /// Says on standard error what is about to happen.
    pub(crate) fn introduce(&self, work: &[Work], args: &Args) {
        let bytes: usize = work.iter().map(|work| work.prompt.len()).sum();
        eprintln!(
            "{} concurrent calls, {:.1} MB of Markdown as prompts{}",
            work.len(),
            bytes as f64 / 1e6,
            if args.stream { ", streamed" } else { "" }
        );
        if let Some(server) = &self.server {
            eprintln!(
                "simulated Llama API at {}: {} models, each {REQUESTS_PER_MINUTE} requests and {TOKENS_PER_MINUTE} tokens a minute; a minute lasts {:.0} s",
                server.url(),
                self.models.len(),
                self.lasts(MINUTE).as_secs_f64()
            );
        }
    }
}

/// The rules of each model, as the provider enforces them.
pub(crate) fn rules() -> Result<Rules, Box<dyn Error>> {
    Ok(Rules::new(
        Charging::Arrival,
        vec![
            Quota::new(
                Unit::Requests,
                REQUESTS_PER_MINUTE,
                MINUTE,
                Shape::SlidingLog,
            )?,
            Quota::new(Unit::Total, TOKENS_PER_MINUTE, MINUTE, Shape::SlidingLog)?,
        ],
    ))
}
