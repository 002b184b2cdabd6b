//! Meta's Llama API in its own format (`llama-api-python`, August 2025).

use serde_json::{Value, json};

use super::{Answer, data};

pub(super) fn json(answer: &Answer) -> Value {
    json!({
        "id": id(answer),
        "completion_message": {
            "role": "assistant",
            "stop_reason": reason(answer),
            "content": {"type": "text", "text": answer.text()},
            "tool_calls": [],
        },
        "metrics": metrics(answer),
    })
}

pub(super) fn open(answer: &Answer) -> String {
    event(answer, json!({"event_type": "start", "delta": text("")}))
}

pub(super) fn piece(answer: &Answer, piece: &str) -> String {
    event(
        answer,
        json!({"event_type": "progress", "delta": text(piece)}),
    )
}

/// The stream ends with the connection's body; there is no `[DONE]`.
pub(super) fn close(answer: &Answer) -> String {
    event(
        answer,
        json!({"event_type": "complete", "stop_reason": reason(answer), "delta": text("")}),
    ) + &event(
        answer,
        json!({"event_type": "metrics", "delta": text(""), "metrics": metrics(answer)}),
    )
}

fn event(answer: &Answer, event: Value) -> String {
    data(&json!({"id": id(answer), "event": event}))
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn metrics(answer: &Answer) -> Value {
    let output = answer.output();
    let metric = |name, value: u64| json!({"metric": name, "value": value, "unit": "tokens"});
    json!([
        metric("num_completion_tokens", output),
        metric("num_prompt_tokens", answer.input),
        metric("num_total_tokens", answer.input + output),
    ])
}

fn id(answer: &Answer) -> String {
    format!("Ll{:08x}", answer.number)
}

fn reason(answer: &Answer) -> &'static str {
    if answer.capped() { "length" } else { "stop" }
}
