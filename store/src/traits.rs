//! What a store keeps, and what it promises.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Who may write a window: the greater wins, and an equal one is a retry of the same write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// Epoch of the topology that made the writer the owner.
    pub epoch: u64,
    /// Revision of the window: counts up with every change, over epochs.
    pub revision: u64,
}

/// One window of one monitor to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowWrite {
    /// The monitor's name.
    pub monitor: String,
    /// Start of the window, nanoseconds since the epoch.
    pub window_ns: i64,
    /// Length of the window in nanoseconds.
    pub length_ns: i64,
    /// Written only if its epoch is not below the stored one's and its revision is above it.
    pub fence: Fence,
    /// Whether the window needs nobody's attention any more (settled at 100 %, or given up).
    pub done: bool,
    /// The header, as `reduce` encodes it.
    #[serde(with = "serde_bytes")]
    pub header: Vec<u8>,
    /// The groups, as `reduce` encodes them.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// What becomes of its mergeable pieces.
    pub pieces: PieceChange,
}

/// What becomes of the mergeable pieces of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PieceChange {
    /// These are written, others stay.
    Upsert(Vec<PieceRow>),
    /// All go: nothing will be merged into the window any more.
    Drop,
}

/// A mergeable piece of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceRow {
    /// Its key within the window.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Its content.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// What became of a [`WindowWrite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteOutcome {
    /// It is on the disk.
    Written,
    /// It was there already, by the same fence.
    Already,
    /// A greater one is there; nothing was written.
    Refused {
        /// What is there.
        stored: Fence,
    },
}

/// A window as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredWindow {
    /// Start of the window, nanoseconds since the epoch.
    pub window_ns: i64,
    /// Length of the window in nanoseconds.
    pub length_ns: i64,
    /// Who wrote it.
    pub fence: Fence,
    /// As in [`WindowWrite::done`].
    pub done: bool,
    /// The header.
    #[serde(with = "serde_bytes")]
    pub header: Vec<u8>,
    /// The groups; empty where only headers were asked for.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// A piece as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPiece {
    /// Start of the window.
    pub window_ns: i64,
    /// Key and content.
    pub row: PieceRow,
}

/// A small versioned text beside the windows: what a monitor's values mean, who was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What kind of document, such as `shape` or `hosts`.
    pub kind: String,
    /// Whose.
    pub name: String,
    /// Which version; a version's content never changes.
    pub version: u64,
    /// The content.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

/// How full a store is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Bytes on the disk.
    pub disk_bytes: u64,
    /// Windows kept.
    pub windows: u64,
    /// Pieces kept.
    pub pieces: u64,
    /// Writes refused by a fence since the start.
    pub refused: u64,
}

/// Which windows of a monitor are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSelection {
    /// As [`Store::windows`].
    Between {
        /// First window start.
        from_ns: i64,
        /// Window starts end before this.
        to_ns: i64,
        /// Whether with bodies.
        bodies: bool,
    },
    /// As [`Store::undone`].
    Undone {
        /// First window start.
        from_ns: i64,
        /// Window starts end before this.
        to_ns: i64,
    },
    /// As [`Store::newest`].
    Newest {
        /// Only windows that start before this, if given: behind the last one of the page before.
        before_ns: Option<i64>,
    },
}

/// A part of what was asked for, cut so that it fits where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order asked for; at least one if there is any.
    pub items: Vec<T>,
    /// Whether there are more within what was asked for.
    pub more: bool,
}

impl<T> Page<T> {
    /// Cuts before the first item that is over `bytes_max` together with those before it and that `may_cut_before`
    /// (its predecessor, it) allows; never before the first item.
    pub(crate) fn cut(
        items: Vec<T>,
        bytes_max: usize,
        bytes: impl Fn(&T) -> usize,
        may_cut_before: impl Fn(&T, &T) -> bool,
    ) -> Self {
        let mut page = Page {
            items: Vec::new(),
            more: false,
        };
        let mut sum = 0usize;
        for item in items {
            sum = sum.saturating_add(bytes(&item));
            let last = page.items.last();
            if sum > bytes_max && last.is_some_and(|last| may_cut_before(last, &item)) {
                page.more = true;
                break;
            }
            page.items.push(item);
        }
        page
    }
}

/// What a window takes in an answer beside its header and body, about: its other fields with their names.
const WINDOW_OVERHEAD_BYTES: usize = 128;
/// What a piece takes beside its key and content, about.
const PIECE_OVERHEAD_BYTES: usize = 64;
/// What a document takes beside its content, about.
const DOCUMENT_OVERHEAD_BYTES: usize = 128;

impl WindowWrite {
    /// About the bytes that it takes in memory and on the wire.
    pub fn bytes(&self) -> usize {
        let pieces: usize = match &self.pieces {
            PieceChange::Upsert(rows) => rows.iter().map(PieceRow::bytes).sum(),
            PieceChange::Drop => 0,
        };
        WINDOW_OVERHEAD_BYTES + self.monitor.len() + self.header.len() + self.body.len() + pieces
    }
}

impl PieceRow {
    /// About the bytes that it takes in memory and on the wire.
    pub fn bytes(&self) -> usize {
        PIECE_OVERHEAD_BYTES + self.key.len() + self.value.len()
    }
}

impl StoredWindow {
    /// About the bytes that it takes in memory and on the wire.
    pub fn bytes(&self) -> usize {
        WINDOW_OVERHEAD_BYTES + self.header.len() + self.body.len()
    }
}

impl Document {
    /// About the bytes that it takes in memory and on the wire.
    pub fn bytes(&self) -> usize {
        DOCUMENT_OVERHEAD_BYTES + self.kind.len() + self.name.len() + self.content.len()
    }
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk or the file below.
    #[error("the store failed while {operation}: {why}")]
    Failed {
        /// What it was doing.
        operation: &'static str,
        /// Why, for people.
        why: String,
    },
    /// More was asked for than one answer may hold.
    #[error("{what} would be over {most} bytes: ask for a shorter range, or write less at a time")]
    TooMuch {
        /// What.
        what: &'static str,
        /// The bound.
        most: u64,
    },
    /// The store is on another node, and there was no answer. What was asked may have been done: ask again, which is
    /// safe, since a write that was done already says so.
    #[error("the store gave no answer to {operation}: {why}; ask again")]
    Unreachable {
        /// What was asked.
        operation: &'static str,
        /// Why there was no answer.
        why: String,
    },
}

/// Where points live. Every call blocks for as long as the disk takes; a write that returned is on the disk.
pub trait Store: Send + Sync + 'static {
    /// Writes windows, all in one transaction, in order; each is fenced by itself.
    ///
    /// # Errors
    /// If nothing was written; or, where the disk failed in the very last step, all or nothing. Writing the same again
    /// is safe either way.
    fn write(&self, windows: &[WindowWrite]) -> Result<Vec<WriteOutcome>, StoreError>;

    /// Windows of a monitor whose start lies in the range, in order, at most `most`; bodies only if asked for.
    ///
    /// # Errors
    /// If the disk fails.
    fn windows(
        &self,
        monitor: &str,
        range: Range<i64>,
        most: usize,
        bodies: bool,
    ) -> Result<Vec<StoredWindow>, StoreError>;

    /// The newest windows of a monitor, newest first, without bodies.
    ///
    /// # Errors
    /// If the disk fails.
    fn newest(&self, monitor: &str, most: usize) -> Result<Vec<StoredWindow>, StoreError>;

    /// Windows of a monitor that are not done, in order, without bodies, at most `most`.
    ///
    /// # Errors
    /// If the disk fails.
    fn undone(&self, monitor: &str, range: Range<i64>, most: usize) -> Result<Vec<StoredWindow>, StoreError>;

    /// Pieces of the windows that start in the range, by window and key.
    ///
    /// # Errors
    /// If the disk fails.
    fn pieces(&self, monitor: &str, range: Range<i64>) -> Result<Vec<StoredPiece>, StoreError>;

    /// Names of all monitors that have windows, sorted.
    ///
    /// # Errors
    /// If the disk fails.
    fn monitors(&self) -> Result<Vec<String>, StoreError>;

    /// Keeps a document. The first content of a version stays.
    ///
    /// # Errors
    /// If the disk fails.
    fn put_document(&self, document: &Document) -> Result<(), StoreError>;

    /// All versions of a document, oldest first.
    ///
    /// # Errors
    /// If the disk fails.
    fn documents(&self, kind: &str, name: &str) -> Result<Vec<Document>, StoreError>;

    /// Removes windows and pieces that start before a time, at most `most` a call; how many windows went.
    ///
    /// # Errors
    /// If the disk fails.
    fn remove_before(&self, before_ns: i64, most: usize) -> Result<u64, StoreError>;

    /// How full it is.
    ///
    /// # Errors
    /// If the disk fails.
    fn status(&self) -> Result<StoreStatus, StoreError>;

    /// The first of the selected windows, at most `most` and about `bytes_max` bytes. A store that can should stop
    /// reading there; this default reads all that was asked for and cuts.
    ///
    /// # Errors
    /// If the disk fails.
    fn windows_page(
        &self,
        monitor: &str,
        selection: WindowSelection,
        most: usize,
        bytes_max: usize,
    ) -> Result<Page<StoredWindow>, StoreError> {
        let windows = match selection {
            WindowSelection::Between { from_ns, to_ns, bodies } => {
                self.windows(monitor, from_ns..to_ns, most, bodies)?
            }
            WindowSelection::Undone { from_ns, to_ns } => self.undone(monitor, from_ns..to_ns, most)?,
            WindowSelection::Newest { before_ns: None } => self.newest(monitor, most)?,
            WindowSelection::Newest {
                before_ns: Some(before_ns),
            } => {
                let mut windows = self.newest(monitor, usize::MAX)?;
                windows.retain(|window| window.window_ns < before_ns);
                windows.truncate(most);
                windows
            }
        };
        Ok(Page::cut(windows, bytes_max, StoredWindow::bytes, |_, _| true))
    }

    /// The first pieces of the windows that start in the range, about `bytes_max` bytes, all of a window or none; at
    /// least those of one window. As [`Store::windows_page`] as to what is read.
    ///
    /// # Errors
    /// If the disk fails.
    fn pieces_page(&self, monitor: &str, range: Range<i64>, bytes_max: usize) -> Result<Page<StoredPiece>, StoreError> {
        let pieces = self.pieces(monitor, range)?;
        Ok(Page::cut(
            pieces,
            bytes_max,
            |piece| piece.row.bytes(),
            |last, next| last.window_ns != next.window_ns,
        ))
    }

    /// The first versions of a document from a version on, about `bytes_max` bytes. As [`Store::windows_page`] as to
    /// what is read.
    ///
    /// # Errors
    /// If the disk fails.
    fn documents_page(
        &self,
        kind: &str,
        name: &str,
        from_version: u64,
        bytes_max: usize,
    ) -> Result<Page<Document>, StoreError> {
        let mut documents = self.documents(kind, name)?;
        documents.retain(|document| document.version >= from_version);
        Ok(Page::cut(documents, bytes_max, Document::bytes, |_, _| true))
    }
}
