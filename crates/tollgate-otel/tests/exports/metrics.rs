//! Each event becomes the documented measurements, with exact values and no attribute beyond the documented ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tollgate_gate::{
    Amounts, Binding, Call, Event, Finished, Gate, Labels, Plan, Policy, Quota, Recorder, Refusal,
    Settlement, Source, Tokens, Unit,
};
use tollgate_otel::{METRICS, OtelRecorder};

use crate::readback::{Program, labels, line};

const TOKENS: Tokens = Tokens {
    input: 1_200,
    output: 300,
    cache_read: 1_000,
    cache_write: 0,
    reasoning: 50,
};

fn finished(labels: &Labels) -> Finished<'_> {
    Finished {
        labels,
        response_model: Some("llama-3-70b"),
        finish_reason: Some("stop"),
        tokens: Some(TOKENS),
        cost: Some(1_500_000),
        duration: Duration::from_millis(1_250),
        attempts: 1,
        status: Some(200),
        error: None,
    }
}

pub(crate) fn binding() -> Binding {
    Binding {
        policy: "tpm".into(),
        unit: Unit::TotalTokens,
        needed: 600,
        remaining: 200,
        capacity: 10_000,
        paused_until: None,
    }
}

#[test]
fn a_finished_call_reports_its_tokens_by_type() {
    let program = Program::start();
    let labels = labels();
    program
        .recorder
        .record(&Event::Finished(&finished(&labels)));
    let none = Finished {
        tokens: Some(Tokens::default()),
        ..finished(&labels)
    };
    program.recorder.record(&Event::Finished(&none));

    let model = ("gen_ai.response.model", "llama-3-70b");
    assert_eq!(
        program.lines("gen_ai.client.token.usage"),
        [
            line(&[model, ("gen_ai.token.type", "input")], "2 sum 1200"),
            line(&[model, ("gen_ai.token.type", "output")], "2 sum 300"),
        ]
    );
    let usage = &program.collect()["gen_ai.client.token.usage"];
    let advised: Vec<f64> = (0..14).map(|i| 4_f64.powi(i)).collect();
    let input = usage
        .points
        .iter()
        .find(|point| point.attributes["gen_ai.token.type"] == "input")
        .unwrap();
    assert_eq!(input.bounds, advised);
    assert_eq!(input.buckets, [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_call_without_reported_usage_reports_no_tokens_and_an_unknown_price_no_cost() {
    let program = Program::start();
    let labels = labels();
    program.recorder.record(&Event::Finished(&Finished {
        tokens: None,
        cost: None,
        ..finished(&labels)
    }));
    assert_eq!(program.lines("gen_ai.client.token.usage"), [""; 0]);
    assert_eq!(program.lines("tollgate.cost"), [""; 0]);
}

#[test]
fn a_finished_call_reports_its_duration_in_seconds_and_its_error() {
    let program = Program::start();
    let labels = labels();
    program
        .recorder
        .record(&Event::Finished(&finished(&labels)));
    let failed = Finished {
        response_model: None,
        tokens: None,
        duration: Duration::from_secs(90),
        error: Some("timeout"),
        ..finished(&labels)
    };
    program.recorder.record(&Event::Finished(&failed));

    let name = "gen_ai.client.operation.duration";
    assert_eq!(
        program.lines(name),
        [
            line(&[("error.type", "timeout")], "1 sum 90.0"),
            line(&[("gen_ai.response.model", "llama-3-70b")], "1 sum 1.25"),
        ]
    );
    let advised: Vec<f64> = (0..14).map(|i| 0.01 * 2_f64.powi(i)).collect();
    for point in &program.collect()[name].points {
        assert_eq!(point.bounds, advised);
    }
}

#[test]
fn a_call_that_was_never_sent_has_no_duration() {
    let program = Program::start();
    let labels = labels();
    let refused = Finished {
        tokens: None,
        cost: None,
        duration: Duration::ZERO,
        attempts: 0,
        ..finished(&labels)
    };
    program.recorder.record(&Event::Finished(&refused));
    assert_eq!(program.lines("gen_ai.client.operation.duration"), [""; 0]);
}

#[test]
fn cost_adds_up_in_dollars() {
    let program = Program::start();
    let labels = labels();
    for cost in [1_500_000, 250_000_000, 0] {
        program.recorder.record(&Event::Finished(&Finished {
            cost: Some(cost),
            ..finished(&labels)
        }));
    }
    assert_eq!(
        program.lines("tollgate.cost"),
        [line(&[("gen_ai.response.model", "llama-3-70b")], "0.2515")]
    );
}

#[test]
fn each_request_for_a_permit_is_counted_once_by_its_result() {
    let program = Program::start();
    let (labels, binding, reserved) = (labels(), binding(), Amounts::call(500, 100));
    let queued = Event::Queued {
        labels: &labels,
        binding: Some(&binding),
        until: None,
    };
    let waited = Duration::from_secs(3);
    let admitted = |waited, queued| Event::Admitted {
        labels: &labels,
        reserved: &reserved,
        waited,
        queued,
    };
    let refused = |reason, binding, waited, queued| Event::Refused {
        labels: &labels,
        reason,
        binding,
        waited,
        queued,
    };

    program.recorder.record(&admitted(Duration::ZERO, false));
    program.recorder.record(&refused(
        Refusal::NeverFits,
        Some(&binding),
        Duration::ZERO,
        false,
    ));
    program
        .recorder
        .record(&refused(Refusal::QueueFull, None, Duration::ZERO, false));
    for _ in 0..4 {
        program.recorder.record(&queued);
    }
    assert_eq!(
        program.lines("tollgate.rate_limiting.queued_requests"),
        [line(&[], "4")]
    );
    program.recorder.record(&admitted(waited, true));
    program
        .recorder
        .record(&refused(Refusal::Deadline, Some(&binding), waited, true));
    program.recorder.record(&Event::Abandoned {
        labels: &labels,
        waited,
    });
    assert_eq!(
        program.lines("tollgate.rate_limiting.queued_requests"),
        [line(&[], "1")]
    );
    program.recorder.record(&admitted(waited * 2, true));

    let result = |name| ("tollgate.rate_limiting.result", name);
    let policy = ("tollgate.rate_limiting.policy", "tpm");
    assert_eq!(
        program.lines("tollgate.rate_limiting.queued_requests"),
        [line(&[], "0")]
    );
    assert_eq!(
        program.lines("tollgate.rate_limiting.requests"),
        [
            line(
                &[result("timeout"), policy, ("error.type", "deadline")],
                "1"
            ),
            line(
                &[result("rejected"), policy, ("error.type", "never_fits")],
                "1"
            ),
            line(&[result("rejected"), ("error.type", "queue_full")], "1"),
            line(&[result("acquired")], "3"),
            line(&[result("canceled")], "1"),
        ]
    );
    assert_eq!(
        program.lines("tollgate.rate_limiting.request.time_in_queue"),
        [
            line(&[result("acquired")], "2 sum 9.0"),
            line(&[result("canceled")], "1 sum 3.0"),
            line(&[result("timeout")], "1 sum 3.0"),
        ]
    );
}

#[test]
fn settlements_tell_reserved_from_used_by_source() {
    let program = Program::start();
    let labels = labels();
    let settle = |reserved, used, source| {
        let settlement = Settlement { reserved, used };
        program.recorder.record(&Event::Settled {
            labels: &labels,
            settlement: &settlement,
            source,
        });
    };
    settle(
        Amounts::call(500, 2_000),
        Amounts::call(480, 350),
        Source::Reported,
    );
    settle(
        Amounts::call(100, 1_000),
        Amounts::call(120, 1_150),
        Source::Reported,
    );
    settle(Amounts::call(70, 30), Amounts::ZERO, Source::Released);

    let source = |name| ("tollgate.settlement.source", name);
    let (input, output) = (
        ("gen_ai.token.type", "input"),
        ("gen_ai.token.type", "output"),
    );
    assert_eq!(
        program.lines("tollgate.settlements"),
        [
            line(&[source("released")], "1"),
            line(&[source("reported")], "2")
        ]
    );
    assert_eq!(
        program.lines("tollgate.settlement.reserved"),
        [
            line(&[input, source("released")], "70"),
            line(&[input, source("reported")], "600"),
            line(&[output, source("released")], "30"),
            line(&[output, source("reported")], "3000"),
        ]
    );
    assert_eq!(
        program.lines("tollgate.settlement.used"),
        [
            line(&[input, source("released")], "0"),
            line(&[input, source("reported")], "600"),
            line(&[output, source("released")], "0"),
            line(&[output, source("reported")], "1500"),
        ]
    );
}

#[test]
fn what_the_provider_says_is_counted() {
    let program = Program::start();
    let labels = labels();
    let record = |event| program.recorder.record(&event);
    record(Event::Throttled {
        labels: &labels,
        status: 429,
        scope: "tokens",
    });
    record(Event::Throttled {
        labels: &labels,
        status: 429,
        scope: "tokens",
    });
    record(Event::Throttled {
        labels: &labels,
        status: 529,
        scope: "overloaded",
    });
    record(Event::Retried {
        labels: &labels,
        resend: 1,
        delay: Duration::from_secs(2),
        cause: "429",
    });
    record(Event::Retried {
        labels: &labels,
        resend: 2,
        delay: Duration::from_secs(4),
        cause: "connect",
    });
    record(Event::Paused {
        labels: &labels,
        unit: Some(Unit::TotalTokens),
        span: Duration::from_secs(20),
    });
    record(Event::Paused {
        labels: &labels,
        unit: None,
        span: Duration::from_secs(20),
    });
    record(Event::Tightened {
        labels: &labels,
        unit: Unit::Requests,
    });

    let resource = |name| ("tollgate.rate_limiting.resource", name);
    let throttle = |status, scope| {
        [
            ("http.response.status_code", status),
            ("tollgate.throttle.scope", scope),
        ]
    };
    let check = |name, expected: &[String]| assert_eq!(program.lines(name), expected);
    check(
        "tollgate.throttles",
        &[
            line(&throttle("429", "tokens"), "2"),
            line(&throttle("529", "overloaded"), "1"),
        ],
    );
    check(
        "tollgate.retries",
        &[
            line(&[("error.type", "429")], "1"),
            line(&[("error.type", "connect")], "1"),
        ],
    );
    check(
        "tollgate.pauses",
        &[line(&[resource("tokens")], "1"), line(&[], "1")],
    );
    check(
        "tollgate.tightenings",
        &[line(&[resource("requests")], "1")],
    );
}

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

pub(crate) fn one_of_each_event(recorder: &OtelRecorder, labels: &Labels) {
    let (binding, reserved, waited) = (binding(), Amounts::call(500, 100), Duration::from_secs(2));
    let (binding, reserved) = (Some(&binding), &reserved);
    let settlement = &Settlement {
        reserved: *reserved,
        used: Amounts::call(500, 80),
    };
    let end = Finished {
        error: Some("content_filter"),
        ..finished(labels)
    };
    let at = tollgate_gate::Tick::from_nanos(1_700_000_000_500_000_000);
    let events = [
        Event::Queued {
            labels,
            binding,
            until: Some(at),
        },
        Event::Admitted {
            labels,
            reserved,
            waited,
            queued: true,
        },
        Event::Queued {
            labels,
            binding,
            until: None,
        },
        Event::Refused {
            labels,
            reason: Refusal::Deadline,
            binding,
            waited,
            queued: true,
        },
        Event::Queued {
            labels,
            binding: None,
            until: None,
        },
        Event::Abandoned { labels, waited },
        Event::Throttled {
            labels,
            status: 429,
            scope: "tokens",
        },
        Event::Paused {
            labels,
            unit: Some(Unit::TotalTokens),
            span: Duration::from_millis(1_500),
        },
        Event::Tightened {
            labels,
            unit: Unit::TotalTokens,
        },
        Event::Retried {
            labels,
            resend: 1,
            delay: Duration::from_millis(250),
            cause: "429",
        },
        Event::Settled {
            labels,
            settlement,
            source: Source::Reported,
        },
        Event::Finished(&end),
    ];
    events.iter().for_each(|event| recorder.record(event));
}
