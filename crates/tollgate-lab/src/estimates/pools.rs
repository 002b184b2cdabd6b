//! Reservations for output of calls in flight together, against an oracle that knows how long answers are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use fastrand::Rng;
use serde::Serialize;
use tollgate_tokens::{Descriptor, Dialect, Estimator, InFlight, OutputLimits, Usage, describe};

use crate::Table;

/// What came out, for each workload.
#[derive(Debug)]
pub(super) struct Pools {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    workload: &'static str,
    promised: bool,
    /// Calls in flight, on average over the moments.
    in_flight: f64,
    moments: usize,
    /// Moments at which the sum reserved covered the final usage of what was in flight.
    covered: f64,
    /// The same for the sum that the oracle reserves: a check of the oracle.
    oracle_covered: f64,
    /// The sum reserved over the sum that the oracle reserves, on average.
    over_oracle: f64,
    /// The same, had the oracle reserved as much as covers just 99 % of these very moments.
    over_oracle_at_99: f64,
    /// The same, had all reservations been scaled alike, too.
    both_at_99: f64,
    /// The sum of the caps over the same: what reserving caps would take.
    caps_over_oracle: f64,
}

/// How long answers are, before they are cut at their caps.
#[derive(Clone, Copy, Debug)]
enum Lengths {
    /// Median, and the standard deviation of the logarithm.
    LogNormal(f64, f64),
    /// The least, and the exponent of the tail.
    Pareto(f64, f64),
}

/// Calls of one route and cap.
#[derive(Clone, Copy, Debug)]
struct Class {
    route: &'static str,
    lengths: Lengths,
    cap: u64,
    /// How many of a hundred calls.
    percent: u32,
}

struct Workload {
    name: &'static str,
    classes: &'static [Class],
    /// Calls per second, on average; Poisson.
    rate: f64,
    /// Whether the rate swings between a half and one and a half times that, with a period of ten minutes.
    swings: bool,
    /// Whether what is promised must hold. It cannot for a handful of calls: what is reserved for a call stays as it is while
    /// others come and go, whereas the oracle looks at each moment anew. Nor after this little learning for a tail that reaches to a hundred
    /// times the shortest answer.
    promised: bool,
}

const CHAT: Lengths = Lengths::LogNormal(250.0, 1.0);
const CODE: Lengths = Lengths::LogNormal(600.0, 0.8);
const PARETO: Lengths = Lengths::Pareto(120.0, 1.5);

const fn class(route: &'static str, lengths: Lengths, cap: u64, percent: u32) -> Class {
    Class {
        route,
        lengths,
        cap,
        percent,
    }
}

const WORKLOADS: [Workload; 8] = [
    Workload {
        name: "lognormal, one cap",
        classes: &[class("chat", CHAT, 4_096, 100)],
        rate: 4.0,
        swings: false,
        promised: true,
    },
    Workload {
        name: "Pareto, one cap",
        classes: &[class("chat", PARETO, 4_096, 100)],
        rate: 4.0,
        swings: false,
        promised: true,
    },
    Workload {
        name: "two routes, caps mixed",
        classes: &[
            class("chat", CHAT, 4_096, 40),
            class("chat", CHAT, 512, 20),
            class("code", PARETO, 8_192, 20),
            class("code", PARETO, 1_024, 20),
        ],
        rate: 6.0,
        swings: false,
        promised: true,
    },
    Workload {
        name: "two routes, rate swings",
        classes: &[
            class("chat", CHAT, 4_096, 40),
            class("chat", CHAT, 512, 20),
            class("code", CODE, 8_192, 20),
            class("code", CODE, 1_024, 20),
        ],
        rate: 6.0,
        swings: true,
        promised: true,
    },
    Workload {
        name: "many calls",
        classes: &[
            class("chat", CHAT, 4_096, 50),
            class("code", PARETO, 16_384, 50),
        ],
        rate: 20.0,
        swings: false,
        promised: true,
    },
    Workload {
        name: "Pareto, cap of 16,384",
        classes: &[class("chat", PARETO, 16_384, 100)],
        rate: 4.0,
        swings: false,
        promised: false,
    },
    Workload {
        name: "lognormal, few calls",
        classes: &[class("chat", CHAT, 4_096, 100)],
        rate: 0.7,
        swings: false,
        promised: false,
    },
    Workload {
        name: "Pareto, few calls",
        classes: &[class("chat", PARETO, 16_384, 100)],
        rate: 0.7,
        swings: false,
        promised: false,
    },
];

/// Calls that teach before anything is judged, and for how many milliseconds at least: the longest answers take nine minutes.
const TAUGHT: usize = 2_000;
const TAUGHT_FOR: u64 = 30 * 60_000;
const RUNS: u64 = 4;
const LEAST_COVERED: f64 = 0.99;
const MOST_OVER_ORACLE: f64 = 1.1;
/// Draws of the oracle's.
const DRAWS: usize = 4_000;
/// Most calls of a class in flight.
const DEEPEST: usize = 400;

/// Plays each workload, with so many moments judged in each run of it.
pub(super) fn run(seed: u64, moments: usize) -> Pools {
    let rows = WORKLOADS
        .iter()
        .map(|workload| {
            let mut oracle = Oracle::new(workload.classes, seed);
            let mut sums = Sums::default();
            for run in 0..RUNS {
                let mut rng = Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(run));
                play(workload, &mut oracle, &mut rng, moments, &mut sums);
            }
            let part = |count: usize| count as f64 / sums.moments as f64;
            let over = sums.over / sums.moments as f64;
            let of_oracle = at_99(&mut sums.used_over_wanted);
            Row {
                workload: workload.name,
                promised: workload.promised,
                in_flight: part(sums.in_flight),
                moments: sums.moments,
                covered: part(sums.covered),
                oracle_covered: part(sums.oracle_covered),
                over_oracle: over,
                over_oracle_at_99: over / of_oracle,
                both_at_99: over / of_oracle * at_99(&mut sums.used_over_reserved),
                caps_over_oracle: sums.caps_over / sums.moments as f64,
            }
        })
        .collect();
    Pools { rows }
}

#[derive(Default)]
struct Sums {
    moments: usize,
    in_flight: usize,
    covered: usize,
    oracle_covered: usize,
    over: f64,
    caps_over: f64,
    /// Of each moment, what was used over what was reserved.
    used_over_reserved: Vec<f64>,
    /// The same, over what the oracle reserves.
    used_over_wanted: Vec<f64>,
}

/// What 99 % of the values do not pass: what all reservations would have to be multiplied with to cover as many moments.
fn at_99(values: &mut [f64]) -> f64 {
    let rank = values.len() * 99 / 100;
    *values.select_nth_unstable_by(rank, f64::total_cmp).1
}

/// A call on its way.
struct Flight {
    class: usize,
    reserved: u64,
    used: u64,
    guard: InFlight,
}

fn play(workload: &Workload, oracle: &mut Oracle, rng: &mut Rng, moments: usize, sums: &mut Sums) {
    let estimator = Estimator::new();
    let calls: Vec<Arc<Descriptor>> = workload.classes.iter().map(described).collect();
    // Milliseconds.
    let (mut now, mut next_arrival, mut next_moment) = (0_u64, 0_u64, u64::MAX);
    let mut flights: Vec<Option<Flight>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut ends: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let (mut done, mut judged) = (0, 0);
    while judged < moments {
        let next_end = ends.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
        now = next_end.min(next_arrival).min(next_moment).max(now);
        if next_end <= now {
            let Some(Reverse((_, slot))) = ends.pop() else {
                continue;
            };
            let Some(flight) = flights[slot].take() else {
                continue;
            };
            free.push(slot);
            flight.guard.settle(&Usage::new(20, flight.used));
            done += 1;
            if done >= TAUGHT && now >= TAUGHT_FOR && next_moment == u64::MAX {
                next_moment = now;
            }
        } else if next_arrival <= now {
            let class = drawn(workload.classes, rng);
            let reserved = estimator
                .estimate(&calls[class], OutputLimits::default())
                .output;
            let used = workload.classes[class].draw(rng);
            let flight = Flight {
                class,
                reserved,
                used,
                guard: estimator.admit(&calls[class], reserved),
            };
            let slot = free.pop().unwrap_or_else(|| {
                flights.push(None);
                flights.len() - 1
            });
            flights[slot] = Some(flight);
            ends.push(Reverse((now + lasts(used, rng), slot)));
            let swing = if workload.swings {
                1.0 + 0.5 * (now as f64 / 600_000.0 * std::f64::consts::TAU).sin()
            } else {
                1.0
            };
            next_arrival = now + exponential(1_000.0 / (workload.rate * swing), rng);
        } else {
            next_moment = now + exponential(1_000.0, rng);
            judged += 1;
            let mut counts = vec![0; workload.classes.len()];
            let (mut reserved, mut used, mut caps, mut in_flight) = (0, 0, 0, 0);
            for flight in flights.iter().flatten() {
                counts[flight.class] += 1;
                in_flight += 1;
                reserved += flight.reserved;
                used += flight.used;
                caps += workload.classes[flight.class].cap;
            }
            if in_flight == 0 {
                // Nothing can go wrong, and nothing is reserved.
                judged -= 1;
                continue;
            }
            let wanted = oracle.reserves(&counts);
            sums.moments += 1;
            sums.in_flight += in_flight;
            sums.covered += usize::from(reserved >= used);
            sums.oracle_covered += usize::from(wanted >= used);
            sums.over += reserved as f64 / wanted as f64;
            sums.used_over_reserved.push(used as f64 / reserved as f64);
            sums.used_over_wanted.push(used as f64 / wanted as f64);
            sums.caps_over += caps as f64 / wanted as f64;
        }
    }
}

/// A chat call of that class, as it is described from its body.
fn described(class: &Class) -> Arc<Descriptor> {
    let body = serde_json::json!({
        "model": "m",
        "max_tokens": class.cap,
        "messages": [{ "role": "user", "content": "Go on." }],
    });
    let mut call = describe(
        Some(Dialect::OpenAiChat),
        "/v1/chat/completions",
        body.to_string().as_bytes(),
    );
    call.route = Some(class.route.into());
    Arc::new(call)
}

fn drawn(classes: &[Class], rng: &mut Rng) -> usize {
    let mut at = rng.u32(0..100);
    for (class, Class { percent, .. }) in classes.iter().enumerate() {
        match at.checked_sub(*percent) {
            Some(rest) => at = rest,
            None => return class,
        }
    }
    0
}

impl Class {
    fn draw(&self, rng: &mut Rng) -> u64 {
        let tokens = match self.lengths {
            Lengths::LogNormal(median, deviation) => median * (deviation * normal(rng)).exp(),
            Lengths::Pareto(least, exponent) => least * (1.0 - rng.f64()).powf(-1.0 / exponent),
        };
        (tokens.ceil() as u64).clamp(1, self.cap)
    }
}

/// Milliseconds that a call takes: up to a second until its first token, then 30 to 90 tokens a second.
fn lasts(tokens: u64, rng: &mut Rng) -> u64 {
    let first = 200 + rng.u64(0..800);
    first + (tokens as f64 * 1_000.0 / (30.0 + 60.0 * rng.f64())) as u64
}

fn exponential(mean: f64, rng: &mut Rng) -> u64 {
    (-mean * (1.0 - rng.f64()).ln()).ceil() as u64
}

/// By Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Knows how long the answers of each class are, and for how long they are in flight: what it has to reserve for a set of calls in
/// flight, to be right in 99 of 100 cases, is that quantile of their sum, found by drawing such sets.
struct Oracle {
    /// For each class and each number of calls, sums of so many draws.
    sums: Vec<Vec<Vec<u64>>>,
    totals: Vec<u64>,
}

impl Oracle {
    fn new(classes: &[Class], seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x00C0_FFEE);
        let sums = classes
            .iter()
            .map(|class| {
                // A call is found in flight as much more often as it takes longer: draws are weighted by that, and drawn again.
                let draws: Vec<(u64, u64)> = (0..200_000)
                    .map(|_| {
                        let tokens = class.draw(&mut rng);
                        (tokens, lasts(tokens, &mut rng))
                    })
                    .collect();
                let mut total = 0;
                let upto: Vec<u64> = draws
                    .iter()
                    .map(|(_, lasts)| {
                        total += lasts;
                        total
                    })
                    .collect();
                let mut sums = vec![vec![0; DRAWS]];
                for calls in 1..=DEEPEST {
                    let more = sums[calls - 1]
                        .iter()
                        .map(|sum| {
                            let at = rng.u64(0..total);
                            sum + draws[upto.partition_point(|upto| *upto <= at)].0
                        })
                        .collect();
                    sums.push(more);
                }
                sums
            })
            .collect();
        Self {
            sums,
            totals: vec![0; DRAWS],
        }
    }

    fn reserves(&mut self, counts: &[usize]) -> u64 {
        self.totals.fill(0);
        for (sums, calls) in self.sums.iter().zip(counts) {
            assert!(
                *calls <= DEEPEST,
                "more calls in flight than the oracle has drawn for"
            );
            for (total, sum) in self.totals.iter_mut().zip(&sums[*calls]) {
                *total += sum;
            }
        }
        let rank = DRAWS * 99 / 100;
        *self.totals.select_nth_unstable(rank).1
    }
}

impl Pools {
    pub(super) const fn rows(&self) -> &Vec<Row> {
        &self.rows
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new([
            "workload",
            "in flight",
            "covered %",
            "reserved / oracle's",
            "oracle's at 99 %",
            "both at 99 %",
            "oracle covered %",
            "caps / oracle's",
            "promised",
        ]);
        for row in &self.rows {
            table.line([
                row.workload.to_owned(),
                format!("{:.1}", row.in_flight),
                format!("{:.2}", row.covered * 100.0),
                format!("{:.3}", row.over_oracle),
                format!("{:.3}", row.over_oracle_at_99),
                format!("{:.3}", row.both_at_99),
                format!("{:.2}", row.oracle_covered * 100.0),
                format!("{:.1}", row.caps_over_oracle),
                if row.promised { "yes" } else { "no" }.to_owned(),
            ]);
        }
        table
    }

    /// What should have held and did not.
    pub(super) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for row in self.rows.iter().filter(|row| row.promised) {
            if row.covered < LEAST_COVERED {
                broken.push(format!("{}: covered at 99 % of moments", row.workload));
            }
            if row.over_oracle_at_99 > MOST_OVER_ORACLE {
                broken.push(format!("{}: at most 1.1 times the oracle's", row.workload));
            }
        }
        broken
    }
}
