//! `Journal`: the handle that programs hold; a recorder that keeps every settled call.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use tollgate_gate::{Event, Gate, Plan, Recorder, Tick};

use crate::{
    JournalError, Reader,
    error::Kind,
    file::File,
    queue::{Queue, Wish},
    record::Record,
};

/// A usage journal: one row per settled call in an SQLite file, and sums of them.
///
/// It is a [`Recorder`]: give a clone of it to the gate, or to `tollgate::Builder::journal`, which also restores what has been spent.
/// Recording never waits for the disk; one thread writes what has gathered in a transaction, at most 50 ms later. A record is
/// *acknowledged* once its transaction is on the disk, and then outlives a crash of the program and of the machine. Clones share one
/// file and one thread; dropping the last one writes what is left, and blocks until that is done.
///
/// Calls that were never sent, because the gate refused them or the caller gave up, are not in it. Calls in flight when the program
/// is killed are not either.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Arc<Queue>,
    path: Arc<Path>,
    writer: Option<JoinHandle<()>>,
}

/// Settings of a journal that have defaults.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    named: Vec<Arc<str>>,
    queue_limit: usize,
}

impl JournalOptions {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            named: Vec::new(),
            queue_limit: 65_536,
        }
    }

    /// Keeps the labels that the policies of `plan` name, so that what calls spent can be restored to the right policies and
    /// partitions. Of other labels only `team`, `tenant`, `session`, `provider`, `model` and `operation` are kept.
    ///
    /// A budget per session or user makes a row of sums for each of them and each quarter of an hour in which they call.
    #[must_use]
    pub fn labels_of(mut self, plan: &Plan) -> Self {
        for policy in plan.policies() {
            self.named.extend(policy.labels().map(Arc::from));
        }
        self.named.sort();
        self.named.dedup();
        self
    }

    /// The most records that wait for the disk, of about 500 bytes each. A call that finds no place is added to the sums, so that
    /// totals and budgets stay exact, but has no row of its own ([`Journal::folded`]). 0 keeps sums only. Default: 65,536.
    #[must_use]
    pub const fn queue_limit(mut self, records: usize) -> Self {
        self.queue_limit = records;
        self
    }
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal {
    /// Opens the journal in a file, or begins one. Several programs may share a file on a local disk; each then learns what the
    /// others have spent when it starts, not while it runs.
    ///
    /// # Errors
    /// If the file cannot be opened, is no journal, is damaged, or was written by a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Self::open_with(path, JournalOptions::new())
    }

    /// As [`Journal::open`], with other settings.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(
        path: impl AsRef<Path>,
        options: JournalOptions,
    ) -> Result<Self, JournalError> {
        let JournalOptions { named, queue_limit } = options;
        let file = File::open(path.as_ref(), named.clone())?;
        let path = file.path().clone();
        let queue = Arc::new(Queue::new(queue_limit, named));
        let writer = thread::Builder::new()
            .name("tollgate-journal".into())
            .spawn({
                let queue = queue.clone();
                move || write(file, &queue)
            })
            .map_err(|error| {
                let message = error.to_string();
                JournalError::new(&path, Kind::Thread { message })
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                queue,
                path,
                writer: Some(writer),
            }),
        })
    }

    /// Books what the journal says has been spent into the policies of `gate`, made from `plan`, so that a restart hands out no fresh
    /// budget. To be called once, before the first call.
    ///
    /// A call counts when it ended. Windows that begin at a quarter of an hour, in any time zone, are restored to the unit; so are
    /// others, from the rows of single calls, as far as they reach back no more than a day. Older spending is booked at the end of
    /// its quarter of an hour, which is against the caller. A gate with a store remembers by itself, and nothing is booked.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn restore(&self, gate: &Gate, plan: &Plan) -> Result<(), JournalError> {
        let now = gate.now();
        self.reader()?.spent(plan, now, |spent| {
            gate.book(&spent.labels, &spent.used, spent.at);
        })
    }

    /// Makes everything durable that has been recorded before. To be awaited, or waited for with [`Flush::wait`].
    pub fn flush(&self) -> Flush {
        Flush {
            wish: self.inner.queue.wish(),
            inner: self.inner.clone(),
        }
    }

    /// Calls recorded since the journal was opened.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.inner.queue.handed()
    }

    /// How many of them are durable: the first so many, in the order in which they were recorded.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.inner.queue.durable()
    }

    /// How many of them found no place in the queue, and are in the sums without a row of their own.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.inner.queue.folded()
    }

    /// Deletes the rows of calls that ended before `at`, taken to the beginning of its quarter of an hour; their sums stay for ever.
    /// Returns how many there were. Blocks; the file does not shrink, but the room is used again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn prune_before(&self, at: Tick) -> Result<usize, JournalError> {
        File::open(&self.inner.path, Vec::new())?.prune(crate::record::millis(at))
    }

    /// Reads the file, beside the thread that writes it. What is not acknowledged yet is not seen.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn reader(&self) -> Result<Reader, JournalError> {
        Reader::open(&self.inner.path)
    }
}

impl Recorder for Journal {
    fn record(&self, event: &Event<'_>) {
        if let Event::Finished(finished) = event
            && let Some(record) = Record::of(finished)
        {
            self.inner.queue.push(record);
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take()
            // A task that holds the last handle may be dropped by the writer when it wakes it.
            && writer.thread().id() != thread::current().id()
        {
            drop(writer.join());
        }
    }
}

/// Resolves once everything recorded before [`Journal::flush`] is durable. Cancel-safe; nothing is lost by dropping it.
#[must_use = "nothing is known to be durable before this has resolved"]
pub struct Flush {
    inner: Arc<Inner>,
    wish: Wish,
}

impl Flush {
    /// Blocks the thread until then.
    ///
    /// # Errors
    /// As when awaited.
    pub fn wait(self) -> Result<(), JournalError> {
        let waited = self.inner.queue.wait(self.wish);
        waited.map_err(|error| self.inner.gone(error))
    }
}

impl Future for Flush {
    /// An error says that the file could not be written this time; the records are kept and tried again.
    type Output = Result<(), JournalError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.inner.queue.poll(self.wish, cx.waker());
        answer.map(|done| done.map_err(|error| self.inner.gone(error)))
    }
}

impl fmt::Debug for Flush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flush")
            .field("wish", &self.wish)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn gone(&self, error: Option<JournalError>) -> JournalError {
        error.unwrap_or_else(|| JournalError::new(&self.path, Kind::Gone))
    }
}

/// What the thread does.
fn write(mut file: File, queue: &Queue) {
    let ended = Ended(queue);
    while let Some(batch) = queue.next() {
        loop {
            match file.write(&batch) {
                Ok(()) => break queue.written(batch.upto),
                Err(error) if queue.failed(&error) => {}
                Err(error) => {
                    let calls = batch.records.len();
                    tracing::error!(target: "tollgate", %error, calls, "the usage journal was closed without them");
                    break;
                }
            }
        }
    }
    drop(ended);
}

/// Says that the writer is gone, however it goes.
struct Ended<'a>(&'a Queue);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
