//! `Queue`: what the callers hand over to the writer, and who waits until it is durable.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::{JournalError, lane::LaneKey, record::Record, rollup::Rollup};

/// Records on their way from the callers to the one writer.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes those who block in a flush.
    done: Condvar,
    limit: usize,
    named: Vec<Arc<str>>,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    handed: u64,
    durable: u64,
    folded: u64,
    /// Somebody waits until so many are durable.
    wanted: u64,
    /// Times that somebody asked.
    asked: u64,
    closing: bool,
    ended: bool,
    /// Batches that could not be written, and why the last one could not.
    failures: u64,
    failure: Option<JournalError>,
    wakers: Vec<Waker>,
}

/// What is written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    /// Calls whose records found no place: their sums.
    pub(crate) folded: Rollup,
    /// When the latest of those ended.
    pub(crate) folded_until: Option<i64>,
    /// With it, so many are durable.
    pub(crate) upto: u64,
}

/// Since when somebody waits, and for how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    target: u64,
    failures: u64,
}

/// A batch is written once it has so many records, or once its first has waited so long.
const FULL: usize = 256;
const LINGER: Duration = Duration::from_millis(50);

/// How long after a failure the writer tries again.
const RETRY: Duration = Duration::from_secs(1);

impl Queue {
    pub(crate) fn new(limit: usize, named: Vec<Arc<str>>) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            limit,
            named,
        }
    }

    /// Takes a record over. Never waits for the file: where there is no place for it, its numbers go into the sums.
    pub(crate) fn push(&self, record: Record) {
        if self.place(record) {
            tracing::warn!(
                target: "tollgate",
                "the usage journal cannot keep up: calls are added to its sums without a record of their own"
            );
        }
    }

    /// Finds a place for a record. Returns whether it is the first that found none.
    fn place(&self, record: Record) -> bool {
        let mut state = self.lock();
        state.handed += 1;
        let batch = &mut state.batch;
        if batch.records.len() < self.limit {
            batch.records.push(record);
            let waiting = batch.records.len();
            if waiting == 1 || waiting == FULL {
                self.work.notify_one();
            }
            return false;
        }
        let key = LaneKey::of(&record.labels, &self.named);
        batch.folded.add(&record, key);
        batch.folded_until = batch.folded_until.max(Some(record.at_ms));
        state.folded += 1;
        self.work.notify_one();
        state.folded == 1
    }

    /// What is to be written next; `None` once nothing is left and nobody holds the journal any more.
    pub(crate) fn next(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.batch.is_empty() {
                if state.closing {
                    return None;
                }
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let in_a_hurry = state.closing || state.wanted > state.durable;
            if !in_a_hurry && state.batch.records.len() < FULL {
                let (woken, waited) = self
                    .work
                    .wait_timeout(state, LINGER)
                    .unwrap_or_else(PoisonError::into_inner);
                state = woken;
                if !waited.timed_out() {
                    continue;
                }
            }
            let handed = state.handed;
            let mut batch = std::mem::take(&mut state.batch);
            batch.upto = handed;
            return Some(batch);
        }
    }

    /// Says that everything up to `upto` is durable.
    pub(crate) fn written(&self, upto: u64) {
        let wakers = {
            let mut state = self.lock();
            state.durable = upto;
            state.failure = None;
            std::mem::take(&mut state.wakers)
        };
        self.done.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Says that a batch could not be written, and waits until it is worth trying again. Returns whether it is: not when the journal
    /// is being closed.
    pub(crate) fn failed(&self, error: &JournalError) -> bool {
        let (first, wakers, asked) = {
            let mut state = self.lock();
            state.failures += 1;
            let first = state.failure.replace(error.clone()).is_none();
            (first, std::mem::take(&mut state.wakers), state.asked)
        };
        if first {
            tracing::error!(target: "tollgate", %error, "the usage journal is not written");
        }
        self.done.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        let state = self.lock();
        let (state, _) = self
            .work
            .wait_timeout_while(state, RETRY, |state| !state.closing && state.asked == asked)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closing
    }

    /// Asks the writer to end when it has written everything.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_one();
    }

    /// Says that the writer is gone.
    pub(crate) fn end(&self) {
        let wakers = {
            let mut state = self.lock();
            state.ended = true;
            std::mem::take(&mut state.wakers)
        };
        self.done.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Asks that everything handed over so far becomes durable at once.
    pub(crate) fn wish(&self) -> Wish {
        let mut state = self.lock();
        state.asked += 1;
        state.wanted = state.handed;
        self.work.notify_one();
        Wish {
            target: state.handed,
            failures: state.failures,
        }
    }

    /// Whether a wish has come true, or why it has not.
    pub(crate) fn poll(&self, wish: Wish, waker: &Waker) -> Poll<Result<(), Option<JournalError>>> {
        let mut state = self.lock();
        match state.answer(wish) {
            Some(answer) => Poll::Ready(answer),
            None => {
                if !state.wakers.iter().any(|known| known.will_wake(waker)) {
                    state.wakers.push(waker.clone());
                }
                Poll::Pending
            }
        }
    }

    /// Blocks until a wish has come true, or cannot.
    pub(crate) fn wait(&self, wish: Wish) -> Result<(), Option<JournalError>> {
        let mut state = self.lock();
        loop {
            if let Some(answer) = state.answer(wish) {
                return answer;
            }
            state = self
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn handed(&self) -> u64 {
        self.lock().handed
    }

    pub(crate) fn durable(&self) -> u64 {
        self.lock().durable
    }

    pub(crate) fn folded(&self) -> u64 {
        self.lock().folded
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is left consistent at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answer(&self, wish: Wish) -> Option<Result<(), Option<JournalError>>> {
        if self.durable >= wish.target {
            return Some(Ok(()));
        }
        if self.failures > wish.failures {
            return Some(Err(self.failure.clone()));
        }
        self.ended.then_some(Err(None))
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.folded.is_empty()
    }
}
