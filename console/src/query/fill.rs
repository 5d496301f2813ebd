//! `fill`: a point for every group in every step, also where there is no value.
//!
//! A zero is put only where it is known to be one (C3): it is a value like others. What is put there from before is
//! none: the value stays null, and what was put in its place stands apart, so that nobody takes it for measured.

use super::answer::{Head, QueryPoint};
use super::error::QueryError;
use super::evaluate::{Group, named, named_group, point, points, values_of_nothing};
use super::facts::{Facts, Withheld};
use super::merge::{Finished, Row, RowKind};
use super::plan::Plan;
use super::run::POINTS_MAX;
use configs::query::Fill;
use reduce::value::OutputValue;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The steps of an answer, those that nobody stored among them.
pub(super) struct Filled<'a> {
    pub(super) fill: Fill,
    pub(super) main: &'a Arc<Plan>,
    pub(super) names: &'a [Arc<str>],
    /// Most points that may still be made.
    pub(super) points_max: u64,
}

/// Steps in `windows` that are over at `due_ns`, or are there already; all of them, without gaps.
pub(super) fn whole(steps: Vec<Finished>, main: &Plan, windows: Range<i64>, due_ns: i64) -> Vec<Finished> {
    let mut steps = steps.into_iter().peekable();
    let mut whole: Vec<Finished> = Vec::new();
    let mut start_ns = windows.start;
    while start_ns < windows.end {
        let is_over = start_ns.saturating_add(main.step_ns) <= due_ns;
        match steps.next_if(|step| step.start_ns <= start_ns) {
            Some(step) => whole.push(step),
            None if is_over => whole.push(nothing(start_ns, main, whole.last())),
            None if steps.peek().is_none() => break,
            None => {}
        }
        start_ns = start_ns.saturating_add(main.step_ns);
    }
    whole.extend(steps);
    whole
}

/// A step of which nothing is stored.
fn nothing(start_ns: i64, main: &Plan, before: Option<&Finished>) -> Finished {
    let mut facts = Facts::behind(before.map(|before| &before.facts));
    let windows = (main.step_ns / main.window_ns.max(1)) as u64;
    facts.add_absent(windows, Withheld::NotStored);
    Finished {
        start_ns,
        length_ns: main.step_ns,
        window_ns: main.window_ns,
        facts,
        plan: None,
        rows: Vec::new(),
        value_windows: 0,
        covered_ns: 0,
        is_folded: false,
        is_judged: false,
    }
}

impl Filled<'_> {
    /// The points of the steps, each with every group of the answer; those that a step does not have come last in it.
    pub(super) fn points(
        &self,
        steps: &[Finished],
        head: impl Fn(&Finished) -> Arc<Head>,
    ) -> Result<Vec<QueryPoint>, QueryError> {
        let rows = steps.iter().flat_map(|step| &step.rows);
        let mut groups: BTreeSet<&Group> = rows
            .filter(|row| row.kind != RowKind::Other)
            .map(|row| &row.columns)
            .collect();
        let only = Vec::new();
        if self.main.grouping.is_empty() {
            groups.insert(&only);
        }
        let count = (steps.len() as u64).saturating_mul(groups.len().max(1) as u64);
        if count > self.points_max {
            return Err(QueryError::TooMuch {
                what: "points",
                most: POINTS_MAX,
            });
        }
        let mut before = BTreeMap::new();
        let mut filled = Vec::new();
        for step in steps {
            let head = head(step);
            match groups.is_empty() {
                true => filled.extend(points(step, &head, self.names)),
                false => self.add_step(step, &head, &groups, &mut before, &mut filled),
            }
        }
        Ok(filled)
    }

    fn add_step(
        &self,
        step: &Finished,
        head: &Arc<Head>,
        groups: &BTreeSet<&Group>,
        before: &mut BTreeMap<Group, Vec<OutputValue>>,
        filled: &mut Vec<QueryPoint>,
    ) {
        let mut absent = groups.clone();
        for row in &step.rows {
            let plan = step.plan.as_ref().unwrap_or(self.main);
            let shown = point(step, plan, head, self.names, row);
            filled.push(match row.kind {
                RowKind::Other => shown,
                _ => self.with_before(shown, &row.columns, before),
            });
            absent.remove(&row.columns);
        }
        for group in absent {
            let plan = step.plan.as_ref().unwrap_or(self.main);
            let values = self.values_of_absent(step, plan);
            let group_names = named_group(self.main, group);
            let shown = QueryPoint::new(Arc::clone(head), group_names, named(self.names, values));
            filled.push(self.with_before(shown, group, before));
        }
    }

    /// A zero where it is known to be one, else null.
    fn values_of_absent(&self, step: &Finished, plan: &Arc<Plan>) -> Vec<OutputValue> {
        if self.fill == Fill::Null || step.plan.is_none() {
            return vec![OutputValue::Null; self.names.len()];
        }
        let mut row = Row::empty(plan, Vec::new());
        row.include_zero(plan);
        values_of_nothing(step, plan, &row)
    }

    /// The point with the last values of its group in the place of those that are null.
    fn with_before(
        &self,
        shown: QueryPoint,
        group: &Group,
        before: &mut BTreeMap<Group, Vec<OutputValue>>,
    ) -> QueryPoint {
        if self.fill != Fill::Previous {
            return shown;
        }
        let nulls = || vec![OutputValue::Null; self.names.len()];
        let last = before.entry(group.clone()).or_insert_with(nulls);
        let mut put = Vec::new();
        for ((name, value), last) in shown.values().iter().zip(last) {
            match (value, &*last) {
                (OutputValue::Null, OutputValue::Null) => {}
                (OutputValue::Null, last) => put.push((Arc::clone(name), last.clone())),
                (value, _) => *last = value.clone(),
            }
        }
        shown.filled_with(put)
    }
}
