//! Permits, settlements and what the provider says become counts.

use std::time::Duration;

use tollgate_gate::{Amounts, Event, Recorder, Refusal, Settlement, Source, Tick, Unit};

use crate::events::binding;
use crate::readback::{Program, labels, line};

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
        until: None,
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
        until: Tick::from_nanos(20_000_000_000),
        policies: &[],
    });
    record(Event::Paused {
        labels: &labels,
        unit: None,
        span: Duration::from_secs(20),
        until: Tick::from_nanos(20_000_000_000),
        policies: &[],
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
