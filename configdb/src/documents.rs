//! Documents as they are followed: a snapshot at a revision, and all that happens from the next one on.
//!
//! What was read last stays in force while etcd can't be reached; the watch then goes on where it was. If etcd has
//! compacted that revision meanwhile, or was put back to an earlier state, a new snapshot takes its place.

use crate::connection::Connection;
use crate::keys::Keys;
use configs::{Diagnostic, Documents, Placed, Poll, Texts, Wholeness};
use etcd::{Change, Changes, Client, Error, KeyValue, Listing};
use lika::seam::{Backoff, Randomness};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How etcd is tried again; short, since a change of its leader is over within two seconds.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(3),
};
/// Failures in a row from which on people are told: a change of etcd's leader is none of their troubles.
const FAILURES_TOLD: u32 = 4;

/// The documents of an etcd, followed on its thread until this is dropped.
pub struct EtcdDocuments {
    what: String,
    keys: Keys,
    root: PathBuf,
    texts: Texts,
    wholeness: Wholeness,
    feed: Feed,
    following: AbortHandle,
    /// Its thread.
    _connection: Arc<Connection>,
}

/// What was read, and what of it nobody has looked at yet.
#[derive(Default)]
struct Read {
    /// By key, as at [`Read::revision`].
    current: BTreeMap<String, String>,
    /// Keys that changed since they were looked at.
    changed: BTreeSet<String>,
    /// All that happened up to here is in `current`; `None` if a snapshot has to be read.
    revision: Option<i64>,
    /// Whether one ever was.
    is_loaded: bool,
    /// What keeps it from being followed.
    trouble: Option<String>,
    /// Keys that hold no text.
    unreadable: BTreeSet<String>,
}

#[derive(Clone, Default)]
struct Feed(Arc<Mutex<Read>>);

impl Feed {
    fn look(&self) -> MutexGuard<'_, Read> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read {
    fn put(&mut self, found: KeyValue) {
        let Ok(key) = String::from_utf8(found.key) else { return };
        match String::from_utf8(found.value) {
            Ok(text) => {
                self.unreadable.remove(&key);
                self.current.insert(key.clone(), text);
                self.changed.insert(key);
            }
            // As with a file that is no text, what it said before stays in force.
            Err(_) => {
                self.unreadable.insert(key);
            }
        }
    }

    fn remove(&mut self, key: &str) {
        self.unreadable.remove(key);
        self.current.remove(key);
        self.changed.insert(key.to_owned());
    }

    fn replace(&mut self, Listing { revision, found }: Listing) {
        let listed: BTreeSet<&[u8]> = found.iter().map(|found| found.key.as_slice()).collect();
        let known = self.current.keys().chain(&self.unreadable);
        let gone: Vec<String> = known.filter(|key| !listed.contains(key.as_bytes())).cloned().collect();
        gone.iter().for_each(|key| self.remove(key));
        found.into_iter().for_each(|found| self.put(found));
        (self.revision, self.is_loaded) = (Some(revision), true);
    }

    fn apply(&mut self, Changes { revision, changes }: Changes) {
        for change in changes {
            match change {
                Change::Put(found) => self.put(found),
                Change::Deleted(key) => self.remove(&String::from_utf8_lossy(&key)),
            }
        }
        self.revision = Some(revision);
    }
}

impl EtcdDocuments {
    /// Begins to follow. `texts` are further documents that are always there; relative `file_sd` globs begin at `root`.
    pub fn follow(connection: &Arc<Connection>, root: &Path, texts: &[(String, String)]) -> EtcdDocuments {
        let feed = Feed::default();
        let follower = Follower {
            client: connection.client().clone(),
            prefix: connection.keys().documents(),
            feed: feed.clone(),
            randomness: connection.randomness().fork(),
        };
        EtcdDocuments {
            what: connection.told(),
            keys: connection.keys().clone(),
            root: root.to_owned(),
            texts: Texts::new(texts),
            wholeness: Wholeness::Partial,
            feed,
            following: connection.spawn(follower.run()).abort_handle(),
            _connection: Arc::clone(connection),
        }
    }

    fn troubles(read: &Read) -> Vec<(String, String)> {
        let mut troubles = Vec::new();
        if let Some(why) = &read.trouble {
            let message = match read.is_loaded {
                true => "cannot be reached; what was read last stays in force".to_owned(),
                false => "cannot be reached, and nothing was read yet".to_owned(),
            };
            tracing::debug!(%why, "etcd cannot be reached");
            troubles.push((message, "start it, or mend the way to it; it is tried again".to_owned()));
        }
        for key in &read.unreadable {
            let hint = "write documents by `sunfire apply`".to_owned();
            troubles.push((format!("{key} is not UTF-8; what it said before stays in force"), hint));
        }
        troubles
    }
}

impl Drop for EtcdDocuments {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Documents for EtcdDocuments {
    fn poll(&mut self) -> Poll {
        let mut read = self.feed.look();
        for key in std::mem::take(&mut read.changed) {
            let Some((kind, name)) = self.keys.of_document(&key) else {
                continue;
            };
            match read.current.get(&key) {
                Some(text) => self.texts.put(&key, (kind, name), text.clone()),
                None => self.texts.remove(&key),
            }
        }
        self.texts.troubled(&self.what, &EtcdDocuments::troubles(&read));
        let is_all_read = read.is_loaded && read.unreadable.is_empty();
        drop(read);
        let wholeness = match is_all_read {
            true => self.texts.wholeness(),
            false => Wholeness::Partial,
        };
        let before = std::mem::replace(&mut self.wholeness, wholeness);
        self.texts.gather().or(Poll::changed_if(before != wholeness))
    }

    fn documents(&self) -> &[Placed] {
        self.texts.documents()
    }

    fn mistakes(&self) -> &[Diagnostic] {
        self.texts.mistakes()
    }

    fn wholeness(&self) -> Wholeness {
        self.wholeness
    }

    fn root(&self) -> &Path {
        &self.root
    }
}

/// What reads and watches.
struct Follower {
    client: Client,
    prefix: String,
    feed: Feed,
    randomness: Randomness,
}

impl Follower {
    async fn run(self) {
        let mut failures = 0;
        loop {
            let Err(error) = self.follow(&mut failures).await;
            if let Error::Compacted { .. } = error {
                tracing::info!(%error, "the configuration is read anew");
                self.feed.look().revision = None;
            }
            failures += 1;
            if failures >= FAILURES_TOLD {
                self.feed.look().trouble = Some(error.to_string());
            }
            if let Error::Unreachable { endpoint, .. } = &error {
                self.client.turn_away(endpoint);
            }
            let wait = RETRY.wait(failures, &self.randomness);
            self.client.clock().sleep(wait).await;
        }
    }

    /// Follows until something goes wrong.
    async fn follow(&self, failures: &mut u32) -> Result<std::convert::Infallible, Error> {
        let (now, _) = self.client.get(&self.prefix).await?;
        let known = self.feed.look().revision;
        // An etcd that was put back to an earlier state would be silent until it comes by the revision again.
        let revision = match known.filter(|known| *known <= now) {
            Some(revision) => revision,
            None => {
                let listing = self.client.list(&self.prefix).await?;
                let revision = listing.revision;
                self.feed.look().replace(listing);
                revision
            }
        };
        let mut watcher = self.client.watch(&self.prefix, revision + 1).await?;
        loop {
            // The watch stands, or has brought something.
            *failures = 0;
            self.feed.look().trouble = None;
            let changes = watcher.next().await?;
            self.feed.look().apply(changes);
        }
    }
}
