//! `kv`: pairs of key and value with the separators that a user names, in the record's first line.
//!
//! The line is cut into parts at each `pair`; the first `assign` in a part stands between its key and its value, both
//! without the blanks around them. A part without `assign` is passed over. In the first part a timestamp or a level
//! may stand before the key, so there the key is the last word. Of pairs with the same key the first counts, so
//! reading ends as soon as every column is found.

use super::error::{RuleError, Unparsable};
use super::slot::{Lines, Slot};
use super::text::{Needle, first_line, is_blank, quoted, trim};
use bytefind::near;

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
        let begin = self.begin(line)?;
        Ok(Pairs {
            kv: self,
            line,
            begin,
            next: Some(begin),
        })
    }

    /// Where the first part begins.
    #[inline]
    fn begin(&self, line: &[u8]) -> Result<usize, Unparsable> {
        match &self.after {
            Some(after) => Ok(after.find(line).ok_or(Unparsable::NoMark)? + after.len()),
            None => Ok(0),
        }
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
    /// The separators, if each is one byte: then the keys of the line before are tried first.
    single: Option<(u8, u8)>,
    known: Vec<Known>,
}

/// A part's key as it stood in the line before. Lines of a log mostly have the same keys in the same order, and those
/// that do fill the same slots: comparing a word is all there is to do.
#[derive(Debug)]
struct Known {
    /// The key and its `assign`.
    word: u64,
    /// Ones over their bytes.
    mask: u64,
    /// How many these are.
    len: usize,
    /// The slot that its value fills.
    slot: Option<usize>,
}

/// How far into a line the known keys have led.
struct Replayed {
    /// Parts whose keys were known.
    parts: usize,
    /// Where the next part begins; `None` behind the last.
    next: Option<usize>,
    /// Slots that are still open.
    missing: usize,
}

impl Plan {
    pub(super) fn new(kv: &Kv, columns: &[String]) -> Plan {
        // A column that stands twice has two slots to fill: that is left to the general way.
        let all_differ = (columns.iter().enumerate()).all(|(place, column)| !columns[..place].contains(column));
        Plan {
            kv: kv.clone(),
            keys: columns.iter().map(|column| column.as_bytes().into()).collect(),
            single: kv.pair.single().zip(kv.assign.single()).filter(|_| all_differ),
            known: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn extract(&mut self, record: &[u8], lines: Lines, out: &mut [Slot]) -> Result<(), Unparsable> {
        let line = first_line(record, lines);
        let begin = self.kv.begin(line)?;
        let replayed = match self.single {
            Some((pair, _)) => self.replay(line, begin, pair, out),
            None => Replayed {
                parts: 0,
                next: Some(begin),
                missing: out.len(),
            },
        };
        if replayed.missing == 0 {
            return Ok(());
        }
        self.search(line, begin, replayed, out)
    }

    /// Goes through the parts as long as each begins with the key that it had in the line before.
    #[inline]
    fn replay(&self, line: &[u8], begin: usize, pair: u8, out: &mut [Slot]) -> Replayed {
        let mut missing = out.len();
        let mut start = begin;
        for (parts, known) in self.known.iter().enumerate() {
            let word = line.get(start..).and_then(|rest| rest.first_chunk());
            if word.is_none_or(|word| u64::from_le_bytes(*word) & known.mask != known.word) {
                let next = Some(start);
                return Replayed { parts, next, missing };
            }
            let value = start + known.len;
            let end = near(pair, &line[value..]).map(|found| value + found);
            if let Some(slot) = known.slot {
                let (from, to) = trim(line, value, end.unwrap_or(line.len()));
                out[slot] = Slot::of_record(from, to);
                missing -= 1;
            }
            match end {
                Some(end) if missing > 0 => start = end + 1,
                next => {
                    let (parts, next) = (parts + 1, next.map(|end| end + 1));
                    return Replayed { parts, next, missing };
                }
            }
        }
        Replayed {
            parts: self.known.len(),
            next: Some(start),
            missing,
        }
    }

    /// Goes through the parts one by one, and learns their keys.
    #[inline(never)]
    fn search(&mut self, line: &[u8], begin: usize, from: Replayed, out: &mut [Slot]) -> Result<(), Unparsable> {
        let Replayed {
            parts,
            next,
            mut missing,
        } = from;
        let mut found = if parts > 0 { Ok(()) } else { Err(Unparsable::NoPair) };
        self.known.truncate(parts);
        let mut learning = self.single;
        let mut pairs = Pairs {
            kv: &self.kv,
            line,
            begin,
            next,
        };
        while missing > 0 {
            let part = pairs.next;
            let Some((key, (start, end))) = pairs.next() else { break };
            found = Ok(());
            let filled = keep(&self.keys, key, (start, end), out);
            missing -= filled.map_or(0, |(_, count)| count);
            let whole = part.map_or(&[][..], |part| &line[part..]);
            let known =
                learning.and_then(|separators| Known::new(key, whole, separators, filled.map(|(slot, _)| slot)));
            match known {
                Some(known) => self.known.push(known),
                None => learning = None,
            }
        }
        found
    }
}

impl Known {
    /// The key at the beginning of a part, if it is short and nothing but itself can be read there.
    fn new(key: &[u8], part: &[u8], (pair, assign): (u8, u8), slot: Option<usize>) -> Option<Known> {
        let len = key.len() + 1;
        let plain = !key.is_empty() && !key.iter().any(|&byte| byte == pair || byte == assign || is_blank(byte));
        if !plain || len > 8 || !part.starts_with(key) || part.get(key.len()) != Some(&assign) {
            return None;
        }
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&part[..len]);
        let mask = u64::MAX >> (64 - 8 * len);
        let word = u64::from_le_bytes(bytes);
        Some(Known { word, mask, len, slot })
    }
}

/// Fills the slots of a key that are still open: the first of them, and how many these were.
fn keep(keys: &[Box<[u8]>], key: &[u8], (start, end): (usize, usize), out: &mut [Slot]) -> Option<(usize, usize)> {
    let mut filled = None;
    for (index, (wanted, slot)) in keys.iter().zip(out).enumerate() {
        if **wanted == *key && *slot == Slot::Absent {
            *slot = Slot::of_record(start, end);
            filled = filled.map_or(Some((index, 1)), |(first, count)| Some((first, count + 1)));
        }
    }
    filled
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

    /// What one extractor cuts out of all lines is what a new one cuts out of each.
    #[track_caller]
    fn check_in_turn(columns: &[&str], lines: &[&str]) {
        let rule = Rule::kv("|", "=", None).expect("a good rule");
        let columns_owned: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let mut kept = super::super::Extractor::new(&rule, &columns_owned).expect("any column");
        let (mut scratch, mut out) = (super::super::Scratch::default(), vec![Slot::Absent; columns.len()]);
        for line in lines {
            let result = kept.extract(line.as_bytes(), &mut scratch, &mut out).map(|()| {
                let text = |slot: &Slot| slot.bytes(line.as_bytes(), &scratch).map(String::from_utf8_lossy);
                out.iter()
                    .map(|slot| text(slot).map(|text| text.into_owned()))
                    .collect::<Vec<_>>()
            });
            assert_eq!(
                result,
                testing::cut(&rule, columns, line.as_bytes()),
                "{line:?} of {lines:?}"
            );
        }
    }

    #[test]
    fn the_keys_of_the_line_before_do_not_show() {
        let usual = "op=pay|cost=3|result=ok|x=1";
        for other in [
            "cost=3|op=pay",
            "INFO op=pay|cost=3",
            "op=pay",
            "op=pay|",
            "op=",
            "",
            "op=a|op=b|cost=1",
            "op=pay|cost",
            "op =pay|cost=3",
            "op==pay|cost=3",
            "opt=1|op=2",
            "op=pay|word|cost=3",
            "op=pay|result=ok|cost=3 ",
            "op=pay|averylongkey=1|cost=3",
            "a b=1|op=2",
            "=1|op=2",
        ] {
            for columns in [
                &["op", "cost"][..],
                &["cost"],
                &["result", "op"],
                &["x"],
                &["op", "op"],
                &["no"],
            ] {
                check_in_turn(columns, &[usual, usual, other, other, usual, other]);
                check_in_turn(columns, &[other, usual, other, usual]);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn lines_in_any_order_are_cut_alike(
            lines in proptest::collection::vec("([ab]{1,2}[ =]?=[ab=| ]{0,4}\\|?){0,4}", 1..12)
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            check_in_turn(&["a", "bb"], &lines);
        }
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
