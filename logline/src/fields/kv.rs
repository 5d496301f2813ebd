//! `kv`: pairs of key and value with the separators that a user names, in the record's first line.
//!
//! The line is cut into parts at each `pair`; the first `assign` in a part stands between its key and its value, both
//! without the blanks around them. A part without `assign` is passed over. In the first part a timestamp or a level
//! may stand before the key, so there the key is the last word. Of pairs with the same key the first counts, so
//! reading ends as soon as every column is found.

use super::error::{RuleError, Unparsable};
use super::slot::Slot;
use super::text::{Needle, first_line, is_blank, quoted, trim};

/// The separators.
#[derive(Debug, Clone)]
pub(super) struct Kv {
    pair: Needle,
    assign: Needle,
    after: Option<Needle>,
}

impl Kv {
    pub(super) fn new(pair: &str, assign: &str, after: Option<&str>) -> Result<Kv, RuleError> {
        let kv = Kv {
            pair: Needle::new(pair, "pair")?,
            assign: Needle::new(assign, "assign")?,
            after: after.map(|after| Needle::new(after, "after")).transpose()?,
        };
        if assign.contains(pair) {
            return Err(RuleError::AssignHoldsPair {
                pair: pair.to_owned(),
                assign: assign.to_owned(),
            });
        }
        Ok(kv)
    }

    /// The pairs of a line, behind the mark if there is one.
    #[inline]
    pub(super) fn pairs<'a>(&'a self, line: &'a [u8]) -> Result<Pairs<'a>, Unparsable> {
        let begin = match &self.after {
            Some(after) => after.find(line).ok_or(Unparsable::NoMark)? + after.len(),
            None => 0,
        };
        Ok(Pairs {
            kv: self,
            line,
            begin,
            next: Some(begin),
        })
    }

    pub(super) fn name(&self) -> String {
        let mut name = format!("kv({}, {}", quoted(&self.pair.text()), quoted(&self.assign.text()));
        if let Some(after) = &self.after {
            name.push_str(", ");
            name.push_str(&quoted(&after.text()));
        }
        name + ")"
    }
}

/// The separators and the keys that are looked for.
#[derive(Debug)]
pub(super) struct Plan {
    kv: Kv,
    keys: Vec<Box<[u8]>>,
}

impl Plan {
    pub(super) fn new(kv: &Kv, columns: &[String]) -> Plan {
        Plan {
            kv: kv.clone(),
            keys: columns.iter().map(|column| column.as_bytes().into()).collect(),
        }
    }

    pub(super) fn extract(&self, record: &[u8], out: &mut [Slot]) -> Result<(), Unparsable> {
        let mut missing = out.len();
        let mut found = Err(Unparsable::NoPair);
        for (key, value) in self.kv.pairs(first_line(record))? {
            found = Ok(());
            missing -= self.keep(key, value, out);
            if missing == 0 {
                break;
            }
        }
        found
    }

    /// Fills the slots of a key that are still open; how many these were.
    fn keep(&self, key: &[u8], (start, end): (usize, usize), out: &mut [Slot]) -> usize {
        let mut filled = 0;
        for (wanted, slot) in self.keys.iter().zip(out) {
            if **wanted == *key && *slot == Slot::Absent {
                *slot = Slot::of_record(start, end);
                filled += 1;
            }
        }
        filled
    }
}

/// The pairs of a line, each as its key and where its value stands.
pub(super) struct Pairs<'a> {
    kv: &'a Kv,
    line: &'a [u8],
    /// Where the first part begins.
    begin: usize,
    /// Where the next part begins; `None` behind the last.
    next: Option<usize>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], (usize, usize));

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.next?;
            let end = self.kv.pair.find(&self.line[start..]).map(|found| start + found);
            self.next = end.map(|end| end + self.kv.pair.len());
            let end = end.unwrap_or(self.line.len());
            if let Some(found) = self.kv.assign.find(&self.line[start..end]) {
                let key = key(self.line, start, start + found, start == self.begin);
                return Some((key, trim(self.line, start + found + self.kv.assign.len(), end)));
            }
        }
    }
}

/// The key in `start..end`; of the first part, its last word.
fn key(line: &[u8], start: usize, end: usize, first: bool) -> &[u8] {
    let (start, end) = trim(line, start, end);
    let key = &line[start..end];
    if !first {
        return key;
    }
    key.iter()
        .rposition(|&byte| is_blank(byte))
        .map_or(key, |blank| &key[blank + 1..])
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::testing;
    use super::*;

    /// The same case with separators of one byte and of several must agree.
    #[track_caller]
    fn check(columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(
            &Rule::kv("|", "=", None).expect("a good rule"),
            columns,
            record,
            expected,
        );
        let wide = record.replace('|', "||").replace('=', "=>");
        let expected = expected.map(|fields| {
            let wide = |field: &Option<&str>| field.map(|field| field.replace('=', "=>"));
            fields.iter().map(wide).collect::<Vec<_>>()
        });
        let rule = Rule::kv("||", "=>", None).expect("a good rule");
        assert_eq!(testing::cut(&rule, columns, wide.as_bytes()), expected, "{wide:?}");
    }

    #[test]
    fn pairs_are_found() {
        check(&["op", "cost"], "op=pay|cost=3", Ok(&[Some("pay"), Some("3")]));
        check(&["cost", "op"], "op=pay|cost=3", Ok(&[Some("3"), Some("pay")]));
        check(&["cost"], " op = pay | cost =\t3 ", Ok(&[Some("3")]));
        check(&["op"], "op=a=b|x=1", Ok(&[Some("a=b")]));
        check(&["no"], "op=pay|cost=3", Ok(&[None]));
        check(&["op", "cost"], "op=|cost=-", Ok(&[Some(""), Some("-")]));
        check(&["op"], "word|op=1|", Ok(&[Some("1")]));
        check(&["op"], "op=1|op=2", Ok(&[Some("1")]));
        check(&["op"], "op=1\r\ncost=2|op=3", Ok(&[Some("1")]));
        check(&["op"], "op=1\r", Ok(&[Some("1")]));
        check(&["op", "cost"], "op=pay|co", Ok(&[Some("pay"), None]));
    }

    #[test]
    fn the_first_key_is_the_last_word() {
        check(&["op"], "2026-11-23 07:31:02 INFO op=pay|cost=3", Ok(&[Some("pay")]));
        check(&["cost"], "op=pay|the cost=3", Ok(&[None]));
        check(&["the cost"], "op=pay|the cost=3", Ok(&[Some("3")]));
        check(&["op"], "INFO\top =pay", Ok(&[Some("pay")]));
    }

    #[test]
    fn a_line_without_pairs_is_unparsable() {
        check(&["op"], "", Err(Unparsable::NoPair));
        check(&["op"], "a|b|c", Err(Unparsable::NoPair));
        check(&["op"], "a|b\nop=1", Err(Unparsable::NoPair));
    }

    #[test]
    fn text_before_the_mark_is_skipped() {
        let rule = Rule::kv(",", ":", Some(" - ")).expect("a good rule");
        testing::check(&rule, &["a"], "x:1, a:0 - a:2, b:3 - c", Ok(&[Some("2")]));
        testing::check(&rule, &["b"], "07:31 - a:2,b:3", Ok(&[Some("3")]));
        testing::check(&rule, &["a", "b"], "07:31 - INFO a:2,x b:3", Ok(&[Some("2"), None]));
        testing::check(&rule, &["a"], "a:2,b:3", Err(Unparsable::NoMark));
        testing::check(&rule, &["a"], "a:2 - ", Err(Unparsable::NoPair));
    }

    #[test]
    fn bad_separators_are_refused() {
        let error = |pair, assign, after| Rule::kv(pair, assign, after).err();
        assert_eq!(error("", "=", None), Some(RuleError::Empty { what: "pair" }));
        assert_eq!(error("|", "", None), Some(RuleError::Empty { what: "assign" }));
        assert_eq!(error("|", "=", Some("")), Some(RuleError::Empty { what: "after" }));
        assert!(matches!(
            error("=", "=>", None),
            Some(RuleError::AssignHoldsPair { .. })
        ));
    }
}
