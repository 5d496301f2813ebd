//! Conditions on the records of a batch, each asked once for all monitors that ask it.
//!
//! A condition on a column of few values is asked once for each value; one that compares a column with a number uses
//! the numbers that were read already; a text that is looked for in lines is searched in all bytes of the batch at
//! once. Any other is asked of each record. The answers are those of [`Node::holds`], whichever way they come.

use super::batch::Batch;
use super::sheet::{Cells, Column, Kind, Numbers};
use crate::condition::{Matcher, Node, Row};
use crate::number::Decimal;
use configs::expr::BinaryOp;
use memchr::memmem::Finder;

/// A condition, with what it says of each record of a batch.
#[derive(Debug)]
pub(super) struct Leaf {
    node: Node,
    way: Way,
    /// Whether it is true.
    pub(super) holds: Vec<bool>,
}

/// How it is answered.
#[derive(Debug)]
enum Way {
    /// A text is looked for in whole lines.
    Literal(Box<Finder<'static>>),
    /// A column's number, of [`super::sheet::Sheet`]'s numbers, is compared with another one.
    Number(BinaryOp, usize, Decimal),
    /// It depends on one column, whose values are numbered there.
    Named(usize),
    /// It is asked of each record.
    Each,
}

/// What a condition depends on, as a sheet has it.
pub(super) trait Places {
    /// Of which kind a column is.
    fn column(&self, column: usize) -> Column;
    /// Whether bytes are text as they stand.
    fn is_plain(&self) -> bool;
    /// Where a column's numbers will be.
    fn numbers(&mut self, column: usize) -> usize;
    /// Where a column's values will be numbered.
    fn names(&mut self, column: usize) -> usize;
}

impl Leaf {
    pub(super) fn new(node: Node, places: &mut impl Places) -> Self {
        let mut columns = Vec::new();
        let _ = node.renumbered(&mut |column| {
            columns.push(column);
            Some(column)
        });
        columns.sort_unstable();
        columns.dedup();
        let way = match (&node, columns.as_slice()) {
            (
                Node::Match {
                    value,
                    matcher: Matcher::Contains(finder),
                    negated: false,
                },
                [column],
            ) if matches!(**value, Node::Column(_))
                && places.column(*column) == Column::Line
                && places.is_plain()
                && !finder.needle().is_empty() =>
            {
                Way::Literal(finder.clone())
            }
            (Node::Compare(op, left, right), [column]) => match (&**left, &**right) {
                (Node::Column(_), Node::Number(number)) => Way::Number(*op, places.numbers(*column), *number),
                (Node::Number(number), Node::Column(_)) => Way::Number(turned(*op), places.numbers(*column), *number),
                _ => Way::of_column(*column, places),
            },
            (_, [column]) => Way::of_column(*column, places),
            _ => Way::Each,
        };
        Self {
            node,
            way,
            holds: Vec::new(),
        }
    }

    /// Whether it computes the same as a node.
    pub(super) fn is(&self, node: &Node) -> bool {
        self.node == *node
    }

    /// Asks it of all records of a batch.
    pub(super) fn fill(&mut self, batch: &Batch<'_>, cells: &Cells<'_>) {
        let records = batch.records.len();
        self.holds.clear();
        match &self.way {
            Way::Literal(finder) => {
                self.holds.resize(records, false);
                find(finder, batch, &mut self.holds);
            }
            Way::Number(op, numbers, than) => compare(*op, &cells.numbers[*numbers], *than, &mut self.holds),
            Way::Named(names) if !cells.named[*names].1.numbering().is_many => {
                let numbering = cells.named[*names].1.numbering();
                let holds = |at: &u16| self.node.holds(&cells.row(usize::from(*at))) == Some(true);
                let by_id: Vec<bool> = numbering.firsts.iter().map(holds).collect();
                self.holds
                    .extend(numbering.ids.iter().map(|id| by_id[usize::from(*id)]));
            }
            Way::Named(_) | Way::Each => {
                let holds = |at: usize| self.node.holds(&cells.row(at)) == Some(true);
                self.holds.extend((0..records).map(holds));
            }
        }
    }
}

impl Way {
    fn of_column(column: usize, places: &mut impl Places) -> Self {
        match places.column(column) {
            // Lines are all different.
            Column::Line => Self::Each,
            Column::Field(_) => Self::Named(places.names(column)),
        }
    }
}

/// The same comparison with its sides changed.
fn turned(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        other => other,
    }
}

/// Null and what is no number compare with nothing.
fn compare(op: BinaryOp, numbers: &Numbers, than: Decimal, holds: &mut Vec<bool>) {
    let than = than.nanos();
    match op {
        BinaryOp::Equal => each(numbers, |value| value == than, holds),
        BinaryOp::NotEqual => each(numbers, |value| value != than, holds),
        BinaryOp::Less => each(numbers, |value| value < than, holds),
        BinaryOp::LessOrEqual => each(numbers, |value| value <= than, holds),
        BinaryOp::Greater => each(numbers, |value| value > than, holds),
        BinaryOp::GreaterOrEqual => each(numbers, |value| value >= than, holds),
        _ => each(numbers, |_| false, holds),
    }
}

fn each(numbers: &Numbers, is: impl Fn(i128) -> bool, holds: &mut Vec<bool>) {
    let values = numbers.values.iter().zip(&numbers.kinds);
    holds.extend(values.map(|(value, kind)| (*kind == Kind::Number) & is(*value)));
}

/// Looks for a text in all lines at once: what is found counts for the record that it lies in as a whole.
fn find(finder: &Finder<'_>, batch: &Batch<'_>, holds: &mut [bool]) {
    let (bytes, place) = batch.span();
    let length = finder.needle().len();
    let (mut from, mut record) = (0, 0);
    while let Some(found) = finder.find(&bytes[from..]) {
        let begin = from + found;
        while place(record).end <= begin {
            record += 1;
            if record == holds.len() {
                return;
            }
        }
        let own = place(record);
        let line = &bytes[own.clone()];
        let end = own.start + line.strip_suffix(b"\r").unwrap_or(line).len();
        if begin >= own.start && begin + length <= end {
            holds[record] = true;
            from = own.end;
        } else {
            from = begin + 1;
        }
    }
}

/// A row of cells.
pub(super) struct CellRow<'c> {
    pub(super) cells: &'c Cells<'c>,
    pub(super) at: usize,
}

impl Row for CellRow<'_> {
    #[inline]
    fn column(&self, number: usize) -> Option<&[u8]> {
        self.cells.value(number, self.at)
    }
}
