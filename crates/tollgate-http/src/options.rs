//! `CallOptions`: what a caller can say about one call; travels in the request's extensions.

use std::sync::Arc;
use std::time::Duration;

use tollgate_gate::Labels;
pub use tollgate_gate::Priority;

/// Per-call options, to be inserted into the request's extensions. Everything has a default.
///
/// ```
/// use std::time::Duration;
/// use tollgate_http::CallOptions;
///
/// let options = CallOptions::new().tenant("search").within(Duration::from_secs(20));
/// # let mut extensions = http::Extensions::new();
/// extensions.insert(options);
/// ```
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    pub(crate) labels: Vec<(Arc<str>, Arc<str>)>,
    pub(crate) within: Option<Duration>,
    pub(crate) priority: Priority,
    pub(crate) estimate: Option<(u64, u64)>,
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) attempts: Option<u32>,
    pub(crate) lower_output_cap: Option<bool>,
    pub(crate) route: Option<Arc<str>>,
}

impl CallOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whose call it is; policies can be partitioned by it.
    #[must_use]
    pub fn tenant(self, tenant: impl Into<Arc<str>>) -> Self {
        self.label("tenant", tenant)
    }

    /// The session that it belongs to; policies with the window `session` count each apart.
    #[must_use]
    pub fn session(self, session: impl Into<Arc<str>>) -> Self {
        self.label("session", session)
    }

    /// Any other label that policies match on or partition by. It reaches telemetry, so it must not be a secret.
    #[must_use]
    pub fn label(mut self, label: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.labels.push((label.into(), value.into()));
        self
    }

    /// Refuses the call if it cannot be admitted within this span of its start, retries included; an error response whose delay goes
    /// beyond it is handed over at once. Does not bound the answer itself: that is the client's own timeout. Zero admits only what
    /// fits now.
    #[must_use]
    pub const fn within(mut self, span: Duration) -> Self {
        self.within = Some(span);
        self
    }

    /// Goes before calls of lower priority that wait for the same quota.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Reserves exactly so many input and output tokens instead of an estimate.
    #[must_use]
    pub const fn estimate(mut self, input: u64, output: u64) -> Self {
        self.estimate = Some((input, output));
        self
    }

    /// The catalog's name of the provider, for a host that the catalog does not know, such as a proxy.
    #[must_use]
    pub fn provider(mut self, name: impl Into<Arc<str>>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// The model, for calls whose body does not name it.
    #[must_use]
    pub fn model(mut self, name: impl Into<Arc<str>>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// Names calls whose answers are about as long as each other's, such as `"summary"`: how much output to reserve is learned for each
    /// route on its own. It is kept with what is learned, so it must not be a secret. A model's 16 routes used last are remembered. Default:
    /// one route for all calls of an operation.
    #[must_use]
    pub fn route(mut self, name: impl Into<Arc<str>>) -> Self {
        self.route = Some(name.into());
        self
    }

    /// Times it may be sent in all; 1 never retries. Default: as the exchange is set up.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Whether its output cap may be lowered to what is left. Default: as the exchange is set up.
    #[must_use]
    pub const fn lower_output_cap(mut self, lower: bool) -> Self {
        self.lower_output_cap = Some(lower);
        self
    }

    pub(crate) fn label_into(&self, labels: Labels) -> Labels {
        self.labels.iter().fold(labels, |labels, (label, value)| {
            labels.with(label.clone(), value.clone())
        })
    }
}
