//! The ledger against a naive one that keeps every charge and replays them all at each question: equal answers after each step.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index, test_runner::FileFailurePersistence};
use tollgate_limits::{
    Amounts, Binding, Check, Decision, Labels, Lane, Ledger, Plan, Reservation, Status, Tick, Unit,
    Wait,
};

use naive::{Count, History, Kind};
use scripts::{MODELS, RATED, Rule, Script, Step, TENANTS, Taken, scripts};

#[path = "reference/beyond.rs"]
mod beyond;
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

    /// Of every shape, through every operation, while partitions are forgotten, run out, and get other terms.
    #[test]
    fn the_ledger_answers_like_a_replay_of_history(script in scripts()) {
        let mut world = World::new(&script, 0);
        for step in script.steps.clone() {
            world.take(step)?;
        }
        world.foretell(&script)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/proptest-regressions/reference.txt"))),
        cases: ProptestConfig::default().cases / 4,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_answer_depends_on_the_seed(script in scripts(), seed in any::<u64>()) {
        let (mut one, mut other) = (World::new(&script, 0), World::new(&script, seed));
        for step in script.steps.clone() {
            one.take(step.clone())?;
            other.take(step)?;
            let now = Tick::from_nanos(one.now);
            prop_assert_eq!(one.ledger.snapshot(now), other.ledger.snapshot(now));
        }
    }
}

/// The ledger and the naive one, side by side.
struct World {
    now: u64,
    ledger: Ledger,
    rules: Vec<(String, Rule)>,
    named: usize,
    limit: usize,
    histories: Vec<History>,
    index: BTreeMap<Key, usize>,
    open: Vec<Open>,
    pinned: Vec<(Lane, usize, Vec<u32>)>,
    calls: usize,
}

/// Policy, whether it is the common partition, and partition.
type Key = (String, bool, Vec<String>);

struct Open {
    call: usize,
    amounts: Amounts,
    reservation: Reservation,
    /// In the order of the plan when it was made, and how each counted it.
    histories: Vec<(usize, Count)>,
}

impl World {
    fn new(script: &Script, seed: u64) -> Self {
        let named = script.rules.iter().zip(0_usize..);
        let rules: Vec<(String, Rule)> = named.map(|(rule, i)| (name(i), rule.clone())).collect();
        Self {
            now: 0,
            ledger: Ledger::with_seed(plan(&rules), seed).partition_limit(script.limit),
            named: rules.len(),
            limit: script.limit as usize,
            rules,
            histories: Vec::new(),
            index: BTreeMap::new(),
            open: Vec::new(),
            pinned: Vec::new(),
            calls: 0,
        }
    }

    fn tick(&self) -> Tick {
        Tick::from_nanos(self.now)
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass { nanos } => self.now += nanos,
            Step::Reserve {
                lane,
                amounts,
                back,
            } => self.reserve(lane, amounts_of(amounts), back)?,
            Step::Settle { which, used } => self.end(which, Some(amounts_of(used))),
            Step::Release { which } => self.end(which, None),
            Step::Pause { lane, unit, nanos } => {
                self.pause(lane, unit.map(|i| RATED[i]), self.now + nanos)?;
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
            Step::Pin { lane } => {
                let (found, _) = self.lane(lane)?;
                self.ledger.pin(found);
                let meters = self.ledger.meters_of(found).to_vec();
                self.pinned.push((found, lane, meters));
            }
            Step::Unpin { which } => {
                if !self.pinned.is_empty() {
                    let (lane, ..) = self.pinned.swap_remove(which.index(self.pinned.len()));
                    self.ledger.unpin(lane);
                }
            }
            Step::Change { which, how, rule } => self.change(which, how, &rule)?,
        }
        let statuses = self.statuses();
        let mut unseen = self.index.clone();
        for status in statuses.values() {
            let Some(i) = unseen.remove(&key(status)) else {
                return Err(TestCaseError::fail(format!("unknown: {status:?}")));
            };
            let history = &self.histories[i];
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
            prop_assert_eq!(status.window.as_nanos(), u128::from(history.spec.window));
            let later = |until: u64| Some(Tick::from_nanos(until)).filter(|_| until > self.now);
            prop_assert_eq!(status.paused_until, later(history.paused_until));
            prop_assert_eq!(status.paced_until, later(history.paced_until));
            prop_assert_eq!(
                status.next_admission,
                alone(history, self.now, 1).map(Tick::from_nanos)
            );
            let open = self
                .open
                .iter()
                .filter(|open| open.histories.iter().any(|(own, _)| *own == i))
                .count();
            prop_assert_eq!(status.open, open);
        }
        for (key, i) in unseen {
            prop_assert!(
                self.histories[i].is_fresh(self.now),
                "{:?} is forgotten too early",
                key
            );
        }
        for (lane, _, meters) in &self.pinned {
            prop_assert_eq!(self.ledger.meters_of(*lane), meters);
        }
        prop_assert_eq!(self.ledger.open_reservations(), self.open.len());
        Ok(())
    }

    fn statuses(&mut self) -> BTreeMap<u32, Status> {
        self.ledger.statuses(self.tick()).into_iter().collect()
    }

    /// A lane, and the histories that the ledger says it leads to, if that is as it should be.
    fn lane(&mut self, lane: usize) -> Result<(Lane, Vec<usize>), TestCaseError> {
        let (model, tenant) = (MODELS[lane % MODELS.len()], TENANTS[lane / MODELS.len()]);
        let labels = Labels::new().with("tenant", tenant).with("model", model);
        let before: Vec<Key> = self.statuses().values().map(key).collect();
        let found = self.ledger.lane(&labels);
        let meters = self.ledger.meters_of(found).to_vec();
        let mut statuses = self.statuses();
        let rules = self.rules.iter();
        let applying: Vec<&(String, Rule)> = rules
            .filter(|(_, rule)| !rule.only_alpha || model == MODELS[0])
            .collect();
        prop_assert_eq!(meters.len(), applying.len());
        let mut histories = Vec::new();
        let (mut overflows, mut full) = (false, false);
        for (m, (name, rule)) in meters.iter().zip(applying) {
            let key = key(&statuses.remove(m).unwrap());
            prop_assert_eq!(&key.0, name);
            let partition = if rule.per_tenant && !key.1 {
                vec![tenant.to_string()]
            } else {
                vec![]
            };
            prop_assert_eq!(&key.2, &partition);
            prop_assert!(!key.1 || rule.per_tenant);
            let own = |keys: &[Key]| {
                keys.iter()
                    .filter(|(n, overflow, _)| n == name && !overflow)
                    .count()
            };
            let common = (name.clone(), true, vec![]);
            overflows |= key.1;
            full |= rule.per_tenant && (own(&before) >= self.limit || before.contains(&common));
            if !before.contains(&key) {
                // A new one, and perhaps not for the first time: nobody may get an allowance from it that is not theirs.
                for known in [&key, &common] {
                    if let Some(i) = self.index.get(known) {
                        prop_assert!(
                            self.histories[*i].is_fresh(self.now),
                            "{:?} for {:?}",
                            key,
                            known
                        );
                    }
                }
            }
            let next = self.histories.len();
            let history = *self.index.entry(key).or_insert(next);
            if history == next {
                self.histories.push(History::new(&rule.spec));
            }
            histories.push(history);
        }
        prop_assert!(
            !overflows || full,
            "keys share a partition only if there are too many"
        );
        Ok((found, histories))
    }

    fn reserve(&mut self, lane: usize, amounts: Amounts, back: u64) -> Result<(), TestCaseError> {
        // A clock that goes back does not: the latest instant counts.
        let now = Tick::from_nanos(self.now.saturating_sub(back));
        let (lane, histories) = self.lane(lane)?;
        let want = self.naive_check(&histories, &amounts);
        prop_assert_eq!(
            &self.ledger.check(now, lane, &amounts),
            &want,
            "at {}",
            self.now
        );
        match self.ledger.reserve(now, lane, &amounts) {
            Decision::Granted(reservation) => {
                prop_assert_eq!(want, Check::Fits);
                let call = self.calls;
                self.calls += 1;
                let mut counted = Vec::new();
                for i in histories {
                    let history = &mut self.histories[i];
                    let (unit, count) = (history.spec.unit, history.spec.count);
                    history.reserve(self.now, call, count.units(unit, &amounts));
                    counted.push((i, count));
                }
                self.open.push(Open {
                    call,
                    amounts,
                    reservation,
                    histories: counted,
                });
            }
            Decision::Wait(wait) => prop_assert_eq!(Check::Wait(wait), want),
            Decision::Spent(wait) => prop_assert_eq!(Check::Spent(wait), want),
            Decision::NeverFits(binding) => prop_assert_eq!(Check::NeverFits(binding), want),
        }
        Ok(())
    }

    /// What the naive ledger says: the policy that takes longest binds, and `until` is when all of them fit together.
    fn naive_check(&self, histories: &[usize], amounts: &Amounts) -> Check {
        let name_of = |i: usize| {
            let mut keys = self.index.iter();
            keys.find(|(_, other)| **other == i).unwrap().0.0.clone()
        };
        let lane: Vec<(String, &History, u64)> = histories
            .iter()
            .map(|&i| {
                let history = &self.histories[i];
                let units = history.spec.count.units(history.spec.unit, amounts);
                (name_of(i), history, units)
            })
            .collect();
        let now = self.now;
        let explain = |(policy, history, needed): &(String, &History, u64)| Binding {
            policy: policy.as_str().into(),
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
        // A budget that is spent, whatever becomes of the calls in flight, refuses until it starts again.
        for entry in &lane {
            let (_, history, needed) = entry;
            let until = alone(&history.alone(), now, *needed);
            let spent = *needed > 0 && history.used(now) + needed > history.capacity();
            if history.spec.refuses && spent && until != Some(now) {
                return Check::Spent(Wait {
                    binding: explain(entry),
                    until: until.map(Tick::from_nanos),
                });
            }
        }
        let alone = |(_, history, needed): &(String, &History, u64)| {
            alone(history, now, *needed).unwrap_or(u64::MAX)
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
        for (i, count) in open.histories {
            let history = &mut self.histories[i];
            let unit = history.spec.unit;
            history.settle(
                self.now,
                open.call,
                count.units(unit, &open.amounts),
                used.map(|used| count.units(unit, &used)),
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

    fn pause(&mut self, lane: usize, unit: Option<Unit>, until: u64) -> Result<(), TestCaseError> {
        let (lane, histories) = self.lane(lane)?;
        self.ledger.pause(lane, unit, Tick::from_nanos(until));
        for i in histories {
            let history = &mut self.histories[i];
            let meant = unit.is_none_or(|unit| unit == history.spec.unit);
            if meant && !matches!(history.spec.shape, Kind::Slots) && until > history.paused_until {
                history.paused_until = until;
                history.paced_until = until + history.spec.window;
            }
        }
        Ok(())
    }
}

/// The first instant from `now` on at which units fit into one policy.
fn alone(history: &History, now: u64, units: u64) -> Option<u64> {
    let points = history.turning_points(now, units).into_iter();
    points.filter(|at| history.fits(*at, units)).min()
}

fn key(status: &Status) -> Key {
    let partition = status.partition.iter().map(|value| value.to_string());
    (
        status.policy.to_string(),
        status.overflow,
        partition.collect(),
    )
}

fn plan(rules: &[(String, Rule)]) -> Plan {
    Plan::new(rules.iter().map(|(name, rule)| rule.policy(name))).unwrap()
}

fn name(rule: usize) -> String {
    format!("policy-{rule}")
}

fn amounts_of((units, (cached, cap, weight, failed)): Taken) -> Amounts {
    let each = RATED.into_iter().zip(units);
    let amounts = each.fold(Amounts::ZERO, |amounts, (unit, n)| amounts.with(unit, n));
    let amounts = amounts
        .cache_read(cached)
        .output_cap(cap)
        .output_weight(weight);
    if failed { amounts.failed() } else { amounts }
}
