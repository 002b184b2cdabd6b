//! Nothing is lost: whenever a call is dropped, its reservation ends once, and exactly what the rules of `Permit` say is charged.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::sleep;
use tollgate_gate::{
    Acquire, Amounts, Booking, Call, Event, Gate, Labels, Permit, Plan, Policy, Quota, Recorder,
    Source, Unit,
};

const DAY: Duration = Duration::from_secs(86_400);
const MAX_TOKENS: u64 = 1_000;

/// Slots make calls wait; the other policies are wide, and last so long that nothing ages out, so that they add up all charges.
fn plan() -> Plan {
    let wide = |name, unit| {
        let quota = Quota::sliding(unit, Quota::MAX_LIMIT, DAY).unwrap();
        Policy::new(name, quota)
    };
    Plan::new([
        Policy::new("slots", Quota::slots(8).unwrap()),
        Policy::new(
            "largest call",
            Quota::sliding(Unit::Cost, 1, DAY * 365).unwrap(),
        ),
        wide("requests", Unit::Requests),
        wide("tokens", Unit::TotalTokens),
        wide("tokens kept", Unit::TotalTokens).booking(Booking::ArrivalKept),
        wide("tokens on completion", Unit::TotalTokens).booking(Booking::Completion),
    ])
    .unwrap()
}

/// What happened to each call, in order, one letter per event: queued, admitted (`A` after queuing), refused (`R` after queuing),
/// gave up, settled.
#[derive(Debug, Default)]
struct Log(Mutex<BTreeMap<String, String>>);

impl Recorder for Log {
    fn record(&self, event: &Event<'_>) {
        let (labels, letter) = match *event {
            Event::Queued { labels, .. } => (labels, 'q'),
            Event::Admitted { labels, queued, .. } => (labels, if queued { 'A' } else { 'a' }),
            Event::Refused { labels, queued, .. } => (labels, if queued { 'R' } else { 'r' }),
            Event::Abandoned { labels, .. } => (labels, 'g'),
            Event::Settled { labels, .. } => (labels, 's'),
            _ => panic!("unexpected: {event:?}"),
        };
        let id = labels.get("call").unwrap().to_owned();
        self.0.lock().unwrap().entry(id).or_default().push(letter);
    }
}

/// What the wide policies have to show in the end, by the rules in the documentation of `Permit`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Charged {
    requests: u64,
    tokens: u64,
    kept: u64,
    on_completion: u64,
}

impl Charged {
    fn add(&mut self, reserved: &Amounts, used: &Amounts) {
        let (reserved, used) = (reserved.get(Unit::TotalTokens), used.get(Unit::TotalTokens));
        self.requests += 1;
        self.tokens += used;
        self.kept += used.max(reserved);
        self.on_completion += used;
    }

    fn of(gate: &Gate) -> Self {
        let used = |name: &str| {
            let statuses = gate.snapshot();
            let status = statuses.iter().find(|s| &*s.policy == name).unwrap();
            assert!(status.held == 0, "nothing is in flight: {status:?}");
            status.used
        };
        Self {
            requests: used("requests"),
            tokens: used("tokens"),
            kept: used("tokens kept"),
            on_completion: used("tokens on completion"),
        }
    }
}

enum Live {
    Asking(Pin<Box<Acquire>>),
    Holding(Box<Holder>),
}

struct Holder {
    permit: Permit,
    sent: bool,
    noted: Option<Amounts>,
}

struct Storm {
    gate: Gate,
    rng: Rng,
    live: Vec<Live>,
    charged: Charged,
}

impl Storm {
    fn call(&mut self, id: u32) {
        let labels = Labels::new().with("call", id.to_string());
        let mut amounts = Amounts::call(self.rng.u64(0..MAX_TOKENS), self.rng.u64(0..MAX_TOKENS));
        if self.rng.u8(..) < 8 {
            // More than "largest call" can ever grant.
            amounts = amounts.with(Unit::Cost, 2);
        }
        let call = Call::new(labels, amounts);
        let acquire = if self.rng.u8(..) < 32 {
            let deadline = sleep(Duration::from_millis(self.rng.u64(0..50))).deadline();
            self.gate.acquire_by(&call, deadline)
        } else {
            self.gate.acquire(&call)
        };
        self.live.push(Live::Asking(Box::pin(acquire)));
    }

    fn used(&mut self) -> Amounts {
        Amounts::call(self.rng.u64(0..2 * MAX_TOKENS), self.rng.u64(0..MAX_TOKENS))
    }

    /// Takes some call one step on, or drops it where it stands.
    fn step(&mut self) {
        let i = self.rng.usize(..self.live.len());
        match self.live.swap_remove(i) {
            Live::Asking(acquire) if self.rng.u8(..) < 16 => drop(acquire),
            Live::Asking(mut acquire) => {
                match acquire
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                {
                    Poll::Pending => self.live.push(Live::Asking(acquire)),
                    Poll::Ready(Err(_)) => {}
                    Poll::Ready(Ok(permit)) => self.live.push(Live::Holding(Box::new(Holder {
                        permit,
                        sent: false,
                        noted: None,
                    }))),
                }
            }
            Live::Holding(mut holder) => {
                match self.rng.u8(..6) {
                    0 => return self.end(*holder),
                    1 => {
                        holder.permit.mark_sent();
                        holder.sent = true;
                    }
                    2 => {
                        let used = self.used();
                        holder.permit.note(used);
                        holder.noted = Some(used);
                    }
                    3 => {
                        let used = self.used();
                        self.charged.add(holder.permit.reserved(), &used);
                        let settlement = holder.permit.settle(&used, Source::Reported);
                        assert_eq!(settlement.used, used);
                        return;
                    }
                    4 if !holder.sent => return holder.permit.release(),
                    _ => {}
                }
                self.live.push(Live::Holding(holder));
            }
        }
    }

    /// Drops a permit, in every second case because its holder panics.
    fn end(&mut self, holder: Holder) {
        let Holder {
            permit,
            sent,
            noted,
        } = holder;
        if sent {
            let reserved = *permit.reserved();
            self.charged.add(&reserved, &noted.unwrap_or(reserved));
        }
        if self.rng.bool() {
            let unwound = catch_unwind(AssertUnwindSafe(move || {
                let _held = permit;
                resume_unwind(Box::new("the holder panics"));
            }));
            assert!(unwound.is_err());
        }
    }
}

/// 1,000 calls, each dropped at some point: not polled, waiting, granted but not fetched, held, sent, sent with a note.
async fn storm(seed: u64) {
    let log = Arc::new(Log::default());
    let gate = Gate::builder(plan())
        .recorder(log.clone())
        .queue_limit(100)
        .started_at(SystemTime::UNIX_EPOCH + DAY)
        .build();
    let mut storm = Storm {
        gate: gate.clone(),
        rng: Rng::with_seed(seed),
        live: Vec::new(),
        charged: Charged::default(),
    };
    let mut calls = 0;
    while calls < 1_000 || storm.live.len() > 20 {
        if calls < 1_000 && storm.live.len() < 120 {
            storm.call(calls);
            calls += 1;
        }
        if !storm.live.is_empty() {
            storm.step();
        }
        if storm.rng.u8(..) < 8 {
            sleep(Duration::from_millis(storm.rng.u64(0..10))).await;
        }
    }
    for live in std::mem::take(&mut storm.live) {
        match live {
            Live::Asking(acquire) => drop(acquire),
            Live::Holding(holder) => storm.end(*holder),
        }
    }

    assert_eq!(gate.open_reservations(), 0, "seed {seed}");
    assert_eq!(gate.waiting(), 0, "seed {seed}");
    assert_eq!(Charged::of(&gate), storm.charged, "seed {seed}");
    for (id, events) in &*log.0.lock().unwrap() {
        assert!(
            matches!(events.as_str(), "as" | "r" | "qAs" | "qR" | "qg"),
            "seed {seed}, call {id}: {events}"
        );
    }
    let seen = log.0.lock().unwrap().values().cloned().collect::<Vec<_>>();
    for kind in ["as", "r", "qAs", "qR", "qg"] {
        assert!(seen.iter().any(|s| s == kind), "seed {seed}: no {kind}");
    }
    while Handle::current().metrics().num_alive_tasks() > 0 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn whenever_a_call_is_dropped_its_books_are_right() {
    for seed in 0..20 {
        storm(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_fetches_goes_to_the_next_in_line() {
    let gate = Gate::new(Plan::new([Policy::new("slots", Quota::slots(1).unwrap())]).unwrap());
    let call = Call::new(Labels::new(), Amounts::call(1, 1));
    let holder = gate.try_acquire(&call).unwrap();
    let mut first = Box::pin(gate.acquire(&call));
    let mut context = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    let second = tokio::spawn(gate.acquire(&call));
    yield_now().await;
    drop(holder);
    assert_eq!(gate.open_reservations(), 1, "granted to the first");
    assert_eq!(gate.waiting(), 1);
    drop(first);
    drop(second.await.unwrap().unwrap());
    assert_eq!(gate.open_reservations(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_aborted_on_many_threads_leave_nothing_behind() {
    let gate = Gate::new(Plan::new([Policy::new("slots", Quota::slots(2).unwrap())]).unwrap());
    let seed = 7;
    let mut rng = Rng::with_seed(seed);
    for _ in 0..200 {
        let tasks: Vec<_> = (0..16)
            .map(|i| {
                let gate = gate.clone();
                let model = ["a", "b", "c"][i % 3];
                tokio::spawn(async move {
                    let call = Call::new(Labels::new().with("model", model), Amounts::ZERO);
                    for _ in 0..4 {
                        let permit = gate.acquire(&call).await.unwrap();
                        yield_now().await;
                        permit.release();
                    }
                })
            })
            .collect();
        for task in &tasks {
            if rng.u8(..) < 64 {
                yield_now().await;
            }
            if rng.bool() {
                task.abort();
            }
        }
        for task in tasks {
            // Aborted or done.
            drop(task.await);
        }
        assert_eq!(gate.waiting(), 0, "seed {seed}");
        assert_eq!(gate.open_reservations(), 0, "seed {seed}");
    }
    while Handle::current().metrics().num_alive_tasks() > 0 {
        yield_now().await;
    }
}
