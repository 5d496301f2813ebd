//! Lines and separators: what several forms share.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::error::RuleError;
use super::slot::{Scratch, Slot};

/// The record's first line, without its line end.
#[inline]
pub(super) fn first_line(record: &[u8]) -> &[u8] {
    let line = memchr(b'\n', record).map_or(record, |end| &record[..end]);
    line.strip_suffix(b"\r").unwrap_or(line)
}

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

/// Makes every line end a plain `\n`. Cost: one search for a `\r\n` inside; a copy of the record if there is one.
pub(super) fn plain_lines(record: &[u8], scratch: &mut Scratch) -> Plain {
    let text = record.strip_suffix(b"\r").unwrap_or(record);
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
            Some(byte) => memchr(byte, text),
            None => self.finder.find(text),
        }
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
        let plain = plain_lines(record.as_bytes(), &mut scratch);
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
