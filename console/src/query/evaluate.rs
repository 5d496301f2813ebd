//! Values of an answer: arithmetic over merged states, null wherever a value is not known.

use super::answer::{AbsentValue, Head, QueryPoint};
use super::merge::{Finished, Row, RowKind};
use super::plan::{Detail, Plan, Term};
use configs::expr::BinaryOp;
use map::number::Decimal;
use map::plan::OutputNode;
use reduce::value::{OutputValue, evaluate};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Columns of a group of the answer.
pub(crate) type Group = Vec<Option<Vec<u8>>>;

/// How far the windows reach from which a row was merged: what is known of it depends on them all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    value_windows: u64,
    covered_ns: i64,
    is_folded: bool,
    is_whole: bool,
}

impl Reach {
    /// Of a row of one step.
    pub(crate) fn of(step: &Finished) -> Self {
        Self {
            value_windows: step.value_windows,
            covered_ns: step.covered_ns,
            is_folded: step.is_folded,
            is_whole: step.facts.is_whole(),
        }
    }

    /// Of a row of several steps.
    pub(crate) fn of_all(steps: &[Finished]) -> Self {
        let nothing = Self {
            value_windows: 0,
            covered_ns: 0,
            is_folded: false,
            is_whole: true,
        };
        steps.iter().map(Self::of).fold(nothing, |all, step| Self {
            value_windows: all.value_windows + step.value_windows,
            covered_ns: all.covered_ns + step.covered_ns,
            is_folded: all.is_folded || step.is_folded,
            is_whole: all.is_whole && step.is_whole,
        })
    }
}

/// The points of a step, by group; at least one.
pub(crate) fn points(step: &Finished, head: &Arc<Head>, names: &[Arc<str>]) -> Vec<QueryPoint> {
    let Some(plan) = &step.plan else {
        return vec![QueryPoint::without_values(Arc::clone(head), names)];
    };
    if step.rows.is_empty() {
        let values = values_of_nothing(step, plan, &Row::empty(plan, Vec::new()));
        return vec![QueryPoint::new(Arc::clone(head), Vec::new(), named(names, values))];
    }
    step.rows
        .iter()
        .map(|row| point(step, plan, head, names, row))
        .collect()
}

/// The point of a row.
pub(crate) fn point(step: &Finished, plan: &Plan, head: &Arc<Head>, names: &[Arc<str>], row: &Row) -> QueryPoint {
    let values = plan.outputs.iter().map(|(_, term)| value(plan, step, row, term));
    QueryPoint::new(
        Arc::clone(head),
        named_group(plan, &row.columns),
        named(names, values.collect()),
    )
}

/// The outputs of a group that is not in a step, as a row in which nothing was counted: null unless that is known.
pub(crate) fn values_of_nothing(step: &Finished, plan: &Plan, row: &Row) -> Vec<OutputValue> {
    let is_known = !step.is_judged && is_nothing_zero(step, plan);
    let value = |(_, term): &(Arc<str>, Term)| match is_known {
        true => value(plan, step, row, term),
        false => OutputValue::Null,
    };
    plan.outputs.iter().map(value).collect()
}

/// Names and texts of a group's columns.
pub(crate) fn named_group(plan: &Plan, columns: &[Option<Vec<u8>>]) -> Vec<(Arc<str>, Option<Vec<u8>>)> {
    let group = plan.grouping.iter().zip(columns);
    group
        .map(|((name, _), text)| (Arc::clone(name), text.clone()))
        .collect()
}

/// Values by the names of the outputs.
pub(crate) fn named(names: &[Arc<str>], values: Vec<OutputValue>) -> Vec<(Arc<str>, OutputValue)> {
    names.iter().cloned().zip(values).collect()
}

/// Whether a step in which no group was selected is known to be zero (C3). A total of everything is exactly zero for
/// the hosts that are ok; that a group is absent is known only if every host is, and none was folded.
pub(crate) fn is_nothing_zero(step: &Finished, plan: &Plan) -> bool {
    let is_total = plan.grouping.is_empty() && plan.filter.is_none();
    match is_total {
        true => step.facts.ok > 0,
        false => step.facts.is_whole() && !step.is_folded,
    }
}

fn value(plan: &Plan, step: &Finished, row: &Row, term: &Term) -> OutputValue {
    known_value(plan, Reach::of(step), row, term).unwrap_or(OutputValue::Null)
}

/// A value; `None` where it is not known, which is more than that there is none.
pub(crate) fn known_value(plan: &Plan, reach: Reach, row: &Row, term: &Term) -> Option<OutputValue> {
    if row.kind == RowKind::Unknown || reach.covered_ns <= 0 || *term == Term::Nothing {
        return None;
    }
    let mut sets = BTreeSet::new();
    sets_of(plan, term, &mut sets);
    if !sets.iter().all(|set| is_condition_known(plan, reach, row, *set)) {
        return None;
    }
    Some(match lower(term, row, reach.value_windows) {
        Some(node) => evaluate(&node, &row.states, reach.covered_ns),
        None => OutputValue::Null,
    })
}

/// What an output of an absent group is where absence is known (C3).
pub(crate) fn absent_value(plan: &Plan, term: &Term) -> AbsentValue {
    let mut row = Row::empty(plan, Vec::new());
    row.include_zero(plan);
    // Of a group that is absent from one window; from many, it is the same.
    let node = lower(term, &row, 1);
    let value = node.map(|node| evaluate(&node, &row.states, plan.window_ns));
    match value {
        Some(OutputValue::Number(text)) if text == "0" => AbsentValue::Zero,
        _ => AbsentValue::Null,
    }
}

/// Whether it is known which of a row's groups meet a condition: not of folded ones, and that none does only if no
/// group can be absent.
fn is_condition_known(plan: &Plan, reach: Reach, row: &Row, set: usize) -> bool {
    match (set, row.kind, plan.detail) {
        (0, ..) => true,
        (_, RowKind::Other, _) => false,
        (_, _, Detail::Stored) => true,
        _ => !reach.is_folded && (row.matched[set] || reach.is_whole),
    }
}

/// Whether a term is of the groups that meet a condition of its own.
pub(crate) fn is_conditional(plan: &Plan, term: &Term) -> bool {
    let mut sets = BTreeSet::new();
    sets_of(plan, term, &mut sets);
    sets.iter().any(|set| *set > 0)
}

/// The conditions under which a term's states are kept.
fn sets_of(plan: &Plan, term: &Term, sets: &mut BTreeSet<usize>) {
    match term {
        Term::Nothing | Term::Windows => {}
        Term::Merged(node) => states_of(node, &mut |state| {
            sets.insert(state % plan.sets());
        }),
        Term::OverPoints(index) => {
            sets.insert(plan.over_points[*index].set);
        }
        Term::Negate(inner) => sets_of(plan, inner, sets),
        Term::Arithmetic(_, left, right) => {
            sets_of(plan, left, sets);
            sets_of(plan, right, sets);
        }
    }
}

/// States of the monitor that a term is computed from.
pub(crate) fn needed_states(plan: &Plan, term: &Term, states: &mut BTreeSet<usize>) {
    match term {
        Term::Nothing | Term::Windows => {}
        Term::Merged(node) => states_of(node, &mut |state| {
            states.extend(plan.needed.get(state / plan.sets()));
        }),
        Term::OverPoints(index) => states_of(&plan.over_points[*index].node, &mut |state| {
            states.insert(state);
        }),
        Term::Negate(inner) => needed_states(plan, inner, states),
        Term::Arithmetic(_, left, right) => {
            needed_states(plan, left, states);
            needed_states(plan, right, states);
        }
    }
}

fn states_of(node: &OutputNode, visit: &mut impl FnMut(usize)) {
    match node {
        OutputNode::Number(_) => {}
        OutputNode::State(index, _) => visit(*index),
        OutputNode::Negate(inner) => states_of(inner, visit),
        OutputNode::Arithmetic(_, left, right) => {
            states_of(left, visit);
            states_of(right, visit);
        }
    }
}

/// The term as arithmetic over the row's states, what is known of it aside put in as numbers; `None` is null.
fn lower(term: &Term, row: &Row, value_windows: u64) -> Option<OutputNode> {
    let number = |nanos: i128| OutputNode::Number(Decimal::from_nanos(nanos));
    Some(match term {
        Term::Nothing => return None,
        Term::Merged(node) => node.clone(),
        Term::OverPoints(index) => number(row.ends[*index]?),
        Term::Windows => number(i128::from(value_windows) * 1_000_000_000),
        Term::Negate(inner) => OutputNode::Negate(Box::new(lower(inner, row, value_windows)?)),
        Term::Arithmetic(op, left, right) => {
            let (left, right) = (lower(left, row, value_windows)?, lower(right, row, value_windows)?);
            let op: BinaryOp = *op;
            OutputNode::Arithmetic(op, Box::new(left), Box::new(right))
        }
    })
}
