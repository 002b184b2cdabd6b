//! `TollgateLayer`: puts an exchange around a service.

use tollgate_http::Exchange;
use tower_layer::Layer;

use crate::Tollgate;

/// Gates every call of the services it is put around. They share one gate, however often the layer or a service is cloned.
#[derive(Clone, Debug)]
pub struct TollgateLayer {
    exchange: Exchange,
}

impl TollgateLayer {
    /// A layer over `exchange`.
    #[must_use]
    pub const fn new(exchange: Exchange) -> Self {
        Self { exchange }
    }
}

impl<S> Layer<S> for TollgateLayer {
    type Service = Tollgate<S>;

    fn layer(&self, inner: S) -> Tollgate<S> {
        Tollgate::new(inner, self.exchange.clone())
    }
}
