//! `Scan`: what a response body said, and `BodyError`: an error that arrived inside a body of status 200.

use std::fmt;
use std::sync::Arc;

use crate::{Usage, Warning};

/// What was read from a response body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The usage that the provider reported. When `complete` is false its `output` is only a lower bound: Anthropic, for one, opens
    /// a stream with a placeholder of one output token and corrects it at the end.
    pub usage: Option<Usage>,
    /// The model that answered, which may differ from the one requested (aliases, fallbacks).
    pub model: Option<Arc<str>>,
    /// Why generation stopped, in the provider's own word. With several choices, the one reported last.
    pub finish_reason: Option<Arc<str>>,
    /// An error that the provider reported inside the body.
    pub error: Option<BodyError>,
    /// Whether the body's own terminator came.
    pub complete: bool,
    /// UTF-8 bytes of generated text that passed, reasoning and tool arguments included, JSON escapes resolved: what a call
    /// without usage is settled from.
    pub text_bytes: u64,
    /// The answer of a token counting endpoint, in tokens. Nothing was consumed, so it is no usage.
    pub counted: Option<u64>,
    /// What was odd in the body, each thing once.
    pub warnings: Vec<Warning>,
}

/// An error that a provider reported inside a body, most often in the middle of a stream with status 200.
///
/// `Debug` leaves the message out, because providers put organization names and parts of the request into it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BodyError {
    /// The provider's `type` of error, such as `overloaded_error` or `tokens`. At most 128 bytes.
    pub kind: Option<Arc<str>>,
    /// The provider's `code`, such as `rate_limit_exceeded`; a number is kept as its digits. At most 128 bytes.
    pub code: Option<Arc<str>>,
    /// The provider's sentence, cut at 512 bytes.
    pub message: Option<Arc<str>>,
}

impl fmt::Debug for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyError")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}
