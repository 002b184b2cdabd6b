//! Files that are no journals, and files that cannot be written.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rusqlite::Connection;
use tollgate_journal::{Journal, JournalError, Query, Reader};

use crate::support::*;

/// Why opening a file fails, both for writing and for reading.
#[track_caller]
fn refused(path: &Path, hint: &str) -> JournalError {
    let read = Reader::open(path).unwrap_err();
    let written = Journal::open(path).unwrap_err();
    for error in [&read, &written] {
        let text = error.to_string();
        assert!(text.contains(hint), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert_eq!(error.path(), path);
    }
    written
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let folder = Folder::new();
    let text = "Dear diary, ".repeat(1_000);
    std::fs::write(folder.journal(), &text).unwrap();
    let error = refused(&folder.journal(), "is not a usage journal");
    assert!(error.is_not_a_journal());
    assert_eq!(std::fs::read_to_string(folder.journal()).unwrap(), text);
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let folder = Folder::new();
    let other = Connection::open(folder.journal()).unwrap();
    other.execute_batch("CREATE TABLE call (id)").unwrap();
    drop(other);
    let before = folder.bytes();
    assert!(refused(&folder.journal(), "is not a usage journal").is_not_a_journal());
    assert!(folder.bytes() == before, "the file was changed");
}

#[test]
fn a_journal_of_a_newer_version_is_left_alone() {
    let folder = Folder::new();
    drop(Journal::open(folder.journal()).unwrap());
    let newer = Connection::open(folder.journal()).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    refused(&folder.journal(), "schema 2, this one knows 1");
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let folder = Folder::new();
    let path = folder.journal().join("deeper");
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("its folder must exist"), "{error}");
    assert!(error.contains("deeper"), "{error}");
}

#[test]
fn a_damaged_file_says_what_to_do() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    for i in 0..5_000 {
        End::at(NOON + i * HOUR).record_in(&journal);
    }
    drop(journal);
    // Everything behind the first page, which has the schema's root.
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(folder.journal())
        .unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(4_096)).unwrap();
    let page = vec![0xa5; 4_096];
    for _ in 1..length / 4_096 {
        file.write_all(&page).unwrap();
    }
    drop(file);
    let error = match Journal::open(folder.journal()) {
        Err(error) => error,
        Ok(journal) => journal.reader().unwrap().totals(&Query::new()).unwrap_err(),
    };
    assert!(error.is_damaged(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("move it away") && text.contains(".recover"),
        "{text}"
    );
}

#[test]
fn a_file_cut_short_is_told_from_a_good_one() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    for i in 0..5_000 {
        End::at(NOON + i * HOUR).record_in(&journal);
    }
    drop(journal);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(folder.journal())
        .unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    drop(file);
    let opened =
        Journal::open(folder.journal()).and_then(|journal| journal.reader()?.totals(&Query::new()));
    assert!(opened.unwrap_err().is_damaged());
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_and_tried_again() {
    let folder = Folder::new();
    let journal = Journal::open(folder.journal()).unwrap();
    let breaker = Connection::open(folder.journal()).unwrap();
    breaker
        .execute_batch("ALTER TABLE call RENAME TO mislaid")
        .unwrap();
    for i in 0..10 {
        End::at(NOON + i).record_in(&journal);
    }
    let error = journal.flush().await.unwrap_err().to_string();
    assert!(error.contains("kept in memory and tried again"), "{error}");
    assert_eq!(journal.acknowledged(), 0);
    End::at(NOON).record_in(&journal);
    breaker
        .execute_batch("ALTER TABLE mislaid RENAME TO call")
        .unwrap();
    // The writer may be in the middle of an attempt that fails still.
    while journal.flush().await.is_err() {}
    assert_eq!(journal.acknowledged(), 11);
    assert_eq!(number(&folder, "SELECT count(*) FROM call"), 11);
    assert_eq!(number(&folder, "SELECT sum(calls) FROM day"), 11);
}

#[test]
fn a_file_can_be_made_by_several_at_the_same_time() {
    const AT_ONCE: usize = 4;
    for _ in 0..40 {
        let folder = Folder::new();
        let barrier = std::sync::Barrier::new(AT_ONCE);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    barrier.wait();
                    Journal::open(folder.journal()).unwrap();
                });
            }
        });
    }
}

#[test]
fn two_journals_share_a_file() {
    let folder = Folder::new();
    let path = folder.journal();
    let work = |tenant: &'static str| {
        let path = path.clone();
        move || {
            let journal = Journal::open(path).unwrap();
            for i in 0..500 {
                End::at(NOON + i)
                    .with("tenant", tenant)
                    .with("model", "both")
                    .record_in(&journal);
                if i % 25 == 0 {
                    journal.flush().wait().unwrap();
                }
            }
        }
    };
    let threads = ["a", "b"].map(|tenant| std::thread::spawn(work(tenant)));
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(number(&folder, "SELECT count(*) FROM call"), 1_000);
    assert_eq!(number(&folder, "SELECT sum(calls) FROM quarter"), 1_000);
    assert_eq!(number(&folder, "SELECT count(*) FROM series"), 2);
}
