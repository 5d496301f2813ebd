//! A YAML document as a tree of nodes that know their places.
//!
//! The tree stands between the YAML parser and the typed model: serde stops at the first mistake and knows no place
//! for the later ones, whoever mends a file wants them all.

use crate::diagnostic::Mistake;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};
use std::fmt;
use std::ops::Range;

/// How deep a document may nest; the model nests five levels, and everything after the parser recurses.
const DEPTH_MAX: usize = 32;

/// How many nodes a document may have, aliases expanded: far more than 10 000 hosts with their labels.
const NODES_MAX: usize = 1_000_000;

/// A node and the bytes of the file that it was written in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: NodeValue,
}

/// The kinds of nodes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NodeValue {
    /// `null`, `~`, or nothing at all.
    Null,
    /// A text, a number or a truth value, as written.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file, repeated keys included.
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub(super) fn null_at(span: Range<usize>) -> Node {
        Node {
            span,
            value: NodeValue::Null,
        }
    }

    /// The text of a scalar.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// What this is, to say that something else was expected.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "nothing",
            NodeValue::Scalar(_) => "a text",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "keys with values",
        }
    }
}

/// Reads one document of a file, `file[range]`. `None` if there is nothing in it but comments.
pub(super) fn document(file: &str, range: Range<usize>) -> Result<Option<Node>, Mistake> {
    let text = &file[range.clone()];
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX, max_nodes: NODES_MAX },
    };
    match serde_saphyr::from_str_with_options::<Option<Raw>>(text, options) {
        Ok(None) => Ok(None),
        Ok(Some(raw)) => Ok(Some(raw.into_node(text, range.start)).filter(|node| node.value != NodeValue::Null)),
        Err(error) => {
            let at = error.location().map_or(0..0, |location| place_of(&location, text));
            let message = message_of(&error);
            let hint = hint_of(&message);
            Err(Mistake::new(range.start + at.start..range.start + at.end, message).hint_maybe(hint))
        }
    }
}

/// The parser's own words without the place, which is shown beside them.
fn message_of(error: &serde_saphyr::Error) -> String {
    let rendered = error.without_snippet().to_string();
    let message = rendered.lines().next().unwrap_or_default();
    let message = match message.rfind(" at line ").or_else(|| message.rfind(" (line ")) {
        Some(place) => &message[..place],
        None => message,
    };
    let message = match message
        .strip_prefix("error: line ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((_, message)) => message,
        None => message,
    };
    format!("not YAML: {}", message.trim_end_matches('.'))
}

const COLON_HINT: &str = "a text with `: ` in it stands in quotes; else look at the indentation of this line";
const QUOTE_HINT: &str = "a text that begins with such a character stands in quotes";

/// What to do about the usual slips.
fn hint_of(message: &str) -> Option<String> {
    let hint = if message.contains("mapping values are not allowed") {
        COLON_HINT
    } else if message.contains("unexpected character") {
        QUOTE_HINT
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// The character at the place of a mistake, which is known by line and column alone.
fn place_of(location: &Location, text: &str) -> Range<usize> {
    let number = |value: u64| usize::try_from(value.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(line) = text.split_inclusive('\n').nth(number(location.line())) else {
        return text.len()..text.len();
    };
    let line_start = line.as_ptr() as usize - text.as_ptr() as usize;
    let mut characters = line.char_indices().skip(number(location.column()));
    match characters.next() {
        Some((offset, character)) => line_start + offset..line_start + offset + character.len_utf8(),
        None => line_start + line.trim_end().len()..line_start + line.trim_end().len(),
    }
}

/// The byte range of a location, clipped to the text.
fn bytes_of(location: &Location, text: &str) -> Range<usize> {
    let clip = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
    match (location.span().byte_offset(), location.span().byte_len()) {
        (Some(offset), Some(length)) => clip(offset)..clip(offset.saturating_add(length)),
        _ => 0..0,
    }
}

/// A node as the YAML parser hands it over.
#[derive(Debug)]
struct Raw(Spanned<RawValue>);

#[derive(Debug)]
enum RawValue {
    Null,
    /// A text in its unescaped form.
    Text(String),
    /// A number or a truth value, whose spelling is to be read off the file.
    AsWritten(String),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    fn into_node(self, text: &str, base: usize) -> Node {
        let defined = bytes_of(&self.0.defined, text);
        let used = bytes_of(&self.0.referenced, text);
        let value = match self.0.value {
            RawValue::Null => NodeValue::Null,
            RawValue::Text(text) => NodeValue::Scalar(text),
            RawValue::AsWritten(canonical) => {
                let written = text.get(defined).map(str::trim).filter(|written| !written.is_empty());
                NodeValue::Scalar(written.map_or(canonical, str::to_owned))
            }
            RawValue::List(items) => {
                NodeValue::List(items.into_iter().map(|item| item.into_node(text, base)).collect())
            }
            RawValue::Map(entries) => NodeValue::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.into_node(text, base), value.into_node(text, base)))
                    .collect(),
            ),
        };
        Node {
            span: base + used.start..base + used.end,
            value,
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        Spanned::deserialize(deserializer).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawValue, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::AsWritten(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::AsWritten(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::AsWritten(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<RawValue, E> {
        Ok(RawValue::AsWritten(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<RawValue, E> {
        Ok(RawValue::AsWritten(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::AsWritten(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with the source text of every node: `value<source>`.
    fn show(node: &Node, file: &str) -> String {
        let source = &file[node.span.clone()];
        match &node.value {
            NodeValue::Null => format!("null<{source}>"),
            NodeValue::Scalar(text) => format!("{text}<{source}>"),
            NodeValue::List(items) => {
                format!(
                    "[{}]",
                    items.iter().map(|item| show(item, file)).collect::<Vec<_>>().join(", ")
                )
            }
            NodeValue::Map(entries) => {
                let show_entry = |(key, value): &(Node, Node)| format!("{}: {}", show(key, file), show(value, file));
                format!("{{{}}}", entries.iter().map(show_entry).collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[track_caller]
    fn check(file: &str, expected: &str) {
        let node = document(file, 0..file.len()).expect(file).expect(file);
        assert_eq!(show(&node, file), expected, "{file}");
    }

    #[test]
    fn nodes_know_their_places() {
        check("a: b\n", "{a<a>: b<b>}");
        check(
            "a: 1.50\nb: 007\nc: 0x1F\nd: true\ne: yes\n",
            "{a<a>: 1.50<1.50>, b<b>: 007<007>, c<c>: 0x1F<0x1F>, d<d>: true<true>, e<e>: yes<yes>}",
        );
        check("a: \"b\\n\"\nc: 'd''e'\n", "{a<a>: b\n<\"b\\n\">, c<c>: d'e<'d''e'>}");
        check("é: [ü, {k: v}]\n", "{é<é>: [ü<ü>, {k<k>: v<v>}]}");
        check("a: |\n  x\n  y\nb: 1\n", "{a<a>: x\ny\n<x\n  y\n>, b<b>: 1<1>}");
        check("a: b\n  c\n", "{a<a>: b c<b\n  c>}");
        check("a:\nb: ~\n", "{a<a>: null<>, b<b>: null<~>}");
        check("a: 1\na: 2\n", "{a<a>: 1<1>, a<a>: 2<2>}");
        check("a: .nan\n", "{a<a>: .nan<.nan>}");
        check("a: &x b\nc: *x\n", "{a<a>: b<b>, c<c>: b<*x>}");
        check(
            "x: &b {q: 1}\na:\n  <<: *b\n",
            "{x<x>: {q<q>: 1<1>}, a<a>: {q<*b>: 1<*b>}}",
        );
    }

    #[test]
    fn nothing_but_comments_is_no_document() {
        for file in ["", "# x\n", "--- # x\n", "---\n~\n"] {
            assert_eq!(document(file, 0..file.len()), Ok(None), "{file}");
        }
    }

    #[track_caller]
    fn check_mistake(file: &str, at: &str, message: &str, hint: Option<&str>) {
        let mistake = document(file, 0..file.len()).expect_err(file);
        assert_eq!((&file[mistake.span], mistake.message.as_str()), (at, message), "{file}");
        assert_eq!(mistake.hint.as_deref(), hint, "{file}");
    }

    #[test]
    fn what_is_not_yaml_is_shown_where_it_fails() {
        check_mistake("a: 1\nb: [1\n", "[", "not YAML: unclosed bracket '['", None);
        let message = "not YAML: mapping values are not allowed in this context";
        check_mistake("a: b: c\n", ":", message, Some(COLON_HINT));
        check_mistake("a: @b\n", "@", "not YAML: unexpected character: `@'", Some(QUOTE_HINT));
        check_mistake("é: *x\n", "*", "not YAML: alias references unknown anchor", None);
    }
}
