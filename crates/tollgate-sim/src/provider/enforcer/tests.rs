//! The promises of the enforcer, with exact numbers.

use super::*;

const SECOND: u64 = 1_000_000_000;

fn per_minute(unit: Unit, limit: u64, shape: Shape) -> Quota {
    Quota::per_minute(unit, limit, shape)
}

fn call(input: u64, cap: u64) -> Arrival<'static> {
    Arrival {
        team: "acme",
        pool: "llama",
        input,
        cap,
    }
}

fn admit(enforcer: &mut Enforcer, now: u64, call: &Arrival<'_>) -> Ticket {
    match enforcer.arrive(now, call) {
        Decision::Admit(ticket) => ticket,
        Decision::Refuse(refusal) => panic!("refused: {refusal:?}"),
    }
}

fn refuse(enforcer: &mut Enforcer, now: u64, call: &Arrival<'_>) -> Refusal {
    match enforcer.arrive(now, call) {
        Decision::Admit(ticket) => panic!("admitted: {ticket:?}"),
        Decision::Refuse(refusal) => refusal,
    }
}

fn used(enforcer: &mut Enforcer, now: u64) -> Vec<u64> {
    enforcer
        .standings(now, "acme", "llama")
        .iter()
        .map(|standing| standing.used)
        .collect()
}

#[test]
fn a_call_is_charged_to_all_quotas_or_to_none() {
    let quotas = vec![
        per_minute(Unit::Requests, 10, Shape::SlidingLog),
        per_minute(Unit::Total, 100, Shape::SlidingLog),
    ];
    let mut enforcer = Enforcer::new(Rules::new(Charging::Arrival, quotas.clone()));
    let _running = admit(&mut enforcer, 0, &call(60, 20));
    let refusal = refuse(&mut enforcer, 5 * SECOND, &call(10, 20));
    let expected = Refusal {
        quota: quotas[1],
        limit: 100,
        used: 80,
        requested: 30,
        retry_after_ns: Some(55 * SECOND),
    };
    assert_eq!(refusal, expected);
    assert_eq!(used(&mut enforcer, 5 * SECOND), [1, 80]);
}

#[test]
fn charging_at_arrival_trues_up_to_the_arrival() {
    let quotas = vec![
        per_minute(Unit::Total, 100, Shape::SlidingLog),
        per_minute(Unit::Output, 90, Shape::SlidingLog),
    ];
    let mut enforcer = Enforcer::new(Rules::new(Charging::Arrival, quotas));
    let ticket = admit(&mut enforcer, 0, &call(10, 80));
    assert_eq!(used(&mut enforcer, 1), [90, 80]);
    enforcer.complete(ticket, 30 * SECOND, 10, 5);
    assert_eq!(used(&mut enforcer, 30 * SECOND), [15, 5]);
    assert_eq!(used(&mut enforcer, 60 * SECOND), [0, 0]);
}

#[test]
fn charging_at_completion_checks_the_input_and_books_later() {
    let mut enforcer = Enforcer::new(Rules::new(
        Charging::Completion,
        vec![per_minute(Unit::Total, 100, Shape::SlidingLog)],
    ));
    let first = admit(&mut enforcer, 0, &call(60, 500));
    let second = admit(&mut enforcer, 0, &call(100, 500));
    assert_eq!(used(&mut enforcer, 0), [0]);
    enforcer.complete(first, 10 * SECOND, 60, 30);
    assert_eq!(used(&mut enforcer, 10 * SECOND), [90]);
    assert_eq!(refuse(&mut enforcer, 10 * SECOND, &call(11, 0)).used, 90);
    enforcer.complete(second, 20 * SECOND, 100, 1);
    assert_eq!(used(&mut enforcer, 20 * SECOND), [191]);
    assert_eq!(used(&mut enforcer, 70 * SECOND), [101]);
}

#[test]
fn charging_as_produced_books_output_when_it_appears() {
    let quotas = vec![
        per_minute(Unit::Input, 100, Shape::SlidingLog),
        per_minute(Unit::Output, 50, Shape::SlidingLog),
    ];
    let mut enforcer = Enforcer::new(Rules::new(Charging::Produced, quotas));
    let mut ticket = admit(&mut enforcer, 0, &call(40, 1_000));
    assert_eq!(used(&mut enforcer, 0), [40, 0]);
    enforcer.produce(&mut ticket, 10 * SECOND, 20);
    assert_eq!(used(&mut enforcer, 10 * SECOND), [40, 20]);
    enforcer.complete(ticket, 20 * SECOND, 40, 50);
    assert_eq!(used(&mut enforcer, 20 * SECOND), [40, 50]);
    // Nothing of the output is reserved, but an exhausted quota takes no call.
    assert_eq!(
        refuse(&mut enforcer, 20 * SECOND, &call(1, 1)).retry_after_ns,
        Some(50 * SECOND)
    );
    assert_eq!(used(&mut enforcer, 70 * SECOND), [0, 30]);
}

#[test]
fn an_aborted_call_is_billed_for_its_input_and_what_was_produced() {
    for charging in [Charging::Arrival, Charging::Completion, Charging::Produced] {
        let mut enforcer = Enforcer::new(Rules::new(
            charging,
            vec![per_minute(Unit::Total, 100, Shape::SlidingLog)],
        ));
        let mut ticket = admit(&mut enforcer, 0, &call(40, 50));
        enforcer.produce(&mut ticket, SECOND, 7);
        enforcer.abort(ticket, 2 * SECOND, 7);
        assert_eq!(used(&mut enforcer, 2 * SECOND), [47], "{charging:?}");
    }
}

#[test]
fn refused_calls_count_only_where_the_rules_say_so() {
    for (failed_count, expected) in [(false, 1), (true, 3)] {
        let quotas = vec![
            per_minute(Unit::Requests, 10, Shape::Aligned),
            per_minute(Unit::Total, 10, Shape::Aligned),
        ];
        let mut enforcer =
            Enforcer::new(Rules::new(Charging::Arrival, quotas).failed_count(failed_count));
        let _running = admit(&mut enforcer, 0, &call(10, 0));
        let _ = refuse(&mut enforcer, 1, &call(1, 0));
        let _ = refuse(&mut enforcer, 2, &call(1, 0));
        assert_eq!(used(&mut enforcer, 2), [expected, 10]);
    }
}

#[test]
fn a_refused_call_that_counts_makes_the_next_one_wait_longer() {
    let quotas = vec![per_minute(Unit::Requests, 60, Shape::Bucket { burst: 1 })];
    let mut enforcer = Enforcer::new(Rules::new(Charging::Arrival, quotas).failed_count(true));
    let _running = admit(&mut enforcer, 0, &call(1, 0));
    assert_eq!(
        refuse(&mut enforcer, 0, &call(1, 0)).retry_after_ns,
        Some(2 * SECOND)
    );
    assert_eq!(
        refuse(&mut enforcer, 0, &call(1, 0)).retry_after_ns,
        Some(3 * SECOND)
    );
}

#[test]
fn teams_and_pools_do_not_share() {
    let rules = Rules::new(
        Charging::Arrival,
        vec![per_minute(Unit::Requests, 1, Shape::Aligned)],
    );
    let wide = Rules::new(
        Charging::Arrival,
        vec![per_minute(Unit::Requests, 2, Shape::Aligned)],
    );
    let mut enforcer = Enforcer::new(rules).with_pool("wide", wide);
    let (same, other_team) = (
        call(1, 0),
        Arrival {
            team: "other",
            ..call(1, 0)
        },
    );
    let wide = Arrival {
        pool: "wide",
        ..call(1, 0)
    };
    let _running = [&same, &other_team, &wide, &wide]
        .map(|call| enforcer.arrive(0, call))
        .map(|decision| match decision {
            Decision::Admit(ticket) => ticket,
            Decision::Refuse(refusal) => panic!("{refusal:?}"),
        });
    for call in [same, other_team, wide] {
        assert_eq!(
            refuse(&mut enforcer, 0, &call).retry_after_ns,
            Some(60 * SECOND)
        );
    }
}

#[test]
fn the_quota_with_the_longest_wait_is_named() {
    let quotas = vec![
        per_minute(Unit::Requests, 1, Shape::SlidingLog),
        per_minute(Unit::Input, 100, Shape::Bucket { burst: 100 }),
        Quota::concurrency(5),
    ];
    let mut enforcer = Enforcer::new(Rules::new(Charging::Arrival, quotas.clone()));
    let _running = admit(&mut enforcer, 0, &call(100, 0));
    assert_eq!(refuse(&mut enforcer, SECOND, &call(1, 0)).quota, quotas[0]);
    let never = refuse(&mut enforcer, SECOND, &call(101, 0));
    assert_eq!((never.quota, never.retry_after_ns), (quotas[1], None));
    assert!(never.requested > never.limit);
}

#[test]
fn calls_at_once_are_limited_until_one_ends() {
    let mut enforcer = Enforcer::new(Rules::new(Charging::Arrival, vec![Quota::concurrency(1)]));
    let ticket = admit(&mut enforcer, 0, &call(1, 0));
    assert_eq!(
        refuse(&mut enforcer, 100 * SECOND, &call(1, 0)).retry_after_ns,
        None
    );
    enforcer.complete(ticket, 101 * SECOND, 1, 1);
    let _running = admit(&mut enforcer, 101 * SECOND, &call(1, 0));
}

#[test]
fn time_that_goes_back_counts_as_the_latest_seen() {
    let mut enforcer = Enforcer::new(Rules::new(
        Charging::Arrival,
        vec![per_minute(Unit::Total, 10, Shape::SlidingLog)],
    ));
    let ticket = admit(&mut enforcer, 50 * SECOND, &call(10, 0));
    assert_eq!(
        refuse(&mut enforcer, 0, &call(1, 0)).retry_after_ns,
        Some(60 * SECOND)
    );
    enforcer.complete(ticket, 0, 4, 0);
    assert_eq!(used(&mut enforcer, 0), [4]);
}
