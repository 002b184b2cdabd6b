//! What is read: the same numbers by all contenders.

use serde::Deserialize;
use tollgate_tokens::{Dialect, Framing, Scan, UsageScanner};

/// An answer or a chunk of one, of which only the usage is wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) usage: Option<Reported>,
}

/// OpenAI's usage.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    prompt_tokens_details: Option<OfPrompt>,
    completion_tokens_details: Option<OfCompletion>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct OfPrompt {
    cached_tokens: u64,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct OfCompletion {
    reasoning_tokens: u64,
}

/// Input and output tokens, as every contender must have them in the end.
pub(crate) type Counted = (u64, u64);

impl Reported {
    pub(crate) const fn counted(&self) -> Counted {
        (self.prompt_tokens, self.completion_tokens)
    }
}

/// Ours, over a body in pieces as they come.
pub(crate) fn scan<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Counted {
    let mut scanner = UsageScanner::new(Dialect::OpenAiChat, framing);
    for piece in pieces {
        scanner.push(piece);
    }
    counted(&scanner.finish())
}

pub(crate) fn counted(scan: &Scan) -> Counted {
    let usage = scan.usage.expect("the body reports its usage");
    (usage.input, usage.output)
}
