//! `Head`: what the headers of one frame say of its payload.

/// The headers of one frame, as far as they matter.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// The event is the one that brings the usage, behind the text.
    pub(crate) is_metadata: bool,
    /// What kind of error it is, at most 128 bytes.
    pub(crate) fault: Vec<u8>,
    /// What is said of it for people, at most 512 bytes; exceptions say it in their payload.
    pub(crate) message: Vec<u8>,
    state: State,
    /// The header being read.
    name: Name,
    /// The beginning of its name or value, as far as it is needed to tell it.
    word: Vec<u8>,
    /// Bytes of the name or value that are still to come.
    left: usize,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// A payload with news.
    #[default]
    Event,
    /// A payload with an error of the service.
    Exception,
    /// An error in the headers alone.
    Error,
    /// Something that this reader does not know.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    NameLength,
    Name,
    Type,
    /// The first and the second byte of a length.
    LengthHigh,
    LengthLow,
    Value,
    /// A value of a type that nobody knows: where it ends is unknown too.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Name {
    MessageType,
    EventType,
    Fault,
    Message,
    #[default]
    Other,
}

/// Most bytes kept of a header's name.
const NAME: usize = 32;

impl Head {
    /// Forgets the last frame.
    pub(super) fn clear(&mut self) {
        self.kind = Kind::Event;
        self.is_metadata = false;
        self.fault.clear();
        self.message.clear();
        self.state = State::NameLength;
        self.word.clear();
        self.left = 0;
    }

    /// Reads the next piece of the headers.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, behind)) = rest.split_first() {
            match self.state {
                State::Lost => return,
                State::NameLength => {
                    self.word.clear();
                    self.left = byte.into();
                    self.state = if byte == 0 { State::Type } else { State::Name };
                }
                State::Name | State::Value => {
                    let (bytes, behind) = rest.split_at(rest.len().min(self.left));
                    let most = if self.state == State::Name {
                        NAME
                    } else {
                        self.name.most()
                    };
                    let room = most.saturating_sub(self.word.len());
                    self.word.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    self.left -= bytes.len();
                    rest = behind;
                    if self.left == 0 {
                        self.end_word();
                    }
                    continue;
                }
                State::Type => self.begin_value(byte),
                State::LengthHigh => {
                    self.left = usize::from(byte) << 8;
                    self.state = State::LengthLow;
                }
                State::LengthLow => {
                    self.left |= usize::from(byte);
                    self.state = State::Value;
                    if self.left == 0 {
                        self.end_word();
                    }
                }
            }
            rest = behind;
        }
    }

    fn begin_value(&mut self, kind: u8) {
        self.name = match &self.word[..] {
            b":message-type" => Name::MessageType,
            b":event-type" => Name::EventType,
            b":exception-type" | b":error-code" => Name::Fault,
            b":error-message" => Name::Message,
            _ => Name::Other,
        };
        self.word.clear();
        let length = match kind {
            0 | 1 => 0, // true and false
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            9 => 16,
            6 | 7 => {
                self.state = State::LengthHigh;
                return;
            }
            _ => {
                self.state = State::Lost;
                return;
            }
        };
        // Only strings are wanted; these are passed over.
        self.name = Name::Other;
        self.left = length;
        self.state = if length == 0 {
            State::NameLength
        } else {
            State::Value
        };
    }

    fn end_word(&mut self) {
        if self.state == State::Name {
            self.state = State::Type;
            return;
        }
        self.state = State::NameLength;
        match self.name {
            Name::MessageType => {
                self.kind = match &self.word[..] {
                    b"event" => Kind::Event,
                    b"exception" => Kind::Exception,
                    b"error" => Kind::Error,
                    _ => Kind::Other,
                }
            }
            Name::EventType => self.is_metadata = self.word == b"metadata",
            Name::Fault => self.fault.clone_from(&self.word),
            Name::Message => self.message.clone_from(&self.word),
            Name::Other => {}
        }
    }
}

impl Name {
    /// Most bytes kept of its value.
    const fn most(self) -> usize {
        match self {
            Self::MessageType | Self::EventType => 16,
            Self::Fault => 128,
            Self::Message => 512,
            Self::Other => 0,
        }
    }
}
