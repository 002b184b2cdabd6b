//! Where strings and numbers that lie whole within a piece end.

use memchr::memchr2;

/// Why a token has no end here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The piece ends before it does, or could.
    Cut,
    /// It breaks the grammar.
    Bad,
}

/// The place of the next quote or backslash, from `at` on.
///
/// Most strings of an answer are short, and calling the vectorised search costs more than looking at two words.
#[inline]
pub(super) fn quote_or_backslash(piece: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..2 {
        let Some(Ok(bytes)) = piece.get(at..at + 8).map(TryInto::try_into) else {
            break;
        };
        let word = u64::from_le_bytes(bytes);
        let found = zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', piece.get(at..)?).map(|found| at + found)
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);

/// The high bit of the first zero byte, and perhaps of some behind it (Mycroft's test, whose borrow only goes upwards).
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// The place behind the closing quote of a string whose text begins at `at`.
#[inline]
pub(super) fn string(piece: &[u8], mut at: usize) -> Result<usize, Stop> {
    loop {
        let end = quote_or_backslash(piece, at).ok_or(Stop::Cut)?;
        if piece[end] == b'"' {
            return Ok(end + 1);
        }
        at = end + escape(&piece[end + 1..])? + 1;
    }
}

/// How many bytes behind a backslash belong to its escape.
#[inline]
pub(super) fn escape(behind: &[u8]) -> Result<usize, Stop> {
    match behind.first().ok_or(Stop::Cut)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(1),
        b'u' => {
            let digits = &behind[1..behind.len().min(5)];
            match () {
                () if !digits.iter().all(u8::is_ascii_hexdigit) => Err(Stop::Bad),
                () if digits.len() < 4 => Err(Stop::Cut),
                () => Ok(5),
            }
        }
        _ => Err(Stop::Bad),
    }
}

/// The place behind a number that begins at `at`. A number that reaches the end of the piece may go on.
#[inline]
pub(super) fn number(piece: &[u8], start: usize) -> Result<usize, Stop> {
    let byte = |at: usize| piece.get(at).copied().ok_or(Stop::Cut);
    let mut at = start + usize::from(byte(start)? == b'-');
    match byte(at)? {
        b'0' => at += 1,
        b'1'..=b'9' => {
            at += 1;
            while byte(at)?.is_ascii_digit() {
                at += 1;
            }
        }
        _ => return Err(Stop::Bad),
    }
    if byte(at)? == b'.' {
        at = digits(piece, at + 1)?;
    }
    if matches!(byte(at)?, b'e' | b'E') {
        at += 1;
        at = digits(piece, at + usize::from(matches!(byte(at)?, b'+' | b'-')))?;
    }
    Ok(at)
}

/// The place behind one or more digits.
#[inline]
fn digits(piece: &[u8], start: usize) -> Result<usize, Stop> {
    let mut at = start;
    while let Some(Ok(bytes)) = piece.get(at..at + 8).map(TryInto::try_into) {
        // The high bit of each byte that is no digit: one that differs from `0` by ten or more.
        let values = u64::from_le_bytes(bytes) ^ ZEROS;
        let others = (((values & !HIGH) + (HIGH - TENS)) | values) & HIGH;
        if others != 0 {
            at += others.trailing_zeros() as usize / 8;
            return if at == start { Err(Stop::Bad) } else { Ok(at) };
        }
        at += 8;
    }
    loop {
        match piece.get(at) {
            None => return Err(Stop::Cut),
            Some(b'0'..=b'9') => at += 1,
            Some(_) if at == start => return Err(Stop::Bad),
            Some(_) => return Ok(at),
        }
    }
}

const HIGH: u64 = ONES << 7;
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
const TENS: u64 = u64::from_le_bytes([10; 8]);

/// The place behind `true`, `false` or `null` at `at`.
#[inline]
pub(super) fn word(piece: &[u8], at: usize) -> Result<usize, Stop> {
    let rest = &piece[at..];
    let word: &[u8] = match rest.first() {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        _ => return Err(Stop::Bad),
    };
    if rest.starts_with(word) {
        Ok(at + word.len())
    } else if word.starts_with(rest) {
        Err(Stop::Cut)
    } else {
        Err(Stop::Bad)
    }
}
