//! Token accounting: reads what LLM providers say about usage, limits and errors.
//!
//! A call passes through this crate four times, and each time bytes become a value:
//!
//! | before sending | head of the response | body of the response | an error response |
//! | --- | --- | --- | --- |
//! | [`describe`] → [`Descriptor`] → [`Estimate`] | [`service_limits`], [`retry_after`] | [`UsageScanner`] → [`Scan`] → [`Usage`] | [`verdict`] |
//!
//! Beside them stands what is known without asking: the [`Catalog`] of providers, models, limits and prices.
//! Nothing here reads a clock, waits or does IO, and nothing here knows the limiter.
//!
//! ```
//! use tollgate_tokens::{Dialect, Framing, UsageScanner, describe};
//!
//! let request = br#"{"model":"gpt-4o-mini","max_tokens":50,"messages":[{"role":"user","content":"Seven?"}]}"#;
//! let call = describe(Some(Dialect::OpenAiChat), "/v1/chat/completions", request);
//! assert_eq!(call.output_cap, Some(50));
//!
//! // The body may arrive in pieces of any size; the scanner keeps none of it.
//! let mut scanner = UsageScanner::new(Dialect::OpenAiChat, Framing::Json);
//! scanner.push(br#"{"model":"gpt-4o-mini","usage":{"prompt_to"#);
//! scanner.push(br#"kens":9,"completion_tokens":2,"total_tokens":11}}"#);
//! let usage = scanner.finish().usage.expect("the body reports its usage");
//! assert_eq!((usage.input, usage.output, usage.total()), (9, 2, 11));
//! ```

// What a call is, and what it took.
mod descriptor;
mod dialect;
mod usage;

// Reading a response as it streams past.
mod base64;
mod event_stream;
mod image;
mod json;
mod number;
mod scanner;
mod sse;

// Reading heads and errors.
mod retry_after;
mod service_limit;
mod verdict;

// What is known without asking.
mod catalog;
mod count;
mod estimate;
mod price;

pub use catalog::{
    AnchorName, Bounds, Catalog, CatalogError, ChargeName, ChargeRules, Model, OutputRule,
    PolicySpec, Provider, ShapeName, SpentRule, Tier, TimeSpan, WindowSpec,
};
pub use count::CountTokens;
#[cfg(feature = "bpe-openai")]
pub use count::OpenAiTokens;
#[cfg(feature = "tokenizers")]
pub use count::{TokenizerError, TokenizerFile};
pub use descriptor::{Descriptor, Operation, TextKinds, describe, describe_as, lower_output_cap};
pub use dialect::{Conventions, Counted, Dialect, StreamUsage};
pub use estimate::{Estimate, Estimator, InFlight, LearnedError, OutputLimits};
pub use price::{Cost, LongPrice, Price, PriceUnknown, UnknownPrice};
pub use retry_after::retry_after;
pub use scanner::{BodyError, Framing, Scan, UsageScanner};
pub use service_limit::{ServiceLimit, service_limits};
pub use usage::{Billed, Usage, Warning};
pub use verdict::{Scope, Verdict, stream_verdict, verdict};
