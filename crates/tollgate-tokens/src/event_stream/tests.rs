//! Frames: whole, damaged, cut and hostile, in pieces of every size.

use super::*;

/// One frame, encoded.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    raw(&head, payload)
}

fn raw(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = AROUND as usize + head.len() + payload.len();
    let mut bytes = (total as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&(head.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(head);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

/// Frames as text: kind, what is told of it, payload, and `!` where the frame is not sound.
#[derive(Default)]
struct Heard {
    frames: Vec<String>,
    payload: Vec<u8>,
}

impl FrameSink for Heard {
    fn begin(&mut self) {
        self.payload.clear();
    }

    fn payload(&mut self, _: &Head, piece: &[u8]) {
        self.payload.extend_from_slice(piece);
    }

    fn end(&mut self, head: &Head, sound: bool) {
        let text = String::from_utf8_lossy;
        let mut heard = format!("{:?} {}", head.kind, text(&self.payload));
        if head.is_metadata {
            heard.push_str(" (metadata)");
        }
        for word in [&head.fault, &head.message] {
            if !word.is_empty() {
                heard = format!("{heard} {}", text(word));
            }
        }
        self.frames
            .push(if sound { heard } else { format!("!{heard}") });
    }
}

/// What is heard of `stream`, which must not depend on how it is cut into pieces; and whether it ends inside a frame.
fn check(stream: &[u8], expected: &[&str], is_inside: bool) {
    for size in 1..=stream.len().max(1) {
        let (mut frames, mut heard) = (Frames::new(), Heard::default());
        for piece in stream.chunks(size) {
            frames.push(piece, &mut heard);
        }
        assert_eq!(heard.frames, expected, "in pieces of {size}");
        assert_eq!(frames.is_inside(), is_inside, "in pieces of {size}");
    }
}

const EVENT: (&str, &str) = (":message-type", "event");

#[test]
fn frames_are_told_apart_by_their_headers() {
    let stream = [
        frame(&[(":event-type", "chunk"), EVENT, ("x", "y")], b"one"),
        frame(&[(":event-type", "metadata"), EVENT], b""),
        frame(
            &[
                (":message-type", "exception"),
                (":exception-type", "throttlingException"),
            ],
            b"{}",
        ),
        frame(
            &[
                (":message-type", "error"),
                (":error-code", "500"),
                (":error-message", "no"),
            ],
            b"",
        ),
        frame(&[(":message-type", "news")], b"?"),
        frame(&[], b"bare"),
    ];
    let expected = [
        "Event one",
        "Event  (metadata)",
        "Exception {} throttlingException",
        "Error  500 no",
        "Other ?",
        "Event bare",
    ];
    check(&stream.concat(), &expected, false);
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut head = Vec::new();
    for (kind, value) in [
        (0, &b""[..]),
        (1, b""),
        (2, b"1"),
        (3, b"12"),
        (4, b"1234"),
        (5, b"12345678"),
        (6, b"\0\x03abc"),
        (6, b"\0\0"),
        (8, b"12345678"),
        (9, b"1234567890123456"),
    ] {
        head.extend_from_slice(&[1, b'h', kind]);
        head.extend_from_slice(value);
    }
    head.extend_from_slice(b"\x0d:message-type\x07\0\x05error");
    check(&raw(&head, b"p"), &["Error p"], false);
    // Behind a type that nobody knows, no header can be read; the payload can.
    let mut unknown = b"\x01h\x63".to_vec();
    unknown.extend_from_slice(b"\x0d:message-type\x07\0\x05error");
    check(&raw(&unknown, b"p"), &["Event p"], false);
}

#[test]
fn a_frame_that_fails_its_checksum_is_not_sound_and_the_next_one_is() {
    let (good, mut bad) = (frame(&[EVENT], b"good"), frame(&[EVENT], b"evil"));
    let at = bad.len() - 5;
    bad[at] ^= 1;
    check(
        &[&bad[..], &good].concat(),
        &["!Event evim", "Event good"],
        false,
    );
    let last = bad.len() - 1;
    bad[at] ^= 1;
    bad[last] ^= 1;
    check(&bad, &["!Event evil"], false);
}

#[test]
fn nothing_is_read_behind_a_length_that_cannot_be_trusted() {
    let (good, mut bad) = (frame(&[EVENT], b"good"), frame(&[EVENT], b"evil"));
    bad[3] ^= 1;
    check(
        &[&good[..], &bad, &good].concat(),
        &["Event good", "!Event "],
        false,
    );
}

#[test]
fn lengths_that_contradict_each_other_are_not_trusted() {
    for (total, headers) in [(0, 0), (15, 0), (16, 1), (20, u32::MAX), (0, u32::MAX)] {
        let mut bytes = u32::to_be_bytes(total).to_vec();
        bytes.extend_from_slice(&headers.to_be_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes.extend_from_slice(&[0; 40]);
        check(&bytes, &["!Event "], false);
    }
}

#[test]
fn a_giant_length_only_means_that_the_frame_does_not_end() {
    let mut bytes = u32::MAX.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(u32::MAX - AROUND).to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&[255; 300]);
    check(&bytes, &[], true);
}
