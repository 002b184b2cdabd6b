//! Refusals by the provider: they pause, and what the ledger did not foresee it learns, and eases again, and says so.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate_gate::{
    Amounts, Call, Event, Gate, Labels, Plan, Policy, Quota, Recorder, Source, Unit,
};

#[derive(Debug, Default)]
struct Lessons(Mutex<Vec<(String, u64)>>, Mutex<Vec<Option<u64>>>);

impl Recorder for Lessons {
    fn record(&self, event: &Event<'_>) {
        if let Event::Learned { learned, .. } = event {
            let lesson = (learned.policy.to_string(), learned.pace);
            self.0.lock().unwrap().push(lesson);
        }
        if let Event::Eased { eased, .. } = event {
            self.1.lock().unwrap().push(eased.pace);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unforeseen_refusal_spaces_the_calls_that_wait_and_is_told_once() {
    let quota = Quota::sliding(Unit::Requests, 61, Duration::from_secs(60)).unwrap();
    let plan = Plan::new([Policy::new("rpm", quota)]).unwrap();
    let lessons = Arc::new(Lessons::default());
    let gate = Gate::builder(plan).recorder(lessons.clone()).build();
    let call = Call::new(Labels::new(), Amounts::call(0, 0));
    let mut refused = Vec::new();
    for _ in 0..3 {
        let mut permit = gate.acquire(&call).await.unwrap();
        permit.mark_sent();
        refused.push(permit);
    }
    let began = gate.now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for permit in refused {
        permit.throttled(Some(Unit::Requests), Duration::from_secs(4));
        permit.settle(&Amounts::call(0, 0), Source::Rejected);
    }
    assert_eq!(*lessons.0.lock().unwrap(), [("rpm".to_owned(), 60)]);
    let mut admitted = Vec::new();
    for _ in 0..3 {
        let permit = gate.acquire(&call).await.unwrap();
        admitted.push(gate.now().since(began).as_millis());
        permit.settle(&Amounts::call(0, 0), Source::Reported);
    }
    assert_eq!(admitted, [5_000, 6_000, 7_000]);
    // An idle while later it is still so.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let _first = gate.acquire(&call).await.unwrap();
    let later = gate.now();
    let _second = gate.acquire(&call).await.unwrap();
    assert_eq!(gate.now().since(later).as_millis(), 1_000);
    assert_eq!(gate.snapshot()[0].pace, Some(60));
    // Whoever uses it has the full pace back within fourteen windows.
    assert!(lessons.1.lock().unwrap().is_empty());
    for _ in 0..14 * 60 {
        let permit = gate.acquire(&call).await.unwrap();
        permit.settle(&Amounts::call(0, 0), Source::Reported);
    }
    let steps = lessons.1.lock().unwrap().clone();
    assert_eq!(steps, [Some(60), Some(60), Some(60), None]);
    assert_eq!(gate.snapshot()[0].pace, None);
}
