//! Values of an answer: arithmetic over merged states, null wherever a value is not known.

use super::answer::{AbsentValue, Head, QueryPoint};
use super::merge::{Finished, Row, RowKind};
use super::plan::{Detail, Plan, Term};
use configs::expr::BinaryOp;
use map::number::Decimal;
use map::plan::OutputNode;
use reduce::point::Flag;
use reduce::publish::OTHER;
use reduce::value::{OutputValue, evaluate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Columns of a group of the answer.
type Group = Vec<Option<Vec<u8>>>;

/// The groups with most records in all of the answer, ties by key, as many as `limit`; the rest are folded in each
/// step. They are chosen for the whole answer and not for each step, so that a chart has `limit` lines and one more.
pub(crate) fn limit_groups(steps: &mut [Finished], limit: usize) {
    let mut records: BTreeMap<&Group, u64> = BTreeMap::new();
    for row in steps
        .iter()
        .flat_map(|step| &step.rows)
        .filter(|row| row.kind != RowKind::Other)
    {
        *records.entry(&row.columns).or_default() += row.records;
    }
    if records.len() <= limit {
        return;
    }
    let mut order: Vec<(&Group, u64)> = records.into_iter().collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let kept: BTreeSet<Group> = order.into_iter().take(limit).map(|(group, _)| group.clone()).collect();
    for step in steps {
        fold_beyond(step, &kept);
    }
}

fn fold_beyond(step: &mut Finished, kept: &BTreeSet<Group>) {
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

/// The points of a step, by group; at least one.
pub(crate) fn points(step: &Finished, monitor: &Arc<str>, names: &[Arc<str>], is_merged: bool) -> Vec<QueryPoint> {
    let head = Arc::new(Head::new(step, Arc::clone(monitor), is_merged));
    let Some(plan) = &step.plan else {
        return vec![QueryPoint::without_values(head, names)];
    };
    if step.rows.is_empty() {
        let row = Row::empty(plan, Vec::new());
        let is_known = is_nothing_zero(step, plan);
        let values = names.iter().zip(&plan.outputs).map(|(name, (_, term))| {
            let value = if is_known {
                value(plan, step, &row, term)
            } else {
                OutputValue::Null
            };
            (Arc::clone(name), value)
        });
        return vec![QueryPoint::new(head, Vec::new(), values.collect())];
    }
    let point = |row: &Row| {
        let group = plan.grouping.iter().zip(&row.columns);
        let group = group
            .map(|((name, _), text)| (Arc::clone(name), text.clone()))
            .collect();
        let values = (names.iter().zip(&plan.outputs))
            .map(|(name, (_, term))| (Arc::clone(name), value(plan, step, row, term)))
            .collect();
        QueryPoint::new(Arc::clone(&head), group, values)
    };
    step.rows.iter().map(point).collect()
}

/// Whether a step in which no group was selected is known to be zero (C3). A total of everything is exactly zero for
/// the hosts that are ok; that a group is absent is known only if every host is, and none was folded.
fn is_nothing_zero(step: &Finished, plan: &Plan) -> bool {
    let is_total = plan.grouping.is_empty() && plan.filter.is_none();
    match is_total {
        true => step.facts.ok > 0,
        false => step.facts.is_whole() && !step.is_folded,
    }
}

fn value(plan: &Plan, step: &Finished, row: &Row, term: &Term) -> OutputValue {
    if row.kind == RowKind::Unknown || step.covered_ns <= 0 {
        return OutputValue::Null;
    }
    let mut sets = BTreeSet::new();
    sets_of(plan, term, &mut sets);
    if !sets.iter().all(|set| is_condition_known(plan, step, row, *set)) {
        return OutputValue::Null;
    }
    match lower(term, row, step.value_windows) {
        Some(node) => evaluate(&node, &row.states, step.covered_ns),
        None => OutputValue::Null,
    }
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
fn is_condition_known(plan: &Plan, step: &Finished, row: &Row, set: usize) -> bool {
    match (set, row.kind, plan.detail) {
        (0, ..) => true,
        (_, RowKind::Other, _) => false,
        (_, _, Detail::Stored) => true,
        _ => !step.is_folded && (row.matched[set] || step.facts.is_whole()),
    }
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
