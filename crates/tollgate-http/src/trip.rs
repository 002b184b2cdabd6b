//! `Trip`: a call under way, which ends in exactly one `Finished` event, however it ends.

use std::time::Duration;

use tollgate_gate::{
    Amounts, Event, Finished, News, Permit, Settled, Settlement, Source, Tick, Tokens, Unit,
};
use tollgate_tokens::{Cost, InFlight, Scan, Usage, Verdict};

use crate::{Exchange, Refused, Report, call::Call, span};

/// Records the end of its call when it is finished or dropped.
#[derive(Debug)]
pub(crate) struct Trip {
    pub(crate) exchange: Exchange,
    pub(crate) call: Call,
    pub(crate) status: Option<u16>,
    attempts: u32,
    waited: Duration,
    started: Option<Tick>,
    /// Of the attempt under way.
    permit: Option<Permit>,
    in_flight: Option<InFlight>,
    settled: Option<Settled>,
    over: bool,
}

/// How a call ended, as far as its response told.
#[derive(Debug, Default)]
pub(crate) struct End<'a> {
    pub(crate) usage: Option<Usage>,
    pub(crate) cost: Option<Cost>,
    pub(crate) scan: Option<&'a Scan>,
    pub(crate) error: Option<&'a str>,
}

impl Trip {
    pub(crate) const fn new(exchange: Exchange, call: Call) -> Self {
        Self {
            exchange,
            call,
            attempts: 0,
            waited: Duration::ZERO,
            status: None,
            started: None,
            permit: None,
            in_flight: None,
            settled: None,
            over: false,
        }
    }

    /// Notes that the call is about to be sent, and holds the permit for it. Returns the ordinal of the attempt, from 1.
    pub(crate) fn send(&mut self, mut permit: Permit) -> u32 {
        permit.mark_sent();
        self.started
            .get_or_insert_with(|| self.exchange.gate().now());
        self.waited += permit.waited();
        let estimator = self.exchange.estimator();
        self.in_flight = self.call.admit(estimator, permit.reserved());
        self.permit = Some(permit);
        self.attempts += 1;
        self.attempts
    }

    /// Learns from what the provider has reported of the attempt under way.
    pub(crate) fn learn(&mut self, usage: &Usage) {
        match self.in_flight.take() {
            Some(in_flight) => in_flight.settle(usage),
            None => self
                .exchange
                .estimator()
                .learn(&self.call.descriptor, usage),
        }
    }

    /// Ends the attempt under way: what was used replaces what was reserved.
    pub(crate) fn settle(&mut self, used: &Amounts, source: Source) {
        if let Some(permit) = self.end_attempt() {
            self.add(permit.settle(used, source), source);
        }
    }

    /// Ends the attempt under way, charged whole: nobody knows what it used.
    pub(crate) fn keep(&mut self) {
        if let Some(permit) = self.end_attempt() {
            let reserved = *permit.reserved();
            self.add(permit.settle(&reserved, Source::Kept), Source::Kept);
        }
    }

    /// Ends the attempt under way, which never reached the provider.
    pub(crate) fn release(&mut self) {
        if let Some(permit) = self.end_attempt() {
            permit.release();
        }
    }

    fn end_attempt(&mut self) -> Option<Permit> {
        self.in_flight = None;
        self.permit.take()
    }

    /// Takes over what the response to the attempt under way says about the provider's quotas.
    pub(crate) fn adopt(&self, news: &News) {
        if let Some(permit) = &self.permit {
            permit.adopt(news);
        }
    }

    /// Pauses the policies of such calls that count `unit` (`None`: all) for `span`.
    pub(crate) fn pause(&self, unit: Option<Unit>, span: Duration) {
        self.exchange.gate().pause(&self.call.labels, unit, span);
    }

    /// Says that the attempt under way was refused for want of `unit` (`None`: of something) for `span`.
    pub(crate) fn throttled(&self, unit: Option<Unit>, span: Duration) {
        match &self.permit {
            Some(permit) => permit.throttled(unit, span),
            None => self.exchange.gate().pause(&self.call.labels, unit, span),
        }
    }

    /// How the response handed to the caller came about.
    pub(crate) const fn report(&self, verdict: Option<Verdict>, retry_at: Option<Tick>) -> Report {
        Report {
            attempts: self.attempts,
            waited: self.waited,
            verdict,
            retry_at,
            output_cap: self.call.lowered_to,
        }
    }

    pub(crate) fn record(&self, event: &Event<'_>) {
        self.call
            .span
            .in_scope(|| self.exchange.gate().record(event));
    }

    /// The end of a call that was not admitted.
    pub(crate) fn refuse(self, refused: Refused) -> Refused {
        self.finish(&End {
            error: Some(refused.reason()),
            ..End::default()
        });
        refused
    }

    /// The end of a call whose last attempt got no response.
    pub(crate) fn fail<E>(self, error: E) -> E {
        self.finish(&End {
            error: Some("transport"),
            ..End::default()
        });
        error
    }

    /// The end.
    pub(crate) fn finish(mut self, end: &End<'_>) {
        self.end(end);
    }

    fn end(&mut self, end: &End<'_>) {
        self.over = true;
        self.keep();
        let now = self.exchange.gate().now();
        let finished = Finished {
            labels: &self.call.labels,
            response_model: end.scan.and_then(|scan| scan.model.as_deref()),
            finish_reason: end.scan.and_then(|scan| scan.finish_reason.as_deref()),
            tokens: end.usage.map(tokens),
            cost: end.cost.map(Cost::nanos),
            duration: self
                .started
                .map_or(Duration::ZERO, |started| now.since(started)),
            attempts: self.attempts,
            status: self.status,
            error: end.error,
            at: now,
            waited: self.waited,
            settled: self.settled,
        };
        span::finish(&self.call.span, &finished, self.waited.as_secs_f64());
        self.record(&Event::Finished(&finished));
    }

    fn add(&mut self, ended: Settlement, source: Source) {
        let before = self
            .settled
            .map_or_else(Settlement::default, |settled| settled.amounts);
        self.settled = Some(Settled {
            amounts: Settlement {
                reserved: before.reserved.plus(&ended.reserved),
                used: before.used.plus(&ended.used),
            },
            source,
        });
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        if !self.over {
            self.end(&End {
                error: Some("canceled"),
                ..End::default()
            });
        }
    }
}

const fn tokens(usage: Usage) -> Tokens {
    Tokens {
        input: usage.input,
        output: usage.output,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        reasoning: usage.reasoning,
    }
}
