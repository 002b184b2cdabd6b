//! `Profile`: what is known of one provider, and how its calls are charged.

use std::borrow::Cow;
use std::sync::Arc;

use tollgate_tokens::{Conventions, Dialect, Model, PolicySpec, Provider};

use crate::{ChargeRules, Target};

/// What is known of one provider: its catalog entry and the charge rules of the limits in force.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: Arc<str>,
    pub(crate) system: Arc<str>,
    pub(crate) rules: ChargeRules,
    provider: Option<Provider>,
}

impl Profile {
    pub(crate) fn of(provider: &Provider, limits: &[PolicySpec]) -> Self {
        Self {
            name: provider.name.as_str().into(),
            system: provider.system.as_str().into(),
            rules: ChargeRules::of(limits),
            provider: Some(provider.clone()),
        }
    }

    /// Of calls to nobody in the catalog.
    pub(crate) fn unknown(limits: &[PolicySpec]) -> Self {
        Self {
            name: "unknown".into(),
            system: "unknown".into(),
            rules: ChargeRules::of(limits),
            provider: None,
        }
    }

    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        self.provider.as_ref()?.model(name)
    }

    /// How it speaks its wire format.
    pub(crate) fn conventions(&self) -> Cow<'_, Conventions> {
        self.provider
            .as_ref()
            .map_or_else(Cow::default, |provider| {
                Cow::Borrowed(&provider.conventions)
            })
    }

    /// The wire format of a call to it. On a host that is not its own, such as a proxy's, the path means what it means at home.
    pub(crate) fn dialect_of(&self, target: Target<'_>, is_own_host: bool) -> Option<Dialect> {
        let Some(provider) = &self.provider else {
            return Dialect::detect(target.host, target.path);
        };
        let home = provider.hosts.first().filter(|_| !is_own_host);
        Some(provider.dialect_of(home.map_or(target.host, String::as_str), target.path))
    }
}
