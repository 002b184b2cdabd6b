//! `Log`: a recorder that keeps every event.

use std::sync::Mutex;
use std::time::Duration;

use tollgate_gate::{Amounts, Event, Recorder, Settled, Source, Tick, Tokens, Unit};

/// One event, kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Queued,
    Admitted,
    Refused(&'static str),
    Abandoned,
    Settled {
        reserved: Amounts,
        used: Amounts,
        source: Source,
    },
    Throttled {
        status: u16,
        scope: String,
    },
    Paused {
        unit: Option<Unit>,
        span: Duration,
    },
    Tightened(Unit),
    Learned(Unit),
    Retried {
        resend: u32,
        delay: Duration,
        cause: String,
    },
    Finished(End),
}

/// A `Finished` event, kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) response_model: Option<String>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) cost: Option<u64>,
    pub(crate) duration: Duration,
    pub(crate) attempts: u32,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
}

/// Keeps every event, and how it prints.
#[derive(Debug, Default)]
pub(crate) struct Log {
    seen: Mutex<Vec<Seen>>,
    sums: Mutex<Vec<Option<Settled>>>,
    waits: Mutex<Vec<(Duration, Tick)>>,
    printed: Mutex<String>,
}

impl Recorder for Log {
    fn record(&self, event: &Event<'_>) {
        self.printed
            .lock()
            .unwrap()
            .push_str(&format!("{event:?}\n"));
        let seen = match *event {
            Event::Queued { .. } => Seen::Queued,
            Event::Admitted { .. } => Seen::Admitted,
            Event::Refused { reason, .. } => Seen::Refused(reason.as_str()),
            Event::Abandoned { .. } => Seen::Abandoned,
            Event::Settled {
                settlement, source, ..
            } => Seen::Settled {
                reserved: settlement.reserved,
                used: settlement.used,
                source,
            },
            Event::Throttled { status, scope, .. } => Seen::Throttled {
                status,
                scope: scope.into(),
            },
            Event::Paused { unit, span, .. } => Seen::Paused { unit, span },
            Event::Tightened { unit, .. } => Seen::Tightened(unit),
            Event::Learned { learned, .. } => Seen::Learned(learned.unit),
            Event::Retried {
                resend,
                delay,
                cause,
                ..
            } => Seen::Retried {
                resend,
                delay,
                cause: cause.into(),
            },
            Event::Finished(end) => Seen::Finished(End {
                response_model: end.response_model.map(Into::into),
                finish_reason: end.finish_reason.map(Into::into),
                tokens: end.tokens,
                cost: end.cost,
                duration: end.duration,
                attempts: end.attempts,
                status: end.status,
                error: end.error.map(Into::into),
            }),
            _ => panic!("an event that these tests do not know: {event:?}"),
        };
        self.seen.lock().unwrap().push(seen);
        if let Event::Finished(end) = event {
            self.sums.lock().unwrap().push(end.settled);
            self.waits.lock().unwrap().push((end.waited, end.at));
        }
    }
}

impl Log {
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    pub(crate) fn settled(&self) -> Vec<(Amounts, Source)> {
        let settled = |seen| match seen {
            Seen::Settled { used, source, .. } => Some((used, source)),
            _ => None,
        };
        self.all().into_iter().filter_map(settled).collect()
    }

    /// The end of the one call adds up what its attempts were settled with.
    #[track_caller]
    pub(crate) fn assert_adds_up(&self) {
        let mut expected: Option<Settled> = None;
        for seen in self.all() {
            let Seen::Settled {
                reserved,
                used,
                source,
            } = seen
            else {
                continue;
            };
            if source != Source::Released {
                let sum = expected.get_or_insert(Settled {
                    amounts: Default::default(),
                    source,
                });
                sum.source = source;
                sum.amounts.reserved = sum.amounts.reserved.plus(&reserved);
                sum.amounts.used = sum.amounts.used.plus(&used);
            }
        }
        assert_eq!(*self.sums.lock().unwrap(), [expected], "{:?}", self.all());
    }

    /// How long each call that ended had waited, and when it ended.
    pub(crate) fn waits(&self) -> Vec<(Duration, Tick)> {
        self.waits.lock().unwrap().clone()
    }

    pub(crate) fn finished(&self) -> Vec<End> {
        let finished = |seen| {
            if let Seen::Finished(end) = seen {
                Some(end)
            } else {
                None
            }
        };
        self.all().into_iter().filter_map(finished).collect()
    }

    /// The one end of the one call.
    #[track_caller]
    pub(crate) fn end(&self) -> End {
        let mut ends = self.finished();
        assert_eq!(ends.len(), 1, "exactly one end: {:?}", self.all());
        ends.remove(0)
    }

    pub(crate) fn pauses(&self) -> Vec<(Option<Unit>, Duration)> {
        let paused = |seen| match seen {
            Seen::Paused { unit, span } => Some((unit, span)),
            _ => None,
        };
        self.all().into_iter().filter_map(paused).collect()
    }

    pub(crate) fn retries(&self) -> Vec<(u32, Duration, String)> {
        let retried = |seen| match seen {
            Seen::Retried {
                resend,
                delay,
                cause,
            } => Some((resend, delay, cause)),
            _ => None,
        };
        self.all().into_iter().filter_map(retried).collect()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Seen) -> bool) -> usize {
        self.all().iter().filter(|seen| wanted(seen)).count()
    }
}
