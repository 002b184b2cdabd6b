//! The catalog as TOML has it, and how one text is merged over what is known.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use toml::Spanned;

use super::charges::weight;
use super::policy_spec::Date;
use crate::{
    CatalogError, ChargeRules, Conventions, Dialect, Model, PolicySpec, Price, Provider, Tier,
};

/// A whole text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    provider: RawProviders,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProvider {
    system: Option<String>,
    hosts: Option<Vec<String>>,
    #[serde(default, deserialize_with = "dialect")]
    dialect: Option<Dialect>,
    #[serde(default)]
    conventions: Conventions,
    tier: Option<String>,
    #[serde(default)]
    charges: ChargeRules,
    #[serde(default)]
    drop_limits: Vec<String>,
    #[serde(default)]
    limits: Vec<Spanned<PolicySpec>>,
    #[serde(default)]
    tiers: BTreeMap<String, RawTier>,
    #[serde(default)]
    models: BTreeMap<String, RawModel>,
    source: Option<String>,
    date: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTier {
    #[serde(default)]
    drop_limits: Vec<String>,
    #[serde(default)]
    limits: Vec<Spanned<PolicySpec>>,
    source: Option<String>,
    date: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    aliases: Option<Vec<String>>,
    #[serde(default, deserialize_with = "tokens")]
    context: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    max_output: Option<u64>,
    #[serde(default, deserialize_with = "tokens")]
    per_request: Option<u64>,
    #[serde(default, deserialize_with = "weight")]
    output_weight: Option<u32>,
    price: Option<Price>,
    #[serde(default)]
    drop_limits: Vec<String>,
    #[serde(default)]
    limits: Vec<Spanned<PolicySpec>>,
    source: Option<String>,
    date: Option<Date>,
}

/// Where a fact comes from when it does not say so itself.
#[derive(Clone, Default)]
struct Origin {
    source: Option<String>,
    date: Option<String>,
}

impl Origin {
    /// The origin of something inside: its own where given, otherwise this.
    fn within(&self, source: Option<&String>, date: Option<&Date>) -> Self {
        // A source without a date is a different document: the outer date would be a false statement about it.
        match (source, date) {
            (Some(source), date) => Self {
                source: Some(source.clone()),
                date: date.map(|d| d.0.clone()),
            },
            (None, Some(date)) => Self {
                source: self.source.clone(),
                date: Some(date.0.clone()),
            },
            (None, None) => self.clone(),
        }
    }
}

/// The part of a larger file that is ours.
#[derive(Deserialize)]
struct Section {
    #[serde(default)]
    provider: RawProviders,
}

type RawProviders = BTreeMap<Spanned<String>, RawProvider>;

/// Merges `text` over `providers`; on error they may be half changed.
pub(super) fn merge(
    providers: &mut BTreeMap<String, Provider>,
    text: &str,
) -> Result<(), CatalogError> {
    let file: File = toml::from_str(text).map_err(|error| CatalogError::from_toml(&error, text))?;
    merge_providers(providers, file.provider, text)
}

/// As [`merge`], from a text whose other tables belong to somebody else.
pub(super) fn merge_section(
    providers: &mut BTreeMap<String, Provider>,
    text: &str,
) -> Result<(), CatalogError> {
    let section: Section =
        toml::from_str(text).map_err(|error| CatalogError::from_toml(&error, text))?;
    merge_providers(providers, section.provider, text)
}

fn merge_providers(
    providers: &mut BTreeMap<String, Provider>,
    raw: RawProviders,
    text: &str,
) -> Result<(), CatalogError> {
    for (key, raw) in raw {
        let offset = key.span().start;
        let provider = match providers.entry(key.into_inner()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let Some(dialect) = raw.dialect else {
                    let message = format!(
                        "the new provider `{}` needs a dialect, one of {}",
                        entry.key(),
                        dialect_names()
                    );
                    return Err(CatalogError::new(message).at(text, offset));
                };
                let name = entry.key().clone();
                entry.insert(Provider::new(name, dialect))
            }
        };
        provider.merge(raw, text)?;
        if let Some(tier) = &provider.tier
            && provider.tier(tier).is_none()
        {
            return Err(provider.unknown_tier(tier).at(text, offset));
        }
    }
    Ok(())
}

impl Provider {
    fn new(name: String, dialect: Dialect) -> Self {
        Self {
            system: name.clone(),
            name,
            hosts: Vec::new(),
            dialect,
            conventions: Conventions::default(),
            charges: ChargeRules::default(),
            limits: Vec::new(),
            tiers: Vec::new(),
            tier: None,
            models: Vec::new(),
            source: None,
            date: None,
        }
    }

    fn merge(&mut self, raw: RawProvider, text: &str) -> Result<(), CatalogError> {
        let origin = Origin::default().within(raw.source.as_ref(), raw.date.as_ref());
        replace(&mut self.system, raw.system);
        replace(&mut self.hosts, raw.hosts);
        replace(&mut self.dialect, raw.dialect);
        self.conventions.merge(raw.conventions);
        replace_some(&mut self.tier, raw.tier);
        self.charges.merge(raw.charges);
        replace_some(&mut self.source, raw.source);
        replace_some(&mut self.date, raw.date.map(|d| d.0));
        merge_limits(
            &mut self.limits,
            raw.limits,
            &raw.drop_limits,
            &origin,
            text,
        )?;
        for (name, raw) in raw.tiers {
            let at = self
                .tiers
                .binary_search_by(|tier| tier.name.cmp(&name))
                .unwrap_or_else(|at| {
                    self.tiers.insert(
                        at,
                        Tier {
                            name,
                            limits: Vec::new(),
                        },
                    );
                    at
                });
            let origin = origin.within(raw.source.as_ref(), raw.date.as_ref());
            merge_limits(
                &mut self.tiers[at].limits,
                raw.limits,
                &raw.drop_limits,
                &origin,
                text,
            )?;
        }
        for (name, raw) in raw.models {
            let at = self
                .models
                .binary_search_by(|model| model.name.cmp(&name))
                .unwrap_or_else(|at| {
                    self.models.insert(at, Model::new(name));
                    at
                });
            let origin = origin.within(raw.source.as_ref(), raw.date.as_ref());
            self.models[at].merge(raw, &origin, text)?;
        }
        Ok(())
    }
}

impl Model {
    const fn new(name: String) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            context: None,
            max_output: None,
            per_request: None,
            output_weight: None,
            price: None,
            limits: Vec::new(),
            source: None,
            date: None,
        }
    }

    fn merge(&mut self, raw: RawModel, origin: &Origin, text: &str) -> Result<(), CatalogError> {
        replace(&mut self.aliases, raw.aliases);
        replace_some(&mut self.context, raw.context);
        replace_some(&mut self.max_output, raw.max_output);
        replace_some(&mut self.per_request, raw.per_request);
        replace_some(&mut self.output_weight, raw.output_weight);
        replace_some(&mut self.price, raw.price);
        if origin.source.is_some() {
            self.source = origin.source.clone();
            self.date = origin.date.clone();
        }
        merge_limits(&mut self.limits, raw.limits, &raw.drop_limits, origin, text)
    }
}

fn replace<T>(old: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *old = new;
    }
}

fn replace_some<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}

/// Drops the limits named in `drop`, then puts each new one in the place of the old one of its name, or at the end.
fn merge_limits(
    limits: &mut Vec<PolicySpec>,
    new: Vec<Spanned<PolicySpec>>,
    drop: &[String],
    origin: &Origin,
    text: &str,
) -> Result<(), CatalogError> {
    limits.retain(|limit| !drop.contains(&limit.name));
    let mut seen: Vec<String> = Vec::new();
    for spec in new {
        let offset = spec.span().start;
        let mut spec = spec.into_inner();
        if seen.contains(&spec.name) {
            return Err(
                CatalogError::new(format!("two limits are named `{}`", spec.name)).at(text, offset),
            );
        }
        seen.push(spec.name.clone());
        if spec.source.is_none() {
            spec.source = origin.source.clone();
            spec.date = spec.date.or_else(|| origin.date.clone());
        }
        match limits.iter_mut().find(|limit| limit.name == spec.name) {
            Some(old) => *old = spec,
            None => limits.push(spec),
        }
    }
    Ok(())
}

fn dialect<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Dialect>, D::Error> {
    let word = String::deserialize(deserializer)?;
    Dialect::from_name(&word).map(Some).ok_or_else(|| {
        D::Error::custom(format!(
            "unknown dialect `{word}`, expected one of {}",
            dialect_names()
        ))
    })
}

fn dialect_names() -> String {
    let names: Vec<_> = Dialect::ALL
        .iter()
        .map(|dialect| format!("`{}`", dialect.name()))
        .collect();
    names.join(", ")
}

fn tokens<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match i64::deserialize(deserializer)? {
        tokens @ 1..=1_000_000_000 => Ok(Some(tokens.unsigned_abs())),
        other => Err(D::Error::custom(format!(
            "{other} is not a number of tokens, expected 1 to 1000000000"
        ))),
    }
}
