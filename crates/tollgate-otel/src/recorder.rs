//! `OtelRecorder`: turns each event of the gate into measurements, and into what its call's span says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider, UpDownCounter};
use opentelemetry::{InstrumentationScope, KeyValue};
use tollgate_gate::{
    Binding, Event, Finished, Gate, Labels, Recorder, Refusal, Settlement, Source, Unit,
};

use crate::attributes::{Words, resource};
use crate::headroom::{Headroom, dollars};
use crate::instruments::{
    COST, OPERATION_DURATION, PAUSES, QUEUED_REQUESTS, REQUESTS, RESERVED, RETRIES, SCHEMA_URL,
    SETTLEMENTS, THROTTLES, TIGHTENINGS, TIME_IN_QUEUE, TOKEN_USAGE, USED, key,
};
use crate::span;

/// Feeds OpenTelemetry instruments and the spans of calls.
///
/// Make one per program and share it among its gates. It is built before the gate that it records for; the gate's own state is
/// shown after [`OtelRecorder::observe_gate`]. In the SDK each of the instruments takes about 140 kB at its default cardinality
/// limit, so a second recorder is not free.
pub struct OtelRecorder {
    words: Words,
    meter: Meter,
    headroom: Arc<Headroom>,
    token_usage: Histogram<u64>,
    operation_duration: Histogram<f64>,
    requests: Counter<u64>,
    queued_requests: UpDownCounter<i64>,
    time_in_queue: Histogram<f64>,
    throttles: Counter<u64>,
    retries: Counter<u64>,
    cost: Counter<f64>,
    settlements: Counter<u64>,
    reserved: Counter<u64>,
    used: Counter<u64>,
    pauses: Counter<u64>,
    tightenings: Counter<u64>,
}

impl OtelRecorder {
    /// A recorder whose instruments are made by `meter`, under the meter's own scope.
    ///
    /// A meter of the global provider that was taken before the program installed its provider stays silent.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        Self {
            words: Words::default(),
            meter: meter.clone(),
            headroom: Arc::default(),
            token_usage: TOKEN_USAGE.histogram(meter),
            operation_duration: OPERATION_DURATION.histogram_f64(meter),
            requests: REQUESTS.counter(meter),
            queued_requests: QUEUED_REQUESTS.up_down_counter(meter),
            time_in_queue: TIME_IN_QUEUE.histogram_f64(meter),
            throttles: THROTTLES.counter(meter),
            retries: RETRIES.counter(meter),
            cost: COST.counter_f64(meter),
            settlements: SETTLEMENTS.counter(meter),
            reserved: RESERVED.counter(meter),
            used: USED.counter(meter),
            pauses: PAUSES.counter(meter),
            tightenings: TIGHTENINGS.counter(meter),
        }
    }

    /// A recorder whose instruments have a scope named after this crate, with its version and the schema of their names.
    #[must_use]
    pub fn from_provider(provider: &dyn MeterProvider) -> Self {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA_URL)
            .build();
        Self::new(&provider.meter_with_scope(scope))
    }

    /// Shows each partition of a policy apart, with the values of its partition labels, joined by `/`, as an attribute.
    ///
    /// By default a policy is shown by the fullest of its partitions. Shown apart, there are as many time series as partitions, and
    /// the values leave the program: right for a policy per model, wrong for one per tenant or key.
    #[must_use]
    pub fn with_partitions(self) -> Self {
        self.headroom.show_partitions();
        self
    }

    /// Shows the limit, remaining units and utilization of the gate's policies from the next collection on, until the gate is
    /// dropped; this does not keep it alive. A policy appears once a call has asked for it; those of a gate with a store never do,
    /// because their counts are elsewhere.
    ///
    /// Call it once per gate. Policies of one name and unit in several gates are shown as one, by the fullest.
    pub fn observe_gate(&self, gate: &Gate) {
        let weak = gate.downgrade();
        let source = move || {
            let states = weak.upgrade()?.snapshot();
            Some(states.into_iter().map(|state| state.status).collect())
        };
        self.headroom.show(&self.meter, Box::new(source));
    }

    fn requested(&self, labels: &Labels, outcome: Outcome<'_>, waited: Duration, queued: bool) {
        let mut attributes = self.words.of_call(labels);
        if queued {
            self.queued_requests.add(-1, &attributes);
        }
        attributes.push(KeyValue::new(key::RESULT, outcome.result));
        if queued {
            self.time_in_queue.record(waited.as_secs_f64(), &attributes);
        }
        attributes.extend(
            outcome
                .reason
                .map(|reason| KeyValue::new(key::ERROR, reason.as_str())),
        );
        attributes.extend(
            outcome
                .binding
                .map(|binding| KeyValue::new(key::POLICY, binding.policy.clone())),
        );
        self.requests.add(1, &attributes);
    }

    fn settled(&self, labels: &Labels, settlement: &Settlement, source: Source) {
        let mut attributes = self.words.of_call(labels);
        attributes.push(KeyValue::new(key::SOURCE, source.as_str()));
        self.settlements.add(1, &attributes);
        for (unit, token_type) in TOKEN_TYPES {
            attributes.push(KeyValue::new(key::TOKEN_TYPE, token_type));
            self.reserved
                .add(settlement.reserved.get(unit), &attributes);
            self.used.add(settlement.used.get(unit), &attributes);
            attributes.pop();
        }
    }

    fn finished(&self, finished: &Finished<'_>) {
        let mut attributes = self.words.of_call(finished.labels);
        attributes.extend(
            finished
                .response_model
                .map(|model| self.words.value(key::RESPONSE_MODEL, model)),
        );
        if let Some(cost) = finished.cost {
            self.cost.add(dollars(cost), &attributes);
        }
        // The conventions forbid to report usage that could not be obtained, so no tokens means no point, not a zero.
        if let Some(tokens) = finished.tokens {
            for (count, token_type) in [(tokens.input, INPUT), (tokens.output, OUTPUT)] {
                attributes.push(KeyValue::new(key::TOKEN_TYPE, token_type));
                self.token_usage.record(count, &attributes);
                attributes.pop();
            }
        }
        // A call that was refused before it was sent would count as the fastest of all.
        if finished.attempts > 0 {
            attributes.extend(
                finished
                    .error
                    .map(|error| self.words.value(key::ERROR, error)),
            );
            self.operation_duration
                .record(finished.duration.as_secs_f64(), &attributes);
        }
    }

    /// Adds one for the call, with further attributes.
    fn count<const N: usize>(
        &self,
        counter: &Counter<u64>,
        labels: &Labels,
        own: [Option<KeyValue>; N],
    ) {
        let mut attributes = self.words.of_call(labels);
        attributes.extend(own.into_iter().flatten());
        counter.add(1, &attributes);
    }
}

impl Recorder for OtelRecorder {
    fn record(&self, event: &Event<'_>) {
        match *event {
            Event::Queued { labels, .. } => {
                self.queued_requests.add(1, &self.words.of_call(labels))
            }
            Event::Admitted {
                labels,
                waited,
                queued,
                ..
            } => {
                self.requested(labels, Outcome::of("acquired"), waited, queued);
            }
            Event::Refused {
                labels,
                reason,
                binding,
                waited,
                queued,
                ..
            } => {
                let result = if matches!(reason, Refusal::Deadline | Refusal::LongestWait) {
                    "timeout"
                } else {
                    "rejected"
                };
                self.requested(
                    labels,
                    Outcome {
                        result,
                        reason: Some(reason),
                        binding,
                    },
                    waited,
                    queued,
                );
            }
            Event::Abandoned { labels, waited } => {
                self.requested(labels, Outcome::of("canceled"), waited, true)
            }
            Event::Settled {
                labels,
                settlement,
                source,
            } => self.settled(labels, settlement, source),
            Event::Throttled {
                labels,
                status,
                scope,
            } => {
                let status = KeyValue::new(key::STATUS, i64::from(status));
                self.count(
                    &self.throttles,
                    labels,
                    [Some(status), Some(self.words.value(key::SCOPE, scope))],
                );
            }
            Event::Paused { labels, unit, .. } => {
                self.count(&self.pauses, labels, [unit.map(resource)])
            }
            Event::Tightened { labels, unit } => {
                self.count(&self.tightenings, labels, [Some(resource(unit))])
            }
            Event::Learned { labels, learned } => {
                self.count(&self.tightenings, labels, [Some(resource(learned.unit))])
            }
            Event::Retried { labels, cause, .. } => {
                self.count(
                    &self.retries,
                    labels,
                    [Some(self.words.value(key::ERROR, cause))],
                );
            }
            Event::Finished(finished) => self.finished(finished),
            _ => {}
        }
        span::note(&self.words, event);
    }
}

impl fmt::Debug for OtelRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelRecorder").finish_non_exhaustive()
    }
}

/// How a request for a permit ended.
struct Outcome<'a> {
    result: &'static str,
    reason: Option<Refusal>,
    binding: Option<&'a Binding>,
}

impl Outcome<'_> {
    const fn of(result: &'static str) -> Self {
        Self {
            result,
            reason: None,
            binding: None,
        }
    }
}

const INPUT: &str = "input";
const OUTPUT: &str = "output";
const TOKEN_TYPES: [(Unit, &str); 2] = [(Unit::InputTokens, INPUT), (Unit::OutputTokens, OUTPUT)];
