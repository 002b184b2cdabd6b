//! The promises of the core as properties over random scripts: never over, exact to the nanosecond, all or nothing.

use core::time::Duration;

use proptest::{prelude::*, sample::Index, test_runner::FileFailurePersistence};
use tollgate_limits::{
    Amounts, Booking, Check, Decision, Labels, Lane, Ledger, News, Plan, Policy, Quota,
    Reservation, Status, Tick, Unit,
};

use provider::{Rule, Shape, Try, rules, tries};

#[path = "laws/provider.rs"]
mod provider;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/proptest-regressions/laws.txt"))),
        ..ProptestConfig::default()
    })]

    /// For a bucket: at most `burst + rate * t` in any span `t`. For a sliding window: at most the limit in any span of the window.
    /// For a fixed window: at most the limit in each of the provider's. Travel times differ by up to the margin.
    #[test]
    fn the_provider_never_counts_more_than_the_quota((rule, tries) in ruled()) {
        let counted = rule.counted(&tries, rule.margin);
        prop_assert!(!rule.is_exceeded_by(&counted), "{:?}", counted);
    }

    #[test]
    fn a_fixed_window_holds_when_the_providers_clock_is_off_by_half_the_margin(
        (rule, tries) in ruled_where(|rule| matches!(rule.shape, Shape::Aligned { .. } | Shape::Calendar(_))),
        fast in any::<bool>(),
        off in 0..=64_u64,
    ) {
        let half = rule.margin / 2;
        let off = half * off / 64;
        let mut counted = rule.counted(&tries, half);
        for (at, _) in &mut counted {
            *at = if fast { *at + off } else { *at - off };
        }
        prop_assert!(!rule.is_exceeded_by(&counted), "{:?}", counted);
    }

    #[test]
    fn a_wait_is_exact_to_the_nanosecond((rules, script) in scripts(0..=3)) {
        let mut world = World::new(&rules);
        for step in script {
            let Step::Reserve(amounts) = step else {
                world.take(&step);
                continue;
            };
            let Check::Wait(wait) = world.check(amounts) else {
                world.take(&step);
                continue;
            };
            if let Some(until) = wait.until {
                prop_assert!(until > world.tick());
                world.now = until.as_nanos() - 1;
                let Check::Wait(before) = world.check(amounts) else {
                    return Err(TestCaseError::fail("granted a nanosecond early"));
                };
                prop_assert_eq!(before.until, Some(until));
                world.now += 1;
                prop_assert!(matches!(world.reserve(amounts), Decision::Granted(_)));
            }
        }
    }

    #[test]
    fn a_reservation_that_is_released_leaves_no_trace(
        (rules, script) in scripts(0..=0),
        extra in any::<Index>(),
        amounts in amounts(),
    ) {
        let (mut with, mut without) = (World::new(&rules), World::new(&rules));
        let extra = extra.index(script.len());
        for (i, step) in script.iter().enumerate() {
            // Anything but other reserves may happen while it is open: those it would only have made wait.
            let open = (i >= extra && !matches!(step, Step::Reserve(_))).then(|| with.reserve(amounts));
            with.take(step);
            without.take(step);
            if let Some(Decision::Granted(reservation)) = open {
                with.ledger.release(with.tick(), reservation);
            }
            prop_assert_eq!(with.ledger.snapshot(with.tick()), without.ledger.snapshot(without.tick()));
            prop_assert_eq!(with.check(amounts), without.check(amounts));
        }
    }

    #[test]
    fn a_call_is_charged_to_every_policy_or_to_none((rules, script) in scripts(0..=3)) {
        let mut world = World::new(&rules);
        for step in script {
            let Step::Reserve(amounts) = step else {
                world.take(&step);
                continue;
            };
            let mut expected = world.ledger.snapshot(world.tick());
            if world.take(&step) {
                for status in &mut expected {
                    status.open += 1;
                    let units = amounts.get(status.unit);
                    if world.holds(&status.policy) {
                        status.held += units;
                    } else {
                        status.used += units;
                    }
                }
            }
            let actual = world.ledger.snapshot(world.tick());
            for (expected, actual) in expected.iter_mut().zip(&actual) {
                expected.next_admission = actual.next_admission;
            }
            prop_assert_eq!(actual, expected);
        }
    }

    /// Near the boundary of a fixed window it may, for the length of two margins; hence none here.
    #[test]
    fn a_later_now_never_grants_less((rules, script) in scripts(0..=0), later in 0..=200_u64) {
        let mut world = World::new(&rules);
        for step in script {
            if let Step::Reserve(amounts) = step && world.check(amounts) == Check::Fits {
                world.now += later;
                prop_assert_eq!(world.check(amounts), Check::Fits);
            }
            world.take(&step);
        }
    }

    #[test]
    fn a_pause_only_grows_and_no_call_passes_it(
        (rules, script) in scripts(0..=3),
        pauses in prop::collection::vec(0..=300_u64, 1..=10),
    ) {
        let mut world = World::new(&rules);
        let mut latest = Tick::ZERO;
        let mut pauses = pauses.into_iter().cycle();
        for step in script {
            if matches!(step, Step::Pass(_)) {
                let until = world.tick().plus(span(pauses.next().unwrap()));
                let lane = world.lane;
                world.ledger.pause(lane, None, until);
                latest = latest.max(until);
            }
            let granted = world.take(&step);
            prop_assert!(!granted || world.tick() >= latest);
            for status in world.ledger.snapshot(world.tick()) {
                prop_assert_eq!(status.paused_until, Some(latest).filter(|until| *until > world.tick()));
            }
        }
    }

    #[test]
    fn news_never_raises_what_is_left(
        (rules, script) in scripts(0..=3),
        news in prop::collection::vec((0..=30_u64, 0..=30_u64, 0..=2_u64), 1..=10),
        alone in any::<bool>(),
    ) {
        let mut world = if alone { World::alone(&rules) } else { World::new(&rules) };
        let mut news = news.into_iter().cycle();
        for step in script {
            world.take(&step);
            let Some((reservation, reserved)) = world.open.last() else { continue };
            let (limit, remaining, rounding) = news.next().unwrap();
            let before = world.ledger.snapshot(Tick::from_nanos(world.now));
            let policy = &before[usize::try_from(limit).unwrap() % before.len()];
            let heard = News {
                unit: policy.unit,
                window: Some(policy.window),
                limit: Some(limit).filter(|limit| limit % 3 == 0),
                remaining: Some(remaining),
                rounding,
            };
            let fitted = world.ledger.check(Tick::from_nanos(world.now), world.lane, reserved);
            let changed = world.ledger.adopt(Tick::from_nanos(world.now), reservation, &heard);
            let after = world.ledger.snapshot(Tick::from_nanos(world.now));
            // Room left free for others comes and goes; the books themselves change only if it says so.
            let books = |all: &[Status]| all.iter().map(|s| (s.used, s.held, s.limit)).collect::<Vec<_>>();
            prop_assert_eq!(changed, books(&before) != books(&after));
            for (before, after) in before.iter().zip(&after) {
                prop_assert!(after.remaining() <= before.remaining());
                prop_assert!(after.limit <= before.limit && after.capacity <= before.capacity);
            }
            // A lower limit refills more slowly, and so needs less of a bucket's burst as its margin: then a call may begin to fit.
            if alone && fitted != Check::Fits && heard.limit.is_none() {
                prop_assert_ne!(world.ledger.check(Tick::from_nanos(world.now), world.lane, reserved), Check::Fits);
            }
        }
    }

    /// What a window from the first call makes of one that used nothing, and how long a bucket that a refund empties counts as empty
    /// for its margin, does depend on when it is known: hence neither here.
    #[test]
    fn a_refund_is_the_same_whenever_it_is_made((rules, script) in scripts(0..=0)) {
        let rules: Vec<Rule> = rules.into_iter().filter(|rule| !matches!(rule.shape, Shape::FirstCall)).collect();
        let (mut dated, mut undated) = (World::new(&rules), World::new(&rules));
        for step in script {
            if let Step::Settle(which, used) = &step
                && !undated.open.is_empty()
            {
                let i = which.index(undated.open.len());
                let (reservation, reserved) = &undated.open[i];
                let units = |amounts: &Amounts| amounts.get(Unit::TotalTokens);
                let any_time = undated.ledger.settles_at_any_time(reservation, used);
                let held = !undated.held.is_empty();
                prop_assert_eq!(any_time, rules.is_empty() || !held && units(used) <= units(reserved));
                if any_time {
                    let (reservation, _) = undated.open.swap_remove(i);
                    undated.ledger.settle(Tick::ZERO, reservation, used);
                    dated.take(&step);
                    continue;
                }
            }
            if let Step::Reserve(amounts) = &step {
                prop_assert_eq!(dated.check(*amounts), undated.check(*amounts));
            }
            dated.take(&step);
            undated.take(&step);
        }
        prop_assert_eq!(dated.ledger.snapshot(dated.tick()), undated.ledger.snapshot(undated.tick()));
    }

    #[test]
    fn use_by_others_is_booked_once_however_many_responses_tell_of_it(
        rule in rules(),
        own in prop::collection::vec(1..=9_u64, 1..=30),
        foreign in 1..=1_000_u64,
        order in prop::collection::vec(any::<Index>(), 1..=60),
    ) {
        let rule = Rule { limit: 10_000, booking: Booking::Arrival, shape: rule.shape.with_burst(10_000), margin: 0, ..rule };
        let mut ledger = Ledger::new(Plan::new([rule.policy()]).unwrap());
        let lane = ledger.lane(&Labels::new());
        let total: u64 = own.iter().sum();
        let mut open = Vec::new();
        for units in own {
            open.push(granted(ledger.reserve(Tick::ZERO, lane, &Amounts::ZERO.with(Unit::TotalTokens, units))));
        }
        let news = News {
            unit: Unit::TotalTokens,
            window: Some(span(rule.window)),
            limit: None,
            remaining: Some(10_000 - total - foreign),
            rounding: 0,
        };
        for which in order {
            ledger.adopt(Tick::ZERO, which.get(&open), &news);
            prop_assert_eq!(ledger.snapshot(Tick::ZERO)[0].used, total + foreign);
        }
    }

    /// The level is the one that a replay gives when each settled charge is replaced by its usage, and each overrun is charged when
    /// it was learned. One unit lasts one nanosecond times the limit, so that the level is seen exactly.
    #[test]
    fn a_buckets_level_is_a_replay_of_history(
        limit in 1..=50_u64,
        script in prop::collection::vec((0..40_u64, any::<bool>(), 1..=1_000_u64, 0..1_200_u64, any::<Index>()), 200),
    ) {
        let quota = Quota::bucket(Unit::TotalTokens, limit, span(1)).unwrap().burst(Quota::MAX_LIMIT).unwrap();
        let policy = Policy::new("bucket", quota).margin(Duration::ZERO).unwrap();
        let mut ledger = Ledger::new(Plan::new([policy]).unwrap());
        let lane = ledger.lane(&Labels::new());
        let (mut now, mut history, mut open) = (0, Vec::new(), Vec::new());
        for (pass, reserve, units, used, which) in script {
            now += pass;
            let tick = Tick::from_nanos(now);
            if reserve || open.is_empty() {
                let amounts = Amounts::ZERO.with(Unit::TotalTokens, units);
                open.push((granted(ledger.reserve(tick, lane, &amounts)), history.len(), units));
                history.push((now, units));
            } else {
                let (reservation, line, reserved) = open.swap_remove(which.index(open.len()));
                ledger.settle(tick, reservation, &Amounts::ZERO.with(Unit::TotalTokens, used));
                if used > reserved {
                    history.push((now, used - reserved));
                } else {
                    history[line].1 = used;
                }
            }
            let (mut level, mut at) = (0_u64, 0);
            for (charged, units) in history.iter().copied().chain([(now, 0)]) {
                level = level.saturating_sub((charged - at) * limit) + units;
                at = charged;
            }
            prop_assert_eq!(ledger.snapshot(tick)[0].used, level);
        }
    }
}

/// One step of a script over one lane.
#[derive(Clone, Debug)]
enum Step {
    Reserve(Amounts),
    Settle(Index, Amounts),
    Pass(u64),
}

/// A ledger with its open reservations and the time.
struct World {
    now: u64,
    ledger: Ledger,
    lane: Lane,
    held: Vec<String>,
    open: Vec<(Reservation, Amounts)>,
}

impl World {
    fn new(rules: &[Rule]) -> Self {
        Self::with(rules, |policy| policy)
    }

    /// One whose policies expect nobody else.
    fn alone(rules: &[Rule]) -> Self {
        Self::with(rules, Policy::alone)
    }

    fn with(rules: &[Rule], adjust: impl Fn(Policy) -> Policy) -> Self {
        let name = |i: usize| format!("policy-{i}");
        let policies = rules
            .iter()
            .enumerate()
            .map(|(i, rule)| adjust(rule.named(&name(i))));
        let mut ledger = Ledger::new(Plan::new(policies).unwrap());
        let lane = ledger.lane(&Labels::new());
        let held = rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.booking == Booking::Completion);
        Self {
            now: 0,
            ledger,
            lane,
            held: held.map(|(i, _)| name(i)).collect(),
            open: Vec::new(),
        }
    }

    fn tick(&self) -> Tick {
        Tick::from_nanos(self.now)
    }

    fn holds(&self, policy: &str) -> bool {
        self.held.iter().any(|held| held == policy)
    }

    fn check(&mut self, amounts: Amounts) -> Check {
        self.ledger
            .check(Tick::from_nanos(self.now), self.lane, &amounts)
    }

    fn reserve(&mut self, amounts: Amounts) -> Decision {
        self.ledger
            .reserve(Tick::from_nanos(self.now), self.lane, &amounts)
    }

    /// Takes a step; returns whether it was granted, if it is a reserve.
    fn take(&mut self, step: &Step) -> bool {
        match step {
            Step::Pass(nanos) => self.now += nanos,
            Step::Settle(which, used) => {
                if !self.open.is_empty() {
                    let (reservation, _) = self.open.swap_remove(which.index(self.open.len()));
                    self.ledger.settle(self.tick(), reservation, used);
                }
            }
            Step::Reserve(amounts) => {
                if let Decision::Granted(reservation) = self.reserve(*amounts) {
                    self.open.push((reservation, *amounts));
                    return true;
                }
            }
        }
        false
    }
}

fn span(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

fn granted(decision: Decision) -> Reservation {
    match decision {
        Decision::Granted(reservation) => reservation,
        other => panic!("not granted: {other:?}"),
    }
}

fn ruled() -> impl Strategy<Value = (Rule, Vec<Try>)> {
    ruled_where(|_| true)
}

fn ruled_where(meant: fn(&Rule) -> bool) -> impl Strategy<Value = (Rule, Vec<Try>)> {
    rules()
        .prop_filter("of the shape that is tested", meant)
        .prop_flat_map(|rule| {
            let window = rule.window;
            (Just(rule), tries(window))
        })
}

fn amounts() -> impl Strategy<Value = Amounts> {
    (0..=12_u64).prop_map(|units| Amounts::ZERO.with(Unit::TotalTokens, units))
}

/// Up to three policies over the same calls, their margins in 16ths of the window, and a script. Windows are so short that charges
/// of different instants never share a cell.
fn scripts(
    margins: std::ops::RangeInclusive<u64>,
) -> impl Strategy<Value = (Vec<Rule>, Vec<Step>)> {
    let rule = (rules(), 8..=64_u64, margins).prop_map(|(rule, window, margin)| {
        let margin = match rule.shape {
            Shape::Bucket { burst } => {
                (window * margin / 16).min((burst * window / rule.limit).saturating_sub(1))
            }
            _ => window * margin / 16,
        };
        Rule {
            window,
            margin,
            shape: rule.shape.rescaled(rule.window, window),
            ..rule
        }
    });
    let step = prop_oneof![
        4 => amounts().prop_map(Step::Reserve),
        2 => (any::<Index>(), amounts()).prop_map(|(which, used)| Step::Settle(which, used)),
        3 => prop_oneof![0..=10_u64, 0..=100_u64].prop_map(Step::Pass),
    ];
    (
        prop::collection::vec(rule, 1..=3),
        prop::collection::vec(step, 1..=60),
    )
}
