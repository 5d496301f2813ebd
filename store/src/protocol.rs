//! Everything a Reduce, a Brain or the console may say to a store, and what it answers: [`crate::Store`] over `lika`.

use crate::traits::{Document, StoreStatus, StoredPiece, StoredWindow, WindowWrite, WriteOutcome};
use serde::{Deserialize, Serialize};

/// Version of these messages.
pub const PROTOCOL_VERSION: u16 = 1;
/// The role by which stores are known to their peers.
pub const ROLE: &str = "store";
/// The role that writes.
pub const ROLE_REDUCE: &str = "reduce";
/// The role that plans by what is stored.
pub const ROLE_BRAIN: &str = "brain";
/// The role that shows what is stored.
pub const ROLE_CONSOLE: &str = "console";
/// Most windows of one answer.
pub const WINDOWS_MAX: usize = 20_000;
/// About the most bytes of one answer; what goes beyond comes with the next request.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Most bytes of one frame, either way: a write of [`WRITE_BYTES_MAX`] fits, and the pieces of one window, which are
/// answered whole.
pub const FRAME_BYTES_MAX: u32 = 32 << 20;
/// About the most bytes of one write; more go in several, each window whole.
pub const WRITE_BYTES_MAX: usize = 16 << 20;

/// The protocol over `lika`.
#[derive(Debug)]
pub struct StoreProtocol;

impl lika::node::Protocol for StoreProtocol {
    type Request = StoreRequest;
    type Part = ();
    type Response = StoreAnswer;

    const NAME: &'static str = "store";
    const VERSIONS: (u16, u16) = (PROTOCOL_VERSION, PROTOCOL_VERSION);
    const SERVER_ROLE: &'static str = ROLE;
    const CLIENT_ROLES: &'static [&'static str] = &[ROLE_REDUCE, ROLE_BRAIN, ROLE_CONSOLE];
}

/// What may be asked; each is a method of [`crate::Store`]. Writing is a Reduce's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreRequest {
    /// [`crate::Store::write`]
    Write(Vec<WindowWrite>),
    /// [`crate::Store::windows`]
    Windows {
        /// The monitor.
        monitor: String,
        /// First window start.
        from_ns: i64,
        /// Window starts end before this.
        to_ns: i64,
        /// At most so many.
        most: u32,
        /// Whether with bodies.
        bodies: bool,
    },
    /// [`crate::Store::newest`]
    Newest {
        /// The monitor.
        monitor: String,
        /// Only windows that start before this, if given: behind the last one of the answer before.
        before_ns: Option<i64>,
        /// At most so many.
        most: u32,
    },
    /// [`crate::Store::undone`]
    Undone {
        /// The monitor.
        monitor: String,
        /// First window start.
        from_ns: i64,
        /// Window starts end before this.
        to_ns: i64,
        /// At most so many.
        most: u32,
    },
    /// [`crate::Store::pieces`]
    Pieces {
        /// The monitor.
        monitor: String,
        /// First window start.
        from_ns: i64,
        /// Window starts end before this.
        to_ns: i64,
    },
    /// [`crate::Store::monitors`]
    Monitors,
    /// [`crate::Store::put_document`]
    PutDocument(Document),
    /// [`crate::Store::documents`]
    Documents {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// The first version.
        from_version: u64,
    },
    /// [`crate::Store::status`]
    Status,
}

/// What a store answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreAnswer {
    /// To [`StoreRequest::Write`], in its order.
    Written(Vec<WriteOutcome>),
    /// Windows; `more` if the answer was cut at [`ANSWER_BYTES_MAX`]: ask again from behind the last.
    Windows {
        /// In the order asked for.
        windows: Vec<StoredWindow>,
        /// Whether there are more within what was asked for.
        more: bool,
    },
    /// To [`StoreRequest::Pieces`]; cut as [`StoreAnswer::Windows`], never within a window.
    Pieces {
        /// By window and key.
        pieces: Vec<StoredPiece>,
        /// Whether there are more within what was asked for.
        more: bool,
    },
    /// To [`StoreRequest::Monitors`].
    Monitors(Vec<String>),
    /// To [`StoreRequest::Documents`]; cut as [`StoreAnswer::Windows`].
    Documents {
        /// By version.
        documents: Vec<Document>,
        /// Whether there are more versions.
        more: bool,
    },
    /// To [`StoreRequest::Status`].
    Status(StoreStatus),
    /// It is done.
    Done,
    /// It could not be done, and why.
    Failed(String),
}
