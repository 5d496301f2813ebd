//! The mistakes of a file as they are found, and the checks that several kinds of documents share.

use super::field::Field;
use super::locate::locate;
use crate::diagnostic::Mistake;
use crate::units::{DURATION_HINT, duration_ms};
use std::ops::Range;

/// The longest name; names become keys of stores and parts of paths.
const NAME_BYTES_MAX: usize = 128;

/// A file being read, and what was wrong in it so far.
pub(super) struct Reading<'a> {
    pub(super) file: &'a str,
    pub(super) mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    pub(super) fn note(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// Notes a mistake within a text that is written at `node`.
    pub(super) fn note_within(&mut self, text: &str, node: &Range<usize>, mistake: Mistake) {
        let span = locate(self.file, node.clone(), text, mistake.span.clone()).unwrap_or(node.clone());
        self.note(Mistake { span, ..mistake });
    }

    /// Reads an expression.
    pub(super) fn expression<T>(
        &mut self,
        text: &str,
        node: &Range<usize>,
        read: impl FnOnce(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        read(text).map_err(|mistake| self.note_within(text, node, mistake)).ok()
    }

    /// A document's own name; an empty one if it has none that can be used.
    pub(super) fn name(&mut self, field: &Field<String>, kind: &str, document: &Range<usize>) -> String {
        if let Field::Absent = field {
            self.note(Mistake::new(document.clone(), format!("the {kind} has no `name`")).hint("add a line `name: …`"));
        }
        self.optional_name(field).unwrap_or_default()
    }

    /// A name: letters, digits, `_`, `.` and `-`.
    pub(super) fn optional_name(&mut self, field: &Field<String>) -> Option<String> {
        let (name, span) = field.given()?;
        let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-');
        let fits = name.len() <= NAME_BYTES_MAX && name.chars().all(is_part);
        if !fits || name.is_empty() || name.starts_with(['.', '-']) {
            let mistake = Mistake::new(span, format!("`{name}` can't be a name"));
            self.note(mistake.hint("use letters, digits, `_`, `.` and `-`, beginning with a letter, a digit or `_`"));
        }
        Some(name.clone())
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, field: &Field<String>, what: &str) -> Option<String> {
        let (text, span) = field.given()?;
        if text.is_empty() {
            self.note(Mistake::new(span, format!("`{what}` is empty")).hint("leave the key out, or give it a value"));
        }
        Some(text.clone())
    }

    /// A key that `owner` can't do without.
    pub(super) fn required(
        &mut self,
        field: &Field<String>,
        owner: &str,
        key: &str,
        place: &Range<usize>,
    ) -> Option<String> {
        if let Field::Absent = field {
            self.note(Mistake::new(place.clone(), format!("`{owner}` has no `{key}`")).hint(format!("add `{key}: …`")));
        }
        field.value().cloned()
    }

    pub(super) fn duration(&mut self, field: &Field<String>) -> Option<u64> {
        let (text, span) = field.given()?;
        let duration = duration_ms(text);
        if duration.is_none() {
            self.note(Mistake::new(span, format!("`{text}` is not a duration")).hint(DURATION_HINT));
        }
        duration
    }

    /// A quantity with a unit.
    pub(super) fn quantity(
        &mut self,
        field: &Field<String>,
        read: fn(&str) -> Option<u64>,
        what: &str,
        example: &str,
    ) -> Option<u64> {
        let (text, span) = field.given()?;
        let quantity = read(text);
        if quantity.is_none() {
            let mistake = Mistake::new(span, format!("`{text}` is not {what}"));
            self.note(mistake.hint(format!("write a whole number and a unit: {example}")));
        }
        quantity
    }
}
