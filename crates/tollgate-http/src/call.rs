//! `Call`: what is known of a call before it is sent; `Target`.

use std::sync::Arc;

use http::uri::Authority;
use tollgate_gate::{Amounts, Labels, Priority, Tick, Unit};
use tollgate_tokens::{
    Cost, Descriptor, Dialect, Estimator, InFlight, OutputLimits, PolicySpec, Usage, describe_as,
};

use crate::{
    CallOptions, Exchange,
    charge::{self, Expected, Terms},
    profile::Profile,
    span,
};

/// Where a request goes: all that is read of its URL, which may carry keys elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The host, without port.
    pub host: &'a str,
    /// The port, if the URL names one.
    pub port: Option<u16>,
    /// The path, without query.
    pub path: &'a str,
}

impl<'a> Target<'a> {
    /// The target of a URI; empty where it names no host.
    #[must_use]
    pub fn of(uri: &'a http::Uri) -> Self {
        Self {
            host: uri.host().unwrap_or_default(),
            port: uri.authority().and_then(Authority::port_u16),
            path: uri.path(),
        }
    }
}

/// One call under way: what it is, what it may take, what it is charged by.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) labels: Arc<Labels>,
    pub(crate) descriptor: Arc<Descriptor>,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) terms: Terms,
    /// What it was expected to take when it was made.
    pub(crate) expected: Expected,
    /// Whether that is the caller's own word, and so final.
    pub(crate) fixed: bool,
    pub(crate) limits: OutputLimits,
    pub(crate) span: tracing::Span,
    pub(crate) context: Option<u64>,
    pub(crate) per_request: Option<u64>,
    /// What its output cap was lowered to, if it was.
    pub(crate) lowered_to: Option<u64>,
}

impl Call {
    /// Reads a request: dialect, model, caps and prompt sizes, and from the catalog what that model is charged.
    pub(crate) fn describe(
        exchange: &Exchange,
        target: Target<'_>,
        body: Option<&[u8]>,
        options: &CallOptions,
    ) -> Self {
        let (profile, dialect) = exchange.profile(target, options);
        let mut descriptor = describe_as(
            dialect,
            &profile.conventions(),
            target.path,
            body.unwrap_or_default(),
        );
        if let Some(model) = &options.model {
            descriptor.model = Some(model.clone());
        }
        exchange
            .estimator()
            .count(&mut descriptor, body.unwrap_or_default());
        let model = descriptor
            .model
            .as_deref()
            .and_then(|name| profile.model(name));
        let limits = OutputLimits {
            model: model.and_then(|model| model.max_output),
            unlearned: profile
                .unlearned_output(descriptor.model.as_deref(), exchange.cold_percent()),
        };
        let mut labels = Labels::new()
            .with("operation", descriptor.operation.as_str())
            .with("provider", profile.system.clone())
            .with("profile", profile.name.clone());
        if let Some(model) = &descriptor.model {
            labels = labels.with("model", model.clone());
        }
        if !target.host.is_empty() {
            labels = labels.with("server", target.host);
        }
        if let Some(port) = target.port {
            labels = labels.with("port", port.to_string());
        }
        let labels = Arc::new(options.label_into(labels));
        descriptor.route.clone_from(&options.route);
        descriptor.share = profile.share(&labels);
        let expected = match options.estimate {
            Some((input, output)) => Expected {
                input,
                output,
                output_cap: output,
            },
            None => exchange.estimator().estimate(&descriptor, limits).into(),
        };
        let span = span::open(&labels);
        for warning in &descriptor.warnings {
            span::warn(&span, warning);
        }
        Self {
            context: model.and_then(|model| model.context),
            per_request: model.and_then(|model| model.per_request),
            terms: Terms {
                price: model.and_then(|model| model.price.clone()),
                output_weight: profile.output_weight(model),
                reserves_cap: profile.limits.iter().any(PolicySpec::reserves_cap),
            },
            labels,
            fixed: options.estimate.is_some(),
            limits,
            descriptor: Arc::new(descriptor),
            dialect,
            profile,
            expected,
            lowered_to: None,
            span,
        }
    }

    /// What the gate is asked for: by the latest estimate whenever it looks, unless the caller gave one.
    pub(crate) fn ask(
        &self,
        exchange: &Exchange,
        priority: Priority,
        deadline: Option<Tick>,
    ) -> tollgate_gate::Call {
        let ask = if self.fixed {
            let amounts = charge::reserve(&self.expected, &self.terms);
            tollgate_gate::Call::new(self.labels.clone(), amounts)
        } else {
            let (exchange, descriptor) = (exchange.clone(), self.descriptor.clone());
            let (limits, terms) = (self.limits, self.terms.clone());
            tollgate_gate::Call::estimated(self.labels.clone(), move || {
                let estimate = exchange.estimator().estimate(&descriptor, limits);
                charge::reserve(&estimate.into(), &terms)
            })
        };
        let ask = ask.priority(priority);
        match deadline {
            Some(deadline) => ask.by(deadline),
            None => ask,
        }
    }

    /// The call in flight with this reservation, as far as estimates are concerned. A caller's own estimate is none of ours to judge.
    pub(crate) fn admit(&self, estimator: &Estimator, reserved: &Amounts) -> Option<InFlight> {
        let output = reserved.get(Unit::OutputTokens);
        (!self.fixed).then(|| estimator.admit(&self.descriptor, output))
    }

    /// What `usage` is charged.
    pub(crate) fn charge(&self, usage: &Usage) -> Amounts {
        charge::settle(usage, self.cost(usage), self.terms.output_weight)
    }

    /// What `usage` costs: the provider's own word first, then the price list.
    pub(crate) fn cost(&self, usage: &Usage) -> Option<Cost> {
        usage
            .cost
            .or_else(|| self.terms.price.as_ref().map(|price| price.cost(usage)))
    }
}
