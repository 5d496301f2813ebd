//! How far a file was received, and the bytes before that place, by which the agent's trailers are verified (F6).

use agent::content::tail_hash_of;
use agent::protocol::{RangeEnd, RangeOutcome, TAIL_BYTES, TailHash};

/// Bytes of a file up to a place, of which the last are remembered.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// Bytes before this were received and verified.
    read_to: u64,
    /// The last bytes before `read_to`, at most [`TAIL_BYTES`].
    tail: Vec<u8>,
}

impl Received {
    /// Nothing yet of the bytes from an offset on.
    pub(super) fn from(offset: u64) -> Self {
        Self {
            read_to: offset,
            tail: Vec::new(),
        }
    }

    /// Where the next byte is to come from.
    pub(super) fn read_to(&self) -> u64 {
        self.read_to
    }

    /// What stands before [`Received::read_to`], if that is known whole.
    pub(super) fn tail_hash(&self) -> Option<TailHash> {
        let is_whole = self.tail.len() as u64 >= self.read_to.min(TAIL_BYTES as u64);
        is_whole.then(|| tail_hash_of(self.read_to, &self.tail))
    }

    /// The same, once these bytes are taken.
    pub(super) fn tail_hash_with(&self, bytes: &[u8]) -> Option<TailHash> {
        let mut after = self.clone();
        after.take(bytes);
        after.tail_hash()
    }

    fn tail_with(&self, bytes: &[u8]) -> Vec<u8> {
        if let Some(from) = bytes.len().checked_sub(TAIL_BYTES) {
            return bytes[from..].to_vec();
        }
        let keep = self.tail.len().min(TAIL_BYTES - bytes.len());
        [&self.tail[self.tail.len() - keep..], bytes].concat()
    }

    /// Whether bytes that came are what the trailer says the file holds.
    pub(super) fn verifies(&self, bytes: &[u8], end: &RangeEnd) -> bool {
        let after = self.read_to + bytes.len() as u64;
        let tail = self.tail_with(bytes);
        let is_whole = tail.len() as u64 >= after.min(TAIL_BYTES as u64);
        let same_tail = match end.tail_after {
            Some(hash) => !is_whole || hash == tail_hash_of(after, &tail),
            None => false,
        };
        end.outcome == RangeOutcome::Unchanged && end.sent == bytes.len() as u64 && same_tail
    }

    /// Takes verified bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.tail = self.tail_with(bytes);
        self.read_to += bytes.len() as u64;
    }
}
