//! A ledger kept elsewhere: two gates, as in two processes, share one through a store that takes its time to answer.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use fastrand::Rng;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::yield_now;
use tokio::time::sleep;
use tollgate_gate::{
    Acquire, Amounts, Call, Check, Gate, Labels, News, Permit, Plan, Policy, Quota, Refusal,
    Source, Store, StoreDecision, StoreError, Tick, Unit,
};
use tollgate_limits::{Decision, Ledger, Reservation};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A real ledger behind a lock that every operation holds for a while, as a server behind a network would.
#[derive(Debug)]
struct Shared {
    books: Mutex<Books>,
    delay: Duration,
    asked: AtomicUsize,
}

#[derive(Debug)]
struct Books {
    ledger: Ledger,
    open: BTreeMap<u64, (Reservation, Amounts)>,
    granted: Vec<(Tick, u64, Amounts)>,
    // How each reservation ended: `Some` if it was settled, `None` if it was released.
    ended: Vec<(u64, Option<Amounts>)>,
}

impl Shared {
    fn new(delay: Duration, policies: impl IntoIterator<Item = Policy>) -> Arc<Self> {
        Arc::new(Self {
            books: Mutex::new(Books {
                ledger: Ledger::new(Plan::new(policies).unwrap()),
                open: BTreeMap::new(),
                granted: Vec::new(),
                ended: Vec::new(),
            }),
            delay,
            asked: AtomicUsize::new(0),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Store for Shared {
    async fn reserve(
        &self,
        now: Tick,
        labels: &Labels,
        amounts: &Amounts,
    ) -> Result<StoreDecision, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut books = self.books.lock().await;
        let lane = books.ledger.lane(labels);
        let decision = match books.ledger.reserve(now, lane, amounts) {
            Decision::Granted(reservation) => {
                let id = books.granted.len() as u64;
                books.open.insert(id, (reservation, *amounts));
                books.granted.push((now, id, *amounts));
                StoreDecision::Granted(id)
            }
            Decision::Wait(wait) => StoreDecision::Wait(wait),
            Decision::Spent(wait) => StoreDecision::Spent(wait),
            Decision::NeverFits(binding) => StoreDecision::NeverFits(binding),
        };
        sleep(self.delay).await;
        Ok(decision)
    }

    async fn settle(&self, now: Tick, id: u64, used: &Amounts) -> Result<(), StoreError> {
        sleep(self.delay).await;
        let mut books = self.books.lock().await;
        books.ended.push((id, Some(*used)));
        if let Some((reservation, _)) = books.open.remove(&id) {
            books.ledger.settle(now, reservation, used);
        }
        Ok(())
    }

    async fn release(&self, now: Tick, id: u64) -> Result<(), StoreError> {
        sleep(self.delay).await;
        let mut books = self.books.lock().await;
        books.ended.push((id, None));
        if let Some((reservation, _)) = books.open.remove(&id) {
            books.ledger.release(now, reservation);
        }
        Ok(())
    }

    async fn adopt(&self, now: Tick, id: u64, news: &News) -> Result<(), StoreError> {
        let mut books = self.books.lock().await;
        let Books { ledger, open, .. } = &mut *books;
        if let Some((reservation, _)) = open.get(&id) {
            ledger.adopt(now, reservation, news);
        }
        Ok(())
    }

    async fn pause(
        &self,
        _now: Tick,
        labels: &Labels,
        unit: Option<Unit>,
        until: Tick,
    ) -> Result<(), StoreError> {
        let mut books = self.books.lock().await;
        let lane = books.ledger.lane(labels);
        books.ledger.pause(lane, unit, until);
        Ok(())
    }
}

fn tpm(limit: u64, window: Duration) -> Policy {
    Policy::new(
        "tpm",
        Quota::sliding(Unit::TotalTokens, limit, window).unwrap(),
    )
    .margin(Duration::ZERO)
    .unwrap()
}

fn slots(limit: u64) -> Policy {
    Policy::new("slots", Quota::slots(limit).unwrap())
}

fn process(store: Arc<dyn Store>) -> Gate {
    let plan = Plan::new([tpm(100, SECOND)]).unwrap();
    Gate::builder(plan)
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

#[tokio::test(start_paused = true)]
async fn two_processes_together_never_go_over_and_settle_each_call_once() {
    const LIMIT: u64 = 1_000;
    const CALLS: usize = 200;
    let window = SECOND * 10;
    let store = Shared::new(MILLISECOND * 3, [tpm(LIMIT, window), slots(5)]);
    let mut calls = Vec::new();
    for seed in 0..2 {
        let gate = process(store.clone());
        let mut rng = Rng::with_seed(seed);
        for _ in 0..CALLS {
            let gate = gate.clone();
            let call = tokens(rng.u64(1..300));
            let (runs, fate) = (Duration::from_millis(rng.u64(0..2_000)), rng.u8(..5));
            calls.push(tokio::spawn(async move {
                let mut permit = gate.acquire(&call).await.unwrap();
                let reserved = *permit.reserved();
                sleep(runs).await;
                if fate == 0 {
                    permit.release();
                    return None;
                }
                permit.mark_sent();
                let used = Amounts::call(reserved.get(Unit::TotalTokens) / u64::from(fate), 0);
                match fate {
                    1 => drop(permit),
                    2 => {
                        permit.note(used);
                        drop(permit);
                    }
                    _ => {
                        permit.settle(&used, Source::Reported);
                    }
                }
                Some(used)
            }));
        }
    }
    let mut expected = Vec::new();
    for call in calls {
        expected.push(call.await.unwrap());
    }
    quiet().await;

    let books = store.books.lock().await;
    assert_eq!(books.granted.len(), 2 * CALLS);
    assert_eq!(books.ledger.open_reservations(), 0);
    let mut ended: Vec<u64> = books.ended.iter().map(|(id, _)| *id).collect();
    ended.sort_unstable();
    assert_eq!(
        ended,
        (0..2 * CALLS as u64).collect::<Vec<_>>(),
        "each once"
    );
    let mut used: Vec<_> = books.ended.iter().map(|(_, used)| *used).collect();
    let key = |used: &Option<Amounts>| used.map(|used| used.get(Unit::TotalTokens));
    used.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(used, expected, "with what the callers said");

    // By what was used in the end, which is what the provider counts, no span of the window holds more than the limit.
    let used: BTreeMap<u64, u64> = books
        .ended
        .iter()
        .map(|(id, used)| (*id, used.map_or(0, |used| used.get(Unit::TotalTokens))))
        .collect();
    for (from, _, _) in &books.granted {
        let in_window = books
            .granted
            .iter()
            .filter(|(at, _, _)| *at >= *from && at.since(*from) < window)
            .map(|(_, id, _)| used[id])
            .sum::<u64>();
        assert!(in_window <= LIMIT, "{in_window} from {from:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_hears_of_room_that_another_process_made() {
    let store = Shared::new(MILLISECOND, [slots(1)]);
    let (one, other) = (process(store.clone()), process(store.clone()));
    let holder = one.acquire(&tokens(1)).await.unwrap();
    let waiting = tokio::spawn(async move { other.acquire(&tokens(1)).await.unwrap().waited() });
    sleep(SECOND * 2).await;
    assert!(!waiting.is_finished());
    assert!(store.asked() <= 2 + 8, "four times per second");
    drop(holder);
    assert!(waiting.await.unwrap() <= SECOND * 2 + MILLISECOND * 253);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_in_this_process_lets_the_next_call_in_at_once() {
    let store = Shared::new(MILLISECOND, [slots(1)]);
    let gate = process(store.clone());
    let holder = gate.acquire(&tokens(1)).await.unwrap();
    let waiting = start(&gate, &tokens(1)).await;
    sleep(SECOND / 2).await;
    drop(holder);
    // One delay for the release, one for the answer.
    let admitted = gate.now().plus(MILLISECOND * 2);
    drop(waiting.await.unwrap());
    assert_eq!(gate.now(), admitted);
}

#[tokio::test(start_paused = true)]
async fn what_is_granted_to_a_call_that_has_left_is_given_back() {
    let store = Shared::new(SECOND, [tpm(100, SECOND * 60)]);
    let gate = process(store.clone());
    let leaves = start(&gate, &tokens(100)).await;
    sleep(SECOND / 2).await;
    assert_eq!(store.asked(), 1);
    drop(leaves);
    quiet().await;
    let books = store.books.lock().await;
    assert_eq!(books.ended, [(0, None)]);
    assert_eq!(books.ledger.open_reservations(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_back_with_its_ticket_does_not_get_the_grant_of_its_first_attempt() {
    let store = Shared::new(SECOND, [tpm(100, SECOND * 60)]);
    let gate = process(store.clone());
    let first = gate.acquire(&tokens(1)).await.unwrap();
    let ticket = first.ticket();
    first.release();
    sleep(SECOND * 2).await;
    let leaves = start(&gate, &tokens(10).keeping(ticket)).await;
    sleep(SECOND / 2).await;
    drop(leaves);
    let back = start(&gate, &tokens(90).keeping(ticket)).await;
    let permit: Permit = back.await.unwrap();
    let books = store.books.lock().await;
    let open: Vec<u64> = books
        .open
        .values()
        .map(|(_, amounts)| amounts.get(Unit::TotalTokens))
        .collect();
    assert_eq!(open, [90], "the store holds what the permit says");
    drop(books);
    assert_eq!(permit.reserved().get(Unit::TotalTokens), 90);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_refused_at_its_deadline_however_slow_the_store() {
    let store = Shared::new(SECOND * 3_600, [tpm(100, SECOND)]);
    let gate = process(store.clone());
    let patient = start(&gate, &tokens(1)).await;
    sleep(SECOND).await;
    let deadline = sleep(SECOND).deadline();
    let error = gate.acquire_by(&tokens(1), deadline).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::Deadline);
    assert_eq!(gate.now(), Tick::ZERO.plus(SECOND * 3));
    drop(patient);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_store_has_no_room_for_by_its_deadline_is_refused_at_once() {
    let store = Shared::new(MILLISECOND, [tpm(100, SECOND * 60)]);
    let gate = process(store.clone());
    drop_sent(gate.acquire(&tokens(100)).await.unwrap());
    let full_until = Tick::ZERO.plus(SECOND + SECOND * 60);
    let deadline = sleep(SECOND * 30).deadline();
    let before = gate.now();
    let error = gate.acquire_by(&tokens(1), deadline).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::Deadline);
    assert_eq!(error.retry_at(), Some(full_until));
    assert_eq!(&*error.binding().unwrap().policy, "tpm");
    assert_eq!(gate.now(), before.plus(MILLISECOND));
}

fn drop_sent(mut permit: Permit) {
    permit.mark_sent();
}

#[tokio::test(start_paused = true)]
async fn a_store_is_not_asked_again_before_the_instant_it_named() {
    let store = Shared::new(MILLISECOND, [tpm(100, SECOND * 60)]);
    let gate = process(store.clone());
    drop_sent(gate.acquire(&tokens(100)).await.unwrap());
    sleep(MILLISECOND * 10).await;
    let asked = store.asked();
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(start(&gate, &tokens(1)).await);
        sleep(MILLISECOND * 10).await;
    }
    assert_eq!(store.asked(), asked + 1, "for the first in line, once");
    for acquire in waiting {
        drop_sent(acquire.await.unwrap());
    }
    assert_eq!(gate.now(), Tick::ZERO.plus(SECOND * 61 + MILLISECOND * 100));
}

#[tokio::test(start_paused = true)]
async fn what_never_fits_is_refused_and_the_next_call_goes_on() {
    let store = Shared::new(MILLISECOND, [tpm(100, SECOND)]);
    let gate = process(store.clone());
    let too_large = start(&gate, &tokens(101)).await;
    let next = start(&gate, &tokens(100)).await;
    assert!(too_large.await.unwrap_err().is_never_fits());
    next.await.unwrap().release();
}

#[tokio::test(start_paused = true)]
async fn a_gate_with_a_store_does_not_pretend_to_know_its_books() {
    let store = Shared::new(MILLISECOND, [tpm(100, SECOND)]);
    let gate = process(store.clone());
    let permit = gate.acquire(&tokens(100)).await.unwrap();
    assert!(gate.snapshot().is_empty());
    let error = gate.try_acquire(&tokens(1)).unwrap_err();
    assert_eq!(error.refusal(), Refusal::NotNow);
    assert!(matches!(gate.check(&tokens(101)), Check::NeverFits(_)));
    permit.release();
}

#[tokio::test(start_paused = true)]
async fn the_driver_of_a_gate_with_a_store_ends_when_nobody_waits() {
    let store = Shared::new(MILLISECOND, [slots(1)]);
    let gate = process(store.clone());
    let _holder = gate.acquire(&tokens(1)).await.unwrap();
    let waiting = start(&gate, &tokens(1)).await;
    sleep(MILLISECOND * 50).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    drop(waiting);
    for _ in 0..4 {
        yield_now().await;
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}
