//! `Trip`: a call under way, which ends in exactly one `Finished` event, however it ends.

use std::time::Duration;

use tollgate_gate::{Event, Finished, Tick, Tokens};
use tollgate_tokens::{Cost, Scan, Usage, Verdict};

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
            over: false,
        }
    }

    /// Notes that the call is about to be sent, after it waited so long at the gate. Returns the ordinal of the attempt, from 1.
    pub(crate) fn send(&mut self, waited: Duration) -> u32 {
        self.started
            .get_or_insert_with(|| self.exchange.gate().now());
        self.waited += waited;
        self.attempts += 1;
        self.attempts
    }

    /// How the response handed to the caller came about.
    pub(crate) const fn report(&self, verdict: Option<Verdict>, retry_at: Option<Tick>) -> Report {
        Report {
            attempts: self.attempts,
            waited: self.waited,
            verdict,
            retry_at,
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
        };
        span::finish(&self.call.span, &finished, self.waited.as_secs_f64());
        self.record(&Event::Finished(&finished));
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
