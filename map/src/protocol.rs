//! Everything a Reduce may say to a Map, and everything it can hear back: plain data, versioned, bounded.
//!
//! A Reduce installs shards of monitors (a monitor's inputs on some hosts) and collects what was counted. The Map holds
//! what it reported until the Reduce says that the store has it, so a lost answer costs nothing and nothing is counted
//! twice: cells carry versions, and a cell that is heard again replaces itself.
//!
//! Times are nanoseconds since the Unix epoch in UTC; window starts are multiples of the window's length.

use crate::kept::Keep;
use crate::verdict::VerdictRun;
use crate::wire::WirePartial;
mod browse;

pub use browse::{
    AGENTS_MAX, AgentSaid, AgentSeen, BrowseQuestion, BrowseRequest, Browsed, DETECT_HEAD_BYTES, DETECT_TAIL_BYTES,
    Detected, FileKind, FileSeen, FolderEntry, LISTED_MAX, LimitMet, NotBrowsed, Packed, PathProblem, Reach, Refusal,
    RootStatus, StatusAnswer, StatusLimits, TAIL_BYTES_MAX, Tail, TailLine, user_of,
};

pub use agent::profile::{PatternOrigin, StampEntry, StampPlace, StampProfile, StampZone};
use agent::protocol::{Fingerprint, Identity, TailHash};
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
/// Most monitors that a status names: a screen full of them.
pub const MONITORS_SEEN_MAX: usize = 64;
/// Most tenants that a status names: as many as a large company has.
pub const TENANTS_SEEN_MAX: usize = 256;
/// Profiles that are kept of one input, the newest: more generations than a log's folder usually holds.
pub const PROFILES_MAX: usize = 64;
/// About the most bytes of a profile that is kept; real ones have some hundred. One that is larger is learned anew.
pub const PROFILE_BYTES_MAX: usize = 64 << 10;
/// About the most bytes of profiles in one message, well below a frame; those of newer generations come first.
pub const PROFILES_BYTES_MAX: usize = 2 << 20;
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
    /// Windows that start before this were proved by another reader, which saw what is gone meanwhile; they are asked
    /// again for what may still come.
    pub proved_ns: i64,
    /// What is known of its generations, at most [`PROFILES_MAX`] (F8).
    #[serde(default)]
    pub profiles: Vec<KeptProfile>,
}

/// What was learned of one generation of an input (F8), as it is kept by a Brain and given back.
///
/// How fields are cut is not in it: that is found again in the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptProfile {
    /// Which generation, as in [`Cell::generation`].
    pub generation: u64,
    /// As in [`CellVersion::profile`]: a greater one was taught by more of the file.
    pub version: u32,
    /// Bytes that it was learned from.
    pub sample_bytes: u64,
    /// Formats that were learned later in the file.
    pub appended: u32,
    /// Where stamps stand, in which formats, zone and years.
    pub stamps: StampProfile,
    /// How far lines usually step back, `L`.
    pub lateness_ns: i64,
    /// What stands before the last mark of stamps without a date: the marks hold for a file that still has it.
    #[serde(default)]
    pub tail: Option<TailHash>,
    /// What is known of its life. Without it, nobody misses the generation.
    #[serde(default)]
    pub life: Option<KeptLife>,
}

/// What a reader that begins must know of a generation that others read, so that it sees that bytes of it are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLife {
    /// The file that it stood in last.
    pub file: Identity,
    /// Stamp of its first stamped line; the least there is if it has no date.
    pub first_ns: i64,
    /// No record of it is of this time or later, or that was said to be lost; `None` while more may come.
    pub until_ns: Option<i64>,
    /// What it begins with, by which it is known in another file; none of a file that is shorter than it covers.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

impl KeptProfile {
    /// Its size, about.
    pub fn bytes(&self) -> usize {
        let entries = self.stamps.entries.iter().map(|entry| {
            let text = match &entry.place {
                StampPlace::After(text) => text.len(),
                StampPlace::Column(_) | StampPlace::Scan(_) => 0,
            };
            size_of_val(entry) + entry.pattern.len() + text + size_of_val(&*entry.year_marks)
        });
        let zone = match &self.stamps.zone {
            StampZone::Named(name) => name.len(),
            StampZone::Host => 0,
        };
        size_of_val(self) + zone + entries.sum::<usize>()
    }

    /// Takes this into an input's profiles, the newest last, in the place of an older one of its generation; whether
    /// that changed something. One that is too large is not kept; where there are too many, one of a generation that
    /// is over goes first.
    pub fn join(self, kept: &mut Vec<KeptProfile>) -> bool {
        let place = kept.iter().position(|one| one.generation == self.generation);
        let is_old = place.is_some_and(|place| kept[place].version > self.version || kept[place] == self);
        if is_old || self.bytes() > PROFILE_BYTES_MAX {
            return false;
        }
        match place {
            // That its life ended makes it no newer.
            Some(place) if kept[place].version == self.version => kept[place] = self,
            Some(place) => {
                kept.remove(place);
                kept.push(self);
            }
            None => kept.push(self),
        }
        if kept.len() > PROFILES_MAX {
            let is_over = |one: &Self| one.life.is_some_and(|life| life.until_ns.is_some());
            kept.remove(kept.iter().position(is_over).unwrap_or(0));
        }
        true
    }
}

/// Of the profiles of several hosts those that fit into a message: the newest of each host first.
pub fn fitting<'p, H>(hosts: impl IntoIterator<Item = (H, &'p [KeptProfile])>) -> Vec<(H, Vec<KeptProfile>)> {
    let hosts: Vec<(H, &[KeptProfile])> = hosts.into_iter().filter(|(_, kept)| !kept.is_empty()).collect();
    let mut taken = vec![0; hosts.len()];
    let (mut room, mut depth) = (PROFILES_BYTES_MAX, 0);
    while room > 0 && hosts.iter().any(|(_, kept)| kept.len() > depth) {
        for ((_, kept), taken) in hosts.iter().zip(&mut taken) {
            let next = kept.len().checked_sub(depth + 1).map(|place| kept[place].bytes());
            match next {
                Some(bytes) if bytes <= room => (room, *taken) = (room - bytes, depth + 1),
                Some(_) => room = 0,
                None => {}
            }
        }
        depth += 1;
    }
    let parts = hosts.into_iter().zip(taken).filter(|(_, taken)| *taken > 0);
    parts
        .map(|((host, kept), taken)| (host, kept[kept.len() - taken..].to_vec()))
        .collect()
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
    /// Whose it is. The last one that any of its shards was installed with is in force.
    #[serde(default)]
    pub tenant: Option<Tenant>,
}

/// Whose a monitor is, and what all monitors of that tenant may cost together on each Map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Microseconds of processor time a second, if limited.
    pub cpu_us_per_s: Option<u64>,
    /// Bytes of log a second, if limited.
    pub bytes_per_s: Option<u64>,
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
    /// Look at something on a host, for people; no shard is needed.
    Browse(BrowseRequest),
    /// What is known of the agents that are pulled from, at most [`AGENTS_MAX`], by address.
    Agents,
    /// Read some windows of one host for a question; no shard is needed.
    Ask(Box<AskRequest>),
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
    /// Which log of which agent was read: two hosts of one origin are one host, listed twice. 0 if that is not known.
    #[serde(default)]
    pub origin: u64,
    /// `D`: how long after its end a window of this input may still grow.
    pub delay_ns: i64,
    /// Highest version of the profiles that were used.
    pub profile_version: u32,
    /// Cells that changed, or that were not acknowledged.
    pub cells: Vec<Cell>,
    /// What holds for the windows, in order, without overlap; windows in no run are still open. Complete: it replaces
    /// what was said of this host before for the windows from the first run on.
    pub verdicts: Vec<VerdictRun>,
    /// What was learned of its generations since that was acknowledged last, and whoever installed it did not know.
    #[serde(default)]
    pub profiles: Vec<KeptProfile>,
}

impl HostReport {
    /// Nothing is known of a host.
    pub fn silent(host: String) -> Self {
        Self {
            host,
            t_ns: 0,
            origin: 0,
            delay_ns: 0,
            profile_version: 0,
            cells: Vec::new(),
            verdicts: Vec::new(),
            profiles: Vec::new(),
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
        let mut profiles = self.profiles;
        for profile in newer.profiles {
            profile.join(&mut profiles);
        }
        Self {
            cells: cells.into_values().collect(),
            profiles,
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
    /// What is known of their generations, by host, as in [`InputTarget::profiles`].
    #[serde(default)]
    pub profiles: Vec<(String, Vec<KeptProfile>)>,
    /// Start of the first window.
    pub from_ns: i64,
    /// Windows start before this.
    pub to_ns: i64,
}

/// Asks for [`MapAnswer::Asked`]: what a host's log says, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskRequest {
    /// What is counted.
    pub definition: Definition,
    /// On which host.
    pub target: HostTarget,
    /// Start of the first window.
    pub from_ns: i64,
    /// Windows start before this.
    pub to_ns: i64,
    /// Bytes of the log that may be received; it is looked at between two pulls, so one pull more may come.
    pub bytes_max: u64,
    /// Which records themselves are wanted, if any are.
    #[serde(default)]
    pub records: Option<RecordsWanted>,
}

/// Which of the records that a definition counts are wanted as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsWanted {
    /// How many, and from which end.
    pub keep: Keep,
    /// Only those stamped from here on,
    pub from_ns: i64,
    /// and before this.
    pub to_ns: i64,
    /// Length of the windows that are judged, in the place of the definition's.
    pub window_ms: u64,
    /// Only those for which this condition holds, in MQL; names of the definition's group columns mean those.
    pub condition: Option<String>,
}

/// What a host's log says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostAsked {
    /// What was counted, and which windows are proved. Those that the budget left unread are `over_budget`.
    pub report: HostReport,
    /// Bytes of the log that were received.
    pub bytes: u64,
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
    /// To [`MapRequest::Browse`].
    Browsed(Box<Result<Browsed, NotBrowsed>>),
    /// To [`MapRequest::Agents`].
    Agents(Vec<AgentSeen>),
    /// To [`MapRequest::Ask`].
    Asked(Box<HostAsked>),
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
    /// Bytes of windows that are being counted, about.
    #[serde(default)]
    pub counting_bytes: u64,
    /// Pulls that wait until others have ended.
    #[serde(default)]
    pub pulls_waiting: u64,
    /// Inputs whose pulls wait until the store has taken more.
    #[serde(default)]
    pub inputs_paused: u64,
    /// Microseconds that all pulls since the start took together.
    #[serde(default)]
    pub pull_us_sum: u64,
    /// Microseconds that the longest took.
    #[serde(default)]
    pub pull_us_max: u64,
    /// What monitors cost here, at most [`MONITORS_SEEN_MAX`]: those that are suspended, then the dearest.
    #[serde(default)]
    pub monitors: Vec<MonitorSeen>,
    /// What tenants cost here, at most [`TENANTS_SEEN_MAX`]: those of which monitors are suspended, then the dearest.
    #[serde(default)]
    pub tenants: Vec<TenantSeen>,
}

/// What the monitors of a tenant cost on a Map together, by the last ten seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSeen {
    /// The tenant.
    pub tenant: String,
    /// Microseconds of processor time a second.
    pub cpu_us_per_s: u64,
    /// Bytes of log a second; what several monitors go through together counts for each of them.
    pub bytes_per_s: u64,
    /// Versions of monitors that are suspended for the tenant's cost.
    pub suspended: u64,
}

/// What a version of a monitor costs on a Map, by its last window (of one that is longer, its last minute).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorSeen {
    /// The monitor.
    pub monitor: String,
    /// Its version.
    pub version: u64,
    /// Microseconds of processor time a second, its part of what it shares with others included.
    pub cpu_us_per_s: u64,
    /// Bytes of log a second that were gone through for it.
    pub bytes_per_s: u64,
    /// Why it is not counted at the moment, if so.
    pub suspended: Option<String>,
}
