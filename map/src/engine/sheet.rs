//! The columns of a batch's records, each cut, numbered and read once for all monitors that need it.
//!
//! Monitors on one log ask for other columns, conditions and groups of the same records. A [`Sheet`] holds what they
//! have in common: one cut a record, into all columns that any of them needs; one number of each text that any of them
//! adds up; one number of each value that any of them groups by; one answer to each condition. What is left to a
//! monitor is its own windows and its own states.
//!
//! A record that cannot be cut into all these columns may still be cut into those of one monitor: it is
//! [`Outcome::Odd`], and left to each of them. So what a monitor counts never depends on its neighbours.

use super::batch::Batch;
use super::leaf::{CellRow, Leaf, Places};
use super::names::{Names, Numbering, Text};
use crate::condition::Node;
use crate::number::Decimal;
use logline::fields::{Extractor, Lines, Rule, RuleError, Scratch, Slot};
use logline::records::Extent;
use logline::text::{Form, NoText, TextReader};
use std::ops::Range;

/// Memory of decoded text that is kept from batch to batch.
const ARENA_KEPT_BYTES: usize = 1 << 20;

/// Where a column's text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A field, by its number.
    Field(usize),
    /// The whole text.
    Line,
}

/// Whether a record can be counted by those who look at its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its columns are there.
    Cut,
    /// It is longer than what is kept of a record.
    TooLong,
    /// Its bytes are no text.
    Undecodable,
    /// Its envelope has no text.
    Unparsable,
    /// It has not all the columns that anybody needs.
    Odd,
}

/// The texts of a column as numbers.
#[derive(Debug)]
pub(super) struct Numbers {
    column: usize,
    /// In nano-units, where there is one.
    pub(super) values: Vec<i128>,
    pub(super) kinds: Vec<Kind>,
}

/// What a text is as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bad,
    Number,
}

/// Values of several columns together, numbered.
#[derive(Debug)]
struct Key {
    /// Which columns' values.
    named: Vec<usize>,
    numbering: Numbering,
}

/// What monitors that cut records by one rule have in common.
pub(super) struct Sheet {
    rule: Option<Rule>,
    form: Form,
    reader: Option<TextReader>,
    extractor: Option<Extractor>,
    fields: Vec<String>,
    columns: Vec<Column>,
    named: Vec<(usize, Names)>,
    numbers: Vec<Numbers>,
    keys: Vec<Key>,
    leaves: Vec<Leaf>,
    cut: Cut,
    spare: (Numbering, Vec<u8>),
}

/// A batch, cut.
#[derive(Default)]
struct Cut {
    outcomes: Vec<Outcome>,
    is_all_cut: bool,
    /// By record, then by field.
    slots: Vec<Slot>,
    width: usize,
    scratch: Scratch,
    /// What fields decode to that are escaped in the record; and texts, if bytes are none.
    arena: Vec<u8>,
    /// Where texts are in the arena; empty if bytes are text.
    texts: Vec<Range<usize>>,
}

/// The cells of a batch, while conditions are asked of them.
pub(super) struct Cells<'c> {
    cut: &'c Cut,
    columns: &'c [Column],
    batch: &'c Batch<'c>,
    pub(super) named: &'c [(usize, Names)],
    pub(super) numbers: &'c [Numbers],
}

impl Cut {
    /// A record's text.
    #[inline]
    fn text<'c>(&'c self, batch: &Batch<'c>, at: usize) -> &'c [u8] {
        match self.texts.get(at) {
            Some(place) => &self.arena[place.clone()],
            None => batch.bytes(at),
        }
    }

    /// A column's text and what stands behind it. Null is nothing, or `-`, but in whole lines.
    #[inline]
    fn cell<'c>(&'c self, batch: &Batch<'c>, column: Column, at: usize) -> Text<'c> {
        let text = self.text(batch, at);
        let Column::Field(field) = column else {
            return Some((text, text.strip_suffix(b"\r").unwrap_or(text).len()));
        };
        let (text, length) = match self.slots[at * self.width + field] {
            Slot::Absent => return None,
            Slot::Record { start, len } => (text.get(start as usize..)?, len as usize),
            Slot::Scratch { start, len } => (self.arena.get(start as usize..)?, len as usize),
        };
        match (length, text.first()) {
            (0, _) | (1, Some(b'-')) => None,
            _ => Some((text, length)),
        }
    }

    /// Cuts all records of a batch.
    fn fill(&mut self, batch: &Batch<'_>, reader: Option<&mut TextReader>, extractor: Option<&mut Extractor>) {
        self.outcomes.clear();
        self.slots.clear();
        self.texts.clear();
        self.arena.clear();
        self.arena.shrink_to(ARENA_KEPT_BYTES);
        self.is_all_cut = true;
        if let Some(reader) = reader {
            self.decode(batch, reader);
        } else {
            let outcome = |extent| match extent {
                Extent::Whole => Outcome::Cut,
                Extent::Cut => Outcome::TooLong,
            };
            self.outcomes
                .extend(batch.records.iter().map(|record| outcome(record.extent)));
        }
        if let Some(extractor) = extractor {
            self.slots.resize(batch.records.len() * self.width, Slot::Absent);
            for at in 0..batch.records.len() {
                if self.outcomes[at] == Outcome::Cut && !self.cut_one(batch, at, extractor) {
                    self.outcomes[at] = Outcome::Odd;
                }
            }
        }
        self.is_all_cut = self.outcomes.iter().all(|outcome| *outcome == Outcome::Cut);
    }

    fn decode(&mut self, batch: &Batch<'_>, reader: &mut TextReader) {
        for (at, record) in batch.records.iter().enumerate() {
            let begin = self.arena.len();
            self.outcomes.push(match record.extent {
                Extent::Cut => Outcome::TooLong,
                Extent::Whole => match reader.record(batch.bytes(at)) {
                    Ok(text) => {
                        self.arena.extend_from_slice(text);
                        Outcome::Cut
                    }
                    Err(NoText::Undecodable) => Outcome::Undecodable,
                    Err(_) => Outcome::Unparsable,
                },
            });
            self.texts.push(begin..self.arena.len());
        }
    }

    #[inline]
    fn cut_one(&mut self, batch: &Batch<'_>, at: usize, extractor: &mut Extractor) -> bool {
        let Self {
            slots,
            width,
            scratch,
            arena,
            texts,
            ..
        } = self;
        let text = match texts.get(at) {
            Some(place) => &arena[place.clone()],
            None => batch.bytes(at),
        };
        let own = &mut slots[at * *width..][..*width];
        if extractor.extract_lines(text, lines(batch, at), scratch, own).is_err() {
            return false;
        }
        if scratch.is_empty() {
            return true;
        }
        for slot in own {
            if let Slot::Scratch { start, len } = *slot {
                let decoded = slot.bytes(&[], scratch).unwrap_or_default();
                debug_assert_eq!(decoded.len(), len as usize, "a slot from {start} on");
                *slot = Slot::Scratch {
                    start: arena.len() as u32,
                    len,
                };
                arena.extend_from_slice(decoded);
            }
        }
        true
    }
}

/// What is known of a record's lines.
pub(super) fn lines(batch: &Batch<'_>, at: usize) -> Lines {
    if batch.records[at].lines == 1 {
        Lines::One
    } else {
        Lines::Any
    }
}

impl<'c> Cells<'c> {
    /// A column's text; `None` for null.
    #[inline]
    pub(super) fn value(&self, column: usize, at: usize) -> Option<&[u8]> {
        let cell = self.cut.cell(self.batch, self.columns[column], at);
        cell.map(|(text, length)| &text[..length])
    }

    /// One record's columns.
    pub(super) fn row(&'c self, at: usize) -> CellRow<'c> {
        CellRow { cells: self, at }
    }
}

impl Sheet {
    /// A sheet for records that are cut by one rule.
    pub(super) fn new(rule: Option<Rule>, form: Form) -> Self {
        Self {
            reader: (!form.is_plain()).then(|| TextReader::new(form)),
            rule,
            form,
            extractor: None,
            fields: Vec::new(),
            columns: Vec::new(),
            named: Vec::new(),
            numbers: Vec::new(),
            keys: Vec::new(),
            leaves: Vec::new(),
            cut: Cut::default(),
            spare: (Numbering::default(), Vec::new()),
        }
    }

    /// Whether records are cut into exactly these fields, in this order.
    pub(super) fn has_only(&self, fields: &[String]) -> bool {
        self.fields == fields
    }

    /// The rule.
    pub(super) fn rule(&self) -> Option<&Rule> {
        self.rule.as_ref()
    }

    /// Whether it cuts by this rule.
    pub(super) fn is_of(&self, rule: Option<&Rule>, form: Form) -> bool {
        self.form == form && self.rule.as_ref().map(Rule::name) == rule.map(Rule::name)
    }

    /// Cuts into these fields too.
    ///
    /// # Errors
    /// If the rule has no such field, or there are too many in all; nothing has changed then.
    pub(super) fn add_fields(&mut self, fields: &[String]) -> Result<(), RuleError> {
        let Some(rule) = &self.rule else { return Ok(()) };
        let mut all = self.fields.clone();
        for field in fields {
            if !all.contains(field) {
                all.push(field.clone());
            }
        }
        if all.len() > self.fields.len() {
            self.extractor = Some(Extractor::new(rule, &all)?);
            self.fields = all;
        }
        Ok(())
    }

    /// The number of a field's column.
    pub(super) fn field(&mut self, name: &str) -> Option<usize> {
        let field = self.fields.iter().position(|field| field == name)?;
        Some(self.number(Column::Field(field)))
    }

    /// The number of the whole text's column.
    pub(super) fn line(&mut self) -> usize {
        self.number(Column::Line)
    }

    fn number(&mut self, column: Column) -> usize {
        let known = self.columns.iter().position(|known| *known == column);
        known.unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        })
    }

    /// Where what several columns hold will be numbered.
    pub(super) fn key(&mut self, columns: &[usize]) -> usize {
        let named: Vec<usize> = columns.iter().map(|column| self.names(*column)).collect();
        let known = self.keys.iter().position(|key| key.named == named);
        known.unwrap_or_else(|| {
            let numbering = Numbering::default();
            self.keys.push(Key { named, numbering });
            self.keys.len() - 1
        })
    }

    /// Where a condition will be answered.
    pub(super) fn leaf(&mut self, node: Node) -> usize {
        let known = self.leaves.iter().position(|leaf| leaf.is(&node));
        known.unwrap_or_else(|| {
            let leaf = Leaf::new(node, self);
            self.leaves.push(leaf);
            self.leaves.len() - 1
        })
    }

    /// Cuts, numbers and reads the records of a batch. Cost: what all monitors together need of each record.
    pub(super) fn fill(&mut self, batch: &Batch<'_>) {
        let Self {
            cut,
            columns,
            named,
            numbers,
            keys,
            leaves,
            ..
        } = self;
        cut.width = self.fields.len();
        cut.fill(batch, self.reader.as_mut(), self.extractor.as_mut());
        let records = batch.records.len();
        for (column, names) in named.iter_mut() {
            let column = columns[*column];
            names.fill(records, |at| cut.cell(batch, column, at));
        }
        for numbers in numbers.iter_mut() {
            let column = columns[numbers.column];
            numbers.fill(records, |at| cut.cell(batch, column, at));
        }
        let (spare, table) = &mut self.spare;
        for key in keys.iter_mut().filter(|key| key.named.len() > 1) {
            let numbering = |index: usize| named[index].1.numbering();
            key.numbering
                .pair(numbering(key.named[0]), numbering(key.named[1]), table);
            for next in &key.named[2..] {
                std::mem::swap(spare, &mut key.numbering);
                key.numbering.pair(spare, numbering(*next), table);
            }
        }
        let cells = Cells {
            cut,
            columns,
            batch,
            named,
            numbers,
        };
        for leaf in leaves {
            leaf.fill(batch, &cells);
        }
    }

    /// Whether every record of the batch is [`Outcome::Cut`].
    pub(super) fn is_all_cut(&self) -> bool {
        self.cut.is_all_cut
    }

    /// What became of a record.
    pub(super) fn outcome(&self, at: usize) -> Outcome {
        self.cut.outcomes[at]
    }

    /// A record's text.
    pub(super) fn text<'c>(&'c self, batch: &Batch<'c>, at: usize) -> &'c [u8] {
        self.cut.text(batch, at)
    }

    /// A column's text; `None` for null.
    #[inline]
    pub(super) fn value<'c>(&'c self, batch: &Batch<'c>, column: usize, at: usize) -> Option<&'c [u8]> {
        let cell = self.cut.cell(batch, self.columns[column], at);
        cell.map(|(text, length)| &text[..length])
    }

    /// The numbers of what several columns hold.
    pub(super) fn numbering(&self, key: usize) -> &Numbering {
        let key = &self.keys[key];
        match key.named.as_slice() {
            [only] => self.named[*only].1.numbering(),
            _ => &key.numbering,
        }
    }

    /// The numbers in a column.
    pub(super) fn read(&self, numbers: usize) -> &Numbers {
        &self.numbers[numbers]
    }

    /// Of which records a condition is true.
    pub(super) fn holds(&self, leaf: usize) -> &[bool] {
        &self.leaves[leaf].holds
    }
}

impl Places for Sheet {
    fn column(&self, column: usize) -> Column {
        self.columns[column]
    }

    fn is_plain(&self) -> bool {
        self.reader.is_none()
    }

    fn numbers(&mut self, column: usize) -> usize {
        let known = self.numbers.iter().position(|numbers| numbers.column == column);
        known.unwrap_or_else(|| {
            let (values, kinds) = Default::default();
            self.numbers.push(Numbers { column, values, kinds });
            self.numbers.len() - 1
        })
    }

    fn names(&mut self, column: usize) -> usize {
        let known = self.named.iter().position(|(known, _)| *known == column);
        known.unwrap_or_else(|| {
            self.named.push((column, Names::default()));
            self.named.len() - 1
        })
    }
}

impl Numbers {
    fn fill<'r>(&mut self, records: usize, text: impl Fn(usize) -> Text<'r>) {
        self.values.clear();
        self.kinds.clear();
        for at in 0..records {
            let (value, kind) = match text(at) {
                None => (0, Kind::Null),
                Some((text, length)) => match Decimal::parse(&text[..length]) {
                    Ok(number) => (number.nanos(), Kind::Number),
                    Err(_) => (0, Kind::Bad),
                },
            };
            self.values.push(value);
            self.kinds.push(kind);
        }
    }
}
