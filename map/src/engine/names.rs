//! The values of columns in a batch, numbered in the order in which they come.
//!
//! Most columns that anybody groups by have few values: a status, an operation, its result. So what depends on the
//! value alone is done once a batch for each of them, and a record costs no more than the number of its value. Where a
//! batch has many values, nothing is gained, and every record is looked at by itself.

/// Values that are numbered at most.
pub(super) const NAMES_MAX: usize = 64;

/// Entries of the table: so many that one that is not there is mostly seen at the first look.
const ENTRIES: usize = 256;

/// Batches that are not tried after one that had too many values.
const REST_BATCHES: u8 = 15;

/// Bytes of a value that are compared as a word.
const WORD_BYTES: usize = size_of::<u128>();

/// In the place of a length: the value is null.
const NULL: u32 = u32::MAX;

/// A value, and what stands behind it as far as the record goes.
pub(super) type Text<'r> = Option<(&'r [u8], usize)>;

/// The numbers of one column's values.
#[derive(Debug)]
pub(super) struct Names {
    numbering: Numbering,
    table: Box<[Entry; ENTRIES]>,
    /// Marks the entries of this batch.
    turn: u32,
    /// Batches to pass over.
    rest: u8,
}

/// Numbers of the records of a batch.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// The number of each record's value.
    pub(super) ids: Vec<u8>,
    /// The first record with each value.
    pub(super) firsts: Vec<u16>,
    /// There are too many: nothing is numbered.
    pub(super) is_many: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    word: u128,
    length: u32,
    turn: u32,
    id: u8,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            numbering: Numbering::default(),
            table: Box::new([Entry::default(); ENTRIES]),
            turn: 0,
            rest: 0,
        }
    }
}

impl Names {
    /// The numbers in the batch at hand.
    #[inline]
    pub(super) fn numbering(&self) -> &Numbering {
        &self.numbering
    }

    /// Numbers the values of a batch of so many records.
    pub(super) fn fill<'r>(&mut self, records: usize, text: impl Fn(usize) -> Text<'r>) {
        let Numbering { ids, firsts, is_many } = &mut self.numbering;
        ids.clear();
        firsts.clear();
        *is_many = self.rest > 0;
        if *is_many {
            self.rest -= 1;
            return;
        }
        self.begin();
        let Self {
            numbering, table, turn, ..
        } = self;
        let Numbering { ids, firsts, is_many } = numbering;
        for at in 0..records {
            let value = text(at);
            let (word, length, mut place) = read(value);
            let id = loop {
                let entry = &mut table[place];
                if entry.turn != *turn {
                    if firsts.len() == NAMES_MAX {
                        *is_many = true;
                        self.rest = REST_BATCHES;
                        return;
                    }
                    let id = firsts.len() as u8;
                    firsts.push(at as u16);
                    *entry = Entry {
                        word,
                        length,
                        turn: *turn,
                        id,
                    };
                    break id;
                }
                let is_same = entry.word == word
                    && entry.length == length
                    && (length as usize <= WORD_BYTES || length == NULL || {
                        let first = text(usize::from(firsts[usize::from(entry.id)]));
                        bytes(first) == bytes(value)
                    });
                if is_same {
                    break entry.id;
                }
                place = (place + 1) % ENTRIES;
            };
            ids.push(id);
        }
    }

    /// Empties the table.
    fn begin(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        if self.turn == 0 {
            self.table.fill(Entry::default());
            self.turn = 1;
        }
    }
}

fn bytes(value: Text<'_>) -> Option<&[u8]> {
    value.map(|(text, length)| &text[..length])
}

/// A value as a word with zeros behind it, its length, and where it is looked for: the top bits of a product, which
/// depend on all of the word (Fibonacci hashing), and of a longer value on its end.
#[inline]
fn read(value: Text<'_>) -> (u128, u32, usize) {
    let Some((text, length)) = value else {
        return (0, NULL, 0);
    };
    let word = match text.first_chunk() {
        Some(bytes) if length >= WORD_BYTES => u128::from_le_bytes(*bytes),
        Some(bytes) => u128::from_le_bytes(*bytes) & ((1 << (8 * length)) - 1),
        None => {
            let mut bytes = [0; WORD_BYTES];
            bytes[..length].copy_from_slice(&text[..length]);
            u128::from_le_bytes(bytes)
        }
    };
    let mut mixed = word as u64 ^ ((word >> 64) as u64).rotate_left(29) ^ length as u64;
    if length > WORD_BYTES
        && let Some(end) = text[..length].last_chunk()
    {
        mixed ^= u64::from_le_bytes(*end).rotate_left(17);
    }
    let product = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word, length as u32, (product >> (u64::BITS - ENTRIES.ilog2())) as usize)
}

impl Numbering {
    /// Numbers pairs of numbers: what two groups of columns have together. `table` is scratch.
    pub(super) fn pair(&mut self, left: &Numbering, right: &Numbering, table: &mut Vec<u8>) {
        self.ids.clear();
        self.firsts.clear();
        self.is_many = left.is_many || right.is_many;
        if self.is_many {
            return;
        }
        const NONE: u8 = u8::MAX;
        let width = right.firsts.len();
        table.clear();
        table.resize(left.firsts.len() * width, NONE);
        for (at, (left, right)) in left.ids.iter().zip(&right.ids).enumerate() {
            let id = &mut table[usize::from(*left) * width + usize::from(*right)];
            if *id == NONE {
                if self.firsts.len() == NAMES_MAX {
                    self.is_many = true;
                    return;
                }
                *id = self.firsts.len() as u8;
                self.firsts.push(at as u16);
            }
            self.ids.push(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn text<'r>(value: &'r Option<(Vec<u8>, usize)>) -> Text<'r> {
        value.as_ref().map(|(text, length)| (text.as_slice(), *length))
    }

    /// Numbers by a map, or none if there are too many.
    fn plain<K: Ord>(values: impl Iterator<Item = K>) -> Option<(Vec<u8>, Vec<u16>)> {
        let (mut known, mut ids, mut firsts) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (at, value) in values.enumerate() {
            let next = known.len();
            let id = *known.entry(value).or_insert(next);
            if id == firsts.len() {
                firsts.push(at as u16);
            }
            ids.push(id as u8);
        }
        (firsts.len() <= NAMES_MAX).then_some((ids, firsts))
    }

    fn check(numbering: &Numbering, expected: Option<(Vec<u8>, Vec<u16>)>) {
        assert_eq!(numbering.is_many, expected.is_none());
        if let Some((ids, firsts)) = expected {
            assert_eq!((&numbering.ids, &numbering.firsts), (&ids, &firsts));
        }
    }

    /// A value of few bytes or many, of which few differ; and whatever stands behind it.
    fn value() -> impl Strategy<Value = Option<(Vec<u8>, usize)>> {
        let part = prop::collection::vec(prop::sample::select(&[0, b'a', b'b'][..]), 0..3);
        let middle = prop::sample::select(&[0_usize, 7, 12, 13, 14, 30][..]);
        let behind = prop::sample::select(&[0_usize, 1, 30][..]);
        let text = (part.clone(), middle, part, behind).prop_map(|(first, middle, last, behind)| {
            let value = [first, vec![b'm'; middle], last].concat();
            let length = value.len();
            ([value, vec![b'z'; behind]].concat(), length)
        });
        prop::option::weighted(0.9, text)
    }

    proptest! {
        #[test]
        fn values_are_numbered_as_they_come(batches in prop::collection::vec(
            (prop::collection::vec(value(), 0..100), 1..4_usize), 1..4,
        )) {
            let (mut one, mut other, mut both) = (Names::default(), Names::default(), Numbering::default());
            for (values, step) in batches {
                one.rest = 0;
                one.fill(values.len(), |at| text(&values[at]));
                let own = |at: usize| text(&values[at]).map(|(text, length)| text[..length].to_vec());
                check(one.numbering(), plain((0..values.len()).map(own)));
                // Each with a later one.
                other.rest = 0;
                let later = |at: usize| (at * step) % values.len();
                other.fill(values.len(), |at| text(&values[later(at)]));
                both.pair(one.numbering(), other.numbering(), &mut Vec::new());
                let pairs = plain((0..values.len()).map(|at| (own(at), own(later(at)))));
                let is_many = one.numbering().is_many || other.numbering().is_many;
                check(&both, pairs.filter(|_| !is_many));
            }
        }
    }

    #[test]
    fn after_many_values_some_batches_are_passed_over() {
        let many: Vec<String> = (0..=NAMES_MAX).map(|number| number.to_string()).collect();
        let mut names = Names::default();
        let fill = |names: &mut Names, values: &[String]| {
            names.fill(values.len(), |at| Some((values[at].as_bytes(), values[at].len())));
            names.numbering().is_many
        };
        assert!(!fill(&mut names, &many[..NAMES_MAX]));
        for _ in 0..=REST_BATCHES {
            assert!(fill(&mut names, &many[..]));
        }
        assert!(!fill(&mut names, &many[..NAMES_MAX]));
    }
}
