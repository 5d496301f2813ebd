//! What windows are counted by: what a monitor's numbers mean, and when its windows are answered first.

use configs::monitor::Monitor;
use map::plan::{Plan, Shape};
use map::protocol::{Definition, RecordsWanted};
use std::sync::Arc;

/// How a definition becomes a monitor; `map::definition::definition` is one.
pub type ReadDefinition = fn(&Definition) -> Result<Monitor, String>;

/// What is counted for a question has no name of its own.
const QUESTION: &str = "query";

/// What windows are counted by.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What the counts mean.
    pub shape: Arc<Shape>,
    /// How long after its end a window's first answer comes.
    pub grace_ns: i64,
}

impl Terms {
    /// What a definition says under a monitor's name.
    ///
    /// # Errors
    /// Why it cannot be counted, for people.
    pub fn of(definition: &Definition, monitor: &str, read: ReadDefinition) -> Result<Self, String> {
        let read = read(definition)?;
        let plan = Plan::new(&read).map_err(|error| error.to_string())?;
        Self::new(&read, &plan, monitor)
    }

    /// What a definition says for a question, which may be one for records.
    ///
    /// # Errors
    /// As [`Terms::of`].
    pub fn of_question(
        definition: &Definition,
        records: Option<&RecordsWanted>,
        read: ReadDefinition,
    ) -> Result<Self, String> {
        let Some(wanted) = records else {
            return Self::of(definition, QUESTION, read);
        };
        let (monitor, plan) = map::definition::of_records(read(definition)?, wanted)?;
        Self::new(&monitor, &plan, QUESTION)
    }

    fn new(read: &Monitor, plan: &Plan, monitor: &str) -> Result<Self, String> {
        if plan.window_ns <= 0 {
            return Err("its windows have no length: set `window`".to_owned());
        }
        let mut shape = plan.shape();
        monitor.clone_into(&mut shape.monitor);
        let grace_ns = i64::try_from(read.grace_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000);
        Ok(Self {
            shape: Arc::new(shape),
            grace_ns,
        })
    }
}
