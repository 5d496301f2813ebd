//! Records that are kept as they are, to be shown: the first or the last so many of those that count (M7).
//!
//! It is a state like any other, added to by the engine where a record is added to its group; so exactly those records
//! are kept that are counted, and whatever is read again, replaced or merged needs no second way. Records are ordered
//! by their [`Position`], so which are kept does not depend on the order of reading and merging.
//!
//! Of all windows together no more are wanted than of each. What [`bound`] drops for that is forgotten honestly: a
//! state then knows up to where it is whole, and so does whatever it is merged into. A window that was counted on may
//! turn out not to be proved; what is shown then ends where something may be missing, and is never wrong.

use crate::extreme::Position;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Most bytes of a record's text that are kept: a stack trace of some depth. What is cut says so.
pub const TEXT_BYTES_MAX: usize = 4 << 10;

/// Which records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Those with the least positions.
    First,
    /// Those with the greatest.
    Last,
}

/// What is kept of the records that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// How many, at most.
    pub limit: u16,
    /// Which.
    pub end: End,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRecord {
    /// Its stamp in nanoseconds since the Unix epoch.
    pub timestamp_nanos: i64,
    /// Name of its host.
    pub host: String,
    /// Its file: the log's path as the input names it, until [`Kept::name_files`] gives the file its own name.
    pub file: String,
    /// Which generation of the log.
    pub generation: u64,
    /// Offset of its first byte in that, uncompressed.
    pub offset: u64,
    /// Its bytes there, with line ends.
    pub bytes: u64,
    /// Its text without the last line end, at most [`TEXT_BYTES_MAX`] bytes of it. Of logs that are written within
    /// others' envelopes or in other encodings, as far as it can be read, what was written.
    #[serde(with = "serde_bytes")]
    pub text: Vec<u8>,
    /// Whether there is more of the text.
    pub is_cut: bool,
}

impl KeptRecord {
    fn position(&self) -> Position<'_> {
        Position {
            timestamp_nanos: self.timestamp_nanos,
            host: self.host.as_bytes(),
            path: self.file.as_bytes(),
            generation: self.generation,
            offset: self.offset,
        }
    }

    fn heap_bytes(&self) -> usize {
        self.host.capacity() + self.file.capacity() + self.text.capacity()
    }
}

/// The records that are kept of some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Sent")]
pub struct Kept {
    keep: Keep,
    /// Records beyond this stamp, from the end that is kept, may have been dropped although there was room.
    whole_to_nanos: Option<i64>,
    /// By position.
    records: VecDeque<KeptRecord>,
}

/// What another node says was kept.
#[derive(Deserialize)]
struct Sent {
    keep: Keep,
    whole_to_nanos: Option<i64>,
    records: VecDeque<KeptRecord>,
}

/// What was sent is nothing that is ever kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("kept records are too many, too long, or in no order; the two nodes run different versions")]
struct NeverKept;

impl TryFrom<Sent> for Kept {
    type Error = NeverKept;

    fn try_from(sent: Sent) -> Result<Self, NeverKept> {
        let is_ordered = sent.records.iter().is_sorted_by(|a, b| a.position() < b.position());
        let is_short = sent.records.iter().all(|record| record.text.len() <= TEXT_BYTES_MAX);
        if !is_ordered || !is_short || sent.records.len() > usize::from(sent.keep.limit) {
            return Err(NeverKept);
        }
        Ok(Self {
            keep: sent.keep,
            whole_to_nanos: sent.whole_to_nanos,
            records: sent.records,
        })
    }
}

impl Kept {
    /// Nothing yet.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            whole_to_nanos: None,
            records: VecDeque::new(),
        }
    }

    /// What is kept.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// The records that are kept, by position.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &KeptRecord> {
        self.records.iter()
    }

    /// The records that are known to be the first (or the last) of all there are, in the order that was asked for.
    pub fn shown(&self) -> Vec<&KeptRecord> {
        let is_whole = |record: &&KeptRecord| self.whole_to_nanos.is_none_or(|to| !self.is_beyond(record, to));
        let records = self.records.iter().filter(is_whole);
        match self.keep.end {
            End::First => records.collect(),
            End::Last => records.rev().collect(),
        }
    }

    /// Whether a record lies behind a stamp, from the end that is kept.
    fn is_beyond(&self, record: &KeptRecord, stamp_nanos: i64) -> bool {
        match self.keep.end {
            End::First => record.timestamp_nanos > stamp_nanos,
            End::Last => record.timestamp_nanos < stamp_nanos,
        }
    }

    /// Keeps a record, if it is one to keep. `text` is what it says. Cost: one comparison for one that is not.
    pub fn add(&mut self, position: Position<'_>, bytes: u64, text: impl FnOnce() -> (Vec<u8>, bool)) {
        let is_full = self.records.len() >= usize::from(self.keep.limit);
        let worst = match self.keep.end {
            End::First => self.records.back(),
            End::Last => self.records.front(),
        };
        let is_worse = |worst: &KeptRecord| match self.keep.end {
            End::First => position > worst.position(),
            End::Last => position < worst.position(),
        };
        if self.keep.limit == 0 || (is_full && worst.is_some_and(is_worse)) {
            return;
        }
        let (text, is_cut) = text();
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.insert(KeptRecord {
            timestamp_nanos: position.timestamp_nanos,
            host: lossy(position.host),
            file: lossy(position.path),
            generation: position.generation,
            offset: position.offset,
            bytes,
            text,
            is_cut,
        });
    }

    fn insert(&mut self, record: KeptRecord) {
        let place = self.records.partition_point(|kept| kept.position() < record.position());
        if self
            .records
            .get(place)
            .is_some_and(|kept| kept.position() == record.position())
        {
            return;
        }
        self.records.insert(place, record);
        if self.records.len() > usize::from(self.keep.limit) {
            match self.keep.end {
                End::First => self.records.pop_back(),
                End::Last => self.records.pop_front(),
            };
        }
    }

    /// Takes in what another has kept.
    pub fn merge(&mut self, other: &Self) {
        self.whole_to_nanos = match (self.whole_to_nanos, other.whole_to_nanos) {
            (Some(mine), Some(theirs)) if self.keep.end == End::First => Some(mine.min(theirs)),
            (Some(mine), Some(theirs)) => Some(mine.max(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        for record in &other.records {
            self.insert(record.clone());
        }
    }

    /// Gives files their own names, by generation. Records stand in another order then.
    pub fn name_files<'n>(&mut self, name: impl Fn(u64) -> Option<&'n str>) {
        for record in &mut self.records {
            if let Some(name) = name(record.generation) {
                name.clone_into(&mut record.file);
            }
        }
        let records = self.records.make_contiguous();
        records.sort_by(|a, b| a.position().cmp(&b.position()));
    }

    /// Drops what lies beyond a stamp.
    fn drop_beyond(&mut self, stamp_nanos: i64) {
        let before = self.records.len();
        let end = self.keep.end;
        self.records.retain(|record| match end {
            End::First => record.timestamp_nanos <= stamp_nanos,
            End::Last => record.timestamp_nanos >= stamp_nanos,
        });
        if self.records.len() < before {
            self.records.shrink_to_fit();
            self.whole_to_nanos = Some(match (self.whole_to_nanos, end) {
                (None, _) => stamp_nanos,
                (Some(to), End::First) => to.min(stamp_nanos),
                (Some(to), End::Last) => to.max(stamp_nanos),
            });
        }
    }

    /// Bytes in memory, on the heap and in place.
    pub fn memory_bytes(&self) -> usize {
        let records = self.records.iter().map(KeptRecord::heap_bytes).sum::<usize>();
        size_of::<Self>() + self.records.capacity() * size_of::<KeptRecord>() + records
    }
}

/// The stamp beyond which no record is among those wanted, as far as `counted` shows; `None` if all may be.
pub fn horizon<'k>(counted: impl Iterator<Item = &'k Kept>) -> Option<i64> {
    let mut keep = None;
    let mut stamps: Vec<i64> = Vec::new();
    for kept in counted {
        keep = Some(kept.keep);
        stamps.extend(kept.records.iter().map(|record| record.timestamp_nanos));
    }
    let Keep { limit, end } = keep?;
    let limit = usize::from(limit);
    if limit == 0 || stamps.len() <= limit {
        return None;
    }
    let (_, stamp, _) = match end {
        End::First => stamps.select_nth_unstable(limit - 1),
        End::Last => stamps.select_nth_unstable_by(limit - 1, |a, b| b.cmp(a)),
    };
    Some(*stamp)
}

/// Drops what is beyond a horizon; records of its very stamp stay, however many: another host's may be left out yet.
pub fn drop_beyond<'k>(kept: impl Iterator<Item = &'k mut Kept>, horizon_nanos: i64) {
    kept.for_each(|kept| kept.drop_beyond(horizon_nanos));
}

/// Of all of these together, keeps no more than of each.
pub fn bound(kept: &mut [&mut Kept]) {
    if let Some(horizon) = horizon(kept.iter().map(|kept| &**kept)) {
        drop_beyond(kept.iter_mut().map(|kept| &mut **kept), horizon);
    }
}

/// The first bytes of a text, and whether that is not all of it. A character is not cut in two.
pub fn cut(text: &[u8]) -> (Vec<u8>, bool) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() <= TEXT_BYTES_MAX {
        return (text.to_vec(), false);
    }
    let is_inside = |at: &usize| text[*at] & 0b1100_0000 == 0b1000_0000;
    // A character has at most four bytes; where that is no end of one, it is no UTF-8.
    let end = (TEXT_BYTES_MAX - 3..=TEXT_BYTES_MAX).rev().find(|at| !is_inside(at));
    (text[..end.unwrap_or(TEXT_BYTES_MAX)].to_vec(), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(stamp: i64, offset: u64) -> Position<'static> {
        Position {
            timestamp_nanos: stamp,
            host: b"h",
            path: b"/a.log",
            generation: 1,
            offset,
        }
    }

    fn kept(keep: Keep, stamps: &[i64], first_offset: u64) -> Kept {
        let mut kept = Kept::new(keep);
        for (index, stamp) in stamps.iter().enumerate() {
            kept.add(position(*stamp, first_offset + index as u64), 1, || cut(b"x\n"));
        }
        kept
    }

    fn shown(kept: &Kept) -> Vec<(i64, u64)> {
        let records = kept.shown();
        records
            .iter()
            .map(|record| (record.timestamp_nanos, record.offset))
            .collect()
    }

    fn ends() -> impl Strategy<Value = End> {
        prop_oneof![Just(End::First), Just(End::Last)]
    }

    proptest! {
        /// Whatever is trimmed, and however it is merged: what is shown is a beginning of what would be, and all of it
        /// if every window counts that the trimming counted on.
        #[test]
        fn what_is_shown_is_the_beginning_of_what_there_is(
            windows in prop::collection::vec(prop::collection::vec(0..50_i64, 0..12), 1..6),
            limit in 1..8_u16,
            end in ends(),
            counts in prop::collection::vec(any::<bool>(), 6),
        ) {
            let keep = Keep { limit, end };
            let mut states: Vec<Kept> = Vec::new();
            let mut truth: Vec<(usize, (i64, u64))> = Vec::new();
            for (index, stamps) in windows.iter().enumerate() {
                // Windows follow each other.
                let stamps: Vec<i64> = stamps.iter().map(|stamp| index as i64 * 50 + stamp).collect();
                let first = 100 * index as u64;
                truth.extend(stamps.iter().enumerate().map(|(n, stamp)| (index, (*stamp, first + n as u64))));
                states.push(kept(keep, &stamps, 100 * index as u64));
            }
            bound(&mut states.iter_mut().collect::<Vec<_>>());
            for all in [true, false] {
                let is_in = |index: usize| all || counts[index];
                let mut merged = Kept::new(keep);
                let counted = states.iter().enumerate().rev().filter(|(index, _)| is_in(*index));
                counted.for_each(|(_, state)| merged.merge(state));
                let wanted = truth.iter().filter(|(index, _)| is_in(*index));
                let mut wanted: Vec<(i64, u64)> = wanted.map(|it| it.1).collect();
                wanted.sort_unstable();
                if end == End::Last {
                    wanted.reverse();
                }
                wanted.truncate(limit.into());
                let shown = shown(&merged);
                prop_assert!(wanted.starts_with(&shown), "{shown:?} of {wanted:?}");
                prop_assert!(!all || shown == wanted, "{shown:?} is not {wanted:?}");
            }
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut(b"a\tb\r\n"), (b"a\tb".to_vec(), false));
        let long = "ä".repeat(TEXT_BYTES_MAX);
        let (text, is_cut) = cut(format!("x{long}").as_bytes());
        assert_eq!((text.len(), is_cut), (TEXT_BYTES_MAX - 1, true));
        assert!(std::str::from_utf8(&text).is_ok());
        let (text, is_cut) = cut(&[0x80; TEXT_BYTES_MAX + 1]);
        assert_eq!((text.len(), is_cut), (TEXT_BYTES_MAX, true));
    }

    #[test]
    fn what_was_never_kept_is_refused() {
        let keep = Keep {
            limit: 2,
            end: End::First,
        };
        let good = kept(keep, &[1, 2, 3], 0);
        let sent = |kept: &Kept| rmp_serde::from_slice::<Kept>(&rmp_serde::to_vec(kept).expect("encodes"));
        assert_eq!(sent(&good).expect("as it was"), good);
        let mut bad = good.clone();
        bad.records.swap(0, 1);
        assert!(sent(&bad).is_err(), "in no order");
        let mut bad = good.clone();
        bad.keep.limit = 1;
        assert!(sent(&bad).is_err(), "too many");
        let mut bad = good;
        bad.records[0].text = vec![b'x'; TEXT_BYTES_MAX + 1];
        assert!(sent(&bad).is_err(), "too long");
    }
}
