//! Documents written with compare-and-swap, each version kept beside it.
//!
//! What is written was decided upon a snapshot. Each transaction compares that the documents it touches are still as
//! they were there, so that of two people who change one document at a time the second is told, and overwrites nothing.
//! As many documents go into one transaction as etcd takes; more take several, done in their order.

use crate::connection::Connection;
use crate::keys::Keys;
use etcd::{Client, Compared, Error, Outcome, TRANSACTION_BYTES_MAX, TRANSACTION_OPERATIONS_MAX, Transaction};
use serde::{Deserialize, Serialize};

/// Versions that are kept of a document.
pub const VERSIONS_MAX: u64 = 50;
/// Largest document: it is written twice in one request, as it is now and as a version.
pub const DOCUMENT_BYTES_MAX: usize = 600_000;

/// A document as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The revision at which it was last written.
    pub written_at: i64,
}

/// All documents as they were at one revision, by kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The revision.
    pub revision: i64,
    /// By kind and name.
    pub held: Vec<Held>,
}

impl Snapshot {
    /// A document.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Held> {
        let found = |held: &&Held| held.kind == kind && held.name == name;
        self.held.iter().find(found)
    }
}

/// What is done to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its text from now on; `None` to remove it.
    pub text: Option<String>,
    /// Where it comes from, for people: a file and a line.
    pub origin: String,
}

/// A version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts up from 1.
    #[serde(skip)]
    pub number: u64,
    /// When it was written, in nanoseconds since 1970, by the writer's clock.
    pub at_ns: i64,
    /// Who wrote it.
    pub who: String,
    /// Where it came from.
    pub origin: String,
    /// Its text; `None` where the document was removed.
    pub text: Option<String>,
}

/// A document that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its text in the snapshot.
    pub before: Option<String>,
    /// Its text now.
    pub now: Option<String>,
}

/// Why not everything was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// etcd gave no answer, or refused.
    #[error("{0}")]
    Etcd(#[from] Error),
    /// A document is too large.
    #[error(
        "the {kind} `{name}` has {bytes} bytes, and etcd is given {DOCUMENT_BYTES_MAX} at most; list hosts in files, \
         by `file_sd`"
    )]
    TooLarge {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Its size.
        bytes: usize,
    },
    /// Somebody else changed something meanwhile.
    #[error("somebody else changed {} of these documents meanwhile", .conflicts.len())]
    Conflict {
        /// What is not as it was.
        conflicts: Vec<Conflict>,
        /// How many edits were written by earlier transactions.
        written: usize,
    },
    /// Of several transactions one got no answer.
    #[error("{source}; of {of} documents the first {written} are written, and of the next it is not known")]
    Broke {
        /// How many edits are written.
        written: usize,
        /// Of how many.
        of: usize,
        /// What went wrong.
        source: Error,
    },
}

/// Reads all documents.
///
/// # Errors
/// If etcd does not answer.
pub async fn snapshot(client: &Client, keys: &Keys) -> Result<Snapshot, Error> {
    let listing = client.list(&keys.documents()).await?;
    let held = listing.found.into_iter().filter_map(|found| {
        let key = String::from_utf8(found.key).ok()?;
        let (kind, name) = keys.of_document(&key)?;
        Some(Held {
            kind: kind.to_owned(),
            name: name.to_owned(),
            text: String::from_utf8_lossy(&found.value).into_owned(),
            written_at: found.mod_revision,
        })
    });
    Ok(Snapshot {
        revision: listing.revision,
        held: held.collect(),
    })
}

/// The versions of a document, oldest first.
///
/// # Errors
/// If etcd does not answer.
pub async fn history(client: &Client, keys: &Keys, kind: &str, name: &str) -> Result<Vec<Version>, Error> {
    let listing = client.list(&keys.history(kind, name)).await?;
    let version = |found: etcd::KeyValue| {
        let number = Keys::of_version(std::str::from_utf8(&found.key).ok()?)?;
        let version: Version = serde_json::from_slice(&found.value).ok()?;
        Some(Version { number, ..version })
    };
    Ok(listing.found.into_iter().filter_map(version).collect())
}

/// Writes edits that were decided upon a snapshot, in their order; gives back in how many transactions.
///
/// # Errors
/// If not everything is known to be written; the error says what is.
pub async fn apply(
    connection: &Connection,
    snapshot: &Snapshot,
    edits: &[Edit],
    who: &str,
) -> Result<usize, ApplyError> {
    let mut prepared = Vec::new();
    for edit in edits {
        prepared.push(prepare(connection, snapshot, edit, who).await?);
    }
    let (mut written, mut transactions) = (0, 0);
    while written < prepared.len() {
        let (transaction, count) = fill(connection.keys(), &prepared[written..]);
        match connection.client().transact(transaction).await {
            Ok(Outcome::Done { .. }) => {}
            Ok(Outcome::Not { found }) => {
                let batch = prepared[written..written + count].iter();
                let conflicts = batch
                    .zip(found)
                    .filter_map(|(prepared, found)| prepared.conflict(found));
                let conflicts = conflicts.collect();
                return Err(ApplyError::Conflict { conflicts, written });
            }
            Err(source) => {
                let of = prepared.len();
                return Err(ApplyError::Broke { written, of, source });
            }
        }
        written += count;
        transactions += 1;
    }
    Ok(transactions)
}

/// An edit with what is known before it is made.
struct Prepared<'e> {
    edit: &'e Edit,
    before: Option<&'e Held>,
    /// The number of the version that it makes.
    number: u64,
    version: Vec<u8>,
}

async fn prepare<'e>(
    connection: &Connection,
    snapshot: &'e Snapshot,
    edit: &'e Edit,
    who: &str,
) -> Result<Prepared<'e>, ApplyError> {
    let (kind, name) = (edit.kind.clone(), edit.name.clone());
    let bytes = edit.text.as_ref().map_or(0, String::len);
    if bytes > DOCUMENT_BYTES_MAX {
        return Err(ApplyError::TooLarge { kind, name, bytes });
    }
    let prefix = connection.keys().history(&kind, &name);
    let newest = connection.client().last_key(&prefix).await?;
    let newest = newest.and_then(|key| Keys::of_version(&key)).unwrap_or(0);
    let version = Version {
        number: newest + 1,
        at_ns: connection.clock().wall().0,
        who: who.to_owned(),
        origin: edit.origin.clone(),
        text: edit.text.clone(),
    };
    Ok(Prepared {
        edit,
        before: snapshot.find(&kind, &name),
        number: version.number,
        version: serde_json::to_vec(&version).unwrap_or_default(),
    })
}

/// As many edits as one transaction takes, and how many these are: one at least.
fn fill(keys: &Keys, prepared: &[Prepared<'_>]) -> (Transaction, usize) {
    let mut all = prepared[0].added(keys, Transaction::default());
    let mut count = 1;
    for next in &prepared[1..] {
        let more = next.added(keys, all.clone());
        if more.operations() > TRANSACTION_OPERATIONS_MAX || more.bytes() > TRANSACTION_BYTES_MAX {
            break;
        }
        (all, count) = (more, count + 1);
    }
    (all, count)
}

impl Prepared<'_> {
    fn added(&self, keys: &Keys, transaction: Transaction) -> Transaction {
        let (kind, name) = (&self.edit.kind, &self.edit.name);
        let key = keys.document(kind, name);
        let version = keys.version(kind, name, self.number);
        let is_as_it_was = match self.before {
            Some(held) => Compared::WrittenAt(held.written_at),
            None => Compared::Absent,
        };
        let transaction = transaction
            .when(&key, is_as_it_was)
            .when(&version, Compared::Absent)
            .otherwise_get(&key)
            .put(&version, self.version.clone());
        let transaction = match &self.edit.text {
            Some(text) => transaction.put(&key, text.clone()),
            None => transaction.delete(&key),
        };
        match self.number.checked_sub(VERSIONS_MAX) {
            Some(oldest) if oldest > 0 => {
                let (first, end) = (keys.version(kind, name, 0), keys.version(kind, name, oldest + 1));
                transaction.delete_between(&first, &end)
            }
            _ => transaction,
        }
    }

    fn conflict(&self, found: Option<etcd::KeyValue>) -> Option<Conflict> {
        let now = found.as_ref().map(|found| found.mod_revision);
        if now == self.before.map(|held| held.written_at) {
            return None;
        }
        Some(Conflict {
            kind: self.edit.kind.clone(),
            name: self.edit.name.clone(),
            before: self.before.map(|held| held.text.clone()),
            now: found.map(|found| String::from_utf8_lossy(&found.value).into_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(number: usize, bytes: usize) -> Edit {
        Edit {
            kind: "app".to_owned(),
            name: format!("a{number}"),
            text: Some("x".repeat(bytes)),
            origin: String::new(),
        }
    }

    /// How many edits each transaction has.
    #[track_caller]
    fn check(count: usize, bytes: usize, expected: &[usize]) {
        let edits: Vec<Edit> = (0..count).map(|number| edit(number, bytes)).collect();
        let prepared: Vec<Prepared<'_>> = edits
            .iter()
            .map(|edit| Prepared {
                edit,
                before: None,
                number: VERSIONS_MAX + 1,
                version: edit.text.clone().unwrap_or_default().into_bytes(),
            })
            .collect();
        let keys = Keys::below("/sunfire/").expect("a prefix");
        let (mut rest, mut counts) = (&prepared[..], Vec::new());
        while !rest.is_empty() {
            let (transaction, count) = fill(&keys, rest);
            assert!(transaction.operations() <= TRANSACTION_OPERATIONS_MAX);
            assert!(transaction.bytes() <= TRANSACTION_BYTES_MAX);
            counts.push(count);
            rest = &rest[count..];
        }
        assert_eq!(counts, expected);
    }

    #[test]
    fn a_transaction_takes_as_much_as_etcd_does() {
        check(1, 10, &[1]);
        check(42, 10, &[42]);
        check(100, 10, &[42, 42, 16]);
        check(3, DOCUMENT_BYTES_MAX, &[1, 1, 1]);
        check(5, 300_000, &[2, 2, 1]);
    }
}
