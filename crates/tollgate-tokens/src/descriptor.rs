//! `Descriptor`: what is known of a call before it is sent, read from its path and body.

mod ask;
mod exact;
mod kinds;
mod path;

use std::sync::Arc;

use ask::{Answers, CapSpans};
pub(crate) use ask::{Ask, cap, hidden, kept, measured, open_cap, part};
use exact::Exact;
pub use kinds::TextKinds;
pub(crate) use kinds::{KINDS, Kind, KindCounter, NAMES};
use path::Route;

use crate::json::Reader;
use crate::{Conventions, CountTokens, Dialect, StreamUsage, Warning};

/// What a call asks the provider to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Answer a conversation (chat completions, messages, Responses).
    Chat,
    /// Continue a text (legacy completions and plain prompt endpoints).
    TextCompletion,
    /// Turn text into vectors; generates no tokens.
    Embeddings,
    /// Count tokens without generating any.
    CountTokens,
    /// Anything else, or a body that could not be read.
    Other,
}

impl Operation {
    /// The value of OpenTelemetry's `gen_ai.operation.name` (GenAI semantic conventions, 2026). The conventions have
    /// no word for the last two and allow one's own.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
            Self::CountTokens => "count_tokens",
            Self::Other => "other",
        }
    }
}

/// What is known of a call before it is sent. Holds numbers and the model's name, never text of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The wire format; `None` when it is unknown, and then the call counts as one request and nothing below was read.
    pub dialect: Option<Dialect>,
    /// What is asked of the provider.
    pub operation: Operation,
    /// The requested model. Where the path names it (Gemini, Bedrock), that name; an Azure deployment too: Azure's limits are per
    /// deployment.
    pub model: Option<Arc<str>>,
    /// The most tokens that the caller lets the provider generate, over all `choices`. `None` when the caller set no cap.
    /// Zero for embeddings and token counting, which generate nothing.
    pub output_cap: Option<u64>,
    /// How many answers are generated, at least 1: `n` or `best_of`, times the number of prompts of a legacy completion.
    pub choices: u32,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// `false` when the provider may leave usage out of the answer: a stream in OpenAI's chat or completions format without
    /// `stream_options.include_usage`. Some providers of that format report regardless.
    pub reports_usage: bool,
    /// UTF-8 bytes of prompt text as the model sees it: JSON escapes resolved, tool definitions included, images and other base64 left out.
    pub text_bytes: u64,
    /// The same text by kind, which tells far more about its tokens than its length does.
    pub kinds: TextKinds,
    /// Input that was sent as token ids (embeddings and legacy completions allow it): a count of tokens, known exactly, and not part of `text_bytes`.
    pub token_ids: u64,
    /// Messages of the conversation, each of which costs the provider a few tokens of framing; a system prompt counts as one. Zero
    /// for embeddings and legacy completions, which have no framing.
    pub messages: u32,
    /// Images in the prompt.
    pub images: u32,
    /// Tokens that they take by the rule of the model's provider, from the sizes in the images' own first bytes; 1,600 for each whose size
    /// or rule is not known. The length of base64 plays no part.
    pub image_tokens: u64,
    /// The provider will add input that is not in this body (an earlier response, a stored prompt, a file), so an estimate
    /// from `text_bytes` is a lower bound.
    pub hidden_context: bool,
    /// The caller's own name for calls whose answers are about as long as each other's; `None` from [`describe`]. It is kept with what is
    /// learned, so it must not be a secret.
    pub route: Option<Arc<str>>,
    /// Whose quota it takes from, where a model's calls do not all share one: calls with the same share cover each other's risk. `None`
    /// from [`describe`].
    pub share: Option<Arc<str>>,
    /// What was odd in the body.
    pub warnings: Vec<Warning>,
}

impl Descriptor {
    /// Replaces what its text is expected to take by what `counter` counts. `body` is what it was described from.
    pub(crate) fn count(&mut self, body: &[u8], counter: &dyn CountTokens) {
        let Some(dialect) = self.dialect.filter(|_| self.operation != Operation::Other) else {
            return;
        };
        let mut answers = Answers::new(&[]);
        answers.exact = Exact::new(counter);
        let mut reader = Reader::new(dialect.request());
        reader.push(body, &mut answers);
        reader.end(&mut answers);
        let Exact { text, tools, .. } = answers.exact;
        self.kinds = self.kinds.counted(text);
        if tools > 0 {
            self.kinds = self.kinds.counted_tools(tools);
        }
    }
}

/// Describes a call from the path of its URL (a query is ignored) and its body.
///
/// Never fails. Without a dialect nothing is read, which gives [`Warning::UnknownFormat`]. A body that is not whole JSON
/// gives [`Operation::Other`], what the path tells, and [`Warning::NotJson`]; no body is no oddity on a path that needs none.
/// Takes time linear in the body and memory that does not depend on it; only the model's name is copied.
#[must_use]
pub fn describe(dialect: Option<Dialect>, path: &str, body: &[u8]) -> Descriptor {
    describe_as(dialect, &Conventions::default(), path, body)
}

/// As [`describe`], of a call to a provider whose [`Conventions`] are known.
#[must_use]
pub fn describe_as(
    dialect: Option<Dialect>,
    conventions: &Conventions,
    path: &str,
    body: &[u8],
) -> Descriptor {
    let path = path
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let route = Route::of(path);
    let mut descriptor = Descriptor {
        dialect,
        operation: Operation::Other,
        model: route.model.as_deref().map(Arc::from),
        output_cap: None,
        choices: 1,
        stream: route.stream,
        reports_usage: true,
        text_bytes: 0,
        kinds: TextKinds::default(),
        token_ids: 0,
        messages: 0,
        images: 0,
        image_tokens: 0,
        hidden_context: false,
        route: None,
        share: None,
        warnings: Vec::new(),
    };
    let Some(dialect) = dialect else {
        descriptor.warnings.push(Warning::UnknownFormat);
        return descriptor;
    };

    let mut answers = Answers::new(conventions.ignored_caps.as_deref().unwrap_or_default());
    let mut reader = Reader::new(dialect.request());
    reader.push(body, &mut answers);
    let end = reader.end(&mut answers);
    if end.faulty || !end.closed {
        if end.started || route.operation.is_some() {
            descriptor.warnings.push(Warning::NotJson);
        }
        return descriptor;
    }
    descriptor.operation = route.operation.unwrap_or(if answers.messages_list {
        Operation::Chat
    } else if answers.prompts > 0 {
        Operation::TextCompletion
    } else {
        Operation::Other
    });
    let default_cap = conventions.completion_cap.filter(|_| route.is_completion);
    answers.fill(&mut descriptor, default_cap);
    let is_generating = !matches!(
        descriptor.operation,
        Operation::Embeddings | Operation::CountTokens
    );
    descriptor.stream = route.stream
        || answers
            .stream
            .unwrap_or(dialect.streams_by_default() && is_generating);

    // OpenAI's Responses always report usage; its older streams do when asked to.
    let is_opt_in = match conventions.stream_usage {
        Some(when) => when == StreamUsage::OnRequest,
        None => true,
    };
    let may_leave_out = dialect == Dialect::OpenAiChat && !route.is_responses && is_opt_in;
    descriptor.reports_usage = !(may_leave_out && descriptor.stream && !answers.include_usage);
    descriptor
}

/// The body with the caller's own output cap lowered to `cap` tokens; all other bytes stay as they are.
///
/// The cap counts per choice, as the field itself does, so pass what is left divided by [`Descriptor::choices`]. Never adds or renames a
/// field, because providers refuse the names they do not know. `None` when there is nothing to lower (the caller set no
/// cap, or none above `cap`), when the body is not whole JSON, and when the provider would refuse the lower value: zero, less
/// than 16 in `max_output_tokens` (OpenAI API reference, 2026), or no more than Anthropic's `thinking.budget_tokens`, which is part of its cap.
#[must_use]
pub fn lower_output_cap(dialect: Dialect, body: &[u8], cap: u64) -> Option<Vec<u8>> {
    let mut caps = CapSpans::above(cap);
    let mut reader = Reader::new(dialect.request());
    reader.push(body, &mut caps);
    let end = reader.end(&mut caps);
    if end.faulty || !end.closed || caps.least > cap {
        return None;
    }
    let (first, _) = caps.spans.first()?;
    let mut lowered = body[..*first].to_vec();
    for (at, (_, end)) in caps.spans.iter().enumerate() {
        let next = caps
            .spans
            .get(at + 1)
            .map_or(body.len(), |(start, _)| *start);
        lowered.extend_from_slice(cap.to_string().as_bytes());
        lowered.extend_from_slice(&body[*end..next]);
    }
    Some(lowered)
}
