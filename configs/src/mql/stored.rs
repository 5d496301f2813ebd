//! Questions about stored points: which clauses they may have, and what their outputs may be.
//!
//! A stored column stands for itself (it merges by its own aggregate) or in an aggregate, alone: what was computed of
//! single records before they were stored cannot be computed again.

use super::check;
use super::clauses::{Clauses, range};
use super::shaping;
use crate::diagnostic::Mistake;
use crate::expr::{Expr, ExprKind};
use crate::query::{Placed, Query, Select};
use std::ops::Range;

/// A question of clauses that name a source.
pub(super) fn query(mut clauses: Clauses) -> Result<Query, Mistake> {
    refuse_clauses_of_monitors(&clauses)?;
    for output in &clauses.outputs {
        check_output(&output.expr)?;
    }
    let shaping = shaping::shaping(&mut clauses)?;
    let (source, parts) = shaping::parts(clauses.sources, clauses.offset)?;
    let group_by: Vec<_> = (clauses.group_by.into_iter())
        .map(|(value, span)| Placed { value, span })
        .collect();
    Ok(Query {
        source,
        parts,
        select: match clauses.star {
            Some(_) => Select::All,
            None => Select::Outputs(clauses.outputs),
        },
        filter: clauses.filter,
        group_by: (!group_by.is_empty()).then_some(group_by),
        every_ms: clauses.window_ms.map(|(value, span)| Placed { value, span }),
        shaping,
        range: range(clauses.since, clauses.from_to),
    })
}

/// How records are found and cut is settled when they are stored.
fn refuse_clauses_of_monitors(clauses: &Clauses) -> Result<(), Mistake> {
    fn place<T>(clause: &Option<(T, Range<usize>)>) -> Option<Range<usize>> {
        clause.as_ref().map(|(_, span)| span.clone())
    }
    let foreign = [
        ("from log", place(&clauses.log)),
        ("from log", place(&clauses.log_of)),
        ("records", place(&clauses.records)),
        ("parse", place(&clauses.rule)),
        ("lateness", place(&clauses.lateness_ms)),
        ("delay", place(&clauses.delay_ms)),
        ("grace", place(&clauses.grace_ms)),
        ("timezone", place(&clauses.timezone)),
        ("timestamp", place(&clauses.timestamp)),
        ("encoding", place(&clauses.encoding)),
        ("app", place(&clauses.app)),
    ];
    for (name, span) in foreign {
        let Some(span) = span else { continue };
        let mistake = Mistake::new(
            span,
            format!("`{name}` belongs to a monitor, not to a question about stored points"),
        );
        return Err(match name {
            "app" => mistake.hint("write it as a condition: where app = '…'"),
            _ => mistake.hint("leave it out: the points were stored with it"),
        });
    }
    Ok(())
}

/// Arithmetic over stored columns, aggregates of them, and numbers.
fn check_output(expr: &Expr) -> Result<(), Mistake> {
    check::check_number(expr)?;
    let mut mistake = None;
    let mut names_something = false;
    check::walk(expr, &mut |node| match &node.kind {
        ExprKind::Column(_) => names_something = true,
        ExprKind::Aggregate(aggregate) => {
            names_something = true;
            let simple = aggregate
                .argument
                .as_ref()
                .is_none_or(|argument| matches!(argument.kind, ExprKind::Column(_)));
            if !simple && mistake.is_none() {
                let hint = "compute outside of it, as in 100 * sum(errors) / sum(requests)";
                let place = aggregate
                    .argument
                    .as_ref()
                    .map_or(node.span.clone(), |argument| argument.span.clone());
                mistake =
                    Some(Mistake::new(place, "over stored points an aggregate takes one stored column").hint(hint));
            }
        }
        _ => {}
    });
    match mistake {
        Some(mistake) => Err(mistake),
        None if names_something => Ok(()),
        None => Err(Mistake::new(expr.span.clone(), "an output needs a stored column").hint("such as sum(requests)")),
    }
}
