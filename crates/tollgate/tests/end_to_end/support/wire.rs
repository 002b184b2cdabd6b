//! Calls as each dialect writes them, by hand: the user's own code.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_sim::{Dialect, Server};

/// A key of the team `acme`.
pub(crate) const KEY: &str = "sk-acme-e2e0canary";

/// A request, before a client makes it its own.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Wire {
    /// A call of `model` with `prompt` and at most `cap` tokens of output.
    pub(crate) fn new(
        server: &Server,
        dialect: Dialect,
        model: &str,
        prompt: &str,
        cap: u64,
        stream: bool,
    ) -> Self {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        match dialect {
            Dialect::Anthropic => headers.push(("x-api-key", KEY.to_owned())),
            _ => headers.push(("authorization", format!("Bearer {KEY}"))),
        }
        Self {
            url: format!("{}{}", server.url(), path(dialect)),
            headers,
            body: body(dialect, model, prompt, cap, stream).to_string().into(),
        }
    }

    /// A call of Meta's dialect.
    pub(crate) fn llama(
        server: &Server,
        model: &str,
        prompt: &str,
        cap: u64,
        stream: bool,
    ) -> Self {
        Self::new(server, Dialect::MetaLlama, model, prompt, cap, stream)
    }
}

const fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi | Dialect::MetaLlama => "/v1/chat/completions",
        Dialect::Anthropic => "/v1/messages",
        Dialect::Generic => "/generate",
    }
}

fn body(dialect: Dialect, model: &str, prompt: &str, cap: u64, stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": prompt }]);
    match dialect {
        Dialect::Generic => json!({ "model": model, "prompt": prompt, "max_tokens": cap }),
        Dialect::OpenAi if stream => json!({
            "model": model, "max_completion_tokens": cap, "messages": messages, "stream": true,
            "stream_options": { "include_usage": true },
        }),
        Dialect::Anthropic => {
            json!({ "model": model, "max_tokens": cap, "messages": messages, "stream": stream })
        }
        Dialect::OpenAi | Dialect::MetaLlama => {
            json!({ "model": model, "max_completion_tokens": cap, "messages": messages, "stream": stream })
        }
    }
}
