//! `Permit`: holds quota for one call; settles once; drop covers the rest.

use std::sync::Arc;
use std::time::Duration;

use tollgate_limits::{Amounts, Labels, Lane, News, Reservation, Settlement, Unit};

use crate::{Call, Gate, Source, Ticket};

/// The right to send one attempt of a call.
///
/// It ends exactly once: by [`Permit::settle`], by [`Permit::release`], or by being dropped. A permit dropped before
/// [`Permit::mark_sent`] gives everything back; afterwards it keeps what was reserved, because the provider may have done the work,
/// or, once [`Permit::note`] has been called, charges the amounts noted last.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    held: Option<Held>,
    call: Call,
    // Apart, so that a permit stays small: where it was moved from, a large one is read again too soon after it was written. Only what
    // is not in the call already; and only drivers without HTTP note anything.
    estimated: Option<Box<Amounts>>,
    noted: Option<Box<Amounts>>,
    sent: bool,
    ticket: Ticket,
    waited: Duration,
}

/// What the ledger knows the reservation by.
#[derive(Debug)]
pub(crate) enum Held {
    Local(Reservation, Lane),
    Stored(u64),
}

impl Permit {
    #[inline]
    pub(crate) fn new(
        gate: Gate,
        held: Held,
        reserved: &Amounts,
        call: Call,
        ticket: Ticket,
        waited: Duration,
    ) -> Self {
        let estimated = call.asked.estimate.is_some();
        debug_assert!(estimated || *reserved == call.asked.amounts);
        Self {
            gate,
            held: Some(held),
            call,
            estimated: estimated.then(|| Box::new(*reserved)),
            noted: None,
            sent: false,
            ticket,
            waited,
        }
    }

    /// What the call is.
    #[must_use]
    pub fn labels(&self) -> &Arc<Labels> {
        &self.call.asked.labels
    }

    /// What was reserved.
    #[must_use]
    pub fn reserved(&self) -> &Amounts {
        self.estimated
            .as_deref()
            .unwrap_or(&self.call.asked.amounts)
    }

    /// How long the call waited for it.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        self.waited
    }

    /// The call's place in the queue, to be kept if it has to be sent again.
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The gate that gave it.
    #[must_use]
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Says that the call is about to be sent: from now on dropping the permit gives nothing back.
    pub const fn mark_sent(&mut self) {
        self.sent = true;
    }

    /// What the call has used as far as known; charged if the permit is dropped without being settled.
    pub fn note(&mut self, used: Amounts) {
        match &mut self.noted {
            Some(noted) => **noted = used,
            None => self.noted = Some(Box::new(used)),
        }
    }

    /// Takes over what the response's head says about the provider's quotas.
    pub fn adopt(&self, news: &News) {
        if let Some(held) = &self.held {
            self.gate.adopt(held, self.labels(), news);
        }
    }

    /// Pauses the policies of this call that count `unit` (`None`: all) for `span` from now, for every call that shares them.
    /// Pauses only ever grow.
    pub fn pause(&self, unit: Option<Unit>, span: Duration) {
        self.gate.pause(self.labels(), unit, span);
    }

    /// Says that the provider refused this attempt for want of `unit` (`None`: of something) and lets calls through again after
    /// `span`: pauses the policies that count it, as [`Permit::pause`] does. If the ledger did not foresee the refusal, the policy
    /// learns from it ([`tollgate_limits::Ledger::throttled`]), and an [`crate::Event::Learned`] says what; each step of the way back
    /// is an [`crate::Event::Eased`]. Call
    /// [`Permit::adopt`] with what the refusal's own headers say first. A shared ledger is paused only.
    pub fn throttled(&self, unit: Option<Unit>, span: Duration) {
        if let Some(held) = &self.held {
            self.gate.throttled(held, self.labels(), unit, span);
        }
    }

    /// Replaces the reservation by what was used.
    pub fn settle(mut self, used: &Amounts, source: Source) -> Settlement {
        self.end(Some(used), source)
    }

    /// Gives everything back: the call was never sent.
    pub fn release(mut self) {
        self.end(None, Source::Released);
    }

    #[inline]
    fn end(&mut self, used: Option<&Amounts>, source: Source) -> Settlement {
        let settlement = Settlement {
            reserved: *self.reserved(),
            used: used.copied().unwrap_or_default(),
        };
        if let Some(held) = self.held.take() {
            self.gate
                .end(held, used, self.labels(), &settlement, source);
        }
        settlement
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.held.is_none() {
            return;
        }
        match (self.sent, self.noted.take()) {
            (false, _) => self.end(None, Source::Released),
            (true, Some(noted)) => self.end(Some(&noted), Source::Estimated),
            (true, None) => {
                let reserved = *self.reserved();
                self.end(Some(&reserved), Source::Kept)
            }
        };
    }
}
