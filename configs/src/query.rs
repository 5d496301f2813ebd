//! A question of either kind, validated as far as its text alone allows: about stored points, or about raw logs.
//!
//! Whether the columns of a stored monitor exist, and whether they can be aggregated as asked, is known only beside the
//! monitor; so everything keeps the place where it was written. A question about raw logs is a monitor for one time: it
//! has the monitor and its definition, and what to do with what that counts.

use crate::expr::{Aggregate, BinaryOp, Expr, ExprKind, Function};
use crate::monitor::{GroupColumn, Monitor, Output, TimeRange};
use crate::mql::check::column_name;
use std::ops::Range;

/// Records that a question about records answers if it has no `limit`: some screens full.
pub const RECORDS_DEFAULT: usize = 100;
/// Most records of one answer: people look at them, one by one, and every host sends as many.
pub const RECORDS_MAX: usize = 1_000;
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

/// A question to files that are named beside it.
#[derive(Debug, Clone)]
pub enum Local {
    /// What they count.
    Monitor(Box<Monitor>),
    /// Their records; the source is a log, perhaps without a path.
    Records(Box<RecordsQuery>),
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
    /// Whose records.
    pub source: RecordsSource,
    /// Most records that are wanted, at most [`RECORDS_MAX`].
    pub limit: usize,
    /// Whether the earliest are wanted, or the latest.
    pub direction: Direction,
    /// The stretch of time.
    pub range: TimeRange,
}

/// Whose records are wanted.
#[derive(Debug, Clone)]
pub enum RecordsSource {
    /// Those of a log.
    Log {
        /// A monitor that counts the records that are wanted, for one time.
        monitor: Box<Monitor>,
        /// The same monitor as a document that [`crate::load_str`] reads.
        definition: String,
    },
    /// Those that a monitor counts.
    Monitor {
        /// Its name.
        name: Placed<String>,
        /// Which of them: a condition over its group columns, and whatever else a condition of the monitor could name.
        condition: Option<Expr>,
    },
}

impl Monitor {
    /// The monitor that counts those of this one's records that are wanted: it filters them further by a condition, in
    /// which the names of its group columns mean those, and keeps nothing apart. Records are found, stamped and cut as
    /// by this one, so that the same are late, lost, or counted.
    pub fn of_records(self, condition: Option<&Expr>, window_ms: u64) -> Monitor {
        let condition = condition.map(|condition| {
            let mut condition = condition.clone();
            name_groups(&mut condition, &self.group_by);
            condition
        });
        let filter = match (self.filter, condition) {
            (Some(filter), Some(condition)) => Some(Expr {
                span: filter.span.clone(),
                kind: ExprKind::Binary(BinaryOp::And, Box::new(filter), Box::new(condition)),
            }),
            (filter, condition) => filter.or(condition),
        };
        Monitor {
            filter,
            group_by: Vec::new(),
            select: vec![records_output(0..0)],
            window_ms,
            ..self
        }
    }
}

/// What counts the records that are wanted.
pub(crate) fn records_output(span: Range<usize>) -> Output {
    let count = Aggregate {
        function: Function::Count,
        argument: None,
        condition: None,
    };
    Output {
        name: "records".to_owned(),
        expr: Expr {
            kind: ExprKind::Aggregate(Box::new(count)),
            span,
        },
    }
}

/// Puts the columns that group in the place of their names.
fn name_groups(expr: &mut Expr, groups: &[GroupColumn]) {
    match &mut expr.kind {
        ExprKind::Column(column) => {
            let name = column_name(column);
            if let Some(group) = groups.iter().find(|group| group.name == name) {
                column.clone_from(&group.column);
            }
        }
        ExprKind::Unary(_, operand) => name_groups(operand, groups),
        ExprKind::Binary(_, left, right) => {
            name_groups(left, groups);
            name_groups(right, groups);
        }
        ExprKind::In { value, .. } | ExprKind::TextMatch { value, .. } | ExprKind::IsNull { value, .. } => {
            name_groups(value, groups);
        }
        ExprKind::Text(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Null | ExprKind::Aggregate(_) => {}
    }
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
