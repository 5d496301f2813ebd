//! F1 and F4: a finished file as a list of records.

use super::question::Beginning;
use super::stamps::{self, StampForm};

/// A stamped line and the unstamped lines after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// UTC nanoseconds since the epoch.
    pub stamp_ns: i128,
    /// Offset of its first byte in the file.
    pub offset: usize,
    /// Its physical lines as they stand in the file, line ends included.
    pub lines: Vec<Vec<u8>>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Unstamped lines at the file's start.
    pub head_lines: u64,
    /// The records, in the file's order.
    pub records: Vec<Record>,
}

impl Record {
    /// Bytes of all its lines, line ends included.
    pub fn bytes(&self) -> usize {
        self.lines.iter().map(Vec::len).sum()
    }

    /// Length of its text, which ends before the last `\n`.
    pub fn text_len(&self) -> usize {
        let ends_in_newline = self.lines.last().is_some_and(|line| line.ends_with(b"\n"));
        self.bytes() - usize::from(ends_in_newline)
    }

    /// Its lines without line ends, joined by `\n`.
    pub fn text(&self) -> Vec<u8> {
        self.lines
            .iter()
            .map(|line| without_line_end(line))
            .collect::<Vec<_>>()
            .join(&b'\n')
    }
}

/// A line without its `\n` or `\r\n`; also a last `\r` of a line without newline is taken for a line end's.
pub fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The physical lines of a file, line ends included.
///
/// F4: "A last line without newline waits. […] and a record once its file is finished." All files here are finished.
pub fn physical_lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    for &byte in bytes {
        line.push(byte);
        if byte == b'\n' {
            lines.push(std::mem::take(&mut line));
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// F1: "a stamped line and the unstamped lines after it, never across files. Unstamped lines at file offset 0 are
/// `head`". A monitor may say which of the stamped lines begin one; the others are as if they had no stamp.
pub fn split(bytes: &[u8], form: StampForm, beginning: &Beginning) -> Split {
    let mut head_lines = 0;
    let mut records: Vec<Record> = Vec::new();
    let mut offset = 0;
    for line in physical_lines(bytes) {
        let len = line.len();
        let content = without_line_end(&line);
        let stamp = stamps::of_line(content, form).filter(|_| beginning.allows(content));
        match (stamp, records.last_mut()) {
            (Some(stamp_ns), _) => records.push(Record {
                stamp_ns,
                offset,
                lines: vec![line],
            }),
            (None, Some(record)) => record.lines.push(line),
            (None, None) => head_lines += 1,
        }
        offset += len;
    }
    Split { head_lines, records }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected: head lines, then (offset, lines, bytes, text length) of each record.
    #[track_caller]
    fn check(file: &str, head_lines: u64, records: &[(usize, usize, usize, usize)]) {
        let split = split(file.as_bytes(), StampForm::Iso, &Beginning::Stamped);
        let found: Vec<_> = split
            .records
            .iter()
            .map(|r| (r.offset, r.lines.len(), r.bytes(), r.text_len()))
            .collect();
        assert_eq!((split.head_lines, found.as_slice()), (head_lines, records), "{file:?}");
    }

    #[test]
    fn records_of_a_file() {
        check("", 0, &[]);
        check("2026-11-23 07:31:00 a\n", 0, &[(0, 1, 22, 21)]);
        check("2026-11-23 07:31:00 a", 0, &[(0, 1, 21, 21)]);
        check("2026-11-23 07:31:00 a\r\n", 0, &[(0, 1, 23, 22)]);
        check("one\n\ntwo\n2026-11-23 07:31:00 a\n", 3, &[(9, 1, 22, 21)]);
        check(
            "2026-11-23 07:31:00 a\n\n\tat b\n2026-11-23 07:31:01 c\nd",
            0,
            &[(0, 3, 29, 28), (29, 2, 23, 23)],
        );
        check("no stamp\nat all", 2, &[]);
        check("2026-11-23 07:31:00 a\n2026-11-23 07:99:00 b\n", 0, &[(0, 2, 44, 43)]);
    }

    #[test]
    fn lines_that_may_not_begin_a_record_continue_one() {
        let file = b"2026-11-23 07:31:00 a\n2026-11-23 07:31:01 b\n2026-11-23 07:31:02 ab\r\n";
        let shape = |beginning: Beginning| {
            let split = split(file, StampForm::Iso, &beginning);
            let offsets: Vec<_> = split.records.iter().map(|record| record.offset).collect();
            (split.head_lines, offsets)
        };
        assert_eq!(shape(Beginning::With("b".to_owned())), (1, vec![22, 44]));
        assert_eq!(shape(Beginning::Without("b".to_owned())), (0, vec![0]));
        assert_eq!(shape(Beginning::Without("a".to_owned())), (1, vec![22]));
    }

    #[test]
    fn text_has_neither_line_ends_nor_carriage_returns() {
        let split = split(b"2026-11-23 07:31:00 a\r\nb\r\n", StampForm::Iso, &Beginning::Stamped);
        assert_eq!(split.records[0].text(), b"2026-11-23 07:31:00 a\nb");
    }
}
