//! A monitor: a standing MQL query, validated.

use crate::expr::{Column, Expr};
use logline::boundary::Boundary;
use logline::fields::Rule;

/// In the place of a timestamp format: records are stamped by when they were seen to arrive.
pub const ARRIVAL: &str = "arrival";

/// A validated monitor. Made from YAML or from an MQL string; both say the same.
#[derive(Debug, Clone)]
pub struct Monitor {
    /// Its name; an MQL string without one is named `query`.
    pub name: String,
    /// The tenant it belongs to.
    pub tenant: Option<String>,
    /// The application whose hosts it reads.
    pub app: Option<String>,
    /// Globs and strftime patterns of the log, absolute paths on the hosts.
    pub log: Option<String>,
    /// Which lines may begin a record; `None` is every line with a stamp.
    pub records: Option<Boundary>,
    /// How fields are cut out of a record; `None` detects the rule from the log itself (`auto`).
    pub parse: Option<Rule>,
    /// Which records count.
    pub filter: Option<Expr>,
    /// By what the values are kept apart.
    pub group_by: Vec<GroupColumn>,
    /// What is computed, in the order in which it is shown.
    pub select: Vec<Output>,
    /// Length of the windows in milliseconds.
    pub window_ms: u64,
    /// How far a timestamp may lie behind the greatest before it in its file and still count; `None` is learned.
    pub lateness_ms: Option<u64>,
    /// How long after its end a window may still grow; `None` is learned.
    pub delay_ms: Option<u64>,
    /// How long after a window's end the first answer comes.
    pub grace_ms: u64,
    /// Zone of stamps that have none in the line, an IANA name or an offset; `None` is the host's.
    pub timezone: Option<String>,
    /// A timestamp format that overrides detection, or [`ARRIVAL`].
    pub timestamp: Option<String>,
    /// The log's encoding, where its bytes don't tell: a name that `logline::text::Encoding` knows.
    pub encoding: Option<String>,
    /// What a missing file means.
    pub absent: Absent,
    /// Budgets.
    pub limits: Limits,
    /// `[from, to)` and `since`, of a query rather than of a standing monitor.
    pub range: TimeRange,
}

impl Monitor {
    /// Whether records are stamped by when they were seen to arrive.
    pub fn is_by_arrival(&self) -> bool {
        self.timestamp.as_deref() == Some(ARRIVAL)
    }

    /// What a monitor by arrival says and can't mean: the setting, and why.
    pub(crate) fn arrival_fault(&self) -> Option<(&'static str, &'static str)> {
        if !self.is_by_arrival() {
            return None;
        }
        let no_stamps = "there are no timestamps to which it could apply";
        let faults = [
            (self.records.is_some(), "records", "by arrival, every line is a record"),
            (self.lateness_ms.is_some(), "lateness", no_stamps),
            (self.delay_ms.is_some(), "delay", no_stamps),
            (self.timezone.is_some(), "timezone", no_stamps),
        ];
        let (_, name, why) = faults.into_iter().find(|(is, _, _)| *is)?;
        Some((name, why))
    }
}

/// A column that groups, and the name it has in the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupColumn {
    /// The name in the answer.
    pub name: String,
    /// What it reads.
    pub column: Column,
}

/// One value of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name: the alias, or the expression as written.
    pub name: String,
    /// Arithmetic over aggregates.
    pub expr: Expr,
}

/// What a missing log file says of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Absent {
    /// The host is `no_file`: not ok.
    #[default]
    Missing,
    /// The host is complete with nothing in it.
    Zero,
}

/// Budgets of a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Groups kept in an answer; the rest are folded into `__other__`.
    pub groups: usize,
    /// CPU microseconds per second on each Map, if limited.
    pub cpu_us_per_s: Option<u64>,
    /// Bytes of log per second that each Map goes through for it, if limited.
    pub bytes_per_s: Option<u64>,
}

/// The stretch of time asked for, as written: RFC 3339 or relative (`30m`). The reader's clock resolves it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// Inclusive start.
    pub from: Option<String>,
    /// Exclusive end.
    pub to: Option<String>,
    /// Start as a distance before now.
    pub since: Option<String>,
}
