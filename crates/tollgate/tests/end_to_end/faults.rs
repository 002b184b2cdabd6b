//! What must hold when things go wrong: nothing stays reserved, and the ledger stays in step with the provider's books.

mod broken;
mod dropped;
mod foreign;
mod outlived;
mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use tollgate::Tollgate;
use tollgate::gate::{Source, Unit};
use tollgate_sim::{Books, CallRecord, Model, Server};

use crate::support::{Client, Log, What, Wire, all_at_once, books_when, one_window};

/// A provider that serves each of these models by name, all of them under the same quotas: so its books tell the calls apart.
fn one_model_per_call(
    builder: tollgate_sim::Builder,
    names: impl Iterator<Item = String>,
) -> tollgate_sim::Builder {
    names.fold(builder, |builder, name| {
        builder.model(Model::new(&name, 1_000_000, 100_000).pool("shared"))
    })
}

/// The provider's books, and its record of each model's only call, once nothing runs there and nothing more comes. A request whose
/// caller is gone may still be on its way.
async fn records(server: &Server) -> (Books, BTreeMap<String, CallRecord>) {
    let mut books = server.books();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = server.books();
        if now.in_flight == 0 && now == books {
            let records = server.calls().into_iter();
            let records = records.map(|call| (call.model.clone(), call)).collect();
            return (books, records);
        }
        books = now;
    }
    panic!("the provider never came to rest: {books:?}");
}

/// The settlement of a model's only call: what was reserved and used in all, and where that comes from. Panics if a call that was
/// admitted was not settled exactly once, or one that was not admitted was.
#[track_caller]
fn settlement(log: &Log, model: &str) -> Option<(u64, u64, Source)> {
    let events = log.of(model);
    let admitted = events.iter().filter(|what| what.is_admitted()).count();
    let settled: Vec<_> = events.iter().filter(|what| what.is_settled()).collect();
    assert!(
        admitted <= 1 && settled.len() == admitted,
        "{model}: {events:?}"
    );
    match settled.first() {
        Some(What::Settled {
            reserved,
            used,
            source,
        }) => {
            assert_eq!(used.get(Unit::Requests), 1, "{model}: {events:?}");
            let total = |amounts: &tollgate::gate::Amounts| amounts.get(Unit::TotalTokens);
            Some((total(reserved), total(used), *source))
        }
        _ => None,
    }
}

/// One window later, calls for more than a window are never refused: the ledger is in step with the provider's books.
async fn in_step(server: &Server, tollgate: &Tollgate, log: &Log, calls: u64) {
    one_window().await;
    assert_eq!(tollgate.gate().open_reservations(), 0);
    let before = books_when(server, |books| books.in_flight == 0).await;
    let wires = (0..calls).map(|_| Wire::llama(server, "fresh", &"Toll! ".repeat(300), 300, false));
    let answers = all_at_once(&Client::both(tollgate), wires).await;
    for answer in answers {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.report.attempts()), (200, 1));
    }
    let after = server.books();
    assert_eq!(after.throttled, before.throttled, "{after:?}");
    assert_eq!(after.admitted - before.admitted, calls);
    assert!(
        log.has("fresh", |what| matches!(what, What::Queued(_))),
        "the quotas did not bind"
    );
    assert_eq!(tollgate.gate().open_reservations(), 0);
}
