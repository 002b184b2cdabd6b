//! The ledger against a naive one that keeps every charge and replays them all at each question: equal answers after each step.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index, test_runner::FileFailurePersistence};
use tollgate_limits::{
    Amounts, Binding, Check, Decision, Labels, Lane, Ledger, News, Plan, Reservation, Tick, Unit,
    Wait,
};

use naive::{History, Kind};
use scripts::{MODELS, RATED, Rule, Step, TENANTS, scripts};

#[path = "reference/naive.rs"]
mod naive;
#[path = "reference/scripts.rs"]
mod scripts;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/proptest-regressions/reference.txt"))),
        // PROPTEST_CASES sets the default, and so a longer run.
        cases: 4 * ProptestConfig::default().cases,
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
            Decision::Spent(wait) => prop_assert_eq!(Check::Spent(wait), want),
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
            used: history.used(now),
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
        // A window that has room now may be near its end by the time the slowest policy has some.
        let latest = alone(longest);
        let together = [now, latest]
            .into_iter()
            .filter(|from| *from < u64::MAX)
            .flat_map(|from| lane.iter().map(move |entry| (from, entry)))
            .flat_map(|(from, (_, history, needed))| history.turning_points(from, *needed))
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

fn name(rule: usize) -> String {
    format!("policy-{rule}")
}

fn amounts_of(units: [u64; 5]) -> Amounts {
    RATED
        .into_iter()
        .zip(units)
        .fold(Amounts::ZERO, |amounts, (unit, n)| amounts.with(unit, n))
}
