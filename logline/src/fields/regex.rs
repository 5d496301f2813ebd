//! `regex`: the named groups of a pattern's first match anywhere in the record.
//!
//! The pattern works on bytes and, wherever it allows that, without Unicode tables: `\w`, `\d`, `.` and case folding
//! are then ASCII, which is what logs mean and several times as fast. A pattern that asks for more (`\p{…}`, a class
//! with other letters) is compiled with Unicode instead. The engine is linear in the record, and searches for a
//! literal that a match must have before anything else. Most patterns are simpler than that (`regex_chain`).

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::error::{RuleError, Unparsable};
use super::grok;
use super::regex_chain::{Chain, Search};
use super::slot::{Lines, Scratch, Slot};
use super::text::{Plain, place, plain_lines, quoted};

/// Bytes that a compiled pattern may take: a pattern is a user's text, and its repetitions multiply.
const PROGRAM_BYTES_MAX: usize = 4 << 20;

/// Bytes that the lazily built automaton may take in each thread before it starts afresh.
const AUTOMATON_BYTES_MAX: usize = 2 << 20;

/// Compiles a pattern over bytes within the bounds above; else why not, in the compiler's words.
pub(crate) fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    let compile = |unicode: bool| {
        RegexBuilder::new(pattern)
            .unicode(unicode)
            .size_limit(PROGRAM_BYTES_MAX)
            .dfa_size_limit(AUTOMATON_BYTES_MAX)
            .build()
    };
    let compiled = compile(false).or_else(|_| compile(true));
    compiled.map_err(|error| error.to_string())
}

/// A compiled pattern with at least one named group.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    /// The grok pattern that it was written as.
    grok: Option<String>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Pattern, RuleError> {
        let regex = compile_pattern(pattern).map_err(|why| RuleError::Pattern { why })?;
        let pattern = Pattern { regex, grok: None };
        pattern.with_fields("name a group: `(?<name>…)`")
    }

    /// Of a pattern with names for patterns in it.
    pub(super) fn of_grok(grok: &str) -> Result<Pattern, RuleError> {
        let regex = compile_pattern(&grok::expand(grok)?).map_err(|why| RuleError::Pattern { why })?;
        let pattern = Pattern {
            regex,
            grok: Some(grok.to_owned()),
        };
        pattern.with_fields("name one, as in `%{NUMBER:cost}`")
    }

    fn with_fields(self, hint: &'static str) -> Result<Pattern, RuleError> {
        match self.names().is_empty() {
            true => Err(RuleError::NoFields { hint }),
            false => Ok(self),
        }
    }

    /// Whether it is found without the engine of regular expressions, mostly.
    pub(super) fn is_chain(&self) -> bool {
        Chain::new(self.regex.as_str()).is_some()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.regex.capture_names().flatten().map(str::to_owned).collect()
    }

    pub(super) fn name(&self) -> String {
        match &self.grok {
            Some(grok) => format!("grok({})", quoted(grok)),
            None => format!("regex({})", quoted(self.regex.as_str())),
        }
    }
}

/// The pattern and the needed groups, one for each slot.
#[derive(Debug)]
pub(super) struct Plan {
    regex: Regex,
    groups: Vec<usize>,
    locations: CaptureLocations,
    /// The pattern as a chain, if it is one.
    chain: Option<Chain>,
    /// Where each group stands that the chain found.
    found: Vec<(usize, usize)>,
}

impl Plan {
    pub(super) fn new(pattern: &Pattern, columns: &[String]) -> Result<Plan, RuleError> {
        let names = pattern.names();
        let numbers: Vec<usize> = pattern
            .regex
            .capture_names()
            .enumerate()
            .filter_map(|(group, name)| name.map(|_| group))
            .collect();
        let mut groups = Vec::with_capacity(columns.len());
        for column in columns {
            groups.push(numbers[place(column, &names, || pattern.name())?]);
        }
        let locations = pattern.regex.capture_locations();
        // A clone has caches of its own, so extractors on several threads don't wait for each other.
        Ok(Plan {
            chain: Chain::new(pattern.regex.as_str()),
            found: vec![(0, 0); pattern.regex.captures_len()],
            regex: pattern.regex.clone(),
            groups,
            locations,
        })
    }

    pub(super) fn extract(
        &mut self,
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
        match self.chain.as_ref().map(|chain| chain.search(text, &mut self.found)) {
            Some(Search::Match) => {
                for (&group, slot) in self.groups.iter().zip(out) {
                    let (start, end) = self.found[group];
                    *slot = plain.slot(start, end);
                }
                return Ok(());
            }
            Some(Search::NoMatch) => return Err(Unparsable::NoMatch),
            Some(Search::Undecided) | None => {}
        }
        if self.regex.captures_read(&mut self.locations, text).is_none() {
            return Err(Unparsable::NoMatch);
        }
        for (&group, slot) in self.groups.iter().zip(out) {
            if let Some((start, end)) = self.locations.get(group) {
                *slot = plain.slot(start, end);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::super::{Extractor, Rule};
    use super::*;

    #[track_caller]
    fn check(pattern: &str, columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(
            &Rule::regex(pattern).expect("a good pattern"),
            columns,
            record,
            expected,
        );
    }

    #[test]
    fn named_groups_are_cut() {
        let pattern = r"(?<op>\w+) (?<cost>\d+)";
        check(pattern, &["op", "cost"], "-- pay 12 --", Ok(&[Some("pay"), Some("12")]));
        check(pattern, &["cost"], "pay 12, buy 3", Ok(&[Some("12")]));
        check(pattern, &["cost", "op"], "x\n\tpay 12", Ok(&[Some("12"), Some("pay")]));
        check(r"(\d+)-(?<b>\d+)", &["b"], "1-2", Ok(&[Some("2")]));
        check(r"a(?<x>b*)", &["x"], "ac", Ok(&[Some("")]));
        check(r"(?<x>a)|(?<y>b)", &["x", "y"], "b", Ok(&[None, Some("b")]));
    }

    #[test]
    fn no_match_is_unparsable() {
        check(r"(?<cost>\d+)ms", &["cost"], "", Err(Unparsable::NoMatch));
        check(r"(?<cost>\d+)ms", &["cost"], "cost 12", Err(Unparsable::NoMatch));
    }

    #[test]
    fn line_ends_are_plain() {
        check(r"a=(?<x>.*)", &["x"], "a=1\r", Ok(&[Some("1")]));
        check(r"a=(?<x>.*)", &["x"], "a=1\r\nb", Ok(&[Some("1")]));
        check(r"(?m)(?<x>\d)$", &["x"], "a=1\r\nb", Ok(&[Some("1")]));
        check(r"a=(?<x>.*)", &["x"], "a=1\r2", Ok(&[Some("1\r2")]));
    }

    #[test]
    fn bytes_need_not_be_utf8() {
        let rule = Rule::regex(r"a=(?<x>[^|]+)\|(?<y>.)").expect("a good pattern");
        let fields = testing::cut(&rule, &["x", "y"], b"a=\xff\xfe|b").expect("a match");
        assert_eq!(fields, [Some("\u{fffd}\u{fffd}".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn unicode_where_the_pattern_asks_for_it() {
        check(r"(?<x>\p{Lu})", &["x"], "éÉ", Ok(&[Some("É")]));
        check(r"é(?<x>\w)", &["x"], "éa", Ok(&[Some("a")]));
        check(r"(?<x>\w)", &["x"], "éa", Ok(&[Some("a")]));
    }

    #[test]
    fn bad_patterns_are_refused() {
        assert!(matches!(Rule::regex("(?<a>"), Err(RuleError::Pattern { .. })));
        assert!(matches!(
            Rule::regex(r"(?<a>\w{1000}{1000}{1000})"),
            Err(RuleError::Pattern { .. })
        ));
        // What only an engine that goes back can match, and freezes on.
        for pattern in [r"(?<a>a+)\k<a>", r"(?<a>a+)(?=b)"] {
            assert!(matches!(Rule::regex(pattern), Err(RuleError::Pattern { .. })));
        }
        assert!(matches!(Rule::regex(r"(\d+)"), Err(RuleError::NoFields { .. })));
        let rule = Rule::regex(r"(?<op>\w+)").expect("a good pattern");
        let error = Extractor::new(&rule, &["o".to_owned()]).expect_err("an unknown column");
        assert_eq!(
            error.to_string(),
            r"the rule regex('(?<op>\w+)') gives no column `o`; did you mean `op`?"
        );
    }
}
