//! From files to the right answer: windows, losses, groups, values.

use super::condition::{holds, null_if_empty};
use super::numbers;
use super::parse;
use super::question::{Aggregate, Col, Function, HostFile, Question};
use super::records::{self, Record};
use super::rules::{self, Fate};
use bigdecimal::BigDecimal;
use num_bigint::BigInt;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of a group as bytes; `None` is null and sorts first.
pub type Key = Vec<Option<Vec<u8>>>;

/// The name of each column of the folded group.
pub const OTHER: &[u8] = b"__other__";

/// A value of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A decimal without trailing zeros.
    Number(BigDecimal),
    /// A text, of `first` and `last`.
    Text(Vec<u8>),
}

/// Records that reached us and could not be counted, by reason (C5). A finished file has no `unfinished` ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// F2
    pub late: u64,
    /// F3
    pub bad_timestamp: u64,
    /// The parse form does not fit.
    pub unparsable: u64,
    /// Over the record limit.
    pub too_long: u64,
}

/// Whether groups were folded (M6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Folding {
    /// All groups stand for themselves.
    #[default]
    None,
    /// This many were merged into `__other__`.
    Folded(usize),
}

/// A window's header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Records counted here, whether or not the filter selects them.
    pub records: u64,
    /// Records lost here.
    pub lost: Lost,
    /// Unstamped lines at the start of files; beside.
    pub head_lines: u64,
    /// Values that were no usable numbers, by aggregate; beside.
    pub bad_values: Vec<u64>,
    /// Whether groups were folded.
    pub folding: Folding,
}

/// What can't be charged to any window: files without a good stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unplaced {
    /// Records lost.
    pub lost: Lost,
    /// Unstamped lines.
    pub head_lines: u64,
}

/// The right answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Values in the order of the question's aggregates, by (window start in milliseconds, group). Groups that no
    /// record was selected for are not there (C3: zero at 100 % unless the window is folded); an ungrouped question has
    /// one point in each window that has a header.
    pub points: BTreeMap<(i64, Key), Vec<Option<Value>>>,
    /// Headers of the windows in which something was counted, lost or found unstamped.
    pub windows: BTreeMap<i64, Window>,
    /// What has no window.
    pub unplaced: Unplaced,
}

impl Lost {
    /// All reasons together.
    pub fn total(&self) -> u64 {
        self.late + self.bad_timestamp + self.unparsable + self.too_long
    }
}

impl Window {
    /// C5: losses "lower `records_percent` (floor, two decimals)"; in hundredths of a percent. `None` where there was
    /// no record at all.
    pub fn records_percent_hundredths(&self) -> Option<u64> {
        (self.records * 10_000).checked_div(self.records + self.lost.total())
    }
}

/// C2: "`percent = floor(100 × ok / expected)`, 100 only if every expected host is ok, null if nothing is known to be
/// expected."
pub fn percent(ok: u64, expected: u64) -> Option<u64> {
    (ok * 100).checked_div(expected)
}

/// A record that counts.
struct Row {
    window_ms: i64,
    /// M7: "first/last ordered by (timestamp, host, path, generation, offset)".
    order: (i128, String, String, usize),
    lines: usize,
    bytes: usize,
    fields: parse::Fields,
}

impl Row {
    fn column(&self, column: &Col) -> Option<Vec<u8>> {
        let (_, host, file, _) = &self.order;
        null_if_empty(match column {
            Col::Field(name) => self.fields.get(name).cloned(),
            Col::Host => Some(host.as_bytes().to_vec()),
            Col::File => Some(file.as_bytes().to_vec()),
        })
    }
}

/// The right answer to `question` over whole, finished files. C1: a pure function of the files and the question.
pub fn answer(question: &Question, files: &[HostFile]) -> Answer {
    let mut answer = Answer::default();
    let mut rows = Vec::new();
    for file in files {
        read_file(question, file, &mut answer, &mut rows);
    }
    let mut by_window: BTreeMap<i64, Vec<&Row>> = answer.windows.keys().map(|start| (*start, Vec::new())).collect();
    for row in &rows {
        by_window.entry(row.window_ms).or_default().push(row);
    }
    for (window_ms, rows) in by_window {
        publish(question, window_ms, &rows, &mut answer);
    }
    answer
}

/// Counts the head and the losses of a file, and appends the rows of its counted records.
fn read_file(question: &Question, file: &HostFile, answer: &mut Answer, rows: &mut Vec<Row>) {
    let split = records::split(&file.bytes, file.stamp, &question.beginning);
    let stamps: Vec<i128> = split.records.iter().map(|record| record.stamp_ns).collect();
    if split.head_lines > 0 {
        match rules::bearer_of_head(&stamps, question.lateness_ms) {
            Some(stamp) => window(question, stamp, answer).head_lines += split.head_lines,
            None => answer.unplaced.head_lines += split.head_lines,
        }
    }
    for (record, judged) in split.records.iter().zip(rules::judge(&stamps, question.lateness_ms)) {
        let mut nowhere = Window::default();
        let header = match judged.charged_to_ns {
            Some(stamp) => window(question, stamp, answer),
            None => &mut nowhere,
        };
        match judged.fate {
            Fate::Late => header.lost.late += 1,
            Fate::BadTimestamp => header.lost.bad_timestamp += 1,
            Fate::Counts => count(question, file, record, header, rows),
        }
        answer.unplaced.lost.late += nowhere.lost.late;
        answer.unplaced.lost.bad_timestamp += nowhere.lost.bad_timestamp;
    }
}

fn window<'a>(question: &Question, stamp_ns: i128, answer: &'a mut Answer) -> &'a mut Window {
    let start_ms = rules::window_start_ms(stamp_ns, question.window_ms);
    answer.windows.entry(start_ms).or_insert_with(|| Window {
        bad_values: vec![0; question.aggregates.len()],
        ..Window::default()
    })
}

/// C4: a record of a good, in-bound stamp counts in its own window, unless its fields are asked for and can't be had:
/// then it is lost there, in the window whose value lacks it ("`unparsable` arises only where a monitor uses fields").
fn count(question: &Question, file: &HostFile, record: &Record, header: &mut Window, rows: &mut Vec<Row>) {
    let wanted = question.fields();
    let mut fields = parse::Fields::new();
    if !wanted.is_empty() {
        if record.text_len() > question.record_limit_bytes {
            header.lost.too_long += 1;
            return;
        }
        match parse::fields(&question.parse, &record.text(), &wanted) {
            Ok(found) => fields = found,
            Err(parse::Unparsable) => {
                header.lost.unparsable += 1;
                return;
            }
        }
    }
    header.records += 1;
    rows.push(Row {
        window_ms: rules::window_start_ms(record.stamp_ns, question.window_ms),
        order: (record.stamp_ns, file.host.clone(), file.file.clone(), record.offset),
        lines: record.lines.len(),
        bytes: record.bytes(),
        fields,
    });
}

/// Groups the selected rows of a window and computes their values.
fn publish(question: &Question, window_ms: i64, rows: &[&Row], answer: &mut Answer) {
    let is_selected = |row: &&&Row| {
        question
            .filter
            .as_ref()
            .is_none_or(|filter| holds(filter, &|c| row.column(c)))
    };
    let selected: Vec<&Row> = rows.iter().filter(is_selected).copied().collect();
    let mut groups: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
    if question.group_by.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for row in &selected {
        let key: Key = question.group_by.iter().map(|column| row.column(column)).collect();
        groups.entry(key).or_default().push(row);
    }
    let (groups, folding) = fold(groups, question.group_limit);
    for (key, rows) in groups {
        let values = question
            .aggregates
            .iter()
            .map(|aggregate| value(aggregate, &rows))
            .collect();
        answer.points.insert((window_ms, key), values);
    }
    if let Some(header) = answer.windows.get_mut(&window_ms) {
        header.folding = folding;
        header.bad_values = question
            .aggregates
            .iter()
            .map(|aggregate| bad_values(aggregate, &selected))
            .collect();
    }
}

/// M6: "the last merge keeps the `limit` with most records, ties by key, folding the rest likewise".
fn fold(groups: BTreeMap<Key, Vec<&Row>>, limit: usize) -> (BTreeMap<Key, Vec<&Row>>, Folding) {
    if groups.len() <= limit {
        return (groups, Folding::None);
    }
    let folded = groups.len() - limit;
    let mut ranked: Vec<(Key, Vec<&Row>)> = groups.into_iter().collect();
    ranked.sort_by(|(left_key, left), (right_key, right)| {
        right.len().cmp(&left.len()).then_with(|| left_key.cmp(right_key))
    });
    let rest = ranked.split_off(limit);
    let mut kept: BTreeMap<Key, Vec<&Row>> = ranked.into_iter().collect();
    for (key, rows) in rest {
        let other = key.iter().map(|_| Some(OTHER.to_vec())).collect();
        kept.entry(other).or_default().extend(rows);
    }
    (kept, Folding::Folded(folded))
}

fn rows_of<'a>(aggregate: &Aggregate, rows: &[&'a Row]) -> Vec<&'a Row> {
    let is_meant = |row: &&&'a Row| {
        aggregate
            .condition
            .as_ref()
            .is_none_or(|when| holds(when, &|c| row.column(c)))
    };
    rows.iter().filter(is_meant).copied().collect()
}

/// "Empty and `-` are null; other non-numbers are the loss `bad_value`": of this aggregate alone, the record still
/// counts.
fn bad_values(aggregate: &Aggregate, rows: &[&Row]) -> u64 {
    let Some(column) = aggregate.function.column().filter(|_| aggregate.function.is_numeric()) else {
        return 0;
    };
    let texts = rows_of(aggregate, rows)
        .into_iter()
        .filter_map(|row| row.column(column));
    texts.filter(|text| numbers::nanos(text).is_err()).count() as u64
}

/// "Nothing to aggregate: count, lines, bytes, sum are 0; avg, min, max, quantiles are null" — as are stddev, first,
/// last.
fn value(aggregate: &Aggregate, rows: &[&Row]) -> Option<Value> {
    let rows = rows_of(aggregate, rows);
    let texts = |column: &Col| rows.iter().filter_map(|row| row.column(column)).collect::<Vec<_>>();
    let decimals = |column: &Col| -> Vec<BigInt> {
        texts(column)
            .iter()
            .filter_map(|text| numbers::nanos(text).ok())
            .collect()
    };
    let nanos = match &aggregate.function {
        Function::Count => return Some(whole(rows.len())),
        Function::Lines => return Some(whole(rows.iter().map(|row| row.lines).sum())),
        Function::Bytes => return Some(whole(rows.iter().map(|row| row.bytes).sum())),
        Function::Distinct(column) => return Some(whole(texts(column).into_iter().collect::<BTreeSet<_>>().len())),
        Function::First(column) => return earliest(&rows, column).first().cloned().map(Value::Text),
        Function::Last(column) => return earliest(&rows, column).last().cloned().map(Value::Text),
        Function::Sum(column) => Some(decimals(column).iter().sum()),
        Function::Avg(column) => numbers::mean(&decimals(column)),
        Function::Min(column) => decimals(column).into_iter().min(),
        Function::Max(column) => decimals(column).into_iter().max(),
        Function::Stddev(column) => numbers::population_stddev(&decimals(column)),
        Function::Quantile(fraction, column) => numbers::quantile(&decimals(column), fraction),
    };
    nanos.map(|nanos: BigInt| Value::Number(numbers::decimal(&nanos)))
}

/// Texts of a column that are not null, in the order of their records.
fn earliest(rows: &[&Row], column: &Col) -> Vec<Vec<u8>> {
    let mut rows = rows.to_vec();
    rows.sort_by(|left, right| left.order.cmp(&right.order));
    rows.iter().filter_map(|row| row.column(column)).collect()
}

fn whole(number: usize) -> Value {
    Value::Number(BigDecimal::from(number as u64).normalized())
}
