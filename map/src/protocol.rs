//! Everything a Reduce may say to a Map, and everything it can hear back: plain data, versioned, bounded.
//!
//! A Reduce installs shards of monitors (a monitor's inputs on some hosts) and collects what was counted. The Map holds
//! what it reported until the Reduce says that the store has it, so a lost answer costs nothing and nothing is counted
//! twice: cells carry versions, and a cell that is heard again replaces itself.
//!
//! Times are nanoseconds since the Unix epoch in UTC; window starts are multiples of the window's length.

use crate::verdict::VerdictRun;
use crate::wire::WirePartial;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of these messages.
pub const PROTOCOL_VERSION: u16 = 1;
/// The role by which Maps are known to their peers.
pub const ROLE: &str = "map";
/// The role that installs and collects.
pub const ROLE_REDUCE: &str = "reduce";
/// Most inputs of one shard: as many hosts as the largest application has, in one slot's share of it.
pub const INPUTS_MAX: usize = 20_000;
/// Longest text of a monitor, in bytes.
pub const DEFINITION_BYTES_MAX: usize = 256 << 10;

/// The protocol over `lika`.
#[derive(Debug)]
pub struct MapProtocol;

impl lika::node::Protocol for MapProtocol {
    type Request = MapRequest;
    type Part = ();
    type Response = MapAnswer;

    const NAME: &'static str = "map";
    const VERSIONS: (u16, u16) = (PROTOCOL_VERSION, PROTOCOL_VERSION);
    const SERVER_ROLE: &'static str = ROLE;
    const CLIENT_ROLES: &'static [&'static str] = &[ROLE_REDUCE];
}

/// Which shard of which version of which monitor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The monitor's name.
    pub monitor: String,
    /// Hash of its definition; windows never mix versions.
    pub version: u64,
    /// Number of the shard.
    pub shard: u32,
}

/// What is to be counted, in a form that can be sent and stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Definition {
    /// A YAML document `kind: monitor` as the ConfigDB has it.
    Yaml(String),
    /// The built-in table of the hosts' own figures; see [`crate::system`].
    System,
}

/// A host of an application, as the inventory has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostTarget {
    /// Its name, unique in its application.
    pub host: String,
    /// Where its agent listens, `host:port`.
    pub address: String,
    /// Its labels; `zone` may be among them.
    pub labels: BTreeMap<String, String>,
}

/// One input of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputTarget {
    /// The host.
    pub target: HostTarget,
    /// The first window that is asked of it.
    pub from_ns: i64,
}

/// A shard to be counted from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardTask {
    /// Which.
    pub id: TaskId,
    /// Epoch of the topology that says so; a request of a lower epoch than the last is refused (M4).
    pub epoch: u64,
    /// What is counted.
    pub definition: Definition,
    /// On which hosts, at most [`INPUTS_MAX`].
    pub inputs: Vec<InputTarget>,
    /// Windows that start at or behind this are another version's.
    pub until_ns: Option<i64>,
}

/// What a Reduce may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapRequest {
    /// Count this from now on, or go on with changed inputs: hosts that stay keep their state.
    Install(Box<ShardTask>),
    /// Forget a shard.
    Remove {
        /// Which.
        id: TaskId,
        /// As in [`ShardTask::epoch`].
        epoch: u64,
    },
    /// Wait until there is something new of a shard, and hear it.
    Collect(CollectRequest),
    /// Read some windows of some hosts anew, apart from the stream; answered at once with what was read (a repair, or
    /// a backfill).
    Reread(RereadRequest),
    /// What the node does at the moment.
    Status,
}

/// Asks for [`Collected`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectRequest {
    /// Which shard.
    pub id: TaskId,
    /// As in [`ShardTask::epoch`].
    pub epoch: u64,
    /// The last ticket whose content the store has; 0 if none. All else is handed out again, also what earlier answers
    /// held and this one did not: they may have been lost.
    pub acked: u64,
    /// How long to wait for something new.
    pub wait_ms: u32,
    /// About how many bytes of cells the answer may hold; the rest comes with the next one.
    pub bytes_max: u32,
}

/// What is new of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// To be acknowledged; rises with every answer that holds something.
    pub ticket: u64,
    /// What is new, by host; each host once.
    pub reports: Vec<HostReport>,
    /// Whether there is more already.
    pub more: bool,
}

/// What is new of one host's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostReport {
    /// Which host.
    pub host: String,
    /// The agent's clock at the snapshot that this is of; 0 if it was never reached.
    pub t_ns: i64,
    /// `D`: how long after its end a window of this input may still grow.
    pub delay_ns: i64,
    /// Highest version of the profiles that were used.
    pub profile_version: u32,
    /// Cells that changed, or that were not acknowledged.
    pub cells: Vec<Cell>,
    /// What holds for the windows, in order, without overlap; windows in no run are still open. Complete: it replaces
    /// what was said of this host before for the windows from the first run on.
    pub verdicts: Vec<VerdictRun>,
}

impl HostReport {
    /// Nothing is known of a host.
    pub fn silent(host: String) -> Self {
        Self {
            host,
            t_ns: 0,
            delay_ns: 0,
            profile_version: 0,
            cells: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// This report with what a newer one of the same host says: cells by their version, verdicts replaced.
    pub fn updated(self, newer: Self) -> Self {
        let mut cells: BTreeMap<(i64, u64), Cell> = BTreeMap::new();
        for cell in self.cells.into_iter().chain(newer.cells) {
            let place = (cell.window_ns, cell.generation);
            if cells.get(&place).is_none_or(|kept| kept.version < cell.version) {
                cells.insert(place, cell);
            }
        }
        Self {
            cells: cells.into_values().collect(),
            profile_version: self.profile_version.max(newer.profile_version),
            ..newer
        }
    }
}

/// What was counted of one generation of an input, for one window: all that was read of it so far.
///
/// Cells of one window, host and generation replace each other by [`CellVersion`]; cells of different generations hold
/// different bytes, and add up (M1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Start of the window.
    pub window_ns: i64,
    /// Which generation: a hash of the first stamped line and its place, so that a copy has its original's key.
    pub generation: u64,
    /// What it covers.
    pub version: CellVersion,
    /// The counts; empty if a later read found that nothing belongs here.
    pub partial: WirePartial,
    /// Whether a repeated hour may have put records into the wrong pass (F9).
    pub ambiguous: bool,
}

/// How much of a generation a cell has seen. The greater replaces the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellVersion {
    /// Version of the generation's profile.
    pub profile: u32,
    /// Bytes `[start of the window's records, read_to)` were read; where reading began is proved (P3).
    pub read_to: u64,
    /// Epoch of the reader.
    pub epoch: u64,
    /// Counts up within an epoch.
    pub attempt: u64,
}

/// Asks for [`MapAnswer::Reread`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RereadRequest {
    /// Of which monitor.
    pub id: TaskId,
    /// As in [`ShardTask::epoch`].
    pub epoch: u64,
    /// What is counted.
    pub definition: Definition,
    /// On which hosts.
    pub hosts: Vec<HostTarget>,
    /// Start of the first window.
    pub from_ns: i64,
    /// Windows start before this.
    pub to_ns: i64,
}

/// What a Map answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MapAnswer {
    /// It is done.
    Done,
    /// To [`MapRequest::Collect`].
    Collected(Collected),
    /// To [`MapRequest::Reread`]: one report a host.
    Reread(Vec<HostReport>),
    /// To [`MapRequest::Status`].
    Status(MapStatus),
    /// The request came from a topology that is no longer in force.
    Stale {
        /// The epoch that is.
        epoch: u64,
    },
    /// There is no such shard here: install it (again).
    Unknown,
    /// The definition cannot be counted, and why.
    Invalid(String),
}

/// What a Map does at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MapStatus {
    /// Shards installed.
    pub tasks: u64,
    /// Inputs pulled: several monitors on one log share one.
    pub inputs: u64,
    /// Inputs that would be pulled if monitors did not share.
    pub inputs_unshared: u64,
    /// Pulls since the start.
    pub pulls: u64,
    /// Pulls that failed.
    pub pulls_failed: u64,
    /// Bytes of logs received since the start.
    pub bytes: u64,
    /// Records counted since the start, each once for each monitor.
    pub records: u64,
    /// Bytes of windows held until the store has them, about.
    pub held_bytes: u64,
    /// Inputs whose pulls wait until the store has taken more.
    #[serde(default)]
    pub inputs_paused: u64,
    /// Microseconds that all pulls since the start took together.
    #[serde(default)]
    pub pull_us_sum: u64,
    /// Microseconds that the longest took.
    #[serde(default)]
    pub pull_us_max: u64,
}
