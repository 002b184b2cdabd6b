//! What a driver asks of one meter agrees with what the ledger answers for a whole lane.

use core::time::Duration;

use tollgate_limits::{Amounts, Check, Decision, Labels, Ledger, Plan, Policy, Quota, Tick, Unit};

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
    let fits: Vec<_> = meters
        .iter()
        .map(|&meter| {
            let units = ledger.units_of(meter, &amounts);
            ledger.fit(now, meter, units)
        })
        .collect();
    assert_eq!(fits, [Some(now), Some(now.plus(MINUTE))]);
    let Check::Wait(wait) = ledger.check(now, lane, &amounts) else {
        panic!("70 + 40 tokens do not fit");
    };
    assert_eq!(wait.until, fits[1]);
    assert_eq!(wait.binding, ledger.binding(now, meters[1], 40));
    assert_eq!(ledger.never_fits(now, lane, &amounts), None);
    let too_large = ledger.never_fits(now, lane, &Amounts::call(101, 0));
    assert_eq!(too_large.unwrap().policy, wait.binding.policy);
}
