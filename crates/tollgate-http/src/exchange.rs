//! The whole life of a call, in one async function: [`Exchange::run`].

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::Body;
use tollgate_gate::{Event, Gate, News, Permit, Source, Ticket, Unit};
use tollgate_tokens::{
    Catalog, Dialect, Estimator, Model, PolicySpec, Provider, Scope, UnknownPrice, Verdict,
    service_limits, verdict,
};
use tracing::Instrument as _;

use crate::{
    CallOptions, Failure, Refused, Report, Schedule, SettleBody, Target,
    call::Call,
    charge::ChargeRules,
    retry::{Next, Retries, RetryBudget},
    span,
    trip::{End, Trip},
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
    estimator: Estimator,
    settings: Settings,
    budget: RetryBudget,
}

/// How an exchange retries, and what it takes for granted.
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    attempts: u32,
    patience: Duration,
    schedule: Schedule,
    retry_percent: u32,
    provider: Option<String>,
    unknown_price: UnknownPrice,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: 5,
            patience: Duration::from_secs(60),
            schedule: Schedule::default(),
            retry_percent: 20,
            provider: None,
            unknown_price: UnknownPrice::Refuse,
        }
    }
}

impl Settings {
    /// Times a call may be sent in all; 0 counts as 1, which never retries. Default: 5.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The longest delay that is waited out; a provider that asks for more gets its wish told to the caller at once, as
    /// [`Report::retry_at`]. Default: 60 s.
    pub const fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }

    /// The delays where the provider names none. Default: [`Schedule::default`].
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// How many of a hundred calls may be sent again in the long run, besides a stock of ten. 0 allows the stock alone. Default: 20.
    pub const fn retry_percent(mut self, percent: u32) -> Self {
        self.retry_percent = percent;
        self
    }

    /// The catalog's name of the provider behind hosts that the catalog does not know. Default: none, and such calls count as one
    /// request of an unknown provider.
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// What a budget does with calls of unknown price. Default: refuse them.
    pub fn unknown_price(mut self, policy: UnknownPrice) -> Self {
        self.unknown_price = policy;
        self
    }
}

/// What is known of one provider: its catalog entry and the charge rules of the limits in force.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: Arc<str>,
    pub(crate) system: Arc<str>,
    pub(crate) rules: ChargeRules,
    provider: Option<Provider>,
}

impl Profile {
    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        self.provider.as_ref()?.model(name)
    }

    /// The wire format of a call to it. On a host that is not its own, such as a proxy's, the path means what it means at home.
    pub(crate) fn dialect_of(&self, target: Target<'_>) -> Option<Dialect> {
        let provider = self.provider.as_ref()?;
        let at_home = provider
            .hosts
            .first()
            .filter(|_| !provider.answers_on(target.host, target.path));
        Some(provider.dialect_of(at_home.map_or(target.host, String::as_str), target.path))
    }
}

/// One send of a call, as the inner client is asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// 1 for the first.
    pub ordinal: u32,
}

/// Why an attempt has no response.
#[derive(Debug)]
pub struct SendError<E> {
    /// The inner client's own error.
    pub error: E,
    /// Whether the request may have reached the provider; if not, nothing is charged for it.
    pub sent: bool,
    /// Whether sending it again may help.
    pub retryable: bool,
}

impl SendError<Box<dyn std::error::Error + Send + Sync>> {
    /// Judges an error of a client that is not known more closely, by the IO error at its root: a refused connection was not sent, a
    /// broken one may have been; both may be tried again, anything else not.
    #[must_use]
    pub fn by_cause(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        let root: &(dyn std::error::Error + 'static) = error.as_ref();
        let io = std::iter::successors(Some(root), |error| error.source())
            .find_map(|error| error.downcast_ref::<std::io::Error>())
            .map(std::io::Error::kind);
        let (sent, retryable) = match io {
            Some(ErrorKind::ConnectionRefused) => (false, true),
            Some(
                ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof,
            ) => (true, true),
            _ => (true, false),
        };
        Self {
            error,
            sent,
            retryable,
        }
    }
}

impl Exchange {
    /// An exchange over a gate, for the providers of a catalog. `limits` says which limits are in force for each provider of the
    /// catalog, by its name; the gate's policies were made from them.
    #[must_use]
    pub fn new(
        gate: Gate,
        catalog: Catalog,
        limits: &BTreeMap<String, Vec<PolicySpec>>,
        settings: Settings,
    ) -> Self {
        let profile = |provider: &Provider| {
            let rules = ChargeRules::of(limits.get(&provider.name).map_or(&[][..], Vec::as_slice));
            let (name, system) = (
                provider.name.as_str().into(),
                provider.system.as_str().into(),
            );
            (
                provider.name.clone(),
                Arc::new(Profile {
                    name,
                    system,
                    rules,
                    provider: Some(provider.clone()),
                }),
            )
        };
        let profiles = catalog.providers().map(profile).collect();
        let unknown = Profile {
            name: "unknown".into(),
            system: "unknown".into(),
            rules: ChargeRules::of(limits.get("").map_or(&[][..], Vec::as_slice)),
            provider: None,
        };
        let budget = RetryBudget::new(settings.retry_percent);
        let estimator = Estimator::new();
        let shared = Shared {
            gate,
            catalog,
            profiles,
            unknown: Arc::new(unknown),
            estimator,
            settings,
            budget,
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
            if let Err(refused) = trip.call.preflight(self) {
                return Err(refuse(trip, refused));
            }
            let attempts = if can_resend {
                options.attempts.unwrap_or(self.shared.settings.attempts)
            } else {
                1
            };
            let mut retries = Retries::new(
                &self.shared.budget,
                &self.shared.settings.schedule,
                attempts,
                self.shared.settings.patience,
            );
            let deadline = options.within.map(|span| self.gate().now().plus(span));
            let mut ticket = None;
            loop {
                let mut permit = match self.acquire(&trip.call, options, ticket, deadline).await {
                    Ok(permit) => permit,
                    Err(refused) => return Err(refuse(trip, refused)),
                };
                ticket = Some(permit.ticket());
                trip.waited += permit.waited();
                permit.mark_sent();
                let ordinal = trip.send();
                let (delay, cause) = match send(Attempt { ordinal }).await {
                    Ok(response)
                        if response.status().is_client_error()
                            || response.status().is_server_error() =>
                    {
                        let refused = self.judge(response, &mut trip, permit, &mut retries).await;
                        match refused.next {
                            Next::GiveUp(hint) => return Ok(refused.hand_over(trip, hint)),
                            Next::Again(delay) => (delay, Cause::Status(refused.response.status())),
                        }
                    }
                    Ok(response) => return Ok(accept(response, trip, permit)),
                    Err(failed) => {
                        if failed.sent {
                            let reserved = *permit.reserved();
                            permit.settle(&reserved, Source::Kept);
                        } else {
                            permit.release();
                        }
                        let delay = failed.retryable.then(|| retries.delay(None)).flatten();
                        match retries.next(delay) {
                            Next::Again(delay) => (delay, Cause::Transport),
                            Next::GiveUp(_) => {
                                trip.finish(&End {
                                    error: Some("transport"),
                                    ..End::default()
                                });
                                return Err(Failure::Transport(failed.error));
                            }
                        }
                    }
                };
                let labels = &trip.call.labels;
                trip.record(&Event::Retried {
                    labels,
                    resend: ordinal,
                    delay,
                    cause: &cause.to_string(),
                });
                tokio::time::sleep(delay).await;
            }
        }
        .instrument(span)
        .await
    }

    async fn acquire(
        &self,
        call: &Call,
        options: &CallOptions,
        ticket: Option<Ticket>,
        deadline: Option<tollgate_gate::Tick>,
    ) -> Result<Permit, Refused> {
        let mut ask = tollgate_gate::Call::new(call.labels.clone(), call.reserve())
            .priority(options.priority);
        if let Some(ticket) = ticket {
            ask = ask.keeping(ticket);
        }
        if let Some(deadline) = deadline {
            ask = ask.by(deadline);
        }
        self.gate().acquire(&ask).await.map_err(Refused::from)
    }

    /// Reads an error response, settles its attempt and decides what comes next.
    async fn judge<B: Body<Data = Bytes> + Unpin>(
        &self,
        response: Response<B>,
        trip: &mut Trip,
        permit: Permit,
        retries: &mut Retries<'_>,
    ) -> Judged<B> {
        let (parts, mut body) = response.into_parts();
        let head = read_head(&mut body).await;
        let verdict = verdict(trip.call.dialect, parts.status, &parts.headers, &head);
        for warning in &verdict.warnings {
            span::warn(&trip.call.span, warning);
        }
        hear(&parts.headers, trip, &permit);
        let labels = &trip.call.labels;
        let delay = retries.delay(verdict.retry_after);
        if parts.status == StatusCode::TOO_MANY_REQUESTS {
            trip.record(&Event::Throttled {
                labels,
                status: parts.status.as_u16(),
                scope: verdict.scope.as_str(),
            });
        }
        if verdict.retryable && verdict.pauses_quota() {
            permit.pause(
                unit_of(verdict.scope),
                delay.unwrap_or_else(|| self.first_delay()),
            );
        }
        if parts.status.is_server_error()
            && parts.status != StatusCode::SERVICE_UNAVAILABLE
            && parts.status.as_u16() != OVERLOADED
        {
            // It may have failed after doing the work.
            let reserved = *permit.reserved();
            permit.settle(&reserved, Source::Kept);
        } else {
            permit.settle(&trip.call.profile.rules.rejected(), Source::Rejected);
        }
        let next = retries.after_verdict(&verdict, delay);
        trip.status = Some(parts.status.as_u16());
        Judged {
            response: Response::from_parts(parts, SettleBody::settled(head, body)),
            verdict,
            next,
        }
    }

    pub(crate) fn profile(&self, target: Target<'_>, options: &CallOptions) -> Arc<Profile> {
        let Shared {
            catalog,
            profiles,
            unknown,
            settings,
            ..
        } = &*self.shared;
        let name = options
            .provider
            .as_deref()
            .or_else(|| {
                catalog
                    .by_host(target.host, target.path)
                    .map(|provider| provider.name.as_str())
            })
            .or(settings.provider.as_deref());
        name.and_then(|name| profiles.get(name))
            .unwrap_or(unknown)
            .clone()
    }

    pub(crate) fn estimator(&self) -> &Estimator {
        &self.shared.estimator
    }

    pub(crate) fn unknown_price(&self) -> &UnknownPrice {
        &self.shared.settings.unknown_price
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

/// An error response, judged.
struct Judged<B> {
    response: Response<SettleBody<B>>,
    verdict: Verdict,
    next: Next,
}

impl<B> Judged<B> {
    /// The caller gets the provider's own answer, with what it means beside it.
    fn hand_over(self, trip: Trip, hint: Option<Duration>) -> Response<SettleBody<B>> {
        let Self {
            mut response,
            verdict,
            ..
        } = self;
        let retry_at = hint
            .filter(|_| verdict.retryable || verdict.retry_after.is_some())
            .map(|hint| trip.exchange.gate().now().plus(hint));
        let error = verdict.scope.as_str();
        let report = Report {
            attempts: trip.attempts,
            waited: trip.waited,
            verdict: Some(verdict),
            retry_at,
        };
        response.extensions_mut().insert(report);
        trip.finish(&End {
            error: Some(error),
            ..End::default()
        });
        response
    }
}

/// A response whose body will settle the call.
fn accept<B>(response: Response<B>, mut trip: Trip, permit: Permit) -> Response<SettleBody<B>> {
    let (mut parts, body) = response.into_parts();
    hear(&parts.headers, &trip, &permit);
    trip.status = Some(parts.status.as_u16());
    parts.extensions.insert(Report {
        attempts: trip.attempts,
        waited: trip.waited,
        verdict: None,
        retry_at: None,
    });
    let body = SettleBody::new(body, &parts.headers, trip, permit);
    Response::from_parts(parts, body)
}

/// Takes over what the response's head says about the provider's quotas.
fn hear(headers: &http::HeaderMap, trip: &Trip, permit: &Permit) {
    let (limits, warnings) =
        service_limits(trip.call.dialect, Some(&trip.call.profile.name), headers);
    for warning in &warnings {
        span::warn(&trip.call.span, warning);
    }
    for limit in limits {
        permit.adopt(&News {
            unit: limit.unit,
            window: limit.window,
            limit: limit.limit,
            remaining: limit.remaining,
            rounding: limit.rounded_to / 2,
        });
    }
}

fn refuse<E>(trip: Trip, refused: Refused) -> Failure<E> {
    trip.finish(&End {
        error: Some(refused.reason()),
        ..End::default()
    });
    Failure::Refused(refused)
}

/// The unit whose policies a 429 is about; `None` for all of the call's.
pub(crate) const fn unit_of(scope: Scope) -> Option<Unit> {
    match scope {
        Scope::Requests => Some(Unit::Requests),
        Scope::InputTokens => Some(Unit::InputTokens),
        Scope::OutputTokens => Some(Unit::OutputTokens),
        Scope::Tokens => Some(Unit::TotalTokens),
        _ => None,
    }
}

/// Reads the first part of an error body, enough to judge it.
async fn read_head<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Bytes {
    let mut head = BytesMut::new();
    while head.len() < LONGEST_ERROR {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    head.extend_from_slice(&data);
                }
            }
            // A body that breaks off is judged by what came.
            Some(Err(_)) | None => break,
        }
    }
    head.freeze()
}

/// Bytes of an error body that are read before it is handed over; those of providers are a few hundred.
const LONGEST_ERROR: usize = 64 * 1024;

/// Anthropic's status for "overloaded", which it answers before doing work.
const OVERLOADED: u16 = 529;

/// Why a call is sent again, in one low-cardinality word.
#[derive(Clone, Copy)]
enum Cause {
    Status(StatusCode),
    Transport,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.write_str(status.as_str()),
            Self::Transport => f.write_str("transport"),
        }
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
