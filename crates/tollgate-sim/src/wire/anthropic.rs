//! Anthropic's messages (`anthropic-sdk-python`, August 2026).

use serde::Deserialize;
use serde_json::{Value, json};

use super::prompt::{Counted, Messages, Tools};
use super::{Answer, Ask, event};
use crate::tokens::PER_MESSAGE;

#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    messages: Option<Messages>,
    system: Option<Counted>,
    #[serde(default)]
    tools: Tools,
    max_tokens: Option<u64>,
    stream: Option<bool>,
    /// Fields of OpenAI's that Anthropic refuses.
    stream_options: Option<Value>,
    max_completion_tokens: Option<Value>,
    n: Option<Value>,
}

pub(super) fn read(body: &[u8]) -> Result<Ask, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let extra = [
        ("stream_options", &body.stream_options),
        ("max_completion_tokens", &body.max_completion_tokens),
        ("n", &body.n),
    ];
    if let Some((name, _)) = extra.iter().find(|(_, value)| value.is_some()) {
        return Err(format!("{name}: Extra inputs are not permitted"));
    }
    let model = body.model.ok_or("model: Field required")?;
    let messages = body.messages.ok_or("messages: Field required")?;
    if messages.count == 0 {
        return Err("messages: at least one message is required".to_owned());
    }
    let cap = body.max_tokens.ok_or("max_tokens: Field required")?;
    if cap == 0 {
        return Err("max_tokens: Input should be greater than or equal to 1".to_owned());
    }
    let system = body.system.map_or(0, |system| system.0 + PER_MESSAGE);
    Ok(Ask {
        model: Some(model),
        input: messages.tokens + system + body.tools.0,
        cap: Some(cap),
        choices: 1,
        stream: body.stream.unwrap_or(false),
        include_usage: false,
    })
}

pub(super) fn json(answer: &Answer) -> Value {
    let content = json!([{"type": "text", "text": answer.text()}]);
    message(answer, &content, Some(reason(answer)), answer.output())
}

pub(super) fn open(answer: &Answer) -> String {
    // One output token is what the real stream opens with, a placeholder that the last delta replaces.
    let message = message(answer, &json!([]), None, 1);
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    event(
        "message_start",
        &json!({"type": "message_start", "message": message}),
    ) + &event("content_block_start", &block)
        + &event("ping", &json!({"type": "ping"}))
}

pub(super) fn piece(text: &str) -> String {
    let delta = json!({"type": "text_delta", "text": text});
    event(
        "content_block_delta",
        &json!({"type": "content_block_delta", "index": 0, "delta": delta}),
    )
}

pub(super) fn close(answer: &Answer) -> String {
    let usage = json!({
        "input_tokens": answer.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": answer.output(),
    });
    let delta = json!({"stop_reason": reason(answer), "stop_sequence": null});
    event(
        "content_block_stop",
        &json!({"type": "content_block_stop", "index": 0}),
    ) + &event(
        "message_delta",
        &json!({"type": "message_delta", "delta": delta, "usage": usage}),
    ) + &event("message_stop", &json!({"type": "message_stop"}))
}

fn message(answer: &Answer, content: &Value, stop_reason: Option<&str>, output: u64) -> Value {
    json!({
        "id": format!("msg_{:08x}", answer.number),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": answer.input,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "service_tier": "standard",
        },
    })
}

fn reason(answer: &Answer) -> &'static str {
    if answer.capped() {
        "max_tokens"
    } else {
        "end_turn"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_understood_or_the_fault_is_named() {
        let check = |body: &str, expected: Result<u64, &str>| {
            let got = read(body.as_bytes()).map(|ask| ask.input);
            assert_eq!(got, expected.map_err(str::to_owned), "{body}");
        };
        let messages =
            r#""messages":[{"role":"user","content":[{"type":"text","text":"toll road"}]}]"#;
        let body = |rest: &str| format!(r#"{{"model":"m",{messages},{rest}}}"#);
        check(&body(r#""max_tokens":9"#), Ok(6));
        check(&body(r#""max_tokens":9,"system":"be kind""#), Ok(12));
        check(&body(r#""stream":true"#), Err("max_tokens: Field required"));
        check(
            &body(r#""max_tokens":9,"stream_options":{"include_usage":true}"#),
            Err("stream_options: Extra inputs are not permitted"),
        );
        check(
            &body(r#""max_tokens":0"#),
            Err("max_tokens: Input should be greater than or equal to 1"),
        );
        check(
            r#"{"model":"m","messages":[],"max_tokens":1}"#,
            Err("messages: at least one message is required"),
        );
    }
}
