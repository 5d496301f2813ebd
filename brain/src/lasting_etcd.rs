//! What must last in etcd: each write of a leader compares that it still leads, so that a paused one that wakes up
//! writes nothing (M4).

use crate::epoch::DataError;
use crate::journal::JournalError;
use crate::lasting::{Lasting, Leading, Opened};
use crate::lines::Lines;
use configdb::{ChunkLog, Term, WriteError};
use etcd::{Compared, Transaction};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a leader keeps in etcd.
pub(crate) struct EtcdLasting {
    term: Term,
    epoch: u64,
}

impl EtcdLasting {
    /// Takes the next epoch.
    pub(crate) fn open(term: Term) -> Result<EtcdLasting, DataError> {
        let mut lasting = EtcdLasting { term, epoch: 0 };
        let key = PathBuf::from(lasting.key("epoch"));
        match lasting.take_epoch() {
            Ok(_) => Ok(lasting),
            Err(TakeError::NoEpoch(found)) => Err(DataError::NoEpoch { path: key, found }),
            Err(TakeError::Write(source)) => Err(failed("taking the epoch of", &key, source).into()),
        }
    }

    fn key(&self, name: &str) -> String {
        self.term.connection().keys().brain(name)
    }

    /// Reads it anew each time: an earlier attempt may have been done though its answer was lost.
    fn take_epoch(&mut self) -> Result<u64, TakeError> {
        let (connection, key) = (self.term.connection(), self.key("epoch"));
        let (client, asked) = (connection.client().clone(), key.clone());
        let got = connection.call(async move { client.get(&asked).await });
        let (_, found) = got.map_err(WriteError::from)?;
        let (stored, compared) = match &found {
            None => (0, Compared::Absent),
            Some(found) => {
                let text = String::from_utf8_lossy(&found.value).trim().to_owned();
                let stored: u64 = text.parse().map_err(|_| TakeError::NoEpoch(text))?;
                (stored, Compared::WrittenAt(found.mod_revision))
            }
        };
        let next = stored.max(self.epoch) + 1;
        let transaction = Transaction::default().when(&key, compared).put(&key, next.to_string());
        self.term.write(&key, transaction)?;
        self.epoch = next;
        Ok(next)
    }
}

enum TakeError {
    NoEpoch(String),
    Write(WriteError),
}

impl From<WriteError> for TakeError {
    fn from(error: WriteError) -> TakeError {
        TakeError::Write(error)
    }
}

fn failed(operation: &'static str, key: &Path, source: WriteError) -> JournalError {
    JournalError::Etcd {
        operation,
        key: key.to_owned(),
        source,
    }
}

impl Lasting for EtcdLasting {
    fn told(&self) -> String {
        self.term.connection().told()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn next_epoch(&mut self) -> Result<u64, JournalError> {
        let key = PathBuf::from(self.key("epoch"));
        self.take_epoch().map_err(|error| match error {
            TakeError::Write(source) => failed("taking the epoch of", &key, source),
            TakeError::NoEpoch(found) => JournalError::Damaged {
                path: key,
                line: 1,
                why: format!("`{found}` is no epoch"),
            },
        })
    }

    fn lines(&self, name: &str) -> Result<Opened, JournalError> {
        let key = PathBuf::from(self.key(name));
        let opened = ChunkLog::open(&self.term, name);
        let (log, bytes) = opened.map_err(|source| failed("reading", &key, source))?;
        Ok((Box::new(EtcdLines { key, log }), bytes))
    }

    fn note(&self, name: &str) -> Option<Vec<u8>> {
        let (connection, key) = (self.term.connection(), self.key(name));
        let client = connection.client().clone();
        let (_, found) = connection.call(async move { client.get(&key).await }).ok()?;
        Some(found?.value)
    }

    fn set_note(&self, name: &str, content: &[u8]) -> Result<(), JournalError> {
        let key = self.key(name);
        let written = self.term.write(&key, Transaction::default().put(&key, content));
        written
            .map(|_| ())
            .map_err(|source| failed("writing", Path::new(&key), source))
    }

    fn note_every(&self) -> Duration {
        // etcd keeps every version until it is compacted.
        Duration::from_secs(60)
    }

    fn leading(&self) -> Leading {
        Leading::Term(self.term.clone())
    }
}

struct EtcdLines {
    key: PathBuf,
    log: ChunkLog,
}

impl Lines for EtcdLines {
    fn name(&self) -> &Path {
        &self.key
    }

    fn bytes(&self) -> u64 {
        self.log.bytes()
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), JournalError> {
        let appended = self.log.append(lines);
        appended.map_err(|source| failed("appending to", &self.key, source))
    }

    fn rewrite(&mut self, lines: &[u8]) -> Result<(), JournalError> {
        let replaced = self.log.replace(lines);
        replaced.map_err(|source| failed("writing", &self.key, source))
    }
}
