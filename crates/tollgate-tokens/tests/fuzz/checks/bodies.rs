//! Bodies of responses: JSON, server-sent events, lines of JSON and AWS event streams, of any bytes.

use tollgate_tokens::{Conventions, Dialect, Framing, Scan, UsageScanner, Warning};

use super::document::Document;
use super::reference::Said;

/// The first three bytes say dialect, framing and how the rest, which is the body, is cut. Whatever the body, any cut gives the same
/// answer; where `serde_json` can read it, the answer is what `serde_json` finds.
pub(crate) fn check_body(data: &[u8]) {
    let [dialect, framing, seed, body @ ..] = data else {
        return;
    };
    let dialect = Dialect::ALL[usize::from(*dialect) % Dialect::ALL.len()];
    let framing = FRAMINGS[usize::from(*framing) % FRAMINGS.len()];
    let scan = check_cuts(dialect, framing, *seed, body);
    let documents = match framing {
        Framing::Json => Document::parse(body).map(|document| vec![document]),
        Framing::Ndjson => body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.iter().all(|byte| b" \t\r".contains(byte)))
            .map(Document::parse)
            .collect(),
        _ => None,
    };
    let said = documents.and_then(|documents| Said::by(dialect, &documents));
    if let Some(said) = said {
        assert_eq!(Said::found(&scan, &said), said, "{dialect:?}");
        assert!(!scan.warnings.contains(&Warning::NotJson));
    }
}

/// As [`check_body`], of a stream of server-sent events of which each is one of a few documents: the body is a list of `n`, `m` and
/// documents in lines, and event `i` is document `i * n % m`.
pub(crate) fn check_events(data: &[u8]) {
    let [dialect, seed, step, body @ ..] = data else {
        return;
    };
    let dialect = Dialect::ALL[usize::from(*dialect) % Dialect::ALL.len()];
    let lines: Vec<_> = body.split(|byte| *byte == b'\n').take(8).collect();
    let lines: Vec<_> = (0..40)
        .map(|at| lines[at * usize::from(*step) % lines.len()])
        .collect();
    let mut stream = Vec::new();
    for line in &lines {
        // A return inside a line would end it.
        let line: Vec<_> = line.iter().copied().filter(|byte| *byte != b'\r').collect();
        stream.extend_from_slice(b"data: ");
        stream.extend_from_slice(&line);
        stream.extend_from_slice(b"\n\n");
    }
    let scan = check_cuts(dialect, Framing::Sse, *seed, &stream);
    let documents: Option<Vec<_>> = lines.iter().map(|line| Document::parse(line)).collect();
    let said = documents.and_then(|documents| Said::by(dialect, &documents));
    if let Some(said) = said {
        assert_eq!(Said::found(&scan, &said), said, "{dialect:?}");
    }
}

/// Bytes of an AWS event stream. The first byte says how it is cut, the second and third which bit is flipped, where there is one: a frame
/// that was damaged says nothing.
pub(crate) fn check_frames(data: &[u8]) {
    let [seed, high, low, stream @ ..] = data else {
        return;
    };
    let whole = check_cuts(Dialect::Bedrock, Framing::EventStream, *seed, stream);
    let Some(frames) = frames(stream) else { return };
    let bit = usize::from(*high) << 8 | usize::from(*low);
    let at = bit / 8;
    let Some(hit) = frames.iter().position(|frame| frame.contains(&at)) else {
        return;
    };
    let mut damaged = stream.to_vec();
    damaged[at] ^= 1 << (bit % 8);
    let damaged = check_cuts(Dialect::Bedrock, Framing::EventStream, *seed, &damaged);
    // Behind a damaged length nothing can be found.
    let length_is_hit = at < frames[hit].start + 12;
    let rest = frames
        .iter()
        .enumerate()
        .filter(|(other, _)| *other < hit || (*other > hit && !length_is_hit));
    let undamaged: Vec<u8> = rest
        .flat_map(|(_, frame)| &stream[frame.clone()])
        .copied()
        .collect();
    let expected = scan(Dialect::Bedrock, Framing::EventStream, &[&undamaged]);
    assert_eq!(facts(&damaged), facts(&expected));
    assert!(damaged.warnings.contains(&Warning::DamagedFrame));
    assert!(!whole.warnings.contains(&Warning::DamagedFrame));
}

/// The sound frames of a stream, if there is nothing else in it.
fn frames(stream: &[u8]) -> Option<Vec<std::ops::Range<usize>>> {
    let word = |at: usize| Some(u32::from_be_bytes(stream.get(at..at + 4)?.try_into().ok()?));
    let (mut frames, mut at) = (Vec::new(), 0);
    while at < stream.len() {
        let end = at + usize::try_from(word(at)?).ok()?;
        let is_sound = end >= at + 16
            && word(at + 4)? <= word(at)? - 16
            && crc32fast::hash(&stream[at..at + 8]) == word(at + 8)?
            && crc32fast::hash(stream.get(at..end - 4)?) == word(end - 4)?;
        frames.push(at..Some(end).filter(|_| is_sound)?);
        at = end;
    }
    Some(frames)
}

/// What a scan is worth, but for its warnings.
fn facts(scan: &Scan) -> Scan {
    Scan {
        warnings: Vec::new(),
        ..scan.clone()
    }
}

const FRAMINGS: [Framing; 4] = [
    Framing::Json,
    Framing::Sse,
    Framing::Ndjson,
    Framing::EventStream,
];

/// What the body is read as, which must not depend on how it is cut.
fn check_cuts(dialect: Dialect, framing: Framing, seed: u8, body: &[u8]) -> Scan {
    let whole = scan(dialect, framing, &[body]);
    let mut pieces = Vec::new();
    let (mut rest, mut random) = (body, u32::from(seed).wrapping_mul(0x9E37_79B9) | 1);
    while !rest.is_empty() {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let length = 1 + random as usize % (2 << (seed % 8));
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    assert_eq!(
        scan(dialect, framing, &pieces),
        whole,
        "{dialect:?} {framing:?}"
    );
    whole
}

fn scan(dialect: Dialect, framing: Framing, pieces: &[&[u8]]) -> Scan {
    let mut scanner = UsageScanner::new(dialect, framing).conventions(&Conventions::default());
    for piece in pieces {
        scanner.push(piece);
    }
    let scan = scanner.finish();
    if let Some(usage) = scan.usage {
        assert!(
            usage.cache_read.saturating_add(usage.cache_write) <= usage.input
                || usage.input == u64::MAX
        );
        assert!(usage.reasoning <= usage.output);
    }
    assert!(scan.model.as_ref().is_none_or(|name| name.len() <= 3 * 256));
    assert!(scan.warnings.len() < 64);
    scan
}
