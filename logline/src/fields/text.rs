//! Lines and separators: what several forms share.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::error::RuleError;
use super::slot::{Lines, Scratch, Slot};
use bytefind::near;

/// The record's first line, without its line end. Cost: nothing if the record is known to have no other.
#[inline]
pub(super) fn first_line(record: &[u8], lines: Lines) -> &[u8] {
    let line = match lines {
        Lines::One => record,
        Lines::Any => memchr(b'\n', record).map_or(record, |end| &record[..end]),
    };
    debug_assert!(!line.contains(&b'\n'), "a record of one line has several");
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A byte repeated in all eight bytes of a word.
const fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// A word of which the lowest bit that is set marks the lowest byte that is 0; no bit is set if none is.
///
/// Mycroft's test: borrows disturb only bytes above a true hit.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(repeated(0x01)) & !word & repeated(0x80)
}

/// Position of the first occurrence of a text of two bytes or more that begins within the first [`WORDS_BYTES`];
/// otherwise from where on none was looked for.
#[inline]
fn find_near(needle: &[u8], text: &[u8]) -> Result<usize, usize> {
    let (first, second) = (repeated(needle[0]), repeated(needle[1]));
    let mut at = 0;
    while at < WORDS_BYTES
        && let Some(window) = text.get(at..).and_then(|rest| rest.first_chunk::<9>())
    {
        let [head @ .., _] = window;
        let [_, shifted @ ..] = window;
        let unlike = (u64::from_le_bytes(*head) ^ first) | (u64::from_le_bytes(*shifted) ^ second);
        let hits = zero_bytes(unlike);
        if hits == 0 {
            at += 8;
            continue;
        }
        at += hits.trailing_zeros() as usize / 8;
        // Two of its bytes stand there; of the few others, each by itself costs less than a call.
        let rest = text[at + 2..].iter().zip(&needle[2..]);
        if text.len() - at >= needle.len() && rest.into_iter().all(|(byte, wanted)| byte == wanted) {
            return Ok(at);
        }
        at += 1;
    }
    Err(at)
}

/// Bytes in which a text of several is searched word by word: the mark before the pairs of a line stands there.
const WORDS_BYTES: usize = 64;

/// Where the text of a record is once its line ends are plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// At the beginning of the record itself, so many bytes.
    Record(usize),
    /// In the scratch buffer, all of it.
    Scratch,
}

impl Plain {
    /// `start..end` of the text as a slot.
    #[inline]
    pub(super) fn slot(self, start: usize, end: usize) -> Slot {
        match (self, Slot::of_record(start, end)) {
            (Plain::Scratch, Slot::Record { start, len }) => Slot::Scratch { start, len },
            (_, slot) => slot,
        }
    }
}

/// Makes every line end a plain `\n`. Cost: of several lines, one search for a `\r\n` inside; a copy of the record if
/// there is one.
#[inline]
pub(super) fn plain_lines(record: &[u8], lines: Lines, scratch: &mut Scratch) -> Plain {
    let text = record.strip_suffix(b"\r").unwrap_or(record);
    match lines {
        Lines::One => Plain::Record(text.len()),
        Lines::Any => plain_lines_of_several(text, scratch),
    }
}

fn plain_lines_of_several(text: &[u8], scratch: &mut Scratch) -> Plain {
    let Some(first) = memmem::find(text, b"\r\n") else {
        return Plain::Record(text.len());
    };
    let buffer = scratch.buffer();
    buffer.extend_from_slice(&text[..first]);
    let mut from = first + 1;
    for found in memmem::find_iter(&text[from..], b"\r\n") {
        let end = first + 1 + found;
        buffer.extend_from_slice(&text[from..end]);
        from = end + 1;
    }
    buffer.extend_from_slice(&text[from..]);
    Plain::Scratch
}

/// A space or a tab.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `start..end` of `text` without the blanks at both ends.
#[inline]
pub(super) fn trim(text: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    while start < end && is_blank(text[start]) {
        start += 1;
    }
    while start < end && is_blank(text[end - 1]) {
        end -= 1;
    }
    (start, end)
}

/// A text searched for again and again, by the quickest means for its length.
#[derive(Debug, Clone)]
pub(super) struct Needle {
    /// Boxed, since its tables take hundreds of bytes.
    finder: Box<memmem::Finder<'static>>,
    single: Option<u8>,
}

impl Needle {
    /// `what` names the text in the error for an empty one.
    pub(super) fn new(text: &str, what: &'static str) -> Result<Needle, RuleError> {
        match text.as_bytes() {
            [] => Err(RuleError::Empty { what }),
            bytes => Ok(Needle {
                finder: Box::new(memmem::Finder::new(bytes).into_owned()),
                single: <[u8; 1]>::try_from(bytes).ok().map(|[byte]| byte),
            }),
        }
    }

    /// Position of its first occurrence.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        match self.single {
            Some(byte) => near(byte, text),
            None => match find_near(self.finder.needle(), text) {
                Ok(found) => Some(found),
                Err(from) => self.finder.find(&text[from..]).map(|found| from + found),
            },
        }
    }

    /// The byte, if it is only one.
    #[inline]
    pub(super) fn single(&self) -> Option<u8> {
        self.single
    }

    /// Its bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.finder.needle().len()
    }

    /// Itself as text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.finder.needle())
    }
}

/// A text in single quotes, as in MQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The column's place among `names`, or the error that names the nearest of them.
pub(super) fn place(column: &str, names: &[String], rule: impl FnOnce() -> String) -> Result<usize, RuleError> {
    match names.iter().position(|name| name == column) {
        Some(place) => Ok(place),
        None => Err(RuleError::UnknownColumn {
            column: column.to_owned(),
            rule: rule(),
            hint: hint(column, names),
        }),
    }
}

/// The nearest name if it is near enough to be meant, else all of them.
pub(super) fn hint(column: &str, names: &[String]) -> String {
    let distance = |name: &String| strsim::osa_distance(&column.to_lowercase(), &name.to_lowercase());
    let near = (column.chars().count() / 3).max(1);
    let nearest = names
        .iter()
        .map(|name| (distance(name), name))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, name)) if distance <= near && distance < name.chars().count() => {
            format!("did you mean `{name}`?")
        }
        _ => format!("it gives {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_plain(record: &str, expected: &str) {
        let mut scratch = Scratch::default();
        let plain = plain_lines(record.as_bytes(), Lines::Any, &mut scratch);
        let text = match plain {
            Plain::Record(len) => &record.as_bytes()[..len],
            Plain::Scratch => scratch.buffer().as_slice(),
        };
        assert_eq!(String::from_utf8_lossy(text), expected, "{record:?}");
    }

    #[test]
    fn line_ends_become_plain() {
        check_plain("", "");
        check_plain("a\r", "a");
        check_plain("a\r\r", "a\r");
        check_plain("a\rb", "a\rb");
        check_plain("a\r\nb", "a\nb");
        check_plain("a\r\nb\r\n\r\nc\r", "a\nb\n\nc");
        check_plain("\r\n\r\n", "\n\n");
    }

    #[test]
    fn a_text_is_found_near_and_far() {
        for needle in ["ab", "aab", " - ", "abcabcabcabd"] {
            let finder = Needle::new(needle, "text").expect("it is not empty");
            for len in 0..100 {
                for filler in [needle.as_bytes()[0], b'b', b' ', 0x00, 0xff] {
                    let mut text = vec![filler; len];
                    let naive = |text: &[u8]| text.windows(needle.len()).position(|found| found == needle.as_bytes());
                    assert_eq!(finder.find(&text), naive(&text), "{needle:?} in {text:?}");
                    text.extend_from_slice(needle.as_bytes());
                    text.extend_from_slice(b"ab - ");
                    assert_eq!(finder.find(&text), naive(&text), "{needle:?} in {text:?}");
                }
            }
        }
    }

    #[track_caller]
    fn check_hint(column: &str, expected: &str) {
        let names = ["status", "uri"].map(str::to_owned);
        assert_eq!(hint(column, &names), expected);
    }

    #[test]
    fn the_nearest_name_is_shown() {
        check_hint("stauts", "did you mean `status`?");
        check_hint("Status", "did you mean `status`?");
        check_hint("cost", "it gives status, uri");
    }
}
