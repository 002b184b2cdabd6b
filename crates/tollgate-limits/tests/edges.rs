//! The corners of the ledger: the ends of time, absurd amounts, nothing at all, clocks that go back, and calls that were never sent.

use core::time::Duration;

use tollgate_limits::{
    Amounts, Anchor, Booking, Calendar, Check, Decision, Labels, Lane, Ledger, News, Plan, Policy,
    Quota, QuotaError, Reservation, Tick, Unit, Wait,
};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_first_call_that_was_never_sent_opens_no_window() {
    let (mut ledger, lane) = one(window(10, Anchor::FirstCall, 0));
    let unsent = granted(&mut ledger, lane, 0, 10);
    ledger.release(at(1), unsent);
    // The provider's window runs from 50 s to 110 s, not from 0 s to 60 s.
    let _sent = granted(&mut ledger, lane, 50, 10);
    assert_eq!(wait(&mut ledger, lane, 61, 1).until, Some(at(110)));
}

#[test]
fn a_window_opens_with_the_earliest_call_that_was_sent() {
    let (mut ledger, lane) = one(window(10, Anchor::FirstCall, 0));
    let unsent = granted(&mut ledger, lane, 0, 1);
    let _sent = granted(&mut ledger, lane, 20, 9);
    ledger.release(at(30), unsent);
    assert_eq!(wait(&mut ledger, lane, 61, 2).until, Some(at(80)));
    let _last = granted(&mut ledger, lane, 79, 1);
}

#[test]
fn a_call_of_nothing_opens_no_window() {
    let (mut ledger, lane) = one(window(10, Anchor::FirstCall, 0));
    let _nothing = granted(&mut ledger, lane, 0, 0);
    let _first = granted(&mut ledger, lane, 50, 10);
    assert_eq!(wait(&mut ledger, lane, 61, 1).until, Some(at(110)));
}

#[test]
fn a_booking_near_the_end_of_a_window_may_have_opened_the_next() {
    let policy = window(10, Anchor::FirstCall, 2).booking(Booking::Completion);
    let (mut ledger, lane) = one(policy);
    let first = granted(&mut ledger, lane, 0, 4);
    let second = granted(&mut ledger, lane, 0, 6);
    ledger.settle(at(10), first, &tokens(4));
    // Our window runs from 10 s to 70 s, give or take two seconds.
    ledger.settle(at(69), second, &tokens(6));
    assert_eq!(wait(&mut ledger, lane, 69, 4).until, Some(at(72)));
    let third = granted(&mut ledger, lane, 72, 4);
    ledger.settle(at(73), third, &tokens(4));
    // The next one began with the second call, at 67 s at the earliest, or with the third, up to 73 s.
    assert_eq!(wait(&mut ledger, lane, 124, 1).until, Some(at(135)));
    assert_eq!(wait(&mut ledger, lane, 134, 10).until, Some(at(135)));
    let _fresh = granted(&mut ledger, lane, 135, 10);
}

#[test]
fn nothing_is_granted_even_in_debt() {
    for (policy, overrun) in [
        (bucket(10, 0), 50),
        (sliding(10), 50),
        (window(10, Anchor::FirstCall, 0), 50),
        (window(10, minute_aligned(), 5), 50),
    ] {
        let (mut ledger, lane) = one(policy);
        let reservation = granted(&mut ledger, lane, 10, 1);
        ledger.settle(at(10), reservation, &tokens(overrun));
        let _nothing = granted(&mut ledger, lane, 10, 0);
        let _near_the_boundary = granted(&mut ledger, lane, 59, 0);
        ledger.pause(lane, None, at(70));
        assert_eq!(wait(&mut ledger, lane, 59, 0).until, Some(at(70)));
    }
}

#[test]
fn an_unused_bucket_grants_its_whole_burst_even_at_the_origin_of_time() {
    let (mut ledger, lane) = one(bucket(10, 3));
    let _all = granted(&mut ledger, lane, 0, 10);
}

#[test]
fn a_call_of_nothing_does_not_make_a_bucket_seem_used() {
    let (mut ledger, lane) = one(bucket(10, 3));
    let _nothing = granted(&mut ledger, lane, 100, 0);
    let _all = granted(&mut ledger, lane, 100, 10);
}

#[test]
fn the_instant_of_a_wait_suits_every_policy_together() {
    // The slots of time: the sliding window has room again at 58 s, where the fixed one is too near its end.
    let plan = [
        window(100, minute_aligned(), 5).only("model", ["*"]),
        Policy::new(
            "sliding",
            Quota::sliding(Unit::TotalTokens, 10, MINUTE).unwrap(),
        )
        .margin(Duration::ZERO)
        .unwrap(),
    ];
    let mut ledger = Ledger::new(Plan::new(plan).unwrap());
    let alone = ledger.lane(&Labels::new());
    let both = ledger.lane(&Labels::new().with("model", "any"));
    let _early = granted(&mut ledger, alone, 58, 10);
    let wait = wait(&mut ledger, both, 70, 1);
    assert_eq!(
        (&*wait.binding.policy, wait.until),
        ("sliding", Some(at(125)))
    );
    assert!(matches!(
        ledger.check(at(124), both, &tokens(1)),
        Check::Wait(_)
    ));
    let _then = granted(&mut ledger, both, 125, 1);
}

#[test]
fn a_binding_names_what_could_be_granted_now() {
    // Near a boundary nothing can, and a bucket keeps its margin back.
    let (mut ledger, lane) = one(window(10, minute_aligned(), 5));
    assert_eq!(wait(&mut ledger, lane, 57, 1).binding.remaining, 0);
    let (mut ledger, lane) = one(bucket(60, 3));
    let _some = granted(&mut ledger, lane, 0, 10);
    assert_eq!(wait(&mut ledger, lane, 0, 50).binding.remaining, 47);
    let _rest = granted(&mut ledger, lane, 0, 47);
}

#[test]
fn after_a_pause_calls_are_spaced_for_one_window_and_the_binding_says_so() {
    let (mut ledger, lane) = one(sliding(60));
    ledger.pause(lane, None, at(10));
    let _first = granted(&mut ledger, lane, 10, 7);
    let spaced = wait(&mut ledger, lane, 10, 1);
    assert_eq!(spaced.until, Some(at(17)));
    assert_eq!(spaced.binding.paused_until, Some(at(17)));
    // One window after the pause nothing is spaced any more, however large the last call was.
    let _large = granted(&mut ledger, lane, 68, 50);
    assert_eq!(wait(&mut ledger, lane, 69, 1).until, Some(at(70)));
}

#[test]
fn a_clock_that_goes_back_loses_no_refund_and_gains_no_room() {
    for policy in [
        bucket(10, 0),
        sliding(10),
        window(10, Anchor::FirstCall, 0),
        window(10, minute_aligned(), 0),
    ] {
        let (mut ledger, lane) = one(policy);
        let _first = granted(&mut ledger, lane, 100, 1);
        let second = granted(&mut ledger, lane, 50, 9);
        assert!(matches!(
            ledger.check(at(40), lane, &tokens(1)),
            Check::Wait(_)
        ));
        ledger.release(at(30), second);
        assert_eq!(ledger.snapshot(at(0))[0].used, 1);
    }
}

#[test]
fn a_share_of_the_providers_limit_is_not_eaten_by_those_who_use_the_rest() {
    // The provider gives 1,000; this program may use 500 of them. Others have used 400, so 600 are left: more than enough.
    let (mut ledger, lane) = one(sliding(500));
    let reservation = granted(&mut ledger, lane, 0, 1);
    assert!(!ledger.adopt(at(1), &reservation, &news(Some(1_000), 599)));
    assert_eq!(ledger.snapshot(at(1))[0].remaining(), 499);
    // Of the last 100 no more than these are ours.
    assert!(ledger.adopt(at(1), &reservation, &news(Some(1_000), 100)));
    assert_eq!(ledger.snapshot(at(1))[0].remaining(), 100);
}

#[test]
fn a_burst_below_the_limit_is_left_what_the_provider_has_left() {
    let quota = Quota::bucket(Unit::TotalTokens, 1_000, MINUTE)
        .unwrap()
        .burst(100)
        .unwrap();
    let (mut ledger, lane) = one(Policy::new("quota", quota).margin(Duration::ZERO).unwrap());
    let reservation = granted(&mut ledger, lane, 0, 1);
    assert!(!ledger.adopt(at(0), &reservation, &news(Some(1_000), 600)));
    assert_eq!(ledger.snapshot(at(0))[0].remaining(), 99);
    assert!(ledger.adopt(at(0), &reservation, &news(Some(1_000), 40)));
    assert_eq!(ledger.snapshot(at(0))[0].remaining(), 40);
}

#[test]
fn a_bucket_drains_at_the_old_rate_until_it_hears_of_a_lower_one() {
    let (mut ledger, lane) = one(bucket(60, 0));
    let reservation = granted(&mut ledger, lane, 0, 60);
    let lower = News {
        remaining: None,
        ..news(Some(6), 0)
    };
    assert!(ledger.adopt(at(30), &reservation, &lower));
    assert_eq!(ledger.snapshot(at(30))[0].used, 30);
    assert_eq!(ledger.snapshot(at(40))[0].used, 29);
}

#[test]
fn a_limit_of_zero_in_the_news_says_nothing() {
    let (mut ledger, lane) = one(sliding(10));
    let reservation = granted(&mut ledger, lane, 0, 1);
    assert!(!ledger.adopt(at(1), &reservation, &news(Some(0), 0)));
    assert_eq!(ledger.snapshot(at(1))[0].remaining(), 9);
}

#[test]
fn windows_before_the_first_listed_boundary_have_the_nominal_length_even_at_the_origin_of_time() {
    let calendar = Calendar::new([at(100)]).unwrap();
    let (mut ledger, lane) = one(window(10, Anchor::Calendar(calendar), 0));
    // ..40 s, 40..100 s, 100..160 s
    let _first = granted(&mut ledger, lane, 10, 10);
    assert_eq!(wait(&mut ledger, lane, 10, 1).until, Some(at(40)));
    let _second = granted(&mut ledger, lane, 40, 10);
    assert_eq!(wait(&mut ledger, lane, 40, 1).until, Some(at(100)));
    let _third = granted(&mut ledger, lane, 100, 10);
    assert_eq!(wait(&mut ledger, lane, 100, 1).until, Some(at(160)));
}

#[test]
fn a_calendar_window_too_short_for_two_margins_is_passed_over() {
    // Nothing fits from 50 s (ten before the first end) until 85 s (ten after the last one), though the nominal window is a minute.
    let calendar = Calendar::new([at(0), at(60), at(75), at(200)]).unwrap();
    let (mut ledger, lane) = one(window(10, Anchor::Calendar(calendar), 10));
    assert_eq!(wait(&mut ledger, lane, 50, 1).until, Some(at(85)));
    let _then = granted(&mut ledger, lane, 85, 1);
}

#[test]
fn absurd_usage_is_debt_and_no_overflow() {
    for policy in largest() {
        for booking in [Booking::Arrival, Booking::ArrivalKept, Booking::Completion] {
            let (mut ledger, lane) = one(policy.clone().booking(booking));
            let now = Tick::from_nanos(u64::MAX / 2);
            let open: Vec<Reservation> = (0..100)
                .map(
                    |_| match ledger.reserve(now, lane, &tokens(Quota::MAX_LIMIT / 200)) {
                        Decision::Granted(reservation) => reservation,
                        other => panic!("{other:?}"),
                    },
                )
                .collect();
            let absurd = News {
                rounding: u64::MAX,
                ..news(Some(u64::MAX), u64::MAX)
            };
            for reservation in &open {
                ledger.adopt(now, reservation, &absurd);
                ledger.adopt(now, reservation, &news(None, 0));
            }
            for reservation in open {
                ledger.settle(now, reservation, &tokens(u64::MAX));
            }
            assert_eq!(ledger.snapshot(now)[0].used, u64::MAX);
            assert_eq!(ledger.snapshot(now)[0].held, 0);
            assert!(matches!(
                ledger.reserve(now, lane, &tokens(1)),
                Decision::Wait(_)
            ));
            assert!(matches!(
                ledger.reserve(now, lane, &tokens(u64::MAX)),
                Decision::NeverFits(_)
            ));
        }
    }
}

#[test]
fn a_full_quota_stays_full_at_the_end_of_time() {
    for policy in largest() {
        let (mut ledger, lane) = one(policy);
        // In the middle of the last window, so that even its margin is far.
        for now in [Tick::from_nanos(u64::MAX - u64::MAX / 400), Tick::MAX] {
            while let Decision::Granted(_) =
                ledger.reserve(now, lane, &tokens(Quota::MAX_LIMIT / 4))
            {
                assert!(ledger.snapshot(now)[0].used <= Quota::MAX_LIMIT);
            }
            let Check::Wait(wait) = ledger.check(now, lane, &tokens(Quota::MAX_LIMIT)) else {
                panic!("granted")
            };
            assert!(
                wait.until
                    .is_none_or(|until| until > now || until == Tick::MAX)
            );
        }
    }
}

#[test]
fn use_by_others_can_be_learned_of_for_ever() {
    let quota = Quota::sliding(Unit::TotalTokens, Quota::MAX_LIMIT, Duration::from_nanos(1));
    let (mut ledger, lane) = one(Policy::new("quota", quota.unwrap())
        .margin(Duration::ZERO)
        .unwrap());
    // Together more than a u64 holds.
    for nanos in 0..20_000 {
        let now = Tick::from_nanos(nanos);
        let Decision::Granted(reservation) = ledger.reserve(now, lane, &tokens(1)) else {
            panic!("waits")
        };
        let news = News {
            window: Some(Duration::from_nanos(1)),
            ..news(None, 0)
        };
        assert!(ledger.adopt(now, &reservation, &news));
        assert_eq!(ledger.snapshot(now)[0].used, Quota::MAX_LIMIT);
        ledger.settle(now, reservation, &tokens(1));
    }
}

#[test]
fn a_margin_that_leaves_no_room_is_refused() {
    let check = |quota: Quota, nanos: u64, fits: bool| {
        let margin = Duration::from_nanos(nanos);
        let expected = if fits {
            Ok(())
        } else {
            Err(QuotaError::Margin { margin })
        };
        assert_eq!(
            Policy::new("quota", quota).margin(margin).map(|_| ()),
            expected
        );
    };
    let window = Duration::from_nanos(100);
    let unit = Unit::Requests;
    let fixed = || Quota::window(unit, 1, window, Anchor::FirstCall).unwrap();
    check(fixed(), 49, true);
    check(fixed(), 50, false);
    check(Quota::sliding(unit, 1, window).unwrap(), 99, true);
    check(Quota::sliding(unit, 1, window).unwrap(), 100, false);
    // Ten units of burst refill in 50 ns.
    check(
        Quota::bucket(unit, 20, window).unwrap().burst(10).unwrap(),
        49,
        true,
    );
    check(
        Quota::bucket(unit, 20, window).unwrap().burst(10).unwrap(),
        50,
        false,
    );
    check(
        Quota::bucket(unit, 1_000, window)
            .unwrap()
            .burst(1)
            .unwrap(),
        0,
        true,
    );
    check(Quota::slots(1).unwrap(), u64::MAX / 2, true);
}

#[test]
fn a_partition_is_counted_once_however_many_lanes_lead_to_it() {
    let policies = [
        sliding(10).per("tenant"),
        Policy::new("all", Quota::sliding(Unit::Requests, 10, MINUTE).unwrap()),
    ];
    let mut ledger = Ledger::new(Plan::new(policies).unwrap());
    for tenant in ["east", "west"] {
        for model in 0..100 {
            let labels = Labels::new()
                .with("tenant", tenant)
                .with("model", model.to_string());
            assert_eq!(ledger.lane(&labels), ledger.lane(&labels.clone()));
        }
    }
    assert_eq!(ledger.snapshot(Tick::ZERO).len(), 3);
}

fn one(policy: Policy) -> (Ledger, Lane) {
    let mut ledger = Ledger::new(Plan::new([policy]).unwrap());
    let lane = ledger.lane(&Labels::new());
    (ledger, lane)
}

fn bucket(limit: u64, margin: u64) -> Policy {
    policy(
        Quota::bucket(Unit::TotalTokens, limit, MINUTE).unwrap(),
        margin,
    )
}

fn sliding(limit: u64) -> Policy {
    policy(Quota::sliding(Unit::TotalTokens, limit, MINUTE).unwrap(), 0)
}

fn window(limit: u64, anchor: Anchor, margin: u64) -> Policy {
    policy(
        Quota::window(Unit::TotalTokens, limit, MINUTE, anchor).unwrap(),
        margin,
    )
}

fn minute_aligned() -> Anchor {
    Anchor::Aligned {
        offset: Duration::ZERO,
    }
}

fn policy(quota: Quota, margin: u64) -> Policy {
    Policy::new("quota", quota)
        .margin(Duration::from_secs(margin))
        .unwrap()
}

/// The largest limit in the longest window, in every shape that has one.
fn largest() -> Vec<Policy> {
    let (unit, limit, window) = (Unit::TotalTokens, Quota::MAX_LIMIT, Quota::MAX_WINDOW);
    let fixed = |anchor| Quota::window(unit, limit, window, anchor).unwrap();
    let quotas = [
        Quota::bucket(unit, limit, window).unwrap(),
        Quota::sliding(unit, limit, window).unwrap(),
        fixed(Anchor::FirstCall),
        fixed(minute_aligned()),
        fixed(Anchor::Calendar(Calendar::new([Tick::MAX]).unwrap())),
    ];
    let with_margin = |quota| Policy::new("quota", quota).margin(window / 16).unwrap();
    quotas.map(with_margin).to_vec()
}

fn news(limit: Option<u64>, remaining: u64) -> News {
    News {
        unit: Unit::TotalTokens,
        window: Some(MINUTE),
        limit,
        remaining: Some(remaining),
        rounding: 0,
    }
}

fn tokens(units: u64) -> Amounts {
    Amounts::ZERO.with(Unit::TotalTokens, units)
}

/// A tick some seconds after the origin.
fn at(seconds: u64) -> Tick {
    Tick::after_origin(Duration::from_secs(seconds))
}

fn granted(ledger: &mut Ledger, lane: Lane, seconds: u64, units: u64) -> Reservation {
    match ledger.reserve(at(seconds), lane, &tokens(units)) {
        Decision::Granted(reservation) => reservation,
        other => panic!("not granted at {seconds} s: {other:?}"),
    }
}

fn wait(ledger: &mut Ledger, lane: Lane, seconds: u64, units: u64) -> Wait {
    match ledger.check(at(seconds), lane, &tokens(units)) {
        Check::Wait(wait) => wait,
        other => panic!("no wait at {seconds} s: {other:?}"),
    }
}
