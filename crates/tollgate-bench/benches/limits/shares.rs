//! Three tenants of weights 1, 2 and 5 that all want more than there is: what share does each get?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tollgate_bench::{Goal, Report};
use tollgate_gate::{Amounts, Call, Gate, Labels, Plan, Policy, Quota, Source, Unit};

const WINDOW: Duration = Duration::from_millis(100);

const WINDOWS: u32 = 10;

/// Tokens per window.
const LIMIT: u64 = 100_000;

/// The most tokens at once: much less than the calls in line want.
const BURST: u64 = 2_000;

/// Each tenant, its weight, and the tokens of each of its calls.
const TENANTS: [(&str, u32, u64); 3] = [("small", 1, 70), ("middle", 2, 190), ("large", 5, 110)];

/// Calls of each tenant that are always in line.
const CALLERS: usize = 50;

pub(crate) fn run(report: &mut Report) {
    let shares = shares();
    let all = shares.iter().sum::<u64>() as f64;
    let weights = f64::from(TENANTS.iter().map(|(_, weight, _)| weight).sum::<u32>());
    let mut worst = 0.0_f64;
    for ((name, weight, _), tokens) in TENANTS.iter().zip(shares) {
        let (share, due) = (tokens as f64 / all, f64::from(*weight) / weights);
        report.note(&format!(
            "{name}: {:.2} % of what was admitted, {:.2} % by weight",
            share * 100.0,
            due * 100.0
        ));
        worst = worst.max((share / due - 1.0).abs());
    }
    report.count(
        "weighted_error",
        "the largest error of a share, of that share",
        worst,
        Goal::AtMost(0.02),
    );
    report.note("none of the rivals knows tenants");
}

/// Tokens admitted for each tenant in ten windows.
fn shares() -> [u64; 3] {
    // A small burst: whatever comes back, there is always less of it than is wanted.
    let quota =
        Quota::bucket(Unit::TotalTokens, LIMIT, WINDOW).and_then(|quota| quota.burst(BURST));
    let policy = Policy::new("tpw", quota.expect("a valid quota"));
    let policy = policy.margin(Duration::ZERO).expect("no margin is valid");
    let mut gate = Gate::builder(Plan::new([policy]).expect("one policy"));
    for (name, weight, _) in TENANTS {
        gate = gate.weight(name, weight);
    }
    let gate = gate.build();
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let counts: [Arc<AtomicU64>; 3] = Default::default();
        let mut callers = JoinSet::new();
        // By turns, so that no tenant has the first window for itself.
        for _ in 0..CALLERS {
            for ((name, _, tokens), count) in TENANTS.iter().zip(&counts) {
                let (gate, count) = (gate.clone(), count.clone());
                let amounts = Amounts::call(0, *tokens);
                let call = Call::new(Labels::new().with("tenant", *name), amounts);
                callers.spawn(async move {
                    loop {
                        let permit = gate.acquire(&call).await.expect("nothing is refused");
                        count.fetch_add(permit.reserved().get(Unit::TotalTokens), Relaxed);
                        permit.settle(&amounts, Source::Reported);
                    }
                });
            }
        }
        // The first burst is handed out before anybody waits.
        sleep(WINDOW).await;
        counts.iter().for_each(|count| count.store(0, Relaxed));
        sleep(WINDOW * WINDOWS).await;
        counts.map(|count| count.load(Relaxed))
    })
}
