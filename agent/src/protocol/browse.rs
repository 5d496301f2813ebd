//! What people look at by way of a Map: folders, some bytes of a file, and how the agent itself is kept within bounds.

use serde::{Deserialize, Serialize};

use super::{Compression, FileKind, HostZone, Identity, LimitMet, PathProblem, Refusal};
#[cfg(doc)]
use super::{FOLDER_ENTRIES_MAX, PREVIEW_BYTES_MAX, RequestBody};
use crate::confinement::Confinement;

/// Asks for the names in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRequest {
    /// The folder.
    pub path: String,
    /// Only names behind this one: the last of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// Entries of this page, at most [`FOLDER_ENTRIES_MAX`]; `None` for as many.
    #[serde(default)]
    pub most: Option<u32>,
}

impl ListRequest {
    /// All of a folder, as far as one page goes.
    pub fn of(path: String) -> Self {
        Self {
            path,
            after: None,
            most: None,
        }
    }
}

/// To [`ListRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListAnswer {
    /// Its entries, sorted by name, at most [`FOLDER_ENTRIES_MAX`].
    Entries {
        /// The names.
        entries: Vec<FolderEntry>,
        /// Why names are missing that no page will show.
        limit: Option<LimitMet>,
        /// Whether there are names behind the last of these.
        #[serde(default)]
        more: bool,
    },
    /// It can't be listed.
    Refused(PathProblem),
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// Its name, lossily decoded.
    pub name: String,
    /// What it is; links are not followed.
    pub kind: FileKind,
    /// Size in bytes (of a link: of what it leads to), 0 for what is not a regular file.
    pub size: u64,
    /// Last modification, 0 where it was not looked at.
    pub mtime_ns: i64,
    /// What a link leads to; `None` for what is none, and for one that is refused.
    #[serde(default)]
    pub leads_to: Option<FileKind>,
    /// Why it can't be opened, if that is known already.
    #[serde(default)]
    pub refusal: Option<Refusal>,
}

/// Asks for some bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRequest {
    /// The file.
    pub path: String,
    /// Which file it must be; `None` for whichever it is.
    pub identity: Option<Identity>,
    /// Which bytes.
    pub from: PreviewFrom,
    /// How many, at most [`PREVIEW_BYTES_MAX`]; fewer come if the file ends before.
    pub length: u32,
}

/// Which bytes of a file are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PreviewFrom {
    /// Those from this offset on.
    Offset(u64),
    /// The last ones.
    End,
}

/// To [`PreviewRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PreviewAnswer {
    /// They are here.
    Bytes(Box<Preview>),
    /// Another file has this path now.
    Changed,
    /// It could not be opened or read.
    Refused(PathProblem),
}

/// Some bytes of a file, and which file it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The host's clock before the file was opened.
    pub t_ns: i64,
    /// The host's zone.
    pub zone: HostZone,
    /// Its path without links.
    pub path: String,
    /// Which file.
    pub identity: Identity,
    /// Its size when it was opened.
    pub size: u64,
    /// Last modification.
    pub mtime_ns: i64,
    /// How it is stored.
    pub compression: Compression,
    /// Offset of the first byte.
    pub offset: u64,
    /// The bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// To [`RequestBody::Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// What is in force.
    pub confinement: Confinement,
    /// Name of the user that it runs as; `None` if the host knows none.
    #[serde(default)]
    pub user: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The folders below which it opens files.
    #[serde(default)]
    pub roots: Vec<RootStatus>,
    /// Its bounds.
    #[serde(default)]
    pub limits: StatusLimits,
}

/// A folder below which files are opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootStatus {
    /// As it is configured.
    pub path: String,
    /// Why nothing can be opened there at the moment.
    pub refusal: Option<Refusal>,
}

/// The bounds of an agent that its administrator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StatusLimits {
    /// Connections at a time.
    pub connections: u64,
    /// Ranges sent at a time to one peer.
    pub pulls_per_peer: u64,
    /// Bytes of log per second to all peers together.
    pub bytes_per_second: Option<u64>,
    /// Bytes of log per second to one peer.
    pub bytes_per_second_per_peer: Option<u64>,
}
