//! The ledger against a naive one that keeps every charge and replays them all at each question: equal answers after each step.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index, test_runner::FileFailurePersistence};
use tollgate_limits::{
    Amounts, Anchor, Binding, Booking, Calendar, Check, Decision, Labels, Lane, Ledger, News, Plan,
    Policy, Quota, Reservation, Tick, Unit, Wait,
};

use naive::{History, Kind, Spec};

#[path = "reference/naive.rs"]
mod naive;

const MODELS: [&str; 2] = ["alpha-1", "beta-1"];
const TENANTS: [&str; 2] = ["east", "west"];
const RATED: [Unit; 5] = [
    Unit::Requests,
    Unit::InputTokens,
    Unit::OutputTokens,
    Unit::TotalTokens,
    Unit::Cost,
];

/// A quota with the calls it applies to.
#[derive(Clone, Debug)]
struct Rule {
    spec: Spec,
    only_alpha: bool,
    per_tenant: bool,
}

/// One step of a script. Which reservation or policy is meant is chosen among those that exist then.
#[derive(Clone, Debug)]
enum Step {
    Reserve {
        lane: usize,
        amounts: [u64; 5],
    },
    Settle {
        which: Index,
        used: [u64; 5],
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
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/proptest-regressions/reference.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_ledger_answers_like_a_replay_of_history((rules, steps) in scripts()) {
        let mut world = World::new(&rules);
        for step in steps {
            world.take(step)?;
        }
    }
}

/// The ledger and the naive one, side by side.
struct World {
    now: u64,
    ledger: Ledger,
    lanes: Vec<Lane>,
    histories: Vec<History>,
    /// By policy and partition, in the order of a snapshot.
    index: BTreeMap<(usize, Vec<&'static str>), usize>,
    naive_lanes: Vec<Vec<(usize, usize)>>,
    open: Vec<Open>,
    calls: usize,
}

struct Open {
    call: usize,
    at: u64,
    lane: usize,
    amounts: Amounts,
    reservation: Reservation,
}

impl World {
    fn new(rules: &[Rule]) -> Self {
        let policies = rules
            .iter()
            .enumerate()
            .map(|(i, rule)| rule.policy(&name(i)));
        let mut world = Self {
            now: 0,
            ledger: Ledger::new(Plan::new(policies).unwrap()),
            lanes: Vec::new(),
            histories: Vec::new(),
            index: BTreeMap::new(),
            naive_lanes: Vec::new(),
            open: Vec::new(),
            calls: 0,
        };
        for (model, tenant) in MODELS.into_iter().flat_map(|m| TENANTS.map(|t| (m, t))) {
            let labels = Labels::new().with("model", model).with("tenant", tenant);
            world.lanes.push(world.ledger.lane(&labels));
            let mut lane = Vec::new();
            for (i, rule) in rules.iter().enumerate() {
                if rule.only_alpha && model != MODELS[0] {
                    continue;
                }
                let partition = if rule.per_tenant {
                    vec![tenant]
                } else {
                    vec![]
                };
                let next = world.histories.len();
                let history = *world.index.entry((i, partition)).or_insert(next);
                if history == next {
                    world.histories.push(History::new(&rule.spec));
                }
                lane.push((i, history));
            }
            world.naive_lanes.push(lane);
        }
        world
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass { nanos } => self.now += nanos,
            Step::Reserve { lane, amounts } => self.reserve(lane, amounts_of(amounts))?,
            Step::Settle { which, used } => self.end(which, Some(amounts_of(used))),
            Step::Release { which } => self.end(which, None),
            Step::Pause { lane, unit, nanos } => {
                self.pause(lane, unit.map(|i| RATED[i]), self.now + nanos)
            }
            Step::Adopt {
                which,
                policy,
                limit,
                remaining,
                rounding,
            } => {
                self.adopt(which, policy, limit, remaining, rounding)?;
            }
        }
        let snapshot = self.ledger.snapshot(Tick::from_nanos(self.now));
        prop_assert_eq!(snapshot.len(), self.index.len());
        for (status, ((rule, partition), &i)) in snapshot.iter().zip(&self.index) {
            let history = &self.histories[i];
            prop_assert_eq!(&*status.policy, name(*rule));
            prop_assert!(
                status
                    .partition
                    .iter()
                    .map(|p| &**p)
                    .eq(partition.iter().copied())
            );
            prop_assert_eq!(
                status.used,
                history.used(self.now),
                "used of {} at {}",
                &status.policy,
                self.now
            );
            prop_assert_eq!(status.held, history.held());
            prop_assert_eq!(status.limit, history.limit());
            prop_assert_eq!(status.capacity, history.capacity());
            let pause = Some(history.paused_until).filter(|until| *until > self.now);
            prop_assert_eq!(status.paused_until.map(Tick::as_nanos), pause);
        }
        prop_assert_eq!(self.ledger.open_reservations(), self.open.len());
        Ok(())
    }

    fn reserve(&mut self, lane: usize, amounts: Amounts) -> Result<(), TestCaseError> {
        let now = Tick::from_nanos(self.now);
        let want = self.naive_check(lane, &amounts);
        prop_assert_eq!(
            &self.ledger.check(now, self.lanes[lane], &amounts),
            &want,
            "at {}",
            self.now
        );
        match self.ledger.reserve(now, self.lanes[lane], &amounts) {
            Decision::Granted(reservation) => {
                prop_assert_eq!(want, Check::Fits);
                let call = self.calls;
                self.calls += 1;
                for &(_, i) in &self.naive_lanes[lane] {
                    let history = &mut self.histories[i];
                    history.reserve(self.now, call, amounts.get(history.spec.unit));
                }
                self.open.push(Open {
                    call,
                    at: self.now,
                    lane,
                    amounts,
                    reservation,
                });
            }
            Decision::Wait(wait) => prop_assert_eq!(Check::Wait(wait), want),
            Decision::NeverFits(binding) => prop_assert_eq!(Check::NeverFits(binding), want),
        }
        Ok(())
    }

    /// What the naive ledger says: the policy that takes longest binds, and `until` is when all of them fit together.
    fn naive_check(&self, lane: usize, amounts: &Amounts) -> Check {
        let lane: Vec<(usize, &History, u64)> = self.naive_lanes[lane]
            .iter()
            .map(|&(rule, i)| {
                (
                    rule,
                    &self.histories[i],
                    amounts.get(self.histories[i].spec.unit),
                )
            })
            .collect();
        let now = self.now;
        let explain = |(rule, history, needed): &(usize, &History, u64)| Binding {
            policy: name(*rule).into(),
            unit: history.spec.unit,
            needed: *needed,
            remaining: (0..=history.capacity())
                .rev()
                .find(|n| history.has_room(now, *n))
                .unwrap(),
            capacity: history.capacity(),
            paused_until: Some(Tick::from_nanos(history.held_back_until()))
                .filter(|t| t.as_nanos() > now),
        };
        if let Some(never) = lane.iter().find(|(_, h, needed)| *needed > h.capacity()) {
            return Check::NeverFits(explain(never));
        }
        if lane
            .iter()
            .all(|(_, history, needed)| history.fits(now, *needed))
        {
            return Check::Fits;
        }
        let alone = |(_, history, needed): &(usize, &History, u64)| {
            let points = history.turning_points(now, *needed).into_iter();
            points
                .filter(|at| history.fits(*at, *needed))
                .min()
                .unwrap_or(u64::MAX)
        };
        // Of those that take equally long the first one is named.
        let longest = lane.iter().rev().max_by_key(|entry| alone(entry)).unwrap();
        let together = lane
            .iter()
            .flat_map(|(_, history, needed)| history.turning_points(now, *needed))
            .filter(|at| {
                lane.iter()
                    .all(|(_, history, needed)| history.fits(*at, *needed))
            })
            .min();
        Check::Wait(Wait {
            binding: explain(longest),
            until: together.map(Tick::from_nanos),
        })
    }

    fn end(&mut self, which: Index, used: Option<Amounts>) {
        if self.open.is_empty() {
            return;
        }
        let open = self.open.swap_remove(which.index(self.open.len()));
        for &(_, i) in &self.naive_lanes[open.lane] {
            let history = &mut self.histories[i];
            let unit = history.spec.unit;
            history.settle(
                self.now,
                open.call,
                open.amounts.get(unit),
                used.map(|used| used.get(unit)),
            );
        }
        let now = Tick::from_nanos(self.now);
        match used {
            Some(used) => {
                let settlement = self.ledger.settle(now, open.reservation, &used);
                assert_eq!((settlement.reserved, settlement.used), (open.amounts, used));
            }
            None => self.ledger.release(now, open.reservation),
        }
    }

    fn pause(&mut self, lane: usize, unit: Option<Unit>, until: u64) {
        self.ledger
            .pause(self.lanes[lane], unit, Tick::from_nanos(until));
        for &(_, i) in &self.naive_lanes[lane] {
            let history = &mut self.histories[i];
            let meant = unit.is_none_or(|unit| unit == history.spec.unit);
            if meant && !matches!(history.spec.shape, Kind::Slots) && until > history.paused_until {
                history.paused_until = until;
                history.paced_until = until + history.spec.window;
            }
        }
    }

    fn adopt(
        &mut self,
        which: Index,
        policy: Index,
        limit: Option<u64>,
        remaining: Option<u64>,
        rounding: u64,
    ) -> Result<(), TestCaseError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let open = &self.open[which.index(self.open.len())];
        let lane = &self.naive_lanes[open.lane];
        if lane.is_empty() {
            return Ok(());
        }
        // Of several policies with the same unit and window the first is meant.
        let meant = &self.histories[lane[policy.index(lane.len())].1].spec;
        let (unit, window) = (meant.unit, meant.window);
        let first = lane.iter().find(|(_, i)| {
            let spec = &self.histories[*i].spec;
            (spec.unit, spec.window) == (unit, window)
        });
        let history = &mut self.histories[first.unwrap().1];
        let news = News {
            unit,
            window: Some(Duration::from_nanos(window)),
            limit,
            remaining,
            rounding,
        };
        let changed = history.adopt(self.now, open.at, open.call, &news);
        let now = Tick::from_nanos(self.now);
        prop_assert_eq!(self.ledger.adopt(now, &open.reservation, &news), changed);
        prop_assert!(
            !self.ledger.adopt(now, &open.reservation, &news),
            "the same news changes nothing"
        );
        Ok(())
    }
}

impl Rule {
    fn policy(&self, name: &str) -> Policy {
        let Spec {
            unit,
            shape,
            limit,
            window,
            margin,
            booking,
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
            .booking(*booking)
            .margin(Duration::from_nanos(*margin))
            .unwrap();
        if self.only_alpha {
            policy = policy.only("model", ["alpha*"]);
        }
        if self.per_tenant {
            policy = policy.per("tenant");
        }
        policy
    }
}

fn name(rule: usize) -> String {
    format!("policy-{rule}")
}

fn amounts_of(units: [u64; 5]) -> Amounts {
    RATED
        .into_iter()
        .zip(units)
        .fold(Amounts::ZERO, |amounts, (unit, n)| amounts.with(unit, n))
}

/// Up to four policies and a script for them. A scale of one makes collisions at the same nanosecond common; the larger ones
/// make sliding windows long enough for charges to share a cell.
fn scripts() -> impl Strategy<Value = (Vec<Rule>, Vec<Step>)> {
    prop_oneof![Just(1_u64), Just(4_096), Just(100_000)].prop_flat_map(|scale| {
        (
            prop::collection::vec(rules(scale), 1..=4),
            prop::collection::vec(steps(scale), 1..=80),
        )
    })
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
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.3),
    )
        .prop_map(
            move |(
                (unit, kind, limit, window, margin, booking),
                (burst, offset, gaps),
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
    let amounts = || prop::array::uniform5(prop_oneof![Just(0), 1..=6_u64, 1..=20_u64]);
    let lanes = 0..MODELS.len() * TENANTS.len();
    prop_oneof![
        8 => (lanes.clone(), amounts()).prop_map(|(lane, amounts)| Step::Reserve { lane, amounts }),
        4 => (any::<Index>(), amounts()).prop_map(|(which, used)| Step::Settle { which, used }),
        2 => any::<Index>().prop_map(|which| Step::Release { which }),
        4 => prop_oneof![1..=20_u64, 0..=20 * scale, 0..=80 * scale].prop_map(|nanos| Step::Pass { nanos }),
        1 => (lanes, prop::option::of(0..RATED.len()), 0..=30 * scale)
            .prop_map(|(lane, unit, nanos)| Step::Pause { lane, unit, nanos }),
        2 => (any::<Index>(), any::<Index>(), prop::option::weighted(0.1, 1..=25_u64), prop::option::weighted(0.9, 0..=20_u64), 0..=1_u64)
            .prop_map(|(which, policy, limit, remaining, rounding)| Step::Adopt { which, policy, limit, remaining, rounding }),
    ]
}
