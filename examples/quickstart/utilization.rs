//! How much of its quotas a run used while calls waited, by the provider's own books.

use std::error::Error;

use tollgate_sim::{CallRecord, Ending, Server, optimum};

use crate::provider::{REQUESTS_PER_MINUTE, TOKENS_PER_MINUTE, rules};
use crate::report::Finished;

/// What was admitted over what a clairvoyant client could have placed, as an average over the time during which calls waited.
///
/// The clairvoyant client knows what each call will cost, wastes no moment, and keeps the order in which the calls were made. Each
/// call counts by the share of the quota that binds it: of the requests or of the tokens per minute, whichever is larger. A client
/// that lets small calls pass large ones can place more than the clairvoyant one at first; it gets no more than 1 for that. `None`
/// if nothing had to wait.
pub(crate) fn utilization(
    server: &Server,
    models: &[String],
    calls: &[Finished],
) -> Result<Option<f64>, Box<dyn Error>> {
    let rules = rules()?;
    let arrivals = server.calls();
    let start = arrivals.first().map_or(0, |call| call.arrival_ns);
    let (mut admitted, mut possible, mut waited) = (0.0, 0.0, false);
    for model in models {
        let arrived: Vec<CallRecord> = arrivals
            .iter()
            .filter(|call| call.model == *model)
            .cloned()
            .collect();
        let made: Vec<CallRecord> = calls
            .iter()
            .filter(|call| call.model == *model)
            .filter_map(record)
            .collect();
        let Some(last) = arrived.last() else { continue };
        let best = optimum(&rules, &made, start)?;
        let actual: Vec<u64> = arrived.iter().map(|call| call.arrival_ns).collect();
        admitted += area(&arrived, &actual, last.arrival_ns);
        possible += area(&made, &best, last.arrival_ns);
        waited |= best.last() > Some(&start);
    }
    Ok(waited.then(|| f64::min(admitted / possible, 1.0)))
}

/// Shares of a minute's quota, each times the time from when it was placed until `end`.
fn area(calls: &[CallRecord], placed_at: &[u64], end: u64) -> f64 {
    let share = |call: &CallRecord| {
        let tokens = (call.input + call.output) as f64 / TOKENS_PER_MINUTE as f64;
        tokens.max(1.0 / REQUESTS_PER_MINUTE as f64)
    };
    let placed = calls.iter().zip(placed_at);
    placed
        .map(|(call, at)| share(call) * end.saturating_sub(*at) as f64)
        .sum()
}

/// A call in the order in which it was made, as far as the optimum looks at it.
fn record(call: &Finished) -> Option<CallRecord> {
    let usage = call.usage?;
    Some(CallRecord {
        model: call.model.clone(),
        team: String::new(),
        arrival_ns: 0,
        finished_ns: 0,
        input: usage.input,
        output: usage.output,
        reserved: usage.input + call.cap,
        ending: Ending::Completed,
    })
}
