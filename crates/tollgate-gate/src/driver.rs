//! The driver: one task, alive only while calls wait, that wakes at the next admission.

use std::sync::Arc;

use tollgate_limits::Tick;

use crate::{
    AcquireError, Store, StoreDecision, Ticket,
    core::{Driver, Wakes},
    gate::Inner,
    permit::Held,
};

/// Starts the driver if somebody waits and none runs.
///
/// # Panics
/// Outside a tokio runtime.
pub(crate) fn ensure(inner: &Arc<Inner>) {
    {
        let mut core = inner.lock();
        if core.driver != Driver::None || core.queue.waiting() == 0 {
            return;
        }
        core.driver = Driver::Until(None);
    }
    tokio::spawn(drive(Guard {
        inner: inner.clone(),
    }));
}

async fn drive(guard: Guard) {
    let inner = &guard.inner;
    loop {
        let wake_at = match &inner.store {
            None => pump_local(inner),
            Some(store) => pump_store(inner, store.as_ref()).await,
        };
        let Some(wake_at) = wake_at else { return };
        let told = inner.rearm.notified();
        match wake_at.and_then(|tick| inner.clock.instant(tick)) {
            // Either way the queue is looked at again.
            Some(instant) => drop(tokio::time::timeout_at(instant, told).await),
            None => told.await,
        }
    }
}

/// Admits who fits. `None`: nobody waits any more, and the driver has signed off.
fn pump_local(inner: &Arc<Inner>) -> Option<Option<Tick>> {
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

/// Asks the store for each waiting call, in order; a lane whose head has to wait is not asked again in this round.
async fn pump_store(inner: &Arc<Inner>, store: &dyn Store) -> Option<Option<Tick>> {
    let mut earliest: Option<Tick> = None;
    let mut after: Option<Ticket> = None;
    loop {
        let next = {
            let core = inner.lock();
            core.queue
                .head_after(after)
                .map(|(ticket, waiter)| (ticket, waiter.labels.clone(), waiter.amounts))
        };
        let Some((ticket, labels, amounts)) = next else {
            break;
        };
        after = Some(ticket);
        let now = inner.clock.now();
        let answer = match store.reserve(now, &labels, &amounts).await {
            Ok(StoreDecision::Granted(id)) => Ok(Held::Stored(id)),
            Ok(StoreDecision::Wait(wait)) => {
                earliest = match (earliest, wait.until) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                continue;
            }
            Ok(StoreDecision::NeverFits(binding)) => Err(AcquireError::never_fits(binding, now)),
            Err(error) => Err(AcquireError::store(error, now)),
        };
        hand_over(inner, ticket, answer);
    }
    let mut wakes = Wakes::default();
    let next = {
        let mut core = inner.lock();
        core.refuse_late(inner.clock.now(), &mut wakes);
        core.next_admission = earliest;
        core.sleep()
    };
    inner.wake(wakes);
    next
}

/// Gives a waiting call its answer, or gives back what was granted to a call that has left meanwhile.
fn hand_over(inner: &Arc<Inner>, ticket: Ticket, answer: Result<Held, AcquireError>) {
    let (waker, unwanted) = {
        let mut core = inner.lock();
        if core.queue.get(ticket).is_some() {
            (core.queue.answer(ticket, answer), None)
        } else {
            (None, answer.ok())
        }
    };
    if let Some(held) = unwanted {
        inner.gate().give_back(held, None);
    }
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Signs the driver off if its task is dropped, as when its runtime shuts down while calls wait on another one; they are woken to
/// start a new driver there.
struct Guard {
    inner: Arc<Inner>,
}

impl Drop for Guard {
    fn drop(&mut self) {
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
