//! The span of a call: the layer that exports it, and what the recorder adds to it beyond its `tracing` fields.

use std::time::Duration;

use opentelemetry::trace::Tracer;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use tollgate_gate::{Binding, Event, Tick};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::attributes::{Words, int, resource};
use crate::instruments::key;

/// A layer that exports the span of each call, and nothing else.
///
/// Other spans are kept away from it, above all those that the exporter's own HTTP client opens while it sends spans; events of
/// `tracing` are too, so that a log line inside a call exports nothing. The span's parent is the OpenTelemetry context in which
/// the call starts.
///
/// A program that has a `tracing_opentelemetry` layer for its own spans needs no second one: there the call's span is a child of
/// the program's, and the recorder adds to it in the same way.
///
/// ```
/// use opentelemetry::trace::TracerProvider;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let provider = SdkTracerProvider::default();
/// let subscriber = tracing_subscriber::registry().with(tollgate_otel::layer(provider.tracer("my-program")));
/// # drop(subscriber);
/// ```
pub fn layer<S, T>(tracer: T) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    T: Tracer + Send + Sync + 'static,
    T::Span: Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false)
        .with_filter(filter_fn(|metadata| {
            metadata.is_span() && metadata.target() == TARGET
        }))
}

/// The target of the spans that calls have.
const TARGET: &str = "tollgate";

/// An attribute that the span of a call can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanAttribute {
    /// Its key.
    pub name: &'static str,
    /// The type of its value.
    pub kind: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

impl SpanAttribute {
    const fn new(name: &'static str, kind: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            kind,
            meaning,
        }
    }
}

/// An event that the span of a call can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// Its name.
    pub name: &'static str,
    /// The keys of its attributes, in the order of export; those that are not known stay away.
    pub attributes: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
}

/// Adds to the span of the call what its `tracing` fields cannot carry: the finish reasons, which are an array, and what happened
/// on the way. Does nothing outside of such a span, so that nothing is written into a span of the program's own.
pub(crate) fn note(words: &Words, event: &Event<'_>) {
    let span = Span::current();
    if span
        .metadata()
        .is_none_or(|metadata| metadata.target() != TARGET)
    {
        return;
    }
    match *event {
        Event::Queued { binding, until, .. } => {
            let mut attributes: Vec<KeyValue> = binding.into_iter().flat_map(in_the_way).collect();
            attributes.extend(until.map(instant));
            span.add_event(QUEUED.name, attributes);
        }
        Event::Admitted {
            waited,
            queued: true,
            ..
        } => {
            span.add_event(ADMITTED.name, vec![seconds(key::QUEUE_WAIT, waited)]);
        }
        Event::Refused {
            reason,
            binding,
            until,
            waited,
            ..
        } => {
            let mut attributes = vec![KeyValue::new(key::ERROR, reason.as_str())];
            attributes.extend(binding.into_iter().flat_map(in_the_way));
            attributes.extend(until.map(instant));
            attributes.push(seconds(key::QUEUE_WAIT, waited));
            span.add_event(REFUSED.name, attributes);
        }
        Event::Abandoned { waited, .. } => {
            span.add_event(ABANDONED.name, vec![seconds(key::QUEUE_WAIT, waited)]);
        }
        Event::Throttled { status, scope, .. } => {
            let status = KeyValue::new(key::STATUS, i64::from(status));
            span.add_event(THROTTLED.name, vec![status, words.value(key::SCOPE, scope)]);
        }
        Event::Paused {
            unit,
            span: pause,
            until,
            ..
        } => {
            let mut attributes: Vec<KeyValue> = unit.map(resource).into_iter().collect();
            attributes.push(seconds(key::PAUSE, pause));
            attributes.push(instant(until));
            span.add_event(PAUSED.name, attributes);
        }
        Event::Tightened { unit, .. } => span.add_event(TIGHTENED.name, vec![resource(unit)]),
        Event::Learned { learned, .. } => {
            let pace = KeyValue::new(key::PACE, i64::try_from(learned.pace).unwrap_or(i64::MAX));
            let policy = KeyValue::new(key::POLICY, learned.policy.to_string());
            span.add_event(LEARNED.name, vec![policy, resource(learned.unit), pace]);
        }
        Event::Eased { eased, .. } => {
            let pace = eased
                .pace
                .map(|pace| KeyValue::new(key::PACE, i64::try_from(pace).unwrap_or(i64::MAX)));
            let policy = KeyValue::new(key::POLICY, eased.policy.to_string());
            let mut attributes = vec![policy, resource(eased.unit)];
            attributes.extend(pace);
            span.add_event(EASED.name, attributes);
        }
        Event::Retried {
            resend,
            delay,
            cause,
            ..
        } => {
            let resend = KeyValue::new(key::RESEND, i64::from(resend));
            let attributes = vec![
                words.value(key::ERROR, cause),
                resend,
                seconds(key::RETRY_DELAY, delay),
            ];
            span.add_event(RETRIED.name, attributes);
        }
        Event::Finished(finished) => {
            if let Some(reason) = finished.finish_reason {
                let reasons = vec![StringValue::from(words.get(reason))];
                span.set_attribute(key::FINISH_REASONS, Value::Array(Array::String(reasons)));
            }
        }
        _ => {}
    }
}

fn instant(at: Tick) -> KeyValue {
    seconds(key::RETRY_AT, Duration::from_nanos(at.as_nanos()))
}

fn in_the_way(binding: &Binding) -> Vec<KeyValue> {
    vec![
        KeyValue::new(key::POLICY, binding.policy.clone()),
        resource(binding.unit),
        KeyValue::new(key::NEEDED, int(binding.needed)),
        KeyValue::new(key::REMAINING, int(binding.remaining)),
        KeyValue::new(key::CAPACITY, int(binding.capacity)),
    ]
}

fn seconds(key: &'static str, span: Duration) -> KeyValue {
    KeyValue::new(key, span.as_secs_f64())
}

const QUEUED: SpanEvent = SpanEvent {
    name: "tollgate.queued",
    attributes: &[
        key::POLICY,
        key::RESOURCE,
        key::NEEDED,
        key::REMAINING,
        key::CAPACITY,
        key::RETRY_AT,
    ],
    meaning: "The call has to wait, for this policy; the time is in seconds since the Unix epoch.",
};

const ADMITTED: SpanEvent = SpanEvent {
    name: "tollgate.admitted",
    attributes: &[key::QUEUE_WAIT],
    meaning: "The call holds a permit after it waited.",
};

const REFUSED: SpanEvent = SpanEvent {
    name: "tollgate.refused",
    attributes: &[
        key::ERROR,
        key::POLICY,
        key::RESOURCE,
        key::NEEDED,
        key::REMAINING,
        key::CAPACITY,
        key::RETRY_AT,
        key::QUEUE_WAIT,
    ],
    meaning: "The gate refused the call, for this reason and policy.",
};

const ABANDONED: SpanEvent = SpanEvent {
    name: "tollgate.abandoned",
    attributes: &[key::QUEUE_WAIT],
    meaning: "The caller gave up waiting.",
};

const THROTTLED: SpanEvent = SpanEvent {
    name: "tollgate.throttled",
    attributes: &[key::STATUS, key::SCOPE],
    meaning: "The provider refused an attempt because a quota is exhausted.",
};

const PAUSED: SpanEvent = SpanEvent {
    name: "tollgate.paused",
    attributes: &[key::RESOURCE, key::PAUSE, key::RETRY_AT],
    meaning: "The policies of the call that count this resource were paused; without a resource, all of them.",
};

const TIGHTENED: SpanEvent = SpanEvent {
    name: "tollgate.tightened",
    attributes: &[key::RESOURCE],
    meaning: "The provider's count was ahead of ours, or its limit lower.",
};

const LEARNED: SpanEvent = SpanEvent {
    name: "tollgate.learned",
    attributes: &[key::POLICY, key::RESOURCE, key::PACE],
    meaning: "The ledger did not foresee a refusal: the policy spaces its calls from now on, at so many units per window.",
};

const EASED: SpanEvent = SpanEvent {
    name: "tollgate.eased",
    attributes: &[key::POLICY, key::RESOURCE, key::PACE],
    meaning: "The policy tries a wider pace, because windows have passed without a refusal; without a pace it spaces its calls no more.",
};

const RETRIED: SpanEvent = SpanEvent {
    name: "tollgate.retried",
    attributes: &[key::ERROR, key::RESEND, key::RETRY_DELAY],
    meaning: "A further attempt will be made.",
};

/// Every event that this crate adds to the span of a call, in the order of docs/TELEMETRY.md.
pub const SPAN_EVENTS: &[SpanEvent] = &[
    QUEUED, ADMITTED, REFUSED, ABANDONED, THROTTLED, PAUSED, TIGHTENED, LEARNED, EASED, RETRIED,
];

/// Every attribute that the span of a call can have, in the order of docs/TELEMETRY.md.
pub const SPAN_ATTRIBUTES: &[SpanAttribute] = &[
    SpanAttribute::new(
        key::OPERATION,
        "string",
        "The kind of call, such as `chat`.",
    ),
    SpanAttribute::new(key::PROVIDER, "string", "The provider."),
    SpanAttribute::new(
        key::REQUEST_MODEL,
        "string",
        "The model that the request names.",
    ),
    SpanAttribute::new(
        key::RESPONSE_MODEL,
        "string",
        "The model that the response names.",
    ),
    SpanAttribute::new(
        key::FINISH_REASONS,
        "string[]",
        "Why generation ended, in the provider's words.",
    ),
    SpanAttribute::new(
        "gen_ai.usage.input_tokens",
        "int",
        "Prompt tokens, cached ones included.",
    ),
    SpanAttribute::new(
        "gen_ai.usage.output_tokens",
        "int",
        "Generated tokens, reasoning included.",
    ),
    SpanAttribute::new(
        "gen_ai.usage.cache_read.input_tokens",
        "int",
        "Prompt tokens read from a cache.",
    ),
    SpanAttribute::new(
        "gen_ai.usage.cache_creation.input_tokens",
        "int",
        "Prompt tokens written to a cache.",
    ),
    SpanAttribute::new(
        "gen_ai.usage.reasoning.output_tokens",
        "int",
        "Generated tokens that the caller does not see.",
    ),
    SpanAttribute::new(key::SERVER_ADDRESS, "string", "The host that was called."),
    SpanAttribute::new(key::SERVER_PORT, "int", "Its port."),
    SpanAttribute::new(
        key::STATUS,
        "int",
        "The HTTP status of the response handed to the caller.",
    ),
    SpanAttribute::new(
        key::ERROR,
        "string",
        "What went wrong, in one word; absent on success.",
    ),
    SpanAttribute::new("tollgate.attempts", "int", "How often the call was sent."),
    SpanAttribute::new(
        key::QUEUE_WAIT,
        "double",
        "Seconds that it waited at the gate.",
    ),
    SpanAttribute::new(
        "tollgate.cost_usd",
        "double",
        "Its cost, where the price is known.",
    ),
];
