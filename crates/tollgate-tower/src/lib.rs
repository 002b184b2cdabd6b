//! A tower layer that gates calls to LLM providers.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use bytes::Bytes;
//! use http_body_util::{BodyExt as _, Full};
//! use tollgate_gate::{Gate, Plan};
//! use tollgate_http::{Exchange, Settings};
//! use tollgate_tokens::Catalog;
//! use tollgate_tower::TollgateLayer;
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let gate = Gate::new(Plan::default());
//! let exchange = Exchange::new(gate.clone(), Catalog::builtin(), &BTreeMap::new(), Settings::default());
//! // Any client whose requests and responses are those of the `http` crate.
//! let client = service_fn(|request: http::Request<Full<Bytes>>| async move {
//!     Ok::<_, std::io::Error>(http::Response::new(request.into_body()))
//! });
//! let client = ServiceBuilder::new().layer(TollgateLayer::new(exchange)).service(client);
//! let request = http::Request::post("https://api.llama.com/v1/chat/completions").body(Full::from("{}"))?;
//! let response = client.oneshot(request).await?;
//! assert_eq!(gate.open_reservations(), 1, "the response's body holds the reservation");
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "{}");
//! assert_eq!(gate.open_reservations(), 0);
//! # Ok(())
//! # }
//! ```

mod layer;
mod service;

pub use layer::TollgateLayer;
pub use service::Tollgate;
