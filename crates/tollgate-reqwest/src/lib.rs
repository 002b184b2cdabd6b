//! A reqwest middleware that gates calls to LLM providers.

mod middleware;

pub use middleware::TollgateMiddleware;
