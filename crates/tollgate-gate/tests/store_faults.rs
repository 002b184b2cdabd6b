//! A store that fails: what its errors, panics and wrong clocks do to the calls that wait.

use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tollgate_gate::{
    Acquire, Amounts, Binding, Call, Gate, Labels, News, Plan, Policy, Quota, Refusal, Source,
    Store, StoreDecision, StoreError, Tick, Unit, Wait,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn process(store: Arc<dyn Store>) -> Gate {
    let quota = Quota::sliding(Unit::TotalTokens, 100, SECOND).unwrap();
    Gate::builder(Plan::new([Policy::new("tpm", quota)]).unwrap())
        .store(store)
        .started_at(SystemTime::UNIX_EPOCH + SECOND)
        .build()
}

fn tokens(tokens: u64) -> Call {
    Call::new(Labels::new().with("model", "a"), Amounts::call(tokens, 0))
}

/// Polls a call once and leaves it where it stands.
async fn start(gate: &Gate, call: &Call) -> Pin<Box<Acquire>> {
    let mut acquire = Box::pin(gate.acquire(call));
    tokio::select! {
        biased;
        _ = &mut acquire => panic!("a store is asked by waiting"),
        () = std::future::ready(()) => {}
    }
    acquire
}

async fn quiet() {
    while Handle::current().metrics().num_alive_tasks() > 0 {
        sleep(MILLISECOND).await;
    }
}

/// Answers every reserve by what it is told to do, and takes note of nothing else.
#[derive(Debug)]
struct Scripted {
    script: fn(Tick) -> Result<StoreDecision, StoreError>,
    asked: AtomicU64,
    paused: Mutex<Vec<(Option<Unit>, Tick)>>,
}

impl Scripted {
    fn new(script: fn(Tick) -> Result<StoreDecision, StoreError>) -> Arc<Self> {
        Arc::new(Self {
            script,
            asked: AtomicU64::new(0),
            paused: Mutex::default(),
        })
    }
}

#[async_trait]
impl Store for Scripted {
    async fn reserve(
        &self,
        now: Tick,
        _labels: &Labels,
        _amounts: &Amounts,
    ) -> Result<StoreDecision, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        (self.script)(now)
    }

    async fn settle(&self, _: Tick, _: u64, _: &Amounts) -> Result<(), StoreError> {
        Err(StoreError::new("no connection"))
    }

    async fn release(&self, _: Tick, _: u64) -> Result<(), StoreError> {
        Err(StoreError::new("no connection"))
    }

    async fn adopt(&self, _: Tick, _: u64, _: &News) -> Result<(), StoreError> {
        Err(StoreError::new("no connection"))
    }

    async fn pause(
        &self,
        _: Tick,
        _: &Labels,
        unit: Option<Unit>,
        until: Tick,
    ) -> Result<(), StoreError> {
        self.paused.lock().unwrap().push((unit, until));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_refuses_with_its_error() {
    let gate = process(Scripted::new(|_| Err(StoreError::new("no connection"))));
    for _ in 0..2 {
        let error = gate.acquire(&tokens(1)).await.unwrap_err();
        assert_eq!(error.refusal(), Refusal::Store);
        assert_eq!(error.to_string(), "the shared ledger failed: no connection");
        assert!(error.source().unwrap().is::<StoreError>());
        assert!(error.binding().is_none());
    }
    assert_eq!(gate.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_told_of_a_settlement_harms_no_later_call() {
    let gate = process(Scripted::new(|_| Ok(StoreDecision::Granted(7))));
    let permit = gate.acquire(&tokens(1)).await.unwrap();
    permit.adopt(&News {
        unit: Unit::TotalTokens,
        window: None,
        limit: None,
        remaining: Some(0),
        rounding: 0,
    });
    permit.settle(&Amounts::ZERO, Source::Reported);
    quiet().await;
    gate.acquire(&tokens(1)).await.unwrap().release();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_refuses_the_call_it_was_asked_for() {
    let store = Scripted::new(|_| std::panic::resume_unwind(Box::new("a bug in the store")));
    let gate = process(store.clone());
    let (one, other) = (
        start(&gate, &tokens(1)).await,
        start(&gate, &tokens(1)).await,
    );
    for acquire in [one, other] {
        let error = acquire.await.unwrap_err();
        assert_eq!(error.refusal(), Refusal::Store);
        assert_eq!(error.to_string(), "the shared ledger failed: it panicked");
    }
    assert_eq!(store.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_clock_is_ahead_is_not_asked_in_a_busy_loop() {
    let store = Scripted::new(|_| {
        Ok(StoreDecision::Wait(Wait {
            binding: Binding {
                policy: "tpm".into(),
                unit: Unit::TotalTokens,
                needed: 1,
                used: 0,
                remaining: 0,
                capacity: 100,
                paused_until: None,
            },
            until: Some(Tick::ZERO),
        }))
    });
    let gate = process(store.clone());
    let waiting = start(&gate, &tokens(1)).await;
    sleep(MILLISECOND * 100).await;
    assert!(store.asked.load(Ordering::Relaxed) <= 101);
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn a_pause_reaches_the_store_in_the_gates_time() {
    let store = Scripted::new(|_| Ok(StoreDecision::Granted(0)));
    let gate = process(store.clone());
    let labels = Arc::new(Labels::new());
    gate.pause(&labels, Some(Unit::Requests), SECOND * 5);
    quiet().await;
    let paused = store.paused.lock().unwrap();
    assert_eq!(
        *paused,
        [(Some(Unit::Requests), Tick::ZERO.plus(SECOND * 6))]
    );
}
