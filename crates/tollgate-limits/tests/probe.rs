//! What a driver asks of one meter agrees with what the ledger answers for a whole lane.

use core::time::Duration;

use tollgate_limits::{
    Amounts, Check, Decision, Labels, Ledger, Plan, Policy, Quota, Room, Tick, Unit,
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
