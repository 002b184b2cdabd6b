//! `Gate`: the handle that programs hold, clone and share.

use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_limits::{Amounts, Check, Labels, Lane, News, Plan, Reservation, Settlement, Tick};

use crate::{
    Acquire, AcquireError, Call, Event, GateBuilder, Permit, PolicyState, Recorder, Source, Store,
    Ticket,
    clock::Clock,
    core::{Core, Wakes},
    permit::Held,
    sync::{Mutex, MutexGuard, Notify},
};

/// Where calls wait their turn. Clones share one ledger and one queue.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tollgate_gate::{Amounts, Call, Gate, Labels, Plan, Policy, Quota, Source, Unit};
///
/// let gate = Gate::new(Plan::new([Policy::new("tpm", Quota::sliding(Unit::TotalTokens, 10_000, Duration::from_secs(60))?)])?);
/// let mut permit = gate.acquire(&Call::new(Labels::new().with("model", "llama-3"), Amounts::call(500, 2_000))).await?;
/// permit.mark_sent();
/// // ... send the call, then say what it used:
/// permit.settle(&Amounts::call(480, 350), Source::Reported);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

/// A handle that does not keep the gate alive; for gauges and other observers.
#[derive(Clone, Debug)]
pub struct WeakGate {
    inner: Weak<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) clock: Clock,
    pub(crate) rearm: Notify,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) core: Mutex<Core>,
    pub(crate) recorders: Vec<Arc<dyn Recorder>>,
    pub(crate) queue_limit: usize,
    pub(crate) tenant_queue_limit: usize,
    pub(crate) longest_wait: Duration,
}

impl Gate {
    /// A gate over the policies of `plan`, in this process, without telemetry.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self::builder(plan).build()
    }

    /// A gate with other settings.
    pub fn builder(plan: Plan) -> GateBuilder {
        GateBuilder::new(plan)
    }

    /// Waits until every policy that applies has room, in fair order, and reserves from all of them at once.
    ///
    /// Cancel-safe: dropping the future leaves the queue and gives back whatever was reserved for it. Must be polled inside a tokio
    /// runtime with time enabled.
    ///
    /// # Errors
    /// If the call can never fit, the queue is full, its deadline cannot be met, or the store fails.
    pub fn acquire(&self, call: &Call) -> Acquire {
        Acquire::new(self.clone(), call.clone(), call.asked.deadline)
    }

    /// As [`Gate::acquire`], but refuses, at once where it can be known, what is not admitted by `deadline`.
    ///
    /// # Errors
    /// As [`Gate::acquire`].
    pub fn acquire_by(&self, call: &Call, deadline: Instant) -> Acquire {
        Acquire::new(self.clone(), call.clone(), self.inner.clock.tick(deadline))
    }

    /// Reserves if every policy has room now and nobody waits ahead for one of them.
    ///
    /// # Errors
    /// If it does not fit now, or never does. A gate with a store always answers [`crate::Refusal::NotNow`] here, because asking it takes a
    /// round trip.
    pub fn try_acquire(&self, call: &Call) -> Result<Permit, AcquireError> {
        match self.try_reserve(call) {
            Ok(reserved) if self.is_heard() => {
                let permit = self.permit_for(call, reserved);
                self.record_admitted(&permit, false);
                Ok(permit)
            }
            // Made in the place where the caller wants it: a permit is large enough for a copy to tell.
            Ok(reserved) => Ok(self.permit_for(call, reserved)),
            Err(error) => {
                self.record_refused(&call.asked.labels, &error, Duration::ZERO, false);
                Err(error)
            }
        }
    }

    /// The state of every policy in every partition that is remembered, and the calls that wait for it. Empty for a gate with a
    /// store. O(partitions and lines of waiting calls), under the gate's lock.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PolicyState> {
        if self.inner.store.is_some() {
            return Vec::new();
        }
        let now = self.now();
        self.lock().snapshot(now)
    }

    /// When the last of `calls` such calls would be admitted, at the earliest, if they all came now: after those who wait already and
    /// go first, and if nobody leaves, gives back or comes later with precedence. `None` if that takes settlements, for a gate with a
    /// store, or if it is later than [`Tick::MAX`]. It is assumed that each is settled as reserved as soon as it is admitted.
    ///
    /// # Errors
    /// If such a call never fits, or a budget is spent.
    pub fn forecast(&self, call: &Call, calls: u64) -> Result<Option<Tick>, AcquireError> {
        if self.inner.store.is_some() {
            return Ok(None);
        }
        let now = self.now();
        let amounts = call.asked.now();
        let mut core = self.lock();
        let ticket = core.ticket_of(&call.asked);
        let arrival = core.arrival(&call.asked.labels, ticket);
        core.forecast(now, &arrival, &amounts, calls)
    }

    /// The policies that it works by.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.lock().ledger.plan().clone()
    }

    /// Calls that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().queue.waiting()
    }

    /// Reservations that have not been settled or released. Always 0 for a gate with a store, which keeps them.
    #[must_use]
    pub fn open_reservations(&self) -> usize {
        self.lock().ledger.open_reservations()
    }

    /// The gate's time: nanoseconds since the Unix epoch, on a clock that never goes back.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.inner.clock.now()
    }

    /// A handle that does not keep the gate alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakGate {
        WeakGate {
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// Changes a tenant's weight for all grants from now on: see [`GateBuilder::weight`].
    pub fn set_weight(&self, tenant: &str, weight: u32) {
        self.lock().lanes.set_weight(tenant, weight);
    }

    /// Hands an event to the recorders. For drivers above the gate, which know of sends and retries.
    #[inline]
    pub fn record(&self, event: &Event<'_>) {
        for recorder in &self.inner.recorders {
            recorder.record(event);
        }
    }

    /// Charges what calls of an earlier run used `at`, such as those in a journal, so that budgets outlive the program: each policy
    /// that applies to such calls counts `used` if `at` lies in its present window.
    ///
    /// Book in the order of time, before the first call; see [`tollgate_limits::Ledger::book`]. A gate with a store does nothing: the
    /// store remembers by itself.
    pub fn book(&self, labels: &Labels, used: &Amounts, at: Tick) {
        if self.inner.store.is_none() {
            // It can only make calls wait for longer, and whoever is looked at too early is told so.
            let now = self.now();
            let mut core = self.lock();
            let lane = core.ledger.lane(labels);
            core.ledger.book(at.min(now), lane, used);
        }
    }

    pub(crate) fn adopt(&self, held: &Held, labels: &Labels, news: &News) {
        let now = self.now();
        match (held, &self.inner.store) {
            (Held::Local(reservation, lane), _) => {
                let tightened =
                    self.with_books(now, *lane, |core| core.ledger.adopt(now, reservation, news));
                if tightened {
                    self.record(&Event::Tightened {
                        labels,
                        unit: news.unit,
                    });
                }
            }
            (Held::Stored(id), Some(store)) => {
                let (store, id, news) = (store.clone(), *id, *news);
                self.tell_store(async move { store.adopt(now, id, &news).await });
            }
            (Held::Stored(_), None) => {}
        }
    }

    /// Ends a reservation: settles with `used`, or releases without. Never waits.
    #[inline]
    pub(crate) fn end(
        &self,
        held: Held,
        used: Option<&Amounts>,
        labels: &Labels,
        settlement: &Settlement,
        source: Source,
    ) {
        let eased = self.give_back(held, used);
        self.record(&Event::Settled {
            labels,
            settlement,
            source,
        });
        if eased {
            self.record_eased(labels);
        }
    }

    /// Whether a policy has eased its pace since that was told last.
    pub(crate) fn give_back(&self, held: Held, used: Option<&Amounts>) -> bool {
        match (held, &self.inner.store) {
            (Held::Local(reservation, lane), _) => {
                return self.end_local(reservation, lane, used);
            }
            (Held::Stored(id), Some(store)) => {
                let now = self.now();
                let (store, used) = (store.clone(), used.copied());
                let inner = self.inner.clone();
                self.tell_store(async move {
                    let told = match used {
                        Some(used) => store.settle(now, id, &used).await,
                        None => store.release(now, id).await,
                    };
                    inner.settled();
                    told
                });
            }
            (Held::Stored(_), None) => {}
        }
        false
    }

    fn end_local(&self, reservation: Reservation, lane: Lane, used: Option<&Amounts>) -> bool {
        let mut wakes = Wakes::default();
        let eased = {
            let mut core = self.lock();
            if let Some(used) = used
                && core.ledger.settles_at_any_time(&reservation, used)
                && core.lets_nobody_in(&reservation, used)
            {
                // Then the time, which costs as much as the rest to read, makes no difference.
                core.ledger.settle(Tick::ZERO, reservation, used);
                return core.ledger.has_eased();
            }
            let now = self.now();
            match used {
                Some(used) => {
                    core.ledger.settle(now, reservation, used);
                }
                None => core.ledger.release(now, reservation),
            }
            core.look_at(now, lane, &mut wakes);
            core.ledger.has_eased()
        };
        self.inner.wake(wakes);
        eased
    }

    pub(crate) fn record_admitted(&self, permit: &Permit, queued: bool) {
        self.record(&Event::Admitted {
            labels: permit.labels(),
            reserved: permit.reserved(),
            waited: permit.waited(),
            queued,
        });
    }

    pub(crate) fn record_refused(
        &self,
        labels: &Labels,
        error: &AcquireError,
        waited: Duration,
        queued: bool,
    ) {
        let (reason, binding) = (error.refusal(), error.binding());
        self.record(&Event::Refused {
            labels,
            reason,
            binding,
            until: error.retry_at(),
            waited,
            queued,
        });
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.inner.lock()
    }

    /// Whether anybody hears of events.
    pub(crate) fn is_heard(&self) -> bool {
        !self.inner.recorders.is_empty()
    }

    pub(crate) fn longest_wait(&self) -> Duration {
        self.inner.longest_wait
    }

    pub(crate) fn queue_limit(&self) -> usize {
        self.inner.queue_limit
    }

    pub(crate) fn tenant_queue_limit(&self) -> usize {
        self.inner.tenant_queue_limit
    }

    /// Changes the books of a lane of a gate without a store, then admits whoever fits now.
    fn with_books<T>(&self, now: Tick, lane: Lane, change: impl FnOnce(&mut Core) -> T) -> T {
        let mut wakes = Wakes::default();
        let result = {
            let mut core = self.lock();
            let result = change(&mut core);
            core.look_at(now, lane, &mut wakes);
            result
        };
        self.inner.wake(wakes);
        result
    }

    /// What [`Gate::try_acquire`] makes a permit of.
    #[inline]
    fn try_reserve(&self, call: &Call) -> Result<(Held, Amounts, Ticket), AcquireError> {
        let now = self.now();
        if self.inner.store.is_some() {
            return Err(AcquireError::unasked(now));
        }
        let mut wakes = Wakes::default();
        let amounts = call.asked.now();
        let (ticket, entered) = {
            let mut core = self.lock();
            let ticket = core.ticket_of(&call.asked);
            let arrival = core.arrival(&call.asked.labels, ticket);
            let entered = match core.enter(now, &arrival, &amounts, &mut wakes) {
                Ok(reservation) => Ok(Held::Local(reservation, arrival.kind.lane)),
                Err(obstacle) => Err(core.reason(now, &arrival, &amounts, obstacle)),
            };
            (ticket, entered)
        };
        self.inner.wake(wakes);
        match entered {
            Ok(held) => Ok((held, amounts, ticket)),
            Err(reason) => {
                Err(reason.map_or_else(|error| error, |reason| AcquireError::not_now(reason, now)))
            }
        }
    }

    #[inline]
    fn permit_for(&self, call: &Call, (held, amounts, ticket): (Held, Amounts, Ticket)) -> Permit {
        let waited = Duration::ZERO;
        Permit::new(self.clone(), held, &amounts, call.clone(), ticket, waited)
    }

    /// Tells the store something in the background. Outside a runtime nothing can be told: the lease on the reservation decides.
    pub(crate) fn tell_store(
        &self,
        told: impl Future<Output = Result<(), crate::StoreError>> + Send + 'static,
    ) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // A settlement that fails is made good by the expiry of its lease; there is nobody left to tell.
                drop(told.await);
            });
        }
    }

    /// What a call would be told now: `Wait` without an instant if calls that go first wait for what it needs. A gate with a
    /// store cannot tell without asking it, and knows only what never fits.
    #[must_use]
    pub fn check(&self, call: &Call) -> Check {
        let now = self.now();
        let mut wakes = Wakes::default();
        let check = {
            let mut core = self.lock();
            if self.inner.store.is_none() {
                core.catch_up(now, &mut wakes);
            }
            let ticket = core.ticket_of(&call.asked);
            let arrival = core.arrival(&call.asked.labels, ticket);
            core.check(now, &arrival, &call.asked.now())
        };
        self.inner.wake(wakes);
        check
    }
}

impl WeakGate {
    /// The gate, if somebody still holds it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Gate> {
        self.inner.upgrade().map(|inner| Gate { inner })
    }
}

impl Inner {
    /// The core is left consistent before anybody's own code runs, so a panic there does not spoil it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    /// Takes note that a store has been told of a settlement.
    fn settled(&self) {
        let mut wakes = Wakes::default();
        self.lock().settled(self.clock.now(), &mut wakes);
        self.wake(wakes);
    }

    #[inline]
    pub(crate) fn wake(&self, wakes: Wakes) {
        if wakes.driver {
            self.rearm.notify_one();
        }
        // As a rule there is nobody.
        if !wakes.wakers.is_empty() {
            wake_all(wakes.wakers);
        }
    }

    pub(crate) fn gate(self: &Arc<Self>) -> Gate {
        Gate {
            inner: self.clone(),
        }
    }
}

#[cold]
fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
