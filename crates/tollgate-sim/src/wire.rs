//! What the provider speaks: four dialects, each read and written as its samples and documentation say.

mod anthropic;
mod generic;
mod meta;
mod openai;

mod limits;
mod problem;
mod prompt;

use serde::Serialize;
use serde_json::Value;

use crate::reply::Text;
pub(crate) use problem::Problem;

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's chat completions.
    OpenAi,
    /// Meta's Llama API, its own format.
    MetaLlama,
    /// Anthropic's messages.
    Anthropic,
    /// The plain `prompt` or `text` in, `token_usage` out of many small APIs. It does not stream.
    Generic,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::OpenAi,
        Self::MetaLlama,
        Self::Anthropic,
        Self::Generic,
    ];

    /// Understands a request's body, or says what is wrong with it.
    pub(crate) fn read(self, body: &[u8]) -> Result<Ask, String> {
        match self {
            Self::OpenAi | Self::MetaLlama => openai::read(body),
            Self::Anthropic => anthropic::read(body),
            Self::Generic => generic::read(body),
        }
    }
}

/// What a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// None only in the generic dialect.
    pub(crate) model: Option<String>,
    /// Tokens of the prompt, by the provider's own tokenizer.
    pub(crate) input: u64,
    /// The output cap of each choice, at least 1.
    pub(crate) cap: Option<u64>,
    /// Answers asked for, at least 1.
    pub(crate) choices: u64,
    pub(crate) stream: bool,
    /// OpenAI's `stream_options.include_usage`.
    pub(crate) include_usage: bool,
}

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) dialect: Dialect,
    /// The request's number, from which its id is made.
    pub(crate) number: u64,
    /// Seconds since the Unix epoch.
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) input: u64,
    /// Whether an OpenAI stream ends with a chunk of usage.
    pub(crate) usage_chunk: bool,
    pub(crate) texts: Vec<Text>,
}

impl Answer {
    /// Output tokens of all texts.
    pub(crate) fn output(&self) -> u64 {
        self.texts.iter().map(Text::tokens).sum()
    }

    /// The whole answer as JSON.
    pub(crate) fn json(&self) -> Value {
        match self.dialect {
            Dialect::OpenAi => openai::json(self),
            Dialect::MetaLlama => meta::json(self),
            Dialect::Anthropic => anthropic::json(self),
            Dialect::Generic => generic::json(self),
        }
    }

    /// The first events of a stream.
    pub(crate) fn open(&self) -> String {
        match self.dialect {
            Dialect::OpenAi => openai::open(self),
            Dialect::MetaLlama => meta::open(self),
            Dialect::Anthropic => anthropic::open(self),
            Dialect::Generic => String::new(),
        }
    }

    /// The event for a piece of text.
    pub(crate) fn piece(&self, choice: usize, text: &str) -> String {
        match self.dialect {
            Dialect::OpenAi => openai::piece(self, choice, text),
            Dialect::MetaLlama => meta::piece(self, text),
            Dialect::Anthropic => anthropic::piece(text),
            Dialect::Generic => String::new(),
        }
    }

    /// The last events of a stream.
    pub(crate) fn close(&self) -> String {
        match self.dialect {
            Dialect::OpenAi => openai::close(self),
            Dialect::MetaLlama => meta::close(self),
            Dialect::Anthropic => anthropic::close(self),
            Dialect::Generic => String::new(),
        }
    }

    /// The first text; there is always one.
    fn text(&self) -> &str {
        self.texts.first().map_or("", |text| &text.text)
    }

    fn capped(&self) -> bool {
        self.texts.first().is_some_and(|text| text.capped)
    }
}

/// One server-sent event without a name.
fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// One server-sent event, named after its `type`.
fn event(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}
