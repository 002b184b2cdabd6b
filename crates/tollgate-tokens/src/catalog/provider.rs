//! `Provider`, `Tier` and `Model`: what the catalog knows of one provider.

use crate::{CatalogError, ChargeRules, Conventions, Dialect, PolicySpec, Price};

/// One provider, or one deployment with limits of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provider {
    /// Its name in the catalog.
    pub name: String,
    /// OpenTelemetry's `gen_ai.provider.name`.
    pub system: String,
    /// Hosts it answers on: `api.example.com`, any subdomain as `*.example.com`, or only part of a host as `api.example.com/path`.
    /// Empty: found by name only.
    pub hosts: Vec<String>,
    /// The wire format it speaks where host and path do not tell otherwise (see [`Provider::dialect_of`]).
    pub dialect: Dialect,
    /// How it speaks that format, where providers of it differ.
    pub conventions: Conventions,
    /// How it charges, where a limit does not say it itself.
    pub charges: ChargeRules,
    /// Limits over all its models.
    pub limits: Vec<PolicySpec>,
    /// Sets of limits of which one applies to an account, sorted by name.
    pub tiers: Vec<Tier>,
    /// The tier to assume when the user names none.
    pub tier: Option<String>,
    /// Its models, sorted by name.
    pub models: Vec<Model>,
    /// Where the facts come from.
    pub source: Option<String>,
    /// When the source was read or published.
    pub date: Option<String>,
}

/// A set of limits that a provider gives to some accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tier {
    /// Its name: `1`, `free`.
    pub name: String,
    /// Its limits. One of the same name as a limit of the provider replaces it.
    pub limits: Vec<PolicySpec>,
}

/// One model of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// Its name in requests.
    pub name: String,
    /// Other names of it.
    pub aliases: Vec<String>,
    /// The most input and output tokens together.
    pub context: Option<u64>,
    /// The most output tokens, which is also what an absent output cap means.
    pub max_output: Option<u64>,
    /// The most input and output tokens that the provider accepts in one request, where that is less than the context.
    pub per_request: Option<u64>,
    /// How much a token of its output counts against limits, in thousandths (Bedrock's "burn-down rate"). `None`: as the provider's
    /// [`ChargeRules::output_weight`] says, else once.
    pub output_weight: Option<u32>,
    /// What it costs.
    pub price: Option<Price>,
    /// Limits of this model alone.
    pub limits: Vec<PolicySpec>,
    /// Where the facts come from.
    pub source: Option<String>,
    /// When the source was read or published.
    pub date: Option<String>,
}

impl Provider {
    /// The model of that name: exactly, by alias, or else the one with the longest name that the given one continues, as
    /// `claude-opus-4-20250514` continues `claude-opus-4`. A name is continued by a character that is neither letter nor digit, so
    /// `gpt-4o` does not continue `gpt-4`. A name with slashes that is not found whole is looked for by what follows them, one after
    /// the other: `accounts/fireworks/models/llama-v3`, or an AWS resource name.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.model_named(name)
            .or_else(|| self.model(name.split_once('/')?.1))
    }

    fn model_named(&self, name: &str) -> Option<&Model> {
        let names = || {
            self.models
                .iter()
                .flat_map(|model| model.names().map(move |known| (known, model)))
        };
        let exact = names().find(|(known, _)| *known == name);
        let longest = || {
            names()
                .filter(|(known, _)| continues(name, known))
                .max_by_key(|(known, _)| known.len())
        };
        exact.or_else(longest).map(|(_, model)| model)
    }

    /// The tier of that name.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    /// The wire format of a call to it: what host and path tell ([`Dialect::detect`]), otherwise its own.
    #[must_use]
    pub fn dialect_of(&self, host: &str, path: &str) -> Dialect {
        Dialect::detect(host, path).unwrap_or(self.dialect)
    }

    /// Every limit that holds for an account in `tier` (or in the provider's assumed tier): those of the provider, of the tier, and
    /// of each model, the last with the model as their match and named `model/limit`; all under its charge rules. No two have the
    /// same name.
    ///
    /// # Errors
    /// [`CatalogError`] with the names of the tiers, if there is none of that name.
    pub fn policies(&self, tier: Option<&str>) -> Result<Vec<PolicySpec>, CatalogError> {
        let mut specs = self.limits.clone();
        if let Some(name) = tier.or(self.tier.as_deref()) {
            let tier = self.tier(name).ok_or_else(|| self.unknown_tier(name))?;
            specs.retain(|spec| tier.limits.iter().all(|other| other.name != spec.name));
            specs.extend(tier.limits.iter().cloned());
        }
        for model in &self.models {
            specs.extend(model.limits.iter().cloned().map(|spec| model.narrow(spec)));
        }
        Ok(specs
            .into_iter()
            .map(|spec| spec.under(&self.charges))
            .collect())
    }

    /// How much a token of output counts at a model of it, in thousandths.
    #[must_use]
    pub fn output_weight(&self, model: Option<&Model>) -> u32 {
        model
            .and_then(|model| model.output_weight)
            .or(self.charges.output_weight)
            .unwrap_or(1_000)
    }

    pub(crate) fn unknown_tier(&self, name: &str) -> CatalogError {
        let known: Vec<_> = self
            .tiers
            .iter()
            .map(|tier| format!("`{}`", tier.name))
            .collect();
        let known = if known.is_empty() {
            "none".into()
        } else {
            known.join(", ")
        };
        CatalogError::new(format!(
            "provider `{}` has no tier `{name}`; its tiers are: {known}",
            self.name
        ))
    }

    /// Whether this host (a port is ignored) and path are among its [`Provider::hosts`].
    #[must_use]
    pub fn answers_on(&self, host: &str, path: &str) -> bool {
        self.answers(host, path).is_some()
    }

    /// How long the pattern is by which it answers for this host and path.
    pub(crate) fn answers(&self, host: &str, path: &str) -> Option<usize> {
        self.hosts
            .iter()
            .filter(|pattern| pattern_covers(pattern, host, path))
            .map(String::len)
            .max()
    }
}

impl Model {
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name)
            .chain(&self.aliases)
            .map(String::as_str)
    }

    /// The same limit over this model only. A limit that lists models already (a dated release, say) keeps its list.
    fn narrow(&self, mut spec: PolicySpec) -> PolicySpec {
        spec.name = format!("{}/{}", self.name, spec.name);
        if spec.models.is_empty() {
            spec.models = self.names().map(str::to_owned).collect();
        }
        spec
    }
}

fn continues(name: &str, known: &str) -> bool {
    let rest = name
        .strip_prefix(known)
        .and_then(|rest| rest.chars().next());
    rest.is_some_and(|next| !next.is_alphanumeric())
}

/// Host names are compared without case, port and final dot, the path as it stands.
fn pattern_covers(pattern: &str, host: &str, path: &str) -> bool {
    let (pattern, prefix) = pattern.split_once('/').unwrap_or((pattern, ""));
    let host = bare(host);
    let host_covered = match pattern.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && ends_with_ignore_case(host, suffix),
        None => host.eq_ignore_ascii_case(pattern),
    };
    let path = path.trim_start_matches('/');
    let path_covered = prefix.is_empty()
        || path
            .strip_prefix(prefix.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    host_covered && path_covered
}

/// The host without a port and a final dot. A bracketed IPv6 address keeps its colons.
fn bare(host: &str) -> &str {
    let host = match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    };
    host.strip_suffix('.').unwrap_or(host)
}

fn ends_with_ignore_case(host: &str, suffix: &str) -> bool {
    host.len()
        .checked_sub(suffix.len())
        .and_then(|at| host.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_port_and_final_dot() {
        let check = |pattern, host, path, expected| {
            assert_eq!(
                pattern_covers(pattern, host, path),
                expected,
                "{pattern} {host}{path}"
            )
        };
        check(
            "api.llama.com",
            "API.Llama.com:443",
            "/v1/chat/completions",
            true,
        );
        check("api.llama.com", "api.llama.com.", "/", true);
        check("api.llama.com", "evil-api.llama.com", "/", false);
        check("api.llama.com", "api.llama.com.example.org", "/", false);
        check("*.openai.azure.com", "mine.openai.azure.com", "/", true);
        check("*.openai.azure.com", ".openai.azure.com", "/", false);
        check("*.openai.azure.com", "openai.azure.com", "/", false);
        check("[::1]", "[::1]:8080", "/", true);
        check(
            "host/openai/v1",
            "host",
            "/openai/v1/chat/completions",
            true,
        );
        check("host/openai/v1", "host", "/openai/v1", true);
        check("host/openai/v1", "host", "/openai/v10", false);
        check("host", "hos\u{e9}", "/", false);
    }
}
