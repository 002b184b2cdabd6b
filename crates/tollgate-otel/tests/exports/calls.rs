//! The end of a call becomes its tokens, its duration and its cost.

use std::time::Duration;

use tollgate_gate::{Event, Finished, Recorder, Tokens};

use crate::events::finished;
use crate::readback::{Program, labels, line};

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
