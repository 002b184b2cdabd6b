//! OpenAI's formats and the fields that other providers added to them (provider API references and SDK types, 2026).

use crate::Counted;
use crate::descriptor::{self, Ask, cap, hidden, measured, part};
use crate::json::Node;
use crate::price::Cost;
use crate::scanner::{
    Counts, Fault, Leaf, Manner, NUMBER, Slot, count, document, error, kept, text,
};
use crate::usage::Usage;

/// Where a request says what, in any of the formats: they use no key for two things that could be mixed up.
pub(super) static REQUEST: Node<Ask> = Node::new().keys(&[
    descriptor::kept("model", Ask::Model),
    ("stream", Node::mark(Ask::Stream)),
    (
        "stream_options",
        Node::new().keys(&[("include_usage", Node::mark(Ask::IncludeUsage))]),
    ),
    ("n", Node::mark(Ask::Choices("n"))),
    ("best_of", Node::mark(Ask::Choices("best_of"))),
    // vLLM's rule for a body with both; others refuse it.
    cap("max_completion_tokens", 0),
    cap("max_output_tokens", 1),
    cap("max_tokens", 2),
    descriptor::open_cap("n_predict", 2), // llama.cpp, where a negative number is no cap
    ("messages", Node::mark(Ask::Messages).items(&ASKED_MESSAGE)),
    ("tools", Node::deep(Ask::Tools)),
    ("functions", Node::deep(Ask::Tools)),
    ("response_format", Node::deep(Ask::Tools)),
    // Legacy completions: a string, token ids, or a list of either. In Responses, the id of a stored prompt.
    (
        "prompt",
        Node::measure(Ask::Prompt)
            .items(&PROMPT)
            .keys(&[hidden("id"), ("variables", Node::deep(Ask::Text))]),
    ),
    // Embeddings take the same forms as above; Responses take a string or a list of items.
    ("input", Node::measure(Ask::Input).items(&INPUT)),
    measured("instructions", Ask::Message),
    measured("suffix", Ask::Text),
    (
        "text",
        Node::new().keys(&[("format", Node::deep(Ask::Tools))]),
    ),
    hidden("previous_response_id"),
    hidden("conversation"),
]);

const PROMPT: Node<Ask> = Node::measure(Ask::PromptItem).items(&Node::mark(Ask::TokenId));

const INPUT: Node<Ask> = Node::measure(Ask::InputItem)
    .items(&Node::mark(Ask::TokenId))
    .keys(&[
        descriptor::kept("type", Ask::PartType(0)),
        ("content", ASKED_CONTENT),
        measured("name", Ask::Text),
        measured("arguments", Ask::Text),
        ("output", ASKED_CONTENT),
        ("summary", ASKED_CONTENT),
        // Reasoning of an earlier turn that only the provider can read.
        hidden("encrypted_content"),
    ]);

const ASKED_MESSAGE: Node<Ask> = Node::mark(Ask::Message).keys(&[
    ("content", ASKED_CONTENT),
    measured("name", Ask::Text),
    measured("refusal", Ask::Text),
    measured("reasoning_content", Ask::Text),
    (
        "tool_calls",
        Node::new().items(&Node::new().keys(&[("function", ASKED_FUNCTION)])),
    ),
    ("function_call", ASKED_FUNCTION),
]);

const ASKED_CONTENT: Node<Ask> = Node::measure(Ask::Text).items(&part(
    1,
    &[
        descriptor::kept("type", Ask::PartType(1)),
        measured("text", Ask::Text),
        measured("refusal", Ask::Text),
        // A URL, or an object with one.
        (
            "image_url",
            Node::measure(Ask::ImageUrl(1)).keys(&[
                measured("url", Ask::ImageUrl(1)),
                descriptor::kept("detail", Ask::ImageDetail(1)),
            ]),
        ),
        descriptor::kept("detail", Ask::ImageDetail(1)),
        (
            "thinking",
            Node::measure(Ask::Text).items(&Node::new().keys(&[measured("text", Ask::Text)])),
        ),
    ],
));

const ASKED_FUNCTION: Node<Ask> = Node::new().keys(&[
    measured("name", Ask::Text),
    measured("arguments", Ask::Text),
]);

/// Where a response, or one event of a stream, says what.
pub(super) static RESPONSE: Node<Leaf> = Node::new().keys(KEYS).items(&document(KEYS));

const KEYS: &[(&str, Node<Leaf>)] = &[
    // Every format.
    kept("model", Leaf::Model),
    ("usage", USAGE),
    error(),
    // Chat and legacy completions, whole and streamed.
    ("choices", Node::new().items(&CHOICE)),
    // Groq repeats the usage here, and only here when the stream was not asked for any.
    ("x_groq", Node::new().keys(&[("usage", USAGE), error()])),
    // Responses, whole.
    ("output", Node::new().items(&OUTPUT)),
    kept("status", Leaf::Status),
    (
        "incomplete_details",
        Node::new().keys(&[kept("reason", Leaf::Finish)]),
    ),
    // Responses, streamed. `response` repeats the text of the events before it, so its `output` is not wanted.
    kept(
        "type",
        Leaf::Type(&[
            "response.completed",
            "response.incomplete",
            "response.failed",
        ]),
    ),
    text("delta"),
    (
        "response",
        Node::new().keys(&[
            kept("model", Leaf::Model),
            ("usage", USAGE),
            error(),
            kept("status", Leaf::Status),
            (
                "incomplete_details",
                Node::new().keys(&[kept("reason", Leaf::Finish)]),
            ),
        ]),
    ),
    // llama.cpp: beside the usage or in place of it, and its own completions.
    (
        "timings",
        Node::new().keys(&[
            count("prompt_n", Slot::TimedInput),
            count("cache_n", Slot::TimedCache),
            count("predicted_n", Slot::TimedOutput),
        ]),
    ),
    text("content"),
    kept("stop_type", Leaf::Finish),
    ("stop", Node::mark(Leaf::Done)),
    // The answers of `/v1/responses/input_tokens`, of vLLM's and llama.cpp's `/tokenize`, and of xAI's `/v1/tokenize-text`.
    count("input_tokens", Slot::Counted),
    count("count", Slot::Counted),
    ("tokens", TOKENS),
    ("token_ids", TOKENS),
    // Errors of Mistral, older vLLM, xAI and the Responses `error` event lie flat.
    kept("object", Leaf::Object),
    kept("code", Leaf::Flat(Fault::Code)),
    kept("message", Leaf::Flat(Fault::Message)),
];

const TOKENS: Node<Leaf> = Node::mark(Leaf::TokenList).items(&Node::mark(Leaf::Token));

const USAGE: Node<Leaf> = Node::new().keys(&[
    count("prompt_tokens", Slot::Input),
    count("completion_tokens", Slot::Completion),
    count("total_tokens", Slot::Total),
    ("prompt_tokens_details", INPUT_DETAILS),
    ("completion_tokens_details", OUTPUT_DETAILS),
    // Responses.
    count("input_tokens", Slot::Input),
    count("output_tokens", Slot::Output),
    ("input_tokens_details", INPUT_DETAILS),
    ("output_tokens_details", OUTPUT_DETAILS),
    // DeepSeek, Mistral (whose second name is misspelt) and Together.
    count("prompt_cache_hit_tokens", Slot::CacheReadToo),
    count("num_cached_tokens", Slot::CacheReadToo),
    (
        "prompt_token_details",
        Node::new().keys(&[count("cached_tokens", Slot::CacheReadToo)]),
    ),
    count("cached_tokens", Slot::CacheReadToo),
    // OpenRouter and xAI.
    ("cost", Node::keep(Leaf::Dollars("cost"), NUMBER)),
    count("cost_in_usd_ticks", Slot::Ticks),
    count("num_sources_used", Slot::Sources),
]);

const INPUT_DETAILS: Node<Leaf> = Node::new().keys(&[
    count("cached_tokens", Slot::CacheRead),
    count("cache_write_tokens", Slot::CacheWrite),
]);

const OUTPUT_DETAILS: Node<Leaf> = Node::new().keys(&[count("reasoning_tokens", Slot::Reasoning)]);

const CHOICE: Node<Leaf> = Node::new().keys(&[
    ("delta", MESSAGE),
    ("message", MESSAGE),
    text("text"),
    kept("finish_reason", Leaf::Finish),
]);

const MESSAGE: Node<Leaf> = Node::new().keys(&[
    ("content", Node::measure(Leaf::Text).items(&PART)),
    text("refusal"),
    // DeepSeek, xAI and vLLM; Groq and OpenRouter.
    text("reasoning_content"),
    text("reasoning"),
    ("tool_calls", Node::new().items(&TOOL_CALL)),
    ("function_call", FUNCTION),
]);

const TOOL_CALL: Node<Leaf> = Node::new().keys(&[("function", FUNCTION)]);

const FUNCTION: Node<Leaf> = Node::new().keys(&[text("name"), text("arguments")]);

/// A part of a message; Mistral's reasoning is a list of parts itself.
const PART: Node<Leaf> = Node::new().keys(&[
    text("text"),
    text("refusal"),
    ("thinking", Node::measure(Leaf::Text).items(&TEXT)),
]);

const TEXT: Node<Leaf> = Node::new().keys(&[text("text")]);

const OUTPUT: Node<Leaf> = Node::new().keys(&[
    ("content", Node::new().items(&PART)),
    ("summary", Node::new().items(&TEXT)),
    text("name"),
    text("arguments"),
]);

/// The usage that these numbers mean.
pub(super) fn usage(counts: &Counts, manner: Manner) -> Option<Usage> {
    let get = |slot| counts.get(slot);
    let input = get(Slot::Input);
    let reasoning = get(Slot::Reasoning).unwrap_or(0);
    let output = match get(Slot::Completion) {
        Some(completion) if has_reasoning_beside(counts, manner) => {
            Some(completion.saturating_add(reasoning))
        }
        Some(completion) => Some(completion),
        None => get(Slot::Output),
    };
    if input.is_none() && output.is_none() {
        // Some embedding servers report nothing but the total; llama.cpp may report nothing but its timings.
        return get(Slot::Total)
            .map(Usage::unsplit)
            .or_else(|| timed(counts));
    }
    let input = input.unwrap_or(0);
    let output = output.unwrap_or(0);
    let cache_read = get(Slot::CacheRead)
        .or(get(Slot::CacheReadToo))
        .unwrap_or(0);
    let cache_write = get(Slot::CacheWrite).unwrap_or(0);
    let input = match manner.cache {
        Some(Counted::Beside) => input.saturating_add(cache_read).saturating_add(cache_write),
        // A part cannot exceed its whole: more cached than prompted means that the prompt was counted without it.
        _ if cache_read > input => input.saturating_add(cache_read),
        _ => input,
    };
    let ticks = get(Slot::Ticks).map(|ticks| ticks.div_ceil(10)); // 1e-10 to 1e-9 USD, rounded up against the caller.
    Some(Usage {
        cache_read,
        cache_write: cache_write.min(input - cache_read),
        reasoning: reasoning.min(output),
        cost: get(Slot::Cost).or(ticks).map(Cost),
        ..Usage::new(input, output)
    })
}

/// What llama.cpp's timings say: input that it evaluated, input that it had in its cache, and output.
fn timed(counts: &Counts) -> Option<Usage> {
    let get = |slot| counts.get(slot).unwrap_or(0);
    counts
        .get(Slot::TimedInput)
        .or(counts.get(Slot::TimedOutput))?;
    let cache_read = get(Slot::TimedCache);
    Some(Usage {
        cache_read,
        ..Usage::new(
            get(Slot::TimedInput).saturating_add(cache_read),
            get(Slot::TimedOutput),
        )
    })
}

/// Whether `completion_tokens` leaves reasoning out, as xAI's chat format does and OpenAI's does not. The provider's known
/// convention decides, unless the total proves otherwise; without one, the numbers do.
///
/// The total is not trusted as a count, only as evidence of the convention. Where completion includes reasoning, the total is
/// prompt + completion, so it cannot equal prompt + completion + reasoning unless there was no reasoning, and then
/// the two conventions agree. That makes the sum safe to go by for OpenAI and everybody who follows it. Should the total of a provider
/// that leaves reasoning out match neither sum, its convention (or, of xAI, its own fields `num_sources_used` and
/// `cost_in_usd_ticks`) tells it. Reasoning above completion alone proves nothing where there is a total, because gateways
/// re-tokenise reasoning and overshoot.
fn has_reasoning_beside(counts: &Counts, manner: Manner) -> bool {
    let get = |slot| counts.get(slot).unwrap_or(0);
    let reasoning = get(Slot::Reasoning);
    let inclusive = get(Slot::Input).saturating_add(get(Slot::Completion));
    let is_beside = match manner.reasoning {
        Some(place) => place == Counted::Beside,
        None => counts
            .get(Slot::Sources)
            .or(counts.get(Slot::Ticks))
            .is_some(),
    };
    match counts.get(Slot::Total) {
        _ if reasoning == 0 => false,
        Some(total) => {
            total == inclusive.saturating_add(reasoning) || (is_beside && total != inclusive)
        }
        None => is_beside || (manner.reasoning.is_none() && reasoning > get(Slot::Completion)),
    }
}
