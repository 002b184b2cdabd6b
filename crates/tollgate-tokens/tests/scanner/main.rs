//! The usage scanner on odd, cut, broken and generated bodies.

mod dialects;
mod errors;
mod frames;
mod framing;
mod generated;
mod hostile;
mod streams;
mod text;
mod usage;

use tollgate_tokens::{Dialect, Framing, Scan, Usage, UsageScanner};

/// What a body is read as, in whole and in pieces alike.
fn scan(dialect: Dialect, framing: Framing, body: &str) -> Scan {
    let read = |size| {
        let mut scanner = UsageScanner::new(dialect, framing);
        for piece in body.as_bytes().chunks(size) {
            scanner.push(piece);
        }
        scanner.finish()
    };
    let whole = read(usize::MAX);
    for size in 1..body.len().min(20) {
        assert_eq!(read(size), whole, "{body} in pieces of {size}");
    }
    whole
}

/// The usage in a body, which is whole and not odd.
fn check(dialect: Dialect, framing: Framing, body: &str, expected: Usage) {
    let scan = scan(dialect, framing, body);
    assert_eq!(
        (scan.usage, scan.complete, &scan.warnings[..]),
        (Some(expected), true, &[][..]),
        "{body}"
    );
}
