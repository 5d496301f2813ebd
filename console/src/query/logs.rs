//! A question to logs: what it has the cluster count, and its answer from the windows that come back.
//!
//! Those windows are like stored ones, so the answer is made by the code that makes it of stored points: the same
//! completeness, the same `having`, `order by`, `limit` and `fill`.

use super::answer::Answer;
use super::error::QueryError;
use super::explain::Explanation;
use super::run::Asked;
use configs::Diagnostic;
use configs::monitor::Monitor;
use configs::query::{Part, Placed, Query, RawQuery, Select};
use map::plan::Plan;
use map::protocol::Definition;
use std::collections::BTreeMap;
use std::ops::Range;
use store::StoredWindow;

/// A question to the logs of an application.
pub struct LogsAsked {
    asked: Asked,
    /// What is counted.
    pub definition: Definition,
    /// The application.
    pub app: String,
    /// The log's path.
    pub log: String,
    /// Starts of the windows.
    pub windows: Range<i64>,
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
            asked,
            definition: Definition::Yaml(raw.definition),
            app,
            log,
        })
    }

    /// Its answer from these windows, in order.
    ///
    /// # Errors
    /// If the answer would pass a bound.
    pub fn answer(&self, windows: Vec<StoredWindow>) -> Result<Answer, QueryError> {
        self.asked.answer_of(windows)
    }

    /// Says what it means.
    ///
    /// # Errors
    /// As [`LogsAsked::new`].
    pub fn explain(&self) -> Result<Explanation, QueryError> {
        let mut explanation = self.asked.explain()?;
        if let Some(source) = explanation.plan.first_mut() {
            let (log, app) = (&self.log, &self.app);
            source.text = format!("the log {log} on the hosts of `{app}`, read once for this question");
        }
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
