//! A tower layer that gates calls to LLM providers.
//!
//! ```no_run
//! # fn exchange() -> tollgate_http::Exchange { unimplemented!() }
//! use http_body_util::Full;
//! use tollgate_tower::TollgateLayer;
//! use tower::{ServiceBuilder, ServiceExt as _};
//!
//! # async fn run(client: tower::util::BoxCloneService<http::Request<Full<bytes::Bytes>>, http::Response<Full<bytes::Bytes>>, std::io::Error>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let client = ServiceBuilder::new().layer(TollgateLayer::new(exchange())).service(client);
//! let response = client.oneshot(http::Request::post("https://api.llama.com/v1/chat/completions").body(Full::from("{}"))?).await?;
//! # Ok(())
//! # }
//! ```

mod layer;
mod service;

pub use layer::TollgateLayer;
pub use service::Tollgate;
