//! A node's own file (`--config FILE`): which role it plays and what that role needs to know, validated.
//!
//! Such a file begins with `role:` where a document of the ConfigDB begins with `kind:`; it belongs to one process and
//! is never shared. Its relative paths begin at its own folder.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Shortest token: a shorter one could be guessed from a recorded handshake.
pub const TOKEN_BYTES_MIN: usize = 16;

/// A node's own file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// What runs on every host.
    Agent(AgentNode),
    /// What counts.
    Map(MapNode),
    /// What merges.
    Reduce(ReduceNode),
    /// What plans.
    Brain(BrainNode),
    /// What people look at, with the store or without.
    Console(ConsoleNode),
}

impl Node {
    /// The role as it is written.
    pub fn role(&self) -> &'static str {
        match self {
            Node::Agent(_) => "agent",
            Node::Map(_) => "map",
            Node::Reduce(_) => "reduce",
            Node::Brain(_) => "brain",
            Node::Console(_) => "console",
        }
    }

    /// Its name among those of its role.
    pub fn name(&self) -> &str {
        match self {
            Node::Agent(agent) => &agent.host,
            Node::Map(map) => &map.node,
            Node::Reduce(reduce) => &reduce.node,
            Node::Brain(brain) => &brain.node,
            Node::Console(console) => &console.node,
        }
    }

    /// Its certificate, if connections are encrypted.
    pub fn tls(&self) -> Option<&TlsPlace> {
        match self {
            Node::Agent(agent) => agent.tls.as_ref(),
            Node::Map(map) => map.tls.as_ref(),
            Node::Reduce(reduce) => reduce.tls.as_ref(),
            Node::Brain(brain) => brain.tls.as_ref(),
            Node::Console(console) => console.tls.as_ref(),
        }
    }

    fn tls_mut(&mut self) -> Option<&mut TlsPlace> {
        match self {
            Node::Agent(agent) => agent.tls.as_mut(),
            Node::Map(map) => map.tls.as_mut(),
            Node::Reduce(reduce) => reduce.tls.as_mut(),
            Node::Brain(brain) => brain.tls.as_mut(),
            Node::Console(console) => console.tls.as_mut(),
        }
    }

    /// The same with relative paths begun at a folder.
    pub fn begun_at(mut self, folder: &Path) -> Node {
        let begin = |path: &mut PathBuf| *path = folder.join(&*path);
        let begin_token = |token: &mut TokenSource| {
            if let TokenSource::File(path) = token {
                begin(path);
            }
        };
        if let Some(TlsPlace { ca, cert, key }) = self.tls_mut() {
            [ca, cert, key].into_iter().for_each(begin);
        }
        match &mut self {
            Node::Agent(agent) => begin_token(&mut agent.token),
            Node::Map(map) => {
                begin_token(&mut map.token);
                begin_token(&mut map.agents);
            }
            Node::Reduce(reduce) => begin_token(&mut reduce.token),
            Node::Brain(brain) => {
                begin_token(&mut brain.token);
                match &mut brain.configdb {
                    ConfigPlace::Folders { config, data } => {
                        begin(config);
                        begin(data);
                    }
                    ConfigPlace::Etcd { files, .. } => begin(files),
                }
            }
            Node::Console(console) => {
                begin_token(&mut console.token);
                begin_token(&mut console.api_token);
                if let StorePlace::Here { data, .. } = &mut console.store {
                    begin(data);
                }
            }
        }
        self
    }
}

/// The configuration of a Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapNode {
    /// Its name, by which the Brain's file knows it.
    pub node: String,
    /// Where it listens to Reduces.
    pub listen: SocketAddr,
    /// The secret of the cluster.
    pub token: TokenSource,
    /// Its certificate, if connections are encrypted.
    pub tls: Option<TlsPlace>,
    /// The secret that agents ask for.
    pub agents: TokenSource,
    /// Bytes of memory that it may use for what it counts, if it is told.
    pub memory_bytes: Option<u64>,
}

/// The least memory that a Map gets anywhere with.
pub const MAP_MEMORY_BYTES_MIN: u64 = 64 << 20;

/// The configuration of a Reduce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReduceNode {
    /// Its name, by which the Brain's file knows it.
    pub node: String,
    /// Where it listens to Brains.
    pub listen: SocketAddr,
    /// The secret of the cluster.
    pub token: TokenSource,
    /// Its certificate, if connections are encrypted.
    pub tls: Option<TlsPlace>,
    /// Where the store is, `host:port`.
    pub store: String,
}

/// The configuration of a Brain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrainNode {
    /// Its name.
    pub node: String,
    /// Where it listens to consoles.
    pub listen: SocketAddr,
    /// The secret of the cluster.
    pub token: TokenSource,
    /// Its certificate, if connections are encrypted.
    pub tls: Option<TlsPlace>,
    /// Where the ConfigDB is, and where what must last is kept.
    pub configdb: ConfigPlace,
    /// Where the store is, `host:port`.
    pub store: String,
    /// The Reduces; never empty.
    pub reduces: Vec<Peer>,
    /// The Maps; never empty.
    pub maps: Vec<Peer>,
    /// How long a window below 100 % is worth repairing, in milliseconds, if that is given.
    pub horizon_ms: Option<u64>,
    /// How far before it is first seen a monitor begins, in milliseconds, if that is given.
    pub first_windows_back_ms: Option<u64>,
}

/// Where a ConfigDB is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigPlace {
    /// On this machine: one Brain at a time.
    Folders {
        /// A folder of YAML files.
        config: PathBuf,
        /// Where what must last is kept.
        data: PathBuf,
    },
    /// In etcd: several Brains, of which one leads.
    Etcd {
        /// Its members, such as `http://127.0.0.1:2379`; never empty.
        endpoints: Vec<String>,
        /// What all keys begin with.
        prefix: String,
        /// Where relative `file_sd` globs begin.
        files: PathBuf,
    },
}

/// A node as another one's file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub node: String,
    /// Where it listens, `host:port`.
    pub address: String,
    /// Its labels; a Map's `zone` is compared with the hosts'.
    pub labels: BTreeMap<String, String>,
}

/// The configuration of a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleNode {
    /// Its name.
    pub node: String,
    /// Where it listens to browsers and programs.
    pub listen: SocketAddr,
    /// The bearer token that these must show.
    pub api_token: TokenSource,
    /// The secret of the cluster.
    pub token: TokenSource,
    /// Its certificate, if connections are encrypted.
    pub tls: Option<TlsPlace>,
    /// Where the Brains are, `host:port`; without one it answers from the store alone.
    pub brains: Vec<String>,
    /// Where the points are.
    pub store: StorePlace,
}

/// Where points are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// In this process, and served to the others.
    Here {
        /// The folder of its file.
        data: PathBuf,
        /// Where it listens to Reduces, Brains and other consoles.
        listen: SocketAddr,
    },
    /// In another one, `host:port`.
    There(String),
}

/// The configuration of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentNode {
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The name by which the inventory knows its host.
    pub host: String,
    /// The folders below which it may read; absolute, never empty.
    pub roots: Vec<String>,
    /// The folders that people may look at; empty for all of its roots.
    pub browse: Vec<String>,
    /// The secret that its peers must know.
    pub token: TokenSource,
    /// Its certificate, if connections are encrypted.
    pub tls: Option<TlsPlace>,
    /// What it does with files of several names.
    pub hard_links: HardLinkPolicy,
    /// Whether the kernel keeps it to what it needs.
    pub sandbox: SandboxPolicy,
    /// The user that it becomes once it listens, if it is started as root.
    pub user: Option<String>,
    /// What it takes of a busy host.
    pub manners: Manners,
    /// Its bounds; `None` where the agent's default holds.
    pub limits: AgentLimits,
}

/// Where a node's certificate is, and the authority's by which it knows others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPlace {
    /// Certificates of the authorities that vouch for all nodes.
    pub ca: PathBuf,
    /// The node's certificate, and those between it and the authority's.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
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

/// Whether an agent shuts itself into a sandbox of the kernel before it answers anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxPolicy {
    /// As far as the kernel has one; what is in force is said at the start and in the status.
    #[default]
    On,
    /// Not at all.
    Off,
    /// In full, or it does not start.
    Required,
}

/// What an agent takes of a busy host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manners {
    /// What the applications of the host leave over.
    #[default]
    Polite,
    /// As much as any other program.
    Normal,
}

/// Bounds of an agent, as far as they are given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentLimits {
    /// Connections at a time, all peers together.
    pub connections: Option<u64>,
    /// Ranges sent at a time to one peer.
    pub pulls_per_peer: Option<u64>,
    /// Bytes per second that all peers together may take.
    pub bytes_per_second: Option<u64>,
    /// Bytes per second that one peer may take.
    pub bytes_per_second_per_peer: Option<u64>,
}
