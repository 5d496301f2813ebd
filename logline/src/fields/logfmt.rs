//! `logfmt`: `key=value key="quoted \" value" word` in the record's first line.
//!
//! The grammar is that of Go's `kr/logfmt`, with one difference: an unquoted value goes on to the next blank, so that
//! `url=/a?b=c` is whole. Of pairs with the same key the last counts, as there. A word alone is a key with an empty
//! value, but never hides a pair: in unquoted prose any key's name may occur. Quotes in front of a key are passed over.

use memchr::{memchr, memchr2};

use super::error::Unparsable;
use super::escapes;
use super::slot::{Lines, Scratch, Slot};
use super::text::first_line;

/// The keys that are looked for.
#[derive(Debug)]
pub(super) struct Plan {
    keys: Vec<Box<[u8]>>,
    /// The last value of each key, until the line is read.
    found: Vec<Option<Value>>,
}

/// A key's value, as positions in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// The key stands alone, up to here.
    None(usize),
    /// As it stands.
    Plain(usize, usize),
    /// Between quotes, with escapes inside.
    Escaped(usize, usize),
}

impl Plan {
    pub(super) fn new(columns: &[String]) -> Plan {
        let keys = columns.iter().map(|column| column.as_bytes().into()).collect();
        Plan {
            keys,
            found: vec![None; columns.len()],
        }
    }

    pub(super) fn extract(
        &mut self,
        record: &[u8],
        lines: Lines,
        scratch: &mut Scratch,
        out: &mut [Slot],
    ) -> Result<(), Unparsable> {
        let line = first_line(record, lines);
        self.found.fill(None);
        let mut pairs = Pairs::new(line);
        let mut assigned = false;
        while let Some((key, value)) = pairs.next_pair()? {
            let word = matches!(value, Value::None(_));
            assigned |= !word;
            for (wanted, found) in self.keys.iter().zip(&mut self.found) {
                if **wanted == *key && !(word && found.is_some()) {
                    *found = Some(value);
                }
            }
        }
        if !assigned {
            return Err(Unparsable::NoPair);
        }
        for (found, slot) in self.found.iter().zip(out) {
            *slot = match *found {
                None => Slot::Absent,
                Some(Value::None(end)) => Slot::of_record(end, end),
                Some(Value::Plain(start, end)) => Slot::of_record(start, end),
                Some(Value::Escaped(start, end)) => scratch.slot(|out| escapes::decode(&line[start..end], out)),
            };
        }
        Ok(())
    }
}

/// The pairs of a line, one after the other.
#[derive(Debug)]
pub(super) struct Pairs<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(line: &'a [u8]) -> Pairs<'a> {
        Pairs { line, at: 0 }
    }

    /// The next key and its value; `None` at the end of the line.
    pub(super) fn next_pair(&mut self) -> Result<Option<(&'a [u8], Value)>, Unparsable> {
        let Some(skipped) = self.line[self.at..].iter().position(|&byte| is_key(byte)) else {
            return Ok(None);
        };
        let start = self.at + skipped;
        let len = self.line[start..].iter().position(|&byte| !is_key(byte));
        let end = len.map_or(self.line.len(), |len| start + len);
        let key = &self.line[start..end];
        if self.line.get(end) != Some(&b'=') {
            self.at = end;
            return Ok(Some((key, Value::None(end))));
        }
        let value = if self.line.get(end + 1) == Some(&b'"') {
            self.quoted(end + 2)?
        } else {
            self.plain(end + 1)
        };
        Ok(Some((key, value)))
    }

    /// A value up to the next blank.
    fn plain(&mut self, start: usize) -> Value {
        let len = self.line[start..].iter().position(|&byte| is_between(byte));
        self.at = len.map_or(self.line.len(), |len| start + len);
        Value::Plain(start, self.at)
    }

    /// A value up to the next quote that is not escaped.
    fn quoted(&mut self, start: usize) -> Result<Value, Unparsable> {
        let rest = &self.line[start..];
        let first = memchr2(b'"', b'\\', rest).ok_or(Unparsable::UnterminatedQuote)?;
        if rest[first] == b'"' {
            self.at = start + first + 1;
            return Ok(Value::Plain(start, start + first));
        }
        let end = start + first + closing_quote(&rest[first..]).ok_or(Unparsable::UnterminatedQuote)?;
        self.at = end + 1;
        Ok(Value::Escaped(start, end))
    }
}

/// Position of the first quote that no odd run of backslashes precedes.
pub(super) fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let quote = from + memchr(b'"', &text[from..])?;
        let slashes = text[from..quote]
            .iter()
            .rev()
            .take_while(|&&byte| byte == b'\\')
            .count();
        if slashes % 2 == 0 {
            return Some(quote);
        }
        from = quote + 1;
    }
}

/// A byte that separates: blanks and control characters.
fn is_between(byte: u8) -> bool {
    byte <= b' '
}

/// A byte of a key.
fn is_key(byte: u8) -> bool {
    byte > b' ' && byte != b'=' && byte != b'"'
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::testing;
    use super::*;

    #[track_caller]
    fn check(columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(&Rule::logfmt(), columns, record, expected);
    }

    #[test]
    fn pairs_are_found() {
        check(
            &["level", "msg"],
            r#"level=info msg="a b" x"#,
            Ok(&[Some("info"), Some("a b")]),
        );
        check(
            &["msg", "level"],
            r#"level=info msg="a b" x"#,
            Ok(&[Some("a b"), Some("info")]),
        );
        check(&["x", "y"], r#"level=info x"#, Ok(&[Some(""), None]));
        check(&["a", "b", "c"], r#"a= b="" c=-"#, Ok(&[Some(""), Some(""), Some("-")]));
        check(
            &["url", "x"],
            "url=/a?b=c&d=e x=1",
            Ok(&[Some("/a?b=c&d=e"), Some("1")]),
        );
        check(&["a"], "a=1\tb=2\r\na=3", Ok(&[Some("1")]));
        check(&["b"], "a=1\tb=2\r", Ok(&[Some("2")]));
        check(&["a"], r#"Nov 23 h: "quoted a=1 text""#, Ok(&[Some("1")]));
        check(&["b"], r#"a="x"b=2"#, Ok(&[Some("2")]));
        check(&["b"], r#"a=3"x b=2"#, Ok(&[Some("2")]));
        check(&["b"], "=1 b=2", Ok(&[Some("2")]));
    }

    #[test]
    fn the_last_pair_counts() {
        check(&["a"], "a=1 a=2", Ok(&[Some("2")]));
        check(&["level"], "level=info msg=the level changed", Ok(&[Some("info")]));
        check(&["level"], "level level=info", Ok(&[Some("info")]));
    }

    #[test]
    fn escapes_are_decoded() {
        check(&["m"], r#"m="a \"b\" c" n=1"#, Ok(&[Some("a \"b\" c")]));
        check(&["m", "n"], r#"m="a\\" n="\n\u00e9""#, Ok(&[Some("a\\"), Some("\né")]));
        check(&["m"], r#"m="a\\\"b" n=1"#, Ok(&[Some("a\\\"b")]));
        check(&["m", "n"], r#"m="\\" n=1"#, Ok(&[Some("\\"), Some("1")]));
        check(&["m"], r#"m=a\"b"#, Ok(&[Some(r#"a\"b"#)]));
    }

    #[test]
    fn lines_without_pairs_or_torn_ones_are_unparsable() {
        check(&["a"], "", Err(Unparsable::NoPair));
        check(&["a"], "a word or two", Err(Unparsable::NoPair));
        check(&["a"], "a word\na=1", Err(Unparsable::NoPair));
        check(&["a"], r#"a=1 msg="torn"#, Err(Unparsable::UnterminatedQuote));
        check(&["a"], r#"a=1 msg="torn \""#, Err(Unparsable::UnterminatedQuote));
        check(&["a"], r#"a=1 msg=""#, Err(Unparsable::UnterminatedQuote));
    }
}
