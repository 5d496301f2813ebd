//! Where in a line the stamp stands.
//!
//! A place is as strict as the log allows: a line whose stamp stands elsewhere continues the record before, even if a
//! date stands somewhere in its text.

use std::fmt;

use bytefind::near;
use memchr::memmem;

/// How many colour sequences before a stamp are passed over.
const COLOURS_MAX: usize = 4;
/// Longest sequence that counts as a colour: `ESC [`, parameters, `m`.
const COLOUR_BYTES_MAX: usize = 20;

/// The place of the stamp in a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Locator {
    /// So many bytes after the line's beginning. At 0 a byte order mark and colour sequences may stand before it.
    Column(u32),
    /// Right after the first occurrence of this text at which a stamp stands. A text that begins with a letter or
    /// digit must not be the end of a longer word.
    After(Box<[u8]>),
    /// The leftmost stamp that begins in so many first bytes.
    Scan(u32),
}

impl fmt::Display for Locator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Locator::Column(0) => formatter.write_str("at the line's beginning"),
            Locator::Column(column) => write!(formatter, "at byte {column} of the line"),
            Locator::After(literal) => write!(formatter, "after `{}`", literal.escape_ascii()),
            Locator::Scan(bytes) => write!(formatter, "leftmost in the line's first {bytes} bytes"),
        }
    }
}

/// A locator made ready for searching.
#[derive(Debug, Clone)]
pub(super) enum Places {
    Column(usize),
    /// After one byte that is no letter or digit: most logs, and searched three times as fast.
    AfterByte(u8),
    After(Box<memmem::Finder<'static>>),
    Scan(usize),
}

impl Places {
    pub(super) fn new(locator: &Locator) -> Self {
        match locator {
            Locator::Column(column) => Places::Column(*column as usize),
            Locator::After(literal) if literal.len() == 1 && !literal[0].is_ascii_alphanumeric() => {
                Places::AfterByte(literal[0])
            }
            Locator::After(literal) => Places::After(Box::new(memmem::Finder::new(literal).into_owned())),
            Locator::Scan(bytes) => Places::Scan(*bytes as usize),
        }
    }

    /// The first place at which `read` finds something.
    #[inline]
    pub(super) fn find<T>(&self, line: &[u8], mut read: impl FnMut(usize) -> Option<T>) -> Option<T> {
        match self {
            Places::Column(0) => read(0).or_else(|| match unmarked_start(line) {
                0 => None,
                start => read(start),
            }),
            Places::Column(column) => read(*column),
            Places::AfterByte(byte) => {
                let mut from = 0;
                while let Some(found) = near(*byte, &line[from..]) {
                    from += found + 1;
                    if let Some(result) = read(from) {
                        return Some(result);
                    }
                }
                None
            }
            Places::After(finder) => find_after(finder, line, read),
            Places::Scan(bytes) => (0..line.len().min(*bytes))
                .filter(|&at| is_start(line, at))
                .find_map(read),
        }
    }
}

#[inline]
fn find_after<T>(finder: &memmem::Finder<'_>, line: &[u8], mut read: impl FnMut(usize) -> Option<T>) -> Option<T> {
    let literal = finder.needle();
    let word = literal.first().is_some_and(u8::is_ascii_alphanumeric);
    let mut from = 0;
    while let Some(found) = finder.find(&line[from..]) {
        let at = from + found;
        let inside_word = word && at > 0 && is_name_byte(line[at - 1]);
        if !inside_word && let Some(result) = read(at + literal.len()) {
            return Some(result);
        }
        from = at + 1;
    }
    None
}

/// Whether a byte is part of a key's name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'$' | b'-' | b'.')
}

/// Whether a stamp may begin at a place: where a run of letters or digits begins, or at `@`. Bytes beyond ASCII begin a
/// run only, so that a month's name may begin with one, and a number after such text is found.
#[inline]
pub(super) fn is_start(line: &[u8], at: usize) -> bool {
    let byte = line[at];
    if byte >= 0x80 {
        return at == 0 || line[at - 1] < 0x80 && !line[at - 1].is_ascii_alphanumeric();
    }
    if !byte.is_ascii_alphanumeric() {
        return byte == b'@';
    }
    // The letter that ends a colour sequence begins no run, so what follows it does.
    at == 0 || !line[at - 1].is_ascii_alphanumeric() || line[at - 1] == b'm'
}

/// Where a line begins behind a byte order mark and colour sequences.
pub(super) fn unmarked_start(line: &[u8]) -> usize {
    let mut start = if line.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    for _ in 0..COLOURS_MAX {
        let rest = &line[start..];
        if !rest.starts_with(b"\x1b[") {
            break;
        }
        let parameters = rest[2..].iter().take(COLOUR_BYTES_MAX);
        let length = parameters
            .take_while(|byte| byte.is_ascii_digit() || **byte == b';')
            .count();
        if rest.get(2 + length) != Some(&b'm') {
            break;
        }
        start += 3 + length;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Format;

    #[track_caller]
    fn check(locator: Locator, line: &str, expected: Option<usize>) {
        let format = Format::parse("%Y-%m-%d %H:%M").expect("a good pattern");
        let line = line.as_bytes();
        let found = Places::new(&locator).find(line, |at| format.match_at(line, at).map(|_| at));
        assert_eq!(found, expected, "{locator} in {}", line.escape_ascii());
    }

    #[test]
    fn places() {
        let after = |text: &str| Locator::After(text.as_bytes().into());
        check(Locator::Column(0), "2015-01-01 10:00 x", Some(0));
        check(Locator::Column(0), " 2015-01-01 10:00 x", None);
        check(Locator::Column(0), "\u{feff}2015-01-01 10:00", Some(3));
        check(Locator::Column(0), "\u{1b}[1;32m\u{1b}[0m2015-01-01 10:00", Some(11));
        check(Locator::Column(0), "\u{1b}[1;32", None);
        check(Locator::Column(1), "[2015-01-01 10:00", Some(1));
        check(Locator::Column(1), "", None);
        check(after("["), "a [b] [2015-01-01 10:00]", Some(7));
        check(after("t="), "at=2014-01-01 10:00 t=2015-01-01 10:00", Some(22));
        check(after("[["), "[[[2015-01-01 10:00]", Some(3));
        check(after("["), "nothing", None);
        check(Locator::Scan(20), "host x 2015-01-01 10:00", Some(7));
        check(Locator::Scan(5), "host x 2015-01-01 10:00", None);
        check(Locator::Scan(50), "\u{1b}[32m2015-01-01 10:00", Some(5));
    }
}
