//! The `parse` forms as people name them, and the one place where they become `logline` rules.

use crate::diagnostic::Mistake;
use crate::expr::{Column, Expr, ExprKind};
use crate::mql::check::walk;
use crate::mql::regex_fault;
use crate::nearest::nearest;
use logline::fields::{Extractor, Rule, RuleError};
use std::ops::Range;

/// The names of the forms, as they are listed to somebody who wrote another.
pub(crate) const FORM_NAMES: [&str; 10] = [
    "auto", "json", "logfmt", "kv", "split", "between", "regex", "grok", "clf", "nginx",
];

/// A `parse` form as written, in YAML or in MQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RuleForm {
    Auto,
    Json,
    Logfmt,
    Kv {
        pair: String,
        assign: String,
        after: Option<String>,
    },
    Split {
        by: String,
        fields: Vec<String>,
    },
    /// Name, text to the left, text to the right.
    Between(Vec<(String, String, String)>),
    Regex(String),
    Grok(String),
    Clf,
    /// A `log_format`; `None` is nginx's own, combined.
    Nginx(Option<String>),
}

impl RuleForm {
    /// The rule; `None` for `auto`, which is detected from the log. The error is one line for people.
    pub(crate) fn build(&self) -> Result<Option<Rule>, String> {
        let rule = match self {
            RuleForm::Auto => return Ok(None),
            RuleForm::Json => Ok(Rule::json()),
            RuleForm::Logfmt => Ok(Rule::logfmt()),
            RuleForm::Clf => Ok(Rule::clf()),
            RuleForm::Nginx(None) => Ok(Rule::nginx_combined()),
            RuleForm::Nginx(Some(log_format)) => Rule::nginx(log_format),
            RuleForm::Kv { pair, assign, after } => {
                Rule::kv(separator(pair), separator(assign), after.as_deref().map(separator))
            }
            RuleForm::Split { by, fields } => Rule::split(separator(by), fields),
            RuleForm::Between(fields) => Rule::between(fields),
            RuleForm::Regex(pattern) => Rule::regex(pattern),
            RuleForm::Grok(pattern) => Rule::grok(pattern),
        };
        rule.map(Some).map_err(message_of)
    }
}

/// MQL's and YAML's plain texts know no escapes, and a tab is hard to type: `\t` means one.
fn separator(text: &str) -> &str {
    if text == "\\t" { "\t" } else { text }
}

/// The error in one line.
fn message_of(error: RuleError) -> String {
    match error {
        RuleError::Pattern { why } => regex_fault(&why),
        error => error.to_string(),
    }
}

/// Refuses columns that look like a slip of a field's name.
///
/// A column that is far from every field of the rule may be a label of the inventory, which is not known here.
pub(crate) fn check_columns<'e>(
    rule: &Rule,
    captured: &[String],
    exprs: impl IntoIterator<Item = &'e Expr>,
    groups: impl IntoIterator<Item = (&'e Column, Range<usize>)>,
) -> Result<(), Mistake> {
    let Some(fields) = rule.fields() else { return Ok(()) };
    let mut columns: Vec<(&Column, Range<usize>)> = groups.into_iter().collect();
    for expr in exprs {
        walk(expr, &mut |node| {
            if let ExprKind::Column(column) = &node.kind {
                columns.push((column, node.span.clone()));
            }
        });
    }
    for (column, span) in columns {
        let Column::Field(name) = column else { continue };
        // A part of the log's path.
        if captured.contains(name) {
            continue;
        }
        let is_unknown = matches!(
            Extractor::new(rule, std::slice::from_ref(name)),
            Err(RuleError::UnknownColumn { .. })
        );
        if let Some(near) = nearest(name, fields.iter().map(String::as_str)).filter(|_| is_unknown) {
            let mistake = Mistake::new(span, format!("the rule {} gives no column `{name}`", rule.name()));
            return Err(mistake.hint(format!("did you mean `{near}`?")));
        }
    }
    Ok(())
}
