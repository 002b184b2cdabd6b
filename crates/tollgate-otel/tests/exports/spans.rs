//! The span of a call, through a real subscriber: what the recorder adds, and what never gets in.

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider, SpanData};
use tollgate_gate::{Event, Recorder};
use tollgate_otel::{SPAN_ATTRIBUTES, SPAN_EVENTS};
use tracing::field::Empty;
use tracing::{Span, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

use crate::events::one_of_each_event;
use crate::readback::{Program, labels};

/// The spans that `run` exports through `layer`.
macro_rules! spans_of {
    ($layer:expr, $run:expr) => {{
        let (provider, exporter) = traced();
        let tracer: SdkTracer = provider.tracer("test");
        let subscriber = tracing_subscriber::registry().with($layer(tracer));
        tracing::subscriber::with_default(subscriber, $run);
        let spans: Vec<SpanData> = exporter.get_finished_spans().unwrap();
        spans
    }};
}

fn traced() -> (SdkTracerProvider, InMemorySpanExporter) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    (provider, exporter)
}

/// A call's span as it is opened by what sends the call.
fn call_span() -> Span {
    info_span!(
        target: "tollgate",
        "tollgate.call",
        otel.name = "chat llama-3",
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        error.r#type = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "groq",
        gen_ai.request.model = "llama-3",
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        server.address = "api.groq.com",
        server.port = 443_i64,
        tollgate.attempts = Empty,
        tollgate.queue_wait_s = Empty,
        tollgate.cost_usd = Empty,
        http.response.status_code = Empty,
    )
}

/// Fills in the fields that are declared empty, at the end of a call that failed.
fn record_fields(span: &Span) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", "the answer was filtered");
    span.record("error.type", "content_filter");
    span.record("gen_ai.response.model", "llama-3-70b");
    span.record("gen_ai.usage.input_tokens", 1_200_i64);
    span.record("gen_ai.usage.output_tokens", 300_i64);
    span.record("gen_ai.usage.cache_read.input_tokens", 1_000_i64);
    span.record("gen_ai.usage.cache_creation.input_tokens", 0_i64);
    span.record("gen_ai.usage.reasoning.output_tokens", 50_i64);
    span.record("tollgate.attempts", 2_i64);
    span.record("tollgate.queue_wait_s", 2.5_f64);
    span.record("tollgate.cost_usd", 0.0015_f64);
    span.record("http.response.status_code", 200_i64);
}

fn attributes(of: &[KeyValue]) -> Vec<String> {
    of.iter()
        .map(|kv| format!("{}={}", kv.key, kv.value))
        .collect()
}

#[test]
fn a_call_is_one_span_with_its_fields_and_what_they_cannot_carry() {
    let program = Program::start();
    let spans = spans_of!(tollgate_otel::layer, || {
        let span = call_span();
        span.in_scope(|| one_of_each_event(&program.recorder, &labels()));
        record_fields(&span);
    });
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(span.name, "chat llama-3");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(span.status, Status::error("the answer was filtered"));
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    let mut found = attributes(&span.attributes);
    found.sort();
    assert_eq!(
        found,
        [
            "error.type=content_filter",
            "gen_ai.operation.name=chat",
            "gen_ai.provider.name=groq",
            "gen_ai.request.model=llama-3",
            r#"gen_ai.response.finish_reasons=["stop"]"#,
            "gen_ai.response.model=llama-3-70b",
            "gen_ai.usage.cache_creation.input_tokens=0",
            "gen_ai.usage.cache_read.input_tokens=1000",
            "gen_ai.usage.input_tokens=1200",
            "gen_ai.usage.output_tokens=300",
            "gen_ai.usage.reasoning.output_tokens=50",
            "http.response.status_code=200",
            "server.address=api.groq.com",
            "server.port=443",
            "tollgate.attempts=2",
            "tollgate.cost_usd=0.0015",
            "tollgate.queue_wait_s=2.5",
        ]
    );
    let mut documented: Vec<&str> = SPAN_ATTRIBUTES
        .iter()
        .map(|attribute| attribute.name)
        .collect();
    documented.sort_unstable();
    let keys: Vec<&str> = found
        .iter()
        .filter_map(|found| found.split('=').next())
        .collect();
    assert_eq!(keys, documented);
}

#[test]
fn a_span_attribute_has_the_documented_type() {
    let program = Program::start();
    let spans = spans_of!(tollgate_otel::layer, || {
        let span = call_span();
        span.in_scope(|| one_of_each_event(&program.recorder, &labels()));
        record_fields(&span);
    });
    for attribute in &spans[0].attributes {
        let documented = SPAN_ATTRIBUTES
            .iter()
            .find(|documented| documented.name == attribute.key.as_str());
        let rust = match documented.unwrap().kind {
            "string" => "String(",
            "string[]" => "Array(String(",
            "int" => "I64(",
            "double" => "F64(",
            other => panic!("unknown type {other}"),
        };
        assert!(
            format!("{:?}", attribute.value).starts_with(rust),
            "{attribute:?}"
        );
    }
}

#[test]
fn what_happens_on_the_way_becomes_span_events_in_order() {
    let program = Program::start();
    let spans = spans_of!(tollgate_otel::layer, || {
        call_span().in_scope(|| one_of_each_event(&program.recorder, &labels()));
    });
    let found: Vec<String> = spans[0]
        .events
        .iter()
        .map(|event| {
            format!(
                "{}: {}",
                event.name,
                attributes(&event.attributes).join(" ")
            )
        })
        .collect();
    let policy = "tollgate.rate_limiting.policy=tpm tollgate.rate_limiting.resource=tokens";
    let amounts = "tollgate.needed=600 tollgate.remaining=200 tollgate.capacity=10000";
    assert_eq!(
        found,
        [
            format!("tollgate.queued: {policy} {amounts} tollgate.retry_at_unix_s=1700000000.5"),
            "tollgate.admitted: tollgate.queue_wait_s=2".into(),
            format!("tollgate.queued: {policy} {amounts}"),
            format!("tollgate.refused: error.type=deadline {policy} {amounts} tollgate.retry_at_unix_s=60 tollgate.queue_wait_s=2"),
            "tollgate.queued: ".into(),
            "tollgate.abandoned: tollgate.queue_wait_s=2".into(),
            "tollgate.throttled: http.response.status_code=429 tollgate.throttle.scope=tokens".into(),
            "tollgate.paused: tollgate.rate_limiting.resource=tokens tollgate.pause_s=1.5 tollgate.retry_at_unix_s=1.5".into(),
            "tollgate.tightened: tollgate.rate_limiting.resource=tokens".into(),
            format!("tollgate.learned: {policy} tollgate.pace=9400"),
            format!("tollgate.eased: {policy} tollgate.pace=9400"),
            "tollgate.retried: error.type=429 http.request.resend_count=1 tollgate.retry_delay_s=0.25"
                .into(),
        ]
    );
    for documented in SPAN_EVENTS {
        let mut of_name = spans[0]
            .events
            .iter()
            .filter(|event| event.name == documented.name);
        let event = of_name
            .next()
            .unwrap_or_else(|| panic!("no event {}", documented.name));
        let keys: Vec<&str> = event.attributes.iter().map(|kv| kv.key.as_str()).collect();
        assert_eq!(keys, documented.attributes, "{}", documented.name);
    }
    let names = |name: &str| SPAN_EVENTS.iter().any(|documented| documented.name == name);
    assert!(spans[0].events.iter().all(|event| names(&event.name)));
}

#[test]
fn the_layer_lets_only_the_spans_of_calls_through() {
    let spans = spans_of!(tollgate_otel::layer, || {
        info_span!(target: "hyper", "connect").in_scope(|| ());
        info_span!("the program's own").in_scope(|| {
            call_span().in_scope(|| {
                info!(target: "hyper", "a line of the HTTP client");
                info!(target: "tollgate", secret = "a line of our own");
                info_span!(target: "tollgate_http", "inside").in_scope(|| ());
            });
        });
    });
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(span.name, "chat llama-3");
    assert!(span.events.is_empty(), "{:?}", span.events);
}

#[test]
fn a_program_with_a_layer_of_its_own_sees_the_call_below_its_span_and_its_span_untouched() {
    let program = Program::start();
    let own_layer = |tracer| tracing_opentelemetry::layer().with_tracer(tracer);
    let spans = spans_of!(own_layer, || {
        info_span!("handler").in_scope(|| {
            let labels = labels();
            let throttled = Event::Throttled {
                labels: &labels,
                status: 429,
                scope: "tokens",
            };
            program.recorder.record(&throttled);
            call_span().in_scope(|| program.recorder.record(&throttled));
        });
    });
    let [call, handler] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(handler.name, "handler");
    assert_eq!(call.parent_span_id, handler.span_context.span_id());
    assert_eq!(call.events.len(), 1);
    assert!(handler.events.is_empty(), "{:?}", handler.events);
}
