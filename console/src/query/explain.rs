//! What a question means before it is answered: what is read, how it merges, what is made of it.

use super::evaluate::needed_states;
use super::nature::Nature;
use super::plan::{End, Plan, Term};
use configs::expr::Expr;
use configs::query::{Direction, Query, Select};
use reduce::point::rfc3339;
use serde::Serialize;
use std::collections::BTreeSet;
use std::ops::Range;

/// A question's plan, for people: what each line is about, and what it says.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The lines, in the order in which things are done.
    pub plan: Vec<Line>,
}

/// A line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is about.
    pub name: &'static str,
    /// What it says.
    pub text: String,
}

/// Explains a question that was compiled as `plan`; `ranges` are the starts of the windows that each part reads.
pub(super) fn explain(query: &Query, plan: &Plan, versions: usize, ranges: &[Range<i64>]) -> Explanation {
    let mut lines = Vec::new();
    let mut say = |name: &'static str, text: String| lines.push(Line { name, text });
    let of_versions = if versions == 1 {
        String::new()
    } else {
        format!(", {versions} versions of it")
    };
    say(
        "source",
        format!("stored points of `{}`{of_versions}", query.source.value),
    );
    for (part, range) in query.parts.iter().zip(ranges) {
        say("read", read(plan, part.offset_ms, range));
    }
    if let Some(filter) = &query.filter {
        say(
            "filter",
            format!("{filter}: groups that do not meet it are left out of each window as it is read"),
        );
    }
    say("steps", steps(plan));
    say("groups", groups(plan));
    for (name, term) in &plan.outputs {
        let written = match &query.select {
            Select::All => name.to_string(),
            Select::Outputs(outputs) => written(outputs.iter().map(|output| (&*output.name, &output.expr)), name),
        };
        let alias = if written == **name {
            String::new()
        } else {
            format!("{name} = ")
        };
        say("output", format!("{alias}{written}: {}", merges(plan, term)));
    }
    for line in shaping(query) {
        lines.push(line);
    }
    Explanation { plan: lines }
}

fn written<'q>(mut outputs: impl Iterator<Item = (&'q str, &'q Expr)>, name: &str) -> String {
    let output = outputs.find(|(output, _)| *output == name);
    output.map_or(name.to_owned(), |(_, expr)| expr.to_string())
}

fn read(plan: &Plan, offset_ms: u64, range: &Range<i64>) -> String {
    let windows = (range.end.saturating_sub(range.start) / plan.window_ns.max(1)).max(0);
    let offset = if offset_ms > 0 {
        format!(", shown {offset_ms} ms later")
    } else {
        String::new()
    };
    format!(
        "at most {windows} windows of {} ms, starts in [{}, {}){offset}; of each, {} of {} states",
        plan.window_ns / 1_000_000,
        rfc3339(range.start),
        rfc3339(range.end),
        plan.needed.len(),
        plan.kinds.len()
    )
}

fn steps(plan: &Plan) -> String {
    let step_ms = plan.step_ns / 1_000_000;
    match plan.step_ns / plan.window_ns.max(1) {
        1 => format!("{step_ms} ms, each one window"),
        windows => format!("{step_ms} ms, each merged of {windows} windows"),
    }
}

fn groups(plan: &Plan) -> String {
    if plan.grouping.is_empty() {
        return "all groups in one".to_owned();
    }
    let names: Vec<&str> = plan.grouping.iter().map(|(name, _)| &**name).collect();
    let stored = plan.group_names.len();
    format!("by {} (the monitor keeps {stored} columns apart)", names.join(", "))
}

/// How an output is merged, over windows and groups.
fn merges(plan: &Plan, term: &Term) -> String {
    match term {
        Term::Nothing => "null: this version of the monitor does not have it".to_owned(),
        Term::Merged(node) => {
            let nature = Nature::of(node);
            format!(
                "{}; {}{}",
                nature.describe(),
                nature.merge_rule(),
                conditions(plan, term)
            )
        }
        Term::OverPoints(index) => {
            let over = &plan.over_points[*index];
            let end = match over.end {
                End::Least => "least",
                End::Greatest => "greatest",
            };
            format!("the {end} of the stored points, each computed for itself")
        }
        Term::Windows => "the number of windows".to_owned(),
        Term::Negate(_) | Term::Arithmetic(..) => {
            let mut states = BTreeSet::new();
            needed_states(plan, term, &mut states);
            format!("computed from {} states after they are merged", states.len())
        }
    }
}

/// States under a condition are numbered behind those without.
fn conditions(plan: &Plan, term: &Term) -> &'static str {
    match super::evaluate::is_conditional(plan, term) {
        true => ", of groups that meet its condition",
        false => "",
    }
}

fn shaping(query: &Query) -> Vec<Line> {
    let shaping = &query.shaping;
    let mut lines = Vec::new();
    let mut say = |name: &'static str, text: String| lines.push(Line { name, text });
    if let Some(having) = &shaping.having {
        say(
            "having",
            format!("{having}: judged for each group of each step by its values"),
        );
    }
    let keys: Vec<String> = (shaping.order_by.iter())
        .map(|key| match key.direction {
            Direction::Ascending => key.expr.to_string(),
            Direction::Descending => format!("{} desc", key.expr),
        })
        .collect();
    if let Some(limit) = shaping.limit {
        let by = match keys.is_empty() {
            true => "with most records".to_owned(),
            false => format!("that are first by {}", keys.join(", ")),
        };
        say(
            "limit",
            format!("the {limit} groups {by} in the whole answer; the rest are `__other__`"),
        );
    }
    if !keys.is_empty() {
        say(
            "order",
            format!("in each step by {}, null last, ties by group", keys.join(", ")),
        );
    }
    if let Some(fill) = &shaping.fill {
        say(
            "fill",
            format!("{}: a point for every group in every step", fill.value.name()),
        );
    }
    lines
}
