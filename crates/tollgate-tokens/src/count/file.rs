//! `TokenizerFile`: a tokenizer from a file, such as Llama's `tokenizer.json`.

use std::fmt;
use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use super::CountTokens;

/// A tokenizer from a `tokenizer.json`, the format of Hugging Face, in which most open models publish theirs.
pub struct TokenizerFile {
    tokenizer: Tokenizer,
}

/// Why a file is no tokenizer.
#[derive(Debug)]
pub struct TokenizerError {
    path: PathBuf,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl TokenizerFile {
    /// Reads the file, which takes up to some seconds and some tens of megabytes of memory for a large vocabulary.
    ///
    /// # Errors
    /// If it cannot be read, or is no tokenizer that this version understands.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TokenizerError> {
        let path = path.as_ref();
        match Tokenizer::from_file(path) {
            Ok(tokenizer) => Ok(Self { tokenizer }),
            Err(cause) => Err(TokenizerError {
                path: path.to_owned(),
                cause,
            }),
        }
    }
}

impl CountTokens for TokenizerFile {
    /// A text that the tokenizer cannot encode counts as a token in three bytes.
    fn count(&self, text: &str) -> u64 {
        let encoding = self.tokenizer.encode_fast(text, false);
        encoding.map_or(text.len().div_ceil(3) as u64, |encoding| {
            encoding.len() as u64
        })
    }
}

impl fmt::Debug for TokenizerFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenizerFile").finish_non_exhaustive()
    }
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}; it must be a `tokenizer.json` in the format of Hugging Face",
            self.path.display(),
            self.cause
        )
    }
}

impl std::error::Error for TokenizerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_ref())
    }
}
