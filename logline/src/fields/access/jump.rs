//! A jump over the variables at the beginning of a line that no column needs.
//!
//! Texts found one after the other, each at its first occurrence behind the one before, are found if and only if they
//! stand anywhere in this order side by side. So where the last of them holds a double quote, and no other does, it is
//! enough to find the line's first quote, to see that this text ends with it, and to know *any* place for each of
//! the others. Those places are taken over from the line before, by their distance from the quote: addresses differ in
//! length, what stands between them and the quote hardly does. Where they are not there, the line is walked.

use memchr::memchr;

use super::{End, Step};
use bytefind::near;

/// The byte that the jump looks for.
const MARK: u8 = b'"';

/// Texts of more bytes together are not jumped over: no format comes near it.
const BYTES_MAX: usize = 64;

/// A jump, and what it has learned from the line it walked last.
#[derive(Debug)]
pub(super) struct Jump {
    /// The text before the first variable: bytes that none of the others may stand in.
    lead_len: usize,
    /// Steps that are jumped over.
    steps: usize,
    /// The texts at their places; empty before the first walk.
    places: Vec<Place>,
}

/// Bytes of the texts within eight bytes of a line.
#[derive(Debug)]
struct Place {
    /// How far before the quote these eight bytes begin.
    distance: usize,
    word: u64,
    /// Ones over the bytes that belong to a text.
    mask: u64,
}

impl Jump {
    /// The jump over the first steps, if they can be jumped over.
    pub(super) fn new(lead: &[u8], steps: &[Step]) -> Option<Jump> {
        let mut bytes = 0;
        for (index, step) in steps.iter().enumerate() {
            let End::Text(first, rest) = &step.end else { return None };
            bytes += 1 + rest.len();
            if !step.targets.is_empty() || lead.contains(&MARK) || bytes > BYTES_MAX {
                return None;
            }
            let marks = usize::from(*first == MARK) + rest.iter().filter(|&&byte| byte == MARK).count();
            if marks > 0 {
                let at_end = marks == 1 && rest.last().unwrap_or(first) == &MARK;
                return at_end.then(|| Jump {
                    lead_len: lead.len(),
                    steps: index + 1,
                    places: Vec::new(),
                });
            }
        }
        None
    }

    /// How many steps it saves.
    #[inline]
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Where the next variable begins; `None` if the line must be walked.
    #[inline]
    pub(super) fn find(&self, line: &[u8]) -> Option<usize> {
        let mark = near(MARK, line)?;
        if mark < self.lead_len + self.places.first()?.distance {
            return None;
        }
        for place in &self.places {
            let bytes = line.get(mark - place.distance..)?.first_chunk()?;
            if u64::from_le_bytes(*bytes) & place.mask != place.word {
                return None;
            }
        }
        Some(mark + 1)
    }

    /// Takes the steps one by one, and learns where the texts stand.
    #[cold]
    pub(super) fn walk(&mut self, line: &[u8], from: usize, steps: &[Step]) -> Option<usize> {
        self.places.clear();
        let mark = memchr(MARK, line)?;
        let mut places = std::mem::take(&mut self.places);
        let mut at = from;
        for step in &steps[..self.steps] {
            let (end, next) = step.end.find(line, at)?;
            if next <= mark + 1 {
                (end..next).for_each(|position| learn(&mut places, mark - position, line[position]));
            }
            at = next;
        }
        if at == mark + 1 {
            self.places = places;
        }
        Some(at)
    }
}

/// Notes a byte that stands so far before the quote.
fn learn(places: &mut Vec<Place>, distance: usize, byte: u8) {
    if places.last().is_none_or(|place| place.distance >= distance + 8) {
        places.push(Place {
            // Eight bytes that end with the quote at the latest are within every line that has it.
            distance: distance.max(7),
            word: 0,
            mask: 0,
        });
    }
    if let Some(place) = places.last_mut() {
        let shift = 8 * (place.distance - distance);
        place.word |= u64::from(byte) << shift;
        place.mask |= 0xff << shift;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Extractor, Rule, Scratch, Slot};
    use proptest::prelude::*;

    /// What one extractor cuts out of all lines, one after the other, and what a new one does out of each.
    fn both_ways(format: &str, lines: &[String]) -> [Vec<Option<String>>; 2] {
        let rule = Rule::nginx(format).expect("a good format");
        let extractor = || Extractor::new(&rule, &["s".to_owned()]).expect("it has the column");
        let cut = |extractor: &mut Extractor, line: &String| {
            let (mut scratch, mut out) = (Scratch::default(), [Slot::Absent]);
            let result = extractor.extract(line.as_bytes(), &mut scratch, &mut out);
            result.ok()?;
            out[0]
                .bytes(line.as_bytes(), &scratch)
                .map(|field| String::from_utf8_lossy(field).into_owned())
        };
        let mut kept = extractor();
        [
            lines.iter().map(|line| cut(&mut kept, line)).collect(),
            lines.iter().map(|line| cut(&mut extractor(), line)).collect(),
        ]
    }

    #[test]
    fn another_place_is_no_other_answer() {
        let lines = [
            r#"a - - [t] "r" 1 "#,
            r#"abc - - [t] "r" 2 "#,
            r#"- - [t] "r" 3 "#,
            r#"a - joe [t] "r" 4 "#,
            r#"a"b - - [t] "r" 5 "#,
            r#" - - [t] "r" 6 "#,
            r#"a  - [t] "r" 7 "#,
            r#"abcdefghijklm"#,
        ]
        .map(str::to_owned);
        let [kept, anew] = both_ways(r#"$a $b $c [$d] "$r" $s "#, &lines);
        assert_eq!(kept, anew);
        let expected = ["1", "2", "", "4", "5", "6", "7", ""].map(|text| (!text.is_empty()).then(|| text.to_owned()));
        assert_eq!(kept, expected);
    }

    /// Lines that nearly, and often, follow the formats below.
    const LINE: &str = "([ab] )?[ab]{0,3} (- ){0,2}(- |u )?(\\[|\\[\\[)t{1,6}\\]? ?\"(r|\" )?\" ?[12]{1,2} ?";

    proptest! {
        #[test]
        fn a_jump_ends_where_a_walk_does(
            lines in prop::collection::vec(LINE, 1..20),
            format in prop::sample::select(&[
                r#"$a $b $c [$d] "$r" $s "#,
                r#"$a - $b [$d] "$r" $s "#,
                r#"a$a [$d] "$s""#,
                r#"$a [$d "$s ""#,
                r#"$a -$d] "$s""#,
            ][..]),
        ) {
            let [kept, anew] = both_ways(format, &lines);
            prop_assert_eq!(kept, anew);
        }
    }
}
