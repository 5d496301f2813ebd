//! The data directory: one Brain at a time, and an epoch that never comes twice (M4).
//!
//! The lock is the kernel's (`flock`), so it ends with the process, however that ends. The epoch is on the disk before
//! anybody hears it: a Brain that starts while the orders of an earlier one are still under way outranks them.

use crate::journal::{JournalError, disk};
use crate::lines::replace;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Why the data directory can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Another process has it.
    #[error("another brain uses {}: stop it, or give this one a data directory of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// What stands in the epoch's file is no epoch.
    #[error("{} holds no epoch but `{found}`; write into it a number above every epoch used before", path.display())]
    NoEpoch {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// The disk, or a journal.
    #[error("what must last cannot be kept")]
    Journal(#[from] JournalError),
}

/// The data directory, locked for as long as this lives.
pub(crate) struct DataDirectory {
    path: PathBuf,
    epoch: u64,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory if there is none, locks it, and takes the next epoch.
    pub(crate) fn open(path: &Path) -> Result<DataDirectory, DataError> {
        std::fs::create_dir_all(path).map_err(|source| disk("making", path, source))?;
        let lock_path = path.join("brain.lock");
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path);
        let lock = opened.map_err(|source| disk("opening", &lock_path, source))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(DataError::InUse { path: path.to_owned() }),
            Err(error) => return Err(disk("locking", &lock_path, error.into()).into()),
        }
        let mut directory = DataDirectory {
            path: path.to_owned(),
            epoch: stored_epoch(&epoch_path(path))?,
            _lock: lock,
        };
        directory.next_epoch()?;
        Ok(directory)
    }

    /// The epoch in force.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes the next epoch; it is on the disk when this returns.
    pub(crate) fn next_epoch(&mut self) -> Result<u64, JournalError> {
        let next = self.epoch + 1;
        replace(&epoch_path(&self.path), format!("{next}\n").as_bytes())?;
        self.epoch = next;
        Ok(next)
    }

    /// Where it is, for people.
    pub(crate) fn told(&self) -> String {
        self.path.display().to_string()
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn epoch_path(directory: &Path) -> PathBuf {
    directory.join("epoch")
}

/// The last epoch taken, 0 if none was.
fn stored_epoch(path: &Path) -> Result<u64, DataError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(disk("reading", path, source).into()),
    };
    text.trim().parse().map_err(|_| DataError::NoEpoch {
        path: path.to_owned(),
        found: text.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_takes_the_next_epoch_and_there_is_one_brain_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        for epoch in 1..4 {
            let directory = DataDirectory::open(&path).expect("the directory");
            assert_eq!(directory.epoch(), epoch);
            let second = DataDirectory::open(&path).err().expect("a second brain");
            assert!(matches!(second, DataError::InUse { .. }), "{second}");
            assert!(second.to_string().contains("another brain uses"), "{second}");
        }
        let mut directory = DataDirectory::open(&path).expect("the directory");
        assert_eq!((directory.next_epoch().expect("an epoch"), directory.epoch()), (5, 5));
        drop(directory);
        assert_eq!(DataDirectory::open(&path).expect("the directory").epoch(), 6);
    }

    #[test]
    fn an_epoch_that_is_none_is_not_guessed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("epoch"), "seven\n").expect("a file");
        let error = DataDirectory::open(folder.path()).err().expect("an error").to_string();
        assert!(error.contains("holds no epoch but `seven`"), "{error}");
    }
}
