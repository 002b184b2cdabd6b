//! A recorder that keeps every event, by the model of its call.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tollgate::gate::{Amounts, Event, Recorder, Source, Tokens, Unit};

/// All events so far.
#[derive(Debug, Default)]
pub(crate) struct Log {
    calls: Mutex<BTreeMap<String, Vec<What>>>,
    /// Each event as `Debug` writes it.
    lines: Mutex<Vec<String>>,
}

/// An event, as far as tests ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Queued(Option<String>),
    Admitted {
        reserved: Amounts,
        queued: bool,
        tenant: Option<String>,
    },
    Refused,
    Abandoned,
    Settled {
        reserved: Amounts,
        used: Amounts,
        source: Source,
    },
    Throttled,
    Paused(Duration),
    Tightened,
    Learned,
    Retried,
    Finished {
        tokens: Option<Tokens>,
        error: Option<String>,
        attempts: u32,
    },
}

impl Log {
    /// The events of one model, in order.
    pub(crate) fn of(&self, model: &str) -> Vec<What> {
        self.calls().get(model).cloned().unwrap_or_default()
    }

    /// Whether a call of the model has such an event.
    pub(crate) fn has(&self, model: &str, is: impl Fn(&What) -> bool) -> bool {
        self.calls()
            .get(model)
            .is_some_and(|events| events.iter().any(is))
    }

    /// How many events are so.
    pub(crate) fn count(&self, is: impl Fn(&What) -> bool) -> usize {
        self.calls()
            .values()
            .flatten()
            .filter(|what| is(what))
            .count()
    }

    /// The sum over all settlements of what was used.
    pub(crate) fn settled(&self, unit: Unit) -> u64 {
        self.calls()
            .values()
            .flatten()
            .filter_map(What::used)
            .map(|used| used.get(unit))
            .sum()
    }

    /// Input and output tokens that the responses of finished calls reported.
    pub(crate) fn reported(&self) -> (u64, u64) {
        let calls = self.calls();
        let tokens = calls.values().flatten().filter_map(|what| match what {
            What::Finished { tokens, .. } => *tokens,
            _ => None,
        });
        tokens.fold((0, 0), |(input, output), tokens| {
            (input + tokens.input, output + tokens.output)
        })
    }

    /// Each event as `Debug` writes it.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, Vec<What>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl What {
    /// What a settlement charges.
    pub(crate) const fn used(&self) -> Option<Amounts> {
        match self {
            Self::Settled { used, .. } => Some(*used),
            _ => None,
        }
    }

    pub(crate) const fn is_settled(&self) -> bool {
        matches!(self, Self::Settled { .. })
    }

    pub(crate) const fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted { .. })
    }

    pub(crate) const fn is_finished(&self) -> bool {
        matches!(self, Self::Finished { .. })
    }
}

impl Recorder for Log {
    fn record(&self, event: &Event<'_>) {
        let (labels, what) = match *event {
            Event::Queued {
                labels, binding, ..
            } => {
                let policy = binding.map(|binding| binding.policy.to_string());
                (labels, What::Queued(policy))
            }
            Event::Admitted {
                labels,
                reserved,
                queued,
                ..
            } => {
                let tenant = labels.get("tenant").map(str::to_owned);
                let reserved = *reserved;
                (
                    labels,
                    What::Admitted {
                        reserved,
                        queued,
                        tenant,
                    },
                )
            }
            Event::Refused { labels, .. } => (labels, What::Refused),
            Event::Abandoned { labels, .. } => (labels, What::Abandoned),
            Event::Settled {
                labels,
                settlement,
                source,
            } => (
                labels,
                What::Settled {
                    reserved: settlement.reserved,
                    used: settlement.used,
                    source,
                },
            ),
            Event::Throttled { labels, .. } => (labels, What::Throttled),
            Event::Paused { labels, span, .. } => (labels, What::Paused(span)),
            Event::Tightened { labels, .. } => (labels, What::Tightened),
            Event::Learned { labels, .. } => (labels, What::Learned),
            Event::Retried { labels, .. } => (labels, What::Retried),
            Event::Finished(finished) => (
                finished.labels,
                What::Finished {
                    tokens: finished.tokens,
                    error: finished.error.map(str::to_owned),
                    attempts: finished.attempts,
                },
            ),
            _ => panic!("an event that the tests do not know: {event:?}"),
        };
        let model = labels.get("model").unwrap_or_default().to_owned();
        self.calls().entry(model).or_default().push(what);
        let line = format!("{event:?}");
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}
