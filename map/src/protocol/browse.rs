//! What people ask of one host by way of a Map, and what Maps know of the agents that they pull from.

use crate::detect::Findings;
use crate::verdict::HostState;
pub use agent::protocol::{
    FileKind, FolderEntry, LimitMet, PathProblem, Refusal, RootStatus, StatusAnswer, StatusLimits,
};
use serde::{Deserialize, Serialize};

/// Most bytes of a file's end that are shown at a time.
pub const TAIL_BYTES_MAX: u32 = 64 << 10;
/// Most entries of a folder that are shown at a time.
pub const LISTED_MAX: u32 = 1000;
/// Bytes of a file's beginning that detection looks at.
pub const DETECT_HEAD_BYTES: u64 = 1 << 20;
/// Bytes of a file's end that detection looks at besides.
pub const DETECT_TAIL_BYTES: u64 = 256 << 10;
/// Most agents that are told of at a time; about 300 bytes each, so that they fit into a frame.
pub const AGENTS_MAX: usize = 20_000;

/// A question about one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowseRequest {
    /// Where its agent listens. Only a Brain says so, out of the inventory.
    pub address: String,
    /// The host that it is in the inventory, which the agent must prove where agents have certificates.
    #[serde(default)]
    pub host: Option<String>,
    /// What is asked.
    pub question: BrowseQuestion,
}

/// What is asked about a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BrowseQuestion {
    /// How its agent is kept within bounds, and which folders it opens.
    Status,
    /// The names in a folder.
    List {
        /// The folder.
        path: String,
        /// Only names behind this one.
        after: Option<String>,
        /// At most so many, and never over [`LISTED_MAX`].
        most: u32,
    },
    /// The last lines of a file.
    Tail {
        /// The file.
        path: String,
        /// About so many bytes, and never over [`TAIL_BYTES_MAX`].
        bytes: u32,
    },
    /// How a file is stamped, and what is in it.
    Detect {
        /// The file.
        path: String,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Browsed {
    /// To [`BrowseQuestion::Status`].
    Status(Box<StatusAnswer>),
    /// To [`BrowseQuestion::List`].
    List {
        /// The names, sorted.
        entries: Vec<FolderEntry>,
        /// Whether there are names behind the last of these.
        more: bool,
        /// Why names are missing that no page will show.
        limit: Option<LimitMet>,
    },
    /// To [`BrowseQuestion::Tail`].
    Tail(Tail),
    /// To [`BrowseQuestion::Detect`].
    Detected(Box<Detected>),
}

/// Which file was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeen {
    /// Its path without links.
    pub path: String,
    /// Its size.
    pub size: u64,
    /// Last modification.
    pub mtime_ns: i64,
    /// What was unpacked of it, if it is compressed; offsets then count unpacked bytes.
    #[serde(default)]
    pub packed: Option<Packed>,
}

/// What was unpacked of a compressed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// `gzip` or `zstd`.
    pub method: String,
    /// How many bytes it holds, as far as it was unpacked.
    pub bytes: u64,
    /// How far that is.
    pub reach: Reach,
}

/// How far a compressed file was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// To its end, and every checksum in it agreed.
    Whole,
    /// It holds more than is unpacked for a look: its beginning is shown.
    Beginning,
    /// It ends too early: what there is is shown, and no checksum vouches for it.
    Torn,
}

impl Reach {
    /// What people must know of it.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Beginning => Some("it is too large to be unpacked for a look: its beginning is shown"),
            Self::Torn => Some("it ends too early, and is still being written or torn: what there is of it is shown"),
        }
    }
}

/// The end of a file as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The file.
    pub file: FileSeen,
    /// Its encoding, as it was recognised.
    pub encoding: String,
    /// Offset of the first byte that was looked at.
    pub offset: u64,
    /// The lines, safe to show.
    pub lines: Vec<TailLine>,
}

/// One line of a [`Tail`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailLine {
    /// Offset of its first byte.
    pub offset: u64,
    /// Its text.
    pub text: String,
    /// How many of its bytes are no text of the encoding.
    pub invalid: u64,
    /// Whether more of it stands in the file.
    pub is_cut: bool,
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detected {
    /// The file.
    pub file: FileSeen,
    /// What was found.
    pub found: Findings,
    /// How many of its bytes were looked at: its beginning, and its end.
    pub looked_at: u64,
    /// Whether the host does not say its zone, so that stamps without one were read in UTC.
    pub zone_unknown: bool,
}

/// Why a question about a host has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotBrowsed {
    /// The agent refuses the path.
    #[error("{0}")]
    Refused(PathProblem),
    /// The agent has not answered.
    #[error("the agent does not answer: {detail}")]
    Agent {
        /// Whether it was reached.
        state: HostState,
        /// What is known.
        detail: String,
    },
    /// The file is compressed by a method that is not unpacked.
    #[error("{path} is compressed, and only gzip and zstd are unpacked: unpack it on its host")]
    Compressed {
        /// The file.
        path: String,
    },
    /// The file is compressed, and what is in it can't be had.
    #[error("{path} {why}")]
    Damaged {
        /// The file.
        path: String,
        /// Why, as what is said of it.
        why: String,
    },
    /// The file became another while it was looked at.
    #[error("{path} changed while it was looked at: ask again")]
    Changed {
        /// The file.
        path: String,
    },
    /// Too many such questions are in hand.
    #[error("too many folders and files are being looked at: ask again in a moment")]
    Busy,
    /// The agent says something else than what was asked.
    #[error("the agent cannot answer this: {0}")]
    Unfit(String),
    /// Nobody could ask the agent.
    #[error("no map can ask the agent: {0}")]
    NoMap(String),
}

/// What a Map knows of an agent that it pulls from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSeen {
    /// Where it listens.
    pub address: String,
    /// When it was asked last; 0 if it was not yet.
    pub asked_ns: i64,
    /// What it said.
    pub said: AgentSaid,
}

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentSaid {
    /// How it is kept within bounds.
    Bounds {
        /// What is in force: `landlock+seccomp`, or `off`.
        sandbox: String,
        /// What is missing of a whole sandbox.
        missing: Option<String>,
        /// The user that it runs as.
        user: String,
        /// Its version.
        version: String,
    },
    /// Nothing, and why.
    Nothing(String),
}

impl AgentSaid {
    /// The short form of a status.
    pub fn of(status: &StatusAnswer) -> Self {
        let confinement = &status.confinement;
        Self::Bounds {
            sandbox: confinement.short(),
            missing: confinement.missing(),
            user: user_of(status),
            version: status.version.clone(),
        }
    }
}

/// The user that an agent runs as: by name, or by number where its host has no name for it.
pub fn user_of(status: &StatusAnswer) -> String {
    let number = || format!("uid {}", status.confinement.user_id);
    status.user.clone().unwrap_or_else(number)
}
