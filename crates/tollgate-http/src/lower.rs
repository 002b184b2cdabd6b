//! Lowering the caller's own output cap to what is left, where the caller has allowed it.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_gate::{Check, Gate};
use tollgate_tokens::{Dialect, Operation, Warning, lower_output_cap};

use crate::{
    call::Call,
    charge::{self, Expected},
    span,
};

impl Call {
    /// The body with its output cap lowered to what is left, if it has a cap above that. See `Settings::lower_output_cap`.
    pub(crate) fn lower(&mut self, gate: &Gate, body: Option<&[u8]>) -> Option<Bytes> {
        let (body, dialect) = (body?, self.dialect?);
        let asked = self.descriptor.output_cap.filter(|cap| *cap > 0)?;
        let generates = matches!(
            self.descriptor.operation,
            Operation::Chat | Operation::TextCompletion
        );
        // Requests to Bedrock are signed with their bodies.
        if !generates || dialect == Dialect::Bedrock {
            return None;
        }
        let choices = u64::from(self.descriptor.choices.max(1));
        let left = self.left_by_quotas(gate, self.left_by_model(asked, choices));
        let lowered = lower_output_cap(dialect, body, left / choices)?;
        let to = left / choices * choices;
        self.lowered_to = Some(to);
        Arc::make_mut(&mut self.descriptor).output_cap = Some(to);
        self.expected = self.capped(to);
        span::warn(&self.span, &Warning::CapLowered { from: asked, to });
        Some(lowered.into())
    }

    /// What the context window and the limit per request leave of a cap, over all answers.
    fn left_by_model(&self, asked: u64, choices: u64) -> u64 {
        let input = self.expected.input;
        let mut left = asked;
        // Each of several prompts of a completion has the context to itself, and how long each is is not known.
        if let Some(context) = self.context
            && self.descriptor.operation == Operation::Chat
        {
            left = left.min(context.saturating_sub(input).saturating_mul(choices));
        }
        match self.per_request {
            Some(limit) => left.min(limit.saturating_sub(input)),
            None => left,
        }
    }

    /// What the quotas leave of a cap: now, if that is enough to be worth sending, otherwise at most.
    fn left_by_quotas(&self, gate: &Gate, asked: u64) -> u64 {
        let check = |cap: u64| {
            let amounts = charge::reserve(&self.capped(cap), &self.terms);
            gate.check(&tollgate_gate::Call::new(self.labels.clone(), amounts))
        };
        let most = largest(asked, |cap| !matches!(check(cap), Check::NeverFits(_)));
        let enough = asked.div_ceil(2).min(self.expected.output);
        let now = largest(most, |cap| check(cap) == Check::Fits);
        if now >= enough { now } else { most }
    }

    /// What the call is expected to take if its output is capped so.
    fn capped(&self, cap: u64) -> Expected {
        Expected {
            output: self.expected.output.min(cap),
            output_cap: self.expected.output_cap.min(cap),
            ..self.expected
        }
    }
}

/// The largest number up to `most` for which `holds`, where it holds for every smaller one too; 0 if for none.
fn largest(most: u64, holds: impl Fn(u64) -> bool) -> u64 {
    if holds(most) {
        return most;
    }
    let (mut low, mut high) = (0, most);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_is_found() {
        for most in 0..20 {
            for bound in 0..25 {
                assert_eq!(largest(most, |n| n <= bound), most.min(bound));
            }
            assert_eq!(largest(most, |_| false), 0);
        }
        assert_eq!(largest(u64::MAX, |n| n <= 9_500), 9_500);
    }
}
