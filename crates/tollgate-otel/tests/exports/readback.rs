//! A program with a meter provider, whose metrics are read back as plain lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use tollgate_gate::Labels;
use tollgate_otel::{Kind, OtelRecorder};

/// The program.
pub(crate) struct Program {
    pub(crate) recorder: Arc<OtelRecorder>,
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// One metric as exported.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    pub(crate) kind: Kind,
    pub(crate) unit: String,
    pub(crate) description: String,
    pub(crate) scope: (String, Option<String>, Option<String>),
    pub(crate) points: Vec<Point>,
}

/// One point: its attributes, sorted by key, its value as text, and the boundaries and counts of its buckets.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) value: String,
    pub(crate) bounds: Vec<f64>,
    pub(crate) buckets: Vec<u64>,
}

impl Program {
    pub(crate) fn start() -> Self {
        Self::starting(|recorder| recorder)
    }

    pub(crate) fn starting(set: impl FnOnce(OtelRecorder) -> OtelRecorder) -> Self {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        Self {
            recorder: Arc::new(set(OtelRecorder::from_provider(&provider))),
            provider,
            exporter,
        }
    }

    /// Everything that is exported now, by name.
    pub(crate) fn collect(&self) -> BTreeMap<String, Exported> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let collected = self.exporter.get_finished_metrics().unwrap();
        collected.iter().flat_map(exported).collect()
    }

    /// The points of one metric as `attributes: value` lines, sorted.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let metrics = self.collect();
        let points = metrics.get(name).map_or(&[][..], |metric| &metric.points);
        let lines: BTreeSet<String> = points.iter().map(Point::line).collect();
        lines.into_iter().collect()
    }
}

impl Point {
    fn line(&self) -> String {
        let attributes: Vec<String> = self
            .attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!("{}: {}", attributes.join(" "), self.value)
    }
}

/// The labels of the calls in these tests; `tenant` and `key` are the program's own business.
pub(crate) fn labels() -> Labels {
    Labels::new()
        .with("operation", "chat")
        .with("provider", "groq")
        .with("model", "llama-3")
        .with("server", "api.groq.com")
        .with("port", "443")
        .with("tenant", "acme")
        .with("key", "blue")
}

/// The line of a point that has these labels and further attributes.
pub(crate) fn line(own: &[(&str, &str)], value: &str) -> String {
    let labels = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "groq"),
        ("gen_ai.request.model", "llama-3"),
        ("server.address", "api.groq.com"),
        ("server.port", "443"),
    ];
    bare_line(&[&labels, own].concat(), value)
}

/// The line of a point that has these attributes only.
pub(crate) fn bare_line(attributes: &[(&str, &str)], value: &str) -> String {
    let attributes = attributes
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    Point {
        attributes: attributes.collect(),
        value: value.into(),
        bounds: Vec::new(),
        buckets: Vec::new(),
    }
    .line()
}

fn exported(collected: &ResourceMetrics) -> Vec<(String, Exported)> {
    let mut all = Vec::new();
    for scope in collected.scope_metrics() {
        let name = scope.scope();
        let name = (
            name.name().into(),
            name.version().map(Into::into),
            name.schema_url().map(Into::into),
        );
        for metric in scope.metrics() {
            let (kind, points) = match metric.data() {
                AggregatedMetrics::U64(data) => read(data),
                AggregatedMetrics::I64(data) => read(data),
                AggregatedMetrics::F64(data) => read(data),
            };
            all.push((metric.name().into(), describe(metric, kind, &name, points)));
        }
    }
    all
}

fn describe(
    metric: &Metric,
    kind: Kind,
    scope: &(String, Option<String>, Option<String>),
    points: Vec<Point>,
) -> Exported {
    Exported {
        kind,
        unit: metric.unit().into(),
        description: metric.description().into(),
        scope: scope.clone(),
        points,
    }
}

fn read<T: Copy + Debug>(data: &MetricData<T>) -> (Kind, Vec<Point>) {
    let simple = |attributes, value: T| Point {
        attributes,
        value: format!("{value:?}"),
        bounds: Vec::new(),
        buckets: Vec::new(),
    };
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge
                .data_points()
                .map(|point| simple(sorted(point.attributes()), point.value()));
            (Kind::Gauge, points.collect())
        }
        MetricData::Sum(sum) => {
            let points = sum
                .data_points()
                .map(|point| simple(sorted(point.attributes()), point.value()));
            let kind = if sum.is_monotonic() {
                Kind::Counter
            } else {
                Kind::UpDownCounter
            };
            (kind, points.collect())
        }
        MetricData::Histogram(histogram) => {
            let points = histogram.data_points().map(|point| Point {
                attributes: sorted(point.attributes()),
                value: format!("{} sum {:?}", point.count(), point.sum()),
                bounds: point.bounds().collect(),
                buckets: point.bucket_counts().collect(),
            });
            (Kind::Histogram, points.collect())
        }
        MetricData::ExponentialHistogram(_) => panic!("nobody asked for an exponential histogram"),
    }
}

fn sorted<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    attributes
        .map(|kv| (kv.key.to_string(), kv.value.to_string()))
        .collect()
}
