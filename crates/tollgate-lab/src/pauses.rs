//! A burst of 429s while many callers wait: one pause, and no herd at its end.
//!
//! The real gate on tokio's paused clock. A thousand callers want one request each of 600 per minute; the first 20 are all refused, and
//! each refusal asks for another delay, with upward jitter. The policy's margin is the default. Counted are the pauses' effect:
//! nobody may be admitted before the longest of them is over, and afterwards no second may see more admissions than the quota gives in
//! one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;
use tollgate_gate::{Amounts, Call, Gate, Labels, Plan, Policy, Quota, Source, Unit};

use crate::report::{Report, Table};

/// What came of one burst.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Callers in all.
    pub callers: usize,
    /// Refused with 429, at about the same time.
    pub refused: usize,
    /// The longest delay that a refusal asked for, in seconds from the first refusal.
    pub pause_s: f64,
    /// Callers admitted between the first refusal and the end of that delay.
    pub admitted_in_pause: usize,
    /// From the first refusal to the first admission after it, in seconds.
    pub first_after_s: f64,
    /// The most callers admitted within one second in the first window after the pause.
    pub most_in_a_second: usize,
    /// What the quota gives in one second.
    pub rate_per_second: usize,
    /// From the first refusal until the last caller was admitted, in seconds.
    pub drained_s: f64,
}

const CALLERS: usize = 1_000;
const REFUSED: usize = 20;
const RPM: u64 = 600;

/// Plays the burst.
///
/// # Panics
/// If the gate refuses a call, which it has no reason to.
#[must_use]
pub fn run(seed: u64) -> Row {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(burst(seed))
}

async fn burst(seed: u64) -> Row {
    let minute = Duration::from_secs(60);
    let quota = Quota::sliding(Unit::Requests, RPM, minute).expect("a quota");
    let plan = Plan::new([Policy::new("rpm", quota)]).expect("one policy");
    let gate = Gate::new(plan);
    let admitted = Arc::new(Mutex::new(Vec::new()));
    let mut rng = fastrand::Rng::with_seed(seed);
    let began = gate.now();
    let refusal = Duration::from_millis(100);
    let mut longest = Duration::ZERO;
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let hint = Duration::from_secs(5) + Duration::from_millis(rng.u64(0..500));
        let late = Duration::from_millis(rng.u64(0..50));
        let is_refused = caller < REFUSED;
        if is_refused {
            longest = longest.max(late + hint);
        }
        let (gate, admitted) = (gate.clone(), admitted.clone());
        callers.push(tokio::spawn(async move {
            // The first few go at once; the others come while these are under way.
            if !is_refused {
                sleep(refusal + Duration::from_millis(200)).await;
            }
            let call = Call::new(Labels::new(), Amounts::call(0, 0));
            let mut permit = gate.acquire(&call).await.expect("no bound is set");
            permit.mark_sent();
            if is_refused {
                sleep(refusal + late).await;
                permit.throttled(Some(Unit::Requests), hint);
                permit.settle(&Amounts::call(0, 0), Source::Rejected);
            } else {
                admitted
                    .lock()
                    .expect("no panic")
                    .push(gate.now().since(began));
                permit.settle(&Amounts::call(0, 0), Source::Reported);
            }
        }));
    }
    for caller in callers {
        caller.await.expect("a caller ends");
    }
    let mut admitted = std::mem::take(&mut *admitted.lock().expect("no panic"));
    admitted.sort_unstable();
    let over = refusal + longest;
    let first = admitted[0];
    let window = admitted.iter().take_while(|at| **at < first + minute);
    let window: Vec<Duration> = window.copied().collect();
    let in_a_second = |(i, from): (usize, &Duration)| {
        window[i..].partition_point(|at| *at < *from + Duration::from_secs(1))
    };
    Row {
        callers: CALLERS,
        refused: REFUSED,
        pause_s: longest.as_secs_f64(),
        admitted_in_pause: admitted.partition_point(|at| *at < over),
        first_after_s: (first - refusal).as_secs_f64(),
        most_in_a_second: window
            .iter()
            .enumerate()
            .map(in_a_second)
            .max()
            .unwrap_or(0),
        rate_per_second: (RPM / 60) as usize,
        drained_s: (admitted[admitted.len() - 1] - refusal).as_secs_f64(),
    }
}

/// As table and JSON, with what does not hold.
#[must_use]
pub fn report(row: &Row, seed: u64) -> Report {
    let mut table = Table::new([
        "callers",
        "refused",
        "pause s",
        "admitted in it",
        "first after s",
        "most in 1 s",
        "quota in 1 s",
        "drained s",
    ]);
    table.line([
        row.callers.to_string(),
        row.refused.to_string(),
        format!("{:.3}", row.pause_s),
        row.admitted_in_pause.to_string(),
        format!("{:.3}", row.first_after_s),
        row.most_in_a_second.to_string(),
        row.rate_per_second.to_string(),
        format!("{:.1}", row.drained_s),
    ]);
    let mut broken = Vec::new();
    if row.admitted_in_pause > 0 {
        broken.push("nobody is admitted before the longest pause is over".to_owned());
    }
    if row.most_in_a_second > row.rate_per_second {
        broken.push("after a pause callers are admitted at the quota's rate".to_owned());
    }
    Report::new("pauses", seed, &[row], table).broken(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_herd_returns_after_a_pause() {
        let seed = 7;
        let report = report(&run(seed), seed);
        assert!(report.held(), "{report}");
    }
}
