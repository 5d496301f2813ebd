//! JSON lines that only grow, each kept for good before it counts.
//!
//! A process killed while it wrote leaves a last line without its end: that line was never acknowledged and is cut off
//! at the next start. A line that is broken anywhere else means that the disk or a hand changed the file, and is an
//! error: to go on without it would be to forget silently.

#[cfg(test)]
use crate::lines::FileLines;
use crate::lines::Lines;
use configdb::WriteError;
use serde::{Serialize, de::DeserializeOwned};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Why what must last does not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk said no.
    #[error("{operation} {} failed; see that the disk has room and can be written", path.display())]
    Disk {
        /// What was done.
        operation: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// etcd said no, or nothing.
    #[error("{operation} {} in etcd failed", key.display())]
    Etcd {
        /// What was done.
        operation: &'static str,
        /// To which key.
        key: PathBuf,
        /// Why it failed.
        #[source]
        source: WriteError,
    },
    /// A line other than a torn last one can't be read.
    #[error("line {line} of {} can't be read ({why}); restore the file, or mend the line", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
}

/// A journal of records of one type.
pub(crate) struct Journal<T> {
    lines: Box<dyn Lines>,
    record: PhantomData<fn(T)>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// The journal of a file; see [`Journal::over`].
    #[cfg(test)]
    pub(crate) fn open(path: &Path) -> Result<(Journal<T>, Vec<T>), JournalError> {
        let (lines, bytes) = FileLines::open(path)?;
        Journal::over(Box::new(lines), &bytes)
    }

    /// The journal of these lines, which now are `bytes`, and what it holds.
    pub(crate) fn over(lines: Box<dyn Lines>, bytes: &[u8]) -> Result<(Journal<T>, Vec<T>), JournalError> {
        let records = records(lines.name(), bytes)?;
        let record = PhantomData;
        Ok((Journal { lines, record }, records))
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.lines.bytes()
    }

    /// Adds records; they last when this returns, and none counts if it fails.
    pub(crate) fn append(&mut self, added: &[T]) -> Result<(), JournalError> {
        if added.is_empty() {
            return Ok(());
        }
        let lines = lines(self.lines.name(), added)?;
        self.lines.append(&lines)
    }

    /// Puts other records in the place of all of them, at once or not at all.
    pub(crate) fn rewrite(&mut self, records: &[T]) -> Result<(), JournalError> {
        let lines = lines(self.lines.name(), records)?;
        self.lines.rewrite(&lines)
    }

    /// Has every write fail from now on, as on a disk that became read-only.
    #[cfg(test)]
    pub(crate) fn make_read_only(&mut self) {
        self.lines.make_read_only();
    }
}

fn records<T: DeserializeOwned>(path: &Path, whole_lines: &[u8]) -> Result<Vec<T>, JournalError> {
    let lines = whole_lines.split_inclusive(|&byte| byte == b'\n').enumerate();
    lines
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|error| JournalError::Damaged {
                path: path.to_owned(),
                line: index + 1,
                why: error.to_string(),
            })
        })
        .collect()
}

fn lines<T: Serialize>(path: &Path, records: &[T]) -> Result<Vec<u8>, JournalError> {
    let mut lines = Vec::new();
    for record in records {
        serde_json::to_writer(&mut lines, record).map_err(|error| disk("encoding for", path, error.into()))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

pub(crate) fn disk(operation: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Disk {
        operation,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn open(path: &Path) -> (Journal<String>, Vec<String>) {
        Journal::open(path).expect("a journal")
    }

    #[test]
    fn records_last_and_a_torn_last_line_is_cut_wherever_it_was_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j");
        let (mut journal, none) = open(&path);
        assert!(none.is_empty());
        journal.append(&["one".to_owned(), "two".to_owned()]).expect("written");
        let whole = std::fs::read(&path).expect("bytes");
        let more = b"\"three\"\n";
        for torn in 0..more.len() {
            std::fs::write(&path, [&whole, &more[..torn]].concat()).expect("torn");
            let (mut journal, read) = open(&path);
            assert_eq!(read, ["one", "two"], "{torn}");
            journal.append(&["four".to_owned()]).expect("written");
            assert_eq!(open(&path).1, ["one", "two", "four"], "{torn}");
        }
    }

    #[test]
    fn what_a_failed_write_left_is_cut_before_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j");
        let (mut journal, _) = open(&path);
        journal.append(&["one".to_owned()]).expect("written");
        let mut other = OpenOptions::new().append(true).open(&path).expect("the file");
        other.write_all(b"\"ha").expect("half");
        journal.append(&["two".to_owned()]).expect("written");
        assert_eq!(open(&path).1, ["one", "two"]);
    }

    #[test]
    fn a_line_broken_elsewhere_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j");
        std::fs::write(&path, "\"one\"\n\"tw\n\"three\"\n").expect("a file");
        let error = Journal::<String>::open(&path).err().expect("an error").to_string();
        assert!(error.starts_with(&format!("line 2 of {}", path.display())), "{error}");
    }

    #[test]
    fn a_rewritten_journal_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j");
        let (mut journal, _) = open(&path);
        journal.append(&["one".to_owned(), "two".to_owned()]).expect("written");
        journal.rewrite(&["two".to_owned()]).expect("rewritten");
        journal.append(&["three".to_owned()]).expect("written");
        assert_eq!(open(&path).1, ["two", "three"]);
        assert_eq!(journal.bytes(), std::fs::metadata(&path).expect("a file").len());
    }
}
