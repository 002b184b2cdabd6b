//! Models of what is in `sync.rs`, for shuttle: every lock and every wake-up is a place where the schedule may switch. Time stands
//! still until [`elapse`] lets it pass.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::PoisonError;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use shuttle::sync::MutexGuard;

thread_local! {
    // Shuttle runs all threads of a schedule on one thread of the system.
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static TIMERS: RefCell<BTreeMap<(Duration, u64), Waker>> = const { RefCell::new(BTreeMap::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
    static START: Instant = crate::clock::read();
}

/// Begins a schedule: no time has passed and nobody sleeps.
pub fn start() {
    PASSED.set(Duration::ZERO);
    TIMERS.take();
}

/// Lets time pass until the first of those who sleep wakes; a millisecond if nobody sleeps.
pub fn elapse() {
    let first = TIMERS.with_borrow_mut(|timers| timers.pop_first());
    match first {
        Some(((at, _), waker)) => {
            PASSED.set(PASSED.get().max(at));
            waker.wake();
        }
        None => PASSED.set(PASSED.get() + Duration::from_millis(1)),
    }
}

pub(crate) fn now() -> Instant {
    START.with(|start| *start + PASSED.get())
}

/// A lock that is not poisoned, as parking_lot's.
#[derive(Debug)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An alarm for one listener, which keeps one call that came while nobody listened.
pub(crate) struct Notify(Mutex<(bool, Option<Waker>)>);

impl Notify {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new((false, None)))
    }

    pub(crate) fn notify_one(&self) {
        let listener = {
            let mut state = self.0.lock();
            state.0 = true;
            state.1.take()
        };
        if let Some(listener) = listener {
            listener.wake();
        }
    }

    pub(crate) async fn notified(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock();
            if std::mem::take(&mut state.0) {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").finish_non_exhaustive()
    }
}

/// A task that must end by itself: its handle is kept, because shuttle takes no offence at a detached task that never ends.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    std::mem::forget(shuttle::future::spawn(task));
}

/// What `future` says, or an error from `deadline` on.
pub(crate) async fn timeout_at<T>(
    deadline: Instant,
    future: impl Future<Output = T>,
) -> Result<T, ()> {
    let at = START.with(|start| deadline.saturating_duration_since(*start));
    let number = NEXT.replace(NEXT.get() + 1);
    let mut future = pin!(future);
    let result = poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        if PASSED.get() >= at {
            return Poll::Ready(Err(()));
        }
        TIMERS.with_borrow_mut(|timers| timers.insert((at, number), cx.waker().clone()));
        Poll::Pending
    })
    .await;
    TIMERS.with_borrow_mut(|timers| timers.remove(&(at, number)));
    result
}
