//! A million keys, each with two quotas of its own: memory per key, and a call on a key that no cache remembers.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::{Quota as Cells, RateLimiter};
use tollgate_bench::{Goal, Report, count_allocations, cpu, interleave};
use tollgate_limits::{
    Anchor, Decision, Labels, Ledger, Plan, Policy, Quota, QuotaError, Tick, Unit,
};

use crate::ROUNDS;
use crate::ledger::{RESERVED, USED};

/// Keys that are in use.
const KEYS: u32 = 1_000_000;

/// Keys where only memory per key is shown.
const FEWER_KEYS: u32 = 100_000;

/// Calls per sample, each on a random key.
const CALLS: usize = 20_000;

/// Calls in flight at most; they are settled outside of what is timed. Governor settles nothing, and is timed in the same pieces.
const IN_FLIGHT: usize = 500;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn run(report: &mut Report) {
    let bucket = |unit| Quota::bucket(unit, 1_000_000, MINUTE);
    let (mut ledger, bytes) = filled(KEYS, bucket);
    report.count(
        "partition_bytes",
        "bytes per key with two buckets, key included",
        bytes,
        Goal::AtMost(256.0),
    );
    let sliding = filled(FEWER_KEYS, |unit| Quota::sliding(unit, 1_000_000, MINUTE)).1;
    let aligned = || Anchor::Aligned {
        offset: Duration::ZERO,
    };
    let window = filled(FEWER_KEYS, |unit| {
        Quota::window(unit, 1_000_000, MINUTE, aligned())
    })
    .1;
    report.note(&format!(
        "two sliding windows {sliding:.0}, two fixed windows {window:.0}, after one call each"
    ));

    let labels: Vec<Labels> = (0..KEYS)
        .map(|key| Labels::new().with("tenant", name(key)))
        .collect();
    let names: Vec<String> = (0..KEYS).map(name).collect();
    let quota = Cells::per_minute(NonZeroU32::new(1_000_000).expect("not zero"));
    let mut governed = None;
    let used = count_allocations(|| {
        let limiter = RateLimiter::dashmap_with_clock(quota, FakeRelativeClock::default());
        for key in 0..KEYS {
            assert!(limiter.check_key(&name(key)).is_ok());
        }
        governed = Some(limiter);
    });
    let governed = governed.expect("it has just been made");

    // All within the hundredth of a second, so that no key is idle for long enough to be forgotten: what is measured is finding keys, not making them.
    let mut now = Tick::ZERO.plus(MINUTE / 2);
    let mut open = Vec::with_capacity(IN_FLIGHT);
    // Other keys in each round: those of the round before are in a large cache still.
    let (mut ours, mut theirs) = (fastrand::Rng::with_seed(7), fastrand::Rng::with_seed(8));
    let [ours, theirs] = interleave(
        ROUNDS,
        [
            &mut || {
                now = now.plus(Duration::from_micros(100));
                let keys = draw(&mut ours);
                let mut spent = 0.0;
                for keys in keys.chunks(IN_FLIGHT) {
                    spent += cpu(|| {
                        for &key in keys {
                            let lane = ledger.lane(black_box(&labels[key]));
                            let Decision::Granted(reservation) =
                                ledger.reserve(now, lane, &RESERVED)
                            else {
                                panic!("the quotas are wide enough");
                            };
                            open.push(reservation);
                        }
                    });
                    for reservation in open.drain(..) {
                        ledger.settle(now, reservation, &USED);
                    }
                }
                spent / CALLS as f64
            },
            &mut || {
                let tokens = NonZeroU32::new(500).expect("not zero");
                let keys = draw(&mut theirs);
                let mut spent = 0.0;
                for keys in keys.chunks(IN_FLIGHT) {
                    spent += cpu(|| {
                        for &key in keys {
                            let granted = governed.check_key_n(black_box(&names[key]), tokens);
                            assert!(matches!(granted, Ok(Ok(()))));
                        }
                    });
                }
                spent / CALLS as f64
            },
        ],
    );
    report.ratio(
        "cold_key_over_governor",
        "reserve on a random key / governor keyed",
        &ours,
        &theirs,
        Goal::AtMost(2.0),
    );
    report.note(&format!(
        "governor: one quota per key instead of two, {:.0} bytes per key; neither side reads a clock",
        used.bytes_current as f64 / f64::from(KEYS)
    ));
}

/// Keys for one sample.
fn draw(random: &mut fastrand::Rng) -> Vec<usize> {
    (0..CALLS).map(|_| random.usize(..KEYS as usize)).collect()
}

fn name(key: u32) -> String {
    format!("tenant-{key:07}")
}

/// A ledger that has seen one call on each key, and the bytes that it keeps for each.
fn filled(keys: u32, quota: impl Fn(Unit) -> Result<Quota, QuotaError>) -> (Ledger, f64) {
    let policy = |name, unit| Policy::new(name, quota(unit).expect("a valid quota")).per("tenant");
    let plan = Plan::new([
        policy("rpm", Unit::Requests),
        policy("tpm", Unit::TotalTokens),
    ]);
    let mut ledger = Ledger::new(plan.expect("two policies of two names"));
    // Fixed windows hold calls back near their boundaries.
    let now = Tick::ZERO.plus(MINUTE / 2);
    let used = count_allocations(|| {
        for key in 0..keys {
            let lane = ledger.lane(&Labels::new().with("tenant", name(key)));
            let Decision::Granted(reservation) = ledger.reserve(now, lane, &RESERVED) else {
                panic!("a key that nobody has used has room");
            };
            ledger.settle(now, reservation, &USED);
        }
    });
    (ledger, used.bytes_current as f64 / f64::from(keys))
}
