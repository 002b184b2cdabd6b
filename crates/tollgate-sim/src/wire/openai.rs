//! OpenAI's chat completions (`openai-openapi`, August 2026); Meta's requests have the same fields.

use serde::Deserialize;
use serde_json::{Value, json};

use super::prompt::{Messages, Tools};
use super::{Answer, Ask, data};

#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    messages: Option<Messages>,
    #[serde(default)]
    tools: Tools,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

pub(super) fn read(body: &[u8]) -> Result<Ask, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let model = body.model.ok_or("you must provide a model parameter")?;
    let messages = body
        .messages
        .ok_or("Missing required parameter: 'messages'.")?;
    if messages.count == 0 {
        return Err("[] is too short - 'messages'".to_owned());
    }
    let cap = body.max_completion_tokens.or(body.max_tokens);
    if cap == Some(0) {
        return Err("the output cap must be at least 1".to_owned());
    }
    let choices = body.n.unwrap_or(1);
    if !(1..=128).contains(&choices) {
        return Err("'n' must be between 1 and 128".to_owned());
    }
    let include_usage = body
        .stream_options
        .and_then(|options| options.include_usage)
        .unwrap_or(false);
    Ok(Ask {
        model: Some(model),
        input: messages.tokens + body.tools.0,
        cap,
        choices,
        stream: body.stream.unwrap_or(false),
        include_usage,
    })
}

pub(super) fn json(answer: &Answer) -> Value {
    let choices = answer.texts.iter().enumerate().map(|(index, text)| {
        let message = json!({"role": "assistant", "content": text.text, "refusal": null});
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": reason(text.capped)})
    });
    json!({
        "id": id(answer),
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": choices.collect::<Vec<_>>(),
        "usage": usage(answer),
        "service_tier": "default",
        "system_fingerprint": null,
    })
}

pub(super) fn open(answer: &Answer) -> String {
    let role = json!({"role": "assistant", "content": ""});
    (0..answer.texts.len())
        .map(|choice| chunk(answer, choice, &role, None))
        .collect()
}

pub(super) fn piece(answer: &Answer, choice: usize, text: &str) -> String {
    chunk(answer, choice, &json!({"content": text}), None)
}

pub(super) fn close(answer: &Answer) -> String {
    let texts = answer.texts.iter().enumerate();
    let mut events: String = texts
        .map(|(choice, text)| chunk(answer, choice, &json!({}), Some(reason(text.capped))))
        .collect();
    if answer.usage_chunk {
        let mut last = head(answer);
        last["choices"] = json!([]);
        last["usage"] = usage(answer);
        events.push_str(&data(&last));
    }
    events.push_str("data: [DONE]\n\n");
    events
}

fn chunk(answer: &Answer, choice: usize, delta: &Value, finish_reason: Option<&str>) -> String {
    let mut chunk = head(answer);
    let choice =
        json!({"index": choice, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
    chunk["choices"] = json!([choice]);
    if answer.usage_chunk {
        chunk["usage"] = Value::Null;
    }
    data(&chunk)
}

fn head(answer: &Answer) -> Value {
    json!({
        "id": id(answer),
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": null,
    })
}

fn usage(answer: &Answer) -> Value {
    let output = answer.output();
    json!({
        "prompt_tokens": answer.input,
        "completion_tokens": output,
        "total_tokens": answer.input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn id(answer: &Answer) -> String {
    format!("chatcmpl-{:08x}", answer.number)
}

const fn reason(capped: bool) -> &'static str {
    if capped { "length" } else { "stop" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_understood_or_the_fault_is_named() {
        let check = |body: &str, expected: Result<(u64, Option<u64>, u64, bool, bool), &str>| {
            let got = read(body.as_bytes());
            let got = got.map(|ask| {
                (
                    ask.input,
                    ask.cap,
                    ask.choices,
                    ask.stream,
                    ask.include_usage,
                )
            });
            match (got, expected) {
                (Err(got), Err(expected)) => assert!(got.contains(expected), "{got}"),
                (got, expected) => assert_eq!(got, expected.map_err(str::to_owned), "{body}"),
            }
        };
        let messages = r#""model":"m","messages":[{"role":"user","content":"toll road"}]"#;
        check(&format!("{{{messages}}}"), Ok((6, None, 1, false, false)));
        check(
            &format!("{{{messages},\"max_tokens\":9,\"n\":3}}"),
            Ok((6, Some(9), 3, false, false)),
        );
        check(
            &format!("{{{messages},\"max_tokens\":9,\"max_completion_tokens\":5}}"),
            Ok((6, Some(5), 1, false, false)),
        );
        check(
            &format!(
                "{{{messages},\"stream\":true,\"stream_options\":{{\"include_usage\":true}}}}"
            ),
            Ok((6, None, 1, true, true)),
        );
        check(
            &format!("{{{messages},\"max_tokens\":0}}"),
            Err("at least 1"),
        );
        check(
            &format!("{{{messages},\"max_tokens\":-1}}"),
            Err("invalid value"),
        );
        check(&format!("{{{messages},\"n\":0}}"), Err("'n'"));
        check(r#"{"messages":[]}"#, Err("model"));
        check(r#"{"model":"m"}"#, Err("messages"));
        check(r#"{"model":"m","messages":[]}"#, Err("too short"));
        check("not json", Err("expected"));
    }
}
