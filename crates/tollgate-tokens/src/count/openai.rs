//! `OpenAiTokens`: the tokenizers of OpenAI's models, which come with the `bpe-openai` crate.

use bpe_openai::Tokenizer;

use super::CountTokens;

/// A tokenizer of OpenAI's. Its vocabulary is part of the program: three and a half megabytes, unpacked at first use in about a tenth of a
/// second. Counts some forty bytes per microsecond.
#[derive(Clone, Copy)]
pub struct OpenAiTokens {
    tokenizer: &'static Tokenizer,
}

impl OpenAiTokens {
    /// `o200k_base`: GPT-4o and what came after it, and the `o` models.
    #[must_use]
    pub fn o200k() -> Self {
        Self {
            tokenizer: bpe_openai::o200k_base(),
        }
    }

    /// `cl100k_base`: GPT-4, GPT-3.5 and the embedding models.
    #[must_use]
    pub fn cl100k() -> Self {
        Self {
            tokenizer: bpe_openai::cl100k_base(),
        }
    }
}

impl CountTokens for OpenAiTokens {
    fn count(&self, text: &str) -> u64 {
        self.tokenizer.count(text) as u64
    }
}

impl std::fmt::Debug for OpenAiTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAiTokens").finish_non_exhaustive()
    }
}

/// A model's name, or the part of names before `*`, and what makes its tokenizer.
type Model = (&'static str, fn() -> OpenAiTokens);

/// OpenAI's models and their tokenizers (`tiktoken`, `model.py`, 2026).
pub(crate) const MODELS: [Model; 12] = [
    ("gpt-4o*", OpenAiTokens::o200k),
    ("gpt-4.1*", OpenAiTokens::o200k),
    ("gpt-4.5*", OpenAiTokens::o200k),
    ("gpt-5*", OpenAiTokens::o200k),
    ("chatgpt-4o*", OpenAiTokens::o200k),
    ("gpt-oss*", OpenAiTokens::o200k),
    ("o1*", OpenAiTokens::o200k),
    ("o3*", OpenAiTokens::o200k),
    ("o4*", OpenAiTokens::o200k),
    ("gpt-4*", OpenAiTokens::cl100k),
    ("gpt-3.5*", OpenAiTokens::cl100k),
    ("text-embedding-*", OpenAiTokens::cl100k),
];
