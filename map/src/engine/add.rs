//! How a group's states take a record, decided once for a plan.
//!
//! Most states count records or take the number in a column, of every record: for these nothing is evaluated, and a
//! number that several states take is parsed once.

use super::{Input, RecordRow};
use crate::condition::{Node, Row, Value};
use crate::extreme::Position;
use crate::number::Decimal;
use crate::plan::{Counted, Plan, StatePlan};
use crate::state::{State, StateKind};
use logline::records::Record;

/// How one state takes a record.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// One more, of every record.
    CountRecords,
    /// The number at this place of [`Adder::numbers`], of every record.
    Number(usize),
    /// Anything else: it has a condition, or takes an expression or a text.
    Evaluated,
    /// The record itself is kept, which the engine does.
    Kept,
}

/// The text of a column as a number.
#[derive(Debug, Clone, Copy)]
enum Number {
    Null,
    Bad,
    Decimal(Decimal),
}

/// Adds records to the states of groups.
#[derive(Debug)]
pub(super) struct Adder {
    /// One for each state of the plan.
    ways: Vec<Way>,
    /// Columns that states take as they stand, with their numbers in the record at hand.
    numbers: Vec<(usize, Number)>,
}

impl Adder {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut numbers: Vec<(usize, Number)> = Vec::new();
        let mut way = |planned: &StatePlan| match (&planned.condition, &planned.argument) {
            _ if matches!(planned.kind, StateKind::Records(_)) => Way::Kept,
            (None, _) if planned.kind == StateKind::Count && planned.counted == Counted::Records => Way::CountRecords,
            (None, Some(Node::Column(column))) if is_numeric(planned.kind) => {
                let known = numbers.iter().position(|(known, _)| known == column);
                Way::Number(known.unwrap_or_else(|| {
                    numbers.push((*column, Number::Null));
                    numbers.len() - 1
                }))
            }
            _ => Way::Evaluated,
        };
        Self {
            ways: plan.states.iter().map(&mut way).collect(),
            numbers,
        }
    }

    /// Adds a record to the states of its group; what is no number where one is needed is counted in `bad_values`.
    #[inline]
    pub(super) fn add(
        &mut self,
        plan: &Plan,
        row: &RecordRow<'_>,
        record: &Record,
        input: &Input,
        states: &mut [State],
        bad_values: &mut [u64],
    ) {
        for (column, number) in &mut self.numbers {
            *number = match row.column(*column) {
                None => Number::Null,
                Some(text) => Decimal::parse(text).map_or(Number::Bad, Number::Decimal),
            };
        }
        for (index, (way, state)) in self.ways.iter().zip(states).enumerate() {
            match way {
                Way::CountRecords => state.add_record(),
                Way::Kept => {}
                Way::Number(place) => match self.numbers[*place].1 {
                    Number::Decimal(number) => state.add_decimal(number),
                    Number::Null => {}
                    Number::Bad => bad_values[index] += 1,
                },
                Way::Evaluated => evaluate(&plan.states[index], row, record, input, state, &mut bad_values[index]),
            }
        }
    }
}

/// Adds a record to a state, if its condition holds.
fn evaluate(
    planned: &StatePlan,
    row: &RecordRow<'_>,
    record: &Record,
    input: &Input,
    state: &mut State,
    bad_values: &mut u64,
) {
    let selects = |condition: &Node| condition.holds(row) == Some(true);
    if !planned.condition.as_ref().is_none_or(selects) {
        return;
    }
    match (state, &planned.argument) {
        (State::Count(count), _) => *count += counted(planned, record),
        (state, Some(argument)) if is_numeric(planned.kind) => match argument.value(row).number() {
            Value::Number(number) => state.add_decimal(number),
            Value::Null => {}
            _ => *bad_values += 1,
        },
        (state, Some(argument)) => add_text(state, argument.value(row), record, input),
        (_, None) => debug_assert!(false, "the plan gives every state but a count an argument"),
    }
}

fn counted(planned: &StatePlan, record: &Record) -> u64 {
    match planned.counted {
        Counted::Records => 1,
        Counted::Lines => record.lines,
        Counted::Bytes => record.bytes,
    }
}

fn is_numeric(kind: StateKind) -> bool {
    matches!(
        kind,
        StateKind::Sum | StateKind::Moments | StateKind::Min | StateKind::Max | StateKind::Quantiles
    )
}

fn add_text(state: &mut State, value: Value<'_>, record: &Record, input: &Input) {
    let owned;
    let text = match value {
        Value::Null | Value::Bad => return,
        Value::Text(text) => text,
        Value::Number(number) => {
            owned = number.to_string().into_bytes();
            &owned
        }
        Value::Bool(true) => b"true",
        Value::Bool(false) => b"false",
    };
    let position = position(record, input);
    match state {
        State::Distinct(distinct) => distinct.add(text),
        State::First(first) => first.add(position, text),
        State::Last(last) => last.add(position, text),
        _ => debug_assert!(false, "a text was added to a state that takes none"),
    }
}

/// The place of a record.
pub(super) fn position<'a>(record: &Record, input: &'a Input) -> Position<'a> {
    let label = |name| input.labels.get(name).unwrap_or_default().as_bytes();
    Position {
        timestamp_nanos: record.stamp,
        host: label("host"),
        path: label("path"),
        generation: input.generation,
        offset: record.offset,
    }
}
