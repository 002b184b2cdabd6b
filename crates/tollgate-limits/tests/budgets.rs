//! Budgets: refused once spent, never lost over a restart, and counted as the provider counts.

use std::time::Duration;

use tollgate_limits::{
    Amounts, Anchor, Booking, Calendar, Check, Counting, Decision, Labels, Lane, Ledger, Plan,
    Policy, Quota, Reservation, Tick, Unit, Wait,
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn at(hours: u32) -> Tick {
    Tick::after_origin(HOUR * hours)
}

fn cost(units: u64) -> Amounts {
    Amounts::call(0, 0).with(Unit::Cost, units)
}

/// So much per day, booked when a call is done.
fn daily(limit: u64) -> Policy {
    let anchor = Anchor::Aligned {
        offset: Duration::ZERO,
    };
    Policy::new(
        "day",
        Quota::window(Unit::Cost, limit, DAY, anchor).unwrap(),
    )
    .booking(Booking::Completion)
    .refusing()
    .margin(Duration::ZERO)
    .unwrap()
}

/// So much, ever.
fn total(limit: u64) -> Policy {
    let calendar = Calendar::new([Tick::ZERO, Tick::MAX]).unwrap();
    let quota = Quota::window(Unit::Cost, limit, DAY, Anchor::Calendar(calendar)).unwrap();
    Policy::new("total", quota)
        .booking(Booking::Completion)
        .refusing()
}

fn ledger(policies: impl IntoIterator<Item = Policy>) -> (Ledger, Lane) {
    let mut ledger = Ledger::new(Plan::new(policies).unwrap());
    let lane = ledger.lane(&Labels::new());
    (ledger, lane)
}

#[track_caller]
fn granted(ledger: &mut Ledger, lane: Lane, now: Tick, amounts: Amounts) -> Reservation {
    match ledger.reserve(now, lane, &amounts) {
        Decision::Granted(reservation) => reservation,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn spent(ledger: &mut Ledger, lane: Lane, now: Tick, amounts: Amounts) -> Wait {
    match ledger.reserve(now, lane, &amounts) {
        Decision::Spent(wait) => wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_spent_budget_refuses_and_says_what_was_spent_and_when_it_starts_again() {
    let (mut ledger, lane) = ledger([daily(100)]);
    let call = granted(&mut ledger, lane, at(1), cost(90));
    ledger.settle(at(2), call, &cost(97));
    let wait = spent(&mut ledger, lane, at(3), cost(4));
    let binding = &wait.binding;
    assert_eq!(
        (
            binding.used,
            binding.remaining,
            binding.capacity,
            binding.needed
        ),
        (97, 3, 100, 4)
    );
    assert_eq!(wait.until, Some(at(24)));
    drop(granted(&mut ledger, lane, at(3), cost(3)));
    drop(granted(&mut ledger, lane, at(25), cost(90)));
}

#[test]
fn calls_in_flight_do_not_hide_when_a_spent_budget_starts_again() {
    let (mut ledger, lane) = ledger([daily(100)]);
    let _in_flight = granted(&mut ledger, lane, at(1), cost(60));
    ledger.book(at(1), lane, &cost(90));
    let wait = spent(&mut ledger, lane, at(2), cost(50));
    assert_eq!(wait.until, Some(at(24)));
}

#[test]
fn calls_in_flight_may_use_less_and_so_are_waited_for() {
    let (mut ledger, lane) = ledger([daily(100)]);
    let call = granted(&mut ledger, lane, at(1), cost(90));
    assert!(matches!(
        ledger.check(at(1), lane, &cost(20)),
        Check::Wait(_)
    ));
    ledger.settle(at(2), call, &cost(10));
    drop(granted(&mut ledger, lane, at(2), cost(20)));
}

#[test]
fn what_goes_beyond_the_reservation_is_debt_and_no_call_passes_while_it_stands() {
    let (mut ledger, lane) = ledger([total(100)]);
    let call = granted(&mut ledger, lane, at(1), cost(10));
    ledger.settle(at(2), call, &cost(170));
    let wait = spent(&mut ledger, lane, at(20_000), cost(1));
    assert_eq!((wait.binding.used, wait.until), (170, None));
    // A call that costs nothing needs nothing of it.
    drop(granted(&mut ledger, lane, at(20_000), cost(0)));
}

#[test]
fn the_overshoot_is_bounded_by_what_is_in_flight() {
    // Ten calls that are each expected to cost 10 and come to 15.
    let (mut ledger, lane) = ledger([daily(100)]);
    let mut open = Vec::new();
    while let Decision::Granted(call) = ledger.reserve(at(1), lane, &cost(10)) {
        open.push(call);
    }
    assert_eq!(open.len(), 10);
    for call in open {
        ledger.settle(at(2), call, &cost(15));
    }
    // The limit and, of each call that was in flight, what it used beyond what was expected of it.
    assert_eq!(ledger.snapshot(at(2))[0].used, 100 + 10 * (15 - 10));
    spent(&mut ledger, lane, at(2), cost(1));
}

#[test]
fn what_an_earlier_run_used_is_counted_in_the_windows_it_lies_in() {
    let minute = Duration::from_secs(60);
    let sliding = Quota::sliding(Unit::Cost, 100, minute).unwrap();
    let bucket = Quota::bucket(Unit::Cost, 100, 100 * HOUR).unwrap();
    let (mut ledger, lane) = ledger([
        daily(100),
        total(1_000),
        Policy::new("sliding", sliding),
        Policy::new("bucket", bucket),
    ]);
    ledger.book(at(5), lane, &cost(30));
    ledger.book(at(25), lane, &cost(40));
    ledger.book(at(26), lane, &cost(50));
    let used: Vec<_> = ledger.snapshot(at(30)).iter().map(|s| s.used).collect();
    // The bucket has drained 1 per hour all the time.
    assert_eq!(used, [90, 120, 0, 95]);
}

#[test]
fn what_is_booked_late_counts_in_its_own_window_or_not_at_all() {
    let (mut ledger, lane) = ledger([daily(100), total(1_000)]);
    drop(granted(&mut ledger, lane, at(30), cost(1)));
    ledger.book(at(23), lane, &cost(30));
    ledger.book(at(24), lane, &cost(40));
    let used: Vec<_> = ledger.snapshot(at(30)).iter().map(|s| s.used).collect();
    assert_eq!(used, [40, 70]);
}

#[test]
fn each_policy_counts_the_same_call_in_its_own_way() {
    let sliding = |name, unit| {
        Policy::new(name, Quota::sliding(unit, 10_000, HOUR).unwrap()).booking(Booking::Completion)
    };
    let (mut ledger, lane) = ledger([
        sliding("all", Unit::TotalTokens),
        sliding("weighted", Unit::TotalTokens).counting(
            Counting::PLAIN
                .cache_reads(false)
                .output_cap(true)
                .output_weight(5_000),
        ),
        sliding("rpm", Unit::Requests),
        sliding("good", Unit::Requests).counting(Counting::PLAIN.failures(false)),
    ]);
    let expected = Amounts::call(1_000, 100).output_cap(400);
    let call = granted(&mut ledger, lane, at(1), expected);
    let held = |ledger: &mut Ledger| -> Vec<u64> {
        ledger.snapshot(at(1)).iter().map(|s| s.held).collect()
    };
    assert_eq!(held(&mut ledger), [1_100, 1_500, 1, 1]);
    ledger.settle(at(1), call, &Amounts::call(1_000, 80).cache_read(900));
    let used = |ledger: &mut Ledger| -> Vec<u64> {
        ledger.snapshot(at(1)).iter().map(|s| s.used).collect()
    };
    assert_eq!(used(&mut ledger), [1_080, 500, 1, 1]);
    let call = granted(&mut ledger, lane, at(1), expected);
    ledger.settle(at(1), call, &Amounts::call(0, 0).failed());
    assert_eq!(used(&mut ledger), [1_080, 500, 2, 1]);
}
