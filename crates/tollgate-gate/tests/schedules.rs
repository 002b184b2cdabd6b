//! Whatever the schedule: threads that reserve, wait, give up and settle at once lose no wake-up and no reservation.
//!
//! Compiled with `--cfg tollgate_shuttle` only, which replaces what is in the gate's `sync.rs` by models; `cargo xtask schedules`
//! does that. A schedule that leaves anybody waiting, be it the driver, is a deadlock, and shuttle prints how to replay it.
#![cfg(tollgate_shuttle)]

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use shuttle::future::{block_on, yield_now};
use shuttle::thread;
use tollgate_gate::{
    Acquire, Amounts, Call, Gate, Labels, Permit, Plan, Policy, Quota, Source, Unit, model,
};

/// Tries schedules of `scenario`: at random, and by priorities that change a few times, which finds rarer ones.
fn check(scenario: impl Fn() + Send + Sync + 'static) {
    let scenario = Arc::new(move || {
        model::start();
        scenario();
    });
    let number =
        |name, usual| std::env::var(name).map_or(usual, |value| value.parse().expect(name));
    let schedules = number("SCHEDULES", 400);
    let random = scenario.clone();
    shuttle::check_random(move || random(), schedules);
    shuttle::check_pct(move || scenario(), schedules, 3);
}

fn gate(quota: Quota) -> Gate {
    let policy = Policy::new("only", quota).margin(Duration::ZERO).unwrap();
    Gate::new(Plan::new([policy]).unwrap())
}

fn call() -> Call {
    Call::new(Labels::new().with("model", "a"), Amounts::call(0, 10))
}

fn settle(mut permit: Permit) {
    permit.mark_sent();
    permit.settle(&Amounts::call(0, 4), Source::Reported);
}

/// Nobody waits and nothing is open, once everybody is done.
fn is_idle(gate: &Gate) {
    assert_eq!((gate.waiting(), gate.open_reservations()), (0, 0));
}

/// Waits, but gives up after the schedule has gone by a few times.
async fn impatient(acquire: Acquire, mut patience: u32) -> Option<Permit> {
    let mut acquire = pin!(acquire);
    loop {
        let polled = poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx))).await;
        match polled {
            Poll::Ready(permit) => return Some(permit.unwrap()),
            Poll::Pending if patience == 0 => return None,
            Poll::Pending => patience -= 1,
        }
        yield_now().await;
    }
}

/// Runs each of these on a thread of its own, to its end.
fn all(threads: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = threads.into_iter().map(thread::spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn one_slot_is_held_by_one_call_at_a_time_and_handed_on() {
    check(|| {
        let gate = gate(Quota::slots(1).unwrap());
        let held = Arc::new(AtomicUsize::new(0));
        let caller = || -> Box<dyn FnOnce() + Send> {
            let (gate, held) = (gate.clone(), held.clone());
            Box::new(move || {
                for _ in 0..2 {
                    let permit = block_on(gate.acquire(&call())).unwrap();
                    assert_eq!(held.fetch_add(1, SeqCst), 0);
                    thread::yield_now();
                    held.fetch_sub(1, SeqCst);
                    settle(permit);
                }
            })
        };
        all(vec![caller(), caller(), caller()]);
        is_idle(&gate);
    });
}

#[test]
fn whoever_gives_up_while_it_is_admitted_keeps_nobody_waiting() {
    check(|| {
        let gate = gate(Quota::slots(1).unwrap());
        let held = block_on(gate.acquire(&call())).unwrap();
        let gives_up = |patience| -> Box<dyn FnOnce() + Send> {
            let gate = gate.clone();
            Box::new(move || {
                if let Some(permit) = block_on(impatient(gate.acquire(&call()), patience)) {
                    settle(permit);
                }
            })
        };
        let waits = gate.clone();
        all(vec![
            gives_up(1),
            gives_up(0),
            Box::new(move || settle(block_on(waits.acquire(&call())).unwrap())),
            Box::new(move || drop(held)),
        ]);
        is_idle(&gate);
    });
}

#[test]
fn a_driver_that_signs_off_misses_nobody_who_comes_meanwhile() {
    check(|| {
        let gate = gate(Quota::slots(1).unwrap());
        let comes_and_goes = || -> Box<dyn FnOnce() + Send> {
            let gate = gate.clone();
            Box::new(move || {
                for patience in [0, 2] {
                    if let Some(permit) = block_on(impatient(gate.acquire(&call()), patience)) {
                        permit.release();
                    }
                }
            })
        };
        let stays = gate.clone();
        all(vec![
            comes_and_goes(),
            comes_and_goes(),
            Box::new(move || settle(block_on(stays.acquire(&call())).unwrap())),
        ]);
        is_idle(&gate);
    });
}

#[test]
fn nobody_who_tries_goes_before_one_who_waits() {
    check(|| {
        let gate = gate(Quota::slots(1).unwrap());
        let held = block_on(gate.acquire(&call())).unwrap();
        let (waits, tries) = (gate.clone(), gate.clone());
        let admitted = Arc::new(AtomicUsize::new(0));
        let was_admitted = admitted.clone();
        all(vec![
            Box::new(move || {
                let permit = block_on(waits.acquire(&call())).unwrap();
                admitted.store(1, SeqCst);
                settle(permit);
            }),
            Box::new(move || {
                let behind = tries.waiting() == 1;
                if let Ok(permit) = tries.try_acquire(&call()) {
                    // There is one slot, so whoever stood in line has had it and given it back.
                    assert!(!behind || was_admitted.load(SeqCst) == 1);
                    settle(permit);
                }
            }),
            Box::new(move || settle(held)),
        ]);
        is_idle(&gate);
    });
}

/// Time passes in a thread of its own until everybody is done.
fn with_time(threads: Vec<Box<dyn FnOnce() + Send>>) {
    let left = Arc::new(AtomicUsize::new(threads.len()));
    let ended = left.clone();
    let clock = thread::spawn(move || {
        while ended.load(SeqCst) > 0 {
            model::elapse();
            thread::yield_now();
        }
    });
    all(threads
        .into_iter()
        .map(|thread| -> Box<dyn FnOnce() + Send> {
            let left = left.clone();
            Box::new(move || {
                thread();
                left.fetch_sub(1, SeqCst);
            })
        })
        .collect());
    clock.join().unwrap();
}

#[test]
fn a_bucket_admits_at_its_pace_whenever_callers_and_timers_meet() {
    check(|| {
        const PACE: Duration = Duration::from_millis(10);
        let quota = Quota::bucket(Unit::Requests, 1, PACE).unwrap();
        let gate = gate(quota);
        let start = gate.now();
        let admitted = Arc::new(Mutex::new(Vec::new()));
        let caller = |releases: bool| -> Box<dyn FnOnce() + Send> {
            let (gate, admitted) = (gate.clone(), admitted.clone());
            Box::new(move || {
                let permit = block_on(gate.acquire(&call())).unwrap();
                if releases {
                    return permit.release();
                }
                // Read after the fact, so no earlier than it was.
                admitted.lock().unwrap().push(gate.now().since(start));
                settle(permit);
            })
        };
        with_time(vec![
            caller(false),
            caller(false),
            caller(true),
            caller(false),
        ]);
        let mut admitted = admitted.lock().unwrap();
        admitted.sort();
        for (number, after) in (0..).zip(admitted.iter()) {
            assert!(*after >= PACE * number, "{admitted:?}");
        }
        is_idle(&gate);
    });
}

#[test]
fn a_deadline_that_meets_a_settlement_gets_one_answer() {
    check(|| {
        let gate = gate(Quota::slots(1).unwrap());
        let held = block_on(gate.acquire(&call())).unwrap();
        let (late, patient) = (gate.clone(), gate.clone());
        with_time(vec![
            Box::new(move || {
                let deadline = late.now().plus(Duration::from_millis(2));
                if let Ok(permit) = block_on(late.acquire(&call().by(deadline))) {
                    settle(permit);
                }
            }),
            Box::new(move || settle(block_on(patient.acquire(&call())).unwrap())),
            Box::new(move || {
                thread::yield_now();
                settle(held);
            }),
        ]);
        is_idle(&gate);
    });
}

#[test]
fn a_driver_that_sleeps_for_one_call_is_told_of_another_that_needs_it_sooner() {
    check(|| {
        let slots = Policy::new("slots", Quota::slots(1).unwrap()).only("model", ["a"]);
        let bucket = Quota::bucket(Unit::Requests, 1, Duration::from_millis(5)).unwrap();
        let bucket = Policy::new("pace", bucket)
            .margin(Duration::ZERO)
            .unwrap()
            .only("model", ["b"]);
        let gate = Gate::new(Plan::new([slots, bucket]).unwrap());
        let paced = Call::new(Labels::new().with("model", "b"), Amounts::call(0, 10));
        settle(block_on(gate.acquire(&paced)).unwrap());
        let held = block_on(gate.acquire(&call())).unwrap();
        let (behind, later) = (gate.clone(), gate.clone());
        with_time(vec![
            Box::new(move || settle(block_on(behind.acquire(&call())).unwrap())),
            Box::new(move || {
                settle(block_on(later.acquire(&paced)).unwrap());
                // Only now does the one behind the slot have a chance, so until now the driver knew of no instant for it.
                settle(held);
            }),
        ]);
        is_idle(&gate);
    });
}
