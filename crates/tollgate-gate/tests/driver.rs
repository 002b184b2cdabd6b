//! What waiting costs: one wake-up per admission, one task while calls wait and none afterwards, whichever runtime it lives on.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;
use tokio::time::sleep;
use tollgate_gate::{
    Acquire, AcquireError, Amounts, Call, Gate, Labels, Permit, Plan, Policy, Quota, Unit,
};

const MINUTE: Duration = Duration::from_secs(60);

fn gate(quota: Quota) -> Gate {
    let policy = Policy::new("q", quota).margin(Duration::ZERO).unwrap();
    Gate::builder(Plan::new([policy]).unwrap())
        .started_at(SystemTime::UNIX_EPOCH + MINUTE)
        .build()
}

fn call() -> Call {
    Call::new(Labels::new(), Amounts::call(1, 0))
}

fn spend(mut permit: Permit) {
    permit.mark_sent();
}

/// Counts how often a call is polled.
struct Counted {
    acquire: Acquire,
    polls: Arc<AtomicUsize>,
}

impl Future for Counted {
    type Output = Result<Permit, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.acquire).poll(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_waiting_calls_are_polled_twice_each_and_in_order() {
    const CALLS: usize = 100_000;
    let gate = gate(Quota::sliding(Unit::Requests, 1_000, MINUTE).unwrap());
    for _ in 0..1_000 {
        spend(gate.try_acquire(&call()).unwrap());
    }
    let (polls, admitted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let call = call();
    let waiting: Vec<_> = (0..CALLS)
        .map(|_| {
            let (acquire, polls) = (gate.acquire(&call), polls.clone());
            let admitted = admitted.clone();
            tokio::spawn(async move {
                spend(Counted { acquire, polls }.await.unwrap());
                admitted.fetch_add(1, Ordering::Relaxed)
            })
        })
        .collect();
    for (i, call) in waiting.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), i);
    }
    assert_eq!(polls.load(Ordering::Relaxed), 2 * CALLS);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_need_not_wait_is_polled_once_and_starts_no_task() {
    let gate = gate(Quota::slots(1).unwrap());
    let polls = Arc::new(AtomicUsize::new(0));
    let acquire = gate.acquire(&call());
    let counted = Counted {
        acquire,
        polls: polls.clone(),
    };
    drop(counted.await.unwrap());
    assert_eq!(polls.load(Ordering::Relaxed), 1);
    assert_eq!(alive(), 0);
}

/// Tasks that live on this runtime; the test's own future is none.
fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

async fn settle_down() {
    for _ in 0..4 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_task_lives_while_calls_wait_and_ends_with_the_last() {
    let gate = gate(Quota::slots(1).unwrap());
    for round in 0..3 {
        let holder = gate.try_acquire(&call()).unwrap();
        let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(gate.acquire(&call()))).collect();
        for acquire in &mut waiting {
            let polled = std::future::poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
        }
        settle_down().await;
        assert_eq!(alive(), 1, "round {round}");
        drop(holder);
        for (i, acquire) in waiting.into_iter().enumerate() {
            // Some are admitted, one gives up.
            match i {
                2 => drop(acquire),
                _ => drop(acquire.await.unwrap()),
            }
        }
        settle_down().await;
        assert_eq!(alive(), 0, "round {round}");
        assert_eq!(gate.open_reservations(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_the_last_waiting_call_gives_up() {
    let gate = gate(Quota::sliding(Unit::Requests, 1, MINUTE).unwrap());
    spend(gate.try_acquire(&call()).unwrap());
    let given_up = tokio::time::timeout(Duration::from_secs(1), gate.acquire(&call())).await;
    assert!(given_up.is_err());
    settle_down().await;
    assert_eq!(alive(), 0, "not only when the minute is over");
    let weak = gate.downgrade();
    drop(gate);
    assert!(weak.upgrade().is_none(), "nothing else keeps the gate");
}

fn paused_runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn the_task_starts_again_elsewhere_when_its_runtime_died() {
    let (dies, lives) = (paused_runtime(), paused_runtime());
    let gate = lives.block_on(async { gate(Quota::sliding(Unit::Requests, 1, MINUTE).unwrap()) });
    lives.block_on(async { spend(gate.try_acquire(&call()).unwrap()) });

    let first = gate.acquire(&call());
    dies.block_on(async {
        tokio::spawn(first);
        settle_down().await;
    });
    assert_eq!(
        dies.metrics().num_alive_tasks(),
        2,
        "the call and the driver"
    );
    let second = lives.spawn(gate.acquire(&call()));
    lives.block_on(settle_down());
    assert_eq!(lives.metrics().num_alive_tasks(), 1, "the call alone");

    drop(dies);
    let waited = lives.block_on(async {
        settle_down().await;
        assert_eq!(alive(), 2, "the driver moved here");
        second.await.unwrap().unwrap().waited()
    });
    assert_eq!(waited, MINUTE);
}

/// Polls a call whenever it is woken, on the spot.
struct AtOnce(Mutex<Pin<Box<Acquire>>>);

impl Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        drop(self.0.lock().unwrap().as_mut().poll(&mut context));
    }
}

/// The task that admits the last waiting call signs off, and another call comes before it has ended.
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_while_the_task_ends_starts_exactly_one() {
    let gate = gate(Quota::sliding(Unit::Requests, 1, MINUTE).unwrap());
    spend(gate.try_acquire(&call()).unwrap());
    let mut last = gate.acquire(&call());
    let next = Arc::new(AtOnce(Mutex::new(Box::pin(gate.acquire(&call())))));
    let polled = Pin::new(&mut last).poll(&mut Context::from_waker(&Waker::from(next.clone())));
    assert!(polled.is_pending());
    sleep(MINUTE).await;
    settle_down().await;
    assert_eq!(gate.waiting(), 1, "the last was admitted, the next waits");
    assert_eq!(alive(), 1);
    // Its grant was never fetched, so it goes to the next.
    drop(last);
    assert_eq!(gate.waiting(), 0);
}
