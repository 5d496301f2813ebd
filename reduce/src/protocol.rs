//! Everything a Brain may say to a Reduce, and everything it can hear back: plain data, versioned, bounded.
//!
//! A Brain installs monitors, each with its Maps and with who is expected when; a Reduce does the rest by itself. All
//! that it needs to begin anew stands in the task, so a Brain reinstalls it elsewhere from the topology alone.

use crate::overflow::Overflow;
use map::protocol::{
    AgentSeen, BrowseQuestion, Browsed, Definition, HostTarget, KeptProfile, MapStatus, NotBrowsed, RecordsWanted,
    Tenant,
};
use map::verdict::HostState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::StoredWindow;

/// Version of these messages.
pub const PROTOCOL_VERSION: u16 = 1;
/// The role by which Reduces are known to their peers.
pub const ROLE: &str = "reduce";
/// The role that installs.
pub const ROLE_BRAIN: &str = "brain";
/// Most windows below 100 % that a status names for a monitor.
pub const BELOW_MAX: usize = 100;

/// The protocol over `lika`.
#[derive(Debug)]
pub struct ReduceProtocol;

impl lika::node::Protocol for ReduceProtocol {
    type Request = ReduceRequest;
    type Part = AskedPart;
    type Response = ReduceAnswer;

    const NAME: &'static str = "reduce";
    const VERSIONS: (u16, u16) = (PROTOCOL_VERSION, PROTOCOL_VERSION);
    const SERVER_ROLE: &'static str = ROLE;
    const CLIENT_ROLES: &'static [&'static str] = &[ROLE_BRAIN];
}

/// A node and where it listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeAddress {
    /// Its name.
    pub node: String,
    /// `host:port`.
    pub address: String,
}

/// A monitor to be answered for from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorTask {
    /// Its name.
    pub monitor: String,
    /// Hash of its definition: windows never mix versions.
    pub version: u64,
    /// Epoch of the topology that says so; a request of a lower epoch than the last is refused (M4).
    pub epoch: u64,
    /// What is counted.
    pub definition: Definition,
    /// The first window that this task answers for.
    pub from_ns: i64,
    /// Windows that start at or behind this are another version's.
    pub until_ns: Option<i64>,
    /// Who is expected, oldest first; the last span that begins at or before a window's start is in force in it (M5).
    pub inventory: Vec<InventorySpan>,
    /// Where its hosts are counted.
    pub place: Place,
    /// How long after its end a window below 100 % is still worth repairing, and its pieces worth keeping.
    pub horizon_ns: i64,
    /// Whose it is; no part of what is counted, so that it changes within a version.
    #[serde(default)]
    pub tenant: Option<Tenant>,
    /// What is known of the logs of its hosts, by host (F8): as much as fits into a message, the newest first. No
    /// reason by itself to install anything again.
    #[serde(default)]
    pub profiles: Vec<(String, Vec<KeptProfile>)>,
}

/// What decides which Map counts which hosts; see [`crate::placement`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The application.
    pub app: String,
    /// The log as it is configured.
    pub path: String,
    /// All Maps, those that live and those that do not: who guards them knows.
    pub maps: Vec<MapNode>,
}

/// A Map, and what is known of where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapNode {
    /// Its name and address.
    pub node: NodeAddress,
    /// Its labels; `zone` is compared with the hosts'.
    pub labels: BTreeMap<String, String>,
    /// Whether it is given no work as long as there are others.
    #[serde(default)]
    pub is_drained: bool,
}

/// How a node is taken by who guards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeLife {
    /// It has not answered yet.
    #[default]
    Unknown,
    /// It answers.
    Live,
    /// It does not, and its work is given to others.
    Dead,
}

/// A Map as a Reduce finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapSeen {
    /// Which.
    pub map: NodeAddress,
    /// How it is taken.
    pub life: NodeLife,
    /// Since when.
    pub since_ns: i64,
    /// Why it is taken for dead.
    pub why: Option<String>,
    /// What it says of itself; the last that was heard.
    pub status: Option<MapStatus>,
}

/// A shard as it is placed now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShardSeen {
    /// Name of the Map.
    pub map: String,
    /// Hosts in it.
    pub hosts: u64,
}

/// Who is expected from a time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventorySpan {
    /// From windows that start here on.
    pub from_ns: i64,
    /// Version of the inventory.
    pub version: u64,
    /// The hosts, sorted by name.
    pub hosts: Vec<HostTarget>,
}

/// A part of a monitor's hosts, and who counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlan {
    /// Its number, stable while the placement is.
    pub shard: u32,
    /// The Map.
    pub map: NodeAddress,
    /// The hosts, by name.
    pub hosts: Vec<String>,
}

/// What a Brain may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReduceRequest {
    /// Answer for this monitor, or go on with changed shards or inventory.
    Install(Box<MonitorTask>),
    /// Stop answering for a version of a monitor; what is published stays.
    Remove {
        /// The monitor.
        monitor: String,
        /// Its version.
        version: u64,
        /// As in [`MonitorTask::epoch`].
        epoch: u64,
    },
    /// Read these windows anew on the hosts that are not ok in them.
    Repair {
        /// The monitor.
        monitor: String,
        /// Its version.
        version: u64,
        /// As in [`MonitorTask::epoch`].
        epoch: u64,
        /// Starts of the windows.
        windows: Vec<i64>,
    },
    /// How the monitors stand, and what was learned.
    Status {
        /// The last [`ProfileNews::ticket`] whose content is kept; 0 if none.
        heard: u64,
    },
    /// Have a Map look at something on a host, for people.
    Browse(Box<HostQuestion>),
    /// What these Maps know of the agents that they pull from.
    Agents {
        /// The Maps.
        maps: Vec<MapNode>,
    },
    /// Count something in logs, once: answered by [`AskedPart`]s, and at the end by [`ReduceAnswer::Asked`]. Whoever
    /// stops listening has cancelled it.
    Ask(Box<LogQuestion>),
}

/// A question about what the logs of an application say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuestion {
    /// What is counted.
    pub definition: Definition,
    /// Start of the first window.
    pub from_ns: i64,
    /// Windows start before this.
    pub to_ns: i64,
    /// Who is expected, as in [`MonitorTask::inventory`].
    pub inventory: Vec<InventorySpan>,
    /// Who may read its hosts.
    pub place: Place,
    /// Bytes of logs that may be read for it; at most [`crate::question::BYTES_MAX`].
    pub bytes_max: u64,
    /// Which records themselves are wanted, if any are.
    #[serde(default)]
    pub records: Option<RecordsWanted>,
}

/// How far a question has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AskedProgress {
    /// Hosts that are asked.
    pub hosts: u64,
    /// Hosts that have answered, or that are known not to.
    pub answered: u64,
    /// Bytes of logs that were read.
    pub bytes: u64,
}

/// A part of a question's answer so far: some of its windows. All parts of one moment have the same progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedPart {
    /// How far it has come.
    pub progress: AskedProgress,
    /// Windows as they would be stored; each replaces what was said of it before.
    pub windows: Vec<StoredWindow>,
    /// Hosts that are not ok in some windows, at most [`crate::question::TROUBLES_MAX`]; with the last part alone.
    pub troubles: Vec<HostTrouble>,
    /// Whether all windows of this moment were said with it.
    pub is_whole: bool,
}

/// Why a host has no part in some windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTrouble {
    /// The host.
    pub host: String,
    /// Its state.
    pub state: HostState,
    /// More for people, of the first of these windows.
    pub detail: Option<String>,
    /// In how many windows.
    pub windows: u64,
}

/// How a question ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskedEnd {
    /// All that will be known is said.
    Done,
    /// As many questions are in hand as may be.
    Busy,
    /// It cannot be answered, and why.
    Invalid(String),
}

/// A question about one host, and which Maps may ask it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostQuestion {
    /// Which Maps there are, and a monitor's application and log: the Map that counts that on this host is asked first,
    /// since it has a connection to the host.
    pub place: Place,
    /// The host.
    pub target: HostTarget,
    /// What is asked.
    pub question: BrowseQuestion,
}

/// What a Reduce answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ReduceAnswer {
    /// It is done, or begun.
    Done,
    /// To [`ReduceRequest::Status`].
    Status(ReduceStatus),
    /// To [`ReduceRequest::Browse`].
    Browsed(Box<Result<Browsed, NotBrowsed>>),
    /// To [`ReduceRequest::Agents`]: each agent once, by address, at most [`map::protocol::AGENTS_MAX`].
    Agents(Vec<AgentSeen>),
    /// To [`ReduceRequest::Ask`].
    Asked(AskedEnd),
    /// The request came from a topology that is no longer in force.
    Stale {
        /// The epoch that is.
        epoch: u64,
    },
    /// There is no such monitor here: install it (again).
    Unknown,
    /// The definition cannot be counted, and why.
    Invalid(String),
}

/// How a Reduce's monitors stand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReduceStatus {
    /// Each monitor that is installed.
    pub monitors: Vec<MonitorStatus>,
    /// Revisions written since the start.
    pub written: u64,
    /// Writes that the store refused: another owner was there first.
    pub refused: u64,
    /// What Maps have learned and no Brain has heard of.
    #[serde(default)]
    pub news: ProfileNews,
    /// The Maps of all monitors, by name.
    #[serde(default)]
    pub maps: Vec<MapSeen>,
}

/// What Maps have learned (F8), told at each question until it is heard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProfileNews {
    /// To be said in the next question, once all of it is kept.
    pub ticket: u64,
    /// The oldest first, as much as fits into a message.
    pub learned: Vec<LearnedProfile>,
}

/// What was learned of one generation of a host's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedProfile {
    /// The monitor that reads it.
    pub monitor: String,
    /// Its version.
    pub version: u64,
    /// The host.
    pub host: String,
    /// What was learned.
    pub profile: KeptProfile,
}

/// How one monitor stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorStatus {
    /// Its name.
    pub monitor: String,
    /// Its version.
    pub version: u64,
    /// The epoch it was installed in.
    pub epoch: u64,
    /// Start of the newest window that is provisional or settled; `None` if there is none yet.
    pub newest_ns: Option<i64>,
    /// Windows in memory.
    pub windows: u64,
    /// Windows, their end and grace past, that are below 100 %.
    pub below: u64,
    /// The newest of them, at most [`BELOW_MAX`].
    pub below_windows: Vec<BelowWindow>,
    /// What keeps it from its Maps or its store, by shard; empty if nothing does.
    pub troubles: Vec<String>,
    /// Which Maps count how many of its hosts.
    #[serde(default)]
    pub shards: Vec<ShardSeen>,
    /// How long after a window's end it is answered first; 0 if its owner has not said.
    #[serde(default)]
    pub grace_ns: i64,
    /// Whether the store keeps it from getting on; else its newest window moves while windows end.
    #[serde(default)]
    pub waits_for_store: bool,
    /// Which columns made more groups in the newest window than are kept.
    #[serde(default)]
    pub overflow: Option<Overflow>,
}

/// A window below 100 %.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BelowWindow {
    /// Its start.
    pub window_ns: i64,
    /// Hosts that are ok.
    pub ok: u64,
    /// Hosts that should be.
    pub expected: u64,
    /// Those that are not, by state.
    pub missing: BTreeMap<HostState, u64>,
    /// Whether nothing more is expected of it (C7).
    #[serde(default)]
    pub is_settled: bool,
}
