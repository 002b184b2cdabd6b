//! The one tracing span of a call: its names, and how numbers get into it.

use tollgate_gate::{Finished, Labels};
use tollgate_tokens::Warning;
use tracing::Span;
use tracing::field::{Empty, display};

/// Opens the span of a call. It covers every attempt and ends with the last byte of the response. Its fields are OpenTelemetry's
/// GenAI attributes (semantic conventions 1.41); none carries text of a prompt, a key or a URL.
pub(crate) fn open(labels: &Labels) -> Span {
    let operation = labels.get("operation").unwrap_or("other");
    let model = labels.get("model");
    let span = tracing::info_span!(
        target: "tollgate",
        "tollgate.call",
        otel.name = Empty,
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        error.r#type = Empty,
        gen_ai.operation.name = operation,
        gen_ai.provider.name = labels.get("provider"),
        gen_ai.request.model = model,
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        server.address = labels.get("server"),
        server.port = labels.get("port").and_then(|port| port.parse::<i64>().ok()),
        http.response.status_code = Empty,
        tollgate.attempts = Empty,
        tollgate.queue_wait_s = Empty,
        tollgate.cost_usd = Empty,
    );
    match model {
        Some(model) => span.record("otel.name", display(format_args!("{operation} {model}"))),
        None => span.record("otel.name", operation),
    };
    span
}

/// Fills in what is known once the call is over. Counts are signed, because tracing's OpenTelemetry layer turns unsigned ones into
/// strings.
pub(crate) fn finish(span: &Span, finished: &Finished<'_>, waited_s: f64) {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    if let Some(tokens) = finished.tokens {
        span.record("gen_ai.usage.input_tokens", count(tokens.input));
        span.record("gen_ai.usage.output_tokens", count(tokens.output));
        span.record(
            "gen_ai.usage.cache_read.input_tokens",
            count(tokens.cache_read),
        );
        span.record(
            "gen_ai.usage.cache_creation.input_tokens",
            count(tokens.cache_write),
        );
        span.record(
            "gen_ai.usage.reasoning.output_tokens",
            count(tokens.reasoning),
        );
    }
    if let Some(model) = finished.response_model {
        span.record("gen_ai.response.model", model);
    }
    if let Some(status) = finished.status {
        span.record("http.response.status_code", i64::from(status));
    }
    if let Some(nanos) = finished.cost {
        // The one place where money is a fraction: telemetry has no integer unit for it.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a cost of more than nine million dollars may lose a nano-dollar"
        )]
        span.record("tollgate.cost_usd", nanos as f64 / 1e9);
    }
    if let Some(error) = finished.error {
        span.record("error.type", error);
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", error);
    }
    span.record("tollgate.attempts", i64::from(finished.attempts));
    span.record("tollgate.queue_wait_s", waited_s);
}

/// Says that something odd was read and which fallback was taken.
pub(crate) fn warn(span: &Span, warning: &Warning) {
    span.in_scope(|| tracing::warn!(target: "tollgate", %warning));
}
