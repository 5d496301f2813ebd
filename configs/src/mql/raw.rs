//! Questions about logs themselves: what they count, or the records. Each is a monitor for one time, so that whoever
//! runs it needs no second way of counting.

use super::clauses::{Clauses, Placed as Clause, monitor, range};
use super::{print, shaping};
use crate::diagnostic::Mistake;
use crate::expr::{Column, ExprKind};
use crate::query::{
    Direction, OrderKey, Placed, RECORDS_DEFAULT, RECORDS_MAX, RawQuery, RecordsQuery, RecordsSource, records_output,
};
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
    let direction = direction(clauses.order_by.take())?;
    let span = clauses.star.take().unwrap_or_default();
    let source = match clauses.log_of.take() {
        Some((name, span)) => {
            refuse_of_a_monitor(&clauses)?;
            RecordsSource::Monitor {
                name: Placed { value: name, span },
                condition: clauses.filter.take(),
            }
        }
        None => {
            clauses.outputs = vec![records_output(span)];
            let form = clauses.rule.as_ref().map(|(form, _)| form.clone());
            let (since, from_to) = (clauses.since.clone(), clauses.from_to.clone());
            let monitor = monitor(clauses)?;
            let definition = print::definition(&monitor, form.as_ref());
            return Ok(RecordsQuery {
                source: RecordsSource::Log {
                    monitor: Box::new(monitor),
                    definition,
                },
                limit,
                direction,
                range: range(since, from_to),
            });
        }
    };
    Ok(RecordsQuery {
        source,
        limit,
        direction,
        range: range(clauses.since, clauses.from_to),
    })
}

/// `order by time`, or `order by time desc`.
fn direction(order_by: Clause<Vec<OrderKey>>) -> Result<Direction, Mistake> {
    let Some((keys, span)) = order_by else {
        return Ok(Direction::Ascending);
    };
    match keys.as_slice() {
        [key] if key.expr.kind == ExprKind::Column(Column::Field("time".to_owned())) => Ok(key.direction),
        _ => {
            let span = keys.first().map_or(span, |key| key.expr.span.clone());
            let mistake = Mistake::new(span, "records stand in the order of their times");
            Err(mistake.hint("write order by time, or order by time desc for the latest first"))
        }
    }
}

/// The place of a clause that is given.
fn place<T>(clause: &Clause<T>) -> Option<Range<usize>> {
    clause.as_ref().map(|(_, span)| span.clone())
}

/// How its records are found and cut the monitor says.
fn refuse_of_a_monitor(clauses: &Clauses) -> Result<(), Mistake> {
    let foreign = [
        ("parse", place(&clauses.rule)),
        ("records", place(&clauses.records)),
        ("lateness", place(&clauses.lateness_ms)),
        ("delay", place(&clauses.delay_ms)),
        ("grace", place(&clauses.grace_ms)),
        ("timezone", place(&clauses.timezone)),
        ("timestamp", place(&clauses.timestamp)),
        ("encoding", place(&clauses.encoding)),
        ("app", place(&clauses.app)),
    ];
    match foreign.into_iter().find_map(|(name, span)| Some((name, span?))) {
        None => Ok(()),
        Some((name, span)) => {
            let mistake = Mistake::new(
                span,
                format!("`{name}` is the monitor's: its records are asked for as it counts them"),
            );
            Err(mistake.hint("leave it out, or name the log itself: from log '/…'"))
        }
    }
}

/// Records are not grouped, and stand in the order of their times.
fn refuse_aggregation(clauses: &Clauses) -> Result<(), Mistake> {
    let foreign = [
        ("group by", clauses.group_by.first().map(|(_, span)| span.clone())),
        ("every", place(&clauses.window_ms)),
        ("having", place(&clauses.having)),
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
