//! `Tollgate`: a service whose calls go through an exchange.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use tollgate_http::{Attempt, CallOptions, Exchange, Failure, SendError, SettleBody, Target};
use tower_service::Service;

/// A service that waits for its turn before each call, and settles each call from its response.
///
/// It is always ready: the gate is where calls wait, and the inner service is made ready only once a call has been admitted, so that
/// nothing of it is held in the meantime. Request bodies are read into memory whole, because their prompts have to be estimated and
/// because they may have to be sent again. [`CallOptions`] are taken from the request's extensions.
///
/// Errors are boxed: a refused call's can be downcast to [`tollgate_http::Refused`], all others are the inner service's own.
#[derive(Clone, Debug)]
pub struct Tollgate<S> {
    inner: S,
    exchange: Exchange,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<S> Tollgate<S> {
    pub(crate) const fn new(inner: S, exchange: Exchange) -> Self {
        Self { inner, exchange }
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for Tollgate<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    ReqB: Body + From<Bytes> + Send + 'static,
    ReqB::Data: Send,
    ReqB::Error: Into<BoxError>,
    ResB: Body<Data = Bytes> + Unpin + Send + 'static,
{
    type Response = Response<SettleBody<ResB>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let Self { inner, exchange } = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(Into::into)?.to_bytes();
            let options = parts
                .extensions
                .get::<CallOptions>()
                .cloned()
                .unwrap_or_default();
            let send = |attempt: Attempt| {
                let (mut inner, mut parts) = (inner.clone(), parts.clone());
                let body = attempt
                    .replace_body(&mut parts.headers)
                    .unwrap_or_else(|| body.clone());
                let request = Request::from_parts(parts, ReqB::from(body));
                async move {
                    poll_fn(|cx| inner.poll_ready(cx))
                        .await
                        .map_err(|error| SendError::by_cause(error.into()))?;
                    inner
                        .call(request)
                        .await
                        .map_err(|error| SendError::by_cause(error.into()))
                }
            };
            let target = Target::of(&parts.uri);
            exchange
                .run(target, Some(&body), true, &options, send)
                .await
                .map_err(|failure| match failure {
                    Failure::Refused(refused) => refused.into(),
                    Failure::Transport(error) => error,
                })
        })
    }
}
