//! What is exported is what is documented, no more and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tollgate_gate::{Amounts, Call, Gate, Plan, Policy, Quota, Unit};
use tollgate_otel::{METRICS, OtelRecorder};

use crate::events::one_of_each_event;
use crate::readback::{Program, labels};

#[test]
fn nothing_beyond_the_documented_set_leaves_and_all_of_it_does() {
    let program = Program::starting(OtelRecorder::with_partitions);
    let gate = a_gate_of_every_unit();
    program.recorder.observe_gate(&gate);
    let labels = labels();
    let _permit = gate
        .try_acquire(&Call::new(
            labels.clone(),
            Amounts::call(10, 10).with(Unit::Cost, 5),
        ))
        .unwrap();
    one_of_each_event(&program.recorder, &labels);

    let exported = program.collect();
    let names: BTreeSet<&str> = exported.keys().map(String::as_str).collect();
    assert_eq!(names, METRICS.iter().map(|metric| metric.name).collect());

    let scope = (
        "tollgate-otel".into(),
        Some(env!("CARGO_PKG_VERSION").into()),
    );
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for metric in METRICS {
        let found = &exported[metric.name];
        assert_eq!(found.kind, metric.kind, "{}", metric.name);
        assert_eq!(found.unit, metric.unit, "{}", metric.name);
        assert_eq!(found.description, metric.meaning, "{}", metric.name);
        let (name, version, schema) = found.scope.clone();
        assert_eq!((name, version), scope);
        assert_eq!(
            schema.as_deref(),
            Some("https://opentelemetry.io/schemas/1.41.0")
        );
        for point in &found.points {
            assert_eq!(point.bounds, metric.boundaries, "{}", metric.name);
            seen.entry(metric.name)
                .or_default()
                .extend(point.attributes.keys().map(String::as_str));
        }
    }
    for metric in METRICS {
        assert_eq!(
            seen[metric.name],
            metric.attributes().collect(),
            "{}",
            metric.name
        );
    }
}

/// One policy per unit, in a share per model.
fn a_gate_of_every_unit() -> Gate {
    let hour = Duration::from_secs(3_600);
    let policies = Unit::ALL.map(|unit| {
        let quota = match unit {
            Unit::Concurrency => Quota::slots(10),
            _ => Quota::sliding(unit, 1_000, hour),
        };
        Policy::new(unit.as_str(), quota.unwrap()).per("model")
    });
    Gate::new(Plan::new(policies).unwrap())
}
