//! `TollgateMiddleware`: an exchange between `reqwest-middleware` and the client.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Body, Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::{Error, Middleware, Next, Result};
use tollgate_http::{Attempt, CallOptions, Exchange, Failure, SendError, SettleBody, Target};

/// Waits for its turn before each call, and settles each call from its response.
///
/// Put it last, nearest to the client, so that every attempt of a retrying middleware before it is gated too; better still, leave
/// retries to it. [`CallOptions`] are taken from the request's extensions (`RequestBuilder::with_extension`). A request whose body is a
/// stream cannot be read: it counts as one request, and is never sent again.
///
/// The URL in an error of the client has its query and user taken out, where keys can be. A refused call gives `reqwest_middleware::Error::Middleware`, which can be downcast to [`tollgate_http::Refused`]; all other errors
/// are the inner client's own.
#[derive(Clone, Debug)]
pub struct TollgateMiddleware {
    exchange: Exchange,
}

impl TollgateMiddleware {
    /// A middleware over `exchange`.
    #[must_use]
    pub const fn new(exchange: Exchange) -> Self {
        Self { exchange }
    }
}

#[async_trait]
impl Middleware for TollgateMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let options = extensions.get::<CallOptions>().cloned().unwrap_or_default();
        let url = request.url().clone();
        let target = Target {
            host: url.host_str().unwrap_or_default(),
            port: url.port(),
            path: url.path(),
        };
        // The copy is what further attempts are cloned from; a body that cannot be cloned cannot be read either.
        let copy = request.try_clone();
        let body = copy
            .as_ref()
            .and_then(Request::body)
            .and_then(Body::as_bytes);

        // Each attempt starts from the caller's extensions; those of the last one are handed back.
        let mut first = Some(request);
        let original = &*extensions;
        let seen = Mutex::new(None);
        let send = |attempt: Attempt| {
            let request = first
                .take()
                .or_else(|| copy.as_ref().and_then(Request::try_clone));
            let (next, mut extensions, seen) = (next.clone(), original.clone(), &seen);
            async move {
                let Some(mut request) = request else {
                    unreachable!("a request that cannot be cloned is sent once");
                };
                if let Some(body) = attempt.replace_body(request.headers_mut()) {
                    *request.body_mut() = Some(body.into());
                }
                let result = next.run(request, &mut extensions).await;
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(extensions);
                result.map(unwrap).map_err(judge)
            }
        };
        let outcome = self
            .exchange
            .run(target, body, copy.is_some(), &options, send)
            .await;
        if let Some(seen) = seen.into_inner().unwrap_or_else(PoisonError::into_inner) {
            *extensions = seen;
        }
        match outcome {
            Ok(response) => Ok(Response::from(
                response.map(|body: SettleBody<Body>| Body::wrap(body)),
            )),
            Err(Failure::Refused(refused)) => Err(Error::middleware(refused)),
            Err(Failure::Transport(error)) => Err(error),
        }
    }
}

/// The response as the exchange takes it. Its URL, which reqwest keeps apart, goes along in the extensions.
fn unwrap(response: Response) -> http::Response<Body> {
    let carrier = http::Response::builder()
        .url(response.url().clone())
        .body(())
        .map(|carrier| carrier.into_parts().0.extensions);
    let mut response = http::Response::<Body>::from(response);
    response
        .extensions_mut()
        .extend(carrier.unwrap_or_default());
    response
}

/// Says whether the request may have been sent and whether to try again, and takes out of the error what may be a secret: the user
/// and the query of its URL, where some providers want the key.
fn judge(mut error: Error) -> SendError<Error> {
    let (sent, retryable) = match &mut error {
        Error::Reqwest(error) => {
            if let Some(url) = error.url_mut() {
                url.set_query(None);
                // A URL that cannot have a user has none to hide.
                let _ = url.set_username("").and_then(|()| url.set_password(None));
            }
            match (error.is_connect(), error.is_builder()) {
                (true, _) => (false, true),
                (_, true) => (false, false),
                // The connection broke before an answer came; a time-out is the caller's own word that it waited enough.
                _ => (true, error.is_request() && !error.is_timeout()),
            }
        }
        Error::Middleware(_) => (true, false),
    };
    SendError {
        error,
        sent,
        retryable,
    }
}
