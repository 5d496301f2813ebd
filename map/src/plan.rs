//! A monitor compiled for counting: columns, conditions, states and outputs, each distinct thing once.
//!
//! Aggregates that keep the same state of the same argument under the same condition share it: `sum(x)` and `avg(x)`
//! read one sum, `p50(x)` and `p99(x)` one histogram.

use crate::condition::{Node, compile_node};
use crate::groups::GROUPS_KEPT;
use crate::kept::Keep;
use crate::number::Decimal;
use crate::quantile::Fraction;
use crate::state::StateKind;
use configs::expr::{Aggregate, BinaryOp, Column, Expr, ExprKind, Function, UnaryOp};
use configs::log_path::LogPath;
use configs::monitor::Monitor;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// What a monitor asks that cannot be counted, with the place in its expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// What is wrong and what to do.
    pub message: String,
    /// Byte range in the expression's text.
    pub span: Range<usize>,
}

impl PlanError {
    pub(crate) fn at(expr: &Expr, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: expr.span.clone(),
        }
    }
}

/// Where a column's text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Slot of the field extractor.
    Field(usize),
    /// A label of the host or file.
    Label(String),
    /// The record's whole text.
    Line,
}

/// One state that every group keeps.
#[derive(Debug, Clone)]
pub struct StatePlan {
    /// What is kept.
    pub kind: StateKind,
    /// What is counted, for [`StateKind::Count`].
    pub counted: Counted,
    /// Whose values are kept, for the other kinds.
    pub argument: Option<Node>,
    /// Only of records for which this holds.
    pub condition: Option<Node>,
}

/// The unit of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Records.
    Records,
    /// Physical lines.
    Lines,
    /// Bytes, line ends included.
    Bytes,
}

/// How a value is read from a state at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// The count.
    Count,
    /// The exact sum.
    Sum,
    /// Sum by number.
    Avg,
    /// Least or greatest.
    Extreme,
    /// Population standard deviation.
    Stddev,
    /// Nearest-rank quantile.
    Quantile(Fraction),
    /// Number of different texts.
    Distinct,
    /// First or last text.
    Text,
    /// Count or sum by the window's seconds.
    PerSecond,
}

/// An output: arithmetic over states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputNode {
    /// A literal.
    Number(Decimal),
    /// A state, read in some way.
    State(usize, Reading),
    /// `-x`
    Negate(Box<OutputNode>),
    /// `+ - * / %`
    Arithmetic(BinaryOp, Box<OutputNode>, Box<OutputNode>),
}

/// A named output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPlan {
    /// Its name in the answer.
    pub name: String,
    /// How it is computed.
    pub node: OutputNode,
}

/// What a monitor's counts mean, without how they are counted: all that is needed to compute and to merge its points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The monitor's name.
    pub monitor: String,
    /// Window length in nanoseconds.
    pub window_ns: i64,
    /// Names of the columns that group, in order.
    pub group_names: Vec<String>,
    /// States of a group.
    pub kinds: Arc<[StateKind]>,
    /// The outputs.
    pub outputs: Vec<OutputPlan>,
    /// Groups kept in an answer.
    pub answer_groups: usize,
    /// Whether there is a filter, so that fewer records may be selected than counted.
    pub is_filtered: bool,
    /// Whether records are stamped by when they were seen to arrive, so that no value can be read again.
    #[serde(default)]
    pub is_by_arrival: bool,
}

impl Shape {
    /// Whether the monitor is grouped.
    pub fn is_grouped(&self) -> bool {
        !self.group_names.is_empty()
    }
}

/// A compiled monitor.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The monitor's name.
    pub monitor: String,
    /// Window length in nanoseconds.
    pub window_ns: i64,
    /// Names of the columns that group, in order.
    pub group_names: Vec<String>,
    /// Columns by number, and which of them group.
    pub columns: Vec<Source>,
    /// Numbers of the columns that group.
    pub group_columns: Vec<usize>,
    /// Names of the fields the extractor must give, by slot.
    pub fields: Vec<String>,
    /// Which records count.
    pub filter: Option<Node>,
    /// As in [`Shape::is_by_arrival`].
    pub is_by_arrival: bool,
    /// States of a group.
    pub states: Vec<StatePlan>,
    /// Their kinds, shared by all windows.
    pub kinds: Arc<[StateKind]>,
    /// The outputs.
    pub outputs: Vec<OutputPlan>,
    /// Groups kept in an answer.
    pub answer_groups: usize,
    /// Groups kept of a window before the last merge: the `H` of rule M6.
    pub window_groups: usize,
    /// What is kept of the records themselves, if they are asked for.
    pub kept: Option<KeptPlan>,
}

/// What is kept of the records themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPlan {
    /// The number of the state that keeps them.
    pub state: usize,
    /// Only records of this stretch of time are selected: windows may reach beyond what was asked for.
    pub range_ns: Range<i64>,
}

impl KeptPlan {
    /// How many records are kept of a group.
    pub fn limit(&self, plan: &Plan) -> usize {
        match plan.states[self.state].kind {
            StateKind::Records(keep) => usize::from(keep.limit),
            _ => 0,
        }
    }
}

impl Plan {
    /// Compiles a monitor.
    ///
    /// # Errors
    /// Where an expression has no meaning: a sum of a condition, a comparison as an output.
    pub fn new(monitor: &Monitor) -> Result<Self, PlanError> {
        let mut builder = Builder::default();
        // Parts of the path are labels of the file; a path that is none was refused before.
        let path = LogPath::parse(monitor.log.as_deref().unwrap_or_default());
        builder.columns.captured = path.map(|path| path.names().to_vec()).unwrap_or_default();
        let filter = monitor
            .filter
            .as_ref()
            .map(|filter| compile_node(filter, &mut builder.columns))
            .transpose()?;
        let group_columns = monitor
            .group_by
            .iter()
            .map(|group| builder.columns.number(&group.column))
            .collect();
        let outputs = (monitor.select.iter())
            .map(|output| {
                Ok(OutputPlan {
                    name: output.name.clone(),
                    node: builder.output(&output.expr)?,
                })
            })
            .collect::<Result<_, PlanError>>()?;
        let window_ns = i64::try_from(monitor.window_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000);
        Ok(Self {
            monitor: monitor.name.clone(),
            window_ns,
            group_names: monitor.group_by.iter().map(|group| group.name.clone()).collect(),
            group_columns,
            fields: builder.columns.fields,
            columns: builder.columns.sources,
            filter,
            is_by_arrival: monitor.is_by_arrival(),
            kinds: builder.states.iter().map(|state| state.kind).collect(),
            states: builder.states,
            outputs,
            answer_groups: monitor.limits.groups,
            window_groups: GROUPS_KEPT,
            kept: None,
        })
    }

    /// The same plan, which selects only records of a stretch of time, and keeps some of them as they are.
    pub fn keeping(mut self, keep: Keep, range_ns: Range<i64>) -> Self {
        self.kept = Some(KeptPlan {
            state: self.states.len(),
            range_ns,
        });
        self.states.push(StatePlan {
            kind: StateKind::Records(keep),
            counted: Counted::Records,
            argument: None,
            condition: None,
        });
        self.kinds = self.states.iter().map(|state| state.kind).collect();
        self
    }

    /// Whether records must be parsed at all: a bare `count()` never meets an unparsable record.
    pub fn uses_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether records must be whole: a cut one is lost to a monitor that looks at its text.
    pub fn uses_text(&self) -> bool {
        self.uses_fields() || self.columns.contains(&Source::Line)
    }

    /// What its counts mean.
    pub fn shape(&self) -> Shape {
        Shape {
            monitor: self.monitor.clone(),
            window_ns: self.window_ns,
            group_names: self.group_names.clone(),
            kinds: Arc::clone(&self.kinds),
            outputs: self.outputs.clone(),
            answer_groups: self.answer_groups,
            is_filtered: self.filter.is_some() || self.kept.is_some(),
            is_by_arrival: self.is_by_arrival,
        }
    }
}

/// The columns of a plan while it is built, each once.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    seen: Vec<Column>,
    sources: Vec<Source>,
    fields: Vec<String>,
    /// Names of the captures of the log's path.
    captured: Vec<String>,
}

impl Columns {
    /// Where the columns come from, by number.
    pub(crate) fn into_sources(self) -> Vec<Source> {
        self.sources
    }

    pub(crate) fn number(&mut self, column: &Column) -> usize {
        if let Some(number) = self.seen.iter().position(|seen| seen == column) {
            return number;
        }
        let source = match column {
            Column::Field(name) if self.captured.contains(name) => Source::Label(name.clone()),
            Column::Field(name) => {
                self.fields.push(name.clone());
                Source::Field(self.fields.len() - 1)
            }
            Column::Label(name) => Source::Label(name.clone()),
            Column::Line => Source::Line,
        };
        self.seen.push(column.clone());
        self.sources.push(source);
        self.seen.len() - 1
    }
}

#[derive(Default)]
struct Builder {
    columns: Columns,
    states: Vec<StatePlan>,
    /// What each state was made from: equal ones are shared.
    keys: Vec<(StateKind, Counted, Option<Node>, Option<Node>)>,
}

impl Builder {
    fn output(&mut self, expr: &Expr) -> Result<OutputNode, PlanError> {
        match &expr.kind {
            ExprKind::Number(text) => decimal(expr, text).map(OutputNode::Number),
            ExprKind::Unary(UnaryOp::Negate, inner) => Ok(OutputNode::Negate(Box::new(self.output(inner)?))),
            ExprKind::Binary(op, left, right) if is_arithmetic(*op) => {
                let (left, right) = (self.output(left)?, self.output(right)?);
                Ok(OutputNode::Arithmetic(*op, Box::new(left), Box::new(right)))
            }
            ExprKind::Aggregate(aggregate) => self.aggregate(expr, aggregate),
            _ => Err(PlanError::at(
                expr,
                "an output is arithmetic over aggregates and numbers, such as sum(x) / count()",
            )),
        }
    }

    fn aggregate(&mut self, expr: &Expr, aggregate: &Aggregate) -> Result<OutputNode, PlanError> {
        let has_argument = aggregate.argument.is_some();
        let (kind, counted, reading) = match &aggregate.function {
            Function::Count => (StateKind::Count, Counted::Records, Reading::Count),
            Function::Lines => (StateKind::Count, Counted::Lines, Reading::Count),
            Function::Bytes => (StateKind::Count, Counted::Bytes, Reading::Count),
            Function::Sum => (StateKind::Sum, Counted::Records, Reading::Sum),
            Function::Avg => (StateKind::Sum, Counted::Records, Reading::Avg),
            Function::Min => (StateKind::Min, Counted::Records, Reading::Extreme),
            Function::Max => (StateKind::Max, Counted::Records, Reading::Extreme),
            Function::Stddev => (StateKind::Moments, Counted::Records, Reading::Stddev),
            Function::Quantile(fraction) => {
                let fraction = Fraction::parse(fraction).ok_or_else(|| {
                    PlanError::at(expr, format!("a quantile lies between 0 and 1, {fraction} does not"))
                })?;
                (StateKind::Quantiles, Counted::Records, Reading::Quantile(fraction))
            }
            Function::Distinct => (StateKind::Distinct, Counted::Records, Reading::Distinct),
            Function::First => (StateKind::First, Counted::Records, Reading::Text),
            Function::Last => (StateKind::Last, Counted::Records, Reading::Text),
            Function::Rate if has_argument => (StateKind::Sum, Counted::Records, Reading::PerSecond),
            Function::Rate => (StateKind::Count, Counted::Records, Reading::PerSecond),
            other => return Err(PlanError::at(expr, format!("{other:?} cannot be counted here"))),
        };
        if kind != StateKind::Count && !has_argument {
            return Err(PlanError::at(
                expr,
                "this aggregate needs an argument, such as sum(cost)",
            ));
        }
        let argument = self.node(aggregate.argument.as_ref())?;
        let condition = self.condition(aggregate.condition.as_ref())?;
        Ok(OutputNode::State(
            self.state(kind, counted, argument, condition),
            reading,
        ))
    }

    fn node(&mut self, expr: Option<&Expr>) -> Result<Option<Node>, PlanError> {
        expr.map(|expr| compile_node(expr, &mut self.columns)).transpose()
    }

    /// `count(cost)` counts the records that have one.
    fn condition(&mut self, expr: Option<&Expr>) -> Result<Option<Node>, PlanError> {
        Ok(self.node(expr)?.map(|node| match node {
            Node::Column(_) => Node::IsNull {
                value: Box::new(node),
                negated: true,
            },
            other => other,
        }))
    }

    fn state(&mut self, kind: StateKind, counted: Counted, argument: Option<Node>, condition: Option<Node>) -> usize {
        let key = (kind, counted, argument, condition);
        if let Some(number) = self.keys.iter().position(|seen| *seen == key) {
            return number;
        }
        let (kind, counted, argument, condition) = key.clone();
        self.keys.push(key);
        self.states.push(StatePlan {
            kind,
            counted,
            argument,
            condition,
        });
        self.states.len() - 1
    }
}

/// Whether an operator computes a number from two.
pub fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo
    )
}

/// A number literal as a decimal.
pub(crate) fn decimal(expr: &Expr, text: &str) -> Result<Decimal, PlanError> {
    Decimal::parse(text.as_bytes())
        .map_err(|_| PlanError::at(expr, format!("{text} is beyond what is counted exactly: |x| ≤ 10¹⁵")))
}
