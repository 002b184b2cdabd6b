//! What a waiting call may rely on: order, the instant of its admission, deadlines, bounds and pauses, on tokio's paused clock.
//!
//! Tokio's timers fire on whole milliseconds after the runtime's start, never early; every instant here is a whole number of
//! milliseconds after the gate was made, which is also the runtime's start, so admissions are compared exactly.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};
use tollgate_gate::{
    Acquire, Amounts, Booking, Call, Check, Gate, GateBuilder, Labels, Permit, Plan, Policy, Quota,
    Refusal, Source, Tick, Unit,
};

const START: Duration = Duration::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn builder(policies: impl IntoIterator<Item = Policy>) -> GateBuilder {
    Gate::builder(Plan::new(policies).unwrap()).started_at(SystemTime::UNIX_EPOCH + START)
}

fn gate(policies: impl IntoIterator<Item = Policy>) -> Gate {
    builder(policies).build()
}

/// A policy that trusts every instant, so that the tests can name them.
fn exact(name: &str, quota: Quota) -> Policy {
    Policy::new(name, quota).margin(Duration::ZERO).unwrap()
}

fn sliding(name: &str, unit: Unit, limit: u64, window: Duration) -> Policy {
    exact(name, Quota::sliding(unit, limit, window).unwrap())
}

fn bucket(name: &str, unit: Unit, limit: u64, window: Duration) -> Policy {
    exact(name, Quota::bucket(unit, limit, window).unwrap())
}

fn slots(limit: u64) -> Policy {
    Policy::new("slots", Quota::slots(limit).unwrap())
}

fn tokens(model: &str, tokens: u64) -> Call {
    Call::new(Labels::new().with("model", model), Amounts::call(tokens, 0))
}

/// The instant `span` from now.
fn after(span: Duration) -> Instant {
    sleep(span).deadline()
}

fn at(span: Duration) -> Tick {
    Tick::after_origin(START + span)
}

fn seconds(s: u64) -> Tick {
    at(SECOND * u32::try_from(s).unwrap())
}

/// Keeps what the call reserved, so that its quota comes back only with time.
fn spend(mut permit: Permit) {
    permit.mark_sent();
    drop(permit);
}

async fn poll_once(acquire: &mut Acquire) -> bool {
    let mut acquire = pin!(acquire);
    poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx).is_ready())).await
}

/// Puts a call in line at once; the task answers when it was admitted.
async fn queue(gate: &Gate, call: &Call) -> JoinHandle<Tick> {
    let mut acquire = Box::pin(gate.acquire(call));
    assert!(!poll_once(&mut acquire).await, "the call has to wait");
    let gate = gate.clone();
    tokio::spawn(async move {
        spend(acquire.await.unwrap());
        gate.now()
    })
}

#[tokio::test(start_paused = true)]
async fn calls_are_admitted_in_the_order_in_which_they_came() {
    let gate = gate([sliding("rps", Unit::Requests, 1, SECOND)]);
    spend(gate.try_acquire(&tokens("a", 1)).unwrap());
    let mut waiting = Vec::new();
    for i in 0..10 {
        // Different lanes that share the quota keep the order too.
        let model = ["a", "b", "c"][i % 3];
        waiting.push(queue(&gate, &tokens(model, 1)).await);
    }
    assert_eq!(gate.waiting(), 10);
    for (i, call) in (1..).zip(waiting) {
        assert_eq!(call.await.unwrap(), seconds(i));
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_call_is_not_starved_by_small_ones_that_come_again_and_again() {
    // One token per second.
    let gate = gate([bucket("tpm", Unit::TotalTokens, 100, SECOND * 100)]);
    let small_admissions = Arc::new(Mutex::new(Vec::new()));
    for model in ["a", "a", "b", "b"] {
        let (gate, admissions) = (gate.clone(), small_admissions.clone());
        tokio::spawn(async move {
            loop {
                let permit = gate.acquire(&tokens(model, 10)).await.unwrap();
                admissions.lock().unwrap().push(gate.now());
                spend(permit);
            }
        });
    }
    // The small ones empty the bucket, then all four wait.
    sleep(SECOND).await;
    assert_eq!(gate.waiting(), 4);
    let large = queue(&gate, &tokens("b", 100)).await;
    // The four ahead of it go at 10, 20, 30 and 40 s; from then on the bucket fills for the large call alone.
    assert_eq!(large.await.unwrap(), seconds(140));
    let small = small_admissions.lock().unwrap();
    let later: Vec<Tick> = small.iter().copied().filter(|&t| t > at(SECOND)).collect();
    assert_eq!(later, [10, 20, 30, 40].map(seconds));
}

#[tokio::test(start_paused = true)]
async fn a_blocked_model_does_not_block_one_that_shares_no_quota_with_it() {
    let gate = gate([sliding("tpm", Unit::TotalTokens, 100, MINUTE).per("model")]);
    spend(gate.try_acquire(&tokens("a", 100)).unwrap());
    let blocked = queue(&gate, &tokens("a", 1)).await;
    spend(gate.acquire(&tokens("b", 40)).await.unwrap());
    spend(gate.try_acquire(&tokens("b", 60)).unwrap());
    assert_eq!(gate.now(), at(Duration::ZERO));
    assert_eq!(blocked.await.unwrap(), seconds(60));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fits_beside_waiting_ones_is_not_queued() {
    let gate = builder([sliding("tpm", Unit::TotalTokens, 100, MINUTE).per("model")])
        .queue_limit(1)
        .build();
    spend(gate.try_acquire(&tokens("a", 100)).unwrap());
    let _blocked = queue(&gate, &tokens("a", 1)).await;
    let permit = gate.acquire(&tokens("b", 40)).await;
    assert_eq!(
        permit.unwrap().waited(),
        Duration::ZERO,
        "the queue is full, but this call need not wait"
    );
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_is_admitted_at_exactly_the_instant_named() {
    for shape in [
        bucket("q", Unit::TotalTokens, 6_000, MINUTE),
        sliding("q", Unit::TotalTokens, 6_000, MINUTE),
    ] {
        let gate = gate([shape]);
        spend(gate.try_acquire(&tokens("a", 5_000)).unwrap());
        advance(Duration::from_millis(1_230)).await;
        spend(gate.try_acquire(&tokens("a", 1_000)).unwrap());
        let call = tokens("a", 4_321);
        let Check::Wait(wait) = gate.check(&call) else {
            panic!("it does not fit now")
        };
        assert_eq!(
            queue(&gate, &call).await.await.unwrap(),
            wait.until.unwrap()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_settle_that_refunds_admits_the_next_call_at_once() {
    let gate = gate([sliding("tpm", Unit::TotalTokens, 100, MINUTE)]);
    let permit = gate.try_acquire(&tokens("a", 100)).unwrap();
    let next = queue(&gate, &tokens("a", 60)).await;
    let after_next = queue(&gate, &tokens("a", 31)).await;
    advance(SECOND).await;
    permit.settle(&Amounts::call(10, 0), Source::Reported);
    assert_eq!(next.await.unwrap(), seconds(1));
    // 10 + 60 + 31 do not fit before the first call ages out.
    assert_eq!(after_next.await.unwrap(), seconds(60));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_admitted_by_its_deadline_is_refused_at_once() {
    let gate = gate([sliding("rpm", Unit::Requests, 1, MINUTE)]);
    spend(gate.try_acquire(&tokens("a", 1)).unwrap());
    let error = gate
        .acquire_by(&tokens("a", 1), after(MINUTE - Duration::from_nanos(1)))
        .await
        .unwrap_err();
    assert_eq!(gate.now(), at(Duration::ZERO), "it did not wait");
    assert_eq!(error.refusal(), Refusal::Deadline);
    assert_eq!(error.retry_at(), Some(seconds(60)));
    assert_eq!(error.retry_after(), Some(MINUTE));
    assert_eq!(&*error.binding().unwrap().policy, "rpm");

    let permit = gate.acquire_by(&tokens("a", 1), after(MINUTE)).await;
    assert_eq!(permit.unwrap().waited(), MINUTE, "exactly in time");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_passes_while_it_waits_is_refused() {
    let gate = gate([slots(1)]);
    let holder = gate.try_acquire(&tokens("a", 1)).unwrap();
    let patient = queue(&gate, &tokens("a", 1)).await;
    let error = gate
        .acquire_by(&tokens("a", 1), after(SECOND * 5))
        .await
        .unwrap_err();
    assert_eq!(gate.now(), seconds(5));
    assert_eq!(error.refusal(), Refusal::Deadline);
    assert_eq!(error.retry_at(), None, "calls in flight decide");
    assert_eq!(gate.waiting(), 1);
    drop(holder);
    assert_eq!(patient.await.unwrap(), seconds(5));
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_no_longer_stands_in_the_way() {
    let quota = Quota::sliding(Unit::TotalTokens, 100, MINUTE).unwrap();
    let gate = gate([exact("tpm", quota).booking(Booking::Completion)]);
    let running = gate.try_acquire(&tokens("a", 90)).unwrap();
    // Nobody knows when the running call ends, so it is not refused before its deadline.
    let large = tokio::spawn({
        let (gate, deadline) = (gate.clone(), after(SECOND * 5));
        async move { gate.acquire_by(&tokens("a", 100), deadline).await }
    });
    tokio::task::yield_now().await;
    let small = queue(&gate, &tokens("a", 10)).await;
    assert_eq!(small.await.unwrap(), seconds(5));
    let error = large.await.unwrap().unwrap_err();
    assert_eq!(error.refusal(), Refusal::Deadline);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_wait_is_refused_when_the_queue_is_full() {
    let gate = builder([sliding("rpm", Unit::Requests, 1, MINUTE)])
        .queue_limit(2)
        .build();
    spend(gate.acquire(&tokens("a", 1)).await.unwrap());
    let waiting = [
        queue(&gate, &tokens("a", 1)).await,
        queue(&gate, &tokens("a", 1)).await,
    ];
    let error = gate.acquire(&tokens("a", 1)).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::QueueFull);
    assert_eq!(error.to_string(), "the queue is full with 2 waiting calls");
    for (i, call) in (1..).zip(waiting) {
        assert_eq!(call.await.unwrap(), seconds(60 * i));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_fits_is_told_at_once() {
    let gate = gate([sliding("tpm", Unit::TotalTokens, 100, MINUTE)]);
    let too_large = tokens("a", 101);
    let check = |error: tollgate_gate::AcquireError| {
        assert!(error.is_never_fits());
        assert_eq!(error.binding().unwrap().capacity, 100);
        assert_eq!(error.retry_at(), None);
    };
    check(gate.acquire(&too_large).await.unwrap_err());
    check(gate.try_acquire(&too_large).unwrap_err());
    spend(gate.try_acquire(&tokens("a", 100)).unwrap());
    let _waiting = queue(&gate, &tokens("a", 1)).await;
    check(gate.acquire(&too_large).await.unwrap_err());
    check(gate.try_acquire(&too_large).unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn try_acquire_does_not_jump_the_queue() {
    let gate = gate([sliding("tpm", Unit::TotalTokens, 100, MINUTE)]);
    spend(gate.try_acquire(&tokens("a", 60)).unwrap());
    let large = queue(&gate, &tokens("a", 80)).await;
    let error = gate.try_acquire(&tokens("a", 40)).unwrap_err();
    assert_eq!(error.refusal(), Refusal::NotNow);
    assert_eq!(
        error.to_string(),
        "call needs 80 tokens, policy `tpm` has 40 of 100 left, and calls that go first wait for it; it fits in \
         60.0s at the earliest"
    );
    let error = gate.try_acquire(&tokens("a", 41)).unwrap_err();
    assert_eq!(
        error.retry_at(),
        Some(seconds(60)),
        "by itself it fits then"
    );
    assert_eq!(large.await.unwrap(), seconds(60));
}

#[tokio::test(start_paused = true)]
async fn nobody_comes_in_ahead_of_a_call_whose_instant_has_come() {
    let gate = gate([sliding("rpm", Unit::Requests, 1, MINUTE)]);
    spend(gate.try_acquire(&tokens("a", 1)).unwrap());
    let first = queue(&gate, &tokens("a", 1)).await;
    // The clock moves on, but the driver has not run yet.
    let mut moved = pin!(advance(MINUTE));
    poll_fn(|cx| {
        assert!(moved.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert_eq!(gate.now(), seconds(60));
    gate.try_acquire(&tokens("a", 1)).unwrap_err();
    assert_eq!(gate.waiting(), 0, "the first call was admitted instead");
    assert_eq!(first.await.unwrap(), seconds(60));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_sent_again_keeps_its_place() {
    let gate = gate([sliding("rpm", Unit::Requests, 1, MINUTE)]);
    let first = gate.try_acquire(&tokens("a", 1)).unwrap();
    let ticket = first.ticket();
    spend(first);
    let later = queue(&gate, &tokens("a", 1)).await;
    let again = queue(&gate, &tokens("a", 1).keeping(ticket)).await;
    assert_eq!(again.await.unwrap(), seconds(60));
    assert_eq!(later.await.unwrap(), seconds(120));
}

#[tokio::test(start_paused = true)]
async fn calls_that_share_a_ticket_each_get_their_answer() {
    let gate = gate([sliding("rpm", Unit::Requests, 1, MINUTE)]);
    let first = gate.try_acquire(&tokens("a", 1)).unwrap();
    let hedged = tokens("a", 1).keeping(first.ticket());
    spend(first);
    let one = queue(&gate, &hedged).await;
    let other = queue(&gate, &hedged).await;
    assert_eq!(gate.waiting(), 2);
    assert_eq!(one.await.unwrap(), seconds(60));
    assert_eq!(other.await.unwrap(), seconds(120));
    assert_eq!(gate.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_every_waiting_call_and_only_grows() {
    let gate = gate([bucket("rpm", Unit::Requests, 60, MINUTE)]);
    let labels = Arc::new(Labels::new().with("model", "a"));
    let permit = gate.try_acquire(&tokens("a", 1)).unwrap();
    gate.pause(&labels, None, SECOND * 10);
    let waiting = [
        queue(&gate, &tokens("a", 1)).await,
        queue(&gate, &tokens("b", 1)).await,
        queue(&gate, &tokens("a", 1)).await,
        queue(&gate, &tokens("c", 1)).await,
    ];
    advance(SECOND * 2).await;
    permit.pause(Some(Unit::Requests), SECOND * 28);
    gate.pause(&labels, Some(Unit::Requests), SECOND * 3);
    permit.release();
    assert_eq!(gate.waiting(), 4, "a refund does not lift the pause");
    assert_eq!(gate.snapshot()[0].paused_until, Some(seconds(30)));
    // Nothing of the bucket is used, yet no herd returns: the calls go at the quota's rate of one per second.
    for (i, call) in (30..).zip(waiting) {
        assert_eq!(call.await.unwrap(), seconds(i));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_one_unit_holds_only_calls_that_it_counts() {
    let gate = gate([
        bucket("rpm", Unit::Requests, 60, MINUTE).only("model", ["a"]),
        bucket("tpm", Unit::TotalTokens, 6_000, MINUTE).only("model", ["b"]),
    ]);
    let labels = Arc::new(Labels::new().with("model", "a"));
    gate.pause(&labels, Some(Unit::Requests), SECOND * 10);
    let paused = queue(&gate, &tokens("a", 1)).await;
    spend(gate.acquire(&tokens("b", 1)).await.unwrap());
    assert_eq!(gate.now(), at(Duration::ZERO));
    assert_eq!(paused.await.unwrap(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_no_longer_for_those_ahead_than_they_need_what_it_needs() {
    let gate = gate([
        sliding("rpm", Unit::Requests, 1, MINUTE),
        sliding("tpd", Unit::TotalTokens, 100, DAY).only("model", ["a"]),
    ]);
    spend(gate.try_acquire(&tokens("a", 100)).unwrap());
    // For a minute it needs both; then only the day's tokens are missing, and nothing else happens to say so.
    let next_day = queue(&gate, &tokens("a", 1)).await;
    let next_minute = queue(&gate, &tokens("b", 1)).await;
    assert_eq!(next_minute.await.unwrap(), seconds(60));
    assert_eq!(next_day.await.unwrap(), at(DAY));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_is_reserved_by_the_latest_estimate() {
    let gate = gate([sliding("tpm", Unit::TotalTokens, 100, MINUTE)]);
    let first = gate.try_acquire(&tokens("m", 60)).unwrap();
    let learned = Arc::new(Mutex::new(50));
    let estimate = learned.clone();
    let call = Call::estimated(Labels::new().with("model", "m"), move || {
        Amounts::call(*estimate.lock().unwrap(), 0)
    });
    let mut waiting = gate.acquire(&call);
    assert!(!poll_once(&mut waiting).await, "60 + 50 do not fit");
    *learned.lock().unwrap() = 30;
    // Nothing is given back by this settlement: the call fits because less is expected of it now.
    first.settle(&Amounts::call(60, 0), Source::Reported);
    let permit = waiting.await.unwrap();
    assert_eq!(permit.reserved(), &Amounts::call(30, 0));
    assert_eq!(gate.snapshot()[0].used, 90);
}
