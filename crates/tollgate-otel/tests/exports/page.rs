//! docs/TELEMETRY.md lists exactly what is exported.

use std::fmt::Write;

use tollgate_otel::{METRICS, SPAN_ATTRIBUTES, SPAN_EVENTS};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/TELEMETRY.md");

fn check(table: &str, expected: &str) {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (begin, end) = (
        format!("<!-- begin {table} -->\n"),
        format!("<!-- end {table} -->"),
    );
    let found = page
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end));
    let (found, _) = found.unwrap_or_else(|| panic!("docs/TELEMETRY.md has no `{begin}`"));
    assert!(
        found == expected,
        "docs/TELEMETRY.md is out of date; its table of {table} should be\n\n{expected}"
    );
}

fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    keys.into_iter()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn the_page_lists_every_metric() {
    let mut table = String::from(
        "| name | kind | unit | attributes | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for metric in METRICS {
        let (name, kind, unit, meaning) = (
            metric.name,
            metric.kind.as_str(),
            metric.unit,
            metric.meaning,
        );
        writeln!(
            table,
            "| `{name}` | {kind} | `{unit}` | {} | {meaning} |",
            keys(metric.attributes())
        )
        .unwrap();
    }
    check("metrics", &table);
}

#[test]
fn the_page_lists_every_bucket_boundary() {
    let mut table = String::from("| name | boundaries |\n| --- | --- |\n");
    for metric in METRICS
        .iter()
        .filter(|metric| !metric.boundaries.is_empty())
    {
        let boundaries: Vec<String> = metric.boundaries.iter().map(ToString::to_string).collect();
        writeln!(table, "| `{}` | {} |", metric.name, boundaries.join(", ")).unwrap();
    }
    check("boundaries", &table);
}

#[test]
fn the_page_lists_every_span_attribute() {
    let mut table = String::from("| key | type | meaning |\n| --- | --- | --- |\n");
    for attribute in SPAN_ATTRIBUTES {
        writeln!(
            table,
            "| `{}` | {} | {} |",
            attribute.name, attribute.kind, attribute.meaning
        )
        .unwrap();
    }
    check("span attributes", &table);
}

#[test]
fn the_page_lists_every_span_event() {
    let mut table = String::from("| name | attributes | meaning |\n| --- | --- | --- |\n");
    for event in SPAN_EVENTS {
        let attributes = keys(event.attributes.iter().copied());
        writeln!(
            table,
            "| `{}` | {attributes} | {} |",
            event.name, event.meaning
        )
        .unwrap();
    }
    check("span events", &table);
}
