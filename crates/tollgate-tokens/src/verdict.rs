//! `Verdict`: what an error response means for the call and for the quota.

mod body;
mod classify;
mod words;

use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::retry_after::RETRY_AFTER_MS;
use crate::{BodyError, Dialect, Warning, retry_after, service_limits};
use body::ErrorBody;
use classify::Evidence;

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// A limit on requests.
    Requests,
    /// A limit on input tokens.
    InputTokens,
    /// A limit on output tokens.
    OutputTokens,
    /// A limit on tokens of both kinds, or of an unnamed kind.
    Tokens,
    /// Too many calls at the same time, or a full queue.
    Concurrency,
    /// Money: credit used up, a spending limit, an account without allocation. Waiting does not help.
    Billing,
    /// The call is larger than a limit, so waiting does not help.
    NeverFits,
    /// The provider is in trouble or overloaded. The caller's own quota is not concerned.
    ProviderCapacity,
    /// A limit that belongs to someone between: a shared pool behind a router, an edge proxy. The caller's own quota is not concerned.
    Upstream,
    /// A limit per day.
    Day,
    /// The credentials or their rights.
    Auth,
    /// The request itself.
    BadRequest,
    /// Status 429 without a word on what was exceeded.
    Unknown,
}

impl Scope {
    /// The scope's name in telemetry and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Tokens => "tokens",
            Self::Concurrency => "concurrency",
            Self::Billing => "billing",
            Self::NeverFits => "never_fits",
            Self::ProviderCapacity => "provider_capacity",
            Self::Upstream => "upstream",
            Self::Day => "day",
            Self::Auth => "auth",
            Self::BadRequest => "bad_request",
            Self::Unknown => "unknown",
        }
    }
}

/// What an error response means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the same call may succeed later. `false` is final for this call.
    pub retryable: bool,
    /// What stands in the way.
    pub scope: Scope,
    /// The least time to wait, where the response tells it.
    pub retry_after: Option<Duration>,
    /// The limit that was hit, in units of the scope, where the response tells it. Zero: the account has no allocation.
    pub limit: Option<u64>,
    /// What in the response made no sense.
    pub warnings: Vec<Warning>,
}

impl Verdict {
    /// Whether the quota itself is used up, so that every call under it must pause and not only this one. Not so for trouble at the
    /// provider, for limits of others, and for calls that can never succeed.
    #[must_use]
    pub const fn pauses_quota(&self) -> bool {
        matches!(
            self.scope,
            Scope::Requests
                | Scope::InputTokens
                | Scope::OutputTokens
                | Scope::Tokens
                | Scope::Day
                | Scope::Unknown
        )
    }
}

/// What an error response means: its status, headers and body (as much of it as is at hand; none is a legal body).
///
/// Meant for status 400 and above; a lower one is taken for a bad request. Nothing is retried that has begun to reach the caller: that
/// rule, and how long to wait where the response does not say, belong to the caller.
///
/// The header `x-should-retry` (OpenAI, Anthropic) overrides what the status says, but not a limit of money or size: there a retry
/// cannot succeed, whatever the header says.
#[must_use]
pub fn verdict(
    dialect: Option<Dialect>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Verdict {
    let evidence = Evidence {
        dialect,
        status: status.as_u16(),
        headers,
        body: &ErrorBody::read(body),
        limits: &service_limits(dialect, None, headers).0,
        asked: retry_after(headers),
    };
    let mut verdict = evidence.verdict();
    let told = headers
        .get("x-should-retry")
        .and_then(|value| match value.as_bytes() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        });
    if let Some(told) = told
        && !matches!(verdict.scope, Scope::Billing | Scope::NeverFits)
    {
        verdict.retryable = told;
    }
    if evidence.asked.is_none() {
        for name in [RETRY_AFTER_MS, RETRY_AFTER.as_str()] {
            if headers.contains_key(name) {
                verdict
                    .warnings
                    .push(Warning::MalformedHeader { name: name.into() });
            }
        }
    }
    verdict
}

/// What an error inside a response of status 200 means, mostly one in the middle of a stream. The kinds of error are told apart by
/// words that the dialects do not use differently. An error of unknown kind counts as trouble at the provider.
#[must_use]
pub fn stream_verdict(error: &BodyError) -> Verdict {
    let word = |word: &Option<Arc<str>>| word.as_deref().unwrap_or_default().to_lowercase();
    let body = ErrorBody::of_words(word(&error.kind), word(&error.code), word(&error.message));
    Evidence {
        dialect: None,
        status: body.implied_status(),
        headers: &HeaderMap::new(),
        body: &body,
        limits: &[],
        asked: None,
    }
    .verdict()
}
