//! `between`: the text between two marks, for each field on its own.
//!
//! A field begins behind the first occurrence of its left mark in the record and ends at the next right mark, on
//! whatever line that is; an empty right mark is the end of the left one's line. A field whose marks aren't there is
//! absent; a record in which no needed field is found is unparsable.

use memchr::memchr;

use super::error::{RuleError, Unparsable};
use super::slot::{Lines, Scratch, Slot};
use super::text::{Needle, Plain, place, plain_lines, quoted};

/// The fields in their order.
#[derive(Debug, Clone)]
pub(super) struct Between {
    fields: Vec<Field>,
}

/// A field and its marks; an empty mark is `None`.
#[derive(Debug, Clone)]
struct Field {
    name: String,
    left: Option<Needle>,
    right: Option<Needle>,
}

impl Between {
    pub(super) fn new(fields: &[(String, String, String)]) -> Result<Between, RuleError> {
        if fields.is_empty() {
            return Err(RuleError::NoFields {
                hint: "write a name with its left and right marks",
            });
        }
        for (place, (name, ..)) in fields.iter().enumerate() {
            if name.is_empty() {
                return Err(RuleError::UnnamedField);
            }
            if fields[..place].iter().any(|(before, ..)| before == name) {
                return Err(RuleError::DuplicateField { field: name.clone() });
            }
        }
        let field = |(name, left, right): &(String, String, String)| Field {
            name: name.clone(),
            left: Needle::new(left, "left").ok(),
            right: Needle::new(right, "right").ok(),
        };
        Ok(Between {
            fields: fields.iter().map(field).collect(),
        })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name.clone()).collect()
    }

    pub(super) fn name(&self) -> String {
        let mark = |mark: &Option<Needle>| quoted(&mark.as_ref().map_or(Default::default(), Needle::text));
        let field = |field: &Field| format!("{}, {}, {}", field.name, mark(&field.left), mark(&field.right));
        format!(
            "between({})",
            self.fields.iter().map(field).collect::<Vec<_>>().join(", ")
        )
    }
}

impl Field {
    /// Where it stands in the text.
    fn find(&self, text: &[u8]) -> Option<(usize, usize)> {
        let start = match &self.left {
            Some(left) => left.find(text)? + left.len(),
            None => 0,
        };
        let rest = &text[start..];
        let len = match &self.right {
            Some(right) => right.find(rest)?,
            None => memchr(b'\n', rest).unwrap_or(rest.len()),
        };
        Some((start, start + len))
    }
}

/// The needed fields, one for each slot.
#[derive(Debug)]
pub(super) struct Plan {
    fields: Vec<Field>,
}

impl Plan {
    pub(super) fn new(between: &Between, columns: &[String]) -> Result<Plan, RuleError> {
        let names = between.names();
        let mut fields = Vec::with_capacity(columns.len());
        for column in columns {
            fields.push(between.fields[place(column, &names, || between.name())?].clone());
        }
        Ok(Plan { fields })
    }

    pub(super) fn extract(
        &self,
        record: &[u8],
        lines: Lines,
        scratch: &mut Scratch,
        out: &mut [Slot],
    ) -> Result<(), Unparsable> {
        let plain = plain_lines(record, lines, scratch);
        let text = match plain {
            Plain::Record(len) => &record[..len],
            Plain::Scratch => scratch.buffer().as_slice(),
        };
        let mut found = 0;
        for (field, slot) in self.fields.iter().zip(out) {
            if let Some((start, end)) = field.find(text) {
                *slot = plain.slot(start, end);
                found += 1;
            }
        }
        if found == 0 {
            Err(Unparsable::NothingBetween)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::super::{Extractor, Rule};
    use super::*;

    fn field(name: &str, left: &str, right: &str) -> (String, String, String) {
        (name.to_owned(), left.to_owned(), right.to_owned())
    }

    fn rule() -> Rule {
        let fields = [
            field("op", "[", "]"),
            field("cost", "cost=", "ms"),
            field("rest", "::", ""),
            field("head", "", " "),
        ];
        Rule::between(&fields).expect("a good rule")
    }

    #[track_caller]
    fn check(columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(&rule(), columns, record, expected);
    }

    #[test]
    fn text_between_marks_is_found() {
        check(&["op", "cost"], "x [pay] cost=12ms", Ok(&[Some("pay"), Some("12")]));
        check(&["cost", "op"], "cost=12ms [pay]", Ok(&[Some("12"), Some("pay")]));
        check(&["op"], "[a] [b]", Ok(&[Some("a")]));
        check(&["op"], "] [a]", Ok(&[Some("a")]));
        check(&["op"], "[]", Ok(&[Some("")]));
        check(&["op", "cost"], "[pay] cost=12", Ok(&[Some("pay"), None]));
        check(&["head"], "x y", Ok(&[Some("x")]));
        check(&["rest"], "a:: b c", Ok(&[Some(" b c")]));
        check(&["rest"], "a::", Ok(&[Some("")]));
    }

    #[test]
    fn all_lines_are_seen() {
        check(&["cost"], "x\n\tat y\ncost=3ms", Ok(&[Some("3")]));
        check(&["rest"], "a::b\nc", Ok(&[Some("b")]));
        check(&["rest"], "a::b\r\nc\r", Ok(&[Some("b")]));
        check(&["rest"], "a::b\r", Ok(&[Some("b")]));
        check(&["op", "rest"], "[a\r\nb] ::c\r\n", Ok(&[Some("a\nb"), Some("c")]));
    }

    #[test]
    fn a_record_without_any_mark_is_unparsable() {
        check(&["op", "cost"], "", Err(Unparsable::NothingBetween));
        check(&["op", "cost"], "[pay cost=12", Err(Unparsable::NothingBetween));
    }

    #[test]
    fn bad_rules_are_refused() {
        assert!(matches!(Rule::between(&[]), Err(RuleError::NoFields { .. })));
        assert_eq!(
            Rule::between(&[field("", "a", "b")]).err(),
            Some(RuleError::UnnamedField)
        );
        let twice = [field("a", "a", "b"), field("a", "c", "d")];
        assert_eq!(
            Rule::between(&twice).err(),
            Some(RuleError::DuplicateField { field: "a".to_owned() })
        );
        let error = Extractor::new(&rule(), &["haed".to_owned()]).expect_err("an unknown column");
        assert!(
            error
                .to_string()
                .ends_with("gives no column `haed`; did you mean `head`?"),
            "{error}"
        );
    }
}
