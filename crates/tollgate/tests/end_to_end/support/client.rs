//! The two clients of a user: reqwest's, and hyper's own behind tower, each with one layer more.

use bytes::Bytes;
use http::Request;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use tollgate::{CallOptions, Report, Tollgate};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt as _};

use super::Wire;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

type TowerResponse = http::Response<UnsyncBoxBody<Bytes, BoxError>>;

/// A client behind a gate.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    Reqwest(reqwest_middleware::ClientWithMiddleware),
    Tower(BoxCloneSyncService<Request<Full<Bytes>>, TowerResponse, BoxError>),
}

/// The head of an answer, and its body to come.
#[derive(Debug)]
pub(crate) enum Reply {
    Reqwest(reqwest::Response),
    Tower(TowerResponse),
}

impl Client {
    /// reqwest's client.
    pub(crate) fn reqwest(tollgate: &Tollgate) -> Self {
        Self::Reqwest(tollgate.wrap(reqwest::Client::new()))
    }

    /// hyper-util's client, a tower service.
    pub(crate) fn tower(tollgate: &Tollgate) -> Self {
        let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let client = ServiceBuilder::new()
            .map_response(boxed)
            .layer(tollgate.layer())
            .service(client);
        Self::Tower(BoxCloneSyncService::new(client))
    }

    /// One of each, behind the same gate.
    pub(crate) fn both(tollgate: &Tollgate) -> [Self; 2] {
        [Self::reqwest(tollgate), Self::tower(tollgate)]
    }

    /// Sends a call and returns the head of its answer.
    pub(crate) async fn send(&self, wire: &Wire, options: CallOptions) -> Result<Reply, BoxError> {
        let Wire { url, headers, body } = wire.clone();
        match self {
            Self::Reqwest(client) => {
                let request = client.post(url).body(body).with_extension(options);
                let request = headers.into_iter().fold(request, |request, (name, value)| {
                    request.header(name, value)
                });
                Ok(Reply::Reqwest(request.send().await?))
            }
            Self::Tower(client) => {
                let request = Request::post(url).extension(options);
                let request = headers.into_iter().fold(request, |request, (name, value)| {
                    request.header(name, value)
                });
                let response = client
                    .clone()
                    .oneshot(request.body(Full::new(body))?)
                    .await?;
                Ok(Reply::Tower(response))
            }
        }
    }
}

fn boxed<B>(response: http::Response<B>) -> TowerResponse
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    response.map(|body| UnsyncBoxBody::new(body.map_err(Into::into)))
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Reqwest(response) => response.status().as_u16(),
            Self::Tower(response) => response.status().as_u16(),
        }
    }

    pub(crate) fn report(&self) -> Option<Report> {
        match self {
            Self::Reqwest(response) => response.extensions().get().cloned(),
            Self::Tower(response) => response.extensions().get().cloned(),
        }
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BoxError> {
        match self {
            Self::Reqwest(response) => Ok(response.chunk().await?),
            Self::Tower(response) => loop {
                match response.body_mut().frame().await.transpose()? {
                    None => return Ok(None),
                    Some(frame) => {
                        if let Ok(data) = frame.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            },
        }
    }
}
