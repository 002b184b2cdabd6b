//! What an answer says it used, read the way a program without Tollgate would: the whole body, parsed.

use serde_json::Value;

/// Input and output tokens of a complete body; `None` if it does not tell.
pub(crate) fn read(body: &[u8]) -> Option<(u64, u64)> {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return of(&value);
    }
    // A stream: the latest value of each field stands.
    let mut latest = None;
    for line in String::from_utf8_lossy(body).lines() {
        let event = line
            .strip_prefix("data:")
            .and_then(|data| serde_json::from_str::<Value>(data.trim()).ok());
        let Some(found) = event.as_ref().and_then(of) else {
            continue;
        };
        let (input, output) = latest.unwrap_or((0, 0));
        latest = Some((
            if found.0 > 0 { found.0 } else { input },
            if found.1 > 0 { found.1 } else { output },
        ));
    }
    latest
}

fn of(value: &Value) -> Option<(u64, u64)> {
    let metrics = value
        .get("metrics")
        .or_else(|| value.get("event")?.get("metrics"));
    if let Some(metrics) = metrics.and_then(Value::as_array) {
        let named = |name: &str| {
            let metric = metrics.iter().find(|metric| metric["metric"] == name)?;
            metric["value"].as_f64().map(|value| value as u64)
        };
        return Some((named("num_prompt_tokens")?, named("num_completion_tokens")?));
    }
    let usage = ["usage", "token_usage"]
        .iter()
        .find_map(|name| value.get(name))
        .or_else(|| value.get("message")?.get("usage"))?;
    let count = |names: [&str; 2]| names.iter().find_map(|name| usage.get(name)?.as_u64());
    let input = count(["prompt_tokens", "input_tokens"]);
    let output = count(["completion_tokens", "output_tokens"]);
    (input.is_some() || output.is_some()).then(|| (input.unwrap_or(0), output.unwrap_or(0)))
}
