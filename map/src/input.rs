//! One log of one host, read for all monitors on it.

use crate::plan::Plan;
use crate::protocol::{HostReport, TaskId};
use crate::verdict::HostState;
use agent::protocol::{Answer, RangeEnd, RangeRequest, RequestBody};
use configs::monitor::Monitor;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

/// How an agent is asked: over `lika` in a node, directly in tests.
pub trait Port {
    /// Asks one question (all but ranges).
    fn ask(&mut self, body: RequestBody) -> impl Future<Output = Result<Answer, PortError>>;

    /// Fetches a range: its bytes are appended to `into` as they come; they are the file's only if the trailer says so.
    fn fetch(&mut self, request: RangeRequest, into: &mut Vec<u8>)
    -> impl Future<Output = Result<RangeEnd, PortError>>;
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
    /// Path pattern of the log.
    pub pattern: String,
    /// A timestamp format that overrides detection.
    pub timestamp: Option<String>,
    /// Zone of stamps without one, if a monitor says so.
    pub timezone: Option<String>,
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
    /// Windows that start at or behind this are not asked for.
    pub until_ns: Option<i64>,
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
    /// There was more than one pull may bring: pull again at once.
    pub more: bool,
    /// Why nothing could be proved, if so.
    pub trouble: Option<(HostState, String)>,
}

mod stub;
pub use stub::{Input, reread};
