//! `Call`: what is known of a call before it is sent, and the checks that need nothing else.

use std::sync::Arc;

use http::uri::Authority;
use tollgate_gate::{Amounts, Labels};
use tollgate_tokens::{Cost, Descriptor, Dialect, Price, Usage, describe};

use crate::{
    CallOptions, Exchange, Refused, charge::Expected, error::Limit, exchange::Profile, span,
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
    pub(crate) descriptor: Descriptor,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) price: Option<Price>,
    pub(crate) expected: Expected,
    pub(crate) span: tracing::Span,
    context: Option<u64>,
    per_request: Option<u64>,
}

impl Call {
    /// Reads a request: dialect, model, caps and prompt sizes, and from the catalog what that model is charged.
    pub(crate) fn describe(
        exchange: &Exchange,
        target: Target<'_>,
        body: Option<&[u8]>,
        options: &CallOptions,
    ) -> Self {
        let profile = exchange.profile(target, options);
        let detected = Dialect::detect(target.host, target.path);
        let dialect = profile.dialect_of(target).or(detected);
        let mut descriptor = describe(dialect, target.path, body.unwrap_or_default());
        if let Some(model) = &options.model {
            descriptor.model = Some(model.clone());
        }
        let model = descriptor
            .model
            .as_deref()
            .and_then(|name| profile.model(name));
        let max_output = model.and_then(|model| model.max_output);
        let expected = match options.estimate {
            Some((input, output)) => Expected {
                input,
                output,
                output_cap: output,
            },
            None => exchange
                .estimator()
                .estimate(&descriptor, max_output)
                .into(),
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
        let span = span::open(&labels);
        for warning in &descriptor.warnings {
            span::warn(&span, warning);
        }
        Self {
            context: model.and_then(|model| model.context),
            per_request: model.and_then(|model| model.per_request),
            price: model.and_then(|model| model.price.clone()),
            labels,
            descriptor,
            dialect,
            profile,
            expected,
            span,
        }
    }

    /// Refuses what can never succeed, before anything is reserved. The prompt is taken at its least, so that no call is refused
    /// that the provider might accept.
    pub(crate) fn preflight(&mut self, exchange: &Exchange) -> Result<(), Refused> {
        let input = (self.descriptor.text_bytes / MOST_BYTES_PER_TOKEN)
            .saturating_add(self.descriptor.token_ids);
        let output = self.descriptor.output_cap.unwrap_or(0);
        for (what, limit) in [
            (Limit::Context, self.context),
            (Limit::PerRequest, self.per_request),
        ] {
            if let Some(limit) = limit
                && input.saturating_add(output) > limit
            {
                return Err(Refused::too_long(what, input, output, limit));
            }
        }
        if self.profile.rules.needs_price() {
            match exchange.unknown_price().resolve(self.price.as_ref()) {
                Ok(price) => self.price = price.cloned(),
                Err(_) => return Err(Refused::unknown_price(self.descriptor.model.as_deref())),
            }
        }
        Ok(())
    }

    pub(crate) fn reserve(&self) -> Amounts {
        self.profile
            .rules
            .reserve(&self.expected, self.price.as_ref())
    }

    /// What `usage` costs: the provider's own word first, then the price list.
    pub(crate) fn cost(&self, usage: &Usage) -> Option<Cost> {
        usage
            .cost
            .or_else(|| self.price.as_ref().map(|price| price.cost(usage)))
    }
}

/// Bytes of text that one token holds at the very most over a whole prompt; English has about four.
const MOST_BYTES_PER_TOKEN: u64 = 10;
