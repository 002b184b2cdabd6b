//! Where each dialect says what: written down as paths, apart from the scanner's own trees.

use std::sync::OnceLock;

use tollgate_tokens::Dialect;

/// What is at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fact {
    Count(&'static str),
    Text,
    /// Text, and everything below, names of keys included.
    Deep,
    Model,
    Finish,
    Status,
    Done,
    Metric,
    MetricName,
    MetricValue,
}

use Fact::{Count, Deep, Done, Finish, Metric, MetricName, MetricValue, Model, Status, Text};

type Places = Vec<(String, Fact)>;

/// The places of a dialect, each with its path.
pub(crate) fn places(dialect: Dialect) -> &'static [(String, Fact)] {
    static PLACES: OnceLock<Vec<(Dialect, Places)>> = OnceLock::new();
    let all = PLACES.get_or_init(|| {
        let of = |dialect: &Dialect| (*dialect, written(*dialect));
        Dialect::ALL.iter().map(of).collect()
    });
    all.iter()
        .find(|(other, _)| *other == dialect)
        .map_or(&[], |(_, places)| places)
}

fn written(dialect: Dialect) -> Places {
    let mut places = Vec::new();
    // Each of these is at each of those places.
    let mut add = |at: &[&str], what: &[(&str, Fact)]| {
        for place in at {
            let path = |name: &str| match (place.is_empty(), name.is_empty()) {
                (true, _) => name.to_owned(),
                (_, true) => (*place).to_owned(),
                _ => format!("{place}.{name}"),
            };
            places.extend(what.iter().map(|(name, fact)| (path(name), *fact)));
        }
    };
    match dialect {
        Dialect::MetaLlama => {
            add(&[""], &[("model", Model)]);
            add(&["completion_message", "event"], &[("stop_reason", Finish)]);
            add(
                &["completion_message"],
                &[("content", Text), ("content.text", Text)],
            );
            add(
                &[
                    "completion_message.tool_calls[].function",
                    "event.delta.function",
                ],
                &[("name", Text), ("arguments", Text)],
            );
            add(&["event.delta"], &[("text", Text)]);
            add(
                &["metrics[]", "event.metrics[]"],
                &[("", Metric), ("metric", MetricName), ("value", MetricValue)],
            );
        }
        Dialect::Anthropic => {
            add(
                &["", "message"],
                &[("model", Model), ("stop_reason", Finish)],
            );
            add(
                &["usage", "message.usage"],
                &[
                    ("input_tokens", Count("input")),
                    ("output_tokens", Count("output")),
                    ("cache_read_input_tokens", Count("read")),
                    ("cache_creation_input_tokens", Count("write")),
                    (
                        "cache_creation.ephemeral_5m_input_tokens",
                        Count("write 5m"),
                    ),
                    (
                        "cache_creation.ephemeral_1h_input_tokens",
                        Count("write 1h"),
                    ),
                    ("output_tokens_details.thinking_tokens", Count("reasoning")),
                ],
            );
            add(
                &["content[]", "content_block"],
                &[
                    ("text", Text),
                    ("thinking", Text),
                    ("name", Text),
                    ("input", Deep),
                ],
            );
            add(
                &["delta"],
                &[
                    ("text", Text),
                    ("thinking", Text),
                    ("partial_json", Text),
                    ("stop_reason", Finish),
                ],
            );
            add(&[""], &[("completion", Text)]);
        }
        Dialect::Gemini => {
            add(
                &["candidates[].content.parts[]"],
                &[
                    ("text", Text),
                    ("functionCall.name", Text),
                    ("functionCall.args", Deep),
                    ("executableCode.code", Text),
                ],
            );
            add(
                &[""],
                &[
                    ("candidates[].finishReason", Finish),
                    ("promptFeedback.blockReason", Finish),
                    ("modelVersion", Model),
                ],
            );
            add(
                &["usageMetadata"],
                &[
                    ("promptTokenCount", Count("input")),
                    ("candidatesTokenCount", Count("output")),
                    ("thoughtsTokenCount", Count("reasoning")),
                    ("toolUsePromptTokenCount", Count("tools")),
                    ("cachedContentTokenCount", Count("read")),
                    ("totalTokenCount", Count("total")),
                ],
            );
        }
        Dialect::Cohere => {
            add(&["", "delta", "response"], &[("finish_reason", Finish)]);
            add(
                &["usage", "meta", "delta.usage", "response.meta"],
                &[
                    ("tokens.input_tokens", Count("input")),
                    ("tokens.output_tokens", Count("output")),
                    ("billed_units.input_tokens", Count("billed input")),
                    ("billed_units.output_tokens", Count("billed output")),
                    ("cached_tokens", Count("read")),
                ],
            );
            add(
                &[
                    "message.content[]",
                    "message.content",
                    "delta.message.content[]",
                    "delta.message.content",
                ],
                &[("text", Text), ("thinking", Text)],
            );
            add(&["message", "delta.message"], &[("tool_plan", Text)]);
            add(
                &[
                    "message.tool_calls[]",
                    "delta.message.tool_calls[]",
                    "tool_calls[]",
                ],
                &[("name", Text), ("parameters", Deep)],
            );
            add(
                &[
                    "message.tool_calls[].function",
                    "message.tool_calls.function",
                    "delta.message.tool_calls[].function",
                    "delta.message.tool_calls.function",
                    "tool_calls[].function",
                ],
                &[("name", Text), ("arguments", Text)],
            );
            add(&["", "generations[]"], &[("text", Text)]);
        }
        Dialect::Bedrock => {
            add(
                &["usage", "metadata.usage", "message.usage"],
                &[
                    ("inputTokens", Count("input")),
                    ("outputTokens", Count("output")),
                    ("cacheReadInputTokens", Count("read")),
                    ("cacheWriteInputTokens", Count("write")),
                    ("input_tokens", Count("input")),
                    ("output_tokens", Count("output")),
                    ("cache_read_input_tokens", Count("read")),
                    ("cache_creation_input_tokens", Count("write")),
                    ("prompt_tokens", Count("prompt")),
                    ("completion_tokens", Count("output")),
                    ("prompt_tokens_details.cached_tokens", Count("read")),
                    (
                        "completion_tokens_details.reasoning_tokens",
                        Count("reasoning"),
                    ),
                ],
            );
            add(
                &["amazon-bedrock-invocationMetrics"],
                &[
                    ("inputTokenCount", Count("metric input")),
                    ("outputTokenCount", Count("metric output")),
                    ("cacheReadInputTokenCount", Count("metric read")),
                    ("cacheWriteInputTokenCount", Count("metric write")),
                ],
            );
            add(
                &[""],
                &[
                    ("model", Model),
                    ("message.model", Model),
                    ("stopReason", Finish),
                    ("messageStop.stopReason", Finish),
                    ("stop_reason", Finish),
                    ("completionReason", Finish),
                    ("results[].completionReason", Finish),
                    ("generation", Text),
                    ("outputText", Text),
                    ("results[].outputText", Text),
                    ("prompt_token_count", Count("input")),
                    ("generation_token_count", Count("output")),
                    ("inputTextTokenCount", Count("input")),
                    ("totalOutputTextTokenCount", Count("output")),
                    ("results[].tokenCount", Count("output")),
                ],
            );
            add(
                &[
                    "output.message.content[]",
                    "content[]",
                    "content_block",
                    "start",
                    "contentBlockStart.start",
                ],
                &[
                    ("text", Text),
                    ("thinking", Text),
                    ("name", Text),
                    ("input", Deep),
                    ("toolUse.name", Text),
                    ("toolUse.input", Deep),
                    ("reasoningContent.text", Text),
                    ("reasoningContent.reasoningText.text", Text),
                ],
            );
            add(
                &["delta", "contentBlockDelta.delta"],
                &[
                    ("text", Text),
                    ("thinking", Text),
                    ("partial_json", Text),
                    ("toolUse.input", Text),
                    ("reasoningContent.text", Text),
                    ("stop_reason", Finish),
                ],
            );
            add(
                &["outputs[]", "generations[]", "choices[]"],
                &[
                    ("text", Text),
                    ("finish_reason", Finish),
                    ("stop_reason", Finish),
                ],
            );
            for list in ["outputs[]", "generations[]", "choices[]"] {
                add(
                    &[&format!("{list}.message"), &format!("{list}.delta")],
                    &[
                        ("content", Text),
                        ("reasoning", Text),
                        ("reasoning_content", Text),
                    ],
                );
            }
        }
        Dialect::Ollama => {
            add(
                &[""],
                &[
                    ("model", Model),
                    ("response", Text),
                    ("thinking", Text),
                    ("done", Done),
                    ("done_reason", Finish),
                    ("prompt_eval_count", Count("input")),
                    ("eval_count", Count("output")),
                ],
            );
            add(
                &["message"],
                &[
                    ("content", Text),
                    ("thinking", Text),
                    ("tool_calls[].function.name", Text),
                    ("tool_calls[].function.arguments", Deep),
                ],
            );
        }
        Dialect::Generic => {
            let split = [
                ("prompt_tokens", Count("input")),
                ("input_tokens", Count("input")),
                ("completion_tokens", Count("output")),
                ("output_tokens", Count("output")),
                ("total_tokens", Count("total")),
            ];
            add(&["token_usage", "tokens_used", "usage"], &split);
            add(
                &[""],
                &[
                    ("model", Model),
                    ("token_usage", Count("total or split")),
                    ("tokens_used", Count("total or split")),
                    ("output", Text),
                    ("text", Text),
                    ("response", Text),
                    ("completion", Text),
                ],
            );
        }
        _ => {
            add(
                &["usage", "x_groq.usage", "response.usage"],
                &[
                    ("prompt_tokens", Count("input")),
                    ("input_tokens", Count("input")),
                    ("completion_tokens", Count("completion")),
                    ("output_tokens", Count("output")),
                    ("total_tokens", Count("total")),
                    ("prompt_tokens_details.cached_tokens", Count("read")),
                    ("prompt_tokens_details.cache_write_tokens", Count("write")),
                    ("input_tokens_details.cached_tokens", Count("read")),
                    ("input_tokens_details.cache_write_tokens", Count("write")),
                    (
                        "completion_tokens_details.reasoning_tokens",
                        Count("reasoning"),
                    ),
                    ("output_tokens_details.reasoning_tokens", Count("reasoning")),
                    ("prompt_cache_hit_tokens", Count("read too")),
                    ("num_cached_tokens", Count("read too")),
                    ("cached_tokens", Count("read too")),
                    ("prompt_token_details.cached_tokens", Count("read too")),
                    ("cost_in_usd_ticks", Count("xai")),
                    ("num_sources_used", Count("xai")),
                ],
            );
            add(
                &["timings"],
                &[
                    ("prompt_n", Count("timed input")),
                    ("cache_n", Count("timed cache")),
                    ("predicted_n", Count("timed output")),
                ],
            );
            add(
                &["", "response"],
                &[
                    ("model", Model),
                    ("status", Status),
                    ("incomplete_details.reason", Finish),
                ],
            );
            add(
                &["choices[].delta", "choices[].message"],
                &[
                    ("content", Text),
                    ("refusal", Text),
                    ("reasoning_content", Text),
                    ("reasoning", Text),
                    ("tool_calls[].function.name", Text),
                    ("tool_calls[].function.arguments", Text),
                    ("function_call.name", Text),
                    ("function_call.arguments", Text),
                ],
            );
            add(
                &[
                    "choices[].delta.content[]",
                    "choices[].message.content[]",
                    "output[].content[]",
                ],
                &[
                    ("text", Text),
                    ("refusal", Text),
                    ("thinking", Text),
                    ("thinking[].text", Text),
                ],
            );
            add(&["choices[]"], &[("text", Text), ("finish_reason", Finish)]);
            add(
                &["output[]"],
                &[
                    ("summary[].text", Text),
                    ("name", Text),
                    ("arguments", Text),
                ],
            );
            add(
                &[""],
                &[("delta", Text), ("content", Text), ("stop_type", Finish)],
            );
        }
    }
    places
}
