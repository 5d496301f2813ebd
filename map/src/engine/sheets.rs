//! The sheets of all monitors on one file, by the rules that cut its records.

use super::Input;
use super::batch::Batch;
use super::seat::Seat;
use super::sheet::Sheet;
use crate::plan::Plan;
use logline::fields::RuleError;
use std::sync::atomic::{AtomicU64, Ordering};

/// What monitors on one file have in common, by rule.
pub struct Sheets {
    /// Tells these from all others of the process.
    id: u64,
    sheets: Vec<Sheet>,
    /// Which are needed for the batch at hand.
    wanted: Vec<bool>,
}

/// A monitor's place at one of the sheets.
#[derive(Clone)]
pub struct Seated {
    pub(super) seat: Seat,
    sheets: u64,
    /// None for a monitor that looks at no text.
    sheet: Option<usize>,
}

impl Default for Sheets {
    fn default() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self {
            id: MADE.fetch_add(1, Ordering::Relaxed),
            sheets: Vec::new(),
            wanted: Vec::new(),
        }
    }
}

impl Sheets {
    /// A place for a monitor.
    ///
    /// # Errors
    /// If the rule can't give a field that the plan needs.
    pub fn seat(&mut self, plan: &Plan, input: &Input) -> Result<Seated, RuleError> {
        let seated = |seat, sheet| Seated {
            seat,
            sheets: self.id,
            sheet,
        };
        if !plan.uses_text() {
            return Ok(seated(Seat::new(plan, None)?, None));
        }
        let rule = input.rule.as_ref().filter(|_| plan.uses_fields());
        let known = self.sheets.iter().position(|sheet| sheet.is_of(rule, input.form));
        if let Some(known) = known
            && let Ok(seat) = Seat::new(plan, Some(&mut self.sheets[known]))
        {
            return Ok(seated(seat, Some(known)));
        }
        // No other monitor cuts by it, or they all together need too many fields.
        let mut sheet = Sheet::new(rule.cloned(), input.form);
        let seat = Seat::new(plan, Some(&mut sheet))?;
        self.sheets.push(sheet);
        Ok(seated(seat, Some(self.sheets.len() - 1)))
    }

    /// Whether a place is at one of these.
    pub fn has(&self, seated: &Seated) -> bool {
        self.id == seated.sheets
    }

    /// Nothing is wanted of the next batch yet.
    pub fn begin(&mut self) {
        self.wanted.clear();
        self.wanted.resize(self.sheets.len(), false);
    }

    /// The sheet of a place is needed for the next batch.
    pub fn want(&mut self, seated: &Seated) {
        if let Some(sheet) = seated.sheet {
            self.wanted[sheet] = true;
        }
    }

    /// Cuts, numbers and reads the records of a batch for all who want it.
    pub fn fill(&mut self, batch: &Batch<'_>) {
        let sheets = self.sheets.iter_mut().zip(&self.wanted);
        sheets
            .filter(|(_, is_wanted)| **is_wanted)
            .for_each(|(sheet, _)| sheet.fill(batch));
    }

    /// The sheet of a place.
    pub(super) fn of(&self, seated: &Seated) -> Option<&Sheet> {
        debug_assert!(self.has(seated), "a monitor has its place at other sheets");
        seated.sheet.map(|sheet| &self.sheets[sheet])
    }
}
