//! The groups that records fell into lately, found without encoding or hashing a key.
//!
//! Most records of most logs fall into one of a few groups of short keys: a status, an operation and its result. Such a
//! key fits into one word. What is remembered for a word is only where its group is; a stale place is never used, since
//! a group moves only in a window that is full, and there nothing is looked up here.

use super::RecordRow;
use crate::groups::Place;

/// Groups remembered: 2 KB, so that they stay in the first-level cache.
const ENTRIES: usize = 64;

/// Bytes of a key at most.
const KEY_BYTES: usize = size_of::<u128>();

/// The columns of a key in one word: for each its length plus 1, or 0 for null, and its bytes. Different keys of the
/// same number of columns are different words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShortKey(u128);

/// A column's text as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    Null,
    /// The bytes, zeros behind them, and how many they are: fewer than [`KEY_BYTES`].
    Text(u128, usize),
    /// It does not fit.
    Long,
}

impl Short {
    /// The first `len` bytes of a field's text and what stands behind it. Null is as everywhere: nothing, or `-`.
    #[inline]
    pub(super) fn at_beginning(bytes: &[u8; KEY_BYTES], len: usize) -> Self {
        match len {
            0 => Self::Null,
            1 if bytes[0] == b'-' => Self::Null,
            1..KEY_BYTES => Self::Text(u128::from_le_bytes(*bytes) & ((1 << (8 * len)) - 1), len),
            _ => Self::Long,
        }
    }

    /// A column as it is.
    pub(super) fn of(column: Option<&[u8]>) -> Self {
        match column {
            None => Self::Null,
            Some(text) if text.len() < KEY_BYTES => {
                let mut bytes = [0; KEY_BYTES];
                bytes[..text.len()].copy_from_slice(text);
                Self::Text(u128::from_le_bytes(bytes), text.len())
            }
            Some(_) => Self::Long,
        }
    }
}

/// The key of a record's group, if it is short.
#[inline]
pub(super) fn short_key(row: &RecordRow<'_>, columns: &[usize]) -> Option<ShortKey> {
    let mut key = 0;
    let mut used = 0;
    for &column in columns {
        let (text, len, tag) = match row.short(column) {
            Short::Null => (0, 0, 0),
            Short::Text(text, len) => (text, len, len as u128 + 1),
            Short::Long => return None,
        };
        if used + 1 + len > KEY_BYTES {
            return None;
        }
        key |= (text << 8 | tag) << (8 * used);
        used += 1 + len;
    }
    Some(ShortKey(key))
}

/// Where groups are, by key and window.
#[derive(Debug)]
pub(super) struct Recent(Box<[Entry; ENTRIES]>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: ShortKey,
    /// Index of the window; `u32::MAX` in an entry that was never written.
    window: u32,
    group: u32,
}

impl Default for Recent {
    fn default() -> Self {
        let never = Entry {
            key: ShortKey(0),
            window: u32::MAX,
            group: 0,
        };
        Self(Box::new([never; ENTRIES]))
    }
}

impl Recent {
    /// Where the group of a key was when it was last seen in this window.
    #[inline]
    pub(super) fn find(&self, key: ShortKey, window: usize) -> Option<u32> {
        let entry = &self.0[slot(key)];
        (entry.key == key && entry.window as usize == window).then_some(entry.group)
    }

    /// Remembers a group's place.
    pub(super) fn keep(&mut self, key: Option<ShortKey>, window: usize, place: Place) {
        if let (Some(key), Place::Kept(group), Ok(window)) = (key, place, u32::try_from(window)) {
            self.0[slot(key)] = Entry { key, window, group };
        }
    }
}

/// The entry of a key: the top bits of a product, which depend on all of the word (Fibonacci hashing).
#[inline]
fn slot(key: ShortKey) -> usize {
    let (low, high) = (key.0 as u64, (key.0 >> 64) as u64);
    let product = (low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product >> (u64::BITS - ENTRIES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::super::{Labels, RecordRow, Scratch, Slot, Source};
    use super::*;

    #[track_caller]
    fn key(columns: &[Option<&str>], behind: &str) -> Option<ShortKey> {
        let (mut record, mut slots) = (String::new(), Vec::new());
        for column in columns {
            slots.push(column.map_or(Slot::Absent, |text| Slot::Record {
                start: record.len() as u32,
                len: text.len() as u32,
            }));
            record.push_str(column.unwrap_or_default());
        }
        record.push_str(behind);
        let sources: Vec<Source> = (0..columns.len()).map(Source::Field).collect();
        let row = RecordRow {
            record: record.as_bytes(),
            labels: &Labels::default(),
            scratch: &Scratch::default(),
            slots: &slots,
            sources: &sources,
        };
        short_key(&row, &(0..columns.len()).collect::<Vec<_>>())
    }

    #[test]
    fn equal_keys_are_equal_words_and_others_are_not() {
        let keys: [&[Option<&str>]; 12] = [
            &[None, None],
            &[Some("a"), None],
            &[None, Some("a")],
            &[Some("ab"), None],
            &[Some("a"), Some("b")],
            &[Some("ab"), Some("c")],
            &[Some("a"), Some("bc")],
            &[Some("\0"), None],
            &[None, Some("\0")],
            &[Some("\0\0"), None],
            &[Some("a\u{2}"), Some("b")],
            &[Some("abcdefg"), Some("abcdefg")],
        ];
        for (index, one) in keys.iter().enumerate() {
            let word = key(one, "");
            assert!(word.is_some(), "{one:?}");
            assert_eq!(word, key(one, "and much that stands behind it"), "{one:?}");
            for other in &keys[..index] {
                assert_ne!(word, key(other, " "), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn nulls_are_one() {
        for null in [None, Some(""), Some("-")] {
            assert_eq!(key(&[null], ""), key(&[None], "x"));
            assert_eq!(key(&[null], "sixteen bytes or more"), key(&[None], ""));
        }
        assert_ne!(key(&[Some("--")], ""), key(&[None], ""));
    }

    #[test]
    fn long_keys_have_no_word() {
        assert!(key(&[Some("fifteen bytes..")], "").is_some());
        for behind in ["", "sixteen bytes or more"] {
            assert_eq!(key(&[Some("sixteen bytes...")], behind), None);
            assert_eq!(key(&[Some("abcdefg"), Some("abcdefgh")], behind), None);
            assert_eq!(key(&[Some("abcdefghijklmn"), None, None], behind), None);
        }
    }

    #[test]
    fn a_group_is_found_in_its_own_window_only() {
        let mut recent = Recent::default();
        let none = ShortKey(0);
        assert_eq!(recent.find(none, 0), None);
        recent.keep(Some(none), 3, Place::Kept(7));
        assert_eq!(recent.find(none, 3), Some(7));
        assert_eq!(recent.find(none, 0), None);
        recent.keep(Some(none), 3, Place::Folded);
        assert_eq!(recent.find(none, 3), Some(7));
    }
}
