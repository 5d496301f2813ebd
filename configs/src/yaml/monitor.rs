//! A raw monitor to a validated one.

use super::field::{Field, Ordered};
use super::raw::{RawAbsent, RawKv, RawLimits, RawMonitor, RawParse, RawRecords, RawSplit};
use super::reading::Reading;
use crate::cost::{Estimate, LEAST_BYTES_PER_S};
use crate::diagnostic::Mistake;
use crate::expr::{Column, Expr};
use crate::log_path::LogPath;
use crate::monitor::{Absent, GroupColumn, Limits, Monitor, Output, TimeRange};
use crate::mql;
use crate::parse_rule::{RuleForm, check_columns};
use crate::records;
use crate::units::{bytes_per_second, cpu_us_per_second, window_fault, window_hint};
use crate::zone;
use crate::{GRACE_MS_DEFAULT, GROUPS_DEFAULT, WINDOW_MS_DEFAULT};
use logline::boundary::{Boundary, Side};
use logline::fields::Rule;
use logline::text::Encoding;
use std::ops::Range;

/// An output with the place and the text of its expression, to look for its columns later.
struct PlacedExpr<'r> {
    expr: Expr,
    text: &'r str,
    span: Range<usize>,
}

/// Validates a monitor, noting all its mistakes; `document` is where to say that something is missing.
/// The result is usable only if no mistake was noted.
pub(super) fn monitor(raw: &RawMonitor, reading: &mut Reading, document: Range<usize>) -> Monitor {
    let name = reading.name(&raw.name, "monitor", &document);
    let outputs = select(&raw.select, reading, &document);
    let filter = raw.r#where.given().and_then(|(text, span)| {
        let expr = reading.expression(text, &span, mql::condition)?;
        Some(PlacedExpr { expr, text, span })
    });
    let groups = group_by(raw, reading);
    let parse = rule(&raw.parse, reading);
    let path = raw.log.value().and_then(|path| LogPath::parse(path).ok());
    let captured = path.as_ref().map_or(&[][..], LogPath::names);
    if let Some(rule) = &parse {
        check_fields(
            (rule, captured),
            filter.iter().chain(outputs.iter().map(|(_, output)| output)),
            &groups,
            reading,
        );
    }
    let monitor = Monitor {
        name,
        tenant: reading.optional_name(&raw.tenant),
        app: reading.optional_name(&raw.app).or_else(|| {
            filter
                .as_ref()
                .and_then(|filter| mql::app_of(&filter.expr))
                .map(str::to_owned)
        }),
        log: log(&raw.log, reading),
        records: records(&raw.records, reading),
        parse,
        filter: filter.map(|filter| filter.expr),
        group_by: groups.into_iter().map(|(group, _)| group).collect(),
        select: outputs
            .into_iter()
            .map(|(name, output)| Output {
                name,
                expr: output.expr,
            })
            .collect(),
        window_ms: window(&raw.window, reading),
        lateness_ms: reading.duration(&raw.lateness),
        delay_ms: reading.duration(&raw.delay),
        grace_ms: reading.duration(&raw.grace).unwrap_or(GRACE_MS_DEFAULT),
        timezone: timezone(&raw.timezone, reading),
        timestamp: reading.text(&raw.timestamp, "timestamp"),
        encoding: encoding(&raw.encoding, reading),
        absent: match raw.absent.value() {
            Some(RawAbsent::Zero) => Absent::Zero,
            Some(RawAbsent::Missing) | None => Absent::Missing,
        },
        limits: limits(&raw.limits, reading),
        range: TimeRange::default(),
    };
    if let (Some((name, why)), Some((_, span))) = (monitor.arrival_fault(), raw.timestamp.given()) {
        let mistake = Mistake::new(span, format!("with `timestamp: arrival`, leave out `{name}`"));
        reading.note(mistake.hint(why));
    }
    check_cost(&monitor, raw, reading);
    monitor
}

/// A limit that leaves a monitor next to nothing, whatever its log, is a slip of the pen. What depends on the log is
/// not known here: whether a limit is met shows when it counts.
fn check_cost(monitor: &Monitor, raw: &RawMonitor, reading: &mut Reading) {
    let limits = raw.limits.value();
    let Some((text, span)) = limits.and_then(|limits| limits.cpu.given()) else {
        return;
    };
    let (Some(limit_us), Some(_)) = (monitor.limits.cpu_us_per_s, &monitor.log) else {
        return;
    };
    let estimate = Estimate::of(monitor);
    let bytes_per_s = estimate.bytes_per_s(limit_us);
    if bytes_per_s < LEAST_BYTES_PER_S {
        let message = format!("with `{text}` only about {bytes_per_s} bytes of log a second could be counted");
        let hint = format!("it is estimated to take {estimate}: write a limit such as 50ms/s");
        reading.note(Mistake::new(span, message).hint(hint));
    }
}

fn log(raw: &Field<String>, reading: &mut Reading) -> Option<String> {
    let (path, span) = raw.given()?;
    if !path.starts_with('/') {
        let mistake = Mistake::new(span, "a log's path is absolute");
        reading.note(mistake.hint("begin it with /, as it is on the hosts"));
    } else if let Err(error) = LogPath::parse(path) {
        reading.note(Mistake::new(span, error.to_string()));
    }
    Some(path.clone())
}

fn timezone(raw: &Field<String>, reading: &mut Reading) -> Option<String> {
    let (name, span) = raw.given()?;
    if let Err((message, hint)) = zone::check_zone(name) {
        reading.note(Mistake::new(span, message).hint(hint));
    }
    Some(name.clone())
}

fn encoding(raw: &Field<String>, reading: &mut Reading) -> Option<String> {
    let (name, span) = raw.given()?;
    if let Err(error) = Encoding::parse(name) {
        reading.note(Mistake::new(span, error.to_string()));
    }
    Some(name.clone())
}

fn window(raw: &Field<String>, reading: &mut Reading) -> u64 {
    let Some(window_ms) = reading.duration(raw) else {
        return WINDOW_MS_DEFAULT;
    };
    if let (Some((_, span)), Some(fault)) = (raw.given(), window_fault(window_ms)) {
        reading.note(Mistake::new(span, fault).hint(window_hint(window_ms)));
    }
    window_ms
}

fn limits(raw: &Field<RawLimits>, reading: &mut Reading) -> Limits {
    let Some(raw) = raw.value() else {
        return Limits {
            groups: GROUPS_DEFAULT,
            cpu_us_per_s: None,
            bytes_per_s: None,
        };
    };
    let groups = raw.groups.given().map(|(groups, span)| {
        if *groups == 0 {
            reading.note(Mistake::new(span, "at least 1 group is kept"));
        }
        usize::try_from(*groups).unwrap_or(usize::MAX)
    });
    Limits {
        groups: groups.unwrap_or(GROUPS_DEFAULT),
        cpu_us_per_s: reading.quantity(&raw.cpu, cpu_us_per_second, "a share of CPU time", "50ms/s"),
        bytes_per_s: reading.quantity(&raw.bytes, bytes_per_second, "bytes per second", "100MiB/s"),
    }
}

fn select<'r>(
    raw: &'r Field<Ordered<String>>,
    reading: &mut Reading,
    document: &Range<usize>,
) -> Vec<(String, PlacedExpr<'r>)> {
    let (entries, span) = match raw {
        Field::Given(Ordered(entries), span) => (entries, span.clone()),
        Field::Broken => return Vec::new(),
        Field::Absent => {
            let mistake = Mistake::new(document.clone(), "the monitor has no `select`");
            reading.note(mistake.hint("say what to compute: `select: { total: count() }`"));
            return Vec::new();
        }
    };
    if entries.is_empty() {
        reading.note(Mistake::new(span, "`select` is empty").hint("say what to compute: `total: count()`"));
    }
    let mut outputs = Vec::with_capacity(entries.len());
    for (name, text) in entries {
        let (Some((name, name_span)), Some((text, span))) = (name.given(), text.given()) else {
            continue;
        };
        if name.is_empty() {
            reading.note(Mistake::new(name_span, "an output's name is empty"));
        }
        if let Some(expr) = reading.expression(text, &span, mql::output) {
            outputs.push((name.clone(), PlacedExpr { expr, text, span }));
        }
    }
    outputs
}

fn group_by(raw: &RawMonitor, reading: &mut Reading) -> Vec<(GroupColumn, Range<usize>)> {
    let mut groups: Vec<(GroupColumn, Range<usize>)> = Vec::new();
    let items = raw.group_by.value().into_iter().flatten();
    for (item, item_span) in items.filter_map(Field::given) {
        let Some((text, span)) = item.column.given() else {
            continue;
        };
        let span = if span.is_empty() { item_span } else { span };
        let Some(column) = reading.expression(text, &span, mql::group_column) else {
            continue;
        };
        let name = match item.name.given() {
            Some((name, _)) => name.clone(),
            None => mql::check::column_name(&column),
        };
        if groups.iter().any(|(group, _)| group.name == name) {
            let mistake = Mistake::new(span.clone(), format!("two group columns are named `{name}`"));
            reading.note(mistake.hint("drop one, or give it another name with { column: name }"));
        }
        groups.push((GroupColumn { name, column }, span));
    }
    groups
}

fn records(raw: &Field<RawRecords>, reading: &mut Reading) -> Option<Boundary> {
    let (side, pattern) = match raw.value()? {
        RawRecords::Start(pattern) => (Side::Start, pattern),
        RawRecords::Continue(pattern) => (Side::Continue, pattern),
    };
    let (text, span) = pattern.given()?;
    match records::boundary(side, text) {
        Ok(boundary) => Some(boundary),
        Err((message, hint)) => {
            reading.note(Mistake::new(span, message).hint(hint));
            None
        }
    }
}

fn rule(raw: &Field<RawParse>, reading: &mut Reading) -> Option<Rule> {
    let (raw, span) = raw.given()?;
    let form = form(raw, reading, &span)?;
    form.build().unwrap_or_else(|message| {
        let text = match raw {
            RawParse::Regex(text) | RawParse::Grok(text) | RawParse::Nginx(Some(text)) => {
                text.given().map(|(_, span)| span)
            }
            _ => None,
        };
        reading.note(Mistake::new(text.unwrap_or(span), message));
        None
    })
}

/// The rule's form, if it is whole.
fn form(raw: &RawParse, reading: &mut Reading, span: &Range<usize>) -> Option<RuleForm> {
    Some(match raw {
        RawParse::Auto => RuleForm::Auto,
        RawParse::Json => RuleForm::Json,
        RawParse::Logfmt => RuleForm::Logfmt,
        RawParse::Clf => RuleForm::Clf,
        RawParse::Nginx(None) => RuleForm::Nginx(None),
        RawParse::Nginx(Some(log_format)) => RuleForm::Nginx(Some(log_format.value()?.clone())),
        RawParse::Regex(pattern) => RuleForm::Regex(pattern.value()?.clone()),
        RawParse::Kv(RawKv { pair, assign, after }) => {
            let pair = reading.required(pair, "kv", "pair", span);
            let assign = reading.required(assign, "kv", "assign", span);
            RuleForm::Kv {
                pair: pair?,
                assign: assign?,
                after: after.value().cloned(),
            }
        }
        RawParse::Split(RawSplit { by, fields }) => {
            let fields = fields
                .value()
                .into_iter()
                .flatten()
                .filter_map(Field::value)
                .cloned()
                .collect();
            RuleForm::Split {
                by: reading.required(by, "split", "by", span)?,
                fields,
            }
        }
        RawParse::Between(Ordered(fields)) => {
            let field = |(name, marks): &(Field<String>, Field<(String, String)>)| {
                let (left, right) = marks.value()?;
                Some((name.value()?.clone(), left.clone(), right.clone()))
            };
            RuleForm::Between(fields.iter().map(field).collect::<Option<_>>()?)
        }
        RawParse::Grok(pattern) => RuleForm::Grok(pattern.value()?.clone()),
    })
}

/// Notes the columns that are slips of the rule's fields: one of each expression.
fn check_fields<'x, 'r: 'x>(
    (rule, captured): (&Rule, &[String]),
    exprs: impl Iterator<Item = &'x PlacedExpr<'r>>,
    groups: &[(GroupColumn, Range<usize>)],
    reading: &mut Reading,
) {
    for PlacedExpr { expr, text, span } in exprs {
        if let Err(mistake) = check_columns(rule, captured, [expr], []) {
            reading.note_within(text, span, mistake);
        }
    }
    for (GroupColumn { column, .. }, span) in groups {
        let column: (&Column, _) = (column, span.clone());
        if let Err(mistake) = check_columns(rule, captured, [], [column]) {
            reading.note(mistake);
        }
    }
}
