//! Lines that only grow, wherever they are kept; and how a file keeps them.

use crate::journal::{JournalError, disk};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Lines that only grow. What a failed addition left behind counts for nothing, now and after a restart, unless it
/// ends in a whole line: that one may count at the next start, though nobody was told that it lasts.
pub(crate) trait Lines: Send {
    /// Where they are, for people.
    fn name(&self) -> &Path;

    /// Bytes that are kept.
    fn bytes(&self) -> u64;

    /// Adds whole lines; they last when this returns.
    fn append(&mut self, lines: &[u8]) -> Result<(), JournalError>;

    /// Puts other lines in the place of all of them, at once or not at all.
    fn rewrite(&mut self, lines: &[u8]) -> Result<(), JournalError>;

    /// Has every write fail from now on.
    #[cfg(test)]
    fn make_read_only(&mut self) {}
}

/// Lines in a file.
pub(crate) struct FileLines {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines; what is behind is a write that failed.
    good_bytes: u64,
}

impl FileLines {
    /// Opens a file, or makes an empty one, and reads its whole lines.
    pub(crate) fn open(path: &Path) -> Result<(FileLines, Vec<u8>), JournalError> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = opened.map_err(|source| disk("opening", path, source))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|source| disk("reading", path, source))?;
        let good = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(good);
        let mut lines = FileLines {
            path: path.to_owned(),
            file,
            good_bytes: good as u64,
        };
        lines.cut()?;
        sync_folder_of(path)?;
        Ok((lines, bytes))
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

impl Lines for FileLines {
    fn name(&self) -> &Path {
        &self.path
    }

    fn bytes(&self) -> u64 {
        self.good_bytes
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), JournalError> {
        self.cut()?;
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        written.map_err(|source| disk("appending to", &self.path, source))?;
        self.good_bytes += lines.len() as u64;
        Ok(())
    }

    fn rewrite(&mut self, lines: &[u8]) -> Result<(), JournalError> {
        replace(&self.path, lines)?;
        let opened = OpenOptions::new().read(true).append(true).open(&self.path);
        self.file = opened.map_err(|source| disk("opening", &self.path, source))?;
        self.good_bytes = lines.len() as u64;
        Ok(())
    }

    #[cfg(test)]
    fn make_read_only(&mut self) {
        self.file = File::open(&self.path).expect("the file is there");
    }
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
