//! `Evidence`: one error response, and the order in which its signs are weighed.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tollgate_limits::Unit;

use super::body::ErrorBody;
use super::words::{self, Figures};
use super::{Scope, Verdict};
use crate::retry_after::{date, span_until};
use crate::{Dialect, ServiceLimit};

/// What one error response says.
pub(super) struct Evidence<'a> {
    pub(super) dialect: Option<Dialect>,
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a ErrorBody,
    pub(super) limits: &'a [ServiceLimit],
    /// What `Retry-After` asks for.
    pub(super) asked: Option<Duration>,
}

/// Error types and codes that mean money (OpenAI, Anthropic, xAI; 2026).
const BILLING_WORDS: [&str; 9] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_error",
    "enforced_spend_limit_reached",
    "personal-team-blocked:spending-limit",
];

/// Sentences that mean money where type and code do not tell (xAI, Anthropic, DeepSeek, Cohere's trial keys).
const BILLING_PHRASES: [&str; 7] = [
    "used all available credits",
    "monthly spending limit",
    "you have reached your specified api usage limits",
    "you have reached your specified workspace api usage limits",
    "you have reached your api usage limits",
    "insufficient balance",
    "calls / month",
];

/// Types and codes of an overloaded provider (Anthropic, OpenAI, OpenAI's flex tier, Mistral).
const CAPACITY_WORDS: [&str; 6] = [
    "overloaded_error",
    "server_is_overloaded",
    "slow_down",
    "resource_unavailable",
    "service_tier_capacity_exceeded",
    "3505",
];

/// Sentences that mean trouble at the provider under any status (Cohere).
const CAPACITY_PHRASES: [&str; 1] = ["no_valid_response_generated"];

/// Sentences of a prompt that does not fit (OpenAI and vLLM, Anthropic, llama.cpp, Gemini, Bedrock; 2026).
const TOO_LONG_PHRASES: [&str; 5] = [
    "maximum context length",
    "prompt is too long",
    "available context size",
    "exceeds the maximum number of tokens",
    "input is too long for requested model",
];

impl Evidence<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        let figures = Figures::read(&self.body.message);
        let scope = self.scope(&figures);
        let wait = self.wait(scope, &figures);
        let retryable = match scope {
            Scope::Requests | Scope::InputTokens | Scope::OutputTokens | Scope::Tokens => true,
            Scope::Concurrency | Scope::ProviderCapacity | Scope::Upstream | Scope::Unknown => true,
            // A day may refill bit by bit (OpenAI, Groq), and then the response says how long the next bit takes. Google's does not: its
            // own client gives up, whatever the response says.
            Scope::Day => wait.is_some() && self.body.google.quota.is_empty(),
            Scope::Billing | Scope::NeverFits | Scope::Auth | Scope::BadRequest => false,
        };
        Verdict {
            retryable,
            scope,
            retry_after: wait,
            limit: self.limit(scope, &figures),
            warnings: Vec::new(),
        }
    }

    /// Money and size first: they are final under any status. Then trouble that is not ours, which some providers also report as 429.
    fn scope(&self, figures: &Figures) -> Scope {
        if self.is_billing() {
            return Scope::Billing;
        }
        if self.never_fits(figures) {
            return Scope::NeverFits;
        }
        let errortype = self.header("x-amzn-errortype");
        match self.status {
            429 => self.throttled(),
            _ if errortype.starts_with("ThrottlingException") => self.throttled(),
            401 | 403 => Scope::Auth,
            503 if self.is_crowded() => Scope::Concurrency,
            // 408, 409 and 425 are what SDKs retry; 424 is Bedrock's for a model that failed; 499 and 503 are one to Google's own client.
            // 501 and 505 stay as they are.
            408 | 409 | 424 | 425 | 499 | 500 | 502..=504 | 506.. => Scope::ProviderCapacity,
            501 | 505 => Scope::BadRequest,
            _ if self.body.is(&CAPACITY_WORDS) || self.body.says(&CAPACITY_PHRASES) => {
                Scope::ProviderCapacity
            }
            _ => Scope::BadRequest,
        }
    }

    fn is_billing(&self) -> bool {
        let (body, google) = (self.body, &self.body.google);
        if self.status == 402 || body.is(&BILLING_WORDS) {
            return true;
        }
        if !matches!(self.status, 400 | 403 | 429) {
            return false;
        }
        let none_at_all = self.status == 429
            && (google.limit == Some(0)
                || names_limit_zero(&body.message)
                || self.has_no_allocation());
        none_at_all || body.says(&BILLING_PHRASES)
    }

    /// Mistral's answer to accounts that have no access (seen in 2026). What a zero means at other servers is nowhere documented.
    fn has_no_allocation(&self) -> bool {
        self.limits
            .iter()
            .any(|limit| limit.name == "req-minute" && limit.limit == Some(0))
    }

    fn never_fits(&self, figures: &Figures) -> bool {
        match self.status {
            413 => true,
            429 => figures.never_fits() || self.body.says(&["request too large"]),
            400 => {
                self.body
                    .is(&["context_length_exceeded", "exceed_context_size_error"])
                    || self.body.says(&TOO_LONG_PHRASES)
            }
            _ => false,
        }
    }

    /// Which limit a 429 is about.
    fn throttled(&self) -> Scope {
        let body = self.body;
        if body.html
            || self.is_bare()
            || body.limit_source.contains("shared")
            || body.limit_source.contains("upstream")
        {
            return Scope::Upstream;
        }
        if body.says(&["provider returned error", "rate-limited upstream"]) {
            return Scope::Upstream;
        }
        if body.is(&CAPACITY_WORDS)
            || body.google.reason == "model_capacity_exhausted"
            || body.kind.ends_with("#temporary-reduced-capacity")
            || self
                .header("x-amzn-errortype")
                .starts_with("ModelNotReadyException")
            || body.says(&["overloaded"])
        {
            return Scope::ProviderCapacity;
        }
        if self.is_daily() {
            return Scope::Day;
        }
        if self.is_crowded() {
            return Scope::Concurrency;
        }
        self.named_unit()
            .or_else(|| self.empty_unit())
            .unwrap_or(Scope::Unknown)
    }

    /// Not a word, neither in the body nor in the headers: at OpenAI this comes from an edge proxy and not from a quota (seen in 2026).
    fn is_bare(&self) -> bool {
        self.dialect == Some(Dialect::OpenAiChat)
            && self.body.empty
            && self.limits.is_empty()
            && self.asked.is_none()
    }

    fn is_daily(&self) -> bool {
        let quota = &self.body.google.quota;
        quota.contains("perday")
            || quota.contains("daily")
            || self.body.limit_source.contains("daily")
            || self.body.says(&[
                "per day",
                "per-day",
                "(rpd)",
                "(tpd)",
                "limit_rpd",
                "daily limit",
                "daily quota",
            ])
    }

    fn is_crowded(&self) -> bool {
        self.body.says(&["concurren", "maximum pending requests"])
    }

    /// The unit that type, code, quota or message names. Tokens before requests: sentences about tokens also speak of the request.
    fn named_unit(&self) -> Option<Scope> {
        let body = self.body;
        match () {
            () if body.is(&["tokens", "dynamic_token_limited"]) => return Some(Scope::Tokens),
            () if body.is(&["requests", "dynamic_request_limited"]) => {
                return Some(Scope::Requests);
            }
            () => {}
        }
        let policy = self.header("policy-id").to_lowercase(); // Azure: `DeploymentRatelimit-Token`.
        [policy.as_str(), &body.google.quota, &body.message]
            .into_iter()
            .find_map(|text| {
                let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
                match () {
                    () if has(&["input token", "input_token", "inputtoken", "(itpm)"]) => {
                        Some(Scope::InputTokens)
                    }
                    () if has(&["output token", "output_token", "outputtoken", "(otpm)"]) => {
                        Some(Scope::OutputTokens)
                    }
                    () if has(&["token", "(tpm)"]) => Some(Scope::Tokens),
                    () if has(&["request", "api call", "(rpm)", "limit_rpm", "per-min"]) => {
                        Some(Scope::Requests)
                    }
                    () => None,
                }
            })
    }

    /// The unit of the limit of which nothing is left.
    fn empty_unit(&self) -> Option<Scope> {
        let empty = self
            .limits
            .iter()
            .find(|limit| limit.remaining == Some(0))?;
        Some(match empty.unit {
            Unit::Requests => Scope::Requests,
            Unit::InputTokens => Scope::InputTokens,
            Unit::OutputTokens => Scope::OutputTokens,
            Unit::Concurrency => Scope::Concurrency,
            _ => Scope::Tokens,
        })
    }

    /// How long to wait: what the headers ask for, else what the body does, else what its figures come to.
    fn wait(&self, scope: Scope, figures: &Figures) -> Option<Duration> {
        if matches!(
            scope,
            Scope::Billing | Scope::NeverFits | Scope::Auth | Scope::BadRequest
        ) {
            return None;
        }
        let google = &self.body.google;
        if scope == Scope::Day && !google.quota.is_empty() {
            // Google sends a delay of seconds even when a day's quota is used up. Days end at midnight Pacific time.
            return date(self.headers).and_then(until_midnight_pacific);
        }
        // Google cuts the structured delay down to whole seconds, while the sentence has the decimals: the larger is right.
        let in_body = || google.delay.max(words::wait(&self.body.message));
        let computed = || {
            let per_minute = self.body.says(&["per min", "(tpm)", "(rpm)"]);
            figures.wait(Duration::from_secs(60)).filter(|_| per_minute)
        };
        // A time to full says nothing about the next call; only a time to *more* does.
        let reset = || {
            let empty = self
                .limits
                .iter()
                .filter(|limit| limit.remaining == Some(0) && !limit.reset_is_full);
            empty.filter_map(|limit| limit.reset).max()
        };
        let epoch = || {
            let then = Timestamp::from_millisecond(self.body.reset_epoch_ms?).ok()?;
            Some(span_until(then, date(self.headers)?))
        };
        self.asked
            .or_else(in_body)
            .or_else(computed)
            .or_else(reset)
            .or_else(epoch)
    }

    /// The figure in the message is the limit that was hit; headers may show another one.
    fn limit(&self, scope: Scope, figures: &Figures) -> Option<u64> {
        let unit = match scope {
            Scope::Requests => Unit::Requests,
            Scope::InputTokens => Unit::InputTokens,
            Scope::OutputTokens => Unit::OutputTokens,
            Scope::Tokens => Unit::TotalTokens,
            Scope::Concurrency => Unit::Concurrency,
            Scope::NeverFits | Scope::Day => return figures.limit.or(self.body.google.limit),
            Scope::Billing if self.has_no_allocation() => return Some(0),
            Scope::Billing => return self.body.google.limit,
            _ => return None,
        };
        let header = || {
            self.limits
                .iter()
                .find(|limit| limit.unit == unit)
                .and_then(|limit| limit.limit)
                .filter(|&limit| limit > 0)
        };
        figures.limit.or(self.body.google.limit).or_else(header)
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// The time to the next midnight of the time zone in which Google counts days. The rule for its clock changes is that of the United
/// States since 2007, so that no time zone database is needed.
fn until_midnight_pacific(now: Timestamp) -> Option<Duration> {
    let zone = TimeZone::posix("PST8PDT,M3.2.0,M11.1.0").ok()?;
    let midnight = now.to_zoned(zone).tomorrow().ok()?.start_of_day().ok()?;
    Some(span_until(midnight.timestamp(), now))
}

/// Google's `limit: 0`, which is no allocation; not `limit: 0.5`.
fn names_limit_zero(message: &str) -> bool {
    message.match_indices("limit: 0").any(|(at, found)| {
        !message[at + found.len()..].starts_with(|c: char| c.is_ascii_digit() || c == '.')
    })
}
