//! `Frames`: takes an AWS event stream (`application/vnd.amazon.eventstream`) apart, whatever pieces it comes in.

mod head;

use crc32fast::Hasher;
pub(crate) use head::{Head, Kind};

/// Hears what a [`Frames`] finds.
pub(crate) trait FrameSink {
    /// A frame begins. What is heard from here on is only true if its end is sound.
    fn begin(&mut self);
    /// A piece of the frame's payload.
    fn payload(&mut self, head: &Head, piece: &[u8]);
    /// The frame has ended. `sound` says that it agrees with its checksum; of a frame whose length cannot be trusted, nothing was heard.
    fn end(&mut self, head: &Head, sound: bool);
}

/// An incremental reader of frames: a prelude of 12 bytes (total length, length of the headers, CRC-32 of both), headers, a payload,
/// and the CRC-32 of all of it (AWS, "Event stream encoding").
///
/// Memory is the head's alone: the words of an error, at most 640 bytes. A payload is passed on and never kept, so a length
/// may be anything that fits its four bytes.
#[derive(Debug)]
pub(crate) struct Frames {
    part: Part,
    /// The prelude or the checksum, as far as it is read.
    fixed: [u8; 12],
    filled: usize,
    crc: Hasher,
    head: Head,
    /// Bytes of the headers and of the payload that are still to come.
    headers: u32,
    payload: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Prelude,
    Headers,
    Payload,
    Checksum,
    /// Where the next frame begins is unknown.
    Lost,
}

/// Bytes of a frame beside headers and payload.
const AROUND: u32 = 16;

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            part: Part::Prelude,
            fixed: [0; 12],
            filled: 0,
            crc: Hasher::new(),
            head: Head::default(),
            headers: 0,
            payload: 0,
        }
    }

    /// Whether a frame has begun whose end has not been told.
    pub(crate) fn is_inside(&self) -> bool {
        matches!(self.part, Part::Headers | Part::Payload | Part::Checksum)
    }

    /// Reads the next piece of the stream.
    pub(crate) fn push(&mut self, piece: &[u8], sink: &mut impl FrameSink) {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = match self.part {
                Part::Lost => return,
                Part::Prelude => self.read_fixed(12, rest),
                Part::Checksum => self.read_fixed(4, rest),
                Part::Headers => {
                    let (bytes, behind) = split(rest, self.headers);
                    self.crc.update(bytes);
                    self.head.push(bytes);
                    self.headers -= bytes.len() as u32; // No more than there are.
                    behind
                }
                Part::Payload => {
                    let (bytes, behind) = split(rest, self.payload);
                    self.crc.update(bytes);
                    sink.payload(&self.head, bytes);
                    self.payload -= bytes.len() as u32; // No more than there are.
                    behind
                }
            };
            self.go_on(sink);
        }
    }

    fn read_fixed<'p>(&mut self, length: usize, rest: &'p [u8]) -> &'p [u8] {
        let take = rest.len().min(length - self.filled);
        self.fixed[self.filled..self.filled + take].copy_from_slice(&rest[..take]);
        self.filled += take;
        &rest[take..]
    }

    /// Goes on to the next part, where one has ended.
    fn go_on(&mut self, sink: &mut impl FrameSink) {
        if self.part == Part::Prelude && self.filled == 12 {
            self.open(sink);
        }
        if self.part == Part::Headers && self.headers == 0 {
            self.part = Part::Payload;
        }
        if self.part == Part::Payload && self.payload == 0 {
            self.part = Part::Checksum;
            self.filled = 0;
        }
        if self.part == Part::Checksum && self.filled == 4 {
            let sound = self.word(0) == std::mem::take(&mut self.crc).finalize();
            sink.end(&self.head, sound);
            self.part = Part::Prelude;
            self.filled = 0;
        }
    }

    fn open(&mut self, sink: &mut impl FrameSink) {
        let (total, headers) = (self.word(0), self.word(4));
        let payload = total
            .checked_sub(AROUND)
            .and_then(|rest| rest.checked_sub(headers));
        let is_sound = crc32fast::hash(&self.fixed[..8]) == self.word(8);
        self.crc = Hasher::new();
        self.crc.update(&self.fixed);
        self.head.clear();
        sink.begin();
        match payload.filter(|_| is_sound) {
            Some(payload) => {
                self.part = Part::Headers;
                (self.headers, self.payload) = (headers, payload);
            }
            None => {
                self.part = Part::Lost;
                sink.end(&self.head, false);
            }
        }
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = [0, 1, 2, 3].map(|more| self.fixed[at + more]);
        u32::from_be_bytes(bytes)
    }
}

fn split(bytes: &[u8], most: u32) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests;
