//! What is made of values after they were computed: groups hidden by `having`, put in order, chosen by `limit`.
//!
//! All of it judges by values that may be incomplete, or unknown. So it keeps count of where it did, and the answer
//! says so: a group that is not shown must never look like one that is not there.

use super::condition::Condition;
use super::error::QueryError;
use super::evaluate::{Group, Reach, is_nothing_zero, known_value};
use super::merge::{Finished, Row, RowKind, nanos_of};
use super::plan::{Builder, Grouping, Plan, Term, column_name};
use configs::expr::{Column, Expr, ExprKind, UnaryOp};
use configs::query::Direction;
use map::plan::is_arithmetic;
use reduce::point::Flag;
use reduce::publish::OTHER;
use reduce::value::OutputValue;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a condition or an order looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A column that groups, by its place in the answer.
    Group(usize),
    /// A value, by its place in [`Shaped::values`].
    Value(usize),
}

/// A condition over the values of a row.
#[derive(Debug, Clone)]
pub(crate) struct Having {
    condition: Condition,
    keys: Vec<Key>,
}

/// A key of an order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    key: Key,
    direction: Direction,
}

/// What is made of the values, compiled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shaped {
    /// Values that are looked at, beside the outputs.
    pub(crate) values: Vec<Term>,
    pub(crate) having: Option<Having>,
    pub(crate) order: Vec<Order>,
}

/// Where a choice was made by values that do not say all.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Steps that are over, and those of them that are not complete.
    pub(crate) steps: u64,
    pub(crate) incomplete_steps: u64,
    /// Groups of a step whose values are unknown, so that nothing could be said of them.
    undecided: u64,
    /// Whether what the monitor folded was left out.
    leaves_folded: bool,
    /// Whether groups were folded because others were chosen.
    chooses: bool,
    /// Whether steps of another version had no part in the choice.
    has_other_version: bool,
}

/// Compiles what is made of the values for a version of the monitor.
pub(super) fn compile(
    builder: &mut Builder<'_>,
    outputs: &[(Arc<str>, Term)],
    grouping: &Grouping,
) -> Result<Shaped, QueryError> {
    let shaping = &builder.question.query.shaping;
    let mut compiler = Compiler {
        builder,
        outputs,
        grouping,
        values: Vec::new(),
    };
    let mut order = Vec::new();
    for key in &shaping.order_by {
        order.push(Order {
            key: compiler.key(&key.expr)?,
            direction: key.direction,
        });
    }
    let having = (shaping.having.as_ref())
        .map(|having| compiler.having(having))
        .transpose()?;
    Ok(Shaped {
        values: compiler.values,
        having,
        order,
    })
}

struct Compiler<'c, 'b> {
    builder: &'c mut Builder<'b>,
    outputs: &'c [(Arc<str>, Term)],
    grouping: &'c Grouping,
    values: Vec<Term>,
}

impl Compiler<'_, '_> {
    fn having(&mut self, expr: &Expr) -> Result<Having, QueryError> {
        let mut keys = Vec::new();
        let condition = self.condition(expr, &mut keys)?;
        let names: Vec<String> = (0..keys.len()).map(|number| number.to_string()).collect();
        let (text, monitor) = (self.builder.question.text, &self.builder.shape.monitor);
        Ok(Having {
            condition: Condition::new(text, &condition, monitor, &names)?,
            keys,
        })
    }

    /// The condition with numbered columns in place of the values that it looks at.
    fn condition(&mut self, expr: &Expr, keys: &mut Vec<Key>) -> Result<Expr, QueryError> {
        let kind = match &expr.kind {
            ExprKind::Unary(UnaryOp::Not, inner) => {
                ExprKind::Unary(UnaryOp::Not, Box::new(self.condition(inner, keys)?))
            }
            ExprKind::Binary(op, left, right) if !is_arithmetic(*op) => {
                let (left, right) = (self.condition(left, keys)?, self.condition(right, keys)?);
                ExprKind::Binary(*op, Box::new(left), Box::new(right))
            }
            ExprKind::In { value, list, negated } => ExprKind::In {
                value: Box::new(self.condition(value, keys)?),
                list: list.clone(),
                negated: *negated,
            },
            ExprKind::TextMatch {
                op,
                value,
                pattern,
                negated,
            } => ExprKind::TextMatch {
                op: *op,
                value: Box::new(self.condition(value, keys)?),
                pattern: pattern.clone(),
                negated: *negated,
            },
            ExprKind::IsNull { value, negated } => ExprKind::IsNull {
                value: Box::new(self.condition(value, keys)?),
                negated: *negated,
            },
            ExprKind::Text(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Null => return Ok(expr.clone()),
            _ => {
                keys.push(self.key(expr)?);
                ExprKind::Column(Column::Field((keys.len() - 1).to_string()))
            }
        };
        Ok(Expr {
            kind,
            span: expr.span.clone(),
        })
    }

    fn key(&mut self, expr: &Expr) -> Result<Key, QueryError> {
        if let ExprKind::Column(column) = &expr.kind {
            let name = column_name(column);
            let is_output = self.outputs.iter().any(|(output, _)| **output == *name);
            let place = self.grouping.iter().position(|(group, _)| **group == *name);
            if let (false, Some(place)) = (is_output, place) {
                return Ok(Key::Group(place));
            }
        }
        let term = self.term(expr)?;
        self.values.push(term);
        Ok(Key::Value(self.values.len() - 1))
    }

    /// A value; a name is first looked for among the outputs.
    fn term(&mut self, expr: &Expr) -> Result<Term, QueryError> {
        Ok(match &expr.kind {
            ExprKind::Column(column) => {
                let name = column_name(column);
                match self.outputs.iter().find(|(output, _)| **output == *name) {
                    Some((_, term)) => term.clone(),
                    None => self.builder.output(expr)?,
                }
            }
            ExprKind::Unary(UnaryOp::Negate, inner) => Term::Negate(Box::new(self.term(inner)?)),
            ExprKind::Binary(op, left, right) if is_arithmetic(*op) => {
                let (left, right) = (self.term(left)?, self.term(right)?);
                Term::Arithmetic(*op, Box::new(left), Box::new(right))
            }
            _ => self.builder.output(expr)?,
        })
    }
}

impl Notes {
    /// Looks at the steps that are over at `due_ns`.
    pub(crate) fn count_steps(&mut self, steps: &[Finished], due_ns: i64) {
        let over = steps
            .iter()
            .filter(|step| step.start_ns.saturating_add(step.length_ns) <= due_ns);
        for step in over {
            self.steps += 1;
            self.incomplete_steps += u64::from(!step.facts.is_whole() || step.facts.lost.total() > 0);
        }
    }

    /// What the reader must know of the choices.
    pub(crate) fn warnings(&self, has_having: bool, limit: Option<usize>) -> Vec<String> {
        let mut warnings = Vec::new();
        let (incomplete, steps) = (self.incomplete_steps, self.steps);
        if has_having && incomplete > 0 {
            warnings.push(format!(
                "in {incomplete} of {steps} steps `having` judged values that are not complete: groups may be missing \
                 there, and others be shown that would not be"
            ));
        }
        if self.undecided > 0 {
            warnings.push(format!(
                "{} times the values of a group are unknown in a step, so that `having` could not judge them: it is \
                 left out there",
                self.undecided
            ));
        }
        if self.leaves_folded {
            warnings.push(
                "groups over the monitor's limit were folded into `__other__`, which `having` cannot judge: they are \
                 left out"
                    .to_owned(),
            );
        }
        if let Some(limit) = limit.filter(|_| self.chooses && incomplete > 0) {
            warnings.push(format!(
                "the {limit} groups that are shown were chosen by values that are not complete in {incomplete} of \
                 {steps} steps: others may belong among them, and are in `__other__`, or are missing"
            ));
        }
        if self.has_other_version {
            warnings.push(
                "another version of the monitor is in force in part of the range, and had no part in choosing groups"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Hides the groups of a step that do not meet the condition.
pub(crate) fn hide(step: &mut Finished, notes: &mut Notes) {
    step.is_judged = true;
    let Some(plan) = step.plan.clone() else { return };
    let Some(having) = &plan.shaped.having else { return };
    let reach = Reach::of(step);
    // An answer without groups has one row, which may have nothing in it.
    if step.rows.is_empty() && plan.grouping.is_empty() {
        let mut row = Row::empty(&plan, Vec::new());
        if !is_nothing_zero(step, &plan) {
            row.kind = RowKind::Unknown;
        }
        step.rows.push(row);
    }
    let rows = std::mem::take(&mut step.rows);
    step.rows = rows
        .into_iter()
        .filter(|row| {
            if row.kind == RowKind::Other {
                notes.leaves_folded = true;
                return false;
            }
            let verdict = having.judge(&plan, reach, row);
            notes.undecided += u64::from(verdict == Verdict::Undecided);
            verdict == Verdict::Shown
        })
        .collect();
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Shown,
    Hidden,
    /// Its values are not known.
    Undecided,
}

impl Having {
    fn judge(&self, plan: &Plan, reach: Reach, row: &Row) -> Verdict {
        let mut is_known = true;
        let mut value = |key: &Key| match key {
            Key::Group(place) => row.columns.get(*place).cloned().flatten(),
            Key::Value(number) => match known_value(plan, reach, row, &plan.shaped.values[*number]) {
                None => {
                    is_known = false;
                    None
                }
                Some(OutputValue::Null) => None,
                Some(OutputValue::Number(text)) => Some(text.into_bytes()),
                Some(OutputValue::Text(text)) => Some(text),
            },
        };
        let columns: Vec<Option<Vec<u8>>> = self.keys.iter().map(&mut value).collect();
        let columns: Vec<Option<&[u8]>> = columns.iter().map(Option::as_deref).collect();
        match (is_known, self.condition.judge(&columns)) {
            (false, _) => Verdict::Undecided,
            (true, Some(true)) => Verdict::Shown,
            (true, _) => Verdict::Hidden,
        }
    }
}

/// Puts the groups of a step in their order; what is folded is last.
pub(crate) fn sort(step: &mut Finished) {
    let Some(plan) = step.plan.clone().filter(|plan| !plan.shaped.order.is_empty()) else {
        return;
    };
    let reach = Reach::of(step);
    let rows = std::mem::take(&mut step.rows);
    let mut ranked: Vec<(Rank, Row)> = rows
        .into_iter()
        .map(|row| (Rank::of(&plan, reach, &row), row))
        .collect();
    ranked.sort_by(|(left, left_row), (right, right_row)| {
        let is_other = |row: &Row| row.kind == RowKind::Other;
        (is_other(left_row).cmp(&is_other(right_row)))
            .then_with(|| left.compare(right, &plan.shaped.order))
            .then_with(|| left_row.columns.cmp(&right_row.columns))
    });
    step.rows = ranked.into_iter().map(|(_, row)| row).collect();
}

/// The values of an order's keys.
struct Rank(Vec<RankValue>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RankValue {
    Number(i128),
    Text(Vec<u8>),
    /// Nothing, or nothing that is known: last in both directions.
    Null,
}

impl Rank {
    fn of(plan: &Plan, reach: Reach, row: &Row) -> Self {
        let value = |order: &Order| match order.key {
            Key::Group(place) => (row.columns.get(place).cloned().flatten()).map_or(RankValue::Null, RankValue::Text),
            Key::Value(number) => match known_value(plan, reach, row, &plan.shaped.values[number]) {
                None | Some(OutputValue::Null) => RankValue::Null,
                Some(OutputValue::Text(text)) => RankValue::Text(text),
                Some(OutputValue::Number(text)) => nanos_of(&text).map_or(RankValue::Null, RankValue::Number),
            },
        };
        Self(plan.shaped.order.iter().map(value).collect())
    }

    fn compare(&self, other: &Self, order: &[Order]) -> Ordering {
        let pairs = self.0.iter().zip(&other.0).zip(order);
        let each = pairs.map(|((left, right), order)| match (left, right) {
            (RankValue::Null, _) | (_, RankValue::Null) => left.cmp(right),
            _ if order.direction == Direction::Descending => right.cmp(left),
            _ => left.cmp(right),
        });
        each.fold(Ordering::Equal, Ordering::then)
    }
}

/// The groups that are kept of the whole answer, as many as `limit`; `None` if all are. They are chosen for the whole
/// answer and not for each step, so that a chart has `limit` lines and one more: the first by the order, each by what
/// it is of all steps together, else those with most records; ties by key.
pub(crate) fn choose(steps: &[Finished], main: &Plan, limit: usize, notes: &mut Notes) -> Option<BTreeSet<Group>> {
    let rows = || {
        steps
            .iter()
            .flat_map(|step| step.rows.iter().map(move |row| (step, row)))
    };
    let mut groups: BTreeMap<&Group, Row> = BTreeMap::new();
    for (step, row) in rows().filter(|(_, row)| row.kind != RowKind::Other) {
        let whole = groups
            .entry(&row.columns)
            .or_insert_with(|| Row::empty(main, row.columns.clone()));
        match step.plan.as_ref().is_some_and(|plan| plan.merges_with(main)) {
            true => whole.join(main, row),
            false => {
                whole.records += row.records;
                notes.has_other_version |= !main.shaped.order.is_empty();
            }
        }
    }
    if groups.len() <= limit {
        return None;
    }
    notes.chooses = true;
    include_zeros(steps, main, &mut groups);
    let reach = Reach::of_all(steps);
    let mut ranked: Vec<(Rank, u64, Group)> = (groups.into_iter())
        .map(|(group, row)| (Rank::of(main, reach, &row), row.records, group.clone()))
        .collect();
    ranked.sort_by(|left, right| {
        let by_order = left.0.compare(&right.0, &main.shaped.order);
        let by_records = || match main.shaped.order.is_empty() {
            true => right.1.cmp(&left.1),
            false => Ordering::Equal,
        };
        by_order.then_with(by_records).then_with(|| left.2.cmp(&right.2))
    });
    Some(ranked.into_iter().take(limit).map(|(_, _, group)| group).collect())
}

/// A group that is known to be absent from a step is zero there.
fn include_zeros(steps: &[Finished], main: &Plan, groups: &mut BTreeMap<&Group, Row>) {
    if main.over_points.is_empty() {
        return;
    }
    for step in steps {
        let plan = step.plan.as_ref().filter(|plan| plan.merges_with(main));
        if !plan.is_some_and(|plan| is_nothing_zero(step, plan)) {
            continue;
        }
        let present: BTreeSet<&Group> = step.rows.iter().map(|row| &row.columns).collect();
        let absent = groups.iter_mut().filter(|(group, _)| !present.contains(**group));
        absent.for_each(|(_, row)| row.include_zero(main));
    }
}

/// Folds the groups of a step that are not kept.
pub(crate) fn fold_beyond(step: &mut Finished, kept: &BTreeSet<Group>) {
    let Some(plan) = step.plan.clone() else { return };
    let is_kept = |row: &Row| row.kind != RowKind::Other && kept.contains(&row.columns);
    let (mut rows, beyond): (Vec<Row>, Vec<Row>) = std::mem::take(&mut step.rows).into_iter().partition(is_kept);
    let folds = beyond.iter().any(|row| row.kind != RowKind::Other);
    if !beyond.is_empty() {
        let mut other = Row::empty(&plan, vec![Some(OTHER.as_bytes().to_vec()); plan.grouping.len()]);
        other.kind = RowKind::Other;
        beyond.iter().for_each(|row| other.join(&plan, row));
        rows.push(other);
    }
    step.rows = rows;
    if folds {
        step.facts.flags.insert(Flag::GroupsFolded);
    }
}
