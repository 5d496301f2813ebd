//! MQL back to text: an expression, a question, and a monitor as a document. What is read from it says the same.
//!
//! Parentheses stand only where they must, since the parser bounds how deep they nest.

use super::clauses::is_clause_word;
use super::parser::{LABELS, RESERVED};
use crate::expr::{Aggregate, BinaryOp, Column, Expr, ExprKind, Function, TextMatchOp, UnaryOp};
use crate::monitor::{Absent, GroupColumn, Monitor, Output};
use crate::parse_rule::RuleForm;
use crate::query::{Direction, Fill, Query, Select, Shaping};
use std::fmt::{self, Display, Formatter};

/// How tightly what can't be taken apart binds.
const ATOM: u8 = 8;
const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const NEGATE: u8 = 7;

/// Words that mean something to an expression or behind one, besides those that begin clauses.
const WORDS: [&str; 18] = [
    "not", "contains", "matches", "null", "true", "false", "line", "where", "asc", "desc", "to", "log", "distinct",
    "offset", "field", "label", "topk", "previous",
];

impl Display for Expr {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Text(text) => write!(formatter, "{}", quoted(text, '\'')),
            ExprKind::Number(number) => formatter.write_str(number),
            ExprKind::Bool(truth) => write!(formatter, "{truth}"),
            ExprKind::Null => formatter.write_str("null"),
            ExprKind::Column(column) => write!(formatter, "{column}"),
            ExprKind::Unary(UnaryOp::Not, inner) => write!(formatter, "not {}", within(inner, NOT)),
            ExprKind::Unary(UnaryOp::Negate, inner) => write!(formatter, "-{}", within(inner, NEGATE + 1)),
            ExprKind::Binary(op, left, right) => {
                let binding = binding(self);
                // Comparisons don't chain; other operators bind to the left.
                let least = binding + u8::from(binding == COMPARISON);
                let (left, right) = (within(left, least), within(right, binding + 1));
                write!(formatter, "{left} {} {right}", operator(*op))
            }
            ExprKind::In { value, list, negated } => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                let value = within(value, COMPARISON + 1);
                write!(formatter, "{value} {}in ({})", negation(*negated), list.join(", "))
            }
            ExprKind::TextMatch {
                op,
                value,
                pattern,
                negated,
            } => {
                let op = match op {
                    TextMatchOp::Like => "like",
                    TextMatchOp::Contains => "contains",
                    TextMatchOp::Matches => "matches",
                };
                let (value, pattern) = (within(value, COMPARISON + 1), quoted(pattern, '\''));
                write!(formatter, "{value} {}{op} {pattern}", negation(*negated))
            }
            ExprKind::IsNull { value, negated } => {
                let value = within(value, COMPARISON + 1);
                write!(formatter, "{value} is {}null", negation(*negated))
            }
            ExprKind::Aggregate(aggregate) => write!(formatter, "{aggregate}"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (name, fraction) = match &self.function {
            Function::Quantile(fraction) => ("quantile", Some(fraction)),
            Function::Count => ("count", None),
            Function::Lines => ("lines", None),
            Function::Bytes => ("bytes", None),
            Function::Sum => ("sum", None),
            Function::Avg => ("avg", None),
            Function::Min => ("min", None),
            Function::Max => ("max", None),
            Function::Stddev => ("stddev", None),
            Function::Distinct => ("distinct", None),
            Function::First => ("first", None),
            Function::Last => ("last", None),
            Function::Rate => ("rate", None),
        };
        write!(formatter, "{name}(")?;
        if let Some(fraction) = fraction {
            write!(formatter, "{fraction}, ")?;
        }
        if let Some(argument) = &self.argument {
            write!(formatter, "{argument}")?;
        }
        if let Some(condition) = &self.condition {
            let blank = if self.argument.is_some() { " " } else { "" };
            write!(formatter, "{blank}where {condition}")?;
        }
        formatter.write_str(")")
    }
}

impl Display for Column {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line => formatter.write_str("line"),
            Self::Label(name) if LABELS.contains(&name.as_str()) => formatter.write_str(name),
            Self::Label(name) => write!(formatter, "label({})", quoted(name, '\'')),
            Self::Field(name) if name.is_empty() => formatter.write_str("field('')"),
            Self::Field(name) => write!(formatter, "{}", name_of(name)),
        }
    }
}

impl Display for Query {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.select {
            Select::All => formatter.write_str("select *")?,
            Select::Outputs(outputs) => {
                let outputs: Vec<String> = outputs.iter().map(output).collect();
                write!(formatter, "select {}", outputs.join(", "))?;
            }
        }
        let parts = self.parts.iter().map(|part| {
            let mut text = name_of(&self.source.value);
            if part.offset_ms > 0 {
                text += &format!(" offset {}", duration(part.offset_ms));
            }
            match part.name == self.source.value {
                true => text,
                false => format!("{text} as {}", name_of(&part.name)),
            }
        });
        write!(formatter, " from {}", parts.collect::<Vec<_>>().join(", "))?;
        if let Some(filter) = &self.filter {
            write!(formatter, " where {filter}")?;
        }
        if let Some(groups) = &self.group_by {
            let groups: Vec<String> = groups.iter().map(|group| group_column(&group.value)).collect();
            write!(formatter, " group by {}", groups.join(", "))?;
        }
        if let Some(every) = &self.every_ms {
            write!(formatter, " every {}", duration(every.value))?;
        }
        write!(formatter, "{}", self.shaping)?;
        let range = &self.range;
        for (word, time) in [("since", &range.since), ("from", &range.from), ("to", &range.to)] {
            if let Some(time) = time {
                write!(formatter, " {word} {}", quoted(time, '\''))?;
            }
        }
        Ok(())
    }
}

impl Display for Shaping {
    /// The clauses, each behind a blank.
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if let Some(having) = &self.having {
            write!(formatter, " having {having}")?;
        }
        for (number, key) in self.order_by.iter().enumerate() {
            let joint = if number == 0 { " order by" } else { "," };
            let direction = match key.direction {
                Direction::Ascending => "",
                Direction::Descending => " desc",
            };
            write!(formatter, "{joint} {}{direction}", key.expr)?;
        }
        if let Some(limit) = self.limit {
            write!(formatter, " limit {limit}")?;
        }
        match &self.fill {
            Some(fill) => write!(formatter, " fill {}", fill.value.name()),
            None => Ok(()),
        }
    }
}

impl Fill {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Zero => "0",
            Self::Previous => "previous",
        }
    }
}

fn output(output: &Output) -> String {
    match &output.expr.kind {
        ExprKind::Column(column) if super::check::column_name(column) == output.name => column.to_string(),
        _ => format!("{} as {}", output.expr, name_of(&output.name)),
    }
}

fn group_column(group: &GroupColumn) -> String {
    match super::check::column_name(&group.column) == group.name {
        true => group.column.to_string(),
        false => format!("{} as {}", group.column, name_of(&group.name)),
    }
}

/// An operand, in parentheses if it binds looser than it must.
fn within(expr: &Expr, least: u8) -> String {
    match binding(expr) >= least {
        true => expr.to_string(),
        false => format!("({expr})"),
    }
}

fn binding(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::Unary(UnaryOp::Not, _) => NOT,
        ExprKind::Unary(UnaryOp::Negate, _) => NEGATE,
        ExprKind::Binary(op, ..) => match op {
            BinaryOp::Or => 1,
            BinaryOp::And => 2,
            BinaryOp::Add | BinaryOp::Subtract => 5,
            BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => 6,
            _ => COMPARISON,
        },
        ExprKind::In { .. } | ExprKind::TextMatch { .. } | ExprKind::IsNull { .. } => COMPARISON,
        _ => ATOM,
    }
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Equal => "=",
        BinaryOp::NotEqual => "!=",
        BinaryOp::Less => "<",
        BinaryOp::LessOrEqual => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterOrEqual => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
    }
}

fn negation(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

/// A name as it is, if it can only be a name; else in backticks.
fn name_of(name: &str) -> String {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let lower = name.to_ascii_lowercase();
    let means_more = is_clause_word(&lower)
        || [&WORDS[..], &RESERVED[..], &LABELS[..]]
            .concat()
            .contains(&lower.as_str());
    match name.split('.').all(is_part) && !means_more {
        true => name.to_owned(),
        false => quoted(name, '`'),
    }
}

fn quoted(text: &str, quote: char) -> String {
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}

/// The longest unit of which it is a multiple.
fn duration(milliseconds: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let fitting = units
        .into_iter()
        .find(|(_, unit)| milliseconds > 0 && milliseconds.is_multiple_of(*unit));
    match fitting {
        Some((name, unit)) => format!("{}{name}", milliseconds / unit),
        None => format!("{milliseconds}ms"),
    }
}

/// A monitor as a document.
pub(super) fn definition(monitor: &Monitor, form: Option<&RuleForm>) -> String {
    let mut lines = vec!["kind: monitor".to_owned(), format!("name: {}", scalar(&monitor.name))];
    let optional = [
        ("tenant", &monitor.tenant),
        ("app", &monitor.app),
        ("log", &monitor.log),
        ("timezone", &monitor.timezone),
        ("timestamp", &monitor.timestamp),
        ("encoding", &monitor.encoding),
    ];
    for (key, value) in optional {
        lines.extend(value.as_ref().map(|value| format!("{key}: {}", scalar(value))));
    }
    if let Some(records) = &monitor.records {
        let side = match records.side() {
            logline::boundary::Side::Start => "start",
            logline::boundary::Side::Continue => "continue",
        };
        lines.push(format!("records: {{ {side}: {} }}", scalar(records.pattern())));
    }
    lines.extend(form.map(|form| format!("parse: {}", parse(form))));
    lines.extend((monitor.filter.as_ref()).map(|filter| format!("where: {}", scalar(&filter.to_string()))));
    let groups = monitor.group_by.iter();
    let groups: Vec<String> = groups
        .map(|group| format!("{{ {}: {} }}", scalar(&group.column.to_string()), scalar(&group.name)))
        .collect();
    if !groups.is_empty() {
        lines.push(format!("group_by: [{}]", groups.join(", ")));
    }
    lines.push("select:".to_owned());
    let outputs = monitor.select.iter();
    lines.extend(outputs.map(|output| format!("  {}: {}", scalar(&output.name), scalar(&output.expr.to_string()))));
    lines.push(format!("window: {}", duration(monitor.window_ms)));
    for (key, value) in [("lateness", monitor.lateness_ms), ("delay", monitor.delay_ms)] {
        lines.extend(value.map(|value| format!("{key}: {}", duration(value))));
    }
    lines.push(format!("grace: {}", duration(monitor.grace_ms)));
    if monitor.absent == Absent::Zero {
        lines.push("absent: zero".to_owned());
    }
    let limits = &monitor.limits;
    let cpu = limits.cpu_us_per_s.map(|cpu| format!(", cpu: {cpu}us/s"));
    let bytes = limits.bytes_per_s.map(|bytes| format!(", bytes: {bytes}B/s"));
    let rates = [cpu, bytes].into_iter().flatten().collect::<String>();
    lines.push(format!("limits: {{ groups: {}{rates} }}\n", limits.groups));
    lines.join("\n")
}

fn parse(form: &RuleForm) -> String {
    let list = |texts: &[String]| texts.iter().map(|text| scalar(text)).collect::<Vec<_>>().join(", ");
    match form {
        RuleForm::Auto => "auto".to_owned(),
        RuleForm::Json => "json".to_owned(),
        RuleForm::Logfmt => "logfmt".to_owned(),
        RuleForm::Clf => "clf".to_owned(),
        RuleForm::Nginx(None) => "nginx".to_owned(),
        RuleForm::Nginx(Some(log_format)) => format!("{{ nginx: {} }}", scalar(log_format)),
        RuleForm::Regex(pattern) => format!("{{ regex: {} }}", scalar(pattern)),
        RuleForm::Grok(pattern) => format!("{{ grok: {} }}", scalar(pattern)),
        RuleForm::Kv { pair, assign, after } => {
            let after = after
                .as_ref()
                .map_or(String::new(), |after| format!(", after: {}", scalar(after)));
            format!(
                "{{ kv: {{ pair: {}, assign: {}{after} }} }}",
                scalar(pair),
                scalar(assign)
            )
        }
        RuleForm::Split { by, fields } if fields.is_empty() => format!("{{ split: {{ by: {} }} }}", scalar(by)),
        RuleForm::Split { by, fields } => {
            format!("{{ split: {{ by: {}, fields: [{}] }} }}", scalar(by), list(fields))
        }
        RuleForm::Between(fields) => {
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(name, left, right)| format!("{}: [{}, {}]", scalar(name), scalar(left), scalar(right)))
                .collect();
            format!("{{ between: {{ {} }} }}", fields.join(", "))
        }
    }
}

/// A text as YAML reads it, whatever is in it.
fn scalar(text: &str) -> String {
    let mut scalar = String::from("\"");
    for character in text.chars() {
        match (character, u32::from(character)) {
            ('"' | '\\', _) => scalar.extend(['\\', character]),
            (' '..='~', _) => scalar.push(character),
            (_, code) if code > 0xffff => scalar += &format!("\\U{code:08x}"),
            (_, code) => scalar += &format!("\\u{code:04x}"),
        }
    }
    scalar.push('"');
    scalar
}
