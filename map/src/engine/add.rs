//! How a group's states take records.

use super::Input;
use super::batch::Batch;
use super::seat::{Cell, Condition, Seat, StateSeat, Way, is_numeric};
use super::sheet::{Kind, Sheet};
use crate::condition::{Node, Row, Value};
use crate::extreme::Position;
use crate::number::Decimal;
use crate::plan::{Counted, Plan, StatePlan};
use crate::state::{State, StateKind};
use logline::records::Record;

/// The records of a batch as one monitor sees them.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) plan: &'v Plan,
    pub(super) input: &'v Input,
    pub(super) cells: &'v [Cell],
    pub(super) batch: &'v Batch<'v>,
    pub(super) sheet: Option<&'v Sheet>,
}

/// One record's columns.
pub(super) struct ViewRow<'v> {
    view: View<'v>,
    at: usize,
}

impl Row for ViewRow<'_> {
    #[inline]
    fn column(&self, number: usize) -> Option<&[u8]> {
        self.view.column(number, self.at)
    }
}

impl<'v> View<'v> {
    /// What a monitor sees of a batch, and of the sheet of it.
    pub(super) fn new(
        plan: &'v Plan,
        input: &'v Input,
        seat: &'v Seat,
        (batch, sheet): (&'v Batch<'v>, Option<&'v Sheet>),
    ) -> Self {
        Self {
            plan,
            input,
            cells: &seat.cells,
            batch,
            sheet,
        }
    }

    /// A record's columns.
    pub(super) fn row(self, at: usize) -> ViewRow<'v> {
        ViewRow { view: self, at }
    }

    /// The text of a column by its number in the plan; `None` for null.
    #[inline]
    pub(super) fn column(self, number: usize, at: usize) -> Option<&'v [u8]> {
        match (&self.cells[number], self.sheet) {
            (Cell::Sheet(column), Some(sheet)) => sheet.value(self.batch, *column, at),
            (Cell::Label(name), _) => self.input.labels.get(name).map(str::as_bytes),
            (Cell::Sheet(_), None) => None,
        }
    }

    /// Leaves only those records for which a condition holds.
    pub(super) fn choose(self, condition: &Condition, records: &mut Vec<u16>) {
        for leaf in &condition.leaves {
            if let Some(sheet) = self.sheet {
                let holds = sheet.holds(*leaf);
                retain(records, |at| holds[at]);
            }
        }
        for node in &condition.rest {
            retain(records, |at| node.holds(&self.row(at)) == Some(true));
        }
    }

    /// Adds one record to the states of its group.
    pub(super) fn add_one(self, seats: &[StateSeat], at: usize, states: &mut [State], bad_values: &mut [u64]) {
        let record = &self.batch.records[at];
        for (index, (seat, state)) in seats.iter().zip(states).enumerate() {
            if seat
                .condition
                .as_ref()
                .is_some_and(|condition| !self.holds(condition, at))
            {
                continue;
            }
            match (seat.way, self.sheet) {
                (Way::Kept, _) => {}
                (Way::Count(counted), _) => state.add_count(count(counted, record)),
                (Way::Number(numbers), Some(sheet)) => {
                    let numbers = sheet.read(numbers);
                    match numbers.kinds[at] {
                        Kind::Number => state.add_decimal(Decimal::from_nanos(numbers.values[at])),
                        Kind::Null => {}
                        Kind::Bad => bad_values[index] += 1,
                    }
                }
                (Way::Number(_) | Way::Evaluated, _) => {
                    let planned = &self.plan.states[index];
                    take(
                        planned,
                        &self.row(at),
                        record,
                        self.input,
                        state,
                        &mut bad_values[index],
                    );
                }
            }
        }
    }

    fn holds(self, condition: &Condition, at: usize) -> bool {
        let leaves = condition.leaves.iter();
        let mut answers = leaves.map(|leaf| self.sheet.is_some_and(|sheet| sheet.holds(*leaf)[at]));
        answers.all(|holds| holds)
            && condition
                .rest
                .iter()
                .all(|node| node.holds(&self.row(at)) == Some(true))
    }
}

/// Leaves only those that are wanted, in their order.
pub(super) fn retain(records: &mut Vec<u16>, wants: impl Fn(usize) -> bool) {
    let mut kept = 0;
    for index in 0..records.len() {
        let at = records[index];
        records[kept] = at;
        kept += usize::from(wants(usize::from(at)));
    }
    records.truncate(kept);
}

/// How much of what is counted a record is.
#[inline]
pub(super) fn count(counted: Counted, record: &Record) -> u64 {
    match counted {
        Counted::Records => 1,
        Counted::Lines => record.lines,
        Counted::Bytes => record.bytes,
    }
}

/// Adds a record to a state, if its condition holds.
pub(super) fn evaluate(
    planned: &StatePlan,
    row: &impl Row,
    record: &Record,
    input: &Input,
    state: &mut State,
    bad_values: &mut u64,
) {
    let selects = |condition: &Node| condition.holds(row) == Some(true);
    if planned.condition.as_ref().is_none_or(selects) {
        take(planned, row, record, input, state, bad_values);
    }
}

/// Adds a record to a state whose condition holds.
pub(super) fn take(
    planned: &StatePlan,
    row: &impl Row,
    record: &Record,
    input: &Input,
    state: &mut State,
    bad_values: &mut u64,
) {
    match (state, &planned.argument) {
        (State::Records(_), _) => {}
        (state, _) if planned.kind == StateKind::Count => state.add_count(count(planned.counted, record)),
        (state, Some(argument)) if is_numeric(planned.kind) => match argument.value(row).number() {
            Value::Number(number) => state.add_decimal(number),
            Value::Null => {}
            _ => *bad_values += 1,
        },
        (state, Some(argument)) => add_text(state, argument.value(row), record, input),
        (_, None) => debug_assert!(false, "the plan gives every state but a count an argument"),
    }
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
