//! What Tollgate recorded of a run, and its export.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tollgate::Tollgate;
use tollgate::gate::{Event, Recorder};
use tollgate::otel::OtelRecorder;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The sums that a run is judged by.
#[derive(Debug, Default)]
pub(crate) struct Books {
    throttled: AtomicU64,
    retries: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    cost: AtomicU64,
}

impl Books {
    /// 429s seen.
    pub(crate) fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }

    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Tokens that responses reported, input and output.
    pub(crate) fn tokens(&self) -> (u64, u64) {
        (
            self.input.load(Ordering::Relaxed),
            self.output.load(Ordering::Relaxed),
        )
    }

    /// In nano-US-dollars.
    pub(crate) fn cost(&self) -> u64 {
        self.cost.load(Ordering::Relaxed)
    }
}

impl Recorder for Books {
    fn record(&self, event: &Event<'_>) {
        match event {
            Event::Throttled { .. } => {
                self.throttled.fetch_add(1, Ordering::Relaxed);
            }
            Event::Retried { .. } => {
                self.retries.fetch_add(1, Ordering::Relaxed);
            }
            Event::Finished(finished) => {
                let tokens = finished.tokens.unwrap_or_default();
                self.input.fetch_add(tokens.input, Ordering::Relaxed);
                self.output.fetch_add(tokens.output, Ordering::Relaxed);
                self.cost
                    .fetch_add(finished.cost.unwrap_or_default(), Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// Metrics and spans on their way to a collector.
#[derive(Debug)]
pub(crate) struct Telemetry {
    meters: SdkMeterProvider,
    tracers: SdkTracerProvider,
    recorder: Arc<OtelRecorder>,
}

impl Telemetry {
    /// Exports over OTLP/HTTP to `endpoint`, the collector's base URL.
    pub(crate) fn to(endpoint: &str) -> Result<Self, Box<dyn Error>> {
        let base = endpoint.trim_end_matches('/');
        let metrics = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{base}/v1/metrics"))
            .build()?;
        let spans = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{base}/v1/traces"))
            .build()?;
        // The remaining quota is worth seeing while calls wait for it.
        let reader = PeriodicReader::builder(metrics)
            .with_interval(Duration::from_secs(1))
            .build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        let tracers = SdkTracerProvider::builder()
            .with_batch_exporter(spans)
            .build();
        let layer = tollgate::otel::layer(tracers.tracer("quickstart"));
        tracing_subscriber::registry().with(layer).try_init()?;
        let recorder = Arc::new(OtelRecorder::from_provider(&meters));
        Ok(Self {
            meters,
            tracers,
            recorder,
        })
    }

    pub(crate) fn recorder(&self) -> Arc<OtelRecorder> {
        self.recorder.clone()
    }

    pub(crate) fn observe(&self, tollgate: &Tollgate) {
        self.recorder.observe_gate(tollgate.gate());
    }

    /// Sends what is left. Blocks.
    pub(crate) fn shutdown(self) -> Result<(), Box<dyn Error>> {
        self.tracers.shutdown()?;
        self.meters.shutdown()?;
        Ok(())
    }
}
