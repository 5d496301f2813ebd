//! Everything the console may ask of a Brain: what is configured, what runs where, and what happened.

pub use map::protocol::{AgentSeen, BrowseQuestion, Browsed, Definition, NotBrowsed, RecordsWanted};
use reduce::overflow::Overflow;
pub use reduce::protocol::{AskedEnd, AskedPart, AskedProgress, HostTrouble};
use reduce::protocol::{BelowWindow, NodeAddress, NodeLife, ShardSeen};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of these messages.
pub const PROTOCOL_VERSION: u16 = 1;
/// The role by which Brains are known to their peers.
pub const ROLE: &str = "brain";
/// Most events of one answer, the newest.
pub const EVENTS_MAX: usize = 500;
/// Most mistakes that a state tells one by one: a page full of them, and a message well below a frame.
pub const MISTAKES_MAX: usize = 500;

/// The protocol over `lika`.
#[derive(Debug)]
pub struct BrainProtocol;

impl lika::node::Protocol for BrainProtocol {
    type Request = BrainRequest;
    type Part = AskedPart;
    type Response = BrainAnswer;

    const NAME: &'static str = "brain";
    const VERSIONS: (u16, u16) = (PROTOCOL_VERSION, PROTOCOL_VERSION);
    const SERVER_ROLE: &'static str = ROLE;
    const CLIENT_ROLES: &'static [&'static str] = &["console"];
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BrainRequest {
    /// How everything stands.
    State,
    /// Have something on a host looked at.
    Browse {
        /// The application.
        app: String,
        /// Its host; where that is reached the inventory says.
        host: String,
        /// What is asked.
        question: BrowseQuestion,
    },
    /// What is known of the agents that Maps pull from.
    Agents,
    /// Have something counted in the logs of an application, once: answered by [`AskedPart`]s, and at the end by
    /// [`BrainAnswer::Asked`]. Whoever stops listening has cancelled it.
    Ask(Box<AppQuestion>),
}

/// A question about what the logs of an application say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppQuestion {
    /// The application; its hosts the inventory says.
    pub app: String,
    /// The log, as the definition has it.
    pub log: String,
    /// What is counted.
    pub definition: Definition,
    /// Start of the first window.
    pub from_ns: i64,
    /// Windows start before this.
    pub to_ns: i64,
    /// Bytes of logs that may be read for it.
    pub bytes_max: u64,
    /// Which records themselves are wanted, if any are.
    #[serde(default)]
    pub records: Option<RecordsWanted>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BrainAnswer {
    /// To [`BrainRequest::State`].
    State(Box<BrainState>),
    /// To [`BrainRequest::Browse`].
    Browsed(Box<Result<Browsed, NotBrowsed>>),
    /// To [`BrainRequest::Browse`]: the inventory has no such host now.
    NoSuchHost,
    /// To [`BrainRequest::Agents`]: each agent once, by address, at most [`map::protocol::AGENTS_MAX`].
    Agents(Vec<AgentSeen>),
    /// To [`BrainRequest::Ask`].
    Asked(AskedEnd),
    /// To [`BrainRequest::Ask`]: there is no such application.
    NoSuchApp,
    /// To [`BrainRequest::Ask`]: no Reduce can answer it, and why.
    NotAsked(String),
}

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BrainState {
    /// The epoch of the topology in force.
    pub epoch: u64,
    /// Every monitor that is configured, sorted by name.
    pub monitors: Vec<MonitorState>,
    /// Every application, sorted by name.
    pub apps: Vec<AppState>,
    /// Every tenant that has a document or a monitor, sorted by name.
    #[serde(default)]
    pub tenants: Vec<TenantState>,
    /// What is wrong with the configuration, at most [`MISTAKES_MAX`] and then how many more; the last good one stays
    /// in force.
    pub mistakes: Vec<Mistake>,
    /// Every node known.
    pub nodes: Vec<NodeState>,
    /// What happened, newest last, at most [`EVENTS_MAX`].
    pub events: Vec<Event>,
}

/// A monitor and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorState {
    /// Its name.
    pub name: String,
    /// Its tenant: the one that it names, else its application's.
    pub tenant: Option<String>,
    /// Its application.
    pub app: Option<String>,
    /// The log it reads, none for the `system` table.
    pub log: Option<String>,
    /// Hash of its definition.
    pub version: u64,
    /// The file it stands in, none for what is built in.
    pub file: Option<String>,
    /// Its document as written.
    pub text: String,
    /// Length of its windows.
    pub window_ms: u64,
    /// How long after a window's end the first answer comes.
    pub grace_ms: u64,
    /// Names of its group columns.
    pub group_by: Vec<String>,
    /// Names of its outputs.
    pub outputs: Vec<String>,
    /// Hosts expected now.
    pub hosts_expected: u64,
    /// The Reduce that answers for it.
    pub reduce: Option<NodeAddress>,
    /// Which Maps count how many of its hosts.
    #[serde(default)]
    pub shards: Vec<ShardSeen>,
    /// Start of its newest window that is provisional or settled.
    pub newest_ns: Option<i64>,
    /// Windows below 100 %.
    pub below: u64,
    /// The newest of them.
    pub below_windows: Vec<BelowWindow>,
    /// What keeps it from being answered; empty if nothing does.
    pub troubles: Vec<String>,
    /// Microseconds of processor time a second that all Maps together take for it.
    #[serde(default)]
    pub cpu_us_per_s: u64,
    /// Bytes of log a second that all Maps together go through for it.
    #[serde(default)]
    pub bytes_per_s: u64,
    /// Which columns made more groups in its newest window than are kept.
    #[serde(default)]
    pub overflow: Option<Overflow>,
    /// Microseconds of processor time that it is estimated to take for a megabyte of log; 0 if that is not known.
    #[serde(default)]
    pub estimated_us_per_mb: u64,
    /// Microseconds of processor time a second that it may take on each Map, if it says so.
    #[serde(default)]
    pub cpu_limit_us_per_s: Option<u64>,
    /// What is to be expected of it and keeps nothing from being answered.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// A tenant, and what its monitors cost together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TenantState {
    /// Its name.
    pub name: String,
    /// Monitors that are its.
    pub monitors: u64,
    /// Microseconds of processor time a second that all Maps together take for them.
    pub cpu_us_per_s: u64,
    /// Bytes of log a second that all Maps together go through for them.
    pub bytes_per_s: u64,
    /// Microseconds of processor time a second that they may take on each Map, if that is limited.
    pub cpu_limit_us_per_s: Option<u64>,
    /// Bytes of log a second that each Map may go through for them, if that is limited.
    pub bytes_limit_per_s: Option<u64>,
    /// How many versions of its monitors are suspended for its cost, summed over Maps; their troubles say why.
    pub suspended: u64,
}

/// An application and its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppState {
    /// Its name.
    pub name: String,
    /// Version of its inventory.
    pub inventory_version: u64,
    /// Its hosts now: name, address, labels.
    pub hosts: Vec<(String, String, BTreeMap<String, String>)>,
}

/// A mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// How many mistakes this tells of: more than one where the rest are not told one by one.
    #[serde(default)]
    pub count: u64,
}

/// A node and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its name and address.
    pub node: NodeAddress,
    /// Its role.
    pub role: String,
    /// How it is taken by who guards it.
    #[serde(default)]
    pub life: NodeLife,
    /// Since when.
    #[serde(default)]
    pub since_ns: Option<i64>,
    /// Whether it can be asked, and if not, why.
    pub trouble: Option<String>,
    /// If it is to be given no work: why, and what it still has.
    #[serde(default)]
    pub drained: Option<String>,
    /// Figures it gives of itself, by name, with the unit at the end of the name.
    pub figures: BTreeMap<String, u64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub t_ns: i64,
    /// What kind: `config`, `inventory`, `topology`, `repair`, `node`.
    pub kind: String,
    /// What, for people.
    pub text: String,
}
