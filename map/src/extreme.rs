//! The earliest and the latest text of a group: `first(x)` and `last(x)` (M7).
//!
//! "Earliest" must not mean "read first": pulls, retries and merges come in any order. So each kept text carries the
//! whole place of its record, and the places are totally ordered.

use serde::{Deserialize, Serialize};

/// The place of a record among all records of an application; compared field by field in this order.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position<'a> {
    /// Event time of the record in nanoseconds since the Unix epoch.
    pub timestamp_nanos: i64,
    /// Name of its host.
    pub host: &'a [u8],
    /// Path of its log as the input names it.
    pub path: &'a [u8],
    /// Which generation of that log: a number that stays the same when the file is read again.
    pub generation: u64,
    /// Offset of its first byte in that generation, uncompressed.
    pub offset: u64,
}

/// Text of the record with the least [`Position`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct First {
    kept: Option<Kept>,
}

/// Text of the record with the greatest [`Position`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Last {
    kept: Option<Kept>,
}

/// A text with its place. The buffers are reused: `last` takes nearly every record of an ordered log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Kept {
    timestamp_nanos: i64,
    #[serde(with = "serde_bytes")]
    host: Vec<u8>,
    #[serde(with = "serde_bytes")]
    path: Vec<u8>,
    generation: u64,
    offset: u64,
    #[serde(with = "serde_bytes")]
    text: Vec<u8>,
}

impl First {
    /// Keeps the text if its place is before all others. Cost: one comparison, and a copy if kept.
    #[inline]
    pub fn add(&mut self, position: Position<'_>, text: &[u8]) {
        // The text decides between equal places: it can't happen for one record, and merging stays commutative anyway.
        if self
            .kept
            .as_ref()
            .is_none_or(|kept| (position, text) < (kept.position(), &kept.text))
        {
            replace(&mut self.kept, position, text);
        }
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        if let Some(kept) = &other.kept {
            self.add(kept.position(), &kept.text);
        }
    }

    /// The kept text; `None` if there was no record.
    pub fn text(&self) -> Option<&[u8]> {
        self.kept.as_ref().map(|kept| kept.text.as_slice())
    }

    /// The place of the kept text.
    pub fn position(&self) -> Option<Position<'_>> {
        self.kept.as_ref().map(Kept::position)
    }

    /// Bytes in memory, on the heap and in place.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.kept.as_ref().map_or(0, Kept::heap_bytes)
    }
}

impl Last {
    /// Keeps the text if its place is behind all others. Cost: one comparison, and a copy if kept.
    #[inline]
    pub fn add(&mut self, position: Position<'_>, text: &[u8]) {
        if self
            .kept
            .as_ref()
            .is_none_or(|kept| (position, text) > (kept.position(), &kept.text))
        {
            replace(&mut self.kept, position, text);
        }
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        if let Some(kept) = &other.kept {
            self.add(kept.position(), &kept.text);
        }
    }

    /// The kept text; `None` if there was no record.
    pub fn text(&self) -> Option<&[u8]> {
        self.kept.as_ref().map(|kept| kept.text.as_slice())
    }

    /// The place of the kept text.
    pub fn position(&self) -> Option<Position<'_>> {
        self.kept.as_ref().map(Kept::position)
    }

    /// Bytes in memory, on the heap and in place.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.kept.as_ref().map_or(0, Kept::heap_bytes)
    }
}

impl Kept {
    #[inline]
    fn position(&self) -> Position<'_> {
        Position {
            timestamp_nanos: self.timestamp_nanos,
            host: &self.host,
            path: &self.path,
            generation: self.generation,
            offset: self.offset,
        }
    }

    fn heap_bytes(&self) -> usize {
        self.host.capacity() + self.path.capacity() + self.text.capacity()
    }
}

/// Puts a text in the place of the kept one, into its buffers.
fn replace(kept: &mut Option<Kept>, position: Position<'_>, text: &[u8]) {
    let kept = kept.get_or_insert_with(|| Kept {
        timestamp_nanos: 0,
        host: Vec::new(),
        path: Vec::new(),
        generation: 0,
        offset: 0,
        text: Vec::new(),
    });
    kept.timestamp_nanos = position.timestamp_nanos;
    kept.generation = position.generation;
    kept.offset = position.offset;
    for (buffer, bytes) in [
        (&mut kept.host, position.host),
        (&mut kept.path, position.path),
        (&mut kept.text, text),
    ] {
        buffer.clear();
        buffer.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Record = (i64, &'static str, &'static str, u64, u64, &'static str);

    fn position(record: &Record) -> Position<'static> {
        Position {
            timestamp_nanos: record.0,
            host: record.1.as_bytes(),
            path: record.2.as_bytes(),
            generation: record.3,
            offset: record.4,
        }
    }

    fn collect(records: &[Record]) -> (First, Last) {
        let (mut first, mut last) = (First::default(), Last::default());
        for record in records {
            first.add(position(record), record.5.as_bytes());
            last.add(position(record), record.5.as_bytes());
        }
        (first, last)
    }

    #[track_caller]
    fn check(records: &[Record], expected_first: Option<&str>, expected_last: Option<&str>) {
        let mut reversed = records.to_vec();
        reversed.reverse();
        for order in [records, &reversed] {
            let (first, last) = collect(order);
            assert_eq!(first.text(), expected_first.map(str::as_bytes), "first of {order:?}");
            assert_eq!(last.text(), expected_last.map(str::as_bytes), "last of {order:?}");
        }
    }

    #[test]
    fn order_is_time_host_path_generation_offset() {
        check(&[], None, None);
        check(&[(5, "h", "p", 0, 0, "only")], Some("only"), Some("only"));
        check(
            &[(-1, "z", "z", 9, 9, "early"), (2, "a", "a", 0, 0, "late")],
            Some("early"),
            Some("late"),
        );
        check(
            &[(1, "h1", "z", 9, 9, "one"), (1, "h2", "a", 0, 0, "two")],
            Some("one"),
            Some("two"),
        );
        check(
            &[(1, "h", "a", 9, 9, "a"), (1, "h", "b", 0, 0, "b")],
            Some("a"),
            Some("b"),
        );
        check(
            &[(1, "h", "p", 1, 9, "one"), (1, "h", "p", 2, 0, "two")],
            Some("one"),
            Some("two"),
        );
        check(
            &[(1, "h", "p", 1, 10, "ten"), (1, "h", "p", 1, 9, "nine")],
            Some("nine"),
            Some("ten"),
        );
        check(
            &[(1, "h", "p", 1, 1, ""), (2, "h", "p", 1, 2, "x")],
            Some(""),
            Some("x"),
        );
    }

    #[test]
    fn buffers_are_reused_and_counted() {
        let (mut first, mut last) = collect(&[(1, "host", "path", 0, 0, "a text of some length")]);
        let before = (first.memory_bytes(), last.memory_bytes());
        assert!(before.0 >= size_of::<First>() + 4 + 4 + 21);
        first.add(position(&(0, "h", "p", 0, 0, "")), b"short");
        last.add(position(&(2, "h", "p", 0, 0, "")), b"short");
        assert_eq!((first.memory_bytes(), last.memory_bytes()), before);
        assert_eq!(first.position(), Some(position(&(0, "h", "p", 0, 0, ""))));
        assert_eq!(last.position(), Some(position(&(2, "h", "p", 0, 0, ""))));
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let text = prop::sample::select(vec!["", "a", "b", "ab"]);
        prop::collection::vec((-2..2_i64, text.clone(), text.clone(), 0..2_u64, 0..2_u64, text), 0..6)
    }

    proptest! {
        #[test]
        fn merging_is_commutative_and_associative(a in records(), b in records(), c in records()) {
            let whole = collect(&[a.clone(), b.clone(), c.clone()].concat());
            let (a, b, c) = (collect(&a), collect(&b), collect(&c));
            for order in [[&a, &b, &c], [&c, &b, &a], [&b, &a, &c]] {
                let mut left = order[0].clone();
                left.0.merge(&order[1].0);
                left.1.merge(&order[1].1);
                left.0.merge(&order[2].0);
                left.1.merge(&order[2].1);
                prop_assert_eq!(&left, &whole);
                let mut tail = order[1].clone();
                tail.0.merge(&order[2].0);
                tail.1.merge(&order[2].1);
                let mut right = order[0].clone();
                right.0.merge(&tail.0);
                right.1.merge(&tail.1);
                prop_assert_eq!(&right, &whole);
            }
        }

        #[test]
        fn agrees_with_sorting(all in records()) {
            let (first, last) = collect(&all);
            let key = |record: &&Record| (position(record), record.5.as_bytes());
            prop_assert_eq!(first.text(), all.iter().min_by_key(key).map(|record| record.5.as_bytes()));
            prop_assert_eq!(last.text(), all.iter().max_by_key(key).map(|record| record.5.as_bytes()));
        }
    }
}
