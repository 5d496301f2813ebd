//! What a monitor costs, about, before it has counted anything: how much processor time for so much log.
//!
//! The model is a sum: what every record costs, what each byte of its line costs, and something for each column, state
//! and condition. Its figures are those of one core of the machine of `docs/speed.md`; `cargo bench -p map --bench
//! cost` prints them beside what is measured, which they meet within a factor of two. What only the log can tell is not
//! in it: how long its lines are (`LINE_BYTES` is assumed), how many groups there are (many miss the processor's
//! caches), how many records a filter leaves, what a regular expression meets, whether other monitors share the
//! reading.

use crate::expr::{BinaryOp, Column, Expr, ExprKind, Function, TextMatchOp, visit_columns};
use crate::monitor::Monitor;
use crate::mql::check::walk;
use logline::fields::Manner;
use std::collections::BTreeSet;
use std::fmt;

/// Bytes of a line, where nothing is known of it: an access log has about 200, an application's about 100.
pub const LINE_BYTES: u64 = 150;
/// The least log a monitor must be able to count within its limit: any log that is worth a monitor brings more.
pub const LEAST_BYTES_PER_S: u64 = 10_000;

const MEGABYTE: u64 = 1_000_000;

/// Processor time, in nanoseconds for each record and picoseconds for each byte of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cost {
    record_ns: u64,
    byte_ps: u64,
}

/// What a monitor is estimated to cost, alone on its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate(Cost);

const fn cost(record_ns: u64, byte_ps: u64) -> Cost {
    Cost { record_ns, byte_ps }
}

/// Finding line ends, comparing stamps, judging their order, counting.
const RECORD: Cost = cost(40, 60);
/// A column that groups: its part of the key, and of its comparison.
const GROUP_COLUMN: Cost = cost(4, 0);
/// Finding the group.
const GROUP: Cost = cost(4, 0);
/// A comparison, a term of arithmetic.
const OPERATION: Cost = cost(4, 0);
/// Finding a text in a line.
const CONTAINS: Cost = cost(5, 40);
/// A regular expression over a line.
const MATCHES: Cost = cost(30, 150);
/// What a text that is looked at has of its line, if it is a column.
const COLUMN_SHARE: u64 = 10;

impl Cost {
    fn and(self, more: Self) -> Self {
        Self {
            record_ns: self.record_ns + more.record_ns,
            byte_ps: self.byte_ps + more.byte_ps,
        }
    }

    fn times(self, count: usize) -> Self {
        let count = count as u64;
        Self {
            record_ns: self.record_ns * count,
            byte_ps: self.byte_ps * count,
        }
    }
}

/// Cutting a record's fields: what each record costs, and each column that is used.
fn cutting(manner: Manner) -> (Cost, Cost) {
    match manner {
        Manner::Json => (cost(20, 300), cost(12, 0)),
        Manner::Logfmt => (cost(100, 100), cost(12, 0)),
        Manner::Kv => (cost(5, 0), cost(12, 0)),
        Manner::Split => (cost(10, 0), cost(12, 0)),
        Manner::Between => (cost(5, 0), cost(20, 0)),
        Manner::Chain => (cost(20, 150), cost(8, 0)),
        Manner::Regex => (cost(100, 4_000), cost(8, 0)),
        Manner::Access => (cost(20, 40), cost(8, 0)),
    }
}

/// Adding a record to a state.
fn state(function: &Function) -> Cost {
    match function {
        Function::Count | Function::Lines | Function::Bytes => cost(2, 0),
        Function::Sum | Function::Avg | Function::Min | Function::Max | Function::Rate => cost(12, 0),
        Function::Stddev => cost(15, 0),
        Function::Quantile(_) => cost(35, 0),
        Function::Distinct => cost(12, 0),
        Function::First | Function::Last => cost(60, 0),
    }
}

/// Aggregates of one kind over the same argument and condition share a state.
fn kind(function: &Function) -> &'static str {
    match function {
        Function::Count | Function::Lines | Function::Bytes => "count",
        Function::Sum | Function::Avg | Function::Rate => "sum",
        Function::Min => "min",
        Function::Max => "max",
        Function::Stddev => "moments",
        Function::Quantile(_) => "quantiles",
        Function::Distinct => "distinct",
        Function::First => "first",
        Function::Last => "last",
    }
}

/// Evaluating a condition or an argument, the cutting of its columns aside.
fn evaluating(expr: &Expr) -> Cost {
    let mut total = Cost::default();
    walk(expr, &mut |node| {
        let more = match &node.kind {
            ExprKind::Binary(BinaryOp::And | BinaryOp::Or, ..) => Cost::default(),
            ExprKind::Binary(..) => OPERATION,
            ExprKind::In { list, .. } => OPERATION.times(list.len()),
            ExprKind::TextMatch { op, value, .. } => {
                let whole = match op {
                    TextMatchOp::Contains => CONTAINS,
                    TextMatchOp::Like | TextMatchOp::Matches => MATCHES,
                };
                let is_line = matches!(value.kind, ExprKind::Column(Column::Line));
                let share = if is_line { 1 } else { COLUMN_SHARE };
                cost(whole.record_ns, whole.byte_ps / share)
            }
            _ => Cost::default(),
        };
        total = total.and(more);
    });
    total
}

impl Estimate {
    /// Of a monitor on a log, as if it were alone on it.
    pub fn of(monitor: &Monitor) -> Self {
        let mut fields = BTreeSet::new();
        let mut note = |column: &Column| {
            if let Column::Field(name) = column {
                fields.insert(name.clone());
            }
        };
        let outputs = || monitor.select.iter().map(|output| &output.expr);
        for expr in monitor.filter.iter().chain(outputs()) {
            visit_columns(expr, &mut note);
        }
        monitor.group_by.iter().for_each(|group| note(&group.column));
        let mut total = RECORD.and(monitor.filter.as_ref().map_or(Cost::default(), evaluating));
        if !fields.is_empty() {
            // What is detected is not known yet: the dearest of what may be.
            let manner = monitor.parse.as_ref().map_or(Manner::Json, |rule| rule.manner());
            let (record, column) = cutting(manner);
            total = total.and(record).and(column.times(fields.len()));
        }
        if !monitor.group_by.is_empty() {
            total = total.and(GROUP).and(GROUP_COLUMN.times(monitor.group_by.len()));
        }
        let mut seen = BTreeSet::new();
        for expr in outputs() {
            walk(expr, &mut |node| {
                let ExprKind::Aggregate(aggregate) = &node.kind else {
                    return;
                };
                let operands = || aggregate.argument.iter().chain(&aggregate.condition);
                let written: Vec<String> = operands().map(ToString::to_string).collect();
                if seen.insert((kind(&aggregate.function), written)) {
                    let operands = operands().map(evaluating).fold(Cost::default(), Cost::and);
                    total = total.and(state(&aggregate.function)).and(operands);
                }
            });
        }
        Self(total)
    }

    /// Nanoseconds for each record whose line has so many bytes.
    pub fn record_ns(&self, line_bytes: u64) -> u64 {
        self.0.record_ns + self.0.byte_ps * line_bytes / 1_000
    }

    /// Microseconds of processor time for a megabyte of log.
    pub fn cpu_us_per_mb(&self) -> u64 {
        self.record_ns(LINE_BYTES) * MEGABYTE / LINE_BYTES / 1_000
    }

    /// How much log can be counted a second within a limit of processor time.
    pub fn bytes_per_s(&self, cpu_us_per_s: u64) -> u64 {
        cpu_us_per_s.saturating_mul(MEGABYTE) / self.cpu_us_per_mb().max(1)
    }

    /// The estimate in words, and what it means for a limit if there is one.
    pub fn told(&self, cpu_us_per_s: Option<u64>) -> String {
        let limit = cpu_us_per_s.map(|limit_us| {
            format!(
                "; at its limit of {} that is {} on each Map",
                share_text(limit_us),
                rate_text(self.bytes_per_s(limit_us))
            )
        });
        format!("estimated cost: {self}{}", limit.unwrap_or_default())
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.cpu_us_per_mb().div_ceil(10);
        write!(
            out,
            "{}.{:02} ms of CPU per MB of log",
            hundredths / 100,
            hundredths % 100
        )
    }
}

/// A share of processor time, as a limit is written.
fn share_text(us_per_s: u64) -> String {
    match us_per_s {
        us if us % 1_000_000 == 0 => format!("{}s/s", us / 1_000_000),
        us if us % 1_000 == 0 => format!("{}ms/s", us / 1_000),
        us => format!("{us}us/s"),
    }
}

/// Bytes of log a second, rounded down: of an estimate no more digits mean anything.
pub fn rate_text(bytes_per_s: u64) -> String {
    match bytes_per_s {
        bytes if bytes >= 10 * MEGABYTE => format!("{} MB/s", bytes / MEGABYTE),
        bytes if bytes >= MEGABYTE => format!("{}.{} MB/s", bytes / MEGABYTE, bytes % MEGABYTE / 100_000),
        bytes => format!("{} kB/s", bytes / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(question: &str) -> Estimate {
        Estimate::of(&crate::parse_mql(question).unwrap_or_else(|error| panic!("{error}")))
    }

    fn ns(question: &str) -> u64 {
        estimate(question).record_ns(LINE_BYTES)
    }

    #[test]
    fn whatever_is_asked_besides_costs_more() {
        let steps = [
            "select count()",
            "select count() group by host",
            "select count() parse nginx group by status",
            "select count(), sum(body_bytes_sent) parse nginx group by status",
            "select count(), sum(body_bytes_sent), p99(body_bytes_sent) parse nginx group by status",
            "select count(), sum(body_bytes_sent), p99(body_bytes_sent) parse nginx where status = '500' group by \
             status",
            "select count(), sum(body_bytes_sent), p99(body_bytes_sent), distinct(uri) parse nginx where \
             status = '500' group by status",
        ];
        for pair in steps.windows(2) {
            assert!(ns(pair[0]) < ns(pair[1]), "{pair:?}");
        }
        let regex = |pattern: &str| ns(&format!("select count() parse regex('{pattern}') group by op"));
        assert!(
            regex("op=(?<op>[a-z]+) ") < regex("op=(?<op>[a-z]+).*x"),
            "literals and runs are found without an engine"
        );
        let line = "select count() where line contains 'x'";
        assert!(ns(line) < ns("select count() where line matches 'x[0-9]y'"));
    }

    #[test]
    fn what_is_shared_costs_once() {
        let one = "select sum(x) parse json";
        assert_eq!(
            ns(one),
            ns("select sum(x), avg(x), 100 * sum(x) / avg(x) as share parse json")
        );
        assert!(ns(one) < ns("select sum(x), sum(x, y = 'a') parse json"));
        assert!(ns(one) < ns("select sum(x), sum(y) parse json"));
    }

    /// A bare count parses nothing, and what will be detected is taken for the dearest that may be.
    #[test]
    fn fields_are_cut_only_where_they_are_used() {
        assert_eq!(ns("select count() parse json"), ns("select count()"));
        assert_eq!(ns("select sum(x)"), ns("select sum(x) parse json"));
        assert!(ns("select sum(x) parse kv('|', '=')") < ns("select sum(x)"));
    }

    #[test]
    fn an_estimate_says_what_a_limit_means() {
        let estimate = Estimate(cost(105, 300));
        assert_eq!((estimate.record_ns(150), estimate.cpu_us_per_mb()), (150, 1_000));
        assert_eq!(estimate.bytes_per_s(50_000), 50 * MEGABYTE);
        assert_eq!(estimate.told(None), "estimated cost: 1.00 ms of CPU per MB of log");
        let told = "estimated cost: 1.00 ms of CPU per MB of log; at its limit of 50ms/s that is 50 MB/s on each Map";
        assert_eq!(estimate.told(Some(50_000)), told);
        assert!(
            estimate
                .told(Some(1_500))
                .ends_with("at its limit of 1500us/s that is 1.5 MB/s on each Map")
        );
        assert_eq!(rate_text(12_345), "12 kB/s");
    }
}
