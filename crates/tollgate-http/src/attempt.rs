//! `Attempt` and `SendError`: what the inner client is asked for, and what it says when no response came.

use std::error::Error;
use std::io;
use std::io::ErrorKind;
use std::iter::successors;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use crate::trip::Trip;

/// One send of a call, as the inner client is asked for it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// 1 for the first.
    pub ordinal: u32,
    /// The body to send instead of the caller's, where its output cap has been lowered.
    pub body: Option<Bytes>,
}

impl Attempt {
    /// The body to send instead of the caller's, if there is one; a length that the headers name is that of the body then.
    #[must_use]
    pub fn replace_body(self, headers: &mut HeaderMap) -> Option<Bytes> {
        let body = self.body?;
        if let Some(length) = headers.get_mut(CONTENT_LENGTH) {
            *length = body.len().into();
        }
        Some(body)
    }
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

impl SendError<Box<dyn Error + Send + Sync>> {
    /// Judges an error of a client that is not known more closely, by the IO error at its root: a refused connection was not sent, a
    /// broken one may have been; both may be tried again, anything else not.
    #[must_use]
    pub fn by_cause(error: Box<dyn Error + Send + Sync>) -> Self {
        let io = successors(Some(&*error as &(dyn Error + 'static)), |error| {
            cause(*error)
        })
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .last()
        .map(io::Error::kind);
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

impl<E> SendError<E> {
    /// Ends the reservation of the attempt: what was never sent is given back, anything else is charged whole.
    pub(crate) fn settle(&self, trip: &mut Trip) {
        if self.sent {
            trip.keep();
        } else {
            trip.release();
        }
    }
}

/// What an error was made of. An IO error that wraps another error skips it in `source`.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
