//! Answers about a monitor at several times, joined into one: each step beside that of the other times.
//!
//! Each is answered for itself, so that each point keeps its own completeness: a gap of last week is none of today.

use super::answer::{AbsentValue, Answer, QueryPoint};
use super::error::QueryError;
use super::plan::Plan;
use configs::Diagnostic;
use configs::query::{Part, Query};
use std::sync::Arc;

/// The group column that says from which source a point is, where there are several.
const COLUMN: &str = "source";

/// Answers that are being joined.
pub(super) struct Joined {
    has_several: bool,
    whole: Option<Answer>,
}

impl Joined {
    pub(super) fn new(query: &Query) -> Self {
        Self {
            has_several: query.parts.len() > 1,
            whole: None,
        }
    }

    pub(super) fn add(&mut self, part: &Part, mut answer: Answer) {
        if self.has_several {
            let column: Arc<str> = COLUMN.into();
            let points = std::mem::take(&mut answer.points).into_iter();
            answer.points = points.map(|point| point.of_source(&column, &part.name)).collect();
            answer.group_by.insert(0, COLUMN.to_owned());
            let warnings = answer.warnings.iter();
            answer.warnings = warnings.map(|warning| format!("{}: {warning}", part.name)).collect();
        }
        match &mut self.whole {
            None => self.whole = Some(answer),
            Some(whole) => {
                whole.points.extend(answer.points);
                whole.warnings.extend(answer.warnings);
                whole.is_partial |= answer.is_partial;
                for ((_, value), (_, other)) in whole.absent.iter_mut().zip(&answer.absent) {
                    if *other == AbsentValue::Null {
                        *value = AbsentValue::Null;
                    }
                }
            }
        }
    }

    /// The answer: by step, then source in the order written.
    pub(super) fn finish(self) -> Result<Answer, QueryError> {
        let mut whole = self
            .whole
            .ok_or_else(|| QueryError::Unreadable("the question has no source".to_owned()))?;
        if self.has_several {
            whole.points.sort_by_key(QueryPoint::start_ns);
        }
        Ok(whole)
    }
}

/// Refuses a part whose steps would not lie beside those of the others, or a column that would have two meanings.
pub(super) fn check(text: &str, query: &Query, part: &Part, plan: &Plan) -> Result<(), QueryError> {
    let unfit = |message: String, hint: String| {
        QueryError::Unfit(Box::new(Diagnostic::of_query(
            text,
            part.span.clone(),
            message,
            Some(hint),
        )))
    };
    let offset_ns = i64::try_from(part.offset_ms)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000);
    if offset_ns % plan.step_ns.max(1) != 0 {
        let step_ms = plan.step_ns / 1_000_000;
        return Err(unfit(
            format!("the steps of {step_ms} ms do not lie beside those so long before"),
            format!("write an offset that is a multiple of {step_ms}ms"),
        ));
    }
    if query.parts.len() > 1 && plan.grouping.iter().any(|(name, _)| **name == *COLUMN) {
        return Err(unfit(
            format!("an answer of several sources has a column `{COLUMN}` of its own"),
            format!("give the group column another name: group by {COLUMN} as …"),
        ));
    }
    Ok(())
}
