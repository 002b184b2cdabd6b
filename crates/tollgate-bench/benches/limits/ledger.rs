//! The ledger alone, one call after another: reserve, and settle with less than was reserved.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, FakeRelativeClock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::{Quota as Cells, RateLimiter};
use tollgate_bench::{Goal, Report, count_allocations, cpu, interleave};
use tollgate_limits::{Amounts, Decision, Lane, Ledger, Plan, Policy, Quota, Tick, Unit};

use crate::ROUNDS;

/// Calls per sample.
const CALLS: u64 = 20_000;

/// Between two calls. Slower than the buckets refill, so that they are never empty.
const STEP: u64 = 40;

/// What a call reserves, and what it turns out to use.
pub(crate) const RESERVED: Amounts = Amounts::call(300, 200);
pub(crate) const USED: Amounts = Amounts::call(300, 180);

/// Units per second, for requests as for tokens.
const RATE: u32 = 1_000_000_000;

pub(crate) fn run(report: &mut Report) {
    let second = Duration::from_secs(1);
    let bucket = |unit| Quota::bucket(unit, RATE.into(), second);
    let sliding = |unit| Quota::sliding(unit, RATE.into(), second);

    let [buckets, monotonic, frozen, many, slides] = interleave(
        ROUNDS,
        [
            &mut || reserve_and_settle(&mut two(bucket)),
            &mut || governors(MonotonicClock),
            &mut || governors(FakeRelativeClock::default()),
            &mut || among_many(&mut two(bucket)),
            &mut || reserve_and_settle(&mut two(sliding)),
        ],
    );
    report.ratio(
        "ledger_over_two_governors",
        "two buckets / two governors, Instant",
        &buckets,
        &monotonic,
        Goal::AtMost(1.0),
    );
    report.aside("two buckets / two governors, no clock", &buckets, &frozen);
    report.aside("two buckets, 1,000 open / same", &many, &monotonic);
    report.aside("two sliding windows / same", &slides, &monotonic);

    let mut ledger = two(bucket);
    reserve_and_settle(&mut ledger);
    let allocated = count_allocations(|| {
        calls(&mut ledger, 100_000);
    });
    report.count(
        "ledger_allocations",
        "allocations in 100,000 calls",
        allocated.count_total as f64,
        Goal::AtMost(0.0),
    );
    report.note("governor settles nothing: what a call did not use is lost to it");
}

/// A ledger with a quota of requests and one of tokens.
fn two(quota: impl Fn(Unit) -> Result<Quota, tollgate_limits::QuotaError>) -> (Ledger, Lane) {
    let policy = |name, unit| Policy::new(name, quota(unit).expect("a valid quota"));
    let plan = Plan::new([
        policy("rpm", Unit::Requests),
        policy("tpm", Unit::TotalTokens),
    ]);
    let mut ledger = Ledger::new(plan.expect("two policies of two names"));
    let lane = ledger.lane(&tollgate_limits::Labels::new());
    (ledger, lane)
}

fn reserve_and_settle(ledger: &mut (Ledger, Lane)) -> f64 {
    cpu(|| calls(ledger, CALLS)) / CALLS as f64
}

fn calls((ledger, lane): &mut (Ledger, Lane), calls: u64) {
    let mut now = Tick::ZERO;
    for _ in 0..calls {
        now = now.plus(Duration::from_nanos(STEP));
        let Decision::Granted(reservation) = ledger.reserve(now, *lane, black_box(&RESERVED))
        else {
            panic!("the quotas are wide enough");
        };
        black_box(ledger.settle(now, reservation, black_box(&USED)));
    }
}

/// The same while 1,000 other calls are in flight: the oldest is settled for each that is reserved.
fn among_many((ledger, lane): &mut (Ledger, Lane)) -> f64 {
    let mut now = Tick::ZERO;
    let mut reserve = |ledger: &mut Ledger| {
        now = now.plus(Duration::from_nanos(STEP));
        match ledger.reserve(now, *lane, black_box(&RESERVED)) {
            Decision::Granted(reservation) => (now, reservation),
            _ => panic!("the quotas are wide enough"),
        }
    };
    let mut open: std::collections::VecDeque<_> = (0..1_000).map(|_| reserve(ledger)).collect();
    cpu(|| {
        for _ in 0..CALLS {
            let (now, next) = reserve(ledger);
            open.push_back((now, next));
            let (_, oldest) = open.pop_front().expect("1,000 are open");
            black_box(ledger.settle(now, oldest, black_box(&USED)));
        }
    }) / CALLS as f64
}

/// What users of governor write for two quotas: one limiter each. If the second refuses, the first has charged already.
fn governors<C: Clock + Clone>(clock: C) -> f64
where
    NoOpMiddleware<C::Instant>: governor::middleware::RateLimitingMiddleware<C::Instant>,
{
    let cells = |units: u32| NonZeroU32::new(units).expect("not zero");
    let quota = Cells::per_second(cells(RATE));
    let requests = RateLimiter::direct_with_clock(quota, clock.clone());
    let tokens = RateLimiter::direct_with_clock(quota, clock);
    cpu(|| {
        for _ in 0..CALLS {
            let one = requests.check_n(black_box(cells(1)));
            let many = tokens.check_n(black_box(cells(500)));
            assert!(matches!((one, many), (Ok(Ok(_)), Ok(Ok(_)))));
        }
    }) / CALLS as f64
}
