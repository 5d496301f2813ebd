//! What a run must have met to prove anything: each is set by evidence that the system felt it, not by the harness
//! having done it.

use std::collections::BTreeMap;

/// Things that a run may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// A host was missing while its agent was killed.
    AgentKilled,
    /// A host was missing while its agent was stopped.
    AgentStopped,
    /// A killed Map was taken for dead by a Reduce.
    MapKilled,
    /// A stopped Map was taken for dead by a Reduce.
    MapStopped,
    /// A killed Reduce was taken for dead, or its monitors moved.
    ReduceKilled,
    /// A stopped Reduce was taken for dead, or its monitors moved.
    ReduceStopped,
    /// The epoch rose with a Brain's restart.
    BrainKilled,
    /// Questions to a stopped Brain went unanswered.
    BrainStopped,
    /// Questions to a killed console went unanswered, and were answered later.
    ConsoleKilled,
    /// Questions to a stopped console went unanswered, and were answered later.
    ConsoleStopped,
    /// A window in which a log was renamed is complete.
    Rotated,
    /// A window in which a log was renamed twice is complete.
    RotatedTwice,
    /// A window near a copy and truncation is complete, or says that bytes are lost.
    CopyTruncated,
    /// A host said that bytes are lost after its log was emptied.
    Truncated,
    /// A host said that bytes are lost after a log was removed while its agent was away.
    RemovedUnread,
    /// An answered window got more records later, by a new revision.
    HeldBack,
    /// A late record was counted as lost.
    Late,
    /// More hosts were expected than before.
    Joined,
    /// Fewer hosts were expected than before.
    Left,
}

/// Marks that were set, and how often.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Marks(BTreeMap<Mark, u64>);

impl Marks {
    /// Sets one.
    pub fn set(&mut self, mark: Mark) {
        *self.0.entry(mark).or_default() += 1;
    }

    /// Whether one is set.
    pub fn has(&self, mark: Mark) -> bool {
        self.0.contains_key(&mark)
    }

    /// All that are set.
    pub fn all(&self) -> &BTreeMap<Mark, u64> {
        &self.0
    }
}
