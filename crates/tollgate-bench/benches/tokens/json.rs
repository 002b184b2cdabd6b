//! Answers without streaming: a small one, a long text, and a tree of log-probabilities.

use std::hint::black_box;

use serde_json::Value;
use tollgate_bench::{Goal, Report, cpu, interleave};
use tollgate_tokens::Framing;

use crate::ROUNDS;
use crate::bodies::{COUNTED, logprobs, text};
use crate::usage::{Answer, Counted, Reported, scan};

/// Bytes read per sample, so that a sample takes about a millisecond.
const PER_SAMPLE: usize = 2_000_000;

/// The pieces in which a long body arrives through hyper, at most.
const PIECE: usize = 16_384;

pub(crate) fn run(report: &mut Report) {
    small(report);
    large_text(report);
    large_tree(report);
    report.note("times per body; serde and sonic-rs need it whole in memory");
    if !cfg!(target_feature = "avx2") {
        report.note("sonic-rs uses AVX2 only if built for it: RUSTFLAGS=\"-C target-cpu=native\"");
    }
}

fn small(report: &mut Report) {
    let body = text(1_500);
    let [ours, typed, sonic, value] = interleave(
        ROUNDS,
        [
            &mut || time(&body, ours),
            &mut || time(&body, serde_struct),
            &mut || time(&body, sonic_struct),
            &mut || time(&body, serde_value),
        ],
    );
    report.ratio(
        "json_1k5_over_serde_struct",
        "1.5 kB / serde_json struct",
        &ours,
        &typed,
        Goal::AtMost(1.0),
    );
    report.aside("1.5 kB / sonic-rs struct", &ours, &sonic);
    report.aside("1.5 kB / serde_json Value", &ours, &value);
}

fn large_text(report: &mut Report) {
    let body = text(4_000_000);
    let [ours, pieces, sonic, typed] = interleave(
        ROUNDS,
        [
            &mut || time(&body, ours),
            &mut || time(&body, ours_in_pieces),
            &mut || time(&body, sonic_get),
            &mut || time(&body, serde_struct),
        ],
    );
    report.ratio(
        "json_4mb_over_sonic",
        "4 MB of text / sonic-rs get_from_slice",
        &ours,
        &sonic,
        Goal::AtMost(1.0),
    );
    report.aside("4 MB of text, in 16 kB pieces / same", &pieces, &sonic);
    report.aside("4 MB of text / serde_json struct", &ours, &typed);
}

fn large_tree(report: &mut Report) {
    let body = logprobs(4_000_000);
    let [ours, typed, sonic] = interleave(
        ROUNDS,
        [
            &mut || time(&body, ours),
            &mut || time(&body, serde_struct),
            &mut || time(&body, sonic_get),
        ],
    );
    report.ratio(
        "json_logprobs_over_serde_struct",
        "4 MB of logprobs / serde_json struct",
        &ours,
        &typed,
        Goal::AtMost(1.0),
    );
    report.aside("4 MB of logprobs / sonic-rs get_from_slice", &ours, &sonic);
}

fn time(body: &str, read: impl Fn(&[u8]) -> Counted) -> f64 {
    assert_eq!(read(body.as_bytes()), COUNTED);
    let times = (PER_SAMPLE / body.len()).max(1);
    let spent = cpu(|| {
        for _ in 0..times {
            black_box(read(black_box(body.as_bytes())));
        }
    });
    spent / times as f64
}

fn ours(body: &[u8]) -> Counted {
    scan(Framing::Json, [body])
}

fn ours_in_pieces(body: &[u8]) -> Counted {
    scan(Framing::Json, body.chunks(PIECE))
}

fn serde_struct(body: &[u8]) -> Counted {
    let answer: Answer = serde_json::from_slice(body).expect("it is JSON");
    answer.usage.expect("with a usage").counted()
}

fn serde_value(body: &[u8]) -> Counted {
    let answer: Value = serde_json::from_slice(body).expect("it is JSON");
    let count = |key| answer["usage"][key].as_u64().expect("a number");
    (count("prompt_tokens"), count("completion_tokens"))
}

fn sonic_struct(body: &[u8]) -> Counted {
    let answer: Answer = sonic_rs::from_slice(body).expect("it is JSON");
    answer.usage.expect("with a usage").counted()
}

/// Finds the usage without reading the rest into anything, then reads it.
fn sonic_get(body: &[u8]) -> Counted {
    let usage = sonic_rs::get_from_slice(body, ["usage"]).expect("with a usage");
    let usage: Reported = sonic_rs::from_str(usage.as_raw_str()).expect("it is JSON");
    usage.counted()
}
