//! Points of an answer, as people and programs see them: those of `reduce`, with what a longer step adds.
//!
//! A step of several windows also says the least percent of any of them, and how many windows it has of how many.

use super::evaluate::needed_states;
use super::facts::Facts;
use super::merge::Finished;
use map::partial::Losses;
use reduce::completeness::records_percent_hundredths;
use reduce::point::{Flag, WindowState, display_text, rfc3339};
use reduce::value::OutputValue;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NANOS_PER_MS: u64 = 1_000_000;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Points by window, then group.
    pub points: Vec<QueryPoint>,
    /// The monitor asked.
    pub monitor: String,
    /// Length of the steps in milliseconds.
    pub window_ms: u64,
    /// Names of the columns that group.
    pub group_by: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// What each output of an absent group is where absence is known (C3).
    pub absent: Vec<(Arc<str>, AbsentValue)>,
    /// The first window start that was asked for, inclusive, nanoseconds.
    pub from_ns: i64,
    /// Exclusive.
    pub to_ns: i64,
    /// What the reader should know besides, for people.
    pub warnings: Vec<String>,
    /// Whether anything that is over is not complete: a host, a record, a whole window.
    pub is_partial: bool,
}

impl Serialize for Answer {
    /// The `data` of a response: all but the warnings and whether it is partial.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_struct("Answer", 8)?;
        data.serialize_field("points", &self.points)?;
        data.serialize_field("monitor", &self.monitor)?;
        data.serialize_field("window_ms", &self.window_ms)?;
        data.serialize_field("group_by", &self.group_by)?;
        data.serialize_field("outputs", &self.outputs)?;
        data.serialize_field("absent", &Absent(&self.absent))?;
        data.serialize_field("from", &rfc3339(self.from_ns))?;
        data.serialize_field("to", &rfc3339(self.to_ns))?;
        data.end()
    }
}

/// What an output of a group is in a step that does not name it, at 100 % and with nothing folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentValue {
    /// A count or a sum of nothing.
    Zero,
    /// Nothing to say: an average, a percentile, or an output that not every version in the range has.
    Null,
}

struct Absent<'a>(&'a [(Arc<str>, AbsentValue)]);

impl Serialize for Absent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = |value: &AbsentValue| match value {
            AbsentValue::Zero => Some(0u8),
            AbsentValue::Null => None,
        };
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, number(value))))
    }
}

/// How complete a step is.
#[derive(Debug, Clone)]
pub struct Completeness {
    facts: Facts,
    bad_values: BTreeMap<Arc<str>, u64>,
    /// How many windows there should be, of a step that may have several.
    windows_expected: Option<u64>,
}

impl Completeness {
    /// Of several windows together, of so many.
    pub(crate) fn of_windows(facts: Facts, windows_expected: u64) -> Self {
        Self {
            facts,
            bad_values: BTreeMap::new(),
            windows_expected: Some(windows_expected),
        }
    }

    /// `floor(100 × ok / expected)`, 100 only if all of every window are; `None` if nothing is known to be expected.
    pub fn percent(&self) -> Option<u64> {
        self.facts.percent()
    }

    /// Records counted by records counted and lost, in hundredths of a percent.
    pub fn records_percent_hundredths(&self) -> u64 {
        records_percent_hundredths(self.facts.records, &self.facts.lost)
    }

    /// Records lost.
    pub fn lost(&self) -> &Losses {
        &self.facts.lost
    }

    /// How final the step is: the least final of its windows.
    pub fn state(&self) -> WindowState {
        self.facts.state
    }

    /// Whether every expected host of every window is ok and no record was lost.
    pub fn is_complete(&self) -> bool {
        self.facts.is_whole() && self.facts.lost.total() == 0
    }
}

/// What all points of a step share.
#[derive(Debug)]
pub(crate) struct Head {
    monitor: Arc<str>,
    /// Where the step is shown.
    start_ns: i64,
    /// How long before its windows are.
    offset_ms: u64,
    window_ms: u64,
    completeness: Completeness,
}

impl Head {
    /// Of a step whose windows are `offset_ms` before where it is shown.
    pub(crate) fn new(step: &Finished, monitor: Arc<str>, is_merged: bool, offset_ms: u64) -> Self {
        let windows_expected = is_merged.then_some((step.length_ns / step.window_ns) as u64);
        Self {
            monitor,
            start_ns: step
                .start_ns
                .saturating_add_unsigned(offset_ms.saturating_mul(NANOS_PER_MS)),
            offset_ms,
            window_ms: (step.length_ns / 1_000_000) as u64,
            completeness: Completeness {
                facts: step.facts.clone(),
                bad_values: bad_values(step),
                windows_expected,
            },
        }
    }
}

/// Bad values by output: an output that is computed from several states shows the sum of theirs.
fn bad_values(step: &Finished) -> BTreeMap<Arc<str>, u64> {
    let Some(plan) = &step.plan else {
        return BTreeMap::new();
    };
    let counts = plan.outputs.iter().map(|(name, term)| {
        let mut states = BTreeSet::new();
        needed_states(plan, term, &mut states);
        let bad = states.iter().filter_map(|state| step.facts.bad_values.get(*state));
        (Arc::clone(name), bad.sum::<u64>())
    });
    counts.filter(|(_, count)| *count > 0).collect()
}

/// One group of one step.
#[derive(Debug, Clone)]
pub struct QueryPoint {
    head: Arc<Head>,
    group: Vec<(Arc<str>, Option<Vec<u8>>)>,
    values: Vec<(Arc<str>, OutputValue)>,
    /// What was put in the place of values that are null: no measured values, and so not among them.
    filled: Vec<(Arc<str>, OutputValue)>,
}

impl QueryPoint {
    pub(crate) fn new(
        head: Arc<Head>,
        group: Vec<(Arc<str>, Option<Vec<u8>>)>,
        values: Vec<(Arc<str>, OutputValue)>,
    ) -> Self {
        Self {
            head,
            group,
            values,
            filled: Vec::new(),
        }
    }

    /// The point with values put in the place of some that are null.
    pub(crate) fn filled_with(self, filled: Vec<(Arc<str>, OutputValue)>) -> Self {
        Self { filled, ..self }
    }

    /// The point as one of a source among several, which is its first group column.
    pub(crate) fn of_source(mut self, column: &Arc<str>, source: &str) -> Self {
        let source = (Arc::clone(column), Some(source.as_bytes().to_vec()));
        self.group.insert(0, source);
        self
    }

    /// What was put in the place of values that are null.
    pub fn filled(&self) -> &[(Arc<str>, OutputValue)] {
        &self.filled
    }

    /// A step of which no window has values for the question.
    pub(crate) fn without_values(head: Arc<Head>, names: &[Arc<str>]) -> Self {
        let values = names.iter().map(|name| (Arc::clone(name), OutputValue::Null));
        Self::new(head, Vec::new(), values.collect())
    }

    /// Start of the step, nanoseconds since the epoch.
    pub fn start_ns(&self) -> i64 {
        self.head.start_ns
    }

    /// Names of the group's columns and their texts.
    pub fn group(&self) -> &[(Arc<str>, Option<Vec<u8>>)] {
        &self.group
    }

    /// Names of the outputs and their values.
    pub fn values(&self) -> &[(Arc<str>, OutputValue)] {
        &self.values
    }

    /// How complete the step is.
    pub fn completeness(&self) -> &Completeness {
        &self.head.completeness
    }
}

impl Serialize for QueryPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let head = &*self.head;
        let mut point = serializer.serialize_struct("Point", 10)?;
        point.serialize_field("monitor", &*head.monitor)?;
        point.serialize_field("window", &rfc3339(head.start_ns))?;
        point.serialize_field("window_ms", &head.window_ms)?;
        point.serialize_field("group", &Group(&self.group))?;
        point.serialize_field("values", &Values(&self.values))?;
        if !self.filled.is_empty() {
            point.serialize_field("filled", &Values(&self.filled))?;
        }
        if head.offset_ms > 0 {
            point.serialize_field("offset_ms", &head.offset_ms)?;
        }
        point.serialize_field("completeness", &head.completeness)?;
        point.serialize_field("state", &head.completeness.facts.state)?;
        point.serialize_field("revision", &head.completeness.facts.revision)?;
        point.end()
    }
}

struct Group<'a>(&'a [(Arc<str>, Option<Vec<u8>>)]);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = self.0.iter();
        serializer.collect_map(texts.map(|(name, text)| (&**name, text.as_deref().map(display_text))))
    }
}

struct Values<'a>(&'a [(Arc<str>, OutputValue)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, value)))
    }
}

impl Serialize for Completeness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let facts = &self.facts;
        let lost: BTreeMap<_, _> = facts.lost.iter().map(|(reason, n)| (reason.name(), n)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("percent", &facts.percent())?;
        map.serialize_entry("ok", &facts.ok)?;
        map.serialize_entry("expected", &facts.expected())?;
        map.serialize_entry("missing", &facts.missing)?;
        map.serialize_entry("records", &facts.records)?;
        map.serialize_entry("lost", &lost)?;
        map.serialize_entry("records_percent", &(self.records_percent_hundredths() as f64 / 100.0))?;
        if facts.head_lines > 0 {
            map.serialize_entry("head", &facts.head_lines)?;
        }
        if !self.bad_values.is_empty() {
            let bad_values = self.bad_values.iter().map(|(name, count)| (&**name, count));
            map.serialize_entry("bad_value", &bad_values.collect::<BTreeMap<_, _>>())?;
        }
        if !facts.flags.is_empty() {
            map.serialize_entry("flags", &facts.flags.iter().collect::<Vec<&Flag>>())?;
        }
        if let Some(overflow) = &facts.overflow {
            map.serialize_entry("overflow", overflow)?;
        }
        if let Some(expected) = self.windows_expected {
            map.serialize_entry("min_percent", &facts.min_percent())?;
            map.serialize_entry("windows", &facts.windows)?;
            map.serialize_entry("windows_expected", &expected)?;
        }
        map.end()
    }
}
