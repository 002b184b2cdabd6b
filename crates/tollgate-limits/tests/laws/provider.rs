//! What a provider counts, by its own plain rules, of the calls that a ledger admits.

use proptest::prelude::*;
use tollgate_limits::{
    Amounts, Anchor, Booking, Calendar, Check, Decision, Labels, Ledger, Plan, Policy, Quota,
    Reservation, Tick, Unit,
};

use super::span;

/// A quota as both sides know it; times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) shape: Shape,
    pub(crate) limit: u64,
    pub(crate) window: u64,
    pub(crate) margin: u64,
    pub(crate) booking: Booking,
}

#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Bucket { burst: u64 },
    Sliding,
    Aligned { offset: u64 },
    Calendar(Vec<u64>),
    FirstCall,
}

/// One call: when it is tried, what it takes, and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) pass: u64,
    pub(crate) units: u64,
    /// Whether it waits until the instant it is told, or gives up.
    pub(crate) patient: bool,
    /// Whether it is sent at all.
    pub(crate) sent: bool,
    pub(crate) duration: u64,
    /// Time between us and the provider, in 64ths of what is allowed.
    pub(crate) travel: u64,
}

/// What the provider counted: when, and how much.
pub(crate) type Counted = Vec<(u64, u64)>;

impl Shape {
    pub(crate) fn with_burst(self, burst: u64) -> Self {
        match self {
            Self::Bucket { .. } => Self::Bucket { burst },
            other => other,
        }
    }

    /// The same shape for a window of another length.
    pub(crate) fn rescaled(self, from: u64, to: u64) -> Self {
        match self {
            Self::Aligned { offset } => Self::Aligned {
                offset: offset * to / from,
            },
            Self::Calendar(boundaries) => {
                Self::Calendar(boundaries.iter().map(|b| b * to / from).collect())
            }
            other => other,
        }
    }
}

impl Rule {
    pub(crate) fn policy(&self) -> Policy {
        self.named("quota")
    }

    pub(crate) fn named(&self, name: &str) -> Policy {
        let window = span(self.window);
        let fixed = |anchor| Quota::window(Unit::TotalTokens, self.limit, window, anchor);
        let quota = match &self.shape {
            Shape::Bucket { burst } => Quota::bucket(Unit::TotalTokens, self.limit, window)
                .and_then(|quota| quota.burst(*burst)),
            Shape::Sliding => Quota::sliding(Unit::TotalTokens, self.limit, window),
            Shape::Aligned { offset } => fixed(Anchor::Aligned {
                offset: span(*offset),
            }),
            Shape::Calendar(boundaries) => {
                let ticks: Vec<Tick> = boundaries.iter().map(|b| Tick::from_nanos(*b)).collect();
                fixed(Anchor::Calendar(Calendar::new(ticks).unwrap()))
            }
            Shape::FirstCall => fixed(Anchor::FirstCall),
        };
        Policy::new(name, quota.unwrap())
            .booking(self.booking)
            .margin(span(self.margin))
            .unwrap()
    }

    pub(crate) fn capacity(&self) -> u64 {
        match self.shape {
            Shape::Bucket { burst } => burst,
            _ => self.limit,
        }
    }

    /// Sends what a ledger admits; each call travels for up to `longest`. Calls that are booked on completion are counted when the
    /// provider has finished, and we learn of it up to `longest` later.
    pub(crate) fn counted(&self, tries: &[Try], longest: u64) -> Counted {
        let mut ledger = Ledger::new(Plan::new([self.policy()]).unwrap());
        let lane = ledger.lane(&Labels::new());
        let mut now = 16 * self.window;
        let mut counted = Vec::new();
        let mut flying: Vec<(u64, Reservation, Amounts, bool, u64)> = Vec::new();
        let completion = self.booking == Booking::Completion;
        let land = |ledger: &mut Ledger,
                    counted: &mut Counted,
                    flying: &mut Vec<(u64, Reservation, Amounts, bool, u64)>,
                    until: u64| {
            flying.sort_by_key(|(end, ..)| std::cmp::Reverse(*end));
            while flying.last().is_some_and(|(end, ..)| *end <= until) {
                let (end, reservation, amounts, sent, travel) = flying.pop().unwrap();
                let at = Tick::from_nanos(end);
                if !sent {
                    ledger.release(at, reservation);
                    continue;
                }
                ledger.settle(at, reservation, &amounts);
                if completion {
                    counted.push((end - travel, amounts.get(Unit::TotalTokens)));
                }
            }
        };
        for call in tries {
            now += call.pass;
            land(&mut ledger, &mut counted, &mut flying, now);
            let units = 1 + call.units % self.capacity();
            let amounts = Amounts::ZERO.with(Unit::TotalTokens, units);
            if call.patient
                && let Check::Wait(wait) = ledger.check(Tick::from_nanos(now), lane, &amounts)
                && let Some(until) = wait.until
            {
                now = until.as_nanos();
                land(&mut ledger, &mut counted, &mut flying, now);
            }
            let travel = longest * call.travel / 64;
            let decision = ledger.reserve(Tick::from_nanos(now), lane, &amounts);
            if let Decision::Granted(reservation) = decision {
                if call.sent && !completion {
                    counted.push((now + travel, units));
                }
                // One that is never sent is released soon. (Were it kept for longer than the window that it seemed to open, nobody
                // could tell before that it opened none.)
                let end = match call.sent {
                    true => now + call.duration.max(travel),
                    false => now + call.duration.min(self.window / 2),
                };
                flying.push((end, reservation, amounts, call.sent, travel));
            }
        }
        land(&mut ledger, &mut counted, &mut flying, u64::MAX);
        counted.sort_unstable();
        counted
    }

    /// Whether the provider would have refused one of the calls.
    pub(crate) fn is_exceeded_by(&self, counted: &[(u64, u64)]) -> bool {
        let sum = |calls: &[(u64, u64)]| calls.iter().map(|(_, units)| units).sum::<u64>();
        let groups: Vec<&[(u64, u64)]> = match &self.shape {
            Shape::Bucket { burst } => {
                return (0..counted.len()).any(|i| {
                    (i..counted.len()).any(|j| {
                        let refilled = (counted[j].0 - counted[i].0) * self.limit;
                        sum(&counted[i..=j]) * self.window > burst * self.window + refilled
                    })
                });
            }
            Shape::Sliding => (0..counted.len())
                .map(|i| {
                    let end = counted[i].0 + self.window;
                    let n = counted[i..].partition_point(|(at, _)| *at < end);
                    &counted[i..i + n]
                })
                .collect(),
            Shape::FirstCall => {
                let (mut rest, mut groups) = (counted, Vec::new());
                while let Some((first, _)) = rest.first() {
                    let (group, later) =
                        rest.split_at(rest.partition_point(|(at, _)| *at < first + self.window));
                    groups.push(group);
                    rest = later;
                }
                groups
            }
            Shape::Aligned { offset } => {
                let frame = |at: u64| (at + self.window - offset % self.window) / self.window;
                counted.chunk_by(|a, b| frame(a.0) == frame(b.0)).collect()
            }
            Shape::Calendar(boundaries) => {
                // Outside the list, windows of the nominal length follow on it at both ends.
                let (first, last) = (boundaries[0], *boundaries.last().unwrap());
                let frame = |at: u64| match at.checked_sub(last) {
                    Some(after) => (boundaries.len() as u64 + after / self.window, 0),
                    None => (
                        boundaries.partition_point(|b| *b <= at) as u64,
                        first.saturating_sub(at).div_ceil(self.window),
                    ),
                };
                counted.chunk_by(|a, b| frame(a.0) == frame(b.0)).collect()
            }
        };
        groups.into_iter().any(|group| sum(group) > self.limit)
    }
}

/// Quotas of every shape whose windows are long against a nanosecond, or not.
pub(crate) fn rules() -> impl Strategy<Value = Rule> {
    let sizes = (
        1..=20_u64,
        8..=64_u64,
        0..=7_u64,
        prop_oneof![Just(1_u64), Just(4_096)],
    );
    let shapes = (
        0..6_usize,
        1..=30_u64,
        prop::collection::vec(60..=150_u64, 1..=6),
    );
    (sizes, shapes, any::<bool>()).prop_map(
        |((limit, window, margin, scale), (shape, burst, gaps), completion)| {
            let window = window * scale;
            let mut margin = window * margin / 16;
            let shape = match shape {
                0 | 1 => {
                    let burst = if shape == 0 { burst } else { limit };
                    margin = margin.min((burst * window / limit).saturating_sub(1));
                    Shape::Bucket { burst }
                }
                2 => Shape::Sliding,
                3 => Shape::Aligned {
                    offset: burst * scale,
                },
                4 => Shape::FirstCall,
                _ => {
                    let mut at = 16 * window;
                    Shape::Calendar(
                        gaps.into_iter()
                            .map(|gap| {
                                at += window * gap / 100;
                                at
                            })
                            .collect(),
                    )
                }
            };
            let booking = if completion {
                Booking::Completion
            } else {
                Booking::Arrival
            };
            Rule {
                shape,
                limit,
                window,
                margin,
                booking,
            }
        },
    )
}

/// Calls that come faster than the quota lets them, or slower.
pub(crate) fn tries(window: u64) -> impl Strategy<Value = Vec<Try>> {
    let pass = prop_oneof![Just(0), 0..=window / 8, 0..=2 * window];
    let duration = prop_oneof![Just(0), 0..=window / 4, 0..=3 * window];
    let travel = prop_oneof![Just(0), Just(64), 0..=64_u64];
    let units = prop_oneof![0..=3_u64, 0..=40_u64];
    let one = (
        pass,
        units,
        any::<bool>(),
        prop::bool::weighted(0.8),
        duration,
        travel,
    );
    prop::collection::vec(
        one.prop_map(|(pass, units, patient, sent, duration, travel)| Try {
            pass,
            units,
            patient,
            sent,
            duration,
            travel,
        }),
        1..=60,
    )
}
