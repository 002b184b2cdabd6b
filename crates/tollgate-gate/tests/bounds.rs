//! How long a call may wait: refused at once if it cannot be in time, counting those who go first, with the instant at which it could.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tollgate_gate::{
    Acquire, Amounts, Call, Gate, GateBuilder, Labels, Permit, Plan, Policy, Priority, Quota,
    Refusal, Tick, Unit,
};

const START: Duration = Duration::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// One call per second, at most 60 at once.
fn per_second() -> GateBuilder {
    let quota = Quota::bucket(Unit::Requests, 60, MINUTE).unwrap();
    let policy = Policy::new("rpm", quota).margin(Duration::ZERO).unwrap();
    Gate::builder(Plan::new([policy]).unwrap()).started_at(SystemTime::UNIX_EPOCH + START)
}

fn call(tenant: &str) -> Call {
    Call::new(Labels::new().with("tenant", tenant), Amounts::call(1, 0))
}

fn seconds(s: u32) -> Tick {
    Tick::after_origin(START + SECOND * s)
}

fn after(span: Duration) -> Instant {
    sleep(span).deadline()
}

fn spend(mut permit: Permit) {
    permit.mark_sent();
}

async fn poll_once(acquire: &mut Acquire) -> bool {
    let mut acquire = pin!(acquire);
    poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx).is_ready())).await
}

async fn queue(gate: &Gate, call: &Call, times: usize) -> Vec<JoinHandle<Tick>> {
    let mut waiting = Vec::new();
    for _ in 0..times {
        let mut acquire = Box::pin(gate.acquire(call));
        assert!(!poll_once(&mut acquire).await, "the call has to wait");
        let gate = gate.clone();
        waiting.push(tokio::spawn(async move {
            spend(acquire.await.unwrap());
            gate.now()
        }));
    }
    waiting
}

fn use_up(gate: &Gate) {
    for _ in 0..60 {
        spend(gate.try_acquire(&call("x")).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_behind_others_is_refused_at_once_if_they_make_it_late() {
    let gate = per_second().build();
    use_up(&gate);
    let waiting = queue(&gate, &call("a"), 10).await;
    let error = gate
        .acquire_by(&call("a"), after(SECOND * 11 - Duration::from_nanos(1)))
        .await
        .unwrap_err();
    assert_eq!(gate.now(), seconds(0), "it did not wait");
    assert_eq!(error.refusal(), Refusal::Deadline);
    assert_eq!(error.retry_at(), Some(seconds(11)));
    let in_time = gate.acquire_by(&call("a"), after(SECOND * 11)).await;
    assert_eq!(in_time.unwrap().waited(), SECOND * 11);
    assert!(waiting.iter().all(JoinHandle::is_finished));
}

#[tokio::test(start_paused = true)]
async fn only_what_goes_first_by_the_tenants_shares_is_counted() {
    let gate = per_second().weight("b", 4).build();
    use_up(&gate);
    let _waiting = queue(&gate, &call("a"), 50).await;
    // For each call of `a` there are four of `b`, which has just come.
    let late = gate
        .acquire_by(&call("b"), after(SECOND - Duration::from_nanos(1)))
        .await;
    assert_eq!(late.unwrap_err().refusal(), Refusal::Deadline);
    let in_time = gate.acquire_by(&call("b"), after(SECOND * 2)).await;
    assert!(in_time.unwrap().waited() <= SECOND * 2);
}

#[tokio::test(start_paused = true)]
async fn a_higher_class_is_ahead_until_the_lower_one_rises() {
    let gate = per_second().ageing(SECOND * 5).build();
    use_up(&gate);
    let _waiting = queue(&gate, &call("a").priority(Priority::High), 50).await;
    let late = gate.acquire_by(&call("a"), after(SECOND * 4)).await;
    let error = late.unwrap_err();
    assert_eq!(error.refusal(), Refusal::Deadline);
    assert!(error.retry_at() <= Some(seconds(5)), "it rises then");
    let in_time = gate.acquire_by(&call("a"), after(SECOND * 6)).await;
    assert_eq!(in_time.unwrap().waited(), SECOND * 5);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_floods_the_queue_is_refused_alone() {
    let gate = per_second().queue_limit(5).tenant_queue_limit(2).build();
    for _ in 0..60 {
        spend(gate.try_acquire(&call("a")).unwrap());
    }
    let flood = queue(&gate, &call("a"), 2).await;
    let error = gate.acquire(&call("a")).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::TenantQueueFull);
    assert_eq!(
        error.to_string(),
        "2 calls of tenant `a` wait already, the most of one tenant; others may still come"
    );
    assert_eq!((error.binding(), error.retry_at()), (None, None));
    // Those without the label are one tenant too, and the bound of the whole queue holds beside.
    let others = queue(&gate, &call("b"), 2).await;
    let nobody = Call::new(Labels::new(), Amounts::call(1, 0));
    let nameless = queue(&gate, &nobody, 1).await;
    let error = gate.acquire(&nobody).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::QueueFull);
    // Whoever is admitted, or gives up, makes room for its own tenant.
    for waiting in others {
        waiting.abort();
        assert!(waiting.await.is_err());
    }
    for waiting in flood {
        waiting.await.unwrap();
    }
    let _room = queue(&gate, &call("a"), 1).await;
    let again = queue(&gate, &call("b"), 2).await;
    let error = gate.acquire(&call("b")).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::TenantQueueFull);
    let plan = gate.plan();
    gate.change(plan).unwrap();
    let error = gate.acquire(&call("b")).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::TenantQueueFull);
    for waiting in again.into_iter().chain(nameless) {
        waiting.await.unwrap();
    }
    let _room = queue(&gate, &call("b"), 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_bound_of_no_waiting_calls_admits_what_fits_now() {
    let gate = per_second().tenant_queue_limit(0).build();
    for _ in 0..60 {
        spend(gate.acquire(&call("a")).await.unwrap());
    }
    let error = gate.acquire(&call("a")).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::TenantQueueFull);
}
