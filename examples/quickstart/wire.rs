//! The calls as each dialect writes them, by hand: this is the user's own code, which Tollgate does not change.

use serde_json::{Value, json};
use tollgate::tokens::Dialect;

use crate::provider::Target;
use crate::work::Work;

/// The request body of a call.
pub(crate) fn body(target: &Target, work: &Work, stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": work.prompt }]);
    match target.dialect {
        Dialect::Anthropic => {
            json!({ "model": work.model, "max_tokens": work.cap, "messages": messages, "stream": stream })
        }
        Dialect::Generic => json!({ "prompt": work.prompt, "max_tokens": work.cap }),
        Dialect::OpenAiChat if stream => json!({
            "model": work.model, "max_completion_tokens": work.cap, "messages": messages, "stream": true,
            "stream_options": { "include_usage": true },
        }),
        _ => {
            json!({ "model": work.model, "max_completion_tokens": work.cap, "messages": messages, "stream": stream })
        }
    }
}

/// The headers that carry the key.
pub(crate) fn headers(target: &Target) -> Vec<(&'static str, String)> {
    match (&target.key, target.dialect) {
        (None, _) => Vec::new(),
        (Some(key), Dialect::Anthropic) => {
            vec![
                ("x-api-key", key.clone()),
                ("anthropic-version", "2023-06-01".to_owned()),
            ]
        }
        (Some(key), _) => vec![("authorization", format!("Bearer {key}"))],
    }
}

/// Where the dialect's calls go below the base URL.
pub(crate) const fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Anthropic => "/v1/messages",
        Dialect::Generic => "/generate",
        _ => "/v1/chat/completions",
    }
}
