//! A question to logs: what it has the cluster count, and its answer from the windows that come back: values here,
//! records by `records`.
//!
//! Those windows are like stored ones, so the answer is made by the code that makes it of stored points: the same
//! completeness, the same `having`, `order by`, `limit` and `fill`.

use super::answer::Answer;
use super::error::QueryError;
use super::explain::{Explanation, Line};
use super::records::{RecordsAnswer, RecordsAsked};
use super::run::Asked;
use configs::Diagnostic;
use configs::cost::Estimate;
use configs::monitor::Monitor;
use configs::query::{Part, Placed, Query, RawQuery, RecordsQuery, RecordsSource, Select};
use map::plan::Plan;
use map::protocol::{Definition, RecordsWanted};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use store::StoredWindow;

/// A question to the logs of an application.
pub struct LogsAsked {
    asked: For,
    /// The monitor whose records are asked for, if it is one's.
    of: Option<String>,
    /// What is counted.
    pub definition: Definition,
    /// The application.
    pub app: String,
    /// The log's path.
    pub log: String,
    /// Starts of the windows.
    pub windows: Range<i64>,
    /// What counting it costs.
    estimate: Estimate,
}

/// What is asked for.
enum For {
    Values(Box<Asked>),
    Records(Box<RecordsAsked>),
}

/// What a question to logs answers.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum LogsAnswer {
    /// Values.
    Values(Answer),
    /// Records.
    Records(RecordsAnswer),
}

impl LogsAnswer {
    /// What the reader should know besides, for people.
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Values(answer) => &answer.warnings,
            Self::Records(answer) => &answer.warnings,
        }
    }

    /// Whether anything that is over is not complete.
    pub fn is_partial(&self) -> bool {
        match self {
            Self::Values(answer) => answer.is_partial,
            Self::Records(answer) => answer.is_partial,
        }
    }
}

impl LogsAsked {
    /// The question as it is meant at `now_ns`.
    ///
    /// # Errors
    /// If it names no application or cannot be counted by reading once, or its range cannot be read.
    pub fn new(text: &str, raw: RawQuery, now_ns: i64) -> Result<Self, QueryError> {
        let (app, log) = placed(text, &raw.monitor)?;
        let plan = Plan::new(&raw.monitor).map_err(|error| unfit(text, error.to_string(), "count something else"))?;
        let whole = 0..text.len();
        let name = raw.monitor.name.clone();
        let estimate = Estimate::of(&raw.monitor);
        let query = Query {
            parts: vec![Part {
                name: name.clone(),
                offset_ms: 0,
                span: whole.clone(),
            }],
            source: Placed {
                value: name,
                span: whole,
            },
            select: Select::All,
            filter: None,
            group_by: None,
            every_ms: None,
            shaping: raw.shaping,
            range: raw.monitor.range,
        };
        // The version is of no weight: there is but one.
        let asked = Asked::new(text, query, BTreeMap::from([(0, plan.shape())]), Some(0), now_ns);
        Ok(Self {
            windows: asked.windows()?,
            asked: For::Values(Box::new(asked)),
            of: None,
            definition: Definition::Yaml(raw.definition),
            estimate,
            app,
            log,
        })
    }

    /// The question for records of a log, as it is meant at `now_ns`.
    ///
    /// # Errors
    /// As [`LogsAsked::new`].
    pub fn records(text: &str, query: &RecordsQuery, now_ns: i64) -> Result<Self, QueryError> {
        match &query.source {
            RecordsSource::Log { monitor, definition } => {
                let definition = Definition::Yaml(definition.clone());
                Self::of_records(text, (query, None), (monitor, definition), now_ns)
            }
            RecordsSource::Monitor { name, .. } => {
                Err(QueryError::Unreadable(format!("nobody said what `{}` is", name.value)))
            }
        }
    }

    /// The question for records of a monitor, which is this one: its document, as the Brain has it.
    ///
    /// # Errors
    /// As [`LogsAsked::new`]; also if the monitor reads no log.
    pub fn records_of(text: &str, query: &RecordsQuery, document: String, now_ns: i64) -> Result<Self, QueryError> {
        let RecordsSource::Monitor { name, .. } = &query.source else {
            return Self::records(text, query, now_ns);
        };
        let definition = Definition::Yaml(document);
        let monitor = map::definition::definition(&definition).map_err(QueryError::Unreadable)?;
        let at = |message: String, hint: &str| {
            let (span, hint) = (name.span.clone(), Some(hint.to_owned()));
            QueryError::Unfit(Box::new(Diagnostic::of_query(text, span, message, hint)))
        };
        if monitor.is_by_arrival() {
            let message = format!(
                "when the lines of `{}` arrived is known only to who saw them arrive",
                name.value
            );
            return Err(at(
                message,
                "look at the log itself: its last lines are shown beside the host",
            ));
        }
        if monitor.log.is_none() || monitor.app.is_none() {
            let message = format!("`{}` counts no records of an application's log", name.value);
            return Err(at(message, "ask a monitor that reads one"));
        }
        let of = Some(name.value.clone());
        Self::of_records(text, (query, of), (&monitor, definition), now_ns)
    }

    fn of_records(
        text: &str,
        (query, of): (&RecordsQuery, Option<String>),
        (monitor, definition): (&Monitor, Definition),
        now_ns: i64,
    ) -> Result<Self, QueryError> {
        let (app, log) = placed(text, monitor)?;
        let asked = RecordsAsked::new(text, query, monitor, now_ns)?;
        Ok(Self {
            windows: asked.windows(),
            asked: For::Records(Box::new(asked)),
            of,
            definition,
            estimate: Estimate::of(monitor),
            app,
            log,
        })
    }

    /// Which records themselves are wanted, if any are.
    pub fn wanted(&self) -> Option<&RecordsWanted> {
        match &self.asked {
            For::Values(_) => None,
            For::Records(asked) => Some(asked.wanted()),
        }
    }

    /// Its answer from these windows, in order. One that `is_final` is not is never complete.
    ///
    /// # Errors
    /// If the answer would pass a bound.
    pub fn answer(&self, windows: Vec<StoredWindow>, is_final: bool) -> Result<LogsAnswer, QueryError> {
        match &self.asked {
            For::Values(asked) => {
                let mut answer = asked.answer_of(windows)?;
                answer.is_partial |= !is_final;
                Ok(LogsAnswer::Values(answer))
            }
            For::Records(asked) => {
                let mut answer = asked.answer(windows)?;
                answer.is_partial |= !is_final;
                Ok(LogsAnswer::Records(answer))
            }
        }
    }

    /// Says what it means.
    ///
    /// # Errors
    /// As [`LogsAsked::new`].
    pub fn explain(&self) -> Result<Explanation, QueryError> {
        let (log, app) = (&self.log, &self.app);
        let of = self
            .of
            .as_ref()
            .map_or(String::new(), |of| format!(", as `{of}` counts it"));
        let said = format!("the log {log} on the hosts of `{app}`, read once for this question{of}");
        let mut explanation = match &self.asked {
            For::Records(asked) => asked.explain(said),
            For::Values(asked) => {
                let mut explanation = asked.explain()?;
                if let Some(source) = explanation.plan.first_mut() {
                    source.text = said;
                }
                explanation
            }
        };
        explanation.plan.push(Line {
            name: "cost",
            text: format!("estimated: {} that is read", self.estimate),
        });
        Ok(explanation)
    }
}

/// The application and the log; refuses what cannot be read once.
fn placed(text: &str, monitor: &Monitor) -> Result<(String, String), QueryError> {
    if monitor.is_by_arrival() {
        let message = "when lines arrived is known only to who saw them arrive";
        return Err(unfit(
            text,
            message,
            "count them by a monitor with `timestamp: arrival`",
        ));
    }
    match (&monitor.app, &monitor.log) {
        (_, None) => {
            let message = "the query names neither a monitor nor a log to ask";
            Err(unfit(
                text,
                message,
                "write: select … from <monitor>, or from log '/path'",
            ))
        }
        (None, _) => {
            let message = "on whose hosts is the log?";
            Err(unfit(text, message, "name the application: where app = 'shop'"))
        }
        (Some(app), Some(log)) => Ok((app.clone(), log.clone())),
    }
}

fn unfit(text: &str, message: impl Into<String>, hint: &str) -> QueryError {
    let diagnostic = Diagnostic::of_query(text, 0..text.len(), message, Some(hint.to_owned()));
    QueryError::Unfit(Box::new(diagnostic))
}
