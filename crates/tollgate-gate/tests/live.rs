//! What can be seen and changed while calls wait: the state of each policy, when a batch would be through, and another plan.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};
use tollgate_gate::{
    Acquire, AcquireError, Amounts, Call, ChangeError, Event, Gate, GateBuilder, Labels, Permit,
    Plan, Policy, Quota, Recorder, Refusal, Tick, Unit,
};

const START: Duration = Duration::from_secs(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn plan(policies: impl IntoIterator<Item = Policy>) -> Plan {
    Plan::new(policies).unwrap()
}

fn builder(plan: Plan) -> GateBuilder {
    Gate::builder(plan).started_at(SystemTime::UNIX_EPOCH + START)
}

fn exact(name: &str, quota: Quota) -> Policy {
    Policy::new(name, quota).margin(Duration::ZERO).unwrap()
}

fn tpm(limit: u64) -> Policy {
    exact(
        "tpm",
        Quota::sliding(Unit::TotalTokens, limit, MINUTE).unwrap(),
    )
}

fn rpm(limit: u64) -> Policy {
    exact("rpm", Quota::bucket(Unit::Requests, limit, MINUTE).unwrap())
}

fn tokens(model: &str, tokens: u64) -> Call {
    Call::new(Labels::new().with("model", model), Amounts::call(tokens, 0))
}

fn seconds(s: u32) -> Tick {
    Tick::after_origin(START + SECOND * s)
}

fn spend(mut permit: Permit) {
    permit.mark_sent();
}

async fn poll_once(acquire: &mut Acquire) -> bool {
    let mut acquire = pin!(acquire);
    poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx).is_ready())).await
}

async fn queue(gate: &Gate, call: &Call) -> JoinHandle<Result<Tick, AcquireError>> {
    let mut acquire = Box::pin(gate.acquire(call));
    assert!(!poll_once(&mut acquire).await, "the call has to wait");
    let gate = gate.clone();
    tokio::spawn(async move {
        spend(acquire.await?);
        Ok(gate.now())
    })
}

async fn admitted(call: JoinHandle<Result<Tick, AcquireError>>) -> Tick {
    call.await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_says_who_waits_for_what_and_until_when() {
    let gate = builder(plan([tpm(100).per("model"), rpm(60)])).build();
    spend(gate.try_acquire(&tokens("a", 70)).unwrap());
    spend(gate.try_acquire(&tokens("b", 10)).unwrap());
    advance(SECOND).await;
    let _open = gate.try_acquire(&tokens("a", 5)).unwrap();
    let _waiting = [
        queue(&gate, &tokens("a", 40)).await,
        queue(&gate, &tokens("a", 30)).await,
    ];
    let states = gate.snapshot();
    let of = |policy: &str, partition: &[&str]| {
        let mut found = states.iter().filter(|state| {
            &*state.policy == policy
                && state
                    .partition
                    .iter()
                    .map(|p| &**p)
                    .eq(partition.iter().copied())
        });
        found.next().unwrap()
    };
    let a = of("tpm", &["a"]);
    assert_eq!((a.limit, a.used, a.open), (100, 75, 1));
    assert_eq!((a.waiting, a.waiting_units), (2, 70));
    assert_eq!(a.next_admission, Some(seconds(60)));
    let b = of("tpm", &["b"]);
    assert_eq!((b.used, b.open, b.waiting, b.waiting_units), (10, 0, 0, 0));
    assert_eq!(b.next_admission, Some(gate.now()), "it has room");
    assert_eq!(of("rpm", &[]).waiting, 0, "it holds nobody back");

    let labels = Arc::new(Labels::new().with("model", "b"));
    gate.pause(&labels, Some(Unit::TotalTokens), SECOND * 10);
    let states = gate.snapshot();
    let b = states.iter().find(|state| state.used == 10).unwrap();
    assert_eq!(b.paused_until, Some(seconds(11)));
    assert_eq!(b.next_admission, Some(seconds(11)));
}

#[tokio::test(start_paused = true)]
async fn a_forecast_counts_those_who_wait_already() {
    let gate = builder(plan([rpm(60)])).build();
    let call = tokens("a", 1);
    assert_eq!(gate.forecast(&call, 60).unwrap(), Some(seconds(0)));
    assert_eq!(gate.forecast(&call, 90).unwrap(), Some(seconds(30)));
    for _ in 0..60 {
        spend(gate.try_acquire(&call).unwrap());
    }
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(queue(&gate, &call).await);
    }
    let forecast = gate.forecast(&call, 200).unwrap();
    assert_eq!(forecast, Some(seconds(300)));
    for _ in 0..200 {
        waiting.push(queue(&gate, &call).await);
    }
    let mut last = seconds(0);
    for call in waiting {
        last = admitted(call).await;
    }
    assert_eq!(Some(last), forecast, "and so it comes");
}

#[tokio::test(start_paused = true)]
async fn a_forecast_says_what_never_fits() {
    let gate = builder(plan([tpm(100)])).build();
    let error = gate.forecast(&tokens("a", 101), 1).unwrap_err();
    assert!(error.is_never_fits());
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_lets_waiting_calls_in_at_once() {
    let gate = builder(plan([tpm(100)])).build();
    spend(gate.try_acquire(&tokens("a", 90)).unwrap());
    let first = queue(&gate, &tokens("a", 60)).await;
    let second = queue(&gate, &tokens("b", 60)).await;
    let third = queue(&gate, &tokens("a", 60)).await;
    advance(SECOND).await;
    gate.change(plan([tpm(210)])).unwrap();
    assert_eq!(gate.waiting(), 1, "90 + 60 + 60 fit");
    assert_eq!(admitted(first).await, seconds(1));
    assert_eq!(admitted(second).await, seconds(1));
    assert_eq!(
        admitted(third).await,
        seconds(60),
        "what was used carries over"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_makes_sleepers_wait_longer_and_refuses_what_never_fits() {
    let gate = builder(plan([rpm(60), tpm(100)])).build();
    spend(gate.try_acquire(&tokens("a", 100)).unwrap());
    let large = queue(&gate, &tokens("a", 60)).await;
    let small = queue(&gate, &tokens("a", 20)).await;
    let next = queue(&gate, &tokens("b", 31)).await;
    gate.change(plan([rpm(60), tpm(50)])).unwrap();
    let error = large.await.unwrap().unwrap_err();
    assert!(error.is_never_fits());
    assert_eq!(gate.now(), seconds(0), "at once");
    assert_eq!(admitted(small).await, seconds(60));
    assert_eq!(admitted(next).await, seconds(120));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_dropped_holds_nobody_back() {
    let gate = builder(plan([tpm(100)])).build();
    spend(gate.try_acquire(&tokens("a", 100)).unwrap());
    let waiting = [
        queue(&gate, &tokens("a", 60)).await,
        queue(&gate, &tokens("b", 60)).await,
    ];
    gate.change(plan([])).unwrap();
    assert_eq!(gate.waiting(), 0);
    for call in waiting {
        assert_eq!(admitted(call).await, seconds(0));
    }
    assert!(gate.plan().policies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_cannot_carry_over_changes_nothing() {
    let gate = builder(plan([tpm(100)])).build();
    spend(gate.try_acquire(&tokens("a", 100)).unwrap());
    let waiting = queue(&gate, &tokens("a", 60)).await;
    let other = exact("tpm", Quota::bucket(Unit::Requests, 10, MINUTE).unwrap());
    assert!(matches!(
        gate.change(plan([other])),
        Err(ChangeError::Unit(_))
    ));
    assert_eq!(admitted(waiting).await, seconds(60));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_longest_wait() {
    let slots = Policy::new("slots", Quota::slots(1).unwrap());
    let gate = builder(plan([rpm(60), slots]))
        .longest_wait(SECOND * 30)
        .build();
    let holder = gate.try_acquire(&tokens("a", 1)).unwrap();
    // Nobody knows when a slot comes back.
    let waiting = queue(&gate, &tokens("a", 1)).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(gate.now(), seconds(30));
    assert_eq!(error.refusal(), Refusal::LongestWait);
    assert_eq!(&*error.binding().unwrap().policy, "slots");
    drop(holder);

    let gate = builder(plan([tpm(100)])).longest_wait(SECOND * 30).build();
    spend(gate.try_acquire(&tokens("a", 100)).unwrap());
    let error = gate.acquire(&tokens("a", 1)).await.unwrap_err();
    assert_eq!(gate.now(), seconds(0), "at once, by this gate's own clock");
    assert_eq!(error.refusal(), Refusal::LongestWait);
    assert_eq!(error.retry_at(), Some(seconds(60)));
    assert_eq!(
        error.to_string(),
        "call needs 1 tokens, policy `tpm` has 0 of 100 left: not within 30s, the longest wait; it fits in 60.0s at the earliest"
    );
    let deadline = sleep(SECOND * 10).deadline();
    let error = gate
        .acquire_by(&tokens("a", 1), deadline)
        .await
        .unwrap_err();
    assert_eq!(
        error.refusal(),
        Refusal::Deadline,
        "the caller's own comes first"
    );
}

/// What the events about waiting say.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Recorder for Told {
    fn record(&self, event: &Event<'_>) {
        let told = match *event {
            Event::Queued { binding, until, .. } => {
                format!("queued: {} until {:?}", binding.unwrap(), until.unwrap())
            }
            Event::Refused { binding, until, .. } => {
                format!("refused: {} until {:?}", binding.unwrap(), until.unwrap())
            }
            Event::Paused {
                policies, until, ..
            } => {
                let policies: Vec<_> = policies
                    .iter()
                    .map(|p| (&*p.policy, p.unit, p.paused_until))
                    .collect();
                format!("paused until {until:?}: {policies:?}")
            }
            _ => return,
        };
        self.0.lock().unwrap().push(told);
    }
}

#[tokio::test(start_paused = true)]
async fn each_wait_refusal_and_pause_names_policy_need_and_instant() {
    let told = Arc::new(Told::default());
    let gate = builder(plan([tpm(100), rpm(60)]))
        .recorder(told.clone())
        .build();
    spend(gate.try_acquire(&tokens("a", 90)).unwrap());
    let _large = queue(&gate, &tokens("a", 40)).await;
    let _behind = queue(&gate, &tokens("b", 5)).await;
    gate.try_acquire(&tokens("c", 6)).unwrap_err();
    let labels = Arc::new(Labels::new());
    gate.pause(&labels, Some(Unit::Requests), SECOND * 90);
    let (minute, later) = (seconds(60), seconds(90));
    assert_eq!(
        *told.0.lock().unwrap(),
        [
            format!(
                "queued: call needs 40 tokens, policy `tpm` has 10 of 100 left until {minute:?}"
            ),
            format!(
                "queued: call needs 40 tokens, policy `tpm` has 10 of 100 left until {minute:?}"
            ),
            format!(
                "refused: call needs 40 tokens, policy `tpm` has 10 of 100 left until {minute:?}"
            ),
            format!("paused until {later:?}: [(\"rpm\", Requests, Some({later:?}))]"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_can_be_set_alone_while_calls_wait() {
    let gate = builder(plan([tpm(1_000), rpm(60)])).build();
    spend(gate.try_acquire(&tokens("a", 900)).unwrap());
    let waiting = queue(&gate, &tokens("a", 400)).await;
    advance(SECOND).await;
    gate.set_limit("tpm", 1_200).unwrap();
    assert_eq!(gate.waiting(), 1);
    gate.set_limit("tpm", 1_300).unwrap();
    assert_eq!(admitted(waiting).await, seconds(1));
    let states = gate.snapshot();
    let seen = |name: &str| {
        let state = states.iter().find(|state| &*state.policy == name).unwrap();
        (state.limit, state.capacity, state.used)
    };
    // What was used carries over, and the other policy stays as it was.
    assert_eq!((seen("tpm"), seen("rpm").0), ((1_300, 1_300, 1_300), 60));
    // A bucket's burst follows where it was the limit.
    gate.set_limit("rpm", 30).unwrap();
    assert_eq!(gate.plan().policies()[1], rpm(30));
    // Who can never be admitted any more is refused.
    let hopeless = queue(&gate, &tokens("a", 800)).await;
    gate.set_limit("tpm", 700).unwrap();
    let error = hopeless.await.unwrap().unwrap_err();
    assert!(error.is_never_fits(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_cannot_be_set_changes_nothing() {
    let hidden = rpm(60).adaptive(10, 100).unwrap();
    let gate = builder(plan([tpm(1_000), hidden])).build();
    let check = |policy: &str, limit, message: &str| {
        let error = gate.set_limit(policy, limit).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    };
    check("tpd", 9, "there is no policy `tpd`");
    check("tpm", 0, "policy `tpm`: a limit of 0 admits nothing");
    check("tpm", u64::MAX, "above the largest");
    check("rpm", 9, "an adaptive policy starts at its limit");
    let limits = gate.plan();
    let limits: Vec<u64> = limits
        .policies()
        .iter()
        .map(|p| p.quota().limit())
        .collect();
    assert_eq!(limits, [1_000, 60]);
}
