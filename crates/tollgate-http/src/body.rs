//! `SettleBody`: passes a response's bytes on untouched and at once, and settles when they end, however they end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use tollgate_gate::{Permit, Source};
use tollgate_tokens::{Dialect, Framing, Scan, Usage, UsageScanner, Warning, stream_verdict};

use crate::{
    exchange::unit_of,
    span,
    trip::{End, Trip, source},
};

/// The body of a response that went through an exchange.
///
/// It holds the call's permit until the last byte has passed, the inner body fails, or it is dropped: a stream keeps its
/// reservation for as long as it runs. Trailers, size hints and errors of the inner body pass through.
pub struct SettleBody<B> {
    // What was read of an error response to judge it.
    prefix: Option<Bytes>,
    inner: B,
    tail: Option<Box<Tail>>,
}

/// What happens at the end of the body.
struct Tail {
    trip: Trip,
    permit: Permit,
    dialect: Dialect,
    // None where the body cannot be read: compressed, or of an unknown format.
    scanner: Option<UsageScanner>,
    stream: bool,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Complete,
    Failed,
    Dropped,
}

impl<B> SettleBody<B> {
    /// A body whose call has been settled already.
    pub(crate) fn settled(prefix: Bytes, inner: B) -> Self {
        Self {
            prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
            inner,
            tail: None,
        }
    }

    /// A body that settles the call.
    pub(crate) fn new(inner: B, headers: &HeaderMap, trip: Trip, mut permit: Permit) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &http::HeaderValue| value.to_str().ok())
        };
        let framing = Framing::of(text(CONTENT_TYPE));
        let encoding =
            text(CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"));
        if let Some(encoding) = encoding {
            span::warn(
                &trip.call.span,
                &Warning::UnreadableEncoding {
                    encoding: encoding.into(),
                },
            );
        }
        let dialect = trip.call.dialect.unwrap_or(Dialect::Generic);
        let readable = encoding.is_none() && trip.call.dialect.is_some();
        // The work is being done from here on: whatever happens, it is charged.
        permit.mark_sent();
        let scanner = readable.then(|| UsageScanner::new(dialect, framing));
        let tail = Tail {
            trip,
            permit,
            dialect,
            scanner,
            stream: framing != Framing::Json,
        };
        Self {
            prefix: None,
            inner,
            tail: Some(Box::new(tail)),
        }
    }

    fn end(&mut self, ending: Ending) {
        if let Some(tail) = self.tail.take() {
            tail.settle(ending);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for SettleBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(prefix) = self.prefix.take() {
            return Poll::Ready(Some(Ok(Frame::data(prefix))));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.end(Ending::Complete),
            Poll::Ready(Some(Err(_))) => self.end(Ending::Failed),
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(tail) = &mut self.tail
                    && let Some(data) = frame.data_ref()
                    && let Some(scanner) = &mut tail.scanner
                {
                    scanner.push(data);
                }
                // Clients often do not ask again after the last frame.
                if self.inner.is_end_stream() {
                    self.end(Ending::Complete);
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        if let Some(prefix) = &self.prefix {
            let prefix = prefix.len() as u64;
            let upper = hint.upper().map(|upper| upper.saturating_add(prefix));
            let lower = hint.lower().saturating_add(prefix);
            hint = SizeHint::new();
            hint.set_lower(lower);
            if let Some(upper) = upper {
                hint.set_upper(upper);
            }
        }
        hint
    }
}

impl<B> Drop for SettleBody<B> {
    fn drop(&mut self) {
        self.end(Ending::Dropped);
    }
}

impl<B> fmt::Debug for SettleBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettleBody")
            .field("open", &self.tail.is_some())
            .finish_non_exhaustive()
    }
}

impl Tail {
    fn settle(self, ending: Ending) {
        let Self {
            trip,
            permit,
            dialect,
            scanner,
            stream,
        } = self;
        let Some(scan) = scanner.map(UsageScanner::finish) else {
            let reserved = *permit.reserved();
            permit.settle(&reserved, Source::Kept);
            trip.finish(&End {
                error: ending.error(),
                ..End::default()
            });
            return;
        };
        for warning in &scan.warnings {
            span::warn(&trip.call.span, warning);
        }
        let (used, reported) = used(&scan, dialect, ending, stream, trip.call.expected.input);
        let cost = scan.usage.as_ref().and_then(|usage| trip.call.cost(usage));
        let mut error = ending.error();
        if let Some(body_error) = &scan.error {
            let verdict = stream_verdict(body_error);
            error = Some(verdict.scope.as_str());
            if verdict.pauses_quota() {
                let pause = verdict
                    .retry_after
                    .unwrap_or_else(|| trip.exchange.first_delay());
                permit.pause(unit_of(verdict.scope), pause);
            }
        } else if ending == Ending::Complete && stream && !scan.complete {
            error = Some("cut_stream");
        }
        match used {
            Some(used) => {
                let amounts = trip.call.profile.rules.settle(&used, trip.call.cost(&used));
                trip.call
                    .span
                    .in_scope(|| permit.settle(&amounts, source(reported)));
            }
            None => {
                let reserved = *permit.reserved();
                trip.call
                    .span
                    .in_scope(|| permit.settle(&reserved, Source::Kept));
            }
        }
        if reported && let Some(usage) = &scan.usage {
            trip.exchange
                .estimator()
                .learn(&trip.call.descriptor, usage);
        }
        trip.finish(&End {
            usage: scan.usage,
            cost,
            scan: Some(&scan),
            error,
        });
    }
}

impl Ending {
    const fn error(self) -> Option<&'static str> {
        match self {
            Self::Complete => None,
            Self::Failed => Some("body"),
            Self::Dropped => Some("canceled"),
        }
    }
}

/// What to charge, and whether it is the provider's own final word. `None`: nobody knows, and the reservation is kept.
fn used(
    scan: &Scan,
    dialect: Dialect,
    ending: Ending,
    stream: bool,
    expected_input: u64,
) -> (Option<Usage>, bool) {
    // Three bytes to a token: most text has more, so this is against the caller.
    let passed = scan.text_bytes.div_ceil(3);
    match scan.usage {
        Some(usage) if scan.complete => (Some(usage), true),
        // The first event has the input, and a placeholder for the output; the last one never came.
        Some(usage) if stream && dialect == Dialect::Anthropic => (
            Some(Usage {
                output: usage.output.max(passed),
                ..usage
            }),
            false,
        ),
        Some(usage) => (Some(usage), false),
        // A stream shows what was generated; of a document cut short nobody knows how long it was.
        None if stream || ending == Ending::Complete => {
            (Some(Usage::new(expected_input, passed)), false)
        }
        None => (None, false),
    }
}
