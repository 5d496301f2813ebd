//! A question compiled for one version of a monitor: which states it needs, of which groups, and what it makes of them.
//!
//! A bare column is merged by its own aggregate: its states are merged, then its arithmetic is done. An aggregate of a
//! column is allowed where it is exact: it then is the same as the column, or looks at the points one by one.

use super::condition::{Condition, groups_hint};
use super::error::QueryError;
use super::nature::Nature;
use super::shaping::{self, Shaped};
use configs::Diagnostic;
use configs::expr::{Aggregate, BinaryOp, Column, Expr, ExprKind, Function, UnaryOp};
use configs::query::{Query, Select};
use map::number::Decimal;
use map::plan::{OutputNode, Reading, Shape};
use map::state::{State, StateKind};
use std::ops::Range;
use std::sync::Arc;

/// What an output is computed from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    /// This version of the monitor does not have it.
    Nothing,
    /// Merged states: state `n` under condition `c` has the number `n × sets + c`.
    Merged(OutputNode),
    /// The least or greatest of the points, by its place in [`Plan::over_points`].
    OverPoints(usize),
    /// How many windows have values.
    Windows,
    /// `-x`
    Negate(Box<Term>),
    /// `a + b` and its kin.
    Arithmetic(BinaryOp, Box<Term>, Box<Term>),
}

/// Which of the points' values counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// `min`
    Least,
    /// `max`
    Greatest,
}

/// A least or greatest value over points, each computed for itself.
#[derive(Debug, Clone)]
pub(crate) struct OverPoints {
    pub(crate) end: End,
    /// The column, over the states of the monitor.
    pub(crate) node: OutputNode,
    /// The same over the needed states: what two versions must agree on.
    merged: OutputNode,
    /// Whether an absent group is zero where that is known.
    pub(crate) is_additive: bool,
    /// Under which condition.
    pub(crate) set: usize,
}

/// How fine an answer's groups are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Those of the monitor.
    Stored,
    /// All in one.
    Total,
    /// By some of the monitor's columns.
    Coarser,
}

/// Names and places of the columns that group an answer.
pub(crate) type Grouping = Vec<(Arc<str>, usize)>;

/// A question compiled for a version of a monitor.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) group_names: Vec<String>,
    pub(crate) window_ns: i64,
    pub(crate) step_ns: i64,
    /// Kinds of all states of the monitor.
    pub(crate) kinds: Arc<[StateKind]>,
    /// Which of them are needed.
    pub(crate) needed: Vec<usize>,
    /// Which groups count.
    pub(crate) filter: Option<Condition>,
    /// Conditions inside aggregates; the states of a row are kept once for all groups, and once for each of these.
    pub(crate) conditions: Vec<Condition>,
    /// Names and places of the columns that group the answer.
    pub(crate) grouping: Grouping,
    pub(crate) detail: Detail,
    pub(crate) outputs: Vec<(Arc<str>, Term)>,
    pub(crate) over_points: Vec<OverPoints>,
    /// What is made of the values.
    pub(crate) shaped: Shaped,
}

impl Plan {
    /// States of each needed kind that a row keeps: one for all groups, and one for each condition.
    pub(crate) fn sets(&self) -> usize {
        1 + self.conditions.len()
    }

    /// The states of a row in which nothing was counted.
    pub(crate) fn empty_states(&self) -> Vec<State> {
        let kinds = self.needed.iter().map(|index| self.kinds[*index]);
        kinds
            .flat_map(|kind| (0..self.sets()).map(move |_| State::new(kind)))
            .collect()
    }

    /// Whether windows of both versions mean the same for this question, so that they can be merged.
    pub(crate) fn merges_with(&self, other: &Self) -> bool {
        let kinds = |plan: &Self| -> Vec<StateKind> { plan.needed.iter().map(|index| plan.kinds[*index]).collect() };
        let over_points = |plan: &Self| -> Vec<(End, OutputNode, usize)> {
            let each = plan.over_points.iter();
            each.map(|over| (over.end, over.merged.clone(), over.set)).collect()
        };
        self.window_ns == other.window_ns
            && self.group_names == other.group_names
            && kinds(self) == kinds(other)
            && self.outputs == other.outputs
            && self.shaped.values == other.shaped.values
            && over_points(self) == over_points(other)
    }
}

/// What becomes of an output that a version of the monitor does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The question cannot be answered.
    Refused,
    /// It is null in the windows of that version.
    Null,
}

/// The question, and what of it is common to all versions.
pub(crate) struct Question<'q> {
    /// Its text.
    pub(crate) text: &'q str,
    /// What it says.
    pub(crate) query: &'q Query,
    /// What `*` means.
    pub(crate) star: &'q [String],
}

impl Question<'_> {
    /// Compiles it for a version of the monitor. Also says which outputs are null, and why.
    ///
    /// # Errors
    /// If columns are not there, or cannot be aggregated as asked.
    pub(crate) fn plan(&self, shape: &Shape, absent: Absent) -> Result<(Plan, Vec<String>), QueryError> {
        let step_ns = self.step_ns(shape)?;
        let (grouping, detail) = self.grouping(shape)?;
        let condition = |expr: &Expr| Condition::new(self.text, expr, &self.query.source.value, &shape.group_names);
        let filter = self.query.filter.as_ref().map(condition).transpose()?;
        let mut builder = Builder::new(self, shape);
        let mut nulls = Vec::new();
        let mut outputs = Vec::new();
        for (name, expr) in self.outputs(&grouping) {
            let term = builder.output(&expr);
            let term = match (term, absent) {
                (Err(error), Absent::Null) => {
                    nulls.push(error.to_string());
                    Term::Nothing
                }
                (term, _) => term?,
            };
            outputs.push((Arc::from(name.as_str()), term));
        }
        let shaped = shaping::compile(&mut builder, &outputs, &grouping)?;
        let plan = Plan {
            group_names: shape.group_names.clone(),
            window_ns: shape.window_ns,
            step_ns,
            kinds: Arc::clone(&shape.kinds),
            needed: builder.needed,
            filter,
            conditions: builder.conditions,
            grouping,
            detail,
            outputs,
            over_points: builder.over_points,
            shaped,
        };
        Ok((plan, nulls))
    }

    pub(super) fn unfit(&self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> QueryError {
        QueryError::Unfit(Box::new(Diagnostic::of_query(
            self.text,
            span,
            message,
            Some(hint.into()),
        )))
    }

    fn step_ns(&self, shape: &Shape) -> Result<i64, QueryError> {
        let Some(every) = &self.query.every_ms else {
            return Ok(shape.window_ns);
        };
        let step_ns = i64::try_from(every.value).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        if step_ns % shape.window_ns == 0 {
            return Ok(step_ns);
        }
        let window_ms = shape.window_ns / 1_000_000;
        let message = format!(
            "the points of `{}` are of {window_ms} ms, which do not fill these steps",
            shape.monitor
        );
        Err(self.unfit(
            every.span.clone(),
            message,
            format!("write a multiple of {window_ms}ms"),
        ))
    }

    /// The columns that group the answer. `*` asks for points as they are; outputs without `group by` are of all
    /// groups.
    fn grouping(&self, shape: &Shape) -> Result<(Grouping, Detail), QueryError> {
        let stored = shape.group_names.len();
        let Some(group_by) = &self.query.group_by else {
            if self.query.select == Select::All || stored == 0 {
                let names = shape.group_names.iter().enumerate();
                return Ok((
                    names.map(|(place, name)| (name.as_str().into(), place)).collect(),
                    Detail::Stored,
                ));
            }
            return Ok((Vec::new(), Detail::Total));
        };
        let mut grouping = Vec::new();
        for group in group_by {
            let name = column_name(&group.value.column);
            let place = shape
                .group_names
                .iter()
                .position(|stored| *stored == name)
                .ok_or_else(|| {
                    let message = format!("`{}` keeps no `{name}` apart", shape.monitor);
                    self.unfit(group.span.clone(), message, groups_hint(&name, &shape.group_names))
                })?;
            grouping.push((Arc::from(group.value.name.as_str()), place));
        }
        let is_all = (0..stored).all(|column| grouping.iter().any(|(_, place)| *place == column));
        Ok((grouping, if is_all { Detail::Stored } else { Detail::Coarser }))
    }

    /// Names and expressions of the outputs. A group column among them is shown as part of the group.
    fn outputs(&self, grouping: &[(Arc<str>, usize)]) -> Vec<(String, Expr)> {
        match &self.query.select {
            Select::All => (self.star.iter())
                .map(|name| {
                    let kind = ExprKind::Column(Column::Field(name.clone()));
                    let span = self.query.source.span.clone();
                    (name.clone(), Expr { kind, span })
                })
                .collect(),
            Select::Outputs(outputs) => {
                let is_group = |expr: &Expr| match &expr.kind {
                    ExprKind::Column(column) => {
                        let name = column_name(column);
                        grouping.iter().any(|(group, _)| **group == *name)
                    }
                    _ => false,
                };
                let values = outputs.iter().filter(|output| !is_group(&output.expr));
                values
                    .map(|output| (output.name.clone(), output.expr.clone()))
                    .collect()
            }
        }
    }
}

/// The name by which a column is looked for among stored ones.
pub(super) fn column_name(column: &Column) -> String {
    match column {
        Column::Field(name) | Column::Label(name) => name.clone(),
        Column::Line => "line".to_owned(),
    }
}

/// A plan while it is built.
pub(super) struct Builder<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) shape: &'a Shape,
    sets: usize,
    needed: Vec<usize>,
    conditions: Vec<Condition>,
    over_points: Vec<OverPoints>,
}

impl<'a> Builder<'a> {
    fn new(question: &'a Question<'a>, shape: &'a Shape) -> Self {
        let outputs = match &question.query.select {
            Select::All => &[][..],
            Select::Outputs(outputs) => outputs.as_slice(),
        };
        let shaping = &question.query.shaping;
        let exprs = (outputs.iter().map(|output| &output.expr))
            .chain(&shaping.having)
            .chain(shaping.order_by.iter().map(|key| &key.expr));
        let conditions: usize = exprs.map(count_conditions).sum();
        Self {
            question,
            shape,
            sets: 1 + conditions,
            needed: Vec::new(),
            conditions: Vec::new(),
            over_points: Vec::new(),
        }
    }

    pub(super) fn output(&mut self, expr: &Expr) -> Result<Term, QueryError> {
        match &expr.kind {
            ExprKind::Number(text) => match Decimal::parse(text.as_bytes()) {
                Ok(number) => Ok(Term::Merged(OutputNode::Number(number))),
                Err(error) => Err(self
                    .question
                    .unfit(expr.span.clone(), error.to_string(), "write a smaller number")),
            },
            ExprKind::Column(column) => {
                let node = self.column(column, &expr.span)?;
                Ok(Term::Merged(self.merged(&node, 0)))
            }
            ExprKind::Unary(UnaryOp::Negate, inner) => Ok(Term::Negate(Box::new(self.output(inner)?))),
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.output(left)?, self.output(right)?);
                Ok(Term::Arithmetic(*op, Box::new(left), Box::new(right)))
            }
            ExprKind::Aggregate(aggregate) => self.aggregate(expr, aggregate),
            _ => {
                let hint = "such as sum(requests), p99_ms, 100 * sum(errors) / sum(requests)";
                let message = "an output is arithmetic over stored columns and aggregates of them";
                Err(self.question.unfit(expr.span.clone(), message, hint))
            }
        }
    }

    /// How a stored column is computed from the monitor's states.
    fn column(&self, column: &Column, span: &Range<usize>) -> Result<OutputNode, QueryError> {
        let name = column_name(column);
        if let Some(output) = self.shape.outputs.iter().find(|output| output.name == name) {
            return Ok(output.node.clone());
        }
        let monitor = &self.shape.monitor;
        if self.shape.group_names.contains(&name) {
            let message = format!("`{name}` is a group column of `{monitor}`, not a value");
            return Err(self
                .question
                .unfit(span.clone(), message, format!("write `group by {name}`")));
        }
        let names: Vec<&str> = self.shape.outputs.iter().map(|output| output.name.as_str()).collect();
        let hint = match configs::nearest(&name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its columns are: {}", names.join(", ")),
        };
        Err(self
            .question
            .unfit(span.clone(), format!("`{monitor}` has no column `{name}`"), hint))
    }

    /// A column over the states that a row keeps under a condition.
    fn merged(&mut self, node: &OutputNode, set: usize) -> OutputNode {
        match node {
            OutputNode::Number(number) => OutputNode::Number(*number),
            OutputNode::State(index, reading) => {
                let place = self
                    .needed
                    .iter()
                    .position(|needed| needed == index)
                    .unwrap_or_else(|| {
                        self.needed.push(*index);
                        self.needed.len() - 1
                    });
                OutputNode::State(place * self.sets + set, reading.clone())
            }
            OutputNode::Negate(inner) => OutputNode::Negate(Box::new(self.merged(inner, set))),
            OutputNode::Arithmetic(op, left, right) => {
                let (left, right) = (self.merged(left, set), self.merged(right, set));
                OutputNode::Arithmetic(*op, Box::new(left), Box::new(right))
            }
        }
    }

    fn aggregate(&mut self, expr: &Expr, aggregate: &Aggregate) -> Result<Term, QueryError> {
        let column = aggregate.argument.as_ref().and_then(|argument| match &argument.kind {
            ExprKind::Column(column) => Some((column, &argument.span)),
            _ => None,
        });
        let Some((column, span)) = column else {
            let message = "it counts records, and stored points are none";
            return Err(self
                .question
                .unfit(expr.span.clone(), message, "name a stored column: sum(requests)"));
        };
        let node = self.column(column, span)?;
        let set = match &aggregate.condition {
            Some(condition) => {
                let (text, monitor) = (self.question.text, &self.shape.monitor);
                self.conditions
                    .push(Condition::new(text, condition, monitor, &self.shape.group_names)?);
                self.conditions.len()
            }
            None => 0,
        };
        let how = how_to_aggregate(&aggregate.function, &node, self.shape);
        let how = how.map_err(|why| self.refusal(expr, &column_name(column), why))?;
        Ok(match how {
            How::AsItself => Term::Merged(self.merged(&node, set)),
            How::PerSecond => Term::Merged(self.merged(&per_second(&node), set)),
            How::PerWindow => {
                let total = Term::Merged(self.merged(&node, set));
                Term::Arithmetic(BinaryOp::Divide, Box::new(total), Box::new(Term::Windows))
            }
            How::OverPoints(end) => {
                let merged = self.merged(&node, set);
                let is_additive = Nature::of(&node) == Nature::Additive;
                self.over_points.push(OverPoints {
                    end,
                    node,
                    merged,
                    is_additive,
                    set,
                });
                Term::OverPoints(self.over_points.len() - 1)
            }
        })
    }

    fn refusal(&self, expr: &Expr, column: &str, why: Refusal) -> QueryError {
        let nature = why.nature.describe();
        let message = format!("`{column}` is {nature}: {}", why.message);
        let hint = match why.remedy {
            Remedy::Bare => format!("write `{column}`: it is merged by its own aggregate, over windows and groups"),
            Remedy::Sum => format!("write sum({column}), or rate({column}) for a second's share"),
        };
        self.question.unfit(expr.span.clone(), message, hint)
    }
}

/// How an aggregate of a stored column is computed.
enum How {
    /// As the column itself, which merges.
    AsItself,
    /// As the column by the seconds covered.
    PerSecond,
    /// As the column by the number of windows.
    PerWindow,
    /// From each point's value.
    OverPoints(End),
}

/// Why an aggregate of a stored column is refused.
struct Refusal {
    nature: Nature,
    message: &'static str,
    remedy: Remedy,
}

/// What to write instead.
enum Remedy {
    Bare,
    Sum,
}

fn how_to_aggregate(function: &Function, node: &OutputNode, shape: &Shape) -> Result<How, Refusal> {
    let nature = Nature::of(node);
    let refused = |message, remedy| {
        Err(Refusal {
            nature,
            message,
            remedy,
        })
    };
    match (function, nature) {
        (Function::Sum, Nature::Additive)
        | (Function::Avg, Nature::Ratio | Nature::Constant)
        | (Function::Rate, Nature::Rate)
        | (Function::Distinct, Nature::Distinct)
        | (Function::Stddev, Nature::Deviation) => Ok(How::AsItself),
        (Function::Max, Nature::Extreme) if is_extreme(node, shape, StateKind::Max) => Ok(How::AsItself),
        (Function::Min, Nature::Extreme) if is_extreme(node, shape, StateKind::Min) => Ok(How::AsItself),
        (Function::Max | Function::Min, Nature::Text) => refused("texts have no least or greatest", Remedy::Bare),
        (Function::Max, _) => Ok(How::OverPoints(End::Greatest)),
        (Function::Min, _) => Ok(How::OverPoints(End::Least)),
        (Function::Rate, Nature::Additive) => Ok(How::PerSecond),
        (Function::Avg, Nature::Additive) if !shape.is_grouped() => Ok(How::PerWindow),
        (Function::Avg, Nature::Additive) => refused(
            "an average of its points would leave out the windows in which a group is absent",
            Remedy::Sum,
        ),
        (Function::Avg, Nature::Rate) if !shape.is_grouped() => Ok(How::AsItself),
        (Function::Avg, _) => refused("an average of such values is no value of the whole", Remedy::Bare),
        (Function::Sum, _) => refused("a sum of such values is no value of the whole", Remedy::Bare),
        _ => refused("this cannot be computed of stored points", Remedy::Bare),
    }
}

fn is_extreme(node: &OutputNode, shape: &Shape, kind: StateKind) -> bool {
    matches!(node, OutputNode::State(index, Reading::Extreme) if shape.kinds[*index] == kind)
}

/// An additive column by seconds: since it is linear in its states, dividing each of them divides the whole.
fn per_second(node: &OutputNode) -> OutputNode {
    match node {
        OutputNode::State(index, Reading::Count | Reading::Sum) => OutputNode::State(*index, Reading::PerSecond),
        OutputNode::State(..) | OutputNode::Number(_) => node.clone(),
        OutputNode::Negate(inner) => OutputNode::Negate(Box::new(per_second(inner))),
        OutputNode::Arithmetic(op, left, right) => {
            OutputNode::Arithmetic(*op, Box::new(per_second(left)), Box::new(per_second(right)))
        }
    }
}

/// Aggregates with a condition in an expression.
fn count_conditions(expr: &Expr) -> usize {
    match &expr.kind {
        ExprKind::Aggregate(aggregate) => usize::from(aggregate.condition.is_some()),
        ExprKind::Unary(_, inner) => count_conditions(inner),
        ExprKind::In { value, .. } | ExprKind::TextMatch { value, .. } | ExprKind::IsNull { value, .. } => {
            count_conditions(value)
        }
        ExprKind::Binary(_, left, right) => count_conditions(left) + count_conditions(right),
        _ => 0,
    }
}
