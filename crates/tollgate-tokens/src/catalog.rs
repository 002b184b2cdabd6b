//! `Catalog`: what is known of providers, as data files that a user's file overrides.

mod charges;
mod error;
mod file;
mod policy_spec;
mod provider;

use std::collections::BTreeMap;

pub use charges::ChargeRules;
pub use error::CatalogError;
pub use policy_spec::{
    AnchorName, Bounds, ChargeName, OutputRule, PolicySpec, ShapeName, SpentRule, TimeSpan,
    WindowSpec,
};
pub use provider::{Model, Provider, Tier};

/// Providers with their hosts, limits, models and prices.
///
/// Every figure is a default with a source and a date: limits and prices change, accounts differ, and what a user's file or a
/// provider's own headers say comes first.
///
/// A text is merged field by field: what it gives replaces what was known, what it leaves out stays. Limits are matched by name, and
/// `drop_limits` removes the named ones.
///
/// ```
/// # use tollgate_tokens::Catalog;
/// let mut catalog = Catalog::builtin();
/// catalog.merge(
///     r#"
///     [provider.meta-llama]
///     limits = [{ name = "rpm", unit = "requests", limit = 3000, window = "1m", per = ["model"] }]
///     "#,
/// )?;
/// let limits = catalog.provider("meta-llama").unwrap().policies(None)?;
/// assert_eq!(limits.iter().map(|l| l.limit).collect::<Vec<_>>(), [3_000, 250_000]);
/// # Ok::<(), tollgate_tokens::CatalogError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    providers: BTreeMap<String, Provider>,
}

impl Catalog {
    /// A catalog of nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            providers: BTreeMap::new(),
        }
    }

    /// The catalog that comes with this crate.
    ///
    /// # Panics
    /// Never: the texts are compiled in, and a test reads each.
    #[must_use]
    pub fn builtin() -> Self {
        let mut catalog = Self::empty();
        for (file, text) in BUILTIN {
            file::merge(&mut catalog.providers, text)
                .unwrap_or_else(|error| panic!("built-in {file}: {error}"));
        }
        catalog
    }

    /// Merges a text over what is known. On error nothing changes.
    ///
    /// # Errors
    /// [`CatalogError`] with line, column and the allowed values: not TOML, an unknown key or word, a value out of range, a new
    /// provider without a dialect, or a tier that does not exist.
    pub fn merge(&mut self, text: &str) -> Result<(), CatalogError> {
        let mut providers = self.providers.clone();
        file::merge(&mut providers, text)?;
        self.providers = providers;
        Ok(())
    }

    /// As [`Catalog::merge`], from a larger configuration file: reads its `[provider.*]` tables and leaves the rest to others.
    ///
    /// # Errors
    /// As [`Catalog::merge`], for those tables.
    pub fn merge_section(&mut self, text: &str) -> Result<(), CatalogError> {
        let mut providers = self.providers.clone();
        file::merge_section(&mut providers, text)?;
        self.providers = providers;
        Ok(())
    }

    /// The provider of that name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.get(name)
    }

    /// The provider that answers on this host (a port is ignored) and path; the longest matching entry of
    /// [`Provider::hosts`] decides, then the name.
    #[must_use]
    pub fn by_host(&self, host: &str, path: &str) -> Option<&Provider> {
        let answers = self
            .providers()
            .filter_map(|provider| Some((provider.answers(host, path)?, provider)));
        answers
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
            .map(|(_, provider)| provider)
    }

    /// All providers, sorted by name.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.values()
    }
}

/// The data files, one per provider.
const BUILTIN: &[(&str, &str)] = &[
    ("anthropic.toml", include_str!("catalog/anthropic.toml")),
    (
        "azure-openai.toml",
        include_str!("catalog/azure-openai.toml"),
    ),
    ("bedrock.toml", include_str!("catalog/bedrock.toml")),
    ("cohere.toml", include_str!("catalog/cohere.toml")),
    ("deepseek.toml", include_str!("catalog/deepseek.toml")),
    ("fireworks.toml", include_str!("catalog/fireworks.toml")),
    ("gemini.toml", include_str!("catalog/gemini.toml")),
    (
        "grok2-example.toml",
        include_str!("catalog/grok2-example.toml"),
    ),
    ("groq.toml", include_str!("catalog/groq.toml")),
    (
        "llama-4-scout-hosted.toml",
        include_str!("catalog/llama-4-scout-hosted.toml"),
    ),
    ("llama-cpp.toml", include_str!("catalog/llama-cpp.toml")),
    (
        "llama3-example.toml",
        include_str!("catalog/llama3-example.toml"),
    ),
    ("meta-llama.toml", include_str!("catalog/meta-llama.toml")),
    ("mistral.toml", include_str!("catalog/mistral.toml")),
    ("ollama.toml", include_str!("catalog/ollama.toml")),
    ("openai.toml", include_str!("catalog/openai.toml")),
    ("openrouter.toml", include_str!("catalog/openrouter.toml")),
    ("together.toml", include_str!("catalog/together.toml")),
    ("vllm.toml", include_str!("catalog/vllm.toml")),
    ("xai.toml", include_str!("catalog/xai.toml")),
];
