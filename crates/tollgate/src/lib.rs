//! Embeddable async middleware for programs that call LLM APIs: use all of the quota you pay for, and none beyond.
//!
//! Put [`Tollgate`] around the HTTP client you have. From then on every call waits its turn at the gate, its tokens are reserved before
//! it is sent and settled from the usage that the response reports, and a 429 pauses the quota and backs off as the provider asked.
#![cfg_attr(
    feature = "reqwest",
    doc = r#"
```no_run
# async fn run() -> Result<(), Box<dyn std::error::Error>> {
use tollgate::Tollgate;

let client = reqwest::Client::new();
let client = Tollgate::preset("meta-llama")?.build()?.wrap(client);
let response = client.post("https://api.llama.com/v1/chat/completions").body("...").send().await?;
# Ok(())
# }
```
"#
)]
//!
//! | want | see |
//! | --- | --- |
//! | other limits than the catalog's, budgets, retries | [`Builder`], or a `tollgate.toml` with [`Tollgate::from_toml`] |
//! | a tower client | feature `tower`, `Tollgate::layer` |
//! | budgets that outlive a restart, and who used what | feature `journal`, `Builder::journal` |
//! | metrics and spans | feature `otel`, `otel::OtelRecorder` |
//! | tenant, priority, deadline or estimate of one call | [`CallOptions`] in the request's extensions |
//! | what became of a call | [`Report`] in the response's extensions, [`Refused`] as the error |
//! | exact token counts, and what was learned kept for the next run | [`Builder::estimator`], [`Builder::learned`], [`Tollgate::save_learned`] |
//! | no HTTP at all | [`gate::Gate`] |

mod builder;
mod calendar;
mod config;
mod error;
mod learned;
mod lessons;
mod policy;
mod waiting;

pub use builder::{Builder, Tollgate};
pub use error::ConfigError;
pub use tollgate_http::{
    CallOptions, Exchange, Priority, Refused, Report, Schedule, Settings, SettleBody,
};

pub use tollgate_gate as gate;
pub use tollgate_http as http;
#[cfg(feature = "journal")]
pub use tollgate_journal as journal;
pub use tollgate_limits as limits;
#[cfg(feature = "otel")]
pub use tollgate_otel as otel;
pub use tollgate_tokens as tokens;

// The README's examples are compiled as a user would write them.
#[cfg(all(doctest, feature = "reqwest", feature = "tower", feature = "otel"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
