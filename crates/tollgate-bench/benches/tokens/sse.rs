//! A streamed answer: 2,000 chunks of 220 bytes and one with the usage, each event a piece of its own.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_util::{Stream, stream};
use sseer::event_stream::EventStream;
use tollgate_bench::{Goal, Report, count_allocations, cpu, interleave};
use tollgate_tokens::Framing;

use crate::ROUNDS;
use crate::bodies::{self, COUNTED};
use crate::usage::{Answer, Counted, Reported, scan};

const TEXTS: usize = 2_000;

/// The pieces in which the stream arrives where a proxy has gathered some of it.
const GATHERED: usize = 8_192;

pub(crate) fn run(report: &mut Report) {
    let pieces = bodies::stream(TEXTS);
    let gathered: Vec<Bytes> = (pieces.concat().chunks(GATHERED))
        .map(Bytes::copy_from_slice)
        .collect();
    let [ours, sseer, eventsource, ours_gathered, sseer_gathered] = interleave(
        ROUNDS,
        [
            &mut || time(&pieces, by_ours),
            &mut || time(&pieces, by_sseer),
            &mut || time(&pieces, by_eventsource),
            &mut || time(&gathered, by_ours),
            &mut || time(&gathered, by_sseer),
        ],
    );
    report.ratio(
        "sse_over_sseer_struct",
        "per chunk / sseer and serde_json struct",
        &ours,
        &sseer,
        Goal::AtMost(0.2),
    );
    report.aside(
        "per chunk / eventsource-stream and struct",
        &ours,
        &eventsource,
    );
    report.aside(
        "in pieces of 8 kB / sseer and struct",
        &ours_gathered,
        &sseer_gathered,
    );

    let allocated = |texts, read: fn(&[Bytes]) -> Counted| {
        let pieces = bodies::stream(texts);
        count_allocations(|| assert_eq!(read(&pieces), COUNTED)).count_total
    };
    let per_chunk =
        |read| (allocated(2 * TEXTS, read) - allocated(TEXTS, read)) as f64 / TEXTS as f64;
    report.count(
        "sse_allocations_per_chunk",
        "allocations per chunk",
        per_chunk(by_ours),
        Goal::AtMost(0.0),
    );
    report.note(&format!(
        "{} in all for a stream; per chunk sseer and struct {}, eventsource-stream and struct {}",
        allocated(TEXTS, by_ours),
        per_chunk(by_sseer),
        per_chunk(by_eventsource)
    ));
}

/// Nanoseconds per chunk.
fn time(pieces: &[Bytes], read: impl Fn(&[Bytes]) -> Counted) -> f64 {
    assert_eq!(read(pieces), COUNTED);
    let spent = cpu(|| {
        black_box(read(black_box(pieces)));
    });
    spent / (TEXTS + 1) as f64
}

fn by_ours(pieces: &[Bytes]) -> Counted {
    scan(Framing::Sse, pieces.iter().map(|piece| &piece[..]))
}

fn by_sseer(pieces: &[Bytes]) -> Counted {
    let events = EventStream::new(stream::iter(
        pieces.iter().cloned().map(Ok::<_, Infallible>),
    ));
    let mut last = None;
    each(events, |event| {
        note(&mut last, &event.expect("a well-formed stream").data);
    });
    last.expect("with a usage").counted()
}

fn by_eventsource(pieces: &[Bytes]) -> Counted {
    let events = stream::iter(pieces.iter().cloned().map(Ok::<_, Infallible>)).eventsource();
    let mut last = None;
    each(events, |event| {
        note(&mut last, &event.expect("a well-formed stream").data);
    });
    last.expect("with a usage").counted()
}

/// The latest usage wins.
fn note(last: &mut Option<Reported>, data: &str) {
    if data != "[DONE]" {
        let chunk: Answer = serde_json::from_str(data).expect("it is JSON");
        if chunk.usage.is_some() {
            *last = chunk.usage;
        }
    }
}

/// Polls a stream that is always ready to its end.
fn each<S: Stream>(stream: S, mut each: impl FnMut(S::Item)) {
    let mut stream = pin!(stream);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(item)) = stream.as_mut().poll_next(&mut context) {
        each(item);
    }
}
