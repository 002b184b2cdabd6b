//! `Dialect`: the wire formats we read, and how to tell which one a call speaks.

mod anthropic;
mod generic;
mod guess;
mod meta_llama;
mod openai_chat;

use crate::descriptor::Ask;
use crate::json::Node;
use crate::scanner::{Counts, Leaf};
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
    /// The plainest format: `prompt` or `text` in; `token_usage` or `tokens_used` out.
    Generic,
}

impl Dialect {
    /// All dialects.
    pub const ALL: &[Self] = &[
        Self::OpenAiChat,
        Self::MetaLlama,
        Self::Anthropic,
        Self::Generic,
    ];

    /// The name used in configuration and telemetry: `openai`, `meta-llama`, `anthropic` or `generic`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai",
            Self::MetaLlama => "meta-llama",
            Self::Anthropic => "anthropic",
            Self::Generic => "generic",
        }
    }

    /// The dialect called `name`, or spoken by the provider called `name`; letter case does not matter. `None` for names nobody here knows.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let is = |known: &&str| known.eq_ignore_ascii_case(name);
        if let Some(dialect) = Self::ALL.iter().find(|dialect| is(&dialect.name())) {
            return Some(*dialect);
        }
        OPENAI_SPEAKERS.iter().any(is).then_some(Self::OpenAiChat)
    }

    /// The dialect of a call, by the host and path of its URL; a port, a query and letter case of the host do not matter.
    ///
    /// `api.llama.com` speaks its own format under `/v1/chat/completions` and OpenAI's under `/compat/v1/`. On every other host the path
    /// tells: `…/chat/completions`, `…/completions`, `…/embeddings` and `…/v1/responses` are OpenAI's, `…/v1/messages` (and its
    /// `/count_tokens`) is Anthropic's. `None` for anything else.
    #[must_use]
    pub fn detect(host: &str, path: &str) -> Option<Self> {
        let path = path
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .trim_end_matches('/');
        let ends_with = |tails: &[&str]| tails.iter().any(|tail| path.ends_with(tail));
        if host_name(host).eq_ignore_ascii_case("api.llama.com") {
            return match path {
                "/v1/chat/completions" => Some(Self::MetaLlama),
                _ if path.starts_with("/compat/v1/") => Some(Self::OpenAiChat),
                _ => None,
            };
        }
        if ends_with(&["/v1/messages", "/v1/messages/count_tokens"]) {
            return Some(Self::Anthropic);
        }
        // Azure serves Responses under `/openai/responses`; a bare `/responses` on an unknown host could be anything.
        const OPENAI_TAILS: &[&str] = &[
            "/completions",
            "/embeddings",
            "/v1/responses",
            "/openai/responses",
            "/v1/responses/input_tokens",
        ];
        ends_with(OPENAI_TAILS).then_some(Self::OpenAiChat)
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
            Self::Generic => &generic::REQUEST,
        }
    }

    /// Where a response of this dialect says what.
    pub(crate) fn response(self) -> &'static Node<Leaf> {
        match self {
            Self::OpenAiChat => &openai_chat::RESPONSE,
            Self::MetaLlama => &meta_llama::RESPONSE,
            Self::Anthropic => &anthropic::RESPONSE,
            Self::Generic => &generic::RESPONSE,
        }
    }

    /// The usage that the numbers of a response mean in this dialect; `None` when they report none.
    pub(crate) fn usage(self, counts: &Counts) -> Option<Usage> {
        match self {
            Self::OpenAiChat => openai_chat::usage(counts),
            Self::MetaLlama => meta_llama::usage(counts),
            Self::Anthropic => anthropic::usage(counts),
            Self::Generic => generic::usage(counts),
        }
    }
}

/// Providers and servers whose format is OpenAI's (their own API references, 2026).
const OPENAI_SPEAKERS: &[&str] = &[
    "azure",
    "azure-openai",
    "cerebras",
    "deepseek",
    "fireworks",
    "groq",
    "llama.cpp",
    "mistral",
    "openrouter",
    "together",
    "vllm",
    "xai",
];

/// The host without its port and without the root's final dot.
fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
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
    }

    #[test]
    fn a_dialect_is_found_by_a_provider_that_speaks_it() {
        let check = |name, expected| assert_eq!(Dialect::from_name(name), expected, "{name}");
        check("xai", Some(Dialect::OpenAiChat));
        check("Azure-OpenAI", Some(Dialect::OpenAiChat));
        check("vllm", Some(Dialect::OpenAiChat));
        check("", None);
        check("bedrock", None);
    }

    #[test]
    fn host_and_path_tell_the_dialect() {
        let check = |host, path, expected| {
            assert_eq!(Dialect::detect(host, path), expected, "{host}{path}")
        };
        check(
            "api.openai.com",
            "/v1/chat/completions",
            Some(Dialect::OpenAiChat),
        );
        check(
            "api.openai.com",
            "/v1/completions",
            Some(Dialect::OpenAiChat),
        );
        check(
            "api.openai.com",
            "/v1/embeddings/",
            Some(Dialect::OpenAiChat),
        );
        check("api.openai.com", "/v1/responses", Some(Dialect::OpenAiChat));
        check(
            "api.openai.com",
            "/v1/responses/input_tokens",
            Some(Dialect::OpenAiChat),
        );
        check("api.openai.com", "/v1/models", None);
        check(
            "x.openai.azure.com",
            "/openai/deployments/d/chat/completions?api-version=2024-10-21",
            Some(Dialect::OpenAiChat),
        );
        check(
            "x.services.ai.azure.com",
            "/anthropic/v1/messages",
            Some(Dialect::Anthropic),
        );
        check(
            "127.0.0.1:8000",
            "/v1/chat/completions",
            Some(Dialect::OpenAiChat),
        );
        check("[::1]:8000", "/v1/embeddings", Some(Dialect::OpenAiChat));
        check(
            "api.llama.com",
            "/v1/chat/completions",
            Some(Dialect::MetaLlama),
        );
        check(
            "API.Llama.com:443",
            "/v1/chat/completions?x=1",
            Some(Dialect::MetaLlama),
        );
        check(
            "api.llama.com",
            "/compat/v1/chat/completions",
            Some(Dialect::OpenAiChat),
        );
        check("api.llama.com", "/v1/models", None);
        check(
            "api.anthropic.com",
            "/v1/messages",
            Some(Dialect::Anthropic),
        );
        check(
            "api.anthropic.com",
            "/v1/messages/count_tokens",
            Some(Dialect::Anthropic),
        );
        check("api.anthropic.com", "/v1/messages/batches", None);
        check("example.com", "/survey/responses", None);
        check("example.com", "/", None);
        check("", "", None);
    }
}
