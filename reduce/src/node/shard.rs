//! A shard as its owner sees it: what was asked of its Map, what was heard, and what may be acknowledged.
//!
//! Tickets belong to one memory of a Map. After a break nobody can know whether that memory is still there, so the
//! next question is always for more of the old ticket: a Map that was restarted answers that it does not know the
//! shard, and only then is it installed, with tickets beginning anew. The other way round, the acknowledgement of an
//! old ticket could make a new memory forget what nobody has heard.

use super::link::MapLink;
use crate::ledger::Touched;
use crate::protocol::ShardPlan;
use lika::node::ClientState;
use map::protocol::{CollectRequest, TaskId};
use std::time::Duration;

/// How long a Map may wait for something new before it answers that there is nothing.
const COLLECT_WAIT: Duration = Duration::from_secs(2);
/// How long an answer may take beyond that.
pub(super) const CALL_PATIENCE: Duration = Duration::from_secs(5);
/// How long a whole collect may take.
pub(super) const COLLECT_PATIENCE: Duration = Duration::from_secs(7);
/// About how many bytes of cells one answer holds: well below a frame, and a batch of windows merges in some ms.
const COLLECT_BYTES: u32 = 2 << 20;

/// A shard on its Map.
pub(super) struct Shard {
    pub(super) plan: ShardPlan,
    pub(super) link: MapLink,
    /// Counts up whenever what is asked changes: answers to earlier questions are left aside.
    pub(super) serial: u64,
    /// The number of its last installation.
    pub(super) memory: u64,
    /// The last ticket whose content the store has.
    acked: u64,
    /// The last ticket that was heard.
    heard: u64,
    /// Windows that must be written before that is acknowledged.
    unsaved: Touched,
    /// The pause before the next question, which waits for the store.
    waits: Option<Duration>,
    /// Since when it is asked.
    pub(super) since_ns: i64,
    /// When something was last heard of its hosts, or it was asked again after the store had kept it waiting.
    pub(super) word_ns: i64,
    /// Failures in a row.
    pub(super) failures: u32,
    /// What keeps it from being collected.
    pub(super) trouble: Option<String>,
}

impl Shard {
    pub(super) fn new(plan: ShardPlan, link: MapLink, serial: u64) -> Self {
        Self {
            plan,
            link,
            serial,
            memory: 0,
            acked: 0,
            heard: 0,
            unsaved: Touched::new(),
            waits: None,
            since_ns: i64::MIN,
            word_ns: i64::MIN,
            failures: 0,
            trouble: None,
        }
    }

    /// The Map remembers nothing, or may not: tickets begin anew.
    pub(super) fn begin_anew(&mut self, memory: u64) {
        self.memory = memory;
        (self.acked, self.heard, self.waits) = (0, 0, None);
        self.unsaved.clear();
    }

    /// Whether it is asked, and nothing was heard of its hosts for so long.
    pub(super) fn is_wordless(&self, now_ns: i64, patience_ns: i64) -> bool {
        let is_asked = self.waits.is_none();
        let since_ns = self.since_ns.max(self.word_ns);
        is_asked && since_ns != i64::MIN && now_ns.saturating_sub(since_ns) > patience_ns && !self.plan.hosts.is_empty()
    }

    pub(super) fn collect(&self, id: TaskId, epoch: u64) -> CollectRequest {
        CollectRequest {
            id,
            epoch,
            acked: self.acked,
            wait_ms: u32::try_from(COLLECT_WAIT.as_millis()).unwrap_or(u32::MAX),
            bytes_max: COLLECT_BYTES,
        }
    }

    /// A ticket was heard whose content is in these windows.
    pub(super) fn heard(&mut self, ticket: u64, touched: Touched, pause: Duration) {
        self.heard = ticket;
        self.unsaved = touched;
        self.waits = Some(pause);
    }

    /// What was written meanwhile; the pause before the next question, if that may be asked now.
    pub(super) fn saved(&mut self, is_dirty: impl Fn(i64) -> bool, now_ns: i64) -> Option<Duration> {
        let was_unsaved = !self.unsaved.is_empty();
        self.unsaved.retain(|start_ns| is_dirty(*start_ns));
        if !self.unsaved.is_empty() {
            return None;
        }
        let pause = self.waits.take()?;
        if was_unsaved {
            // While it waited for the store it could not speak.
            self.word_ns = self.word_ns.max(now_ns);
        }
        // An answer without anything new may name no ticket.
        self.acked = self.acked.max(self.heard);
        Some(pause)
    }

    /// Why the Map cannot be asked at the moment, if so.
    pub(super) fn unreachable(&self) -> Option<String> {
        match self.link.client.state() {
            ClientState::Disconnected { why, .. } => {
                Some(format!("its map {} cannot be asked: {why}", self.plan.map.node))
            }
            ClientState::Connecting | ClientState::Connected(_) | ClientState::Closed => None,
        }
    }
}
