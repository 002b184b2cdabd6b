//! Another plan for a ledger at work.

use core::time::Duration;

use tollgate_limits::{
    Amounts, Anchor, Booking, ChangeError, Decision, Labels, Lane, Ledger, News, Plan, Policy,
    Quota, Reservation, Tick, Unit,
};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_lower_limit_means_debt_and_a_higher_one_frees_at_once() {
    for quota in [sliding as fn(u64) -> Quota, bucket, aligned, first_call] {
        let (mut ledger, lane) = one(policy(quota(10)));
        let _open = granted(&mut ledger, lane, 1, 8);
        change(&mut ledger, 2, [policy(quota(5))]);
        assert_eq!(used(&mut ledger, 2), 8);
        assert!(!fits(&mut ledger, lane, 2, 1));
        change(&mut ledger, 2, [policy(quota(100))]);
        assert!(fits(&mut ledger, lane, 2, 90));
        assert!(!fits(&mut ledger, lane, 2, 93));
    }
}

#[test]
fn a_call_in_flight_gets_its_refund_under_the_new_terms() {
    for quota in [sliding as fn(u64) -> Quota, bucket, aligned, first_call] {
        let (mut ledger, lane) = one(policy(quota(10)));
        let open = granted(&mut ledger, lane, 1, 8);
        let _other = granted(&mut ledger, lane, 1, 1);
        change(&mut ledger, 1, [policy(quota(20))]);
        ledger.settle(at(1), open, &tokens(3));
        assert_eq!(used(&mut ledger, 1), 4);
    }
}

#[test]
fn a_buckets_level_keeps_its_units_when_the_window_changes() {
    let (mut ledger, lane) = one(policy(bucket(60)));
    let open = granted(&mut ledger, lane, 0, 50);
    let other = granted(&mut ledger, lane, 0, 7);
    let longer = Quota::bucket(Unit::TotalTokens, 60, MINUTE * 7).unwrap();
    change(&mut ledger, 10, [policy(longer)]);
    assert_eq!(used(&mut ledger, 10), 47);
    assert_eq!(used(&mut ledger, 17), 46);
    ledger.settle(at(17), open, &tokens(49));
    ledger.settle(at(17), other, &tokens(6));
    assert_eq!(used(&mut ledger, 17), 44);
}

#[test]
fn another_shape_starts_with_what_was_used_and_gives_nothing_of_it_back() {
    let shapes = [sliding as fn(u64) -> Quota, bucket, aligned, first_call];
    for from in shapes {
        for to in shapes {
            let (mut ledger, lane) = one(policy(from(10)));
            let open = granted(&mut ledger, lane, 1, 8);
            change(&mut ledger, 1, [policy(to(10))]);
            assert_eq!(used(&mut ledger, 1), 8);
            let _more = granted(&mut ledger, lane, 1, 1);
            ledger.settle(at(1), open, &tokens(9));
            assert_eq!(used(&mut ledger, 1), 10, "an overrun is charged");
            assert_eq!(ledger.open_reservations(), 1);
        }
    }
}

#[test]
fn a_call_ends_as_it_was_booked() {
    let held = policy(sliding(10)).booking(Booking::Completion);
    let (mut ledger, lane) = one(held.clone());
    let early = granted(&mut ledger, lane, 0, 4);
    change(&mut ledger, 1, [policy(sliding(10))]);
    let late = granted(&mut ledger, lane, 1, 4);
    change(&mut ledger, 2, [held]);
    assert_eq!(
        (used(&mut ledger, 2), ledger.snapshot(at(2))[0].held),
        (4, 4)
    );
    ledger.settle(at(3), early, &tokens(3));
    ledger.settle(at(3), late, &tokens(1));
    assert_eq!(
        (used(&mut ledger, 3), ledger.snapshot(at(3))[0].held),
        (4, 0)
    );
}

#[test]
fn calls_in_flight_know_nothing_of_new_policies_and_of_those_that_are_gone() {
    let (mut ledger, lane) = one(policy(sliding(10)));
    let open = granted(&mut ledger, lane, 0, 4);
    let named = |name: &str| Policy::new(name, sliding(10));
    change(&mut ledger, 1, [named("new"), named("other")]);
    assert_eq!(used(&mut ledger, 1), 0);
    let _later = granted(&mut ledger, lane, 1, 10);
    ledger.settle(at(2), open, &tokens(1));
    assert!(
        ledger
            .snapshot(at(2))
            .iter()
            .all(|status| status.used == 10)
    );
}

#[test]
fn news_for_a_call_in_flight_is_still_set_against_its_books() {
    let (mut ledger, lane) = one(policy(bucket(60)));
    let _earlier = granted(&mut ledger, lane, 0, 10);
    let open = granted(&mut ledger, lane, 0, 10);
    let longer = Quota::bucket(Unit::TotalTokens, 60, MINUTE * 2).unwrap();
    change(
        &mut ledger,
        0,
        [Policy::new("first", sliding(100)), policy(longer)],
    );
    let news = News {
        unit: Unit::TotalTokens,
        window: Some(MINUTE * 2),
        limit: None,
        remaining: Some(35),
        rounding: 0,
    };
    assert!(ledger.adopt(at(0), &open, &news));
    assert_eq!(ledger.snapshot(at(0))[1].used, 25);
    assert!(!ledger.adopt(at(0), &open, &news));
}

#[test]
fn a_lower_limit_that_was_reported_stays_until_its_policy_changes() {
    let (mut ledger, lane) = one(policy(sliding(10)));
    let open = granted(&mut ledger, lane, 0, 1);
    let news = News {
        unit: Unit::TotalTokens,
        window: Some(MINUTE),
        limit: Some(5),
        remaining: None,
        rounding: 0,
    };
    assert!(ledger.adopt(at(0), &open, &news));
    change(
        &mut ledger,
        0,
        [policy(sliding(10)), Policy::new("more", sliding(7))],
    );
    assert_eq!(ledger.snapshot(at(0))[0].limit, 5);
    change(&mut ledger, 0, [policy(sliding(20))]);
    assert_eq!(ledger.snapshot(at(0))[0].limit, 20);
}

#[test]
fn a_partition_that_no_call_uses_any_more_is_not_forgotten_before_its_time() {
    let only = |models: &'static [&str]| {
        [policy(sliding(10))
            .per("tenant")
            .only("model", models.iter().copied())]
    };
    let mut ledger = Ledger::new(Plan::new(only(&["a", "b"])).unwrap());
    let call = |model: &str| Labels::new().with("tenant", "t").with("model", model);
    let lane = ledger.lane(&call("a"));
    let _open = granted(&mut ledger, lane, 0, 8);
    change(&mut ledger, 1, only(&["b"]));
    assert!(
        fits(&mut ledger, lane, 1, 100),
        "nothing limits it any more"
    );
    let other = ledger.lane(&call("b"));
    assert!(!fits(&mut ledger, other, 1, 3));
    change(&mut ledger, 2, only(&["a"]));
    assert!(!fits(&mut ledger, lane, 2, 3));
}

#[test]
fn a_lane_lasts_while_it_has_open_reservations_even_from_before_the_change() {
    let quota = || policy(sliding(10)).per("tenant");
    let plan = Plan::new([quota()]).unwrap();
    let mut ledger = Ledger::new(plan).partition_limit(2);
    let lane = ledger.lane(&Labels::new().with("tenant", "t"));
    let open = granted(&mut ledger, lane, 0, 1);
    change(&mut ledger, 0, [quota(), Policy::new("second", sliding(5))]);
    ledger.snapshot(at(1_000));
    for other in 0..100 {
        ledger.lane(&Labels::new().with("tenant", other.to_string()));
    }
    assert_eq!(ledger.meters_of(lane).len(), 2);
    ledger.settle(at(1_000), open, &tokens(1));
    for other in 0..100 {
        ledger.lane(&Labels::new().with("tenant", other.to_string()));
    }
    assert!(ledger.snapshot(at(1_000)).len() <= 4);
}

#[test]
fn a_policy_cannot_become_another() {
    let (mut ledger, _) = one(policy(sliding(10)));
    let named: std::sync::Arc<str> = "quota".into();
    let requests = Quota::sliding(Unit::Requests, 10, MINUTE).unwrap();
    let plan = Plan::new([policy(requests)]).unwrap();
    assert_eq!(
        ledger.change(at(0), plan),
        Err(ChangeError::Unit(named.clone()))
    );
    let plan = Plan::new([policy(sliding(10)).per("tenant")]).unwrap();
    let refused = ledger.change(at(0), plan).unwrap_err();
    assert_eq!(refused, ChangeError::Partition(named));
    assert_eq!(
        refused.to_string(),
        "policy `quota` cannot change its partition labels while calls run; give the new one another name"
    );
    assert!(ledger.plan().policies()[0] == policy(sliding(10)));
}

fn change(ledger: &mut Ledger, seconds: u64, policies: impl IntoIterator<Item = Policy>) {
    ledger
        .change(at(seconds), Plan::new(policies).unwrap())
        .unwrap();
}

fn used(ledger: &mut Ledger, seconds: u64) -> u64 {
    ledger.snapshot(at(seconds))[0].used
}

fn fits(ledger: &mut Ledger, lane: Lane, seconds: u64, units: u64) -> bool {
    ledger.check(at(seconds), lane, &tokens(units)) == tollgate_limits::Check::Fits
}

fn one(policy: Policy) -> (Ledger, Lane) {
    let mut ledger = Ledger::new(Plan::new([policy]).unwrap());
    let lane = ledger.lane(&Labels::new());
    (ledger, lane)
}

fn policy(quota: Quota) -> Policy {
    Policy::new("quota", quota).margin(Duration::ZERO).unwrap()
}

fn sliding(limit: u64) -> Quota {
    Quota::sliding(Unit::TotalTokens, limit, MINUTE).unwrap()
}

fn bucket(limit: u64) -> Quota {
    Quota::bucket(Unit::TotalTokens, limit, MINUTE).unwrap()
}

fn aligned(limit: u64) -> Quota {
    let offset = Duration::ZERO;
    Quota::window(Unit::TotalTokens, limit, MINUTE, Anchor::Aligned { offset }).unwrap()
}

fn first_call(limit: u64) -> Quota {
    Quota::window(Unit::TotalTokens, limit, MINUTE, Anchor::FirstCall).unwrap()
}

fn tokens(units: u64) -> Amounts {
    Amounts::ZERO.with(Unit::TotalTokens, units)
}

fn at(seconds: u64) -> Tick {
    Tick::after_origin(Duration::from_secs(seconds))
}

fn granted(ledger: &mut Ledger, lane: Lane, seconds: u64, units: u64) -> Reservation {
    match ledger.reserve(at(seconds), lane, &tokens(units)) {
        Decision::Granted(reservation) => reservation,
        other => panic!("not granted at {seconds} s: {other:?}"),
    }
}
