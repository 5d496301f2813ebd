//! Conditions over the columns of stored groups.
//!
//! They are compiled as a monitor's filter is, so that a condition means the same for records and for groups.

use super::error::QueryError;
use configs::Diagnostic;
use configs::expr::Expr;
use map::condition::{Node, Row};
use map::plan::{Plan, Source};

/// A condition over stored groups.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    node: Node,
    /// For each column of the condition, its place among the group's.
    columns: Vec<usize>,
}

/// The columns of a group as a condition asks for them.
struct GroupRow<'a> {
    condition: &'a Condition,
    columns: &'a [Option<&'a [u8]>],
}

impl Row for GroupRow<'_> {
    fn column(&self, number: usize) -> Option<&[u8]> {
        let place = *self.condition.columns.get(number)?;
        *self.columns.get(place)?
    }
}

impl Condition {
    /// Compiles a condition of the question `text` over groups of these columns.
    ///
    /// # Errors
    /// If it names a column that does not group.
    pub(crate) fn new(text: &str, expr: &Expr, monitor: &str, group_names: &[String]) -> Result<Self, QueryError> {
        let unfit = |message: String, hint: Option<String>| {
            QueryError::Unfit(Box::new(Diagnostic::of_query(text, expr.span.clone(), message, hint)))
        };
        let mut question = configs::parse_mql("select count()").map_err(|error| unfit(error.message, None))?;
        question.filter = Some(expr.clone());
        let plan = Plan::new(&question).map_err(|error| {
            QueryError::Unfit(Box::new(Diagnostic::of_query(text, error.span, error.message, None)))
        })?;
        let name_of = |source: &Source| match source {
            Source::Field(slot) => plan.fields[*slot].clone(),
            Source::Label(name) => name.clone(),
            Source::Line => "line".to_owned(),
        };
        let columns = plan.columns.iter().map(name_of).map(|name| {
            let place = group_names.iter().position(|group| *group == name);
            place.ok_or_else(|| {
                let message = format!("`{monitor}` keeps no `{name}` apart, so its points cannot be filtered by it");
                unfit(message, Some(groups_hint(&name, group_names)))
            })
        });
        let columns = columns.collect::<Result<_, _>>()?;
        let node = plan
            .filter
            .ok_or_else(|| unfit("the condition is empty".to_owned(), None))?;
        Ok(Self { node, columns })
    }

    /// Whether it holds for a group: what is unknown for null does not.
    pub(crate) fn holds(&self, columns: &[Option<&[u8]>]) -> bool {
        self.judge(columns) == Some(true)
    }

    /// Whether it holds for columns; `None` where null makes that unknown.
    pub(crate) fn judge(&self, columns: &[Option<&[u8]>]) -> Option<bool> {
        let row = GroupRow {
            condition: self,
            columns,
        };
        self.node.holds(&row)
    }
}

/// What to do about a column that does not group.
pub(crate) fn groups_hint(name: &str, group_names: &[String]) -> String {
    match configs::nearest(name, group_names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if group_names.is_empty() => format!("the monitor has no group columns; add `{name}` to its group_by"),
        None => format!(
            "its group columns are: {}; add `{name}` to its group_by",
            group_names.join(", ")
        ),
    }
}
