//! Random policies and scripts for the comparison with the naive ledger.

use core::time::Duration;

use proptest::{prelude::*, sample::Index};
use tollgate_limits::{Anchor, Booking, Calendar, Counting, Policy, Quota, Tick, Unit};

use crate::naive::{Count, Kind, Spec};

pub(crate) const MODELS: [&str; 2] = ["alpha-1", "beta-1"];
pub(crate) const TENANTS: [&str; 5] = [
    "east",
    "west",
    "north",
    "south",
    "nowhere at all, for all that anybody knows",
];
pub(crate) const RATED: [Unit; 5] = [
    Unit::Requests,
    Unit::InputTokens,
    Unit::OutputTokens,
    Unit::TotalTokens,
    Unit::Cost,
];

/// A quota with the calls it applies to.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) spec: Spec,
    pub(crate) only_alpha: bool,
    pub(crate) per_tenant: bool,
}

/// What happens to a ledger.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) rules: Vec<Rule>,
    /// Partitions of each policy.
    pub(crate) limit: u32,
    pub(crate) steps: Vec<Step>,
    /// Of which a forecast is made in the end: lane, calls and what each takes.
    pub(crate) batch: (usize, u64, Taken),
}

/// Units of a call; how many of its input came from a cache, its output cap, its model's weight in thousandths, and whether it failed.
pub(crate) type Taken = ([u64; 5], (u64, u64, u32, bool));

/// One step of a script. Which reservation or policy is meant is chosen among those that exist then.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Reserve {
        lane: usize,
        amounts: Taken,
        back: u64,
    },
    Settle {
        which: Index,
        used: Taken,
    },
    Release {
        which: Index,
    },
    Pass {
        nanos: u64,
    },
    Pause {
        lane: usize,
        unit: Option<usize>,
        nanos: u64,
    },
    Adopt {
        which: Index,
        policy: Index,
        limit: Option<u64>,
        remaining: Option<u64>,
        rounding: u64,
    },
    Pin {
        lane: usize,
    },
    Unpin {
        which: Index,
    },
    /// Zero removes a policy, one adds the rule, anything else takes from it what [`Rule::changed`] says.
    Change {
        which: Index,
        how: u8,
        rule: Rule,
    },
}

/// Up to four policies and a script for them. A scale of one makes collisions at the same nanosecond common; the larger ones
/// make sliding windows long enough for charges to share a cell.
pub(crate) fn scripts() -> impl Strategy<Value = Script> {
    prop_oneof![Just(1_u64), Just(4_096), Just(100_000)].prop_flat_map(|scale| {
        let amounts = (prop::array::uniform5(0..=3_u64), beside());
        (
            prop::collection::vec(rules(scale), 1..=4),
            prop_oneof![1..=4_u32, Just(1_000)],
            prop::collection::vec(steps(scale), 1..=80),
            (0..MODELS.len() * TENANTS.len(), 0..=60_u64, amounts),
        )
            .prop_map(|(rules, limit, steps, batch)| Script {
                rules,
                limit,
                steps,
                batch,
            })
    })
}

/// As a rule nothing: then everything counts once.
fn beside() -> impl Strategy<Value = (u64, u64, u32, bool)> {
    let some = (0..=4_u64, 0..=8_u64, 0..=3_000_u32, any::<bool>());
    prop_oneof![2 => Just((0, 0, 0, false)), 1 => some]
}

fn counts() -> impl Strategy<Value = Count> {
    let weight = prop_oneof![4 => Just(Some(1_000)), 1 => prop::option::of(0..=3_000_u32)];
    let mostly = || prop::bool::weighted(0.8);
    (mostly(), mostly(), prop::bool::weighted(0.2), weight).prop_map(
        |(cache_reads, failures, output_cap, output_weight)| Count {
            cache_reads,
            failures,
            output_cap,
            output_weight,
        },
    )
}

fn rules(scale: u64) -> impl Strategy<Value = Rule> {
    let spec = (
        0..RATED.len(),
        0..7_usize,
        1..=20_u64,
        8..=60_u64,
        0..=3_u64,
        0..3_usize,
    );
    let shape = (
        1..=30_u64,
        0..=60_u64,
        prop::collection::vec(30..=100_u64, 1..=5),
    );
    (
        spec,
        shape,
        (counts(), prop::bool::weighted(0.2)),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.3),
    )
        .prop_map(
            move |(
                (unit, kind, limit, window, margin, booking),
                (burst, offset, gaps),
                (count, refuses),
                only_alpha,
                per_tenant,
            )| {
                let (unit, window) = if kind == 6 {
                    (Unit::Concurrency, 0)
                } else {
                    (RATED[unit], window * scale)
                };
                let mut margin = window * margin / 16;
                let shape = match kind {
                    0 | 1 => {
                        margin = margin.min((burst * window / limit).saturating_sub(1));
                        Kind::Bucket {
                            burst: if kind == 0 { burst } else { limit },
                        }
                    }
                    2 => Kind::Sliding,
                    3 => Kind::Aligned {
                        offset: offset * scale,
                    },
                    4 => Kind::FirstCall,
                    5 => {
                        let boundaries = gaps.iter().scan(offset * scale, |at, gap| {
                            *at += window * gap / 50;
                            Some(*at)
                        });
                        Kind::Calendar(boundaries.collect())
                    }
                    _ => Kind::Slots,
                };
                let booking =
                    [Booking::Arrival, Booking::ArrivalKept, Booking::Completion][booking];
                let spec = Spec {
                    unit,
                    shape,
                    limit,
                    window,
                    margin,
                    booking,
                    count,
                    refuses,
                };
                Rule {
                    spec,
                    only_alpha,
                    per_tenant,
                }
            },
        )
}

fn steps(scale: u64) -> impl Strategy<Value = Step> {
    let amounts = || {
        let units = prop_oneof![4 => Just(0), 8 => 1..=4_u64, 1 => 1..=20_u64];
        (prop::array::uniform5(units), beside())
    };
    let lanes = 0..MODELS.len() * TENANTS.len();
    prop_oneof![
        12 => (lanes.clone(), amounts(), prop_oneof![4 => Just(0), 1 => 0..=20 * scale])
            .prop_map(|(lane, amounts, back)| Step::Reserve { lane, amounts, back }),
        4 => (any::<Index>(), amounts()).prop_map(|(which, used)| Step::Settle { which, used }),
        2 => any::<Index>().prop_map(|which| Step::Release { which }),
        4 => prop_oneof![1..=20_u64, 0..=20 * scale, 0..=80 * scale].prop_map(|nanos| Step::Pass { nanos }),
        1 => lanes.clone().prop_map(|lane| Step::Pin { lane }),
        1 => any::<Index>().prop_map(|which| Step::Unpin { which }),
        1 => (any::<Index>(), 0..=8_u8, rules(scale)).prop_map(|(which, how, rule)| Step::Change { which, how, rule }),
        1 => (lanes, prop::option::of(0..RATED.len()), 0..=30 * scale)
            .prop_map(|(lane, unit, nanos)| Step::Pause { lane, unit, nanos }),
        4 => (any::<Index>(), any::<Index>(), prop::option::weighted(0.1, 1..=25_u64), prop::option::weighted(0.9, 0..=20_u64), 0..=1_u64)
            .prop_map(|(which, policy, limit, remaining, rounding)| Step::Adopt { which, policy, limit, remaining, rounding }),
    ]
}

impl Rule {
    /// The same policy with some of the terms of another: its limit, margin, booking, condition, or all of them.
    pub(crate) fn changed(&self, how: u8, other: &Self) -> Self {
        let mut changed = self.clone();
        let (old, new) = (&self.spec, &other.spec);
        let slots = |spec: &Spec| matches!(spec.shape, Kind::Slots);
        let spec = &mut changed.spec;
        match how {
            2 => spec.limit = new.limit,
            3 => spec.margin = new.margin,
            4 => spec.booking = new.booking,
            5 => changed.only_alpha = other.only_alpha,
            6 => (spec.count, spec.refuses) = (new.count, new.refuses),
            _ if slots(old) != slots(new) => spec.limit = new.limit,
            _ => {
                let unit = old.unit;
                *spec = Spec {
                    unit,
                    ..new.clone()
                };
                match (&old.shape, &new.shape) {
                    // Unit-nanoseconds of another window are whole only if it is a multiple.
                    (Kind::Bucket { .. }, Kind::Bucket { .. }) => {
                        let times = if old.window < 1 << 30 {
                            1 + new.limit % 3
                        } else {
                            1
                        };
                        spec.window = old.window * times;
                    }
                    // Cells have the length that belongs to the window.
                    (Kind::Sliding, Kind::Sliding) if old.window.max(new.window) >= 4_096 => {
                        spec.window = old.window;
                    }
                    _ => {}
                }
            }
        }
        let widest = match spec.shape {
            Kind::Bucket { burst } => burst * spec.window / spec.limit,
            Kind::Sliding => spec.window,
            Kind::Slots => 1,
            _ => spec.window / 2,
        };
        spec.margin = spec.margin.min(widest.saturating_sub(1));
        changed
    }

    pub(crate) fn policy(&self, name: &str) -> Policy {
        let Spec {
            unit,
            shape,
            limit,
            window,
            margin,
            booking,
            count,
            refuses,
        } = &self.spec;
        let window = Duration::from_nanos(*window);
        let fixed = |anchor| Quota::window(*unit, *limit, window, anchor);
        let quota = match shape {
            Kind::Bucket { burst } => {
                Quota::bucket(*unit, *limit, window).and_then(|q| q.burst(*burst))
            }
            Kind::Sliding => Quota::sliding(*unit, *limit, window),
            Kind::Aligned { offset } => fixed(Anchor::Aligned {
                offset: Duration::from_nanos(*offset),
            }),
            Kind::FirstCall => fixed(Anchor::FirstCall),
            Kind::Calendar(boundaries) => {
                let ticks: Vec<Tick> = boundaries.iter().map(|b| Tick::from_nanos(*b)).collect();
                fixed(Anchor::Calendar(Calendar::new(ticks).unwrap()))
            }
            Kind::Slots => Quota::slots(*limit),
        };
        let mut policy = Policy::new(name, quota.unwrap())
            .alone()
            .booking(*booking)
            .counting(counting(count))
            .margin(Duration::from_nanos(*margin))
            .unwrap();
        if *refuses {
            policy = policy.refusing();
        }
        if self.only_alpha {
            policy = policy.only("model", ["alpha*"]);
        }
        if self.per_tenant {
            policy = policy.per("tenant");
        }
        policy
    }
}

fn counting(count: &Count) -> Counting {
    let counting = Counting::PLAIN
        .cache_reads(count.cache_reads)
        .failures(count.failures)
        .output_cap(count.output_cap);
    match count.output_weight {
        Some(weight) => counting.output_weight(weight),
        None => counting.model_weight(),
    }
}
