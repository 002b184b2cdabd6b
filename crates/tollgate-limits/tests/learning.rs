//! What the ledger learns from refusals and headers: to space its grants, to leave room for others, and limits nobody has told.

use core::time::Duration;

use tollgate_limits::{
    Amounts, Decision, Labels, Lane, Ledger, News, Plan, Policy, Quota, Reservation, Tick, Unit,
};

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Tick {
    Tick::ZERO.plus(Duration::from_secs(seconds))
}

fn rpm(limit: u64) -> Policy {
    Policy::new(
        "rpm",
        Quota::sliding(Unit::Requests, limit, MINUTE).unwrap(),
    )
    .margin(Duration::ZERO)
    .unwrap()
}

fn ledger(policy: Policy) -> (Ledger, Lane) {
    let mut ledger = Ledger::new(Plan::new([policy]).unwrap());
    let lane = ledger.lane(&Labels::new().with("model", "a"));
    (ledger, lane)
}

fn reserve(ledger: &mut Ledger, lane: Lane, now: Tick) -> Result<Reservation, Option<Tick>> {
    match ledger.reserve(now, lane, &Amounts::call(0, 0)) {
        Decision::Granted(reservation) => Ok(reservation),
        Decision::Wait(wait) => Err(wait.until),
        other => panic!("{other:?}"),
    }
}

fn pace(ledger: &Ledger) -> Option<u64> {
    ledger.tightenings().first().map(|learned| learned.pace)
}

fn remaining(remaining: u64) -> News {
    News {
        unit: Unit::Requests,
        window: Some(MINUTE),
        limit: None,
        remaining: Some(remaining),
        rounding: 0,
    }
}

#[test]
fn a_refusal_that_the_books_did_not_foresee_spaces_grants_from_then_on() {
    let (mut ledger, lane) = ledger(rpm(61));
    let first = reserve(&mut ledger, lane, at(0)).unwrap();
    let second = reserve(&mut ledger, lane, at(0)).unwrap();
    let learned = ledger
        .throttled(at(1), &first, Some(Unit::Requests), at(5))
        .unwrap();
    assert_eq!(
        (&*learned.policy, learned.limit, learned.pace),
        ("rpm", 61, 60)
    );
    // The other call of the burst says nothing new.
    assert_eq!(
        ledger.throttled(at(1), &second, Some(Unit::Requests), at(5)),
        None
    );
    assert_eq!(pace(&ledger), Some(60));
    assert_eq!(reserve(&mut ledger, lane, at(2)), Err(Some(at(5))));
    let _ = reserve(&mut ledger, lane, at(5)).unwrap();
    assert_eq!(reserve(&mut ledger, lane, at(5)), Err(Some(at(6))));
    // Not for one window only, as after a pause.
    let _ = reserve(&mut ledger, lane, at(1_000)).unwrap();
    assert_eq!(reserve(&mut ledger, lane, at(1_000)), Err(Some(at(1_001))));
}

#[test]
fn what_was_learned_holds_in_every_partition_and_outlives_them() {
    let (ledger, lane) = ledger(rpm(61).per("model"));
    let mut ledger = ledger.partition_limit(2);
    let first = reserve(&mut ledger, lane, at(0)).unwrap();
    assert!(ledger.throttled(at(0), &first, None, at(0)).is_some());
    ledger.release(at(0), first);
    let b = ledger.lane(&Labels::new().with("model", "b"));
    let _ = reserve(&mut ledger, b, at(10_000)).unwrap();
    // Looking up lanes forgets idle partitions one by one.
    for _ in 0..10_000 {
        ledger.lane(&Labels::new().with("model", "b"));
    }
    let other = ledger.lane(&Labels::new().with("model", "b"));
    assert_eq!(ledger.snapshot(at(10_000)).len(), 1);
    assert_eq!(
        reserve(&mut ledger, other, at(10_000)),
        Err(Some(at(10_001)))
    );
    assert_eq!(ledger.snapshot(at(10_000))[0].pace, Some(60));
}

#[test]
fn a_policy_can_be_told_from_the_start_what_it_once_learned() {
    let (mut ledger, lane) = ledger(rpm(61).paced(60).unwrap());
    let first = reserve(&mut ledger, lane, at(10)).unwrap();
    assert_eq!(reserve(&mut ledger, lane, at(10)), Err(Some(at(11))));
    // It still learns.
    let learned = ledger.throttled(at(11), &first, None, at(11)).unwrap();
    assert_eq!(learned.pace, 57);
}

#[test]
fn usage_learned_too_late_explains_a_refusal() {
    let quota = Quota::sliding(Unit::OutputTokens, 100, MINUTE).unwrap();
    let (mut ledger, lane) = ledger(Policy::new("otpm", quota));
    let amounts = Amounts::call(0, 50);
    let mut call = |now| match ledger.reserve(now, lane, &amounts) {
        Decision::Granted(reservation) => reservation,
        other => panic!("{other:?}"),
    };
    let (first, second) = (call(at(0)), call(at(0)));
    ledger.settle(at(1), first, &Amounts::call(0, 90));
    assert_eq!(
        ledger.throttled(at(2), &second, Some(Unit::OutputTokens), at(3)),
        None
    );
    assert_eq!(pace(&ledger), None);
}

#[test]
fn others_explain_a_refusal_and_are_left_room_for() {
    let (mut ledger, lane) = ledger(rpm(100));
    let first = reserve(&mut ledger, lane, at(0)).unwrap();
    // We have used one, the provider counts 41.
    assert!(ledger.adopt(at(1), &first, &remaining(59)));
    let refused = reserve(&mut ledger, lane, at(2)).unwrap();
    assert_eq!(
        ledger.throttled(at(3), &refused, Some(Unit::Requests), at(3)),
        None
    );
    assert_eq!(pace(&ledger), None);
    // Others may have taken some more since: less than the 58 that are left by the books.
    let status = &ledger.snapshot(at(3))[0];
    assert_eq!((status.used, status.remaining()), (42, 58));
    let Decision::Wait(wait) = ledger.reserve(at(3), lane, &Amounts::ZERO.with(Unit::Requests, 58))
    else {
        panic!("room is left for others")
    };
    assert!(wait.binding.remaining < 58, "{}", wait.binding.remaining);
}

fn tokens(total: u64) -> News {
    News {
        unit: Unit::TotalTokens,
        ..remaining(total)
    }
}

#[test]
fn an_estimate_that_was_a_little_short_is_no_reason_to_space_grants() {
    let quota = Quota::sliding(Unit::TotalTokens, 250_000, MINUTE).unwrap();
    let (mut ledger, lane) = ledger(Policy::new("tpm", quota).margin(Duration::ZERO).unwrap());
    let reserve = |ledger: &mut Ledger, now, tokens| match ledger.reserve(
        now,
        lane,
        &Amounts::call(tokens, 0),
    ) {
        Decision::Granted(reservation) => reservation,
        other => panic!("{other:?}"),
    };
    // The provider counts 20 tokens more than we for this very call: the head of its answer says so before its usage does.
    let first = reserve(&mut ledger, at(0), 955);
    assert!(ledger.adopt(at(0), &first, &tokens(250_000 - 975)));
    // So much is left free beside what is booked, and that is all.
    let second = reserve(&mut ledger, at(0), 250_000 - 975 - 20);
    ledger.release(at(0), second);
    // Once the usage has told whose they were, nothing is left free; the 20 stay booked twice, against us.
    ledger.settle(at(1), first, &Amounts::call(975, 0));
    let last = reserve(&mut ledger, at(1), 250_000 - 975 - 20);
    ledger.release(at(1), last);
}

#[test]
fn a_sixty_fourth_used_by_others_spaces_grants() {
    let quota = Quota::sliding(Unit::TotalTokens, 64_000, MINUTE).unwrap();
    let policy = Policy::new("tpm", quota).margin(Duration::ZERO).unwrap();
    for (others, spaced) in [(999, false), (1_000, true)] {
        let (mut ledger, lane) = ledger(policy.clone());
        let amounts = Amounts::call(1_000, 0);
        let Decision::Granted(first) = ledger.reserve(at(0), lane, &amounts) else {
            panic!("the first call fits")
        };
        ledger.adopt(at(0), &first, &tokens(63_000 - others));
        let second = ledger.reserve(at(0), lane, &amounts);
        assert!(matches!(second, Decision::Granted(_)), "{second:?}");
        let third = ledger.reserve(at(0), lane, &amounts);
        assert_eq!(!matches!(third, Decision::Granted(_)), spaced, "{others}");
    }
}

#[test]
fn a_refusal_whose_own_headers_show_others_teaches_no_pace() {
    for (left, lessons) in [(0, 0), (1, 1)] {
        let (mut ledger, lane) = ledger(rpm(100));
        let refused = reserve(&mut ledger, lane, at(0)).unwrap();
        for _ in 1..100 {
            let one = reserve(&mut ledger, lane, at(0)).unwrap();
            ledger.settle(at(1), one, &Amounts::call(0, 0));
        }
        // By the provider's own count there was no room for the call, or there was and it has another rule.
        ledger.adopt(at(2), &refused, &remaining(left));
        let learned = ledger.throttled(at(2), &refused, Some(Unit::Requests), at(2));
        assert_eq!(learned.into_iter().count(), lessons, "{left} were left");
        ledger.settle(at(2), refused, &Amounts::ZERO);
        // The refused call is not counted, but what took its place is.
        assert_eq!(ledger.snapshot(at(2))[0].used, 100 - lessons as u64);
    }
}

#[test]
fn where_nobody_else_is_expected_no_room_is_left() {
    let (mut ledger, lane) = ledger(rpm(100).alone());
    let first = reserve(&mut ledger, lane, at(0)).unwrap();
    assert!(ledger.adopt(at(1), &first, &remaining(59)));
    let granted = ledger.reserve(at(1), lane, &Amounts::ZERO.with(Unit::Requests, 59));
    assert!(matches!(granted, Decision::Granted(_)), "{granted:?}");
}

#[test]
fn a_higher_limit_in_a_header_is_taken_over_only_if_trusted() {
    for (policy, expected) in [(rpm(10), 10), (rpm(10).trusting(), 30)] {
        let (mut ledger, lane) = ledger(policy);
        let first = reserve(&mut ledger, lane, at(0)).unwrap();
        let news = News {
            limit: Some(30),
            remaining: None,
            ..remaining(0)
        };
        assert_eq!(ledger.adopt(at(1), &first, &news), expected == 30);
        assert_eq!(ledger.snapshot(at(1))[0].limit, expected);
    }
}

#[test]
fn an_adaptive_policy_doubles_until_it_is_refused_and_goes_back_below_that() {
    let (mut ledger, lane) = ledger(rpm(60).adaptive(1, 1_000).unwrap());
    let mut granted = Vec::new();
    let mut now = at(0);
    while ledger.snapshot(now)[0].limit < 120 {
        match reserve(&mut ledger, lane, now) {
            Ok(reservation) => granted.push((now, reservation)),
            Err(until) => now = until.unwrap(),
        }
    }
    // Spaced at the limit, so a window later.
    assert_eq!(now, at(60));
    let used = ledger.snapshot(now)[0].used;
    let (_, refused) = granted.pop().unwrap();
    let learned = ledger
        .throttled(now, &refused, Some(Unit::Requests), now)
        .unwrap();
    assert_eq!((learned.limit, used), (120, 60));
    // 59 were admitted beside the one refused, but one refusal takes no more than half.
    assert_eq!((learned.pace, ledger.snapshot(now)[0].limit), (58, 58));
}

#[test]
fn adaptive_slots_are_not_raised_while_half_of_them_are_idle() {
    let policy = Policy::new("slots", Quota::slots(4).unwrap());
    let (mut ledger, lane) = ledger(policy.adaptive(1, 100).unwrap());
    for i in 0..100 {
        let one = reserve(&mut ledger, lane, at(i)).unwrap();
        ledger.settle(at(i), one, &Amounts::call(0, 0));
    }
    assert_eq!(ledger.snapshot(at(100))[0].limit, 4);
}
