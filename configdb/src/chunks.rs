//! Bytes that only grow, kept in etcd by whoever leads, each addition a key of its own.
//!
//! An addition that is larger than a request may be is cut in chunks; whoever reads takes them up to the last line's
//! end, so that an addition that broke off counts for nothing. To put other bytes in the place of all of them, these
//! are written beside, under the next generation, and one transaction turns to it.
//!
//! A request whose answer is lost may be done later, after its sender has gone on. So each addition compares that the
//! generation is what it was, each turn that nothing was added since, and whatever fails has all looked at again.

use crate::connection::Connection;
use crate::leadership::{Term, WriteError};
use etcd::{Compared, KeyValue, Transaction, prefix_end};
use std::sync::Arc;

/// Most bytes of a chunk: well below what etcd takes in a request (1.5 MiB).
const CHUNK_BYTES_MAX: usize = 512 << 10;

/// A log of bytes in etcd.
pub struct ChunkLog {
    term: Term,
    /// Which holds the generation's number; the chunks are below it.
    key: String,
    turned: Compared,
    at: At,
    /// Where the last turn leads, if it is not known whether it was made.
    turning: Option<At>,
    /// Whether there may be more than is known: the last write failed.
    is_in_doubt: bool,
}

/// How far a generation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct At {
    generation: u64,
    next: u64,
    bytes: u64,
}

impl ChunkLog {
    /// Reads a log, and cuts off what an addition left that broke off.
    ///
    /// # Errors
    /// If etcd does not answer, or this process does not lead.
    pub fn open(term: &Term, name: &str) -> Result<(ChunkLog, Vec<u8>), WriteError> {
        let mut log = ChunkLog {
            term: term.clone(),
            key: term.connection().keys().brain(name),
            turned: Compared::Absent,
            at: At::default(),
            turning: None,
            is_in_doubt: false,
        };
        log.look_at_generation()?;
        let chunks = log.chunks()?;
        let mut bytes: Vec<u8> = chunks.iter().flat_map(|chunk| &chunk.value).copied().collect();
        let good = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        log.at.bytes = good as u64;
        log.at.next = chunks.len() as u64;
        if good < bytes.len() {
            log.cut(&chunks, good)?;
            bytes.truncate(good);
        }
        Ok((log, bytes))
    }

    /// Where it is.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.at.bytes
    }

    /// Adds bytes; they last when this returns, and count for nothing if it fails.
    ///
    /// # Errors
    /// If they are not known to last.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.settle_doubt()?;
        self.is_in_doubt = true;
        let mut at = self.at;
        for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
            let key = self.chunk(at.generation, at.next);
            let transaction = Transaction::default()
                .when(&self.key, self.turned)
                .when(&key, Compared::Absent)
                .put(&key, chunk);
            self.term.write(&key, transaction)?;
            at.next += 1;
            at.bytes += chunk.len() as u64;
        }
        (self.at, self.is_in_doubt) = (at, false);
        Ok(())
    }

    /// Puts other bytes in the place of all of them, at once or not at all.
    ///
    /// # Errors
    /// If that is not known to be done.
    pub fn replace(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.settle_doubt()?;
        let mut to = At {
            generation: self.at.generation + 1,
            ..At::default()
        };
        // What an earlier attempt left there.
        self.delete_from(to)?;
        for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
            let key = self.chunk(to.generation, to.next);
            self.term.write(&key, Transaction::default().put(&key, chunk))?;
            to.next += 1;
            to.bytes += chunk.len() as u64;
        }
        let (first, next) = (
            self.chunk(self.at.generation, 0),
            self.chunk(self.at.generation, self.at.next),
        );
        let turn = Transaction::default()
            .when(&self.key, self.turned)
            .when(&next, Compared::Absent)
            .put(&self.key, to.generation.to_string())
            .delete_between(&first, &self.end(self.at.generation));
        (self.turning, self.is_in_doubt) = (Some(to), true);
        let revision = self.term.write(&self.key, turn)?;
        (self.at, self.turned) = (to, Compared::WrittenAt(revision));
        (self.turning, self.is_in_doubt) = (None, false);
        Ok(())
    }

    /// After a failure: finds out which generation is in force, and removes what is behind what counts.
    fn settle_doubt(&mut self) -> Result<(), WriteError> {
        if !self.is_in_doubt {
            return Ok(());
        }
        let before = self.at.generation;
        self.look_at_generation()?;
        match self.turning.take() {
            Some(to) if self.at.generation == to.generation => self.at = to,
            _ if self.at.generation == before => {}
            _ => {
                self.at.generation = before;
                return Err(WriteError::Changed { key: self.key.clone() });
            }
        }
        self.delete_from(self.at)?;
        self.is_in_doubt = false;
        Ok(())
    }

    fn look_at_generation(&mut self) -> Result<(), WriteError> {
        let (client, key) = (self.connection().client().clone(), self.key.clone());
        let (_, found) = self.connection().call(async move { client.get(&key).await })?;
        let Some(found) = found else {
            self.turned = Compared::Absent;
            return Ok(());
        };
        let number = std::str::from_utf8(&found.value)
            .ok()
            .and_then(|text| text.parse().ok());
        let Some(generation) = number else {
            return Err(WriteError::Changed { key: self.key.clone() });
        };
        self.at.generation = generation;
        self.turned = Compared::WrittenAt(found.mod_revision);
        Ok(())
    }

    fn chunks(&self) -> Result<Vec<KeyValue>, WriteError> {
        let (client, first) = (self.connection().client().clone(), self.chunk(self.at.generation, 0));
        let end = self.end(self.at.generation);
        let listing = self
            .connection()
            .call(async move { client.list_between(&first, &end).await })?;
        for (number, chunk) in (0..).zip(&listing.found) {
            let key = self.chunk(self.at.generation, number);
            if chunk.key != key.as_bytes() {
                return Err(WriteError::Changed { key });
            }
        }
        Ok(listing.found)
    }

    /// Removes what is behind the first `good` bytes.
    fn cut(&mut self, chunks: &[KeyValue], good: usize) -> Result<(), WriteError> {
        let (mut number, mut rest) = (0, good);
        while rest >= chunks[number].value.len() {
            rest -= chunks[number].value.len();
            number += 1;
        }
        self.at.next = number as u64;
        if rest > 0 {
            let key = self.chunk(self.at.generation, self.at.next);
            let shorter = chunks[number].value[..rest].to_vec();
            self.term.write(&key, Transaction::default().put(&key, shorter))?;
            self.at.next += 1;
        }
        self.delete_from(self.at)
    }

    fn delete_from(&self, at: At) -> Result<(), WriteError> {
        let first = self.chunk(at.generation, at.next);
        let transaction = Transaction::default().delete_between(&first, &self.end(at.generation));
        self.term.write(&first, transaction).map(|_| ())
    }

    fn chunk(&self, generation: u64, number: u64) -> String {
        format!("{}/{generation:08}/{number:010}", self.key)
    }

    fn end(&self, generation: u64) -> String {
        prefix_end(&format!("{}/{generation:08}/", self.key))
    }

    fn connection(&self) -> &Arc<Connection> {
        self.term.connection()
    }
}
