//! The gauges show what a real gate says of its policies.

use std::time::Duration;

use tollgate_gate::{Amounts, Call, Gate, Labels, Permit, Plan, Policy, Quota, Source, Unit};
use tollgate_otel::OtelRecorder;

use crate::readback::{Program, bare_line, labels, line};

const HOUR: Duration = Duration::from_secs(3_600);

fn gate(policies: impl IntoIterator<Item = Policy>) -> Gate {
    Gate::new(Plan::new(policies).unwrap())
}

fn tokens_per_hour(name: &str, limit: u64) -> Policy {
    Policy::new(
        name,
        Quota::sliding(Unit::TotalTokens, limit, HOUR).unwrap(),
    )
}

fn take(gate: &Gate, labels: Labels, amounts: Amounts) -> Permit {
    let mut permit = gate.try_acquire(&Call::new(labels, amounts)).unwrap();
    permit.mark_sent();
    permit
}

fn of(policy: &str, resource: &str, value: &str) -> String {
    bare_line(
        &[
            ("tollgate.rate_limiting.policy", policy),
            ("tollgate.rate_limiting.resource", resource),
        ],
        value,
    )
}

#[test]
fn each_unit_has_gauges_of_its_own_unit_of_measure() {
    let program = Program::start();
    let gate = gate([
        Policy::new("rph", Quota::sliding(Unit::Requests, 4, HOUR).unwrap()),
        Policy::new("slots", Quota::slots(10).unwrap()),
        Policy::new(
            "in",
            Quota::sliding(Unit::InputTokens, 2_000, HOUR).unwrap(),
        ),
        Policy::new(
            "out",
            Quota::sliding(Unit::OutputTokens, 1_000, HOUR).unwrap(),
        ),
        tokens_per_hour("all", 4_000),
        Policy::new(
            "budget",
            Quota::sliding(Unit::Cost, 50_000_000_000, HOUR).unwrap(),
        ),
    ]);
    program.recorder.observe_gate(&gate);
    let _permit = take(
        &gate,
        labels(),
        Amounts::call(500, 250).with(Unit::Cost, 12_500_000_000),
    );

    let check = |name: &str, expected: &[String]| {
        assert_eq!(
            program.lines(&format!("tollgate.rate_limiting.{name}")),
            expected,
            "{name}"
        );
    };
    check(
        "request.limit",
        &[of("rph", "requests", "4"), of("slots", "concurrency", "10")],
    );
    check(
        "request.remaining",
        &[of("rph", "requests", "3"), of("slots", "concurrency", "9")],
    );
    check(
        "token.limit",
        &[
            of("all", "tokens", "4000"),
            of("in", "input_tokens", "2000"),
            of("out", "output_tokens", "1000"),
        ],
    );
    check(
        "token.remaining",
        &[
            of("all", "tokens", "3250"),
            of("in", "input_tokens", "1500"),
            of("out", "output_tokens", "750"),
        ],
    );
    check("cost.limit", &[of("budget", "cost", "50.0")]);
    check("cost.remaining", &[of("budget", "cost", "37.5")]);
    check(
        "utilization",
        &[
            of("all", "tokens", "0.1875"),
            of("budget", "cost", "0.25"),
            of("in", "input_tokens", "0.25"),
            of("out", "output_tokens", "0.25"),
            of("rph", "requests", "0.25"),
            of("slots", "concurrency", "0.1"),
        ],
    );
}

#[test]
fn a_policy_in_debt_shows_a_utilization_above_one() {
    let program = Program::start();
    let gate = gate([tokens_per_hour("tph", 1_000)]);
    program.recorder.observe_gate(&gate);
    take(&gate, labels(), Amounts::call(500, 250))
        .settle(&Amounts::call(500, 1_000), Source::Reported);
    assert_eq!(
        program.lines("tollgate.rate_limiting.utilization"),
        [of("tph", "tokens", "1.5")]
    );
    assert_eq!(
        program.lines("tollgate.rate_limiting.token.remaining"),
        [of("tph", "tokens", "0")]
    );
}

#[test]
fn a_partitioned_policy_is_shown_by_its_fullest_partition() {
    let program = Program::start();
    let gate = gate([tokens_per_hour("tph", 1_000).per("tenant")]);
    program.recorder.observe_gate(&gate);
    for (tenant, tokens) in [("acme", 100), ("bravo", 900), ("carol", 400)] {
        take(
            &gate,
            labels().with("tenant", tenant),
            Amounts::call(tokens, 0),
        )
        .settle(&Amounts::call(tokens, 0), Source::Reported);
    }
    assert_eq!(
        program.lines("tollgate.rate_limiting.utilization"),
        [of("tph", "tokens", "0.9")]
    );
    assert_eq!(
        program.lines("tollgate.rate_limiting.token.remaining"),
        [of("tph", "tokens", "100")]
    );
}

#[test]
fn partitions_are_shown_apart_on_request() {
    let program = Program::starting(OtelRecorder::with_partitions);
    let gate = gate([
        tokens_per_hour("per-model", 1_000)
            .per("provider")
            .per("model"),
        tokens_per_hour("whole", 4_000),
    ]);
    program.recorder.observe_gate(&gate);
    for (model, tokens) in [("llama-3", 100), ("llama-4", 900)] {
        take(
            &gate,
            labels().with("model", model),
            Amounts::call(tokens, 0),
        )
        .settle(&Amounts::call(tokens, 0), Source::Reported);
    }
    let apart = |partition, value| {
        let partition = ("tollgate.rate_limiting.partition", partition);
        let policy = ("tollgate.rate_limiting.policy", "per-model");
        bare_line(
            &[
                partition,
                policy,
                ("tollgate.rate_limiting.resource", "tokens"),
            ],
            value,
        )
    };
    assert_eq!(
        program.lines("tollgate.rate_limiting.utilization"),
        [
            apart("groq/llama-3", "0.1"),
            apart("groq/llama-4", "0.9"),
            of("whole", "tokens", "0.25")
        ]
    );
}

#[test]
fn observing_keeps_no_gate_alive_and_a_gate_that_is_gone_disappears() {
    let program = Program::start();
    let first = gate([tokens_per_hour("first", 1_000)]);
    let second = gate([tokens_per_hour("second", 1_000)]);
    for gate in [&first, &second] {
        program.recorder.observe_gate(gate);
        drop(take(gate, labels(), Amounts::call(500, 0)));
    }
    let utilization = "tollgate.rate_limiting.utilization";
    assert_eq!(
        program.lines(utilization),
        [of("first", "tokens", "0.5"), of("second", "tokens", "0.5")]
    );
    let weak = first.downgrade();
    drop(first);
    assert!(weak.upgrade().is_none());
    assert_eq!(program.lines(utilization), [of("second", "tokens", "0.5")]);
}

#[test]
fn gates_that_share_a_policy_name_are_shown_as_the_fullest() {
    let program = Program::start();
    let gates = [(100, 2_000), (450, 1_000), (900, 4_000)].map(|(used, limit)| {
        let gate = gate([tokens_per_hour("tph", limit)]);
        program.recorder.observe_gate(&gate);
        drop(take(&gate, labels(), Amounts::call(used, 0)));
        gate
    });
    program.recorder.observe_gate(&gates[0]);
    assert_eq!(
        program.lines("tollgate.rate_limiting.utilization"),
        [of("tph", "tokens", "0.45")]
    );
    assert_eq!(
        program.lines("tollgate.rate_limiting.token.limit"),
        [of("tph", "tokens", "1000")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_gate_tells_its_recorder_how_long_a_call_waited() {
    let program = Program::start();
    let plan = Plan::new([Policy::new("slots", Quota::slots(1).unwrap())]).unwrap();
    let gate = Gate::builder(plan)
        .recorder(program.recorder.clone())
        .build();
    let call = Call::new(labels(), Amounts::call(400, 200));

    let first = gate.acquire(&call).await.unwrap();
    let second = tokio::spawn(gate.acquire(&call));
    tokio::task::yield_now().await;
    assert_eq!(
        program.lines("tollgate.rate_limiting.queued_requests"),
        [line(&[], "1")]
    );
    tokio::time::advance(Duration::from_secs(3)).await;
    drop(first);
    drop(second.await.unwrap().unwrap());

    let acquired = [("tollgate.rate_limiting.result", "acquired")];
    assert_eq!(
        program.lines("tollgate.rate_limiting.queued_requests"),
        [line(&[], "0")]
    );
    assert_eq!(
        program.lines("tollgate.rate_limiting.requests"),
        [line(&acquired, "2")]
    );
    assert_eq!(
        program.lines("tollgate.rate_limiting.request.time_in_queue"),
        [line(&acquired, "1 sum 3.0")]
    );
    let released = [("tollgate.settlement.source", "released")];
    assert_eq!(
        program.lines("tollgate.settlements"),
        [line(&released, "2")]
    );
}
