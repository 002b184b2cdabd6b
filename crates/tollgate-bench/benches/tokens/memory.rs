//! A body of a gigabyte, and others that are long in one way: the memory that is needed to read them.

use tollgate_bench::{Goal, Report, Stopwatch, count_allocations};
use tollgate_tokens::{Dialect, Framing, UsageScanner};

use crate::bodies::{self, COUNTED};
use crate::usage::counted;

/// Bytes of the first body, and of the others.
const SIZE: usize = 1_000_000_000;
const OTHER_SIZE: usize = 100_000_000;

/// What is passed on at a time.
const PIECE: usize = 65_536;

/// The most that the scanner says it takes.
const BOUND: f64 = 4_096.0;

pub(crate) fn run(report: &mut Report) {
    let (head, tail) = bodies::around();
    let in_choice = |before: &str| format!("{head}{before}");
    let bodies = [
        (
            "a text of 1 GB",
            Framing::Json,
            in_choice(r#""message":{"role":"assistant","content":""#),
            bodies::TEXT.repeat(PIECE / bodies::TEXT.len()),
            format!(r#""}}{tail}"#),
        ),
        (
            "100 MB of log-probabilities",
            Framing::Json,
            in_choice(r#""logprobs":{"content":[0"#),
            r#",{"token":"a","logprob":-0.25,"bytes":[97]}"#.repeat(PIECE / 43),
            format!("]}}{tail}"),
        ),
        (
            "an unknown key of 100 MB",
            Framing::Json,
            in_choice(r#"""#),
            "k".repeat(PIECE),
            format!(r#"":1{tail}"#),
        ),
        (
            "100 MB of events",
            Framing::Sse,
            String::new(),
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" gate\"}}],\"usage\":null}\n\n".repeat(PIECE / 76),
            format!("data: {head}\"delta\":{{}}{tail}\n\ndata: [DONE]\n\n"),
        ),
    ];
    let mut most = 0.0_f64;
    let sizes = [SIZE, OTHER_SIZE, OTHER_SIZE, OTHER_SIZE];
    for (size, (name, framing, head, middle, tail)) in sizes.into_iter().zip(bodies) {
        let stopwatch = Stopwatch::start();
        let mut seen = None;
        let used = count_allocations(|| {
            let mut scanner = UsageScanner::new(Dialect::OpenAiChat, framing);
            scanner.push(head.as_bytes());
            for _ in 0..size / middle.len() {
                scanner.push(middle.as_bytes());
            }
            scanner.push(tail.as_bytes());
            seen = Some(counted(&scanner.finish()));
        });
        assert_eq!(seen, Some(COUNTED), "{name}");
        let bytes = used.bytes_max as f64 + size_of::<UsageScanner>() as f64;
        let speed = size as f64 / stopwatch.elapsed().as_secs_f64() / 1e9;
        report.note(&format!(
            "{name}: {bytes:.0} bytes at most, {speed:.2} GB/s"
        ));
        most = most.max(bytes);
    }
    report.count(
        "body_1gb_peak_bytes",
        "the most of these, the scanner itself included",
        most,
        Goal::AtMost(BOUND),
    );
}
