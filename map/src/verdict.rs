//! What a host proved of a window, or why it could not (P1 to P4): the closed set of states, and runs of them.

use serde::{Deserialize, Serialize};

/// What is known of a host for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Read through the window's end, with records in it.
    Ok,
    /// Read through the window's end, without any.
    OkSilent,
    /// Has not proved the window's end yet, and there is no reason to worry: only in open windows.
    Open,
    /// No file of the log's name, and no earlier one.
    NoFile,
    /// A file of the log may not be read.
    Denied,
    /// The agent could not be connected to.
    Unreachable,
    /// The agent was connected to and did not answer in time.
    Timeout,
    /// Suspended for its cost, or a named limit was met.
    OverBudget,
    /// Its newest records are too old: a writer that holds back, a wrong zone, a clock that is slow.
    Behind,
    /// Its stamps are ahead of its clock.
    Ahead,
    /// No timestamp was found in its log.
    Unstamped,
    /// Bytes of the window are gone: truncated in place, or removed before they were read.
    BytesLost,
    /// The window lies before the first pull, and what stood there then is gone.
    NotStarted,
    /// The inventory dropped the host within the window.
    Left,
    /// The same agent and the same files are listed under another name too.
    Duplicate,
}

impl HostState {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Ok,
        Self::OkSilent,
        Self::Open,
        Self::NoFile,
        Self::Denied,
        Self::Unreachable,
        Self::Timeout,
        Self::OverBudget,
        Self::Behind,
        Self::Ahead,
        Self::Unstamped,
        Self::BytesLost,
        Self::NotStarted,
        Self::Left,
        Self::Duplicate,
    ];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OkSilent => "ok_silent",
            Self::Open => "open",
            Self::NoFile => "no_file",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::OverBudget => "over_budget",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Unstamped => "unstamped",
            Self::BytesLost => "bytes_lost",
            Self::NotStarted => "not_started",
            Self::Left => "left",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether the host counts as ok.
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Ok | Self::OkSilent)
    }

    /// Whether the state speaks of bytes that no later read can bring: a window settles with it.
    pub fn is_for_good(self) -> bool {
        matches!(self, Self::BytesLost | Self::NotStarted | Self::Left | Self::Duplicate)
    }
}

impl HostState {
    /// Whether nothing more is expected of a host in this state once that is [`Stage::Settled`]: also where it was
    /// suspended for its cost, and nobody reads it again by himself.
    pub fn settles(self) -> bool {
        self.is_ok() || self.is_for_good() || self == Self::OverBudget
    }
}

/// How far a window's end was proved (P2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Late bytes may still come.
    Provisional,
    /// Nothing more is expected.
    Settled,
}

/// One verdict for all windows that start in `[from_ns, to_ns)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictRun {
    /// First window start, inclusive, nanoseconds since the epoch.
    pub from_ns: i64,
    /// Window starts end before this.
    pub to_ns: i64,
    /// [`HostState::Ok`] where the end is proved, whether or not there were records; else why it is not.
    pub state: HostState,
    /// How far it is proved.
    pub stage: Stage,
    /// More for people: a path, an error.
    pub detail: Option<String>,
}
