//! A file of JSON lines that only grows, each line on the disk before it counts.
//!
//! A process killed while it wrote leaves a last line without its end: that line was never acknowledged and is cut off
//! at the next start. A line that is broken anywhere else means that the disk or a hand changed the file, and is an
//! error: to go on without it would be to forget silently.

use serde::{Serialize, de::DeserializeOwned};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
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
    path: PathBuf,
    file: File,
    /// Bytes of whole lines; what is behind is a write that failed.
    good_bytes: u64,
    record: PhantomData<fn(T)>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens a journal, or makes an empty one, and reads it.
    pub(crate) fn open(path: &Path) -> Result<(Journal<T>, Vec<T>), JournalError> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = opened.map_err(|source| disk("opening", path, source))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|source| disk("reading", path, source))?;
        let good = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let records = records(path, &bytes[..good])?;
        let mut journal = Journal {
            path: path.to_owned(),
            file,
            good_bytes: good as u64,
            record: PhantomData,
        };
        journal.cut()?;
        sync_folder_of(path)?;
        Ok((journal, records))
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.good_bytes
    }

    /// Adds records; they are on the disk when this returns, and none counts if it fails.
    pub(crate) fn append(&mut self, added: &[T]) -> Result<(), JournalError> {
        if added.is_empty() {
            return Ok(());
        }
        self.cut()?;
        let lines = lines(&self.path, added)?;
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        written.map_err(|source| disk("appending to", &self.path, source))?;
        self.good_bytes += lines.len() as u64;
        Ok(())
    }

    /// Puts other records in the place of all of them, at once or not at all.
    pub(crate) fn rewrite(&mut self, records: &[T]) -> Result<(), JournalError> {
        let lines = lines(&self.path, records)?;
        replace(&self.path, &lines)?;
        let opened = OpenOptions::new().read(true).append(true).open(&self.path);
        self.file = opened.map_err(|source| disk("opening", &self.path, source))?;
        self.good_bytes = lines.len() as u64;
        Ok(())
    }

    /// Has every write fail from now on, as on a disk that became read-only.
    #[cfg(test)]
    pub(crate) fn make_read_only(&mut self) {
        self.file = File::open(&self.path).expect("the journal is there");
    }

    /// Cuts off what a failed or a killed write left behind the last whole line.
    fn cut(&mut self) -> Result<(), JournalError> {
        let length = self.file.seek(SeekFrom::End(0));
        let cut = length.and_then(|length| match length > self.good_bytes {
            true => self.file.set_len(self.good_bytes).and_then(|()| self.file.sync_data()),
            false => Ok(()),
        });
        cut.map_err(|source| disk("mending", &self.path, source))
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

/// Puts a file in the place of another, at once or not at all, and on the disk.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), JournalError> {
    let aside = path.with_extension("new");
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    });
    written.map_err(|source| disk("writing", path, source))?;
    sync_folder_of(path)
}

/// A new name is on the disk only when its folder is.
fn sync_folder_of(path: &Path) -> Result<(), JournalError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| disk("writing the folder of", path, source))
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
