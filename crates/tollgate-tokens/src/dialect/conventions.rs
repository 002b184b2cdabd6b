//! `Conventions`: where providers of one wire format differ, as data of the catalog.

use serde::Deserialize;

/// How a provider speaks its dialect. OpenAI's format above all is spoken by many, who do not all mean the same by a field.
///
/// A field that is `None` (the default of all) leaves the matter to the dialect, which goes by the numbers themselves where it can.
/// In the catalog this is the table `[provider.NAME.conventions]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Conventions {
    /// Where reasoning is counted: `"within"` the count of output, or `"beside"` it. Concerns `completion_tokens` alone, as xAI's
    /// chat format leaves reasoning out and its Responses format does not.
    pub reasoning: Option<Counted>,
    /// Where cached input is counted: `"within"` the count of input, or `"beside"` it.
    pub cache: Option<Counted>,
    /// Whether a stream reports usage: `"always"`, or only `"on-request"` (`stream_options.include_usage`).
    pub stream_usage: Option<StreamUsage>,
    /// Names of output caps that the provider accepts and does not keep to, so that they bound nothing.
    pub ignored_caps: Option<Vec<String>>,
    /// The output cap of a legacy completion that sets none, in tokens per choice.
    pub completion_cap: Option<u64>,
}

/// Where a part of a count is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// As a part of the count.
    Within,
    /// In addition to it.
    Beside,
}

/// When a stream reports usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamUsage {
    /// In every stream.
    Always,
    /// In streams that ask for it.
    OnRequest,
}

impl Conventions {
    /// These, with what `over` gives in place of what was known.
    pub(crate) fn merge(&mut self, over: Self) {
        self.reasoning = over.reasoning.or(self.reasoning);
        self.cache = over.cache.or(self.cache);
        self.stream_usage = over.stream_usage.or(self.stream_usage);
        self.ignored_caps = over.ignored_caps.or(self.ignored_caps.take());
        self.completion_cap = over.completion_cap.or(self.completion_cap);
    }
}
