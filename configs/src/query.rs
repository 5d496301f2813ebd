//! A question of either kind, validated as far as its text alone allows: about stored points, or about raw logs.
//!
//! Whether the columns of a stored monitor exist, and whether they can be aggregated as asked, is known only beside the
//! monitor; so everything keeps the place where it was written. A question about raw logs is a monitor for one time: it
//! has the monitor and its definition, and what to do with what that counts.

use crate::expr::Expr;
use crate::monitor::{GroupColumn, Monitor, Output, TimeRange};
use std::ops::Range;

/// Records that a question about records answers if it has no `limit`: some screens full.
pub const RECORDS_DEFAULT: usize = 100;
/// Most records of one answer: they are looked at by people, and each may be a mebibyte long.
pub const RECORDS_MAX: usize = 10_000;
/// Most sources of one question: the monitor now, and some times before. Each is read for itself.
pub const PARTS_MAX: usize = 4;

/// A question of any kind.
#[derive(Debug, Clone)]
pub enum Question {
    /// It counts in logs.
    Raw(Box<RawQuery>),
    /// It wants the records of logs themselves.
    Records(Box<RecordsQuery>),
    /// It reads the points that a monitor has stored.
    Stored(Box<Query>),
}

/// A question that counts in logs: `select … from log …`.
#[derive(Debug, Clone)]
pub struct RawQuery {
    /// What is counted, once: its `range` is the stretch of time, and it keeps as many groups as can be kept.
    pub monitor: Monitor,
    /// The same monitor as a document that [`crate::load_str`] reads.
    pub definition: String,
    /// What is made of the counts.
    pub shaping: Shaping,
}

/// A question for records: `select * from log … where … limit 50`.
#[derive(Debug, Clone)]
pub struct RecordsQuery {
    /// Which log of which app, and which records: a monitor that counts the records that are wanted, for one time.
    pub monitor: Monitor,
    /// The same monitor as a document that [`crate::load_str`] reads.
    pub definition: String,
    /// Most records that are wanted.
    pub limit: usize,
}

/// A question about stored points.
#[derive(Debug, Clone)]
pub struct Query {
    /// The monitor whose points are asked for; `system` is the hosts' own figures.
    pub source: Placed<String>,
    /// When it is asked about: at least one, at most [`PARTS_MAX`].
    pub parts: Vec<Part>,
    /// What is asked for.
    pub select: Select,
    /// Which groups count: a condition over the monitor's group columns.
    pub filter: Option<Expr>,
    /// By what the values are kept apart; `None` if the query does not say.
    pub group_by: Option<Vec<Placed<GroupColumn>>>,
    /// Length of the steps in milliseconds; `None` is the monitor's own window.
    pub every_ms: Option<Placed<u64>>,
    /// What is made of the values.
    pub shaping: Shaping,
    /// The stretch of time.
    pub range: TimeRange,
}

/// The monitor as it is, or as it was some time before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What the part is called where there are several.
    pub name: String,
    /// How long before, in milliseconds.
    pub offset_ms: u64,
    /// Where it stands.
    pub span: Range<usize>,
}

/// What is made of values after they were computed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shaping {
    /// Which groups of a step are shown: a condition over outputs and group columns.
    pub having: Option<Expr>,
    /// In which order the groups of a step stand.
    pub order_by: Vec<OrderKey>,
    /// Groups kept in the answer: the first by `order_by`, else those with most records. The rest are folded.
    pub limit: Option<usize>,
    /// What stands where a group has no value.
    pub fill: Option<Placed<Fill>>,
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderKey {
    /// An output, a group column, or what an output could be.
    pub expr: Expr,
    /// Whether the greatest is first.
    pub direction: Direction,
}

/// The direction of an order. Null is last in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// What stands where a group has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Null: there is a point, so that it can be seen that there is no value.
    Null,
    /// Zero, where it is known to be one.
    Zero,
    /// The value before, told apart from what was measured.
    Previous,
}

/// A value and where it stands in the query's text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Range<usize>,
}

/// What a question asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Select {
    /// `*`: every column as it is stored.
    All,
    /// Arithmetic over stored columns, and aggregates of single stored columns.
    Outputs(Vec<Output>),
}
