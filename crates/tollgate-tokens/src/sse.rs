//! `Events`: takes a stream of server-sent events apart, whatever pieces it comes in, without buffering a line.

use memchr::memchr2;

/// Hears what an [`Events`] finds.
pub(crate) trait EventSink {
    /// An event's data begins so. How many bytes the sink takes of it at once, none of which may end a line.
    fn begin(&mut self, _data: &[u8]) -> usize {
        0
    }
    /// A piece of the current event's data. Several `data` lines are joined by a newline (WHATWG HTML, "Server-sent events").
    fn data(&mut self, piece: &[u8]);
    /// The current event, which had data, has ended. `is_error` is true when its name is `error`.
    fn end(&mut self, is_error: bool);
}

/// An incremental reader of `text/event-stream`. Memory is a few bytes.
///
/// Lines end in CR, LF or CRLF. Comments and fields other than `data` and `event` are passed over. Data that begins with `[DONE]`, the
/// terminator of OpenAI's format, is not reported; neither is anything behind it.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Line,
    /// The last byte was a CR, so that a LF now belongs to the same line end.
    after_cr: bool,
    /// The name of the event: how many bytes of `error` matched, or something else.
    name: Match,
    /// The current event has had a `data` line.
    has_data: bool,
    /// Whether the data's beginning is `[DONE]`.
    terminator: Match,
    done: bool,
}

/// Where in a line we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// In the field's name, of which so many bytes were seen and whether they still match a known name.
    Field {
        seen: u8,
        data: bool,
        event: bool,
    },
    /// Behind the colon, where one space is not part of the value.
    Colon(Field),
    Value(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Other,
}

/// How much of an awaited word has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    So(u8),
    Not,
}

const ERROR: &[u8] = b"error";
const DONE: &[u8] = b"[DONE]";

impl Events {
    /// Whether `[DONE]` came.
    pub(crate) fn done(&self) -> bool {
        self.done
    }

    /// Reads the next piece of the stream.
    pub(crate) fn push(&mut self, piece: &[u8], sink: &mut impl EventSink) {
        let mut rest = piece;
        while !rest.is_empty() && !self.done {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            // Nearly every event is one such line.
            if self.line == Line::default()
                && !self.has_data
                && let Some(value) = rest.strip_prefix(b"data: ")
                && value.first().is_some_and(|first| *first != DONE[0])
            {
                self.has_data = true;
                self.terminator = Match::Not;
                let value = &value[sink.begin(value)..];
                let Some(end) = memchr2(b'\n', b'\r', value) else {
                    self.line = Line::Value(Field::Data);
                    sink.data(value);
                    return;
                };
                sink.data(&value[..end]);
                self.after_cr = value[end] == b'\r';
                rest = &value[end + 1..];
                continue;
            }
            // A blank line ends nearly every event.
            if rest[0] == b'\n' && self.line == Line::default() {
                self.end_event(sink);
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                self.read_line(rest, sink);
                break;
            };
            self.read_line(&rest[..end], sink);
            self.end_line(sink);
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
        }
    }

    /// Ends the stream. An event without its blank line counts, because servers do leave the last one out.
    pub(crate) fn finish(&mut self, sink: &mut impl EventSink) {
        if !self.done {
            // The beginning of a terminator that was cut off is no data.
            self.terminator = Match::Not;
            self.end_line(sink);
            self.end_event(sink);
        }
    }

    fn read_line(&mut self, mut bytes: &[u8], sink: &mut impl EventSink) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.line {
                Line::Field { .. } if byte == b':' => self.line = Line::Colon(self.field()),
                Line::Field { seen, data, event } => {
                    let at = usize::from(seen);
                    self.line = Line::Field {
                        seen: seen.saturating_add(1),
                        data: data && b"data".get(at) == Some(&byte),
                        event: event && b"event".get(at) == Some(&byte),
                    };
                }
                Line::Colon(field) => {
                    self.begin_value(field, sink);
                    if byte != b' ' {
                        continue;
                    }
                }
                Line::Value(field) => return self.read_value(field, bytes, sink),
            }
            bytes = rest;
        }
    }

    fn begin_value(&mut self, field: Field, sink: &mut impl EventSink) {
        self.line = Line::Value(field);
        match field {
            Field::Data if self.has_data => self.read_data(b"\n", sink),
            Field::Data => self.has_data = true,
            Field::Event => self.name = Match::So(0),
            Field::Other => {}
        }
    }

    fn read_value(&mut self, field: Field, bytes: &[u8], sink: &mut impl EventSink) {
        match field {
            Field::Data => self.read_data(bytes, sink),
            Field::Event => {
                for byte in bytes {
                    self.name = self.name.next(ERROR, *byte);
                }
            }
            Field::Other => {}
        }
    }

    fn read_data(&mut self, bytes: &[u8], sink: &mut impl EventSink) {
        let mut bytes = bytes;
        while let (Match::So(seen), Some((byte, rest))) = (self.terminator, bytes.split_first()) {
            self.terminator = self.terminator.next(DONE, *byte);
            if self.terminator == Match::Not {
                // What looked like the terminator was data.
                if seen > 0 {
                    sink.data(&DONE[..usize::from(seen)]);
                }
                break;
            }
            bytes = rest;
            if self.terminator.is(DONE) {
                self.done = true;
                return;
            }
        }
        if !bytes.is_empty() {
            sink.data(bytes);
        }
    }

    fn end_line(&mut self, sink: &mut impl EventSink) {
        match self.line {
            Line::Field { seen: 0, .. } => self.end_event(sink),
            // A line without a colon is a field with an empty value.
            Line::Field { .. } => {
                let field = self.field();
                self.begin_value(field, sink);
            }
            Line::Colon(field) => self.begin_value(field, sink),
            Line::Value(_) => {}
        }
        self.line = Line::default();
    }

    fn end_event(&mut self, sink: &mut impl EventSink) {
        if let Match::So(seen @ 1..) = self.terminator {
            sink.data(&DONE[..usize::from(seen)]);
        }
        if self.has_data {
            sink.end(self.name.is(ERROR));
        }
        self.has_data = false;
        self.name = Match::Not;
        self.terminator = Match::default();
    }

    fn field(&self) -> Field {
        match self.line {
            Line::Field {
                seen: 4,
                data: true,
                ..
            } => Field::Data,
            Line::Field {
                seen: 5,
                event: true,
                ..
            } => Field::Event,
            _ => Field::Other,
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::Field {
            seen: 0,
            data: true,
            event: true,
        }
    }
}

impl Default for Match {
    fn default() -> Self {
        Self::So(0)
    }
}

impl Match {
    fn next(self, word: &[u8], byte: u8) -> Self {
        match self {
            Self::So(seen) if word.get(usize::from(seen)) == Some(&byte) => Self::So(seen + 1),
            _ => Self::Not,
        }
    }

    fn is(self, word: &[u8]) -> bool {
        self == Self::So(word.len() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events as text: the data of each, with `!` before that of an `error` event.
    #[derive(Default)]
    struct Heard {
        events: Vec<String>,
        data: Vec<u8>,
    }

    impl EventSink for Heard {
        fn data(&mut self, piece: &[u8]) {
            self.data.extend_from_slice(piece);
        }

        fn end(&mut self, is_error: bool) {
            let data =
                String::from_utf8(std::mem::take(&mut self.data)).expect("the tests send UTF-8");
            self.events
                .push(format!("{}{data}", if is_error { "!" } else { "" }));
        }
    }

    /// The events of `stream`, which must not depend on how it is cut into pieces.
    fn check(stream: &str, expected: &[&str], done: bool) {
        for size in 1..=stream.len().max(1) {
            let (mut events, mut heard) = (Events::default(), Heard::default());
            for piece in stream.as_bytes().chunks(size) {
                events.push(piece, &mut heard);
            }
            events.finish(&mut heard);
            let heard: Vec<_> = heard.events.iter().map(String::as_str).collect();
            assert_eq!(
                (&heard[..], events.done()),
                (expected, done),
                "{stream:?} by {size}"
            );
        }
    }

    #[test]
    fn any_line_end_ends_a_line() {
        check("data: a\n\ndata: b\n\n", &["a", "b"], false);
        check("data: a\r\rdata: b\r\r", &["a", "b"], false);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"], false);
        check("data: a\r\n\rdata: b\n\r\n", &["a", "b"], false);
    }

    #[test]
    fn only_one_space_behind_the_colon_is_dropped() {
        check("data:a\n\n", &["a"], false);
        check("data:  a\n\n", &[" a"], false);
    }

    #[test]
    fn several_data_lines_are_one_event() {
        check("data: a\ndata:\ndata: b\n\n", &["a\n\nb"], false);
        check("data\ndata\n\n", &["\n"], false);
    }

    #[test]
    fn comments_and_other_fields_are_passed_over() {
        check(
            ": hello\nid: 1\nretry: 5\ndatax: no\nda: no\n data: no\ndata: a\n\n",
            &["a"],
            false,
        );
    }

    #[test]
    fn an_event_without_data_is_none() {
        check("event: ping\n\n\n\n: x\n\n", &[], false);
    }

    #[test]
    fn the_error_event_is_told_by_its_name_alone() {
        check("event: error\ndata: a\n\ndata: b\n\n", &["!a", "b"], false);
        check("data: a\nevent:error\n\n", &["!a"], false);
        check(
            "event: errors\ndata: a\n\nevent: erro\ndata: b\n\n",
            &["a", "b"],
            false,
        );
        check("event: error\nevent: other\ndata: a\n\n", &["a"], false);
    }

    #[test]
    fn the_terminator_ends_everything() {
        check("data: a\n\ndata: [DONE]\n\ndata: b\n\n", &["a"], true);
        check("data: [DONE] and more", &[], true);
        check("data:[DONE]", &[], true);
    }

    #[test]
    fn what_only_looks_like_the_terminator_is_data() {
        check(
            "data: [DO\n\ndata: [DONT]\n\ndata: [1]\n\n",
            &["[DO", "[DONT]", "[1]"],
            false,
        );
        check("data: [DO\ndata: NE]\n\n", &["[DO\nNE]"], false);
    }

    #[test]
    fn the_last_event_counts_without_its_blank_line() {
        check("data: a\n\ndata: b", &["a", "b"], false);
        check("data: a\n\ndata: [D", &["a", ""], false);
    }
}
