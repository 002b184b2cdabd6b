//! What a driver asks of one meter agrees with what the ledger answers for a whole lane.

use core::time::Duration;

use tollgate_limits::{
    Amounts, Anchor, Check, Decision, Labels, Ledger, Plan, Policy, Quota, Room, Tick, Unit,
};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn the_latest_fit_of_the_lanes_meters_is_the_instant_that_a_check_names() {
    let exact = |name, quota| Policy::new(name, quota).margin(Duration::ZERO).unwrap();
    let plan = Plan::new([
        exact("rpm", Quota::bucket(Unit::Requests, 60, MINUTE).unwrap()),
        exact(
            "tpm",
            Quota::sliding(Unit::TotalTokens, 100, MINUTE).unwrap(),
        ),
    ]);
    let mut ledger = Ledger::new(plan.unwrap());
    let lane = ledger.lane(&Labels::new());
    let now = Tick::ZERO.plus(MINUTE);
    let Decision::Granted(_open) = ledger.reserve(now, lane, &Amounts::call(70, 0)) else {
        panic!("the ledger is empty");
    };
    let amounts = Amounts::call(40, 0);
    let meters = ledger.meters_of(lane).to_vec();
    let room: Vec<_> = meters
        .iter()
        .map(|&meter| ledger.room(now, meter, &amounts))
        .collect();
    let in_a_minute = Some(now.plus(MINUTE));
    assert_eq!(room, [Room::Now, Room::Later(in_a_minute)]);
    let Check::Wait(wait) = ledger.check(now, lane, &amounts) else {
        panic!("70 + 40 tokens do not fit");
    };
    assert_eq!(wait.until, in_a_minute);
    assert_eq!(wait.binding, ledger.binding(now, meters[1], 40));
    assert_eq!(ledger.never_fits(now, lane, &amounts), None);
    let too_large = Amounts::call(101, 0);
    assert_eq!(ledger.room(now, meters[1], &too_large), Room::Refused);
    let too_large = ledger.never_fits(now, lane, &too_large);
    assert_eq!(too_large.unwrap().policy, wait.binding.policy);
}

#[test]
fn units_together_are_granted_no_earlier_than_said() {
    let (unit, limit) = (Unit::TotalTokens, 100);
    let bucket = Quota::bucket(unit, limit, MINUTE).unwrap();
    for quota in [
        Quota::sliding(unit, limit, MINUTE).unwrap(),
        bucket.clone(),
        bucket.burst(30).unwrap(),
        Quota::window(unit, limit, MINUTE, Anchor::Aligned { offset: MINUTE / 2 }).unwrap(),
        Quota::window(unit, limit, MINUTE, Anchor::FirstCall).unwrap(),
    ] {
        for margin in [0, 100] {
            let policy = Policy::new("tpm", quota.clone()).margin(Duration::from_millis(margin));
            let mut ledger = Ledger::new(Plan::new([policy.unwrap()]).unwrap());
            let lane = ledger.lane(&Labels::new());
            let meter = ledger.meters_of(lane)[0];
            let mut now = Tick::ZERO;
            let mut grant = |ledger: &mut Ledger, tokens| loop {
                let amounts = Amounts::call(tokens, 0);
                match ledger.reserve(now, lane, &amounts) {
                    Decision::Granted(reservation) => {
                        ledger.settle(now, reservation, &amounts);
                        return now;
                    }
                    Decision::Wait(wait) => now = wait.until.unwrap(),
                    other => panic!("{other:?}"),
                }
            };
            // It does not start empty.
            let start = grant(&mut ledger, 17);
            let earliest: Vec<_> = (1..=700)
                .map(|units| ledger.earliest(start, meter, units).unwrap())
                .collect();
            let mut granted = 0;
            for tokens in [7, 1, 23, 3].into_iter().cycle().take(80) {
                granted += tokens as usize;
                let at = grant(&mut ledger, tokens);
                let said = earliest[granted - 1];
                assert!(
                    said <= at,
                    "{quota:?}, {granted} units: {said:?}, not {at:?}"
                );
            }
            assert!(
                earliest[granted - 1] >= Tick::ZERO.plus(MINUTE * 4),
                "{quota:?}"
            );
        }
    }
}
