//! The figures of a run, as one JSON line or side by side in a table.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tollgate::tokens::{Cost, Usage};

use crate::books::Books;
use crate::provider::Target;
use crate::utilization::utilization;

/// Both runs.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) naive: Option<Summary>,
    pub(crate) tollgate: Summary,
}

/// One call, as the program that made it saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finished {
    /// Its place in the order in which the calls were made.
    pub(crate) index: usize,
    pub(crate) model: String,
    /// Its output cap, in tokens.
    pub(crate) cap: u64,
    pub(crate) succeeded: bool,
    pub(crate) attempts: u32,
    pub(crate) throttled: u64,
    pub(crate) waited: Duration,
    pub(crate) usage: Option<Usage>,
}

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    calls: u64,
    succeeded: u64,
    /// 429s that the provider sent, by its own books.
    throttled: u64,
    retries: u64,
    input_tokens: u64,
    output_tokens: u64,
    /// By the provider's own books.
    provider_tokens: u64,
    /// By ours: what Tollgate settled, or what the naive client added up.
    accounted_tokens: u64,
    cost_usd: f64,
    wall_seconds: f64,
    /// Share of the binding quota that was used while calls waited; see `utilization.rs`.
    utilization: Option<f64>,
    wait_p50_ms: f64,
    wait_p99_ms: f64,
}

impl Summary {
    /// `books` are Tollgate's; the naive run has only what its own calls saw.
    pub(crate) fn new(
        target: &Target,
        calls: &[Finished],
        wall: Duration,
        books: Option<&Books>,
    ) -> Result<Self, Box<dyn Error>> {
        let sum = |of: fn(&Usage) -> u64| {
            calls
                .iter()
                .filter_map(|call| call.usage.as_ref())
                .map(of)
                .sum::<u64>()
        };
        let reported = sum(Usage::total);
        let (input, output) =
            books.map_or_else(|| (sum(|u| u.input), sum(|u| u.output)), Books::tokens);
        let cost = books.map_or_else(|| added_up(target, calls), Books::cost);
        let own_throttled = books.map_or_else(
            || calls.iter().map(|call| call.throttled).sum(),
            Books::throttled,
        );
        let retries = books.map_or_else(
            || {
                calls
                    .iter()
                    .map(|c| u64::from(c.attempts.saturating_sub(1)))
                    .sum()
            },
            Books::retries,
        );
        let (throttled, provider_tokens) = match &target.server {
            // A real provider's books are what its answers reported.
            None => (own_throttled, reported),
            Some(server) => {
                let books = server.books();
                (books.throttled, books.input_tokens + books.output_tokens)
            }
        };
        let utilization = match &target.server {
            Some(server) => utilization(server, target.models(), calls)?,
            None => None,
        };
        let mut waits: Vec<Duration> = calls.iter().map(|call| call.waited).collect();
        waits.sort_unstable();
        let quantile = |percent: usize| {
            let rank = (waits.len() * percent).div_ceil(100).saturating_sub(1);
            round(waits.get(rank).map_or(0.0, Duration::as_secs_f64) * 1e3, 1)
        };
        Ok(Self {
            calls: calls.len() as u64,
            succeeded: calls.iter().filter(|call| call.succeeded).count() as u64,
            throttled,
            retries,
            input_tokens: input,
            output_tokens: output,
            provider_tokens,
            accounted_tokens: input + output,
            cost_usd: round(cost as f64 / 1e9, 6),
            wall_seconds: round(wall.as_secs_f64(), 2),
            utilization: utilization.map(|share| round(share, 4)),
            wait_p50_ms: quantile(50),
            wait_p99_ms: quantile(99),
        })
    }
}

fn added_up(target: &Target, calls: &[Finished]) -> u64 {
    let cost = |call: &Finished| Some(target.price(&call.model)?.cost(call.usage.as_ref()?));
    calls.iter().filter_map(cost).sum::<Cost>().nanos()
}

fn round(x: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (x * scale).round() / scale
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, of: &dyn Fn(&Summary) -> String| {
            let naive = self.naive.as_ref().map_or_else(|| "-".to_owned(), of);
            writeln!(f, "{name:<38}{naive:>16}{:>16}", of(&self.tollgate))
        };
        writeln!(f)?;
        writeln!(f, "{:<38}{:>16}{:>16}", "", "sleep and retry", "Tollgate")?;
        row(f, "calls", &|s| s.calls.to_string())?;
        row(f, "  succeeded", &|s| s.succeeded.to_string())?;
        row(f, "429s sent by the provider", &|s| s.throttled.to_string())?;
        row(f, "retries", &|s| s.retries.to_string())?;
        row(f, "tokens in", &|s| s.input_tokens.to_string())?;
        row(f, "tokens out", &|s| s.output_tokens.to_string())?;
        row(f, "tokens in the provider's books", &|s| {
            s.provider_tokens.to_string()
        })?;
        row(f, "tokens in our books", &|s| {
            s.accounted_tokens.to_string()
        })?;
        row(f, "cost", &|s| format!("${:.4}", s.cost_usd))?;
        row(f, "wall time", &|s| format!("{:.1} s", s.wall_seconds))?;
        row(f, "share of the quota used while waiting", &|s| {
            s.utilization
                .map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
        })?;
        row(f, "wait, median", &|s| {
            format!("{:.1} s", s.wait_p50_ms / 1e3)
        })?;
        row(f, "wait, 99th percentile", &|s| {
            format!("{:.1} s", s.wait_p99_ms / 1e3)
        })
    }
}
