//! Questions about logs themselves: what they count, or the records. Each is a monitor for one time, so that whoever
//! runs it needs no second way of counting.

use super::clauses::{Clauses, monitor};
use super::{print, shaping};
use crate::diagnostic::Mistake;
use crate::expr::{Aggregate, Expr, ExprKind, Function};
use crate::monitor::Output;
use crate::query::{RECORDS_DEFAULT, RECORDS_MAX, RawQuery, RecordsQuery};
use std::ops::Range;

/// A question that counts: `select count() from log '…' where … every 1m since 1h`.
pub(super) fn query(mut clauses: Clauses) -> Result<RawQuery, Mistake> {
    if let Some((_, span)) = &clauses.offset {
        let mistake = Mistake::new(span.clone(), "`offset` belongs to a question about stored points");
        return Err(mistake.hint("of a log, write the times themselves: from … to …"));
    }
    let form = clauses.rule.as_ref().map(|(form, _)| form.clone());
    let shaping = shaping::shaping(&mut clauses)?;
    let monitor = monitor(clauses)?;
    Ok(RawQuery {
        definition: print::definition(&monitor, form.as_ref()),
        monitor,
        shaping,
    })
}

/// A question for records: `select * from log '…' where … limit 50`.
pub(super) fn records(mut clauses: Clauses) -> Result<RecordsQuery, Mistake> {
    refuse_aggregation(&clauses)?;
    let limit = match clauses.limit.take() {
        Some((limit, span)) if limit > RECORDS_MAX => {
            return Err(Mistake::new(span, format!("more than {RECORDS_MAX} records"))
                .hint("to count so many, write count() instead of `*`"));
        }
        limit => limit.map_or(RECORDS_DEFAULT, |(limit, _)| limit),
    };
    let span = clauses.star.take().unwrap_or_default();
    let count = Aggregate {
        function: Function::Count,
        argument: None,
        condition: None,
    };
    clauses.outputs = vec![Output {
        name: "records".to_owned(),
        expr: Expr {
            kind: ExprKind::Aggregate(Box::new(count)),
            span,
        },
    }];
    let form = clauses.rule.as_ref().map(|(form, _)| form.clone());
    let monitor = monitor(clauses)?;
    Ok(RecordsQuery {
        definition: print::definition(&monitor, form.as_ref()),
        monitor,
        limit,
    })
}

/// Records are not grouped, and stand in the order of their log.
fn refuse_aggregation(clauses: &Clauses) -> Result<(), Mistake> {
    fn place<T>(clause: &Option<(T, Range<usize>)>) -> Option<Range<usize>> {
        clause.as_ref().map(|(_, span)| span.clone())
    }
    let foreign = [
        ("group by", clauses.group_by.first().map(|(_, span)| span.clone())),
        ("every", place(&clauses.window_ms)),
        ("having", place(&clauses.having)),
        ("order by", place(&clauses.order_by)),
        ("topk", place(&clauses.topk)),
        ("fill", place(&clauses.fill)),
        ("offset", place(&clauses.offset)),
    ];
    match foreign.into_iter().find_map(|(name, span)| Some((name, span?))) {
        None => Ok(()),
        Some((name, span)) => {
            let mistake = Mistake::new(
                span,
                format!("`{name}` belongs to a question that computes values; `*` asks for the records"),
            );
            Err(mistake.hint("write what to compute instead of `*`: select count() from log …"))
        }
    }
}
