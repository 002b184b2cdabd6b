//! `Dialect`: the wire formats we read, and how to tell which one a call speaks.

mod conventions;
mod detect;
mod guess;

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod generic;
mod meta_llama;
mod ollama;
mod openai_chat;

use http::HeaderMap;

pub use conventions::{Conventions, Counted, StreamUsage};

use crate::descriptor::Ask;
use crate::json::Node;
use crate::scanner::{Counts, Leaf, Manner};
use crate::usage::Usage;

/// A wire format. Providers that speak the same format share a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OpenAI's formats (chat completions, legacy completions, embeddings, Responses) and the many servers that copied them: Azure,
    /// xAI, Groq, Mistral, DeepSeek, Together, Fireworks, OpenRouter, vLLM and others.
    OpenAiChat,
    /// The Meta Llama API's own format, with `completion_message` and a list of `metrics`.
    MetaLlama,
    /// Anthropic's Messages format.
    Anthropic,
    /// Google's Gemini format, of the Gemini API and of Vertex AI.
    Gemini,
    /// Cohere's formats: both versions of chat, and embeddings.
    Cohere,
    /// Amazon Bedrock: Converse, and what the vendors behind `invoke` answer.
    Bedrock,
    /// Ollama's native format.
    Ollama,
    /// The plainest format: `prompt` or `text` in; `token_usage` or `tokens_used` out.
    Generic,
}

impl Dialect {
    /// All dialects.
    pub const ALL: &[Self] = &[
        Self::OpenAiChat,
        Self::MetaLlama,
        Self::Anthropic,
        Self::Gemini,
        Self::Cohere,
        Self::Bedrock,
        Self::Ollama,
        Self::Generic,
    ];

    /// The name used in configuration and telemetry: `openai`, `meta-llama`, `anthropic`, `gemini`, `cohere`, `bedrock`, `ollama` or
    /// `generic`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai",
            Self::MetaLlama => "meta-llama",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
            Self::Bedrock => "bedrock",
            Self::Ollama => "ollama",
            Self::Generic => "generic",
        }
    }

    /// The dialect called `name`; letter case does not matter. What a provider speaks, its entry in the [`Catalog`](crate::Catalog) says.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|dialect| dialect.name().eq_ignore_ascii_case(name))
    }

    /// The dialect of a call, by the host and path of its URL; a port (but Ollama's), a query and letter case of the host do not matter.
    ///
    /// `api.llama.com` speaks its own format under `/v1/chat/completions` and OpenAI's under `/compat/v1/`; Cohere's and Ollama's
    /// own paths count on their own hosts (Ollama's: any with port 11434). On every other host the path tells: `…/chat/completions`,
    /// `…/completions`, `…/embeddings` and `…/v1/responses` are OpenAI's, `…/v1/messages` (and its `/count_tokens`) is Anthropic's,
    /// `…:generateContent` and its kin are Google's, `/model/…/converse` and its kin are Bedrock's. `None` for anything else.
    #[must_use]
    pub fn detect(host: &str, path: &str) -> Option<Self> {
        detect::detect(host, path)
    }

    /// The dialect of a response, by the shape of its body or of the body's beginning; for recordings that do not say where they
    /// come from. Reads JSON, lines of JSON and event streams. `None` when nothing is recognised.
    #[must_use]
    pub fn guess(head: &[u8]) -> Option<Self> {
        guess::guess(head)
    }
}

impl Dialect {
    /// Where a request of this dialect says what.
    pub(crate) fn request(self) -> &'static Node<Ask> {
        match self {
            Self::OpenAiChat | Self::MetaLlama => &openai_chat::REQUEST,
            Self::Anthropic => &anthropic::REQUEST,
            Self::Gemini => &gemini::REQUEST,
            Self::Cohere => &cohere::REQUEST,
            Self::Bedrock => &bedrock::REQUEST,
            Self::Ollama => &ollama::REQUEST,
            Self::Generic => &generic::REQUEST,
        }
    }

    /// Where a response of this dialect says what.
    pub(crate) fn response(self) -> &'static Node<Leaf> {
        match self {
            Self::OpenAiChat => &openai_chat::RESPONSE,
            Self::MetaLlama => &meta_llama::RESPONSE,
            Self::Anthropic => &anthropic::RESPONSE,
            Self::Gemini => &gemini::RESPONSE,
            Self::Cohere => &cohere::RESPONSE,
            Self::Bedrock => &bedrock::RESPONSE,
            Self::Ollama => &ollama::RESPONSE,
            Self::Generic => &generic::RESPONSE,
        }
    }

    /// The usage that the numbers of a response mean in this dialect; `None` when they report none.
    pub(crate) fn usage(self, counts: &Counts, manner: Manner) -> Option<Usage> {
        match self {
            Self::OpenAiChat => openai_chat::usage(counts, manner),
            Self::MetaLlama => meta_llama::usage(counts),
            Self::Anthropic => anthropic::usage(counts),
            Self::Gemini => gemini::usage(counts),
            Self::Cohere => cohere::usage(counts),
            Self::Bedrock => bedrock::usage(counts),
            Self::Ollama => ollama::usage(counts),
            Self::Generic => generic::usage(counts),
        }
    }

    /// Reads the counts that the head of a response brings, where the dialect has such.
    pub(crate) fn read_head(self, headers: &HeaderMap, counts: &mut Counts) {
        if self == Self::Bedrock {
            bedrock::read_head(headers, counts);
        }
    }

    /// Whether a request that does not say asks for a stream.
    pub(crate) const fn streams_by_default(self) -> bool {
        matches!(self, Self::Ollama)
    }

    /// Whether a stream reports usage before its text has ended, so that what a cut stream reported of its output is too little.
    #[must_use]
    pub const fn reports_early(self) -> bool {
        matches!(self, Self::Anthropic | Self::Bedrock | Self::Gemini)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{KEY, PATH};

    #[test]
    fn no_wanted_place_is_out_of_the_reader_s_reach() {
        for dialect in Dialect::ALL {
            for (levels, key) in [dialect.request().extent(), dialect.response().extent()] {
                assert!(
                    levels <= PATH && key <= KEY.into(),
                    "{dialect:?}: {levels} levels, key of {key}"
                );
            }
        }
    }

    #[test]
    fn a_dialect_is_found_by_its_own_name() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::from_name(dialect.name()), Some(*dialect));
        }
        assert_eq!(Dialect::from_name("Anthropic"), Some(Dialect::Anthropic));
        assert_eq!(Dialect::from_name("vllm"), None);
    }
}
