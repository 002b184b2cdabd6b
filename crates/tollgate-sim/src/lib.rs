//! A simulated LLM provider that enforces its quotas over real HTTP.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tollgate_sim::Provider;
//!
//! // A minute of its time lasts a tenth of a second.
//! let server = Provider::preset("llama-api")?.speed(600).start()?;
//! println!("POST {}/v1/chat/completions", server.url());
//! assert_eq!(server.books().throttled, 0);
//! # Ok(())
//! # }
//! ```
//!
//! - [`provider`]: the quotas, pure code with time as an argument. It shares nothing with the limiter under test.
//! - [`optimum()`]: when a clairvoyant client could have placed the same calls.
//! - [`Provider`], [`Server`], [`Books`]: the HTTP edge, on a thread of its own.

mod builder;
mod server;

pub mod provider;

mod books;
pub mod optimum;
mod preset;
mod reply;
mod tokens;

mod edge;
mod wire;

mod clock;

pub use books::{Books, CallRecord, Ending, MOST_RECORDS, Tally};
pub use builder::{Builder, Faults, Provider, UnknownPreset};
pub use optimum::{NeverFits, optimum};
pub use preset::Model;
pub use reply::Latency;
pub use server::Server;
pub use tokens::tokens;
pub use wire::Dialect;
