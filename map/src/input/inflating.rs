//! Inflating one compressed generation, and what its bytes are counted into.

use super::Turn;
use super::archive::Archive;
use super::pull::SAMPLES_MAX;
use super::reading::Reading;
use super::usage::CpuClock;
use agent::content::{fingerprint_of, tail_hash_of};
use agent::protocol::{FINGERPRINT_BYTES, Fingerprint, RangeEnd, TAIL_BYTES, TailHash};
use inflate::{Caps, Fault, Inflater, Outcome};
use logline::stamp::SAMPLE_BYTES;
use std::ops::Range;

/// Inflated bytes that are counted at once: as many as of a plain file, so that the same is learned of the same bytes.
const CHUNK_BYTES: usize = 1 << 20;
/// Inflated bytes in which stamps are sought before a file is called unstamped: as many as of a plain file.
const HEAD_BYTES_MAX: usize = SAMPLES_MAX as usize * SAMPLE_BYTES;

/// A compressed generation that is being read.
pub(super) struct Inflating {
    inflater: Inflater,
    /// Compressed bytes before this were fetched and verified.
    fetched: u64,
    /// Of the compressed bytes.
    fingerprint: Fingerprint,
    /// The last compressed bytes that were fetched, at most [`TAIL_BYTES`].
    tail: Vec<u8>,
    /// Inflated bytes that nobody has taken yet.
    pub(super) chunk: Vec<u8>,
    /// Offset of their first.
    pub(super) chunk_from: u64,
    /// Those before them.
    previous: Vec<u8>,
    /// The first inflated bytes, as many as a fingerprint covers.
    pub(super) head: Vec<u8>,
    pub(super) target: Target,
    /// The loss that the going of a file meant that begins so, if nothing was learned of that.
    pub(super) gone: Option<u64>,
    /// What the bytes before an offset must be for the target to be right, until they are seen.
    expected: Option<TailHash>,
    /// Bytes of a full chunk.
    chunk_bytes: usize,
    /// Given back when this is done, or given up.
    _turn: Turn,
}

/// What is done with the bytes.
pub(super) enum Target {
    /// They are looked at for stamps.
    Head {
        /// Why the first of them had none.
        why: Option<String>,
    },
    /// They are counted.
    Reading {
        reading: Box<Reading>,
        /// Offset of the first byte that it has not taken: 0, or where the reading of a file that is gone ended.
        from: u64,
    },
}

/// Whether bytes before an offset were the expected ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    NotYet,
    Same,
    Others,
}

impl Inflating {
    pub(super) fn new(archive: &Archive, turn: Turn) -> Self {
        Self {
            inflater: Inflater::new(archive.kind, Caps::default()),
            fetched: 0,
            fingerprint: fingerprint_of(&[]),
            tail: Vec::new(),
            chunk: Vec::new(),
            chunk_from: 0,
            previous: Vec::new(),
            head: Vec::new(),
            target: Target::Head { why: None },
            gone: None,
            expected: None,
            chunk_bytes: CHUNK_BYTES,
            _turn: turn,
        }
    }

    /// The same from the beginning, counted into a reading that begins there.
    pub(super) fn restart(&mut self, archive: &Archive, reading: Box<Reading>) {
        self.inflater = Inflater::new(archive.kind, Caps::default());
        (self.fetched, self.chunk_from) = (0, 0);
        self.fingerprint = fingerprint_of(&[]);
        self.tail.clear();
        self.chunk.clear();
        self.previous.clear();
        self.target = Target::Reading { reading, from: 0 };
    }

    /// Goes on with the reading of a file that is gone, whose last bytes must be found here.
    pub(super) fn resume(&mut self, reading: Box<Reading>, at: TailHash) {
        self.target = Target::Reading {
            reading,
            from: at.offset,
        };
        self.expected = Some(at);
    }

    /// The next compressed bytes to be fetched: what they must follow, and where they begin.
    pub(super) fn next(&self) -> (Fingerprint, Option<TailHash>, u64) {
        let tail = (self.fetched > 0).then(|| tail_hash_of(self.fetched, &self.tail));
        (self.fingerprint, tail, self.fetched)
    }

    /// Takes compressed bytes that came; whether they are what the trailer says the file holds.
    pub(super) fn take(&mut self, bytes: &[u8], end: &RangeEnd) -> bool {
        let tail = match bytes.len().checked_sub(TAIL_BYTES) {
            Some(from) => bytes[from..].to_vec(),
            None => {
                let keep = self.tail.len().min(TAIL_BYTES - bytes.len());
                [&self.tail[self.tail.len() - keep..], bytes].concat()
            }
        };
        let after = self.fetched + bytes.len() as u64;
        if end.tail_after != Some(tail_hash_of(after, &tail)) {
            return false;
        }
        if self.fetched == 0 {
            self.fingerprint = fingerprint_of(bytes);
        }
        (self.tail, self.fetched) = (tail, after);
        self.inflater.feed(bytes);
        true
    }

    /// Inflates what came, up to a full chunk; whether it is one.
    pub(super) fn fill(&mut self) -> Result<bool, Fault> {
        let mut filled = self.chunk.len();
        self.chunk.resize(self.chunk_bytes.max(filled), 0);
        let mut result = Ok(true);
        while filled < self.chunk_bytes {
            match self.inflater.read(&mut self.chunk[filled..]) {
                Ok(0) => {
                    result = Ok(false);
                    break;
                }
                Ok(count) => filled += count,
                Err(fault) => {
                    result = Err(fault);
                    break;
                }
            }
        }
        self.chunk.truncate(filled);
        if self.chunk_from == 0 {
            self.head = self.chunk[..self.chunk.len().min(FINGERPRINT_BYTES)].to_vec();
        }
        result
    }

    /// More of the head is needed to find stamps in it; whether there may be more.
    pub(super) fn wants_more_head(&mut self) -> bool {
        self.chunk_bytes = HEAD_BYTES_MAX;
        self.chunk.len() < HEAD_BYTES_MAX
    }

    /// The chunk is done with.
    pub(super) fn pass(&mut self) {
        self.chunk_bytes = CHUNK_BYTES;
        self.chunk_from += self.chunk.len() as u64;
        self.previous = std::mem::take(&mut self.chunk);
    }

    /// What the file is, if it ends here.
    pub(super) fn outcome(&self) -> Outcome {
        self.inflater.outcome()
    }

    /// Inflated bytes so far.
    pub(super) fn inflated(&self) -> u64 {
        self.chunk_from + self.chunk.len() as u64
    }

    /// Whether another file begins with the same bytes: `of` is a hash of its first.
    pub(super) fn begins_as(&self, of: Fingerprint) -> Seen {
        debug_assert_eq!(self.chunk_from, 0, "the head is at hand only while it is looked at");
        match self.chunk.get(..of.length as usize) {
            None => Seen::NotYet,
            Some(head) if !head.is_empty() && fingerprint_of(head) == of => Seen::Same,
            Some(_) => Seen::Others,
        }
    }

    /// Whether the bytes before an offset in the chunk are those of a hash.
    fn follows(&self, at: TailHash) -> Seen {
        if at.offset > self.inflated() {
            return Seen::NotYet;
        }
        let within = usize::try_from(at.offset.saturating_sub(self.chunk_from)).unwrap_or(usize::MAX);
        let before = match within.checked_sub(TAIL_BYTES) {
            Some(from) => self.chunk[from..within].to_vec(),
            None => [&self.previous, &self.chunk[..within]].concat(),
        };
        match tail_hash_of(at.offset, &before) == at {
            true => Seen::Same,
            false => Seen::Others,
        }
    }

    /// Gives the chunk to the reading; how many records were committed, or `None` if these are other bytes than those
    /// that were read before.
    pub(super) fn count(&mut self, cpu: CpuClock) -> Option<u64> {
        if let Some(at) = self.expected {
            match self.follows(at) {
                Seen::NotYet => {}
                Seen::Same => self.expected = None,
                Seen::Others => return None,
            }
        }
        let Target::Reading { reading, from } = &mut self.target else {
            return Some(0);
        };
        let known = usize::try_from(from.saturating_sub(self.chunk_from)).unwrap_or(usize::MAX);
        let new = &self.chunk[known.min(self.chunk.len())..];
        if new.is_empty() {
            Some(0)
        } else {
            Some(reading.take(new, cpu))
        }
    }

    /// Whether these are the first bytes of what was read, and fewer.
    pub(super) fn is_shorter_copy(&self, reading: &Reading) -> bool {
        self.inflated() <= reading.read_to() && reading.begins_like(&self.head)
    }

    /// Whether the last bytes of a file that is gone were to be found here, and were not.
    pub(super) fn is_another(&self) -> bool {
        self.expected.is_some()
    }

    /// A long stretch without stamps that the reading has just met, and the sample by which a new format is sought.
    pub(super) fn barren(&mut self, at_least: u64) -> Option<(Range<u64>, Vec<u8>)> {
        let Target::Reading { reading, .. } = &mut self.target else {
            return None;
        };
        let barren = reading
            .barren(at_least)
            .filter(|barren| barren.start >= reading.searched_to)?;
        reading.searched_to = barren.end;
        let from = self.chunk_from - self.previous.len() as u64;
        let begin = usize::try_from(barren.start.checked_sub(from)?).ok()?;
        let at_hand = self.previous.iter().chain(&self.chunk);
        let sample = at_hand.skip(begin).take(SAMPLE_BYTES).copied().collect();
        Some((barren, sample))
    }

    /// The reading that the bytes went to, verified or not.
    pub(super) fn reading_mut(&mut self) -> Option<&mut Reading> {
        match &mut self.target {
            Target::Head { .. } => None,
            Target::Reading { reading, .. } => Some(reading),
        }
    }

    /// The same, to look at.
    pub(super) fn reading(&self) -> Option<&Reading> {
        match &self.target {
            Target::Head { .. } => None,
            Target::Reading { reading, .. } => Some(reading),
        }
    }
}
