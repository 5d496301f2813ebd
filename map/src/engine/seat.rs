//! A monitor's place at a sheet: where it finds there what it needs of each record.

use super::leaf::Places;
use super::sheet::Sheet;
use crate::condition::Node;
use crate::plan::{Counted, Plan, Source, StatePlan};
use crate::state::StateKind;
use logline::fields::{Extractor, RuleError, Scratch, Slot};

/// Where a monitor's columns, conditions and numbers are.
pub struct Seat {
    /// By the plan's number.
    pub(super) cells: Vec<Cell>,
    /// Where the values of the columns that group are numbered, if there are any but labels.
    pub(super) key: Option<usize>,
    pub(super) filter: Condition,
    pub(super) states: Vec<StateSeat>,
    /// For records that have not all that the sheet is asked for.
    pub(super) own: Option<Own>,
}

/// Where a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// In the sheet.
    Sheet(usize),
    /// The same for all records of the input.
    Label(String),
}

/// What must be true: some of it is answered by the sheet, the rest concerns labels.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    pub(super) leaves: Vec<usize>,
    pub(super) rest: Vec<Node>,
}

/// How a state takes records.
#[derive(Debug, Clone)]
pub(super) struct StateSeat {
    pub(super) way: Way,
    /// Only those for which this holds.
    pub(super) condition: Option<Condition>,
}

/// How one state takes a record that it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// So many more.
    Count(Counted),
    /// The number that the sheet has read.
    Number(usize),
    /// An expression or a text.
    Evaluated,
    /// The record itself.
    Kept,
}

/// Cuts records into one monitor's fields alone.
pub(super) struct Own {
    extractor: Extractor,
    pub(super) scratch: Scratch,
    pub(super) slots: Vec<Slot>,
}

impl Clone for Seat {
    fn clone(&self) -> Self {
        Self {
            cells: self.cells.clone(),
            key: self.key,
            filter: self.filter.clone(),
            states: self.states.clone(),
            own: None,
        }
    }
}

impl Seat {
    /// A place for a monitor. `sheet` is that of its rule, and `None` if it looks at no text.
    ///
    /// # Errors
    /// If the rule lacks a field, or there are too many fields at the sheet.
    pub(super) fn new(plan: &Plan, mut sheet: Option<&mut Sheet>) -> Result<Self, RuleError> {
        if let Some(sheet) = &mut sheet {
            sheet.add_fields(&plan.fields)?;
        }
        let mut cell = |source: &Source| match (source, &mut sheet) {
            (Source::Label(name), _) => Some(Cell::Label(name.clone())),
            (Source::Field(slot), Some(sheet)) => sheet.field(&plan.fields[*slot]).map(Cell::Sheet),
            (Source::Line, Some(sheet)) => Some(Cell::Sheet(sheet.line())),
            (Source::Field(_) | Source::Line, None) => None,
        };
        // Without a rule no field is ever there, as a label that nobody gave.
        let absent = || Cell::Label(String::new());
        let cells: Vec<Cell> = (plan.columns.iter())
            .map(|source| cell(source).unwrap_or_else(absent))
            .collect();
        let grouping: Vec<usize> = (plan.group_columns.iter())
            .filter_map(|column| in_sheet(&cells, *column))
            .collect();
        let key = sheet
            .as_mut()
            .filter(|_| !grouping.is_empty())
            .map(|sheet| sheet.key(&grouping));
        let filter = plan.filter.as_ref();
        let filter = filter.map_or_else(Condition::default, |node| {
            Condition::new(node, &cells, sheet.as_deref_mut())
        });
        let states = (plan.states.iter())
            .map(|planned| StateSeat::new(planned, &cells, sheet.as_deref_mut()))
            .collect();
        Ok(Self {
            cells,
            key,
            filter,
            states,
            own: None,
        })
    }

    /// What cuts records into this monitor's fields alone; `None` if the sheet does just that.
    pub(super) fn own(&mut self, plan: &Plan, sheet: &Sheet) -> Option<&mut Own> {
        if sheet.has_only(&plan.fields) {
            return None;
        }
        if self.own.is_none() {
            self.own = sheet.rule().and_then(|rule| Own::new(rule, &plan.fields));
        }
        self.own.as_mut()
    }
}

fn in_sheet(cells: &[Cell], column: usize) -> Option<usize> {
    match cells[column] {
        Cell::Sheet(column) => Some(column),
        Cell::Label(_) => None,
    }
}

impl Condition {
    fn new(node: &Node, cells: &[Cell], mut sheet: Option<&mut Sheet>) -> Self {
        let mut condition = Self::default();
        for node in node.conjuncts() {
            let shared = node.renumbered(&mut |column| in_sheet(cells, column));
            match (shared, &mut sheet) {
                (Some(shared), Some(sheet)) => condition.leaves.push(sheet.leaf(shared)),
                _ => condition.rest.push(node.clone()),
            }
        }
        condition
    }
}

impl StateSeat {
    fn new(planned: &StatePlan, cells: &[Cell], mut sheet: Option<&mut Sheet>) -> Self {
        let condition = planned.condition.as_ref();
        let condition = condition.map(|node| Condition::new(node, cells, sheet.as_deref_mut()));
        let way = match (planned.kind, &planned.argument) {
            (StateKind::Records(_), _) => Way::Kept,
            (StateKind::Count, _) => Way::Count(planned.counted),
            (kind, Some(Node::Column(column))) if is_numeric(kind) => {
                let numbers = in_sheet(cells, *column).zip(sheet);
                numbers.map_or(Way::Evaluated, |(column, sheet)| Way::Number(sheet.numbers(column)))
            }
            _ => Way::Evaluated,
        };
        Self { way, condition }
    }
}

/// Whether a state takes numbers.
pub(super) fn is_numeric(kind: StateKind) -> bool {
    matches!(
        kind,
        StateKind::Sum | StateKind::Moments | StateKind::Min | StateKind::Max | StateKind::Quantiles
    )
}

impl Own {
    fn new(rule: &logline::fields::Rule, fields: &[String]) -> Option<Self> {
        Some(Self {
            extractor: Extractor::new(rule, fields).ok()?,
            scratch: Scratch::default(),
            slots: vec![Slot::Absent; fields.len()],
        })
    }

    /// Cuts a record.
    pub(super) fn cut(&mut self, text: &[u8], lines: logline::fields::Lines) -> bool {
        let Self {
            extractor,
            scratch,
            slots,
        } = self;
        extractor.extract_lines(text, lines, scratch, slots).is_ok()
    }
}
