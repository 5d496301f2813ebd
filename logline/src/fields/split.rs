//! `split`: columns between a literal separator, or between runs of blanks, in the record's first line.
//!
//! Columns are counted from `$1`, and may have names as well. A column is what stands between two separators, blanks
//! included; a line with fewer columns than are needed is unparsable. Only as much of the line is cut as is needed.

use super::error::{RuleError, Unparsable};
use super::slot::{Lines, Slot};
use super::text::{Needle, first_line, hint, is_blank, quoted};

/// The word that stands for runs of blanks.
const WHITESPACE: &str = "whitespace";

/// Separator and names.
#[derive(Debug, Clone)]
pub(super) struct Split {
    by: By,
    names: Vec<String>,
}

/// What stands between two columns.
#[derive(Debug, Clone)]
enum By {
    Literal(Needle),
    Blanks,
}

impl Split {
    pub(super) fn new(by: &str, names: &[String]) -> Result<Split, RuleError> {
        let by = if by == WHITESPACE {
            By::Blanks
        } else {
            By::Literal(Needle::new(by, "by")?)
        };
        for (place, name) in names.iter().enumerate() {
            if is_name(name) && names[..place].contains(name) {
                return Err(RuleError::DuplicateField { field: name.clone() });
            }
        }
        Ok(Split {
            by,
            names: names.to_vec(),
        })
    }

    /// Its names, `None` if it has none.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        let names: Vec<String> = self.names.iter().filter(|name| is_name(name)).cloned().collect();
        if names.is_empty() { None } else { Some(names) }
    }

    pub(super) fn name(&self) -> String {
        let by = match &self.by {
            By::Literal(by) => by.text(),
            By::Blanks => WHITESPACE.into(),
        };
        let arguments: Vec<String> = std::iter::once(quoted(&by))
            .chain(self.names.iter().map(|n| quoted(n)))
            .collect();
        format!("split({})", arguments.join(", "))
    }

    /// The column's place, from 0.
    fn place(&self, column: &str) -> Result<usize, RuleError> {
        let named = self.names.iter().position(|name| is_name(name) && name == column);
        named.or_else(|| numbered(column)).ok_or_else(|| {
            let hint = match self.names() {
                Some(names) => hint(column, &names),
                None => "write `$1`, `$2`, …, or give the rule names".to_owned(),
            };
            RuleError::UnknownColumn {
                column: column.to_owned(),
                rule: self.name(),
                hint,
            }
        })
    }
}

/// Whether a column can be asked for by this name; otherwise it only takes its place.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "_"
}

/// The place, from 0, that `$1`, `$2`, … mean.
fn numbered(column: &str) -> Option<usize> {
    let number = column.strip_prefix('$')?;
    let canonical = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    if canonical {
        number.parse::<usize>().ok()?.checked_sub(1)
    } else {
        None
    }
}

/// The separator and where the needed columns stand.
#[derive(Debug)]
pub(super) struct Plan {
    by: By,
    /// (place in the line, slot), by place.
    wanted: Vec<(usize, usize)>,
}

impl Plan {
    pub(super) fn new(split: &Split, columns: &[String]) -> Result<Plan, RuleError> {
        let mut wanted = Vec::with_capacity(columns.len());
        for (slot, column) in columns.iter().enumerate() {
            wanted.push((split.place(column)?, slot));
        }
        wanted.sort_unstable();
        Ok(Plan {
            by: split.by.clone(),
            wanted,
        })
    }

    pub(super) fn extract(&self, record: &[u8], lines: Lines, out: &mut [Slot]) -> Result<(), Unparsable> {
        let line = first_line(record, lines);
        match &self.by {
            By::Literal(by) => self.cut(
                out,
                Literal {
                    line,
                    by,
                    next: Some(0),
                },
            ),
            By::Blanks => self.cut(out, Blanks { line, next: 0 }),
        }
    }

    /// Takes the needed columns out of all.
    fn cut(&self, out: &mut [Slot], mut columns: impl Iterator<Item = (usize, usize)>) -> Result<(), Unparsable> {
        let mut place = 0;
        let mut current = columns.next();
        for &(wanted, slot) in &self.wanted {
            while place < wanted && current.is_some() {
                current = columns.next();
                place += 1;
            }
            let (start, end) = current.ok_or(Unparsable::TooFewColumns)?;
            out[slot] = Slot::of_record(start, end);
        }
        Ok(())
    }
}

/// Columns between a literal separator, as (start, end).
struct Literal<'a> {
    line: &'a [u8],
    by: &'a Needle,
    /// Where the next column begins; `None` behind the last.
    next: Option<usize>,
}

impl Iterator for Literal<'_> {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let start = self.next?;
        let end = self.by.find(&self.line[start..]).map(|found| start + found);
        self.next = end.map(|end| end + self.by.len());
        Some((start, end.unwrap_or(self.line.len())))
    }
}

/// Columns between runs of blanks, as (start, end); blanks at both ends of the line make no column.
struct Blanks<'a> {
    line: &'a [u8],
    next: usize,
}

impl Iterator for Blanks<'_> {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let start = self.next + self.line[self.next..].iter().position(|&byte| !is_blank(byte))?;
        let len = self.line[start..].iter().position(|&byte| is_blank(byte));
        let end = len.map_or(self.line.len(), |len| start + len);
        self.next = end;
        Some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::super::{Extractor, Rule};
    use super::*;

    fn rule(by: &str, names: &[&str]) -> Rule {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Rule::split(by, &names).expect("a good rule")
    }

    #[track_caller]
    fn check(by: &str, columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(&rule(by, &["op", "_", "cost"]), columns, record, expected);
    }

    #[test]
    fn columns_are_counted() {
        check("|", &["op", "cost"], "pay|x|3", Ok(&[Some("pay"), Some("3")]));
        check(
            "|",
            &["cost", "op", "$2"],
            "pay|x|3|more",
            Ok(&[Some("3"), Some("pay"), Some("x")]),
        );
        check("|", &["$4", "$1"], "pay|x|3|more", Ok(&[Some("more"), Some("pay")]));
        check("|", &["op", "$1"], "pay|x|3", Ok(&[Some("pay"), Some("pay")]));
        check("|", &["op", "cost"], " pay ||-", Ok(&[Some(" pay "), Some("-")]));
        check("|", &["cost"], "||", Ok(&[Some("")]));
        check("|", &["cost"], "a|b|c\r\nd|e|f", Ok(&[Some("c")]));
        check("::", &["cost"], "a::b:c::d", Ok(&[Some("d")]));
        check(" ", &["cost"], "a  c", Ok(&[Some("c")]));
        check("\t", &["cost"], "a\tb\tc d\r", Ok(&[Some("c d")]));
    }

    #[test]
    fn blanks_are_one_separator() {
        check(
            "whitespace",
            &["op", "cost"],
            "  pay \t x   3  ",
            Ok(&[Some("pay"), Some("3")]),
        );
        check("whitespace", &["$3"], "a b c\r", Ok(&[Some("c")]));
        check("whitespace", &["$3"], "a b  ", Err(Unparsable::TooFewColumns));
        check("whitespace", &["$1"], "   ", Err(Unparsable::TooFewColumns));
    }

    #[test]
    fn too_few_columns_are_unparsable() {
        check("|", &["op"], "pa", Ok(&[Some("pa")]));
        check("|", &["op"], "", Ok(&[Some("")]));
        check("|", &["op", "cost"], "pay|x", Err(Unparsable::TooFewColumns));
        check("|", &["$9"], "pay|x|3", Err(Unparsable::TooFewColumns));
    }

    #[track_caller]
    fn check_error(rule: &Rule, column: &str, expected: &str) {
        let error = Extractor::new(rule, &[column.to_owned()]).expect_err("an unknown column");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn unknown_columns_are_named() {
        let named = rule("|", &["op", "cost"]);
        let prefix = "the rule split('|', 'op', 'cost') gives no column";
        check_error(&named, "cots", &format!("{prefix} `cots`; did you mean `cost`?"));
        check_error(&named, "zone", &format!("{prefix} `zone`; it gives op, cost"));
        check_error(&named, "$0", &format!("{prefix} `$0`; it gives op, cost"));
        check_error(&named, "$+1", &format!("{prefix} `$+1`; it gives op, cost"));
        let unnamed = "the rule split('|') gives no column `a`; write `$1`, `$2`, …, or give the rule names";
        check_error(&rule("|", &[]), "a", unnamed);
        assert_eq!(Rule::split("", &[]).err(), Some(RuleError::Empty { what: "by" }));
        let twice = ["a", "", "", "a"].map(str::to_owned);
        assert_eq!(
            Rule::split("|", &twice).err(),
            Some(RuleError::DuplicateField { field: "a".to_owned() })
        );
    }
}
