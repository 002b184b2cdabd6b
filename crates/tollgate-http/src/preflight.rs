//! Preflight: what can never succeed is refused before it is sent, and what comes near a limit is warned of.

use tollgate_gate::Unit;
use tollgate_tokens::{Descriptor, Operation, Warning};

use crate::{
    Refused, Settings,
    call::Call,
    charge::{self, Expected},
    error::Limit,
    span,
};

impl Call {
    /// Refuses what can never succeed, before anything is reserved. The prompt is taken at its least, so that no call is refused
    /// that the provider might accept.
    pub(crate) fn preflight(&mut self, settings: &Settings) -> Result<(), Refused> {
        let Descriptor {
            text_bytes,
            token_ids,
            output_cap,
            choices,
            ..
        } = *self.descriptor;
        let input = (text_bytes / MOST_BYTES_PER_TOKEN).saturating_add(token_ids);
        let output = output_cap.unwrap_or(0);
        fits(Limit::PerRequest, input, output, self.per_request)?;
        // Each answer has the context to itself. So has each of several prompts, which add to the number of answers.
        let choices = u64::from(choices.max(1));
        match self.descriptor.operation {
            Operation::Chat => fits(Limit::Context, input, output / choices, self.context)?,
            Operation::TextCompletion => {
                fits(
                    Limit::Context,
                    input / choices,
                    output / choices,
                    self.context,
                )?;
            }
            // How many texts a batch of embeddings has is not known; counting tokens takes no context.
            Operation::Embeddings | Operation::CountTokens | Operation::Other => {}
        }
        if self.profile.needs_price {
            match settings.unknown_price.resolve(self.terms.price.as_ref()) {
                Ok(price) => self.terms.price = price.cloned(),
                Err(_) => return Err(Refused::unknown_price(self.descriptor.model.as_deref())),
            }
        }
        self.warn_near(settings.warn_at);
        Ok(())
    }

    /// Warns of limits of which the call takes at least `percent`.
    fn warn_near(&self, percent: u32) {
        let Expected {
            input,
            output,
            output_cap,
        } = self.expected;
        let warn = |limit: &str, needed: u64, of: u64| {
            let is_near = u128::from(needed) * 100 >= u128::from(of) * u128::from(percent);
            if percent > 0 && is_near && needed <= of {
                let limit = limit.into();
                span::warn(&self.span, &Warning::NearLimit { limit, needed, of });
            }
        };
        if let Some(context) = self.context
            && self.descriptor.operation == Operation::Chat
        {
            // The context holds one answer; a call without a cap stops where it ends.
            let answer = match self.descriptor.output_cap {
                Some(_) => output_cap,
                None => output,
            };
            let choices = u64::from(self.descriptor.choices.max(1));
            warn(
                "context window",
                input.saturating_add(answer / choices),
                context,
            );
        }
        let amounts = charge::reserve(&self.expected, &self.terms);
        let model = self.labels.get("model");
        for spec in &self.profile.limits {
            let counts_tokens = matches!(
                spec.unit,
                Unit::InputTokens | Unit::OutputTokens | Unit::TotalTokens
            );
            if counts_tokens && spec.concerns(model) {
                let needed = spec.counting().units(spec.unit, &amounts);
                warn(&spec.name, needed, spec.capacity());
            }
        }
    }
}

fn fits(what: Limit, input: u64, output: u64, limit: Option<u64>) -> Result<(), Refused> {
    match limit {
        Some(limit) if input.saturating_add(output) > limit => {
            Err(Refused::too_long(what, input, output, limit))
        }
        _ => Ok(()),
    }
}

/// Bytes of text that one token holds at the very most over a whole prompt; English has about four.
const MOST_BYTES_PER_TOKEN: u64 = 10;
