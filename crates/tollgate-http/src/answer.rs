//! What becomes of an attempt that was answered: a success is accepted, an error is judged.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use tollgate_gate::{Event, News, Source, Tick, Unit};
use tollgate_tokens::{Scope, Verdict, service_limits, verdict};

use crate::{
    SettleBody,
    body::Head,
    charge,
    retry::Retries,
    span,
    trip::{End, Trip},
};

pub(crate) fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// A response whose body will settle the call.
pub(crate) fn accept<B: Body>(response: Response<B>, mut trip: Trip) -> Response<SettleBody<B>> {
    let (mut parts, body) = response.into_parts();
    hear(&parts.headers, &trip);
    trip.status = Some(parts.status.as_u16());
    parts.extensions.insert(trip.report(None, None));
    let body = SettleBody::new(body, &parts.headers, trip);
    Response::from_parts(parts, body)
}

/// Reads an error response, settles its attempt and decides what comes next.
pub(crate) async fn judge<B: Body<Data = Bytes> + Unpin>(
    response: Response<B>,
    trip: &mut Trip,
    retries: &mut Retries<'_>,
) -> Judged<B> {
    let (parts, mut body) = response.into_parts();
    let status = parts.status;
    let head = read_head(&mut body).await;
    let verdict = verdict(trip.call.dialect, status, &parts.headers, &head.data);
    for warning in &verdict.warnings {
        span::warn(&trip.call.span, warning);
    }
    let heard = hear(&parts.headers, trip);
    if status == StatusCode::TOO_MANY_REQUESTS {
        let scope = verdict.scope.as_str();
        trip.record(&Event::Throttled {
            labels: &trip.call.labels,
            status: status.as_u16(),
            scope,
        });
    }
    let now = trip.exchange.gate().now();
    let delay = retries.delay(verdict.retry_after);
    if verdict.pauses_quota() {
        // Whether or not this call is sent again: others would be refused like it.
        // A day that is used up is told to the caller. A pause until its end would stop calls that need nothing of it.
        let span = delay
            .filter(|_| verdict.retryable || verdict.scope != Scope::Day)
            .map_or_else(|| trip.exchange.first_delay(), |delay| delay.span());
        // A day is seldom a limit that is configured, and a refusal that says nothing may come from any proxy on the way: nothing is to
        // be learned from them about the limits that are.
        let mute = !heard && verdict.retry_after.is_none() && head.data.is_empty();
        if verdict.scope == Scope::Day || mute {
            trip.pause(None, span);
        } else {
            trip.throttled(unit_of(verdict.scope), span);
        }
    }
    if may_have_worked(status) {
        trip.keep();
    } else {
        let charged = charge::rejected();
        trip.settle(&charged, Source::Rejected);
    }
    let (again, asked) = if verdict.retryable {
        (
            retries.again(delay, now, verdict.pauses_quota()),
            delay.map(|delay| delay.asked),
        )
    } else {
        (None, verdict.retry_after)
    };
    Judged {
        again,
        retry_at: asked.map(|span| now.plus(span)),
        response: Response::from_parts(parts, SettleBody::settled(head, body)),
        verdict,
    }
}

/// An error response, judged.
pub(crate) struct Judged<B: Body> {
    /// It is sent again after this span.
    pub(crate) again: Option<Duration>,
    retry_at: Option<Tick>,
    response: Response<SettleBody<B>>,
    verdict: Verdict,
}

impl<B: Body> Judged<B> {
    /// Why it is sent again, in one low-cardinality word.
    pub(crate) fn cause(&self) -> String {
        self.response.status().as_str().to_owned()
    }

    /// The caller gets the provider's own answer, with what it means beside it.
    pub(crate) fn hand_over(self, mut trip: Trip) -> Response<SettleBody<B>> {
        let Self {
            mut response,
            verdict,
            retry_at,
            ..
        } = self;
        let error = verdict.scope.as_str();
        trip.status = Some(response.status().as_u16());
        response
            .extensions_mut()
            .insert(trip.report(Some(verdict), retry_at));
        trip.finish(&End {
            error: Some(error),
            ..End::default()
        });
        response
    }
}

/// Takes over what the response's head says about the provider's quotas. Returns whether it says anything.
fn hear(headers: &HeaderMap, trip: &Trip) -> bool {
    let call = &trip.call;
    let (limits, warnings) = service_limits(call.dialect, Some(&call.profile.name), headers);
    for warning in &warnings {
        span::warn(&call.span, warning);
    }
    let heard = !limits.is_empty();
    for limit in limits {
        trip.adopt(&News {
            unit: limit.unit,
            window: limit.window,
            limit: limit.limit,
            remaining: limit.remaining,
            rounding: limit.rounded_to / 2,
        });
    }
    heard
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

/// Whether an error came after work that may be charged. "Unavailable" and Anthropic's "overloaded" are said before it.
fn may_have_worked(status: StatusCode) -> bool {
    const OVERLOADED: u16 = 529;
    status.is_server_error()
        && status != StatusCode::SERVICE_UNAVAILABLE
        && status.as_u16() != OVERLOADED
}

/// Reads the first part of an error body, enough to judge it.
async fn read_head<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Head<B::Error> {
    let mut data = BytesMut::new();
    while data.len() < LONGEST_ERROR {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(trailers) => return Head::new(data, Some(Ok(trailers)), false),
            },
            // A body that breaks off is judged by what came.
            Some(Err(error)) => return Head::new(data, Some(Err(error)), true),
            None => return Head::new(data, None, true),
        }
    }
    Head::new(data, None, false)
}

/// Bytes of an error body that are read before it is handed over; those of providers are a few hundred.
const LONGEST_ERROR: usize = 64 * 1024;
