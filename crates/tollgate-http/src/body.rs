//! `SettleBody`: passes a response's bytes on untouched and at once, and settles when they end, however they end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tollgate_gate::Source;
use tollgate_tokens::{Dialect, Framing, Scan, Usage, UsageScanner, Warning, stream_verdict};

use crate::{
    answer::unit_of,
    span,
    trip::{End, Trip},
};

/// The body of a response that went through an exchange.
///
/// It holds the call's permit until the last byte has passed, the inner body fails, or it is dropped: a stream keeps its
/// reservation for as long as it runs. Trailers, size hints and errors of the inner body pass through.
pub struct SettleBody<B: Body> {
    // What was read of an error response to judge it, to be passed on first.
    head: Option<Box<Head<B::Error>>>,
    inner: B,
    tail: Option<Box<Tail>>,
}

/// What happens at the end of the body.
struct Tail {
    trip: Trip,
    // None where the body cannot be read: compressed, or of an unknown format.
    scanner: Option<(Dialect, UsageScanner)>,
    stream: bool,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Complete,
    Failed,
    Dropped,
}

/// The beginning of a body that has been read already.
pub(crate) struct Head<E> {
    pub(crate) data: Bytes,
    /// Trailers, or the error at which the body broke off.
    last: Option<Result<Frame<Bytes>, E>>,
    /// Nothing comes after it, and the inner body must not be asked again.
    whole: bool,
}

impl<E> Head<E> {
    pub(crate) fn new(data: BytesMut, last: Option<Result<Frame<Bytes>, E>>, whole: bool) -> Self {
        Self {
            data: data.freeze(),
            last,
            whole,
        }
    }

    fn next(&mut self) -> Option<Result<Frame<Bytes>, E>> {
        if self.data.is_empty() {
            return self.last.take();
        }
        Some(Ok(Frame::data(std::mem::take(&mut self.data))))
    }
}

impl<B: Body> SettleBody<B> {
    /// A body whose call has been settled already.
    pub(crate) fn settled(head: Head<B::Error>, inner: B) -> Self {
        Self {
            head: Some(Box::new(head)),
            inner,
            tail: None,
        }
    }

    /// A body that settles the call.
    pub(crate) fn new(inner: B, headers: &HeaderMap, trip: Trip) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let framing = Framing::of(text(CONTENT_TYPE));
        let encoding = text(CONTENT_ENCODING).filter(|name| !name.eq_ignore_ascii_case("identity"));
        if let Some(encoding) = encoding {
            let encoding = coding(encoding).into();
            span::warn(&trip.call.span, &Warning::UnreadableEncoding { encoding });
        }
        let readable = trip.call.dialect.filter(|_| encoding.is_none());
        let conventions = trip.call.profile.conventions();
        let scanner = readable.map(|dialect| {
            let mut scanner = UsageScanner::new(dialect, framing).conventions(&conventions);
            scanner.read_head(headers);
            (dialect, scanner)
        });
        drop(conventions);
        // Google streams a list where the caller does not ask for events.
        let is_list = readable == Some(Dialect::Gemini) && trip.call.descriptor.stream;
        let tail = Tail {
            trip,
            scanner,
            stream: framing != Framing::Json || is_list,
        };
        let mut body = Self {
            head: None,
            inner,
            tail: Some(Box::new(tail)),
        };
        // Clients do not ask for an empty body.
        body.end_with_inner();
        body
    }

    fn end(&mut self, ending: Ending) {
        if let Some(tail) = self.tail.take() {
            tail.settle(ending);
        }
    }

    fn end_with_inner(&mut self) {
        if self.inner.is_end_stream() {
            self.end(Ending::Complete);
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
        if let Some(head) = &mut self.head {
            let next = head.next();
            if next.is_some() || head.whole {
                return Poll::Ready(next);
            }
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.end(Ending::Complete),
            Poll::Ready(Some(Err(_))) => self.end(Ending::Failed),
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(tail) = &mut self.tail
                    && let Some(data) = frame.data_ref()
                    && let Some((_, scanner)) = &mut tail.scanner
                {
                    scanner.push(data);
                }
                // Clients often do not ask again after the last frame.
                self.end_with_inner();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.head {
            Some(head) if !head.data.is_empty() || head.last.is_some() => false,
            Some(head) if head.whole => true,
            _ => self.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let Some(head) = &self.head else {
            return self.inner.size_hint();
        };
        let read = head.data.len() as u64;
        if head.whole && !matches!(head.last, Some(Err(_))) {
            return SizeHint::with_exact(read);
        }
        let rest = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

/// The error of an inner body, which may be kept here, is never pinned.
impl<B: Body + Unpin> Unpin for SettleBody<B> {}

impl<B: Body> Drop for SettleBody<B> {
    fn drop(&mut self) {
        self.end(Ending::Dropped);
    }
}

impl<B: Body> fmt::Debug for SettleBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettleBody")
            .field("open", &self.tail.is_some())
            .finish_non_exhaustive()
    }
}

impl Tail {
    fn settle(self, ending: Ending) {
        let Self {
            mut trip,
            scanner,
            stream,
        } = self;
        let span = trip.call.span.clone();
        let _in_span = span.enter();
        let Some((dialect, scanner)) = scanner else {
            return trip.finish(&End {
                error: ending.error(),
                ..End::default()
            });
        };
        let scan = scanner.finish();
        for warning in &scan.warnings {
            span::warn(&span, warning);
        }
        let mut error = match ending {
            // Clients let go of a body once its own terminator has come.
            Ending::Dropped if scan.complete => None,
            Ending::Complete if stream && !scan.complete => Some("cut_stream"),
            _ => ending.error(),
        };
        if let Some(body_error) = &scan.error {
            let verdict = stream_verdict(body_error);
            error = Some(verdict.scope.as_str());
            if verdict.pauses_quota() {
                let pause = verdict
                    .retry_after
                    .unwrap_or_else(|| trip.exchange.first_delay());
                trip.throttled(unit_of(verdict.scope), pause);
            }
        }
        match used(&scan, dialect, stream, trip.call.expected.input) {
            Some((used, source)) => {
                // First learned, then settled: whoever waits is then reserved by what this call has taught.
                if source == Source::Reported {
                    trip.learn(&used);
                }
                let charged = trip.call.charge(&used);
                trip.settle(&charged, source);
            }
            None => trip.keep(),
        }
        let cost = scan.usage.as_ref().and_then(|usage| trip.call.cost(usage));
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

/// The name of a content coding (IANA's registry, 2026), so that a warning tells nothing else that a header may hold.
fn coding(encoding: &str) -> &'static str {
    const NAMES: [&str; 6] = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress"];
    let named = NAMES
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(encoding));
    named.unwrap_or("unknown")
}

/// What to charge, and on whose word. `None`: nobody knows, and the reservation is kept.
fn used(
    scan: &Scan,
    dialect: Dialect,
    stream: bool,
    expected_input: u64,
) -> Option<(Usage, Source)> {
    // Three bytes to a token: most text has more, so this is against the caller.
    let passed = scan.text_bytes.div_ceil(3);
    match scan.usage {
        Some(usage) if scan.complete => Some((usage, Source::Reported)),
        // The first event has the input, and a placeholder for the output or what it was by then; the last one never came.
        Some(usage) if stream && dialect.reports_early() => {
            let output = usage.output.max(passed);
            Some((Usage { output, ..usage }, Source::Estimated))
        }
        Some(usage) => Some((usage, Source::Estimated)),
        // A stream shows what was generated, and so does a whole document; of one cut short nobody knows how long it was.
        None if stream || scan.complete => {
            Some((Usage::new(expected_input, passed), Source::Estimated))
        }
        None => None,
    }
}
