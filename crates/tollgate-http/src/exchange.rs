//! The whole life of a call, in one async function: [`Exchange::run`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tollgate_gate::{Check, Event, Gate, Tick};
use tollgate_tokens::{Catalog, Dialect, Estimator, PolicySpec};
use tracing::Instrument as _;

use crate::{
    Attempt, CallOptions, Failure, SendError, Settings, SettleBody, Target,
    answer::{accept, is_error, judge},
    call::Call,
    profile::Profile,
    retry::{Retries, RetryBudget},
    trip::Trip,
};

/// Everything a call passes through between the caller and the inner client. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    catalog: Catalog,
    profiles: BTreeMap<String, Arc<Profile>>,
    unknown: Arc<Profile>,
    settings: Settings,
    budget: RetryBudget,
}

impl Exchange {
    /// Runs one call: describe, preflight, reserve, send, observe, settle, and again if the verdict says so.
    ///
    /// `body` is the request's body, or `None` where it cannot be read without consuming it: such a call counts as one request, and
    /// `can_resend` is then usually false. `send` asks the inner client to send the request once.
    ///
    /// The response's bytes pass untouched; its body settles the call when it ends. An error response that is not retried is handed
    /// over whole. After the first byte of a body has reached the caller nothing is retried. Cancel-safe at every await: what was
    /// not sent is given back, what was sent stays charged.
    ///
    /// # Errors
    /// [`Failure::Refused`] if the call was not sent, [`Failure::Transport`] if the last attempt got no response.
    pub async fn run<B, E, F, S>(
        &self,
        target: Target<'_>,
        body: Option<&[u8]>,
        can_resend: bool,
        options: &CallOptions,
        mut send: F,
    ) -> Result<Response<SettleBody<B>>, Failure<E>>
    where
        B: Body<Data = Bytes> + Unpin,
        F: FnMut(Attempt) -> S,
        S: Future<Output = Result<Response<B>, SendError<E>>>,
    {
        let mut trip = Trip::new(self.clone(), Call::describe(self, target, body, options));
        let span = trip.call.span.clone();
        async move {
            let lower = options
                .lower_output_cap
                .unwrap_or(self.settings().lower_output_cap);
            let lowered = lower.then(|| trip.call.lower(self.gate(), body)).flatten();
            if let Err(refused) = trip.call.preflight(self.settings()) {
                return Err(Failure::Refused(trip.refuse(refused)));
            }
            let deadline = options.within.map(|span| self.gate().now().plus(span));
            let mut retries = self.retries(options.attempts, can_resend, deadline);
            let mut ask = trip.call.ask(self, options.priority, deadline);
            loop {
                let permit = match self.gate().acquire(&ask).await {
                    Ok(permit) => permit,
                    Err(error) => return Err(Failure::Refused(trip.refuse(error.into()))),
                };
                ask = ask.keeping(permit.ticket());
                let ordinal = trip.send(permit);
                self.shared.budget.earn();
                let body = lowered.clone();
                let answer = send(Attempt { ordinal, body }).await;
                let answered_at = self.gate().now();
                let (delay, cause) = match answer {
                    Ok(response) if is_error(response.status()) => {
                        let judged = judge(response, &mut trip, &mut retries).await;
                        match judged.again {
                            Some(delay) => (delay, judged.cause()),
                            None => return Ok(judged.hand_over(trip)),
                        }
                    }
                    Ok(response) => return Ok(accept(response, trip)),
                    Err(failed) => {
                        failed.settle(&mut trip);
                        let delay = failed.retryable.then(|| retries.delay(None)).flatten();
                        match retries.again(delay, answered_at, false) {
                            Some(delay) => (delay, "transport".to_owned()),
                            None => return Err(Failure::Transport(trip.fail(failed.error))),
                        }
                    }
                };
                let (labels, cause) = (&trip.call.labels, cause.as_str());
                trip.record(&Event::Retried {
                    labels,
                    resend: ordinal,
                    delay,
                    cause,
                });
                self.wait_out(delay, answered_at, &ask).await;
            }
        }
        .instrument(span)
        .await
    }

    /// An exchange over a gate, for the providers of a catalog. `limits` says which limits are in force for each provider of the
    /// catalog, by its name; the gate's policies were made from them.
    #[must_use]
    pub fn new(
        gate: Gate,
        catalog: Catalog,
        limits: &BTreeMap<String, Vec<PolicySpec>>,
        settings: Settings,
    ) -> Self {
        let limits = |name: &str| limits.get(name).map_or(&[][..], Vec::as_slice);
        let profiles = catalog
            .providers()
            .map(|of| (of.name.clone(), Arc::new(Profile::of(of, limits(&of.name)))))
            .collect();
        let shared = Shared {
            gate,
            catalog,
            profiles,
            unknown: Arc::new(Profile::unknown(limits(""))),
            budget: RetryBudget::new(settings.retry_percent),
            settings,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The gate in it.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Waits out the delay before a retry. Where the gate itself holds the call back for as long, because of a pause, nothing is
    /// waited for here: the call waits there instead, in its place, ahead of those that came later.
    async fn wait_out(&self, delay: Duration, since: Tick, ask: &tollgate_gate::Call) {
        let held_back = match self.gate().check(ask) {
            Check::Wait(wait) => wait
                .binding
                .paused_until
                .is_some_and(|until| until >= since.plus(delay)),
            Check::Fits | Check::Spent(_) | Check::NeverFits(_) => false,
        };
        if !held_back {
            tokio::time::sleep(delay).await;
        }
    }

    fn retries(
        &self,
        attempts: Option<u32>,
        can_resend: bool,
        deadline: Option<Tick>,
    ) -> Retries<'_> {
        let Settings {
            attempts: usual,
            patience,
            schedule,
            ..
        } = &self.shared.settings;
        let attempts = if can_resend {
            attempts.unwrap_or(*usual)
        } else {
            1
        };
        Retries::new(&self.shared.budget, schedule, attempts, *patience, deadline)
    }

    /// Whose call it is, as the caller says, the host tells or the settings assume; and its wire format.
    pub(crate) fn profile(
        &self,
        target: Target<'_>,
        options: &CallOptions,
    ) -> (Arc<Profile>, Option<Dialect>) {
        let Shared {
            catalog,
            profiles,
            unknown,
            settings,
            ..
        } = &*self.shared;
        let owner = catalog
            .by_host(target.host, target.path)
            .map(|provider| provider.name.as_str());
        let name = options
            .provider
            .as_deref()
            .or(owner)
            .or(settings.provider.as_deref());
        let profile = name.and_then(|name| profiles.get(name)).unwrap_or(unknown);
        (profile.clone(), profile.dialect_of(target, name == owner))
    }

    /// What estimates the calls, and learns from them.
    #[must_use]
    pub fn estimator(&self) -> &Estimator {
        &self.shared.settings.estimator
    }

    pub(crate) fn cold_percent(&self) -> u32 {
        self.shared.settings.cold_percent
    }

    fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn first_delay(&self) -> Duration {
        self.shared
            .settings
            .schedule
            .delays()
            .next()
            .unwrap_or(Duration::from_secs(1))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("gate", &self.gate)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
