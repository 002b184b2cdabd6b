//! `Ask`: what is at a wanted place of a request; `Answers`: what a request's body says there.

use std::sync::Arc;

use super::exact::Exact;
use super::{Descriptor, Kind, KindCounter, Operation};
use crate::Warning;
use crate::image::{self, Picture, Sniffer};
use crate::json::{Node, Sink};
use crate::number::scaled;

/// What is at a wanted place of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    Model,
    Stream,
    IncludeUsage,
    /// How many answers, under this name.
    Choices(&'static str),
    /// The cap on output, under this name. Of several, the one with the lowest rank counts.
    Cap(&'static str, usize),
    /// The same, where a negative number means that there is none.
    OpenCap(&'static str, usize),
    /// The part of the cap that is set aside for thinking.
    Budget,
    /// Text of the prompt.
    Text,
    /// A definition of tools or a schema, which the provider renders in a way of its own.
    Tools,
    /// The list of messages.
    Messages,
    /// A message, or a text that is framed as one.
    Message,
    /// The prompt of a completion: a text or a list of them.
    Prompt,
    /// One prompt of several, or one token of the only one.
    PromptItem,
    /// A text to embed or a message, or a list of either.
    Input,
    /// One text to embed, one token of the only one, or one item of a Responses input.
    InputItem,
    /// One token.
    TokenId,
    /// A part of a message's content, on this level of nesting.
    Part(usize),
    PartType(usize),
    SourceType(usize),
    SourceData(usize),
    /// A picture, in base64.
    Image,
    /// A picture or something else, in base64.
    MediaData,
    /// What kind of thing lies beside this: a picture, or something whose text does not lie open.
    MediaType,
    /// Where an image is, or the image itself.
    ImageUrl(usize),
    ImageDetail(usize),
    /// Anything but `null` here means that the provider adds input of its own.
    Hidden,
}

/// A place that holds a cap on output.
pub(crate) const fn cap(name: &'static str, rank: usize) -> (&'static str, Node<Ask>) {
    assert!(rank < RANKS);
    (name, Node::keep(Ask::Cap(name, rank), 64))
}

/// A place that holds a cap on output, or a negative number for none.
pub(crate) const fn open_cap(name: &'static str, rank: usize) -> (&'static str, Node<Ask>) {
    assert!(rank < RANKS);
    (name, Node::keep(Ask::OpenCap(name, rank), 64))
}

/// A place that holds a name.
pub(crate) const fn kept(name: &'static str, ask: Ask) -> (&'static str, Node<Ask>) {
    (name, Node::keep(ask, 256))
}

/// A place whose text is measured.
pub(crate) const fn measured(name: &'static str, ask: Ask) -> (&'static str, Node<Ask>) {
    (name, Node::measure(ask))
}

/// A place that shows that the provider adds input of its own.
pub(crate) const fn hidden(name: &'static str) -> (&'static str, Node<Ask>) {
    (name, Node::measure(Ask::Hidden))
}

/// A part of a message's content.
pub(crate) const fn part(level: usize, keys: &'static [(&'static str, Node<Ask>)]) -> Node<Ask> {
    assert!(level < LEVELS);
    Node::mark(Ask::Part(level)).keys(keys)
}

/// Names that a cap can have within one dialect.
const RANKS: usize = 3;
/// A block inside the result of a tool is the deepest part there is.
const LEVELS: usize = 2;

/// What a request's body says.
#[derive(Debug, Default)]
pub(super) struct Answers<'c> {
    /// Names of caps that the provider does not keep to.
    ignored_caps: &'c [String],
    pub(super) include_usage: bool,
    pub(super) messages_list: bool,
    pub(super) prompts: u32,
    model: Option<Arc<str>>,
    pub(super) stream: Option<bool>,
    choices: u32,
    caps: [Option<u64>; RANKS],
    text_bytes: u64,
    text: KindCounter,
    tools: KindCounter,
    pub(super) exact: Exact<'c>,
    token_ids: u64,
    messages: u32,
    images: u32,
    /// Those of them whose part has ended, up to `PICTURES`.
    pictures: Vec<Picture>,
    /// The one that is being read, where it is no part of a message's content.
    media: Sniffer,
    hidden: bool,
    parts: [Part; LEVELS],
    warnings: Vec<Warning>,
}

/// What is known of a part of a message's content once it has ended.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    /// It is a file of some kind, whose text does not lie open.
    file: bool,
    plain_source: bool,
    coded: bool,
    source_bytes: u64,
    source: KindCounter,
    /// It is an image, whose first bytes are here.
    image: bool,
    sniffer: Sniffer,
    low: bool,
}

/// Most images whose sizes are remembered.
const PICTURES: usize = 64;

impl<'c> Answers<'c> {
    pub(super) fn new(ignored_caps: &'c [String]) -> Self {
        Self {
            ignored_caps,
            ..Self::default()
        }
    }

    /// Writes what the body says into `descriptor`, whose operation is known already. `default_cap` is what holds where no cap is set.
    pub(super) fn fill(&self, descriptor: &mut Descriptor, default_cap: Option<u64>) {
        let is_completion = descriptor.operation == Operation::TextCompletion;
        let prompts = if is_completion {
            self.prompts.max(1)
        } else {
            1
        };
        descriptor.choices = self.choices.max(1).saturating_mul(prompts);
        let cap = self.caps.iter().find_map(|cap| *cap).or(default_cap);
        descriptor.output_cap = match descriptor.operation {
            Operation::Embeddings | Operation::CountTokens => Some(0),
            _ => cap.map(|cap| cap.saturating_mul(descriptor.choices.into())),
        };
        // A deployment in the path is what the provider goes by.
        descriptor.model = descriptor.model.take().or_else(|| self.model.clone());
        descriptor.text_bytes = self.text_bytes;
        descriptor.token_ids = self.token_ids;
        descriptor.messages = match descriptor.operation {
            Operation::Embeddings | Operation::TextCompletion => 0,
            _ => self.messages,
        };
        descriptor.images = self.images;
        descriptor.image_tokens = self.image_tokens(descriptor);
        let tools = self.tools.kinds().moved_to(Kind::Tools);
        descriptor.kinds = self.text.kinds().and(&tools);
        descriptor.hidden_context = self.hidden;
        descriptor.warnings.extend_from_slice(&self.warnings);
    }

    fn image_tokens(&self, descriptor: &Descriptor) -> u64 {
        let Some(dialect) = descriptor.dialect else {
            return 0;
        };
        let model = descriptor.model.as_deref().unwrap_or_default();
        let seen = self.pictures.iter();
        let seen = seen.fold(0, |sum: u64, picture| {
            sum.saturating_add(image::tokens(dialect, model, *picture))
        });
        let others = u64::from(self.images).saturating_sub(self.pictures.len() as u64);
        seen.saturating_add(others * image::UNKNOWN)
    }

    fn warn(&mut self, field: &'static str) {
        let warning = Warning::MalformedCount { field };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn add_text(&mut self, text: &[u8], last: bool) {
        self.text_bytes = self.text_bytes.saturating_add(text.len() as u64);
        self.text.push(text);
        self.exact.push_text(text, last);
        if last {
            self.text.cut();
        }
    }

    fn add_picture(&mut self, picture: Picture) {
        if self.pictures.len() < PICTURES {
            self.pictures.push(picture);
        }
    }

    fn add_tools(&mut self, text: &[u8], last: bool) {
        self.text_bytes = self.text_bytes.saturating_add(text.len() as u64);
        self.tools.push(text);
        self.exact.push_tools(text, last);
        if last {
            self.tools.cut();
        }
    }
}

impl Sink<Ask> for Answers<'_> {
    fn text(&mut self, ask: Ask, text: &[u8], last: bool) {
        let one = u32::from(last);
        match ask {
            Ask::Hidden => self.hidden = true,
            Ask::Image | Ask::MediaData => {
                // Of media, another field says what kind they are.
                let is_image = matches!(ask, Ask::Image);
                self.images = self.images.saturating_add(one * u32::from(is_image));
                self.media.push(text);
                if last {
                    let size = std::mem::take(&mut self.media).size();
                    if is_image || size.is_some() {
                        self.add_picture(Picture { size, low: false });
                    }
                }
            }
            Ask::SourceData(level) => {
                let part = &mut self.parts[level];
                part.sniffer.push(text);
                part.source_bytes += text.len() as u64;
                // What is known to be coded need not be looked at as text.
                if !(part.image || part.coded) {
                    part.source.push(text);
                    self.exact.push_source(text, last);
                }
            }
            Ask::ImageUrl(level) => self.parts[level].sniffer.push(text),
            Ask::Tools => self.add_tools(text, last),
            Ask::Message | Ask::Input | Ask::InputItem => {
                self.messages = self.messages.saturating_add(one);
                self.add_text(text, last);
            }
            Ask::Prompt | Ask::PromptItem => {
                self.prompts = self.prompts.saturating_add(one);
                self.add_text(text, last);
            }
            _ => self.add_text(text, last),
        }
    }

    fn string(&mut self, ask: Ask, text: &[u8], whole: bool) {
        match ask {
            Ask::Model if whole && !text.is_empty() => {
                self.model = Some(Arc::from(&*String::from_utf8_lossy(text)))
            }
            Ask::Cap(..) | Ask::OpenCap(..) => self.number(ask, if whole { text } else { &[] }, 0),
            Ask::PartType(level) => match text {
                b"image_url" | b"input_image" | b"image" => {
                    self.images = self.images.saturating_add(1);
                    self.parts[level].image = true;
                }
                // What is inside them, or behind them, is not in this body.
                b"input_audio" | b"file" | b"input_file" | b"document" | b"video_url" => {
                    self.parts[level].file = true
                }
                b"redacted_thinking" | b"item_reference" => self.hidden = true,
                _ => {}
            },
            Ask::MediaType if text.starts_with(b"image/") => {
                self.images = self.images.saturating_add(1);
            }
            Ask::MediaType => self.hidden = true,
            Ask::ImageDetail(level) => self.parts[level].low = text == b"low",
            Ask::SourceType(level) => {
                let part = &mut self.parts[level];
                part.plain_source = matches!(text, b"text" | b"content");
                part.coded = !part.plain_source;
            }
            _ => {}
        }
    }

    fn number(&mut self, ask: Ask, text: &[u8], _end: u64) {
        match ask {
            Ask::OpenCap(_, rank) if text.starts_with(b"-") => self.caps[rank] = None,
            Ask::Cap(field, rank) | Ask::OpenCap(field, rank) => match scaled(text, 0) {
                Some(_) if self.ignored_caps.iter().any(|ignored| ignored == field) => {}
                Some(cap) => self.caps[rank] = Some(cap),
                None => self.warn(field),
            },
            Ask::Choices(field) => match scaled(text, 0) {
                Some(choices) => {
                    self.choices = self.choices.max(u32::try_from(choices).unwrap_or(u32::MAX))
                }
                None => self.warn(field),
            },
            Ask::PromptItem | Ask::InputItem | Ask::TokenId => {
                self.token_ids = self.token_ids.saturating_add(1)
            }
            // A number inside a tool's definition or input is text to the model.
            Ask::Text => self.add_text(text, true),
            Ask::Tools => self.add_tools(text, true),
            _ => {}
        }
    }

    fn literal(&mut self, ask: Ask, value: Option<bool>) {
        match (ask, value) {
            // `null` is as good as nothing.
            (Ask::Stream, _) => self.stream = value,
            (Ask::IncludeUsage, _) => self.include_usage = value == Some(true),
            (Ask::Cap(field, _) | Ask::OpenCap(field, _) | Ask::Choices(field), Some(_)) => {
                self.warn(field);
            }
            _ => {}
        }
    }

    fn open(&mut self, ask: Ask) {
        match ask {
            Ask::Messages => self.messages_list = true,
            Ask::Message | Ask::InputItem => self.messages = self.messages.saturating_add(1),
            Ask::PromptItem => self.prompts = self.prompts.saturating_add(1),
            Ask::Part(level) => self.parts[level] = Part::default(),
            Ask::Hidden => self.hidden = true,
            Ask::Image => self.images = self.images.saturating_add(1),
            Ask::Cap(field, _) | Ask::OpenCap(field, _) | Ask::Choices(field) => self.warn(field),
            _ => {}
        }
    }

    fn close(&mut self, ask: Ask) {
        if let Ask::Part(level) = ask {
            let Part {
                file,
                plain_source,
                source_bytes,
                source,
                image,
                sniffer,
                low,
                coded: _,
            } = self.parts[level];
            if image {
                let size = sniffer.size();
                self.add_picture(Picture { size, low });
            }
            self.hidden |= file && !plain_source;
            if plain_source {
                self.text_bytes = self.text_bytes.saturating_add(source_bytes);
                self.text.join(&source);
                self.exact.keep_source();
            } else {
                self.exact.drop_source();
            }
        }
    }
}

/// Where the caps above a bound are written in a body.
#[derive(Debug)]
pub(super) struct CapSpans {
    bound: u64,
    /// The lowest value that the provider would accept.
    pub(super) least: u64,
    /// Start and end of each number, in order.
    pub(super) spans: Vec<(usize, usize)>,
}

impl CapSpans {
    pub(super) fn above(bound: u64) -> Self {
        Self {
            bound,
            least: 1,
            spans: Vec::new(),
        }
    }
}

impl Sink<Ask> for CapSpans {
    fn number(&mut self, ask: Ask, text: &[u8], end: u64) {
        let Some(value) = scaled(text, 0) else { return };
        match ask {
            Ask::Cap(field, _) | Ask::OpenCap(field, _) if value > self.bound => {
                let end = end as usize; // The body is in memory, so its offsets fit.
                self.spans.push((end - text.len(), end));
                if field == "max_output_tokens" {
                    self.least = self.least.max(16);
                }
            }
            Ask::Budget => self.least = self.least.max(value.saturating_add(1)),
            _ => {}
        }
    }

    fn text(&mut self, _: Ask, _: &[u8], _: bool) {}
    fn string(&mut self, _: Ask, _: &[u8], _: bool) {}
    fn literal(&mut self, _: Ask, _: Option<bool>) {}
    fn open(&mut self, _: Ask) {}
    fn close(&mut self, _: Ask) {}
}
