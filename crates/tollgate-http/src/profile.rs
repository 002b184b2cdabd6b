//! `Profile`: what is known of one provider, and what its calls need to be told.

use std::borrow::Cow;
use std::sync::Arc;

use tollgate_gate::Unit;
use tollgate_tokens::{Conventions, Dialect, Model, PolicySpec, Provider};

use crate::Target;

/// What is known of one provider: its catalog entry, and what follows from the limits in force.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: Arc<str>,
    pub(crate) system: Arc<str>,
    /// The limits in force.
    pub(crate) limits: Vec<PolicySpec>,
    /// A budget applies to its calls, so that each needs a price.
    pub(crate) needs_price: bool,
    provider: Option<Provider>,
}

impl Profile {
    pub(crate) fn of(provider: &Provider, limits: &[PolicySpec]) -> Self {
        Self {
            name: provider.name.as_str().into(),
            system: provider.system.as_str().into(),
            limits: limits.to_vec(),
            needs_price: limits.iter().any(|spec| spec.unit == Unit::Cost),
            provider: Some(provider.clone()),
        }
    }

    /// Of calls to nobody in the catalog.
    pub(crate) fn unknown(limits: &[PolicySpec]) -> Self {
        Self {
            name: "unknown".into(),
            system: "unknown".into(),
            limits: limits.to_vec(),
            needs_price: limits.iter().any(|spec| spec.unit == Unit::Cost),
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

    /// How much a token of output counts at one of its models, in thousandths.
    pub(crate) fn output_weight(&self, model: Option<&Model>) -> u32 {
        self.provider
            .as_ref()
            .map_or(1_000, |provider| provider.output_weight(model))
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
