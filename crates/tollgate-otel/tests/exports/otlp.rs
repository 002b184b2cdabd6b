//! The OTLP exporter's own bytes, received over HTTP on the loopback and decoded.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prost::Message;
use tollgate_otel::OtelRecorder;

use crate::events::one_of_each_event;
use crate::readback::labels;

#[test]
fn an_otlp_receiver_finds_the_token_counts() {
    let (address, requests) = receive();
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(
            reqwest::blocking::Client::builder()
                .no_proxy()
                .build()
                .unwrap(),
        )
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{address}/v1/metrics"))
        .build()
        .unwrap();
    let reader = PeriodicReader::builder(exporter).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    one_of_each_event(&OtelRecorder::from_provider(&provider), &labels());
    provider.force_flush().unwrap();

    let request = requests.try_recv().unwrap();
    assert_eq!(request.line, "POST /v1/metrics HTTP/1.1");
    assert_eq!(request.content_type, "application/x-protobuf");
    let export = ExportMetricsServiceRequest::decode(&request.body[..]).unwrap();
    let scope = &export.resource_metrics[0].scope_metrics[0];
    assert_eq!(scope.scope.as_ref().unwrap().name, "tollgate-otel");
    assert_eq!(scope.schema_url, "https://opentelemetry.io/schemas/1.41.0");

    let usage = find(&scope.metrics, "gen_ai.client.token.usage");
    assert_eq!(usage.unit, "{token}");
    let Some(Data::Histogram(usage)) = &usage.data else {
        panic!("{usage:?}")
    };
    let mut counts: Vec<(String, u64, Option<f64>)> = Vec::new();
    for point in &usage.data_points {
        assert_eq!(text(&point.attributes, "gen_ai.provider.name"), "groq");
        assert_eq!(text(&point.attributes, "gen_ai.request.model"), "llama-3");
        counts.push((
            text(&point.attributes, "gen_ai.token.type"),
            point.count,
            point.sum,
        ));
    }
    counts.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        counts,
        [
            ("input".into(), 1, Some(1_200.0)),
            ("output".into(), 1, Some(300.0))
        ]
    );

    // What the program keeps to itself is nowhere in the bytes.
    for private in ["acme", "blue", "tenant"] {
        assert!(
            !request
                .body
                .windows(private.len())
                .any(|bytes| bytes == private.as_bytes()),
            "{private}"
        );
    }
}

/// A request as received.
struct Request {
    line: String,
    content_type: String,
    body: Vec<u8>,
}

/// A receiver on the loopback: answers each of a few requests with success and passes it on before it answers.
fn receive() -> (SocketAddr, Receiver<Request>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = channel();
    thread::spawn(move || {
        for connection in listener.incoming().take(4) {
            serve(connection.unwrap(), &sender);
        }
    });
    (address, requests)
}

fn serve(mut connection: TcpStream, sender: &Sender<Request>) {
    connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let (mut length, mut content_type) = (0, String::new());
    for header in reader
        .by_ref()
        .lines()
        .take(64)
        .map(Result::unwrap)
        .take_while(|header| !header.is_empty())
    {
        let (name, value) = header.split_once(": ").unwrap();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "content-type" => content_type = value.into(),
            _ => {}
        }
    }
    assert!(length <= 1 << 20, "an export of {length} bytes");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    sender
        .send(Request {
            line: line.trim_end().into(),
            content_type,
            body,
        })
        .unwrap();
    // An empty message is the protocol's "everything accepted".
    connection
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
}

fn find<'a>(metrics: &'a [Metric], name: &str) -> &'a Metric {
    metrics.iter().find(|metric| metric.name == name).unwrap()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes
        .iter()
        .find(|attribute| attribute.key == key)
        .unwrap();
    match found.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key} is {other:?}"),
    }
}
