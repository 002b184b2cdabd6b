//! `Leaf`: what dialects want to hear of, and the numbers among it.

use crate::Counted;
use crate::json::Node;

/// What is at a wanted place of a response.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leaf {
    /// A count of tokens or the like, under this name. The latest value wins.
    Count(Slot, &'static str),
    /// A bare total, under this name; may be an object with a split instead.
    Total(&'static str),
    /// An amount of US dollars.
    Dollars(&'static str),
    /// Generated text.
    Text,
    /// A document of its own, as base64.
    Bytes,
    /// One document of several in a list.
    Document,
    /// The model's name.
    Model,
    /// Why generation stopped.
    Finish,
    /// The same where nothing else ends a stream.
    LastFinish,
    /// The status of a whole response, which is a reason to stop unless it says that the response is still under way.
    Status,
    /// What kind of event the document is; one of these ends the stream.
    Type(&'static [&'static str]),
    /// Whether this is the last document of a stream.
    Done,
    /// What only the last document of a stream has.
    End,
    /// What kind of object the document is.
    Object,
    /// A part of an error, under the document's `error`.
    Error(Fault),
    /// What would be a part of an error, if the document as a whole is one.
    Flat(Fault),
    /// One entry of a list of named numbers.
    Metric,
    /// Its name, one of these.
    MetricName(&'static [(&'static str, Slot)]),
    /// Its number.
    MetricValue,
    /// The tokens of a text, as the answer of a tokenizer.
    TokenList,
    /// One of them.
    Token,
}

/// Which part of an error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Kind,
    /// Google's name for the kind of error.
    Status,
    Code,
    Message,
}

/// The numbers that dialects read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Input,
    /// Input that a provider's tools brought into the prompt.
    ToolInput,
    /// Input of which cached tokens are a part, where `Input` leaves them out.
    Prompt,
    /// Output as the dialect counts it.
    Output,
    /// Output as OpenAI's chat format names it, whose meaning depends on the provider.
    Completion,
    Total,
    CacheRead,
    /// The same under a provider's own name, for want of the usual one.
    CacheReadToo,
    CacheWrite,
    CacheWrite5m,
    CacheWrite1h,
    Reasoning,
    /// Money, in nano-dollars.
    Cost,
    /// Money, in xAI's ticks.
    Ticks,
    Sources,
    BilledInput,
    BilledOutput,
    /// Counts that lie beside a vendor's body, in the head of the response or in a stream's metrics.
    HeadInput,
    HeadOutput,
    HeadCacheRead,
    HeadCacheWrite,
    /// Counts of a server's own timings: input that was evaluated, input that was cached, output.
    TimedInput,
    TimedCache,
    TimedOutput,
    /// The provider said that the answer is done.
    Done,
    /// The answer of a token counting endpoint.
    Counted,
}

/// The numbers found so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    values: [u64; Slot::Counted as usize + 1],
    /// One bit per number that is known.
    known: u32,
}

impl Counts {
    pub(crate) fn get(&self, slot: Slot) -> Option<u64> {
        let is_known = self.known >> slot as u32 & 1 == 1;
        is_known.then_some(self.values[slot as usize])
    }

    pub(crate) fn set(&mut self, slot: Slot, value: u64) {
        self.values[slot as usize] = value;
        self.known |= 1 << slot as u32;
    }
}

/// Where the provider counts what, where it is known ([`Conventions`](crate::Conventions)).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) reasoning: Option<Counted>,
    pub(crate) cache: Option<Counted>,
}

/// A place that holds a count.
pub(crate) const fn count(name: &'static str, slot: Slot) -> (&'static str, Node<Leaf>) {
    (name, Node::keep(Leaf::Count(slot, name), NUMBER))
}

/// A place that holds generated text.
pub(crate) const fn text(name: &'static str) -> (&'static str, Node<Leaf>) {
    (name, Node::measure(Leaf::Text))
}

/// A place that holds a name or a message.
pub(crate) const fn kept(name: &'static str, leaf: Leaf) -> (&'static str, Node<Leaf>) {
    let limit = match leaf {
        Leaf::Error(Fault::Message) | Leaf::Flat(Fault::Message) => 512,
        Leaf::Model => 256,
        _ => 128,
    };
    (name, Node::keep(leaf, limit))
}

/// The place of an error: an object, or a plain string.
pub(crate) const fn error() -> (&'static str, Node<Leaf>) {
    let (name, node) = kept("error", Leaf::Error(Fault::Message));
    (name, node.keys(FAULTS))
}

const FAULTS: &[(&str, Node<Leaf>)] = &[
    kept("type", Leaf::Error(Fault::Kind)),
    kept("status", Leaf::Error(Fault::Status)),
    kept("code", Leaf::Error(Fault::Code)),
    kept("message", Leaf::Error(Fault::Message)),
];

/// One document of a list: of a stream that is sent as one list in pieces, or of an error that is wrapped into one.
pub(crate) const fn document(keys: &'static [(&'static str, Node<Leaf>)]) -> Node<Leaf> {
    Node::mark(Leaf::Document).keys(keys)
}

/// Most bytes of a number that is written as a string.
pub(crate) const NUMBER: u16 = 64;
