//! The shape of a JSON object: everything but its values.
//!
//! A program writes its objects with the same keys in the same order, line after line. So what stands between the
//! values of an object that was walked is kept, and the next object is first held against it: where that text is the
//! same, byte for byte, and what stands between is a value of the same kind, the object is well-formed and its columns
//! stand at the same values, without a look at any key. Anything else (an escape in a string, a key more, a `null`) is
//! walked.

use super::json::Found;
use super::json_skim::Skim;

/// Shapes that are kept: a log mixes a few kinds of lines.
const SHAPES_MAX: usize = 4;

/// Bytes of an object from which a shape is taken at most, since that is kept as long as its extractor.
const OBJECT_BYTES_MAX: usize = 8 << 10;

/// Objects in a row that have no known shape, and are learned from nonetheless; then only every so many.
const LEARNED_IN_A_ROW: u32 = 16;
const LEARNED_RARELY: u32 = 64;

/// What kind of value stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A string without escapes; its quotes belong to the text around it.
    Text,
    Number,
    /// `true` or `false`.
    Truth,
}

/// A value, and the text before it.
#[derive(Debug)]
struct Part {
    /// Where the text before it ends in [`Shape::text`]; it begins where that of the part before ends.
    text_end: usize,
    kind: Kind,
    /// The node whose value it is.
    node: Option<usize>,
}

/// An object without its values.
#[derive(Debug)]
struct Shape {
    /// What stands between the values.
    text: Box<[u8]>,
    parts: Vec<Part>,
    /// What is found at the nodes without a value: nothing, or null.
    found: Vec<Found>,
}

/// The shapes of the objects that were walked lately.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    shapes: Vec<Shape>,
    /// Objects since the last one whose shape was known.
    unknown: u32,
}

impl Shapes {
    /// Where an object of a known shape ends that begins at `start`; what is at the nodes is in `found`. `None` if it
    /// must be walked: then `found` means nothing.
    #[inline]
    pub(super) fn replay(&mut self, text: &[u8], start: usize, found: &mut [Found]) -> Option<usize> {
        for index in 0..self.shapes.len() {
            if let Some(end) = self.shapes[index].replay(text, start, found) {
                self.unknown = 0;
                if index > 0 {
                    self.shapes.swap(index - 1, index);
                }
                return Some(end);
            }
        }
        None
    }

    /// Learns the shape of an object that was walked from `start` to `end`.
    #[cold]
    pub(super) fn learn(&mut self, text: &[u8], (start, end): (usize, usize), found: &[Found]) {
        self.unknown = self.unknown.saturating_add(1);
        let is_worth_it = self.unknown <= LEARNED_IN_A_ROW || self.unknown.is_multiple_of(LEARNED_RARELY);
        if !is_worth_it || end - start > OBJECT_BYTES_MAX {
            return;
        }
        if let Some(shape) = Shape::of(&text[..end], start, found) {
            self.shapes.truncate(SHAPES_MAX - 1);
            self.shapes.push(shape);
        }
    }
}

impl Shape {
    /// The shape of the well-formed object that stands from `start` to the end of the text; `None` if something that is
    /// looked for is no single value.
    fn of(text: &[u8], start: usize, found: &[Found]) -> Option<Self> {
        let mut around = Vec::new();
        let mut parts = Vec::new();
        let (mut skim, mut behind) = (Skim { text, at: start }, start);
        while skim.at < text.len() {
            let Some((kind, (from, to))) = skim.value_or_text().ok()? else {
                continue;
            };
            around.extend_from_slice(&text[behind..from]);
            behind = to;
            parts.push(Part {
                text_end: around.len(),
                kind,
                node: found.iter().position(|found| found.is_at(from, to)),
            });
        }
        around.extend_from_slice(&text[behind..]);
        let values = found.iter().filter(|found| found.is_value()).count();
        let placed = parts.iter().filter(|part| part.node.is_some()).count();
        (values == placed).then(|| Self {
            text: around.into(),
            parts,
            found: found.iter().map(|found| found.without_value()).collect(),
        })
    }

    #[inline]
    fn replay(&self, text: &[u8], start: usize, found: &mut [Found]) -> Option<usize> {
        let (mut skim, mut from) = (Skim { text, at: start }, 0);
        found.copy_from_slice(&self.found);
        for part in &self.parts {
            let around = &self.text[from..part.text_end];
            from = part.text_end;
            if !begins_with(&text[skim.at..], around) {
                return None;
            }
            skim.at += around.len();
            let value = skim.at;
            skim.value_of(part.kind)?;
            if let Some(node) = part.node {
                found[node] = Found::Plain(value, skim.at);
            }
        }
        let around = &self.text[from..];
        begins_with(&text[skim.at..], around).then_some(skim.at + around.len())
    }
}

/// A value's kind, and where it begins and ends.
type Stretch = (Kind, (usize, usize));

impl Skim<'_> {
    /// Skips a value that may be another in an object of the same shape, and says where it stands; or a byte, a key or
    /// a `null`, which may not. Only within a well-formed object.
    fn value_or_text(&mut self) -> Result<Option<Stretch>, super::Unparsable> {
        let start = self.at;
        let kind = match self.peek()? {
            b'"' => {
                self.scalar()?;
                let end = self.at;
                self.blanks();
                let is_key = self.text.get(self.at) == Some(&b':');
                self.at = end;
                return Ok((!is_key).then_some((Kind::Text, (start + 1, end - 1))));
            }
            b't' | b'f' => Kind::Truth,
            b'-' | b'0'..=b'9' => Kind::Number,
            b'n' => {
                self.scalar()?;
                return Ok(None);
            }
            _ => {
                self.at += 1;
                return Ok(None);
            }
        };
        self.scalar()?;
        Ok(Some((kind, (start, self.at))))
    }

    /// Skips a value of this kind; of a string, all but its quotes.
    #[inline]
    fn value_of(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Kind::Text => {
                self.at += bytefind::plain_text(&self.text[self.at..]);
                // Not a quote: an escape, or no JSON.
                (self.text.get(self.at) == Some(&b'"')).then_some(())
            }
            Kind::Number => self.number().ok(),
            Kind::Truth => self.word(b"true").or_else(|_| self.word(b"false")).ok(),
        }
    }
}

/// As `starts_with`, without a call: by words of eight bytes, of which the last may overlap the one before.
#[inline]
fn begins_with(text: &[u8], start: &[u8]) -> bool {
    let Some(text) = text.get(..start.len()) else {
        return false;
    };
    let (Some(last), Some(wanted_last)) = (text.last_chunk::<8>(), start.last_chunk::<8>()) else {
        return text.iter().zip(start).all(|(byte, wanted)| byte == wanted);
    };
    let words = text.as_chunks::<8>().0.iter().zip(start.as_chunks::<8>().0);
    let unlike = |one: &[u8; 8], other: &[u8; 8]| u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other);
    words.fold(unlike(last, wanted_last), |so_far, (one, other)| {
        so_far | unlike(one, other)
    }) == 0
}

#[cfg(test)]
mod tests {
    use super::super::{Extractor, Rule, Scratch, Slot, testing};
    use proptest::prelude::*;

    /// What one extractor cuts out of all lines is what a new one cuts out of each.
    #[track_caller]
    fn check_in_turn(columns: &[&str], lines: &[&str]) {
        let owned: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let mut kept = Extractor::new(&Rule::json(), &owned).expect("any column");
        let (mut scratch, mut out) = (Scratch::default(), vec![Slot::Absent; columns.len()]);
        for line in lines {
            let result = kept.extract(line.as_bytes(), &mut scratch, &mut out).map(|()| {
                let text = |slot: &Slot| slot.bytes(line.as_bytes(), &scratch).map(String::from_utf8_lossy);
                (out.iter().map(|slot| text(slot).map(|text| text.into_owned()))).collect::<Vec<_>>()
            });
            // A new one walks the first object it sees.
            let mut fresh = Extractor::new(&Rule::json(), &owned).expect("any column");
            let (mut scratch, mut out) = (Scratch::default(), vec![Slot::Absent; columns.len()]);
            let expected = fresh.extract(line.as_bytes(), &mut scratch, &mut out).map(|()| {
                let text = |slot: &Slot| slot.bytes(line.as_bytes(), &scratch).map(String::from_utf8_lossy);
                (out.iter().map(|slot| text(slot).map(|text| text.into_owned()))).collect::<Vec<_>>()
            });
            assert_eq!(result, expected, "{line:?} of {lines:?}");
        }
    }

    #[test]
    fn objects_of_one_shape_are_cut_without_a_walk() {
        let lines = [r#"{"a":1,"b":"x","c":true}"#, r#"{"a":-2.5e3,"b":"","c":false}"#];
        check_in_turn(&["a", "b", "c"], &[lines[0], lines[1], lines[0]]);
        testing::check(&Rule::json(), &["b", "a"], lines[1], Ok(&[Some(""), Some("-2.5e3")]));
    }

    #[test]
    fn the_object_before_does_not_show() {
        let usual = r#"{"t":"2026","a":1,"o":{"b":"x y","n":null},"l":[1,"2"],"c":true}"#;
        for other in [
            r#"{"t":"2026","a":01,"o":{"b":"x y","n":null},"l":[1,"2"],"c":true}"#,
            r#"{"t":"2026","a":1,"o":{"b":"x\"y","n":null},"l":[1,"2"],"c":true}"#,
            r#"{"t":"2026","a":1,"o":{"b":"x y","n":3},"l":[1,"2"],"c":true}"#,
            r#"{"t":"2026","a":"1","o":{"b":"x y","n":null},"l":[1,"2"],"c":true}"#,
            r#"{"t":"2026","a":null,"o":{"b":"x y","n":null},"l":[1,"2"],"c":true}"#,
            r#"{"t":"2026","a":1,"o":{"b":"x y","n":null},"l":[1,"2"],"c":true,"a":7}"#,
            r#"{"t":"2026","a":1,"o":{"b":"x y","n":null},"l":[1,"2"],"c":tru}"#,
            r#"{"t":"2026","a":1,"o":{"b":"x y","n":null},"l":[1,"2"],"c":true} x"#,
            r#"{"t":"2026","a":1,"o":{"b":"x y","n":null},"l":[1,"2"],"c":true"#,
            r#"{"t":"2026","a":1,"o":{"b":"x y"#,
            r#"INFO {"t":"2026","a":12345678901,"o":{"b":"x y","n":null},"l":[1,"2"],"c":false} "#,
            r#"{"t":"2026","a":1.,"o":{"b":"x y","n":null},"l":[1,"2"],"c":true}"#,
            "{\"t\":\"20\t26\",\"a\":1,\"o\":{\"b\":\"x y\",\"n\":null},\"l\":[1,\"2\"],\"c\":true}",
            r#"{"t" : "2026", "a": 1}"#,
            r#"{"a":{"b":1},"a":{"c":2}}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"o.b":"key","o":{"b":"path"}}"#,
            "{}",
            "",
        ] {
            for columns in [
                &["a", "o.b", "c"][..],
                &["o", "l[1]"],
                &["o.n", "t", "t"],
                &["no"],
                &["a.b", "a"],
            ] {
                check_in_turn(columns, &[usual, usual, other, other, usual, other]);
                check_in_turn(columns, &[other, usual, other, usual]);
            }
        }
    }

    /// Texts that are nearly, and often, objects with the keys below.
    fn object() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            Just("1"),
            Just("-0.5e1"),
            Just("01"),
            Just("\"x\""),
            Just("\"\""),
            Just("\"\\u0061\""),
            Just("true"),
            Just("null"),
            Just("{\"b\":2}"),
            Just("[3]"),
            Just("{}"),
            Just(""),
            Just("\"\u{1}\""),
            Just("falsey"),
        ];
        let member = (prop::sample::select(&["\"a\"", "\"b\"", "\"\\u0061\"", "a"][..]), value)
            .prop_map(|(key, value)| format!("{key}:{value}"));
        (
            prop::collection::vec(member, 0..3),
            prop::sample::select(&["", " ", "x"][..]),
        )
            .prop_map(|(members, behind)| format!("{{{}}}{behind}", members.join(",")))
    }

    proptest! {
        #[test]
        fn objects_in_any_order_are_cut_alike(lines in prop::collection::vec(object(), 1..24)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            check_in_turn(&["a", "b", "a.b", "a[0]"], &lines);
        }
    }
}
