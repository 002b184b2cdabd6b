//! Exports what the gate does through OpenTelemetry: token usage, queue wait, throttles, retries, cost, and what is left of each quota.
//!
//! [`OtelRecorder`] is a [`Recorder`](tollgate_gate::Recorder) on the OpenTelemetry API alone. It is built from a meter of the
//! program's own provider, so the program chooses the exporter, and a second version of OpenTelemetry in the dependency graph is a
//! compile error instead of silence. [`layer`] turns the `tracing` span of each call into an OpenTelemetry span. [`METRICS`],
//! [`SPAN_ATTRIBUTES`] and [`SPAN_EVENTS`] list everything that leaves, by the names of the GenAI semantic conventions 1.41.0 where
//! they have one, and under `tollgate.` for the rest.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use opentelemetry_sdk::metrics::SdkMeterProvider;
//! use tollgate_gate::{Gate, Plan, Policy, Quota, Unit};
//! use tollgate_otel::OtelRecorder;
//!
//! // The program's own provider, with whatever readers and exporters it wants.
//! let provider = SdkMeterProvider::default();
//!
//! let minute = Duration::from_secs(60);
//! let plan = Plan::new([Policy::new("tpm", Quota::sliding(Unit::TotalTokens, 10_000, minute)?)])?;
//! let recorder = Arc::new(OtelRecorder::from_provider(&provider));
//! let gate = Gate::builder(plan).recorder(recorder.clone()).build();
//! recorder.observe_gate(&gate);
//! # Ok::<(), tollgate_gate::QuotaError>(())
//! ```
//!
//! Of a call's labels only `provider`, `model`, `operation`, `server` and `port` are exported; others, such as a tenant, never are,
//! unless a policy is partitioned by them and [`OtelRecorder::with_partitions`] asks for it.

mod recorder;

mod attributes;
mod headroom;
mod instruments;
mod metric;
mod span;

pub use instruments::METRICS;
pub use metric::{Kind, Metric};
pub use recorder::OtelRecorder;
pub use span::{SPAN_ATTRIBUTES, SPAN_EVENTS, SpanAttribute, SpanEvent, layer};
