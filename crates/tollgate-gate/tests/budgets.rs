//! Budgets at the gate: spent means refused, and an earlier run's usage counts.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tollgate_gate::{
    Amounts, Anchor, Booking, Calendar, Call, Check, Gate, Labels, Plan, Policy, Quota, Refusal,
    Source, Tick, Unit,
};

const DAY: Duration = Duration::from_secs(86_400);
const DOLLAR: u64 = 1_000_000_000;

fn labels() -> Arc<Labels> {
    Arc::new(Labels::new().with("session", "s-1"))
}

fn call(dollars: u64) -> Call {
    Call::new(
        labels(),
        Amounts::call(0, 0).with(Unit::Cost, dollars * DOLLAR),
    )
}

/// Ten dollars a day, at noon.
fn gate(anchor: Anchor) -> Gate {
    let quota = Quota::window(Unit::Cost, 10 * DOLLAR, DAY, anchor).unwrap();
    let policy = Policy::new("budget", quota)
        .booking(Booking::Completion)
        .refusing()
        .margin(Duration::ZERO)
        .unwrap();
    Gate::builder(Plan::new([policy]).unwrap())
        .started_at(UNIX_EPOCH + DAY * 20_000 + DAY / 2)
        .build()
}

fn midnight() -> Anchor {
    Anchor::Aligned {
        offset: Duration::ZERO,
    }
}

async fn spend(gate: &Gate, reserved: u64, used: u64) {
    let mut permit = gate.acquire(&call(reserved)).await.unwrap();
    permit.mark_sent();
    let used = Amounts::call(0, 0).with(Unit::Cost, used * DOLLAR);
    permit.settle(&used, Source::Reported);
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_is_a_refusal_with_numbers() {
    let gate = gate(midnight());
    spend(&gate, 9, 11).await;
    let error = gate.acquire(&call(1)).await.unwrap_err();
    assert_eq!((error.refusal(), error.is_spent()), (Refusal::Spent, true));
    assert_eq!(
        error.to_string(),
        "budget `budget` is spent: $11.00 of $10.00, and the call is expected to take $1.00; it starts again in 43200s"
    );
    assert!(matches!(gate.check(&call(1)), Check::Spent(_)));
    let error = gate.try_acquire(&call(1)).unwrap_err();
    assert!(error.is_spent());
    assert_eq!(error.retry_at(), Some(Tick::after_origin(DAY * 20_001)));
}

#[tokio::test(start_paused = true)]
async fn a_budget_without_end_says_so() {
    let forever = Calendar::new([Tick::ZERO, Tick::MAX]).unwrap();
    let gate = gate(Anchor::Calendar(forever));
    spend(&gate, 9, 10).await;
    let error = gate.acquire(&call(1)).await.unwrap_err();
    assert_eq!(error.retry_at(), None);
    assert!(
        error
            .to_string()
            .ends_with("never starts again, so raise it or drop it"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_those_in_flight_and_is_refused_once_they_have_spent_it() {
    let gate = gate(midnight());
    let mut first = gate.acquire(&call(9)).await.unwrap();
    first.mark_sent();
    let (cheap, dear) = (gate.acquire(&call(2)), gate.acquire(&call(8)));
    let settle = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let used = Amounts::call(0, 0).with(Unit::Cost, 4 * DOLLAR);
        first.settle(&used, Source::Reported);
    };
    let (cheap, dear, ()) = tokio::join!(cheap, dear, settle);
    assert!(cheap.is_ok());
    let error = dear.unwrap_err();
    assert!(error.is_spent(), "{error}");
    assert_eq!(gate.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_used_today_is_counted_and_yesterday_is_not() {
    let gate = gate(midnight());
    let used = |dollars: u64| Amounts::call(0, 0).with(Unit::Cost, dollars * DOLLAR);
    let hours_ago =
        |hours: u64| Tick::from_nanos(gate.now().as_nanos() - hours * 3_600 * 1_000_000_000);
    gate.book(&labels(), &used(7), hours_ago(13));
    gate.book(&labels(), &used(6), hours_ago(11));
    gate.book(&labels(), &used(3), hours_ago(1));
    assert_eq!(gate.snapshot()[0].used, 9 * DOLLAR);
    assert!(gate.acquire(&call(2)).await.unwrap_err().is_spent());
    assert!(gate.acquire(&call(1)).await.is_ok());
}
