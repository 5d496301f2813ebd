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

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
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
    #[error("{what} would be over {most}: ask for a shorter range")]
    TooMuch {
        /// What.
        what: &'static str,
        /// The bound.
        most: u64,
    },
}

/// Where points live. Every call blocks for as long as the disk takes; a write that returned is on the disk.
pub trait Store: Send + Sync + 'static {
    /// Writes windows, all in one transaction; each is fenced by itself.
    ///
    /// # Errors
    /// If nothing was written.
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
}
