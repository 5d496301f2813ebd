//! Everything a Reduce, a Brain or the console may say to a store, and what it answers: [`crate::Store`] over `lika`.

use crate::traits::{Document, StoreStatus, StoredPiece, StoredWindow, WindowWrite, WriteOutcome};
use serde::{Deserialize, Serialize};

/// Version of these messages.
pub const PROTOCOL_VERSION: u16 = 1;
/// The role by which stores are known to their peers.
pub const ROLE: &str = "store";
/// Most windows of one answer.
pub const WINDOWS_MAX: usize = 20_000;
/// About the most bytes of one answer; what goes beyond comes with the next request.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;

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
    const CLIENT_ROLES: &'static [&'static str] = &["reduce", "brain", "console"];
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
    /// To [`StoreRequest::Documents`].
    Documents(Vec<Document>),
    /// To [`StoreRequest::Status`].
    Status(StoreStatus),
    /// It is done.
    Done,
    /// It could not be done, and why.
    Failed(String),
}
