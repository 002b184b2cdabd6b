//! One world: policies and the provider's rules for them, callers that come in waves, and weather.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep, timeout};
use tollgate_gate::{Anchor, Gate, Labels, Plan, Policy, Quota, Unit};
use tollgate_sim::provider::{Quota as Enforced, Shape, Unit as Counted};

use crate::books::{Books, Rule, Seen};
use crate::caller::{self, Answer, Caller, ticks};

/// Callers in one world.
const CALLERS: u64 = 2_000;

/// The most tokens that a call asks for; every quota can grant them.
pub(crate) const LARGEST: u64 = 400;

/// Nobody waits for longer in any world.
const TOO_LONG: Duration = Duration::from_secs(7 * 86_400);

/// Runs the world of a seed: what was wrong, and what has happened.
pub(crate) async fn run(seed: u64) -> (Vec<String>, Seen) {
    let mut random = Rng::with_seed(seed);
    let (gate, books) = make(&mut random);
    let kinds: Vec<Arc<Labels>> = (["a", "b"].into_iter())
        .flat_map(|model| ["x", "y", "z"].map(|tenant| (model, tenant)))
        .map(|(model, tenant)| Arc::new(Labels::new().with("model", model).with("tenant", tenant)))
        .collect();
    let mut callers = Vec::new();
    let mut left = CALLERS;
    while left > 0 {
        // A wave of callers, and some weather until the next.
        let wave = random.u64(1..=left.min(300));
        left -= wave;
        for _ in 0..wave {
            let caller = Caller {
                gate: gate.clone(),
                books: books.clone(),
                labels: kinds[random.usize(..kinds.len())].clone(),
                random: random.fork(),
                answer: Answer::pending(books.clone()),
            };
            callers.push(tokio::spawn(caller::live(caller)));
        }
        sleep(ticks(&mut random, 3_000)).await;
        weather(&mut random, &gate, &books, &kinds, &mut callers).await;
    }
    let mut unanswered = 0;
    let all = async {
        for caller in callers {
            match caller.await {
                Err(error) if error.is_panic() => {
                    books.fault(format!("a caller panicked: {error}"))
                }
                _ => {}
            }
            unanswered += 1;
        }
    };
    if timeout(TOO_LONG, all).await.is_err() {
        books.fault(format!(
            "{} of {CALLERS} callers have had no answer in {TOO_LONG:?}, {} wait",
            CALLERS - unanswered,
            gate.waiting()
        ));
    }
    settled(&gate, &books).await;
    let (mut faults, seen) = books.close();
    if seen.answers() != CALLERS {
        faults.push(format!("{CALLERS} callers, but {seen:?}"));
    }
    (faults, seen)
}

/// At the end nobody waits and nothing is open; and once everything has aged out, nothing is counted.
async fn settled(gate: &Gate, books: &Books) {
    if gate.waiting() + gate.open_reservations() > 0 {
        let (waiting, open) = (gate.waiting(), gate.open_reservations());
        books.fault(format!(
            "{waiting} calls wait and {open} are open at the end"
        ));
    }
    advance(Duration::from_secs(3_600)).await;
    for status in gate.snapshot() {
        if status.used + status.held > 0 {
            books.fault(format!("an hour later: {status:?}"));
        }
    }
}

/// A gate of random shapes, and the provider's books with the rule that each shape is safe against.
fn make(random: &mut Rng) -> (Gate, Books) {
    let mut policies = Vec::new();
    let mut rules = Vec::new();
    for (name, label, unit) in [
        ("rpm", "model", Unit::Requests),
        ("tpm", "model", Unit::TotalTokens),
        ("tenant", "tenant", Unit::TotalTokens),
        ("team", "team", Unit::TotalTokens),
        ("rps", "team", Unit::Requests),
    ] {
        if random.u8(..4) == 0 && name != "tpm" {
            continue; // Not every world has all of them.
        }
        let (limit, counted) = match unit {
            Unit::Requests => (random.u64(2..60), Counted::Requests),
            _ => (random.u64(LARGEST..10 * LARGEST), Counted::Total),
        };
        let window = ticks(random, 20_000) + Duration::from_millis(200);
        let aligned = || Anchor::Aligned {
            offset: Duration::ZERO,
        };
        let (quota, shape) = match random.u8(..4) {
            0 => {
                let burst = match unit {
                    Unit::Requests => random.u64(1..=limit),
                    _ => random.u64(LARGEST..=limit),
                };
                let quota = Quota::bucket(unit, limit, window).and_then(|quota| quota.burst(burst));
                (quota, Shape::Bucket { burst })
            }
            1 => (
                Quota::window(unit, limit, window, aligned()),
                Shape::Aligned,
            ),
            2 => {
                // A sliding client is safe against a fixed window of any phase.
                let quota = Quota::sliding(unit, limit, window);
                let shape = if random.bool() {
                    Shape::Aligned
                } else {
                    Shape::FirstCall
                };
                (quota, shape)
            }
            _ => (Quota::sliding(unit, limit, window), Shape::SlidingLog),
        };
        let policy = Policy::new(name, quota.unwrap()).margin(Duration::ZERO);
        policies.push(policy.unwrap().per(label));
        rules.push(Rule::new(
            label,
            Enforced::new(counted, limit, window, shape).unwrap(),
        ));
    }
    if random.bool() {
        let slots = random.u64(1..20);
        policies.push(Policy::new("slots", Quota::slots(slots).unwrap()).per("model"));
        rules.push(Rule::new("model", Enforced::concurrency(slots)));
    }
    let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(random.u64(..1 << 60));
    let gate = Gate::builder(Plan::new(policies).unwrap())
        .started_at(start)
        // Classes are strict, which is checked.
        .ageing(Duration::MAX);
    (gate.build(), Books::new(rules))
}

async fn weather(
    random: &mut Rng,
    gate: &Gate,
    books: &Books,
    kinds: &[Arc<Labels>],
    callers: &mut [JoinHandle<()>],
) {
    match random.u8(..12) {
        // Half of everybody goes away at once, in line or not.
        0 => {
            for caller in callers.iter().filter(|caller| !caller.is_finished()) {
                if random.bool() {
                    caller.abort();
                    books.count(|seen| &mut seen.aborted);
                }
            }
        }
        // The machine was asleep.
        1..4 => {
            let span = ticks(random, 90_000);
            books.count(|seen| &mut seen.jumps);
            advance(span).await;
        }
        4..7 => {
            let labels = &kinds[random.usize(..kinds.len())];
            let unit = [None, Some(Unit::Requests), Some(Unit::TotalTokens)][random.usize(..3)];
            books.count(|seen| &mut seen.paused);
            gate.pause(labels, unit, ticks(random, 5_000));
        }
        _ => {}
    }
}
