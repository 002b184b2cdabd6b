//! Of `Tightening`: the ladder up, the way back, and what a failed try costs.

use alloc::vec::Vec;

use super::*;

const WINDOW: u64 = 60_000;
const LIMIT: u64 = 1_000;

fn refused(tightening: &mut Tightening, now: u64, sent: u64) -> bool {
    let call = Refused {
        sent: Tick::from_nanos(sent),
        until: Tick::from_nanos(now + 5),
        units: 10,
        limit: LIMIT,
        window: WINDOW,
    };
    tightening.refused(Tick::from_nanos(now), &call)
}

fn pace(tightening: &Tightening, now: u64) -> Option<u64> {
    tightening.pace(Tick::from_nanos(now), LIMIT)
}

fn see(tightening: &mut Tightening, now: u64, units: u64) -> bool {
    let call = Granted {
        units,
        close: false,
        limit: LIMIT,
        window: WINDOW,
    };
    tightening.granted(Tick::from_nanos(now), &call)
}

/// Calls of ten units, a hundred to a window, close behind one another, until a rung is tried: the windows that it took.
fn windows_until_a_try(tightening: &mut Tightening, now: &mut u64) -> Option<u64> {
    let began = *now;
    while *now < began + 10_000 * WINDOW {
        *now += WINDOW / 100;
        let call = Granted {
            units: 10,
            close: true,
            limit: LIMIT,
            window: WINDOW,
        };
        if tightening.granted(Tick::from_nanos(*now), &call) {
            return Some((*now - began).div_ceil(WINDOW));
        }
    }
    None
}

#[test]
fn the_first_refusal_spaces_grants_at_the_limit_less_one_call() {
    let mut tightening = Tightening::default();
    assert_eq!(pace(&tightening, 0), None);
    assert!(refused(&mut tightening, 100, 90));
    assert_eq!(pace(&tightening, 100), Some(990));
    // A dearer call takes more off, up to a quarter.
    see(&mut tightening, 101, 50);
    assert_eq!(pace(&tightening, 101), Some(950));
    see(&mut tightening, 102, 900);
    assert_eq!(pace(&tightening, 102), Some(750));
    // A limit that news has lowered since is kept too.
    assert_eq!(tightening.pace(Tick::from_nanos(101), 500), Some(375));
}

#[test]
fn a_burst_of_refusals_is_one_step() {
    let mut tightening = Tightening::default();
    assert!(refused(&mut tightening, 100, 90));
    assert!(!refused(&mut tightening, 101, 90));
    assert!(!refused(&mut tightening, 110, 100));
    assert_eq!(pace(&tightening, 110), Some(990));
}

#[test]
fn while_the_provider_counts_what_was_sent_unspaced_a_refusal_only_slows() {
    let mut tightening = Tightening::default();
    assert!(refused(&mut tightening, 100, 90));
    assert!(!refused(&mut tightening, 120, 110));
    assert_eq!(pace(&tightening, 120), Some(495));
    assert_eq!(pace(&tightening, 105 + WINDOW), Some(990));
}

#[test]
fn later_refusals_lower_the_rate_step_by_step_down_to_a_quarter() {
    let mut tightening = Tightening::default();
    assert!(refused(&mut tightening, 100, 90));
    let late = 200 + WINDOW;
    assert!(refused(&mut tightening, late, late - 10));
    assert_eq!(pace(&tightening, late), Some(950));
    let steps = (0..100).filter(|i| refused(&mut tightening, late + 100 + i, late + 99 + i));
    assert_eq!(steps.count(), 33);
    assert_eq!(pace(&tightening, late + 500), Some(240));
}

#[test]
fn without_further_refusals_all_is_eased_within_fourteen_windows_from_any_rung() {
    for steps in 0..40 {
        let mut tightening = Tightening::default();
        refused(&mut tightening, 100, 90);
        let mut now = 200 + WINDOW;
        for _ in 0..steps {
            now += 100;
            refused(&mut tightening, now, now - 10);
        }
        let mut windows = 0;
        while tightening.is_on() {
            windows += windows_until_a_try(&mut tightening, &mut now).unwrap();
        }
        assert!(windows <= 14, "{windows} after {steps} steps");
        assert_eq!(pace(&tightening, now), None);
    }
}

#[test]
fn what_nobody_uses_is_not_eased() {
    let mut tightening = Tightening::default();
    refused(&mut tightening, 100, 90);
    for i in 0..10_000 {
        assert!(!see(&mut tightening, 100 + i * WINDOW, 10));
    }
    assert_eq!(pace(&tightening, 10_000 * WINDOW), Some(990));
}

#[test]
fn a_try_that_fails_leads_back_and_is_put_off_for_twice_as_long_each_time() {
    let mut tightening = Tightening::default();
    refused(&mut tightening, 100, 90);
    let mut now = 200 + WINDOW;
    let mut waits = Vec::new();
    for _ in 0..6 {
        let before = pace(&tightening, now);
        waits.push(windows_until_a_try(&mut tightening, &mut now).unwrap());
        assert!(
            tightening.slack(Tick::from_nanos(now + WINDOW), WINDOW) > 0,
            "{waits:?}"
        );
        assert!(refused(&mut tightening, now + 100, now + 50));
        assert_eq!(tightening.slack(Tick::from_nanos(now + WINDOW), WINDOW), 0);
        now += 200 + WINDOW;
        assert_eq!(pace(&tightening, now), before);
    }
    // From the second on at least two thousand calls, of which a window has a hundred.
    assert_eq!(waits, [2, 21, 21, 21, 32, 64]);
}

#[test]
fn what_runs_ahead_grows_over_two_windows() {
    let mut tightening = Tightening::default();
    refused(&mut tightening, 100, 90);
    let mut now = 200 + WINDOW;
    windows_until_a_try(&mut tightening, &mut now).unwrap();
    let slack = |after| tightening.slack(Tick::from_nanos(now + after), WINDOW);
    assert_eq!([slack(0), slack(WINDOW)], [0, WINDOW / 64]);
    assert_eq!([slack(2 * WINDOW), slack(9 * WINDOW)], [WINDOW / 32; 2]);
}

#[test]
fn a_refusal_soon_after_all_was_eased_is_a_try_that_failed() {
    for (later, fails) in [(1, 1), (100, 0)] {
        let mut tightening = Tightening::default();
        refused(&mut tightening, 100, 90);
        let mut now = 200 + WINDOW;
        while tightening.is_on() {
            windows_until_a_try(&mut tightening, &mut now).unwrap();
        }
        now += later * WINDOW;
        assert!(refused(&mut tightening, now, now - 10));
        assert_eq!(
            (tightening.fails, pace(&tightening, now)),
            (fails, Some(990))
        );
    }
}

#[test]
fn a_pace_that_was_told_is_never_exceeded() {
    let mut tightening = Tightening::told(800);
    assert_eq!(pace(&tightening, 0), Some(800));
    assert!(refused(&mut tightening, 100, 90));
    assert_eq!(pace(&tightening, 100), Some(768));
    let mut now = 200 + WINDOW;
    while tightening.is_learned() {
        windows_until_a_try(&mut tightening, &mut now).unwrap();
    }
    assert_eq!(pace(&tightening, now), Some(800));
    assert_eq!(tightening.slack(Tick::from_nanos(now), WINDOW), 0);
}
