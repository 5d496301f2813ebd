//! One log of one host, read for all monitors on it.
//!
//! Everything between an agent's answers and what a Reduce is told: which files make up the log, where reading begins,
//! how lines are stamped, what the records count, and which windows are proved. No network and no clock: an agent is
//! asked through a [`Port`], and its answers carry its clock.
//!
//! - `learn` of a generation how it is read, `reading` splits its bytes once for all monitors, an `account` is
//!   what one monitor counted of it;
//! - `generation` tells who was renamed, copied, truncated, removed (F5 to F7); an `archive` is a compressed one, which
//!   `unpack` pulls and an `inflating` turns into the bytes that were written; `archives` looks at all of them;
//! - `days` dates stamps that say a time of day alone;
//! - `known` asks which generation a file is, `missed` which are gone, by what readers before this one have told;
//! - `pull` holds the conversation with the agent; `proof` says when a host is ok for a window (P1 to P4); `stream`
//!   ties them together;
//! - `suspension` leaves stretches out that a monitor may not have counted; `usage` says what its counting cost;
//! - `arrival` reads a log without timestamps; `listing` takes snapshots and `received` verifies bytes for both;
//!   `refused` says whose fields can't be cut.

mod account;
mod archive;
mod archives;
mod arrival;
mod days;
mod generation;
mod inflating;
mod known;
mod learn;
mod listing;
mod losses;
mod missed;
mod proof;
mod pull;
mod reading;
mod received;
mod refused;
mod stream;
mod suspension;
mod together;
mod unpack;
mod usage;

use crate::kept::{drop_beyond, horizon};
use crate::plan::Plan;
use crate::protocol::{CellVersion, HostReport, KeptProfile, TaskId};
use crate::verdict::{HostState, Stage, VerdictRun};
use agent::protocol::{Answer, RangeEnd, RangeRequest, RequestBody};
use arrival::Arrival;
use configs::monitor::{ARRIVAL, Monitor};
pub(crate) use learn::zone_of_host;
use logline::boundary::Boundary;
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use stream::{Stream, Subscribed};
pub use suspension::Suspension;
use tokio::sync::OwnedSemaphorePermit;
pub use usage::{CpuClock, Usage};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that one pull may bring if nobody says less; what is left comes with the next one, so that no input starves
/// others.
pub(crate) const PULL_BYTES_MAX: u64 = 32 << 20;

/// How an agent is asked: over `lika` in a node, directly in tests.
pub trait Port {
    /// Asks one question (all but ranges).
    fn ask(&mut self, body: RequestBody) -> impl Future<Output = Result<Answer, PortError>>;

    /// Fetches a range: its bytes are appended to `into` as they come; they are the file's only if the trailer says so.
    fn fetch(&mut self, request: RangeRequest, into: &mut Vec<u8>)
    -> impl Future<Output = Result<RangeEnd, PortError>>;

    /// Asks for leave to inflate a generation; `None` if so many are inflated already that this one must wait for a
    /// later pull.
    fn inflation(&mut self) -> impl Future<Output = Option<Turn>> {
        std::future::ready(Some(Turn::default()))
    }

    /// Bytes that the pull at hand may bring; what is left comes with the next one.
    fn pull_bytes_max(&self) -> u64 {
        PULL_BYTES_MAX
    }

    /// By what processor time is measured; not at all, by default.
    fn cpu_clock(&self) -> CpuClock {
        || 0
    }
}

/// Leave to inflate one generation, given back when it is dropped.
#[derive(Debug, Default)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl From<OwnedSemaphorePermit> for Turn {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(permit) }
    }
}

/// Why an agent gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PortError {
    /// [`HostState::Unreachable`] or [`HostState::Timeout`].
    pub state: HostState,
    /// More for people.
    pub detail: String,
}

/// What makes two monitors share an input: the same log of the same agent, read with the same idea of its stamps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputKey {
    /// Where the agent listens.
    pub address: String,
    /// The host that the agent must prove to be, where agents have certificates. Two hosts at one address are then two
    /// inputs, of which one at most can be read.
    pub host: Option<String>,
    /// Path pattern of the log.
    pub pattern: String,
    /// A timestamp format that overrides detection.
    pub timestamp: Option<String>,
    /// Zone of stamps without one, if a monitor says so.
    pub timezone: Option<String>,
    /// The log's encoding, if a monitor says so.
    pub encoding: Option<String>,
    /// Which lines may begin a record, if a monitor says so: its bytes are then split into other records.
    pub records: Option<Boundary>,
}

impl InputKey {
    /// Whether records are stamped by when they were seen to arrive.
    pub(crate) fn is_by_arrival(&self) -> bool {
        self.timestamp.as_deref() == Some(ARRIVAL)
    }
}

/// A monitor's interest in an input.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Which shard.
    pub id: TaskId,
    /// Epoch of the task.
    pub epoch: u64,
    /// The host's name in the monitor's application.
    pub host: String,
    /// Labels of the host: those of the inventory, and `host`, `ip`, `app`.
    pub labels: BTreeMap<String, String>,
    /// The monitor.
    pub monitor: Arc<Monitor>,
    /// The monitor compiled.
    pub plan: Arc<Plan>,
    /// The first window that is asked for.
    pub from_ns: i64,
    /// As in [`crate::protocol::InputTarget::proved_ns`].
    pub proved_ns: i64,
    /// Windows that start at or behind this are not asked for.
    pub until_ns: Option<i64>,
    /// What is known of the input's generations already (F8).
    pub profiles: Arc<[KeptProfile]>,
    /// Stretches of time that are not counted for it, in order.
    pub suspended: Arc<[Suspension]>,
}

/// What a pull brought.
#[derive(Debug, Default)]
pub struct Pulled {
    /// What is new, by shard; shards with nothing new are not in it.
    pub reports: Vec<(TaskId, HostReport)>,
    /// Bytes of logs received.
    pub bytes: u64,
    /// Records counted, each once for each monitor.
    pub records: u64,
    /// What it cost, by shard.
    pub usage: BTreeMap<TaskId, Usage>,
    /// There was more than one pull may bring: pull again at once.
    pub more: bool,
    /// Bytes are known that were not read yet: of a large backlog, of an agent that went away, or of a file that may
    /// turn out to be a copy. What was proved before they came stays as it is until they are.
    pub unread: bool,
    /// Why nothing could be proved, if so.
    pub trouble: Option<(HostState, String)>,
}

/// One log of one host.
///
/// Monitors that were subscribed before the first pull share one stream of bytes; one that comes later reads what it
/// missed in a stream of its own, and joins the first as soon as both have read the same.
pub struct Input {
    key: InputKey,
    streams: Vec<Stream>,
    /// In the streams' place, if records are stamped by their arrival.
    arrival: Option<Box<Arrival>>,
}

impl Input {
    /// An input that nobody is interested in yet.
    pub fn new(key: InputKey) -> Self {
        Self {
            arrival: key.is_by_arrival().then(|| Box::new(Arrival::new())),
            key,
            streams: Vec::new(),
        }
    }

    /// Which it is.
    pub fn key(&self) -> &InputKey {
        &self.key
    }

    /// Adds a monitor's interest. One that is there already changes: its epoch and its last window in place, anything
    /// else by beginning anew.
    pub fn subscribe(&mut self, subscription: Subscription) {
        if let Some(arrival) = &mut self.arrival {
            return arrival.subscribe(subscription);
        }
        for stream in &mut self.streams {
            if stream.renew(&subscription) {
                return;
            }
        }
        self.unsubscribe(&subscription.id);
        match self.streams.last_mut().filter(|stream| stream.is_fresh()) {
            Some(stream) => stream.subscribed.push(Subscribed::new(subscription)),
            None => self.streams.push(Stream::new([subscription])),
        }
    }

    /// Ends a monitor's interest.
    pub fn unsubscribe(&mut self, id: &TaskId) {
        if let Some(arrival) = &mut self.arrival {
            arrival.unsubscribe(id);
        }
        self.streams.iter_mut().for_each(|stream| stream.unsubscribe(id));
        self.streams.retain(|stream| !stream.subscribed.is_empty());
    }

    /// Whether nobody is interested.
    pub fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.arrival.as_ref().is_none_or(|arrival| arrival.is_idle())
    }

    /// One pull: a snapshot, the bytes that are new, what they count and what they prove. `now_ns` is the caller's
    /// clock, for windows of a host that can't be asked. It never fails: what went wrong is in the verdicts.
    pub async fn pull<P: Port>(&mut self, port: &mut P, now_ns: i64) -> Pulled {
        let mut pulled = Pulled::default();
        if let Some(arrival) = &mut self.arrival {
            arrival.pull(&self.key, port, now_ns, &mut pulled).await;
        }
        let mut learned = Vec::new();
        for stream in &mut self.streams {
            stream.inherited = std::mem::take(&mut learned);
            stream.pull(&self.key, port, now_ns, &mut pulled).await;
            stream.take_usage(&mut pulled.usage);
            learned = stream.learned();
        }
        self.join_streams();
        pulled
    }

    fn join_streams(&mut self) {
        let mut at = 1;
        while at < self.streams.len() {
            let later = self.streams.remove(at);
            if let Err(later) = self.streams[0].join(later) {
                self.streams.insert(at, *later);
                at += 1;
            }
        }
    }

    /// The store has these cells, by window, generation and version: what can't change any more is forgotten.
    pub fn acked(&mut self, id: &TaskId, cells: &[(i64, u64, CellVersion)]) {
        self.streams.iter_mut().for_each(|stream| stream.acked(id, cells));
        if let Some(arrival) = &mut self.arrival {
            arrival.acked(id, cells);
        }
    }

    /// Bytes held in windows, about, of each monitor.
    pub fn held(&self) -> BTreeMap<TaskId, usize> {
        let mut held = BTreeMap::new();
        if let Some(arrival) = &self.arrival {
            arrival.add_held(&mut held);
        }
        self.streams.iter().for_each(|stream| stream.add_held(&mut held));
        held
    }

    /// Streams of bytes that are read at the moment: one, if all monitors share it.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }
}

/// Which log of which agent: 0 if the agent has no number.
pub(crate) fn origin(instance: u64, pattern: &str) -> u64 {
    if instance == 0 {
        return 0;
    }
    let mut hash = Xxh3::new();
    hash.update(&instance.to_le_bytes());
    hash.update(pattern.as_bytes());
    hash.digest()
}

/// Pulls of one re-read: 32 MiB each, so that it ends even where a log grows as fast as it is read.
const REREAD_PULLS_MAX: usize = 4096;

/// What was read apart from any stream.
#[derive(Debug)]
pub struct Reread {
    /// What was counted, and which windows are proved.
    pub report: HostReport,
    /// Bytes of logs received.
    pub bytes: u64,
}

/// What windows are read anew for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// They are a monitor's, which was there when the log was written.
    Repair,
    /// Somebody asks about the past: what the log held then may have been removed long before. Windows that begin
    /// before the first line that is there are `no_file`.
    Question,
}

/// How windows are read anew.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// What for.
    pub purpose: Purpose,
    /// Once so many bytes were received, it is not pulled again: windows that are not proved by then are
    /// `over_budget`.
    pub bytes_max: u64,
}

/// Reads the windows of a subscription apart from any stream, from where they begin to where they are proved, and says
/// what was found. The same code as streaming, in a stream of its own: so both give the same. `spent` is told after
/// each pull what that cost.
pub async fn reread<P: Port>(
    key: &InputKey,
    subscription: Subscription,
    port: &mut P,
    (now_ns, Terms { purpose, bytes_max }): (i64, Terms),
    mut spent: impl FnMut(Usage),
) -> Reread {
    let host = subscription.host.clone();
    let windows = subscription.from_ns..subscription.until_ns.unwrap_or(i64::MAX);
    let mut reread = Reread {
        report: HostReport::silent(host),
        bytes: 0,
    };
    if key.is_by_arrival() {
        // When bytes came is known only to who saw them come: there is nothing to read again, and nothing new to say.
        return reread;
    }
    let keeps_records = subscription.plan.kept.is_some();
    let mut stream = Stream::isolated(subscription, purpose);
    for _ in 0..REREAD_PULLS_MAX {
        let mut pulled = Pulled::default();
        stream.pull(key, port, now_ns, &mut pulled).await;
        reread.bytes = reread.bytes.saturating_add(pulled.bytes);
        let mut usage = BTreeMap::new();
        stream.take_usage(&mut usage);
        usage.into_values().for_each(&mut spent);
        for (_, newer) in pulled.reports {
            reread.report = reread.report.updated(newer);
        }
        if keeps_records {
            kept_of_all(&mut reread.report, &stream.files());
        }
        if !pulled.more {
            return reread;
        }
        if reread.bytes >= bytes_max {
            break;
        }
    }
    let detail = format!("there is more to read than {} bytes of its log", reread.bytes);
    reread.report.verdicts = filled(std::mem::take(&mut reread.report.verdicts), windows, &detail);
    reread
}

/// Gives the records that were kept the names of their files, and of all windows together keeps no more than of each:
/// counted on are those that the host is ok for.
fn kept_of_all(report: &mut HostReport, files: &BTreeMap<u64, String>) {
    let cells = report.cells.iter_mut();
    for kept in cells.flat_map(|cell| cell.partial.kept_mut()) {
        kept.name_files(|generation| files.get(&generation).map(String::as_str));
    }
    let is_ok = |window_ns: i64| {
        let mut runs = report.verdicts.iter();
        runs.any(|run| run.state.is_ok() && run.from_ns <= window_ns && window_ns < run.to_ns)
    };
    let counted = report.cells.iter().filter(|cell| is_ok(cell.window_ns));
    if let Some(horizon) = horizon(counted.flat_map(|cell| cell.partial.kept())) {
        drop_beyond(
            report.cells.iter_mut().flat_map(|cell| cell.partial.kept_mut()),
            horizon,
        );
    }
}

/// Runs that say of all windows between them that they were not read, for want of budget.
fn filled(runs: Vec<VerdictRun>, windows: Range<i64>, detail: &str) -> Vec<VerdictRun> {
    let unread = |from_ns: i64, to_ns: i64| VerdictRun {
        from_ns,
        to_ns,
        state: HostState::OverBudget,
        stage: Stage::Provisional,
        detail: Some(detail.to_owned()),
    };
    let mut whole = Vec::with_capacity(runs.len() + 1);
    let mut next_ns = windows.start;
    for run in runs {
        if next_ns < run.from_ns {
            whole.push(unread(next_ns, run.from_ns));
        }
        next_ns = next_ns.max(run.to_ns);
        whole.push(run);
    }
    if next_ns < windows.end {
        whole.push(unread(next_ns, windows.end));
    }
    whole
}
