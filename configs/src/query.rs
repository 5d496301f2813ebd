//! A question about stored points, validated as far as its text alone allows.
//!
//! Whether its columns exist, and whether they can be aggregated as asked, is known only beside the stored monitor; so
//! everything keeps the place where it was written.

use crate::expr::Expr;
use crate::monitor::{GroupColumn, Monitor, Output, TimeRange};
use std::ops::Range;

/// A query of either kind.
#[derive(Debug, Clone)]
pub enum Question {
    /// It reads logs.
    Monitor(Box<Monitor>),
    /// It reads the points that a monitor has stored.
    Stored(Box<Query>),
}

/// A question about stored points.
#[derive(Debug, Clone)]
pub struct Query {
    /// The monitor whose points are asked for; `system` is the hosts' own figures.
    pub source: Placed<String>,
    /// What is asked for.
    pub select: Select,
    /// Which groups count: a condition over the monitor's group columns.
    pub filter: Option<Expr>,
    /// By what the values are kept apart; `None` if the query does not say.
    pub group_by: Option<Vec<Placed<GroupColumn>>>,
    /// Length of the steps in milliseconds; `None` is the monitor's own window.
    pub every_ms: Option<Placed<u64>>,
    /// Groups kept in the answer; the rest are folded.
    pub limit: Option<usize>,
    /// The stretch of time.
    pub range: TimeRange,
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
