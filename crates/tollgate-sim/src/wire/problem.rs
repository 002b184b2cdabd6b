//! What the provider answers when it gives no answer: status and body, per dialect.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Dialect;
use super::limits::{account_id, go_duration, organization};
use crate::builder::Setup;
use crate::clock::Clock;
use crate::provider::{Quota, Refusal, Shape, Unit};

/// Why a call gets no answer.
#[derive(Debug)]
pub(crate) enum Problem {
    NotServed,
    NoKey,
    BodyTooLarge {
        limit: usize,
    },
    Malformed(String),
    UnknownModel(String),
    PromptTooLong {
        input: u64,
        context: u64,
    },
    Throttled {
        refusal: Refusal,
        team: String,
        model: String,
    },
    Failed,
}

impl Problem {
    /// Whether it is an error of the client's that never came before the quotas.
    pub(crate) const fn is_clients(&self) -> bool {
        !matches!(self, Self::Throttled { .. } | Self::Failed)
    }

    /// The answer in the words of a dialect.
    pub(crate) fn render(
        &self,
        dialect: Dialect,
        setup: &Setup,
        clock: &Clock,
        number: u64,
    ) -> (StatusCode, Value) {
        let status = self.status();
        let body = match dialect {
            Dialect::OpenAi => self.openai(setup.preset.xai, clock),
            Dialect::MetaLlama => {
                json!({"title": status.canonical_reason(), "detail": self.meta_detail(), "status": status.as_u16()})
            }
            Dialect::Anthropic => {
                let error =
                    json!({"type": self.anthropic_type(), "message": self.anthropic_message()});
                json!({"type": "error", "error": error, "request_id": format!("req_{number:08x}")})
            }
            Dialect::Generic => json!({"error": self.message()}),
        };
        (status, body)
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::NotServed | Self::UnknownModel(_) => StatusCode::NOT_FOUND,
            Self::NoKey => StatusCode::UNAUTHORIZED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_) | Self::PromptTooLong { .. } => StatusCode::BAD_REQUEST,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Plain words, for dialects whose own are not known.
    fn message(&self) -> String {
        match self {
            Self::NotServed => "this provider does not serve this path".to_owned(),
            Self::NoKey => "no API key was given".to_owned(),
            Self::BodyTooLarge { limit } => format!("the body exceeds {limit} bytes"),
            Self::Malformed(fault) => fault.clone(),
            Self::UnknownModel(model) => format!("the model `{model}` does not exist"),
            Self::PromptTooLong { input, context } => {
                format!("the prompt has {input} tokens, the context window {context}")
            }
            Self::Throttled { refusal, .. } => format!("rate limit exceeded: {}", refusal.quota),
            Self::Failed => "internal error".to_owned(),
        }
    }

    fn openai(&self, xai: bool, clock: &Clock) -> Value {
        let (kind, code, message) = match self {
            Self::Throttled {
                refusal,
                team,
                model,
            } if xai => {
                let error = xai_throttled(refusal, team, model);
                return json!({"code": "Some resource has been exhausted", "error": error});
            }
            Self::Throttled {
                refusal,
                team,
                model,
            } => {
                let kind = if refusal.quota.unit() == Unit::Requests {
                    "requests"
                } else {
                    "tokens"
                };
                (
                    kind,
                    json!("rate_limit_exceeded"),
                    openai_throttled(refusal, team, model, clock),
                )
            }
            Self::NoKey => (
                "invalid_request_error",
                Value::Null,
                "You didn't provide an API key.".to_owned(),
            ),
            Self::UnknownModel(model) => {
                let message =
                    format!("The model `{model}` does not exist or you do not have access to it.");
                ("invalid_request_error", json!("model_not_found"), message)
            }
            Self::PromptTooLong { input, context } => {
                let message = format!(
                    "This model's maximum context length is {context} tokens. However, your messages resulted in {input} \
                     tokens. Please reduce the length of the messages."
                );
                (
                    "invalid_request_error",
                    json!("context_length_exceeded"),
                    message,
                )
            }
            Self::Failed => {
                let message =
                    "The server had an error while processing your request. Sorry about that!"
                        .to_owned();
                ("server_error", Value::Null, message)
            }
            Self::NotServed | Self::BodyTooLarge { .. } | Self::Malformed(_) => {
                ("invalid_request_error", Value::Null, self.message())
            }
        };
        json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
    }

    fn meta_detail(&self) -> String {
        match self {
            Self::Throttled { refusal, .. } => {
                let unit = if refusal.quota.unit() == Unit::Requests {
                    "requests"
                } else {
                    "tokens"
                };
                format!(
                    "You have exceeded the maximum number of {unit} allowed within a given time frame. Wait a bit and \
                     try again."
                )
            }
            _ => self.message(),
        }
    }

    const fn anthropic_type(&self) -> &'static str {
        match self {
            Self::NotServed | Self::UnknownModel(_) => "not_found_error",
            Self::NoKey => "authentication_error",
            Self::BodyTooLarge { .. } => "request_too_large",
            Self::Malformed(_) | Self::PromptTooLong { .. } => "invalid_request_error",
            Self::Throttled { .. } => "rate_limit_error",
            Self::Failed => "api_error",
        }
    }

    fn anthropic_message(&self) -> String {
        match self {
            Self::Throttled { refusal, .. } => {
                let Refusal { quota, .. } = refusal;
                let (limit, window) = (with_commas(quota.limit()), window_name(quota).0);
                let minute = if window == "min" { "minute" } else { window };
                match quota.shape() {
                    Shape::Concurrency => {
                        format!(
                            "This request would exceed your organization's limit of {limit} concurrent requests."
                        )
                    }
                    _ => format!(
                        "This request would exceed your organization's rate limit of {limit} {} per {minute}.",
                        quota.unit()
                    ),
                }
            }
            Self::UnknownModel(model) => format!("model: {model}"),
            Self::PromptTooLong { input, context } => {
                format!("prompt is too long: {input} tokens > {context} maximum")
            }
            Self::NoKey => "x-api-key header is required".to_owned(),
            Self::BodyTooLarge { .. } => {
                "Request exceeds the maximum allowed number of bytes.".to_owned()
            }
            Self::Failed => "Internal server error".to_owned(),
            Self::NotServed | Self::Malformed(_) => self.message(),
        }
    }
}

fn openai_throttled(refusal: &Refusal, team: &str, model: &str, clock: &Clock) -> String {
    let Refusal {
        quota,
        limit,
        used,
        requested,
        retry_after_ns,
    } = refusal;
    let (window, letter) = window_name(quota);
    let (unit, letters) = match quota.unit() {
        Unit::Requests => ("requests", "R"),
        Unit::Total => ("tokens", "T"),
        Unit::Input => ("input tokens", "IT"),
        Unit::Output => ("output tokens", "OT"),
    };
    let account = format!("{model} in organization {}", organization(team));
    let on = match quota.shape() {
        Shape::Concurrency => "concurrent requests".to_owned(),
        _ => format!("{unit} per {window} ({letters}P{letter})"),
    };
    if requested > limit {
        return format!(
            "Request too large for {account} on {on}: Limit {limit}, Requested {requested}. The input or output tokens \
             must be reduced in order to run successfully."
        );
    }
    let again = retry_after_ns.map_or_else(String::new, |wait| {
        format!(" Please try again in {}.", go_duration(clock.real(wait)))
    });
    format!(
        "Rate limit reached for {account} on {on}: Limit {limit}, Used {used}, Requested {requested}.{again}"
    )
}

fn xai_throttled(refusal: &Refusal, team: &str, model: &str) -> String {
    let Refusal {
        quota,
        limit,
        used,
        requested,
        ..
    } = refusal;
    let (many, unit) = if quota.unit() == Unit::Requests {
        ("requests", "Requests")
    } else {
        ("tokens", "Tokens")
    };
    let window = match window_name(quota).0 {
        "sec" => "Second",
        "min" => "Minute",
        "hour" => "Hour",
        "day" => "Day",
        _ => "Window",
    };
    format!(
        "Too many {many} for team {} and model {model}. Your team's rate limit is - {unit} per {window} (actual/limit): \
         {}/{limit}.",
        account_id(team),
        used.saturating_add(*requested)
    )
}

/// The name of a quota's window and its letter in abbreviations such as TPM.
const fn window_name(quota: &Quota) -> (&'static str, &'static str) {
    match quota.window_ns() / 1_000_000_000 {
        1 => ("sec", "S"),
        60 => ("min", "M"),
        3_600 => ("hour", "H"),
        86_400 => ("day", "D"),
        _ => ("window", "W"),
    }
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_call_is_told_in_each_dialects_words() {
        let refusal = Refusal {
            quota: Quota::per_minute(Unit::Total, 30_000, Shape::SlidingLog),
            limit: 30_000,
            used: 29_800,
            requested: 940,
            retry_after_ns: Some(1_480_000_000),
        };
        let clock = Clock::start(1);
        let check = |got: String, expected: &str| assert_eq!(got, expected);
        check(
            openai_throttled(&refusal, "sample", "gpt-4o", &clock),
            "Rate limit reached for gpt-4o in organization org-sample on tokens per min (TPM): Limit 30000, Used 29800, \
             Requested 940. Please try again in 1.48s.",
        );
        check(
            openai_throttled(
                &Refusal {
                    requested: 38_211,
                    ..refusal
                },
                "sample",
                "gpt-4o",
                &clock,
            ),
            "Request too large for gpt-4o in organization org-sample on tokens per min (TPM): Limit 30000, Requested \
             38211. The input or output tokens must be reduced in order to run successfully.",
        );
        check(
            xai_throttled(&refusal, "sample", "grok-2"),
            &format!(
                "Too many tokens for team {} and model grok-2. Your team's rate limit is - Tokens per Minute \
                 (actual/limit): 30740/30000.",
                account_id("sample")
            ),
        );
        let input = Refusal {
            quota: Quota::per_minute(Unit::Input, 80_000, Shape::Aligned),
            ..refusal
        };
        let throttled = Problem::Throttled {
            refusal: input,
            team: "sample".to_owned(),
            model: String::new(),
        };
        check(
            throttled.anthropic_message(),
            "This request would exceed your organization's rate limit of 80,000 input tokens per minute.",
        );
        check(
            throttled.meta_detail(),
            "You have exceeded the maximum number of tokens allowed within a given time frame. Wait a bit and try again.",
        );
    }

    #[test]
    fn large_numbers_have_commas() {
        let check = |number, expected| assert_eq!(with_commas(number), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(1_234_567, "1,234,567");
    }
}
