//! What refusals have taught outlives the ledger, and nothing that does not fit is taken up.

use core::time::Duration;

use tollgate_limits::{
    Amounts, Decision, Labels, Lane, Ledger, Lesson, Plan, Policy, Quota, Reservation, Tick, Unit,
};

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Tick {
    Tick::ZERO.plus(Duration::from_secs(seconds))
}

fn rpm(limit: u64) -> Policy {
    let quota = Quota::sliding(Unit::Requests, limit, MINUTE).unwrap();
    Policy::new("rpm", quota).per("model")
}

fn ledger(policy: Policy) -> (Ledger, Lane) {
    let mut ledger = Ledger::new(Plan::new([policy]).unwrap());
    let lane = ledger.lane(&Labels::new().with("model", "a"));
    (ledger, lane)
}

fn reserve(ledger: &mut Ledger, lane: Lane, now: Tick) -> Result<Reservation, Option<Tick>> {
    match ledger.reserve(now, lane, &Amounts::call(0, 0)) {
        Decision::Granted(reservation) => Ok(reservation),
        Decision::Wait(wait) => Err(wait.until),
        other => panic!("{other:?}"),
    }
}

/// A ledger that has been refused three times, a while apart, and what it has learned.
fn taught(policy: Policy) -> (Ledger, Lesson) {
    let (mut ledger, lane) = ledger(policy);
    for now in [10, 100, 200] {
        let call = reserve(&mut ledger, lane, at(now)).unwrap();
        ledger.throttled(at(now + 1), &call, Some(Unit::Requests), at(now + 1));
        ledger.settle(at(now + 1), call, &Amounts::call(0, 0));
    }
    let mut lessons = ledger.lessons();
    assert_eq!(lessons.len(), 1);
    (ledger, lessons.remove(0))
}

#[test]
fn a_new_ledger_goes_on_where_the_old_one_was() {
    let (old, lesson) = taught(rpm(600));
    assert_eq!((lesson.rung, lesson.fails, lesson.found), (9, 0, None));
    let (mut new, lane) = ledger(rpm(600));
    assert!(new.lessons().is_empty());
    assert!(new.take_up(&lesson));
    assert_eq!(new.tightenings(), old.tightenings());
    assert_eq!(new.lessons(), [lesson]);
    let _first = reserve(&mut new, lane, at(5)).unwrap();
    let next = reserve(&mut new, lane, at(5)).unwrap_err().unwrap();
    assert!(next > at(5), "{next:?}");
}

#[test]
fn what_does_not_fit_is_left_alone() {
    let (_, lesson) = taught(rpm(600));
    let foreign = [
        Lesson {
            policy: "tpm".into(),
            ..lesson.clone()
        },
        Lesson {
            unit: Unit::TotalTokens,
            ..lesson.clone()
        },
        Lesson {
            limit: 601,
            ..lesson.clone()
        },
        Lesson {
            window: MINUTE * 2,
            ..lesson.clone()
        },
        Lesson {
            told: Some(500),
            ..lesson.clone()
        },
        Lesson {
            rung: 0,
            ..lesson.clone()
        },
        Lesson {
            rung: 0,
            found: Some((10, 20)),
            ..lesson.clone()
        },
    ];
    for lesson in foreign {
        let (mut ledger, _) = ledger(rpm(600));
        assert!(!ledger.take_up(&lesson), "{lesson:?}");
        assert!(ledger.lessons().is_empty());
    }
    // What it has learned itself is newer.
    let (mut other, own) = taught(rpm(600));
    assert!(!other.take_up(&Lesson { rung: 20, ..lesson }));
    assert_eq!(other.lessons(), [own]);
}

#[test]
fn absurd_figures_do_no_harm() {
    let (_, lesson) = taught(rpm(600));
    let absurd = Lesson {
        rung: 255,
        fails: 255,
        dearest: u64::MAX,
        ..lesson
    };
    let (mut new, lane) = ledger(rpm(600));
    assert!(new.take_up(&absurd));
    // A quarter of the limit at the least, less a quarter of that for the dearest call.
    assert_eq!(new.tightenings()[0].pace, 113);
    let call = reserve(&mut new, lane, at(5)).unwrap();
    new.throttled(at(6), &call, None, at(6));
}

#[test]
fn a_search_goes_on_below_where_it_was_refused() {
    let policy = || rpm(600).adaptive(1, 10_000).unwrap();
    let (old, lesson) = taught(policy());
    let (limit, failed) = lesson.found.unwrap();
    assert_eq!((lesson.rung, old.tightenings().len()), (0, 0));
    assert!(limit <= failed && failed < 600, "{lesson:?}");
    let (mut new, lane) = ledger(policy());
    assert!(new.take_up(&lesson));
    assert_eq!(new.lessons(), [lesson]);
    let _first = reserve(&mut new, lane, at(5)).unwrap();
    assert_eq!(new.snapshot(at(5))[0].limit, limit);
    // In every partition, and also under another plan with the same quota.
    new.change(at(6), Plan::new([policy()]).unwrap()).unwrap();
    let other = new.lane(&Labels::new().with("model", "b"));
    let _second = reserve(&mut new, other, at(7)).unwrap();
    assert!(
        new.snapshot(at(7))
            .iter()
            .all(|status| status.limit == limit)
    );
}
