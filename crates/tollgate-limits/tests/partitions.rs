//! Many keys: how much memory they take, what is forgotten, and that a flood of them gets no allowance each.

use core::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use tollgate_limits::{
    Amounts, Anchor, Decision, Labels, Lane, Ledger, Plan, Policy, Quota, QuotaError, Tick, Unit,
};

const MINUTE: Duration = Duration::from_secs(60);

/// What a key takes, which docs/DESIGN.md states: labels, table, lane and both meters, after one call each.
#[test]
fn a_key_takes_no_more_memory_than_stated() {
    let aligned = || Anchor::Aligned {
        offset: Duration::ZERO,
    };
    check(256, |unit| Quota::bucket(unit, 1_000, MINUTE));
    check(512, |unit| Quota::sliding(unit, 1_000, MINUTE));
    check(576, |unit| Quota::window(unit, 1_000, MINUTE, aligned()));
    check(640, |unit| {
        Quota::window(unit, 1_000, MINUTE, Anchor::FirstCall)
    });

    fn check(stated: u64, quota: impl Fn(Unit) -> Result<Quota, QuotaError>) {
        const KEYS: u64 = 30_000;
        let mut ledger = None;
        let policy = |name, unit| Policy::new(name, quota(unit).unwrap()).per("tenant");
        let plan = Plan::new([
            policy("rpm", Unit::Requests),
            policy("tpm", Unit::TotalTokens),
        ]);
        let plan = plan.unwrap();
        let used = measure(|| {
            let ledger = ledger.insert(Ledger::new(plan));
            for key in 0..KEYS {
                let lane = ledger.lane(&tenant(key));
                call(ledger, lane, MINUTE / 2);
            }
        });
        let bytes = u64::try_from(used.bytes_current).unwrap() / KEYS;
        println!("{bytes} bytes per key: {}", shape(&quota));
        assert!(bytes <= stated, "{bytes} bytes per key, {}", shape(&quota));
        assert_eq!(ledger.unwrap().snapshot(Tick::ZERO).len() as u64, 2 * KEYS);
    }

    fn shape(quota: &impl Fn(Unit) -> Result<Quota, QuotaError>) -> String {
        format!("{:?}", quota(Unit::Requests).unwrap().shape())
    }
}

#[test]
fn a_steady_state_allocates_nothing() {
    for quota in [Quota::bucket, Quota::sliding] {
        let policy = |name, unit| Policy::new(name, quota(unit, 1_000_000, MINUTE).unwrap());
        let plan = Plan::new([
            policy("rpm", Unit::Requests),
            policy("tpm", Unit::TotalTokens).per("tenant"),
        ]);
        let mut ledger = Ledger::new(plan.unwrap());
        let labels = tenant(7);
        let mut calls = |from: u32| {
            for second in from..from + 1_000 {
                let lane = ledger.lane(&labels);
                let now = Tick::after_origin(Duration::from_secs(second.into()));
                let one = ledger.reserve(now, lane, &Amounts::call(3, 4));
                call(&mut ledger, lane, now.since(Tick::ZERO));
                if let Decision::Granted(one) = one {
                    ledger.settle(now, one, &Amounts::call(3, 1));
                }
            }
        };
        calls(0);
        // Debug builds check all books now and then, which takes memory for a moment.
        let allocations = measure(|| calls(1_000));
        if cfg!(not(debug_assertions)) {
            assert_eq!(allocations.count_total, 0);
        }
        let AllocationInfo { bytes_current, .. } = allocations;
        assert_eq!(bytes_current, 0);
    }
}

#[test]
fn a_flood_of_keys_shares_one_allowance_and_bounded_memory() {
    let plan = Plan::new([per_tenant(10)]).unwrap();
    let mut ledger = Ledger::new(plan).partition_limit(100);
    let known: Vec<Labels> = (0..100).map(tenant).collect();
    for labels in &known {
        let lane = ledger.lane(labels);
        assert!(takes(&mut ledger, lane, 0, 4));
    }
    let granted = |ledger: &mut Ledger, seconds: u64| {
        let keys = 1_000_000..1_010_000;
        keys.filter(|key| {
            let lane = ledger.lane(&tenant(*key));
            takes(ledger, lane, seconds, 1)
        })
        .count()
    };
    assert_eq!(granted(&mut ledger, 1), 10, "one allowance for all of them");
    assert_eq!(ledger.snapshot(at(1)).len(), 101);
    // Those that came before keep theirs, with what they used.
    let lane = ledger.lane(&known[7]);
    assert!(takes(&mut ledger, lane, 2, 6));
    assert!(!takes(&mut ledger, lane, 2, 1));
    let common = ledger.snapshot(at(2)).pop().unwrap();
    assert!(common.overflow && common.partition.is_empty() && common.used == 10);
    // Once everybody is idle there is room for others again.
    ledger.snapshot(at(1_000));
    let room = granted(&mut ledger, 1_000);
    assert!((100..=110).contains(&room), "{room} granted");
}

#[test]
fn a_key_is_forgotten_only_when_a_new_one_would_have_no_more() {
    let mut ledger = Ledger::new(Plan::new([per_tenant(10)]).unwrap()).partition_limit(2);
    let lane = ledger.lane(&tenant(0));
    assert!(takes(&mut ledger, lane, 0, 10));
    for key in 1..1_000 {
        let lane = ledger.lane(&tenant(key));
        takes(&mut ledger, lane, 30, 1);
        let lane = ledger.lane(&tenant(0));
        assert!(!takes(&mut ledger, lane, 30, 6));
    }
    let lane = ledger.lane(&tenant(0));
    assert!(takes(&mut ledger, lane, 60, 10));
}

#[test]
fn a_lane_that_is_needed_stays_and_one_that_was_forgotten_never_means_another() {
    let all = Policy::new("all", Quota::sliding(Unit::Requests, 10, MINUTE).unwrap());
    let mut ledger = Ledger::new(Plan::new([all, per_tenant(10)]).unwrap()).partition_limit(4);
    let [pinned, open, loose] = [1, 2, 3].map(|key| ledger.lane(&tenant(key)));
    ledger.pin(pinned);
    let Decision::Granted(reservation) = ledger.reserve(at(0), open, &Amounts::call(1, 1)) else {
        panic!("not granted");
    };
    let meters = [pinned, open].map(|lane| ledger.meters_of(lane).to_vec());
    for key in 100..1_000 {
        ledger.lane(&tenant(key));
    }
    assert_eq!(
        [pinned, open].map(|lane| ledger.meters_of(lane).to_vec()),
        meters
    );
    assert_eq!(ledger.lane(&tenant(1)), pinned);
    ledger.unpin(pinned);
    ledger.release(at(0), reservation);
    for key in 100..1_000 {
        let lane = ledger.lane(&tenant(key));
        assert!(![pinned, open, loose].contains(&lane));
    }
    let stale = std::panic::catch_unwind(move || ledger.reserve(at(0), loose, &Amounts::ZERO));
    assert!(stale.is_err());
}

#[test]
fn lanes_are_bounded_even_where_nothing_is_partitioned() {
    let all = Policy::new(
        "all",
        Quota::sliding(Unit::Requests, 1_000_000, MINUTE).unwrap(),
    );
    let mut ledger = Ledger::new(Plan::new([all]).unwrap());
    let lanes = |ledger: &mut Ledger, keys: std::ops::Range<u64>| {
        for key in keys {
            let lane = ledger.lane(&tenant(key));
            call(ledger, lane, Duration::ZERO);
        }
    };
    lanes(&mut ledger, 0..20_000);
    let more = measure(|| lanes(&mut ledger, 20_000..40_000));
    assert!(more.bytes_current < 1_000, "{} bytes", more.bytes_current);
}

fn per_tenant(limit: u64) -> Policy {
    let quota = Quota::bucket(Unit::TotalTokens, limit, MINUTE).unwrap();
    let policy = Policy::new("per tenant", quota).per("tenant");
    policy.margin(Duration::ZERO).unwrap()
}

fn tenant(key: u64) -> Labels {
    Labels::new().with("tenant", format!("tenant-{key:07}"))
}

fn at(seconds: u64) -> Tick {
    Tick::after_origin(Duration::from_secs(seconds))
}

fn takes(ledger: &mut Ledger, lane: Lane, seconds: u64, units: u64) -> bool {
    let amounts = Amounts::ZERO.with(Unit::TotalTokens, units);
    match ledger.reserve(at(seconds), lane, &amounts) {
        Decision::Granted(reservation) => {
            ledger.settle(at(seconds), reservation, &amounts);
            true
        }
        _ => false,
    }
}

fn call(ledger: &mut Ledger, lane: Lane, since_origin: Duration) {
    let now = Tick::after_origin(since_origin);
    let Decision::Granted(reservation) = ledger.reserve(now, lane, &Amounts::call(3, 4)) else {
        panic!("not granted");
    };
    ledger.settle(now, reservation, &Amounts::call(3, 2));
}
