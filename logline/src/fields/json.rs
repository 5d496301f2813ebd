//! `json`: one JSON object a record, perhaps behind other text; columns are keys and paths such as `a.b[0]`.
//!
//! The object begins at the record's first `{`, must be well-formed as a whole, and nothing but blanks may follow it on
//! its last line; lines after that are ignored. One walk checks it and notes where the columns' values stand; strings
//! are decoded only for columns, behind the walk. Of members with the same key the last counts. `null` is absent,
//! numbers and `true` are as written, an object or array as a column is its JSON text.

use memchr::memchr;

use super::error::Unparsable;
use super::escapes;
use super::json_path::{Node, Paths};
use super::json_shape::Shapes;
use super::json_skim::{DEPTH_MAX, Skim};
use super::slot::{Scratch, Slot};

/// The paths that are looked for, and what stands there in the current record.
#[derive(Debug)]
pub(super) struct Plan {
    paths: Paths,
    found: Vec<Found>,
    /// A key with escapes, decoded.
    key: Vec<u8>,
    /// Objects that need no walk.
    shapes: Shapes,
}

/// What stands at a node, as positions in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Null,
    Plain(usize, usize),
    Escaped(usize, usize),
}

impl Plan {
    pub(super) fn new(columns: &[String]) -> Plan {
        let paths = Paths::new(columns);
        let found = vec![Found::Nothing; paths.nodes.len()];
        Plan {
            paths,
            found,
            key: Vec::new(),
            shapes: Shapes::default(),
        }
    }

    pub(super) fn extract(&mut self, record: &[u8], scratch: &mut Scratch, out: &mut [Slot]) -> Result<(), Unparsable> {
        let start = memchr(b'{', record).ok_or(Unparsable::NoObject)?;
        let end = match self.shapes.replay(record, start, &mut self.found) {
            Some(end) => end,
            None => self.walk(record, start)?,
        };
        let behind = &record[end..];
        let line = memchr(b'\n', behind).map_or(behind, |end| &behind[..end]);
        if !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return Err(Unparsable::TextAfterObject);
        }
        for (column, slot) in self.paths.columns.iter().zip(out) {
            let found = match (self.found[column.key], column.path) {
                (Found::Nothing, Some(path)) => self.found[path],
                (found, _) => found,
            };
            *slot = match found {
                Found::Nothing | Found::Null => Slot::Absent,
                Found::Plain(start, end) => Slot::of_record(start, end),
                Found::Escaped(start, end) => scratch.slot(|out| escapes::decode(&record[start..end], out)),
            };
        }
        Ok(())
    }

    /// Walks an object that begins at `start`; where it ends.
    fn walk(&mut self, record: &[u8], start: usize) -> Result<usize, Unparsable> {
        self.found.fill(Found::Nothing);
        let mut walk = Walk {
            skim: Skim {
                text: record,
                at: start,
            },
            nodes: &self.paths.nodes,
            found: &mut self.found,
            key: &mut self.key,
        };
        walk.object(0, 1)?;
        let end = walk.skim.at;
        self.shapes.learn(record, (start, end), &self.found);
        Ok(end)
    }
}

impl Found {
    /// Whether a value stands here, from `start` to `end`.
    pub(super) fn is_at(self, start: usize, end: usize) -> bool {
        matches!(self, Found::Plain(from, to) | Found::Escaped(from, to) if (from, to) == (start, end))
    }

    /// Whether a value stands here.
    pub(super) fn is_value(self) -> bool {
        matches!(self, Found::Plain(..) | Found::Escaped(..))
    }

    /// The same without the value.
    pub(super) fn without_value(self) -> Self {
        if self.is_value() { Found::Nothing } else { self }
    }
}

/// One walk over one object.
struct Walk<'a> {
    skim: Skim<'a>,
    nodes: &'a [Node],
    found: &'a mut [Found],
    key: &'a mut Vec<u8>,
}

impl<'a> Walk<'a> {
    /// Walks the value of a node within `depth` containers. Recursion is as deep as the longest path that is looked
    /// for and the object share, at most [`DEPTH_MAX`].
    fn value(&mut self, node: usize, depth: u32) -> Result<(), Unparsable> {
        let place: &'a Node = &self.nodes[node];
        self.skim.blanks();
        let start = self.skim.at;
        match self.skim.peek()? {
            b'{' if !place.keys.is_empty() => self.object(node, depth + 1)?,
            b'[' if !place.elements.is_empty() => self.array(node, depth + 1)?,
            _ => {
                self.forget(node);
                self.skim.value(depth)?;
            }
        }
        if place.wanted {
            self.found[node] = self.noted(start);
        }
        Ok(())
    }

    /// Walks an object, from its `{`, which is the `depth`-th container.
    fn object(&mut self, node: usize, depth: u32) -> Result<(), Unparsable> {
        self.enter(node, depth)?;
        if self.skim.eat(b'}') {
            return Ok(());
        }
        loop {
            let key = self.skim.key()?;
            match self.member(node, key) {
                Some(member) => self.value(member, depth)?,
                None => self.skim.value(depth)?,
            }
            self.skim.blanks();
            if !self.skim.eat(b',') {
                return self.skim.need(b'}');
            }
            self.skim.blanks();
        }
    }

    /// Walks an array, from its `[`, which is the `depth`-th container.
    fn array(&mut self, node: usize, depth: u32) -> Result<(), Unparsable> {
        self.enter(node, depth)?;
        if self.skim.eat(b']') {
            return Ok(());
        }
        let place: &'a Node = &self.nodes[node];
        for index in 0.. {
            match place.elements.iter().find(|(element, _)| *element == index) {
                Some(&(_, element)) => self.value(element, depth)?,
                None => self.skim.value(depth)?,
            }
            self.skim.blanks();
            if !self.skim.eat(b',') {
                break;
            }
        }
        self.skim.need(b']')
    }

    /// Takes the bracket of a container, forgetting what an earlier member of the same key held.
    fn enter(&mut self, node: usize, depth: u32) -> Result<(), Unparsable> {
        if depth > DEPTH_MAX {
            return Err(Unparsable::TooDeep);
        }
        self.forget(node);
        self.skim.at += 1;
        self.skim.blanks();
        Ok(())
    }

    /// Forgets all below a node.
    fn forget(&mut self, node: usize) {
        for &below in &self.nodes[node].below {
            self.found[below] = Found::Nothing;
        }
    }

    /// The node of the member with this key, if it is looked for.
    fn member(&mut self, node: usize, (start, end): (usize, usize)) -> Option<usize> {
        let mut key = &self.skim.text[start..end];
        if memchr(b'\\', key).is_some() {
            self.key.clear();
            escapes::decode(key, self.key);
            key = self.key;
        }
        self.nodes[node]
            .keys
            .iter()
            .find(|(wanted, _)| **wanted == *key)
            .map(|&(_, member)| member)
    }

    /// What stands from `start` to here.
    fn noted(&self, start: usize) -> Found {
        let (text, end) = (self.skim.text, self.skim.at);
        match text[start] {
            b'n' => Found::Null,
            b'"' if memchr(b'\\', &text[start + 1..end - 1]).is_some() => Found::Escaped(start + 1, end - 1),
            b'"' => Found::Plain(start + 1, end - 1),
            _ => Found::Plain(start, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::super::testing;
    use super::*;

    #[track_caller]
    fn check(columns: &[&str], record: &str, expected: Result<&[Option<&str>], Unparsable>) {
        testing::check(&Rule::json(), columns, record, expected);
    }

    #[test]
    fn keys_and_paths_are_found() {
        check(&["a", "b"], r#"{"a":1,"b":"x"}"#, Ok(&[Some("1"), Some("x")]));
        check(&["b", "c"], r#" { "a" : 1 , "b" : "x" } "#, Ok(&[Some("x"), None]));
        check(&["a.b"], r#"{"a":{"x":[{}],"b":-1.5e+3}}"#, Ok(&[Some("-1.5e+3")]));
        check(&["a[1]"], r#"{"a":[1,[2, 3],4]}"#, Ok(&[Some("[2, 3]")]));
        check(&["a[1][0].c"], r#"{"a":[1,[{"c":true}],4]}"#, Ok(&[Some("true")]));
        check(
            &["a", "a.b", "a.c"],
            r#"{"a":{"b":1}}"#,
            Ok(&[Some(r#"{"b":1}"#), Some("1"), None]),
        );
        check(&["a.b", "a[0]"], r#"{"a":[7]}"#, Ok(&[None, Some("7")]));
        check(&["a.b", "a[0]"], r#"{"a":"b"}"#, Ok(&[None, None]));
        check(
            &["a", "b", "c"],
            r#"{"a":null,"b":"","c":"-"}"#,
            Ok(&[None, Some(""), Some("-")]),
        );
        check(&["a"], "{}", Ok(&[None]));
        check(&["", "@t"], r#"{"":1,"@t":2}"#, Ok(&[Some("1"), Some("2")]));
    }

    #[test]
    fn a_key_with_dots_wins_over_the_path() {
        check(&["s.n"], r#"{"s.n":"pay"}"#, Ok(&[Some("pay")]));
        check(&["s.n"], r#"{"s.n":"pay","s":{"n":"x"}}"#, Ok(&[Some("pay")]));
        check(&["s.n"], r#"{"s":{"n":"x"},"s.n":null}"#, Ok(&[None]));
        check(&["s[0]"], r#"{"s":["x"],"s[0]":"y"}"#, Ok(&[Some("y")]));
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        check(&["a"], r#"{"a":1,"a":2}"#, Ok(&[Some("2")]));
        check(&["a"], r#"{"a":1,"a":null}"#, Ok(&[None]));
        check(&["a.b"], r#"{"a":{"b":1},"a":{"c":2}}"#, Ok(&[None]));
        check(&["a.b"], r#"{"a":{"b":1},"a":3}"#, Ok(&[None]));
        check(&["a[0]"], r#"{"a":[1],"a":[]}"#, Ok(&[None]));
        check(&["a", "ab"], r#"{"\u0061":1,"a\u0062":2}"#, Ok(&[Some("1"), Some("2")]));
    }

    #[test]
    fn strings_are_decoded() {
        check(
            &["a", "b"],
            r#"{"a":"x\n\"y\"\\","b":"\u00e9\ud83d\ude00"}"#,
            Ok(&[Some("x\n\"y\"\\"), Some("é😀")]),
        );
        check(&["a"], r#"{"a":"\ud83d"}"#, Ok(&[Some("\u{fffd}")]));
        check(&["a"], r#"{"a":{"b":"\n"}}"#, Ok(&[Some(r#"{"b":"\n"}"#)]));
    }

    #[test]
    fn text_may_stand_before_and_lines_after() {
        check(&["a"], r#"2026-11-23 INFO {"a":1}"#, Ok(&[Some("1")]));
        check(&["a"], "x\n{\"a\":1}", Ok(&[Some("1")]));
        check(&["a"], "{\"a\":1}\r\n\tat x", Ok(&[Some("1")]));
        check(&["a"], "{\"a\":1} \r", Ok(&[Some("1")]));
        check(&["a"], "{\r\n \"a\": 1\r\n}\n{", Ok(&[Some("1")]));
        check(&["a"], r#"{"a":1} x"#, Err(Unparsable::TextAfterObject));
        check(&["a"], r#"{"a":1}{"a":2}"#, Err(Unparsable::TextAfterObject));
    }

    #[test]
    fn what_is_no_object_is_unparsable() {
        check(&["a"], "", Err(Unparsable::NoObject));
        check(&["a"], "[1]", Err(Unparsable::NoObject));
        for torn in [
            "{",
            r#"{"a"#,
            r#"{"a":1"#,
            r#"{"a":"x"#,
            r#"{"a":1,}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":tru}"#,
            r#"{"a":+1}"#,
            r#"{"a":-}"#,
            r#"{"a":1e}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a" 1}"#,
            "{a:1}",
            r#"{"b":[1,]}"#,
            r#"{"b":[1}"#,
            r#"{"b":{"c"}}"#,
            r#"{"a":[1}"#,
            r#"{"a":'x'}"#,
            "{\"a\":\"x\ty\"}",
            r#"{"a":}"#,
            r#"{,}"#,
            r#"{"b":[}"#,
            r#"{"b":NaN}"#,
            "{\"a\":\u{a0}1}",
        ] {
            check(&["a", "a[0]", "a.b"], torn, Err(Unparsable::MalformedJson));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        for column in ["b", "a", "a[0][0]"] {
            check(&[column, "x"], &nested(128), Err(Unparsable::TooDeep));
            check(&["x"], &nested(127), Ok(&[None]));
        }
        let path = format!("a{}", "[0]".repeat(126));
        check(&[&path], &nested(127), Ok(&[Some("[]")]));
        check(&[&path], &nested(300), Err(Unparsable::TooDeep));
        check(&["b"], &nested(1_000_000), Err(Unparsable::TooDeep));
    }

    #[test]
    fn bytes_inside_strings_need_not_be_utf8() {
        let fields = testing::cut(&Rule::json(), &["a"], b"{\"a\":\"\xff\\n\"}").expect("an object");
        assert_eq!(fields, [Some("\u{fffd}\n".to_owned())]);
    }
}
