//! A node's own file (`--config FILE`): which role it plays and what that role needs to know, validated.
//!
//! Such a file begins with `role:` where a document of the ConfigDB begins with `kind:`; it belongs to one process and
//! is never shared. So far the one role with a file is the agent's.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Shortest token: a shorter one could be guessed from a recorded handshake.
pub const TOKEN_BYTES_MIN: usize = 16;

/// The configuration of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentNode {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The name by which the inventory knows its host.
    pub host: String,
    /// The folders below which it may read; absolute, never empty.
    pub roots: Vec<String>,
    /// The secret that its peers must know.
    pub token: TokenSource,
    /// What it does with files of several names.
    pub hard_links: HardLinkPolicy,
    /// Its bounds; `None` where the agent's default holds.
    pub limits: AgentLimits,
}

/// Where a node's token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// There is none: whoever reaches the listener may ask. Only a loopback listener may do so.
    OpenOnLoopback,
    /// It stands in the configuration itself.
    Given(Secret),
    /// It is the content of this file, without the blanks around it.
    File(PathBuf),
}

/// A text that is not shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` out of logs.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

/// What an agent does with a file that has several hard links: it may be a foreign file that somebody linked there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HardLinkPolicy {
    /// Does not open it.
    Refuse,
    /// Serves it: for hosts where rotation works by `link` and `unlink`.
    Allow,
}

/// Bounds of an agent, as far as they are given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentLimits {
    /// Connections at a time, all peers together.
    pub connections: Option<u64>,
    /// Ranges sent at a time to one peer.
    pub pulls_per_peer: Option<u64>,
    /// Bytes per second that all ranges together may take.
    pub bytes_per_second: Option<u64>,
}
