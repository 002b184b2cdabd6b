//! What is in a record, when it is durable, and what never gets into the file.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value;
use tollgate_gate::{Amounts, Call, Event, Finished, Gate, Labels, Plan, Policy, Quota, Unit};
use tollgate_journal::{Journal, JournalOptions};

use crate::support::*;

#[test]
fn a_record_has_every_number_of_its_call() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    let mut end = End::at(NOON)
        .with("team", "blue")
        .with("tenant", "search")
        .with("session", "s-1")
        .with("provider", "meta")
        .with("model", "llama-3")
        .with("operation", "chat");
    end.used = Amounts::call(100, 20)
        .cache_read(30)
        .output_cap(60)
        .output_weight(5_000)
        .failed()
        .with(Unit::Cost, 1_000);
    end.record_in(&journal);
    journal.flush().wait().unwrap();

    let connection = Connection::open(folder.journal()).unwrap();
    let row: Vec<Value> = connection
        .query_row(
            "SELECT team, tenant, provider, model, operation, labels, call.* FROM call JOIN lane ON lane.id = lane JOIN series ON \
             series.id = series",
            [],
            |row| (0..35).map(|i| row.get(i)).collect(),
        )
        .unwrap();
    let text = |text: &str| Value::Text(text.into());
    let mut expected: Vec<Value> = ["blue", "search", "meta", "llama-3", "chat", "{}"]
        .map(text)
        .into();
    expected.extend([1, NOON, 1].map(Value::Integer));
    expected.extend([text("s-1"), text("ok")]);
    expected.extend([200, 2, 250, 1_500_000].map(Value::Integer));
    expected.push(text("reported"));
    expected.extend([100, 20, 30, 10, 5, 1_000].map(Value::Integer));
    expected.extend([120, 200, 320, 3_000].map(Value::Integer));
    expected.extend([1, 1, 100, 30, 60, 40, 80, 160, 1_000].map(Value::Integer));
    assert_eq!(row, expected);
}

#[test]
fn what_is_not_known_is_null_and_not_zero() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    let end = End {
        tokens: None,
        cost: None,
        error: Some("canceled"),
        ..End::at(NOON)
    };
    end.record_in(&journal);
    journal.flush().wait().unwrap();
    let unknown = "SELECT count(*) FROM call WHERE input IS NULL AND output IS NULL AND cache_read IS NULL AND cost IS NULL AND \
                   session IS NULL AND outcome = 'canceled'";
    assert_eq!(number(&folder, unknown), 1);
}

#[test]
fn a_call_that_was_never_sent_has_no_record() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    let gate = Gate::builder(Plan::default())
        .recorder(Arc::new(journal.clone()))
        .build();
    let labels = Labels::new();
    gate.record(&Event::Finished(&Finished {
        labels: &labels,
        response_model: None,
        finish_reason: None,
        tokens: None,
        cost: None,
        duration: std::time::Duration::ZERO,
        attempts: 0,
        status: None,
        error: Some("queue_full"),
        at: gate.now(),
        waited: std::time::Duration::ZERO,
        settled: None,
    }));
    drop(gate.try_acquire(&Call::new(labels.clone(), Amounts::call(1, 1))));
    journal.flush().wait().unwrap();
    assert_eq!((journal.recorded(), journal.acknowledged()), (0, 0));
    assert_eq!(number(&folder, "SELECT count(*) FROM call"), 0);
}

#[tokio::test]
async fn a_flush_resolves_once_everything_before_it_is_durable() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    for i in 0..1_000 {
        End::at(NOON + i).record_in(&journal);
    }
    let flush = journal.flush();
    End::at(NOON).record_in(&journal);
    flush.await.unwrap();
    assert!(journal.acknowledged() >= 1_000);
    assert!(number(&folder, "SELECT count(*) FROM call") >= 1_000);
    journal.flush().await.unwrap();
    assert_eq!((journal.recorded(), journal.acknowledged()), (1_001, 1_001));
}

#[test]
fn a_record_is_acknowledged_without_a_flush() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    End::at(NOON).record_in(&journal);
    // The test runner's own limit ends this if it never happens.
    while journal.acknowledged() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(number(&folder, "SELECT count(*) FROM call"), 1);
}

#[test]
fn dropping_the_last_handle_writes_what_is_left() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    let clone = journal.clone();
    drop(journal);
    for i in 0..100 {
        End::at(NOON + i).record_in(&clone);
    }
    drop(clone);
    assert_eq!(number(&folder, "SELECT count(*) FROM call"), 100);
}

#[test]
fn of_labels_only_the_usual_ones_and_those_of_policies_get_into_the_file() {
    let folder = Folder::new();
    let quota = Quota::slots(1).unwrap();
    let plan = Plan::new([Policy::new("slots", quota)
        .only("profile", ["meta-llama"])
        .per("user")])
    .unwrap();
    let options = JournalOptions::new().labels_of(&plan);
    let journal = Journal::open_with(folder.journal(), options).unwrap();
    let mut end = End::at(NOON)
        .with("profile", "meta-llama")
        .with("user", "ann")
        .with("tenant", "search");
    for label in ["key", "authorization", "prompt", "url", "server", "org"] {
        end = end.with(label, "sk-secret-0123456789");
    }
    end.record_in(&journal);
    drop(journal);
    let bytes = folder.bytes();
    let holds = |text: &str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
    assert!(!holds("sk-secret"), "a secret is in the file");
    assert!(holds(r#"{"profile":"meta-llama","user":"ann"}"#) && holds("search"));
}

#[test]
fn where_no_place_is_left_calls_are_in_the_sums_alone() {
    let folder = Folder::new();
    let options = JournalOptions::new().queue_limit(0);
    let journal = Journal::open_with(folder.journal(), options).unwrap();
    for i in 0..500 {
        End::at(NOON + i * HOUR / 100)
            .with("model", if i % 2 == 0 { "a" } else { "b" })
            .costing(7)
            .record_in(&journal);
    }
    journal.flush().wait().unwrap();
    assert_eq!((journal.folded(), journal.acknowledged()), (500, 500));
    assert_eq!(number(&folder, "SELECT count(*) FROM call"), 0);
    for table in ["quarter", "day"] {
        let sum = |what| number(&folder, &format!("SELECT sum({what}) FROM {table}"));
        assert_eq!((sum("calls"), sum("cost")), (500, 3_500));
    }
    assert_eq!(
        number(&folder, "SELECT sum(charged_cost) FROM quarter"),
        3_500
    );
}
