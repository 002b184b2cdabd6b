//! Fair order as laws in virtual time: weights between tenants, first come first served inside one, classes that age, and nobody who
//! waits for ever, whatever others do.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep;
use tollgate_gate::{
    Acquire, Amounts, Call, Gate, GateBuilder, Labels, Permit, Plan, Policy, Priority, Quota, Tick,
    Unit,
};

const START: Duration = Duration::from_secs(1_800_000_000);
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn builder(policies: impl IntoIterator<Item = Policy>) -> GateBuilder {
    Gate::builder(Plan::new(policies).unwrap()).started_at(SystemTime::UNIX_EPOCH + START)
}

fn exact(name: &str, quota: Quota) -> Policy {
    Policy::new(name, quota).margin(Duration::ZERO).unwrap()
}

fn tokens(tenant: &str, model: &str, tokens: u64) -> Call {
    let labels = Labels::new().with("tenant", tenant).with("model", model);
    Call::new(labels, Amounts::call(tokens, 0))
}

fn spend(mut permit: Permit) {
    permit.mark_sent();
}

fn tick(span: Duration) -> Tick {
    Tick::after_origin(START + span)
}

/// Who was admitted, in order: tenant, its own count, units.
type Log = Arc<Mutex<Vec<(usize, usize, u64)>>>;

/// Lines a call up; it notes itself down when it is admitted.
fn line_up(gate: &Gate, call: &Call, log: &Log, entry: (usize, usize, u64)) -> JoinHandle<()> {
    let (acquire, log) = (gate.acquire(call), log.clone());
    tokio::spawn(async move {
        let permit = acquire.await.unwrap();
        log.lock().unwrap().push(entry);
        spend(permit);
    })
}

async fn settle_down() {
    for _ in 0..4 {
        yield_now().await;
    }
}

/// Three tenants of weights 1:2:5 want more than there is for ten windows.
async fn shares(quota: Quota, models: &[&str], seed: u64) {
    const WEIGHTS: [u32; 3] = [1, 2, 5];
    const CALLS: usize = 1_600;
    let mut gate = builder([exact("tpm", quota)]);
    for (tenant, weight) in WEIGHTS.iter().enumerate() {
        gate = gate.weight(tenant.to_string(), *weight);
    }
    let gate = gate.build();
    spend(gate.try_acquire(&tokens("x", "m", 80_000)).unwrap());
    let mut rng = Rng::with_seed(seed);
    let log = Log::default();
    let mut calls = Vec::new();
    for i in 0..CALLS {
        for tenant in 0..3 {
            let (units, model) = (rng.u64(100..1_000), models[rng.usize(..models.len())]);
            let call = tokens(&tenant.to_string(), model, units);
            calls.push(line_up(&gate, &call, &log, (tenant, i, units)));
        }
    }
    sleep(MINUTE * 10 + SECOND).await;
    let log = std::mem::take(&mut *log.lock().unwrap());
    let units = |tenant| {
        let of_tenant = log.iter().filter(|entry| entry.0 == tenant);
        of_tenant.map(|(_, _, units)| units).sum::<u64>()
    };
    let all: u64 = (0..3).map(units).sum();
    assert!(
        (780_000..=815_000).contains(&all),
        "seed {seed}: {all} units"
    );
    for (tenant, weight) in WEIGHTS.iter().enumerate() {
        let share = units(tenant) as f64 / (all as f64 * f64::from(*weight) / 8.0);
        assert!(
            (share - 1.0).abs() < 0.02,
            "seed {seed}, tenant {tenant}: {share} of its share"
        );
        let order = log
            .iter()
            .filter(|entry| entry.0 == tenant)
            .map(|entry| entry.1);
        assert!(
            order.is_sorted(),
            "seed {seed}: first come, first served inside a tenant"
        );
    }
    calls.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn tenants_share_a_saturated_quota_by_their_weights() {
    for seed in 0..4 {
        let sliding = Quota::sliding(Unit::TotalTokens, 80_000, MINUTE).unwrap();
        shares(sliding, &["m"], seed).await;
        let bucket = Quota::bucket(Unit::TotalTokens, 80_000, MINUTE).unwrap();
        shares(bucket, &["m", "n", "o"], seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_that_is_not_wanted_goes_to_the_others() {
    let quota = Quota::bucket(Unit::Requests, 60, MINUTE).unwrap();
    let gate = builder([exact("rpm", quota)]).weight("idle", 1_000).build();
    for i in 0..60 {
        let tenant = ["a", "b"][i % 2];
        spend(gate.try_acquire(&tokens(tenant, "m", 1)).unwrap());
    }
    let log = Log::default();
    let waiting: Vec<_> = (0..60)
        .map(|i| {
            line_up(
                &gate,
                &tokens(["a", "b"][i % 2], "m", 1),
                &log,
                (i % 2, i, 1),
            )
        })
        .collect();
    for call in waiting {
        call.await.unwrap();
    }
    assert_eq!(gate.now(), tick(MINUTE), "at the quota's rate");
}

#[tokio::test(start_paused = true)]
async fn a_weight_can_be_changed_while_calls_wait() {
    let quota = Quota::bucket(Unit::Requests, 60, MINUTE).unwrap();
    let gate = builder([exact("rpm", quota.burst(1).unwrap())]).build();
    spend(gate.try_acquire(&tokens("x", "m", 1)).unwrap());
    let log = Log::default();
    let mut calls = Vec::new();
    for i in 0..200 {
        for tenant in 0..2 {
            let call = tokens(&tenant.to_string(), "m", 1);
            calls.push(line_up(&gate, &call, &log, (tenant, i, 1)));
        }
    }
    let count = async |span| {
        sleep(span).await;
        let log = std::mem::take(&mut *log.lock().unwrap());
        [0, 1].map(|tenant| log.iter().filter(|entry| entry.0 == tenant).count())
    };
    // A moment later than the last one: a timer that ends at the same instant may go first.
    assert_eq!(count(SECOND * 20 + MILLISECOND).await, [10, 10]);
    gate.set_weight("1", 3);
    let [one, three] = count(SECOND * 40).await;
    assert!(
        (9..=11).contains(&one) && (29..=31).contains(&three),
        "{one} to {three}"
    );
    calls.iter().for_each(JoinHandle::abort);
}

/// Calls of one class that come again and again, more than there is room for.
fn saturate(gate: &Gate, priority: Priority, callers: usize) {
    for _ in 0..callers {
        let gate = gate.clone();
        tokio::spawn(async move {
            loop {
                let call = tokens("a", "m", 1).priority(priority);
                spend(gate.acquire(&call).await.unwrap());
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_class_that_is_passed_over_rises_until_it_is_served() {
    let quota = || exact("rps", Quota::bucket(Unit::Requests, 1, SECOND).unwrap());
    let gate = builder([quota()]).ageing(SECOND * 30).build();
    saturate(&gate, Priority::High, 3);
    settle_down().await;
    let waits = async |priority| {
        let call = tokens("a", "m", 1).priority(priority);
        let permit = gate.acquire(&call).await.unwrap();
        let waited = permit.waited();
        spend(permit);
        waited
    };
    let (normal, low) = tokio::join!(waits(Priority::Normal), waits(Priority::Low));
    assert_eq!(normal, SECOND * 30);
    assert_eq!(low, SECOND * 60);

    let strict = builder([quota()]).ageing(Duration::MAX).build();
    saturate(&strict, Priority::High, 3);
    settle_down().await;
    let call = tokens("a", "m", 1).priority(Priority::Low);
    let patient = tokio::time::timeout(MINUTE * 60, strict.acquire(&call));
    assert!(patient.await.is_err(), "strict for ever");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_a_low_class_does_not_overtake_by_its_age() {
    let quota = Quota::bucket(Unit::Requests, 1, SECOND).unwrap();
    let gate = builder([exact("rps", quota)]).ageing(SECOND * 30).build();
    saturate(&gate, Priority::Low, 500);
    sleep(MINUTE * 5).await;
    let permit = gate
        .acquire(&tokens("a", "m", 1).priority(Priority::High))
        .await
        .unwrap();
    assert!(permit.waited() <= SECOND, "{:?}", permit.waited());
}

/// Holds a slot for ten milliseconds at a time, again and again.
fn hold_again_and_again(gate: &Gate, model: &'static str, callers: usize) {
    for _ in 0..callers {
        let gate = gate.clone();
        tokio::spawn(async move {
            loop {
                let permit = gate.acquire(&tokens("a", model, 1)).await.unwrap();
                sleep(MILLISECOND * 10).await;
                permit.release();
            }
        });
    }
}

/// The permit of a call that is not starved.
async fn in_time(gate: &Gate, model: &str) -> Permit {
    let permit = tokio::time::timeout(MINUTE, gate.acquire(&tokens("a", model, 1))).await;
    permit.expect("it is starved").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_needs_two_busy_quotas_is_not_starved_by_calls_that_need_one() {
    let slots =
        |name, model| Policy::new(name, Quota::slots(1).unwrap()).only("model", [model, "both"]);
    let gate = builder([slots("one", "one"), slots("other", "other")]).build();
    hold_again_and_again(&gate, "one", 4);
    sleep(MILLISECOND * 5).await;
    // Five milliseconds later: the two slots are never free together by themselves.
    hold_again_and_again(&gate, "other", 4);
    sleep(MILLISECOND * 100).await;
    let permit = gate.acquire(&tokens("a", "both", 1)).await.unwrap();
    assert!(
        permit.waited() <= MILLISECOND * 200,
        "{:?}",
        permit.waited()
    );
}

#[tokio::test(start_paused = true)]
async fn many_calls_that_need_several_busy_quotas_are_all_served() {
    let slots = |name| {
        let patterns = ["ab", "bc", "ca", "abc"]
            .iter()
            .filter(|m| m.contains(name));
        let models = patterns.copied().chain([name]);
        Policy::new(name, Quota::slots(1).unwrap()).only("model", models)
    };
    let gate = builder([slots("a"), slots("b"), slots("c")]).build();
    for (i, model) in ["a", "b", "c"].into_iter().enumerate() {
        sleep(MILLISECOND * (3 * i as u32)).await;
        hold_again_and_again(&gate, model, 3);
    }
    let waiting: Vec<_> = (0..40)
        .map(|i| {
            let gate = gate.clone();
            let model = ["ab", "bc", "ca", "abc"][i % 4];
            tokio::spawn(async move {
                let permit = in_time(&gate, model).await;
                sleep(MILLISECOND).await;
                permit.waited()
            })
        })
        .collect();
    for call in waiting {
        let waited = call.await.unwrap();
        assert!(waited < SECOND * 10, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_call_among_looping_small_ones_waits_as_long_as_in_one_line() {
    let quota = Quota::bucket(Unit::TotalTokens, 100_000, SECOND).unwrap();
    let gate = builder([exact("tps", quota)]).build();
    spend(gate.try_acquire(&tokens("a", "m", 100_000)).unwrap());
    for _ in 0..64 {
        let gate = gate.clone();
        tokio::spawn(async move {
            loop {
                spend(gate.acquire(&tokens("a", "small", 10)).await.unwrap());
            }
        });
    }
    settle_down().await;
    let permit = gate.acquire(&tokens("a", "large", 10_000)).await.unwrap();
    // 64 small ones ahead and itself, at 100 units per millisecond, on timers of whole milliseconds.
    assert!(
        permit.waited() <= MILLISECOND * 108,
        "{:?}",
        permit.waited()
    );
}

/// A naive queue: a list that is sorted by class, then by arrival.
#[derive(Default)]
struct Naive(Vec<(Priority, usize)>);

impl Naive {
    fn next(&mut self) -> Option<usize> {
        let first = *self.0.iter().min()?;
        self.0.retain(|call| *call != first);
        Some(first.1)
    }
}

#[tokio::test(start_paused = true)]
async fn with_calls_that_leave_the_order_is_that_of_a_sorted_list() {
    for seed in 0..50 {
        let mut rng = Rng::with_seed(seed);
        let slots = Policy::new("slots", Quota::slots(1).unwrap());
        let gate = builder([slots]).ageing(Duration::MAX).build();
        let mut holder = Some(gate.try_acquire(&tokens("a", "m", 1)).unwrap());
        let mut naive = Naive::default();
        let mut waiting: Vec<Option<Box<Acquire>>> = Vec::new();
        let poll = |acquire: &mut Box<Acquire>| {
            let acquire = std::pin::Pin::new(&mut **acquire);
            acquire.poll(&mut Context::from_waker(Waker::noop()))
        };
        for step in 0..400 {
            match rng.u8(..8) {
                0..4 => {
                    let priority =
                        [Priority::High, Priority::Normal, Priority::Low][rng.usize(..3)];
                    let model = ["m", "n", "o"][rng.usize(..3)];
                    let call = tokens("a", model, 1).priority(priority);
                    let mut acquire = Box::new(gate.acquire(&call));
                    assert!(poll(&mut acquire).is_pending());
                    naive.0.push((priority, waiting.len()));
                    waiting.push(Some(acquire));
                }
                4 | 5 if !waiting.is_empty() => {
                    let leaves = rng.usize(..waiting.len());
                    waiting[leaves] = None;
                    naive.0.retain(|(_, call)| *call != leaves);
                }
                _ => {
                    drop(holder.take());
                    holder = match naive.next() {
                        None => Some(gate.try_acquire(&tokens("a", "m", 1)).unwrap()),
                        Some(next) => {
                            let acquire = waiting[next].as_mut().unwrap();
                            let Poll::Ready(permit) = poll(acquire) else {
                                panic!("seed {seed}, step {step}: {next} is not next");
                            };
                            Some(permit.unwrap())
                        }
                    };
                }
            }
            assert_eq!(gate.waiting(), naive.0.len(), "seed {seed}, step {step}");
        }
    }
}
