//! The driver: one task, alive only while calls wait, that wakes at the next admission.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tollgate_limits::{Tick, Wait};

use crate::{
    AcquireError, Store, StoreDecision, StoreError,
    core::{Answer, Driver, Question, Wakes},
    gate::Inner,
    permit::Held,
    queue::{Place, Told},
    sync::{spawn, timeout_at},
};

/// How soon a store is asked again that does not know when a call fits: another process may have settled.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// A store whose clock runs ahead of ours names instants that have passed; it is not asked in a busy loop.
const ASK_NO_SOONER: Duration = Duration::from_millis(1);

/// Starts the driver that [`crate::core::Core::take_charge`] has noted down.
///
/// # Panics
/// Outside a tokio runtime.
pub(crate) fn start(inner: &Arc<Inner>) {
    let guard = Guard {
        inner: inner.clone(),
        signed_off: false,
        asking: None,
    };
    spawn(drive(guard));
}

async fn drive(mut guard: Guard) {
    let inner = guard.inner.clone();
    loop {
        let wake_at = match &inner.store {
            None => pump_local(&inner),
            Some(store) => pump_store(&mut guard, store.as_ref()).await,
        };
        let Some(wake_at) = wake_at else {
            guard.signed_off = true;
            return;
        };
        sleep(&inner, wake_at).await;
    }
}

/// Sleeps until `wake_at`, or until told that there is something to do sooner.
async fn sleep(inner: &Inner, wake_at: Option<Tick>) {
    // What was told since the core was unlocked is not lost: `notify_one` keeps it for the next who listens.
    let told = inner.rearm.notified();
    match wake_at.and_then(|tick| inner.clock.instant(tick)) {
        // Either way the queue is looked at again.
        Some(instant) => drop(timeout_at(instant, told).await),
        None => told.await,
    }
}

/// Admits who fits. `None`: nobody waits any more, and the driver has signed off.
fn pump_local(inner: &Inner) -> Option<Option<Tick>> {
    let mut wakes = Wakes::default();
    let next = {
        let mut core = inner.lock();
        core.pump(inner.clock.now(), &mut wakes);
        core.sleep()
    };
    wakes.driver = false;
    inner.wake(wakes);
    next
}

/// Asks the store for the first call of each lane, in order, until it has told all of them to wait.
async fn pump_store(guard: &mut Guard, store: &dyn Store) -> Option<Option<Tick>> {
    let inner = guard.inner.clone();
    let mut after = None;
    loop {
        let mut wakes = Wakes::default();
        let now = inner.clock.now();
        let (next, settlements) = {
            let mut core = inner.lock();
            core.refuse_late(now, &mut wakes);
            // Each round goes through all lanes, however often something is settled meanwhile.
            let next = core
                .next_to_ask(now, after)
                .or_else(|| core.next_to_ask(now, None));
            core.next_question = None;
            let next = next.ok_or_else(|| {
                core.next_question = core.ask_again_at();
                core.sleep()
            });
            (next, core.settlements)
        };
        inner.wake(wakes);
        let question = match next {
            Ok(question) => question,
            Err(wake_at) => return wake_at,
        };
        let place = question.place;
        after = Some(question.head);
        guard.asking = Some(place);
        let decision = ask(&inner, store, now, &question).await;
        guard.asking = None;
        match decision {
            Ok(StoreDecision::Granted(id)) => hand_over(&inner, place, Ok(Held::Stored(id))),
            Ok(StoreDecision::Wait(wait)) => tell(&inner, place, wait, settlements),
            Ok(StoreDecision::Spent(wait)) => {
                hand_over(&inner, place, Err(Box::new(AcquireError::spent(wait, now))));
            }
            Ok(StoreDecision::NeverFits(binding)) => {
                let error = AcquireError::never_fits(binding, now);
                hand_over(&inner, place, Err(Box::new(error)));
            }
            Err(error) => {
                let error = AcquireError::store(error, now);
                hand_over(&inner, place, Err(Box::new(error)));
            }
        }
    }
}

/// The store's answer. However long it takes, calls are refused when their deadlines pass.
async fn ask(
    inner: &Inner,
    store: &dyn Store,
    now: Tick,
    question: &Question,
) -> Result<StoreDecision, StoreError> {
    let mut asking = store.reserve(now, &question.labels, &question.amounts);
    loop {
        let deadline = {
            let mut core = inner.lock();
            let deadline = core.queue.first_deadline().map(|(deadline, _)| deadline);
            core.driver = Driver::Until(deadline);
            deadline
        };
        let mut asleep = pin!(sleep(inner, deadline));
        let decision = poll_fn(|cx| match asking.as_mut().poll(cx) {
            Poll::Ready(decision) => Poll::Ready(Some(decision)),
            Poll::Pending => asleep.as_mut().poll(cx).map(|()| None),
        })
        .await;
        if let Some(decision) = decision {
            return decision;
        }
        let mut wakes = Wakes::default();
        inner.lock().refuse_late(inner.clock.now(), &mut wakes);
        inner.wake(wakes);
    }
}

/// Notes what the store said of a call, and refuses the call if that is too late for it.
fn tell(inner: &Inner, place: Place, wait: Wait, settlements: u64) {
    let now = inner.clock.now();
    let waker = {
        let mut core = inner.lock();
        let Some(waiter) = core.queue.get_mut(place) else {
            return;
        };
        if wait.until.is_some_and(|until| until > waiter.deadline) {
            let longest = waiter.longest_wait(inner.longest_wait);
            let error = AcquireError::late(Some(wait), longest, now);
            core.answer(now, place, Err(Box::new(error)))
        } else {
            let again = wait.until.unwrap_or_else(|| now.plus(ASK_AGAIN));
            waiter.tell(Told {
                wait,
                again: again.max(now.plus(ASK_NO_SOONER)),
                settlements,
            });
            None
        }
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Gives a waiting call its answer, or gives back what was granted to a call that has left meanwhile.
fn hand_over(inner: &Arc<Inner>, place: Place, answer: Answer) {
    let now = inner.clock.now();
    let (waker, unwanted) = {
        let mut core = inner.lock();
        if core.queue.get(place).is_some() {
            (core.answer(now, place, answer), None)
        } else {
            (None, answer.ok())
        }
    };
    if let Some(granted) = unwanted {
        inner.gate().give_back(granted, None);
    }
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Signs the driver off if its task is dropped, as when its runtime shuts down while calls wait on another one; they are woken to
/// start a new driver there.
struct Guard {
    inner: Arc<Inner>,
    /// From then on another driver may be on duty.
    signed_off: bool,
    /// The call that the store is being asked for.
    asking: Option<Place>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.signed_off {
            return;
        }
        // A store that panics must not be asked the same again by the next driver, for ever.
        if std::thread::panicking()
            && let Some(place) = self.asking
        {
            let error = StoreError::new("it panicked");
            let error = AcquireError::store(error, self.inner.clock.now());
            hand_over(&self.inner, place, Err(Box::new(error)));
        }
        let wakers = {
            let mut core = self.inner.lock();
            core.driver = Driver::None;
            core.queue.wakers()
        };
        for waker in wakers {
            waker.wake();
        }
    }
}
