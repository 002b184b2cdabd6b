//! `Profile`: what is known of one provider, and what its calls need to be told.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate_gate::{Labels, Unit};
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
    /// The labels by which its limits on tokens are split, but for the model.
    split_by: Vec<String>,
}

impl Profile {
    pub(crate) fn of(provider: &Provider, limits: &[PolicySpec]) -> Self {
        Self {
            name: provider.name.as_str().into(),
            system: provider.system.as_str().into(),
            limits: limits.to_vec(),
            needs_price: limits.iter().any(|spec| spec.unit == Unit::Cost),
            provider: Some(provider.clone()),
            split_by: split_by(limits),
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
            split_by: split_by(limits),
        }
    }

    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        self.provider.as_ref()?.model(name)
    }

    /// The most tokens that are reserved for the output of a call of which nothing is known: so many hundredths of the smallest limit that
    /// counts them.
    pub(crate) fn unlearned_output(&self, model: Option<&str>, percent: u32) -> Option<u64> {
        let limits = self.limits.iter().filter(counts_output);
        let limits = limits.filter(|spec| spec.concerns(model));
        let smallest = limits.map(|spec| spec.limit).min()?;
        Some((smallest.saturating_mul(percent.into()) / 100).max(1))
    }

    /// Whose share of the quotas a call takes from; `None` if they are not split.
    pub(crate) fn share(&self, labels: &Labels) -> Option<Arc<str>> {
        if self.split_by.is_empty() {
            return None;
        }
        let values = self.split_by.iter().map(|label| labels.get(label));
        let values: Vec<&str> = values.map(Option::unwrap_or_default).collect();
        // A separator that no label has by accident.
        Some(values.join("\u{1f}").into())
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

fn counts_output(spec: &&PolicySpec) -> bool {
    matches!(spec.unit, Unit::OutputTokens | Unit::TotalTokens)
}

fn split_by(limits: &[PolicySpec]) -> Vec<String> {
    let labels = limits
        .iter()
        .filter(counts_output)
        .flat_map(|spec| &spec.per);
    let labels: BTreeSet<&String> = labels.filter(|label| *label != "model").collect();
    labels.into_iter().cloned().collect()
}
