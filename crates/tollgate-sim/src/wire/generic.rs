//! The generic dialect: `prompt` or `text` in, `output` and `token_usage` out, no streams.

use serde::Deserialize;
use serde_json::{Value, json};

use super::prompt::Counted;
use super::{Answer, Ask};
use crate::tokens::PER_MESSAGE;

#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    prompt: Option<Counted>,
    text: Option<Counted>,
    max_tokens: Option<u64>,
}

pub(super) fn read(body: &[u8]) -> Result<Ask, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let prompt = body
        .prompt
        .or(body.text)
        .ok_or("'prompt' or 'text' is required")?;
    if body.max_tokens == Some(0) {
        return Err("'max_tokens' must be at least 1".to_owned());
    }
    let input = prompt.0 + PER_MESSAGE;
    Ok(Ask {
        model: body.model,
        input,
        cap: body.max_tokens,
        choices: 1,
        stream: false,
        include_usage: false,
    })
}

pub(super) fn json(answer: &Answer) -> Value {
    let output = answer.output();
    json!({
        "output": answer.text(),
        "token_usage": {
            "prompt_tokens": answer.input,
            "completion_tokens": output,
            "total_tokens": answer.input + output,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_either_name_and_must_be_there() {
        let check = |body: &str, expected: Result<u64, &str>| {
            let got = read(body.as_bytes()).map(|ask| ask.input);
            assert_eq!(got, expected.map_err(str::to_owned), "{body}");
        };
        check(
            r#"{"prompt":"toll road","max_tokens":5,"temperature":0.7}"#,
            Ok(6),
        );
        check(r#"{"text":"toll road"}"#, Ok(6));
        check(r#"{"max_tokens":5}"#, Err("'prompt' or 'text' is required"));
        check(
            r#"{"text":"toll","max_tokens":0}"#,
            Err("'max_tokens' must be at least 1"),
        );
    }
}
