//! The embedded store: one file in a data directory, over redb.
//!
//! [`row`] is how a row lies on the disk, [`tables`] where, [`read`] and [`write`](self::write) are functions of an
//! open file, [`open`] makes one. What is left for here is what outlives an open file: after a failure of the disk redb
//! answers nothing more, so the file is closed and opened anew before the next call. A full disk or a device that was
//! gone for a while heals without a restart.

mod open;
mod read;
mod row;
mod tables;
#[cfg(test)]
mod tests;
mod write;

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use redb::{Database, Error};

pub use self::open::{FILE_NAME, OpenError};
use self::read::Limits;
use crate::traits::{
    Document, Page, Store, StoreError, StoreStatus, StoredPiece, StoredWindow, WindowSelection, WindowWrite,
    WriteOutcome,
};

/// Most bytes that one call of [`Store`] reads into memory; pages are smaller.
const READ_BYTES_MAX: usize = 256 << 20;
/// A block of `stat`, whatever the file system's own are.
const STAT_BLOCK_BYTES: u64 = 512;
/// Bytes of a monitor's name and of a document's kind and name: a key must stay far below a page.
const NAME_BYTES_MAX: usize = 1024;
/// Bytes of a piece's key, for the same reason.
const PIECE_KEY_BYTES_MAX: usize = 1024;

type Opener = Box<dyn Fn() -> Result<Database, OpenError> + Send + Sync>;

/// The store in a file. All calls block; one writes at a time, any number read beside it, each its own snapshot.
pub struct EmbeddedStore {
    file: PathBuf,
    opener: Opener,
    /// `None` while it cannot be opened again.
    database: RwLock<Option<Database>>,
    /// Whether it must be opened anew before anything else.
    broken: AtomicBool,
    refused: AtomicU64,
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedStore")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in a data directory, which is made if it is missing. After a crash, and always while it is below
    /// a gigabyte, the whole file is verified first, some seconds a gigabyte.
    ///
    /// # Errors
    /// If another process has it, or it is not a store that this build can read, or the disk says no.
    pub fn open(directory: &Path) -> Result<EmbeddedStore, OpenError> {
        let file = directory.join(FILE_NAME);
        let directory = directory.to_owned();
        EmbeddedStore::open_by(file, Box::new(move || open::open(&directory)))
    }

    fn open_by(file: PathBuf, opener: Opener) -> Result<EmbeddedStore, OpenError> {
        let database = RwLock::new(Some(opener()?));
        Ok(EmbeddedStore {
            file,
            opener,
            database,
            broken: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        })
    }

    /// The file that everything is in.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Does `work` on the open file; opens it first if the disk failed before.
    fn with<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Database) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let failed = |why: String| StoreError::Failed { operation, why };
        self.heal().map_err(|error| failed(chain(&error)))?;
        // What a panic leaves behind is a file that is opened anew.
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            return Err(failed(format!("{} could not be opened again", self.file.display())));
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(database)));
        let done = done.unwrap_or_else(|panic| {
            self.broken.store(true, Ordering::Release);
            Err(Error::Corrupted(format!(
                "its pages make no sense: {}",
                text_of(&*panic)
            )))
        });
        done.map_err(|error| {
            if must_reopen(&error) {
                self.broken.store(true, Ordering::Release);
            }
            failed(format!("{}: {error}", self.file.display()))
        })
    }

    /// Opens the file anew if it must be. Waits for the calls that still read the old one.
    fn heal(&self) -> Result<(), OpenError> {
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have done it while we waited.
        if self.broken.load(Ordering::Acquire) {
            // Closed first: a file is open once.
            *database = None;
            *database = Some((self.opener)()?);
            self.broken.store(false, Ordering::Release);
        }
        Ok(())
    }

    fn read_all<T>(page: Page<T>) -> Result<Vec<T>, StoreError> {
        if page.more {
            return Err(StoreError::TooMuch {
                what: "the answer",
                most: READ_BYTES_MAX as u64,
            });
        }
        Ok(page.items)
    }
}

/// Whether redb answers nothing more after this.
fn must_reopen(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_) | Error::Backend(_) | Error::PreviousIo | Error::DatabaseClosed | Error::LockPoisoned(_)
    )
}

fn chain(error: &OpenError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}

fn check_name(what: &'static str, name: &[u8], most: usize) -> Result<(), StoreError> {
    if name.len() <= most {
        Ok(())
    } else {
        Err(StoreError::TooMuch {
            what,
            most: most as u64,
        })
    }
}

/// Refuses keys that the file is not made for.
fn check_names(windows: &[WindowWrite]) -> Result<(), StoreError> {
    for window in windows {
        check_name("the name of a monitor", window.monitor.as_bytes(), NAME_BYTES_MAX)?;
        if let crate::PieceChange::Upsert(rows) = &window.pieces {
            for row in rows {
                check_name("the key of a piece", &row.key, PIECE_KEY_BYTES_MAX)?;
            }
        }
    }
    Ok(())
}

impl Store for EmbeddedStore {
    fn write(&self, windows: &[WindowWrite]) -> Result<Vec<WriteOutcome>, StoreError> {
        check_names(windows)?;
        let outcomes = self.with("writing windows", |database| write::windows(database, windows))?;
        let refused = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, WriteOutcome::Refused { .. }));
        self.refused.fetch_add(refused.count() as u64, Ordering::Relaxed);
        Ok(outcomes)
    }

    fn windows(
        &self,
        monitor: &str,
        range: Range<i64>,
        most: usize,
        bodies: bool,
    ) -> Result<Vec<StoredWindow>, StoreError> {
        let (from_ns, to_ns) = (range.start, range.end);
        let selection = WindowSelection::Between { from_ns, to_ns, bodies };
        Self::read_all(self.windows_page(monitor, selection, most, READ_BYTES_MAX)?)
    }

    fn newest(&self, monitor: &str, most: usize) -> Result<Vec<StoredWindow>, StoreError> {
        let selection = WindowSelection::Newest { before_ns: None };
        Self::read_all(self.windows_page(monitor, selection, most, READ_BYTES_MAX)?)
    }

    fn undone(&self, monitor: &str, range: Range<i64>, most: usize) -> Result<Vec<StoredWindow>, StoreError> {
        let (from_ns, to_ns) = (range.start, range.end);
        let selection = WindowSelection::Undone { from_ns, to_ns };
        Self::read_all(self.windows_page(monitor, selection, most, READ_BYTES_MAX)?)
    }

    fn pieces(&self, monitor: &str, range: Range<i64>) -> Result<Vec<StoredPiece>, StoreError> {
        Self::read_all(self.pieces_page(monitor, range, READ_BYTES_MAX)?)
    }

    fn monitors(&self) -> Result<Vec<String>, StoreError> {
        self.with("listing monitors", read::monitors)
    }

    fn put_document(&self, document: &Document) -> Result<(), StoreError> {
        check_name("the kind of a document", document.kind.as_bytes(), NAME_BYTES_MAX)?;
        check_name("the name of a document", document.name.as_bytes(), NAME_BYTES_MAX)?;
        // The same document is put again and again by those who make sure that it is there: that must cost no write.
        self.with("writing a document", |database| {
            if read::has_document(database, document)? {
                return Ok(());
            }
            write::document(database, document)
        })
    }

    fn documents(&self, kind: &str, name: &str) -> Result<Vec<Document>, StoreError> {
        Self::read_all(self.documents_page(kind, name, 0, READ_BYTES_MAX)?)
    }

    fn remove_before(&self, before_ns: i64, most: usize) -> Result<u64, StoreError> {
        self.with("removing old windows", |database| {
            write::remove_before(database, before_ns, most)
        })
    }

    fn status(&self) -> Result<StoreStatus, StoreError> {
        let counted = self.with("counting windows", read::count)?;
        let metadata = std::fs::metadata(&self.file).map_err(|error| StoreError::Failed {
            operation: "measuring the file",
            why: format!("{}: {error}", self.file.display()),
        })?;
        Ok(StoreStatus {
            // Blocks, since the file grows by leaps and the rest of a leap is a hole.
            disk_bytes: metadata.blocks().saturating_mul(STAT_BLOCK_BYTES),
            refused: self.refused.load(Ordering::Relaxed),
            ..counted
        })
    }

    fn windows_page(
        &self,
        monitor: &str,
        selection: WindowSelection,
        most: usize,
        bytes_max: usize,
    ) -> Result<Page<StoredWindow>, StoreError> {
        let limits = Limits { most, bytes_max };
        self.with("reading windows", |database| {
            read::windows(database, monitor, selection, limits)
        })
    }

    fn pieces_page(&self, monitor: &str, range: Range<i64>, bytes_max: usize) -> Result<Page<StoredPiece>, StoreError> {
        let page = self.with("reading pieces", |database| {
            read::pieces(database, monitor, range, bytes_max)
        })?;
        Ok(page)
    }

    fn documents_page(
        &self,
        kind: &str,
        name: &str,
        from_version: u64,
        bytes_max: usize,
    ) -> Result<Page<Document>, StoreError> {
        self.with("reading documents", |database| {
            read::documents(database, (kind, name), from_version, bytes_max)
        })
    }
}
