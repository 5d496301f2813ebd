//! Fields cut out of a record's bytes: every `parse` form, as plans compiled for the columns that are asked for.
//!
//! A [`Rule`] is what a user writes, validated once. An [`Extractor`] is that rule compiled for some columns; it cuts
//! a record into [`Slot`]s, positions in the record itself, so that nothing is copied. Only text that must differ from
//! the record's bytes (decoded escapes, line ends made plain) goes into a [`Scratch`] that is used again and again.
//!
//! What a field *means* is not decided here: an empty field and `-` come out as they stand.
//!
//! Which of a record's lines are looked at: `json`, `between` and `regex` see all of them, the other forms the first.
//! A `\r` before a line end belongs to the line end in every form.

mod access;
mod access_format;
mod between;
mod detect;
mod detect_pairs;
mod error;
mod escapes;
mod grok;
mod json;
mod json_path;
mod json_shape;
mod json_skim;
mod kv;
mod logfmt;
#[cfg(test)]
mod properties;
mod regex;
mod regex_chain;
mod rule;
mod slot;
mod split;
mod text;

pub use detect::Detected;
pub use error::{RuleError, Unparsable};
pub(crate) use regex::compile_pattern;
pub use rule::{Manner, Rule};
pub use slot::{Lines, Scratch, Slot};

use rule::Form;

/// Most columns that one extractor cuts out. With [`RECORD_BYTES_MAX`] it keeps every position within 32 bits, decoded
/// text included; a monitor with more columns is a mistake.
pub const COLUMNS_MAX: usize = 1000;

/// Longest record that fields are cut out of: four times what the record reader keeps of a record.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// A rule compiled for the columns that are needed. One per thread: it keeps what it uses again from record to record.
#[derive(Debug)]
pub struct Extractor {
    plan: Plan,
    columns: usize,
}

/// A compiled rule of each form.
#[derive(Debug)]
enum Plan {
    Json(json::Plan),
    Logfmt(logfmt::Plan),
    Kv(kv::Plan),
    Split(split::Plan),
    Between(between::Plan),
    Regex(regex::Plan),
    Access(access::Plan),
}

/// Appends what the inside of a JSON string stands for.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    escapes::decode(text, out);
}

impl Extractor {
    /// Compiles `rule` for `columns`, in their order; a column may stand there twice.
    ///
    /// # Errors
    /// A column that the rule can't give, with the nearest that it can; more than [`COLUMNS_MAX`] columns.
    pub fn new(rule: &Rule, columns: &[String]) -> Result<Extractor, RuleError> {
        if columns.len() > COLUMNS_MAX {
            return Err(RuleError::TooManyColumns {
                columns: columns.len(),
                most: COLUMNS_MAX,
            });
        }
        let plan = match rule.form() {
            Form::Json => Plan::Json(json::Plan::new(columns)),
            Form::Logfmt => Plan::Logfmt(logfmt::Plan::new(columns)),
            Form::Kv(kv) => Plan::Kv(kv::Plan::new(kv, columns)),
            Form::Split(split) => Plan::Split(split::Plan::new(split, columns)?),
            Form::Between(between) => Plan::Between(between::Plan::new(between, columns)?),
            Form::Regex(regex) => Plan::Regex(regex::Plan::new(regex, columns)?),
            Form::Access(format) => Plan::Access(access::Plan::new(format, columns)?),
        };
        Ok(Extractor {
            plan,
            columns: columns.len(),
        })
    }

    /// Cuts the columns out of a record: its bytes without the last line end, further lines separated by `\n`.
    /// `out` is as long as the columns are many, and is all [`Slot::Absent`] if the record is unparsable.
    /// Cost: only as far into the record as any column needs; without columns nothing is looked at.
    ///
    /// # Errors
    /// The needed columns can't be reached by the rule's grammar. A column that just isn't there is no error.
    ///
    /// # Panics
    /// If `out` has another length than the columns.
    pub fn extract(&mut self, record: &[u8], scratch: &mut Scratch, out: &mut [Slot]) -> Result<(), Unparsable> {
        self.extract_lines(record, Lines::Any, scratch, out)
    }

    /// The same for a caller that may know how many lines the record has: then no line end is searched for.
    ///
    /// # Errors
    /// As [`Extractor::extract`].
    ///
    /// # Panics
    /// As [`Extractor::extract`].
    #[inline]
    pub fn extract_lines(
        &mut self,
        record: &[u8],
        lines: Lines,
        scratch: &mut Scratch,
        out: &mut [Slot],
    ) -> Result<(), Unparsable> {
        assert_eq!(out.len(), self.columns, "one slot for each column");
        scratch.clear();
        out.fill(Slot::Absent);
        if out.is_empty() {
            return Ok(());
        }
        if record.len() > RECORD_BYTES_MAX {
            return Err(Unparsable::TooLong);
        }
        let result = match &mut self.plan {
            Plan::Access(plan) => plan.extract(record, lines, out),
            Plan::Kv(plan) => plan.extract(record, lines, out),
            Plan::Split(plan) => plan.extract(record, lines, out),
            Plan::Json(plan) => plan.extract(record, scratch, out),
            Plan::Logfmt(plan) => plan.extract(record, lines, scratch, out),
            Plan::Between(plan) => plan.extract(record, lines, scratch, out),
            Plan::Regex(plan) => plan.extract(record, lines, scratch, out),
        };
        if result.is_err() {
            out.fill(Slot::Absent);
        }
        result
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! What the tests of all forms share.

    use super::{Extractor, Rule, Scratch, Slot, Unparsable};

    /// The fields as text, `None` where absent.
    pub(crate) type Fields = Result<Vec<Option<String>>, Unparsable>;

    /// Cuts `columns` out of one record.
    #[track_caller]
    pub(crate) fn cut(rule: &Rule, columns: &[&str], record: &[u8]) -> Fields {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let mut extractor = Extractor::new(rule, &columns).expect("the columns suit the rule");
        let (mut scratch, mut out) = (Scratch::default(), vec![Slot::Absent; columns.len()]);
        // Twice, since what is kept between records must not show.
        for _ in 0..2 {
            if let Err(reason) = extractor.extract(record, &mut scratch, &mut out) {
                assert!(
                    out.iter().all(|slot| matches!(slot, Slot::Absent)),
                    "slots after {reason:?}"
                );
                return Err(reason);
            }
        }
        let text = |slot: &Slot| {
            slot.bytes(record, &scratch)
                .map(|field| String::from_utf8_lossy(field).into_owned())
        };
        Ok(out.iter().map(text).collect())
    }

    /// Cuts `columns` out of `record` and compares; `None` is an absent field.
    #[track_caller]
    pub(crate) fn check(rule: &Rule, columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        let expected = expected.map(|fields| fields.iter().map(|field| field.map(str::to_owned)).collect());
        assert_eq!(
            cut(rule, columns, record.as_bytes()),
            expected,
            "{columns:?} of {record:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_columns_nothing_is_looked_at() {
        let mut extractor = Extractor::new(&Rule::json(), &[]).expect("no columns");
        assert_eq!(extractor.extract(b"not json", &mut Scratch::default(), &mut []), Ok(()));
    }

    #[test]
    fn bounds_are_kept() {
        let many = vec!["a".to_owned(); COLUMNS_MAX + 1];
        assert!(matches!(
            Extractor::new(&Rule::json(), &many),
            Err(RuleError::TooManyColumns { .. })
        ));
        let mut extractor = Extractor::new(&Rule::logfmt(), &["a".to_owned()]).expect("one column");
        let long = vec![b'='; RECORD_BYTES_MAX + 1];
        let result = extractor.extract(&long, &mut Scratch::default(), &mut [Slot::Absent]);
        assert_eq!(result, Err(Unparsable::TooLong));
    }

    #[test]
    fn a_column_may_stand_twice() {
        testing::check(&Rule::logfmt(), &["a", "a"], "a=1", Ok(&[Some("1"), Some("1")]));
        testing::check(
            &Rule::json(),
            &["a", "a"],
            r#"{"a":"\n"}"#,
            Ok(&[Some("\n"), Some("\n")]),
        );
        testing::check(
            &Rule::nginx_combined(),
            &["ident", "ident"],
            "a b c [",
            Ok(&[Some("b"), Some("b")]),
        );
    }
}
