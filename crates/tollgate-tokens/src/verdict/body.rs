//! `ErrorBody`: what an error body says, whatever its shape.

use std::time::Duration;

use serde_json::Value;

use crate::retry_after::span::parse_span;

/// The words of an error body, in lower case, and the structures beside them that matter.
///
/// Known shapes: `{"error":{"message","type","code"}}` (OpenAI and most), `{"type":"error","error":{…}}` (Anthropic),
/// `{"error":"text","code":"text"}` (xAI, Ollama), `{"message"}` (Bedrock, Cohere, Mistral), `{"title","detail"}` (Meta, RFC 9457), Google's
/// `{"error":{"status","details":[…]}}`, also as the only item of an array. Anything else is text, and text is a normal case.
#[derive(Default)]
pub(super) struct ErrorBody {
    /// `error.type`, or `type`.
    pub(super) kind: String,
    /// `error.code`, or `code`, or Anthropic's `error.details.error_code`; a number as its digits.
    pub(super) code: String,
    /// What is said for people.
    pub(super) message: String,
    /// OpenRouter's `error.metadata.limit_source`.
    pub(super) limit_source: String,
    /// Milliseconds since the Unix epoch, from OpenRouter's echo of `X-RateLimit-Reset`.
    pub(super) reset_epoch_ms: Option<i64>,
    /// Google's details.
    pub(super) google: Google,
    /// A page for a browser: not the provider's own answer, but that of a proxy before it.
    pub(super) html: bool,
    /// Nothing but white space.
    pub(super) empty: bool,
}

/// What Google's `error.details` say (google.rpc error details; the rules are those of Google's own command-line client, 2026).
#[derive(Default)]
pub(super) struct Google {
    /// `quotaId` and `quotaMetric` of the violated quotas.
    pub(super) quota: String,
    /// `quotaValue`, or `quota_limit_value` of the metadata.
    pub(super) limit: Option<u64>,
    /// `RetryInfo.retryDelay`.
    pub(super) delay: Option<Duration>,
    /// `ErrorInfo.reason`.
    pub(super) reason: String,
}

/// The longest body that is parsed. Longer error bodies are no provider's.
const LONGEST: usize = 64 * 1024;

impl ErrorBody {
    pub(super) fn read(body: &[u8]) -> Self {
        let body = body.trim_ascii();
        let html = body.first() == Some(&b'<');
        match serde_json::from_slice(&body[..body.len().min(LONGEST)]) {
            Ok(value) => Self {
                html,
                ..Self::of_json(&value)
            },
            Err(_) => {
                let text = String::from_utf8_lossy(&body[..body.len().min(4_096)]);
                Self {
                    html,
                    empty: body.is_empty(),
                    message: if html {
                        String::new()
                    } else {
                        text.to_lowercase()
                    },
                    ..Self::default()
                }
            }
        }
    }

    /// An error of which only these words are known, in lower case.
    pub(super) fn of_words(kind: String, code: String, message: String) -> Self {
        Self {
            kind,
            code,
            message,
            ..Self::default()
        }
    }

    /// Whether the error names itself by one of these words.
    pub(super) fn is(&self, words: &[&str]) -> bool {
        words.contains(&self.kind.as_str()) || words.contains(&self.code.as_str())
    }

    /// Whether the message has one of these phrases, which are in lower case.
    pub(super) fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.contains(phrase))
    }

    /// The status that the response would have had if the error had come before its head.
    pub(super) fn implied_status(&self) -> u16 {
        let (kind, code) = (self.kind.as_str(), self.code.as_str());
        if let Some(status) = [kind, code]
            .iter()
            .find_map(|word| word.parse().ok().filter(|s| (400..600).contains(s)))
        {
            return status;
        }
        let has = |word: &str| kind.contains(word) || code.contains(word);
        match () {
            () if has("rate_limit")
                || has("throttling")
                || has("quota")
                || has("resource_exhausted") =>
            {
                429
            }
            () if has("authentication") || has("permission") || has("unauthorized") => 401,
            () if has("billing") => 402,
            () if has("too_large") || has("context_size") => 413,
            () if has("invalid_request")
                || has("not_found")
                || has("validation")
                || has("context_length") =>
            {
                400
            }
            () => 500,
        }
    }

    fn of_json(value: &Value) -> Self {
        let root = value.get(0).unwrap_or(value);
        let error = root
            .get("error")
            .filter(|error| error.is_object())
            .unwrap_or(root);
        let word = |of: &Value, key: &str| match of.get(key)? {
            Value::String(text) => Some(text.to_lowercase()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let first = |keys: &[&str]| {
            [error, root]
                .iter()
                .find_map(|of| keys.iter().find_map(|key| word(of, key)))
        };
        let nested = || word(root.get("message")?, "message");
        let listed = || word(root.get("detail")?.get(0)?, "msg");
        let metadata = error.get("metadata").unwrap_or(&Value::Null);
        let reset = metadata
            .pointer("/headers/X-RateLimit-Reset")
            .and_then(|reset| match reset {
                Value::String(text) => text.parse().ok(),
                other => other.as_i64(),
            });
        Self {
            kind: first(&["type"]).unwrap_or_default(),
            code: error
                .get("details")
                .and_then(|details| word(details, "error_code"))
                .or_else(|| first(&["code"]))
                .unwrap_or_default(),
            message: first(&["message", "error", "detail", "title"])
                .or_else(nested)
                .or_else(listed)
                .unwrap_or_default(),
            limit_source: word(metadata, "limit_source").unwrap_or_default(),
            reset_epoch_ms: reset,
            empty: false,
            google: Google::of_json(
                error
                    .get("details")
                    .and_then(Value::as_array)
                    .map_or(&[], Vec::as_slice),
            ),
            html: false,
        }
    }
}

impl Google {
    fn of_json(details: &[Value]) -> Self {
        let mut google = Self::default();
        let text =
            |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_lowercase);
        for detail in details {
            for violation in detail
                .get("violations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                for key in ["quotaId", "quotaMetric"] {
                    google
                        .quota
                        .push_str(&text(violation, key).unwrap_or_default());
                    google.quota.push(' ');
                }
                google.limit = google
                    .limit
                    .or_else(|| text(violation, "quotaValue")?.parse().ok());
            }
            google.delay = google
                .delay
                .or_else(|| parse_span(&text(detail, "retryDelay")?));
            google.limit = google.limit.or_else(|| {
                let metadata = detail.get("metadata")?;
                text(metadata, "quota_limit_value")?.parse().ok()
            });
            if let Some(reason) = text(detail, "reason") {
                google.reason = reason;
            }
        }
        google
    }
}
