//! Leading by a lease: one process holds a key that goes when its lease does.
//!
//! Whoever leads writes only in transactions that compare the revision at which that key was made ([`Term::write`]):
//! what a paused process sends when it wakes up is refused by etcd itself, whatever the process believes. Beside that
//! it stops by itself when its lease could have run out by its own clock ([`Term::leads`]), so that it tells nothing to
//! others either.

use crate::connection::Connection;
use etcd::{Change, Client, Compared, Error, KeyValue, Outcome, Transaction};
use lika::seam::{Backoff, Clock, Monotonic};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How long a leader's lease lasts. A standby leads as much later, and a second, after a leader was killed.
pub const LEASE_S: i64 = 8;
/// How often it is renewed: two members of etcd may fail to answer in time, and a third is still asked.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// So much before its lease may run out a leader stops deciding: clocks do not run alike.
const MARGIN: Duration = Duration::from_millis(500);
/// How a renewal is tried again.
const RENEW_RETRY: Duration = Duration::from_millis(250);
/// How often a standby looks anew, should the watch have missed something.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How a standby tries again while etcd does not answer.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(2),
};

/// Who leads, as it stands in etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Its name.
    pub node: String,
    /// Where it listens.
    pub address: String,
}

/// Why something was not written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// etcd gave no answer, or refused. What was to be written may or may not be.
    #[error("{0}")]
    Etcd(#[from] Error),
    /// Another process leads, or may lead at any moment.
    #[error("this process does not lead any more")]
    Deposed,
    /// What was there is not what was expected.
    #[error("{key} is not as it was left; another process writes below the same prefix")]
    Changed {
        /// Where.
        key: String,
    },
}

struct Shared {
    connection: Arc<Connection>,
    key: String,
    made_at: i64,
    lease: i64,
    /// Until when the lease lasts at least, by this process's monotonic clock.
    until_ns: AtomicU64,
    is_lost: AtomicBool,
    losing: Notify,
    renewing: std::sync::OnceLock<AbortHandle>,
}

/// The time for which a process leads. Cheap to clone.
#[derive(Clone)]
pub struct Term {
    shared: Arc<Shared>,
}

impl Term {
    /// Waits until this process leads. `says` hears who leads meanwhile, each time that it is another.
    pub async fn begin(connection: Arc<Connection>, me: Leader, says: impl Fn(&Leader) + Send + 'static) -> Term {
        let candidate = Candidate {
            client: connection.client().clone(),
            key: connection.keys().brain("leader"),
            value: serde_json::to_vec(&me).unwrap_or_default(),
        };
        let (mut failures, mut told) = (0, None);
        loop {
            match candidate.attempt(&mut told, &says).await {
                Ok(Some(won)) => return Term::of(connection, candidate.key, won),
                Ok(None) => failures = 0,
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(%error, "who leads is not known; it is tried again");
                    }
                    let wait = RETRY.wait(failures, connection.randomness());
                    connection.clock().sleep(wait).await;
                }
            }
        }
    }

    fn of(connection: Arc<Connection>, key: String, won: Won) -> Term {
        let shared = Arc::new(Shared {
            connection: Arc::clone(&connection),
            key,
            made_at: won.made_at,
            lease: won.lease,
            until_ns: AtomicU64::new(until_ns(won.asked_at, won.ttl_s)),
            is_lost: AtomicBool::new(false),
            losing: Notify::new(),
            renewing: std::sync::OnceLock::new(),
        });
        let renewal = renew(Arc::clone(&shared));
        let _first = shared.renewing.set(connection.spawn(renewal).abort_handle());
        Term { shared }
    }

    /// Whether this process may decide now. What it sends after that is still fenced by what it is sent to.
    pub fn leads(&self) -> bool {
        let now_ns = self.shared.connection.clock().monotonic().as_nanos();
        !self.shared.is_lost.load(Ordering::Acquire) && now_ns < self.shared.until_ns.load(Ordering::Acquire)
    }

    /// Resolves when the lease is gone: nothing brings this term back.
    pub async fn lost(&self) {
        loop {
            let notified = self.shared.losing.notified();
            if self.shared.is_lost.load(Ordering::Acquire) {
                return;
            }
            notified.await;
        }
    }

    /// The connection.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.shared.connection
    }

    /// The revision at which this term began; greater in every later one.
    pub fn began_at(&self) -> i64 {
        self.shared.made_at
    }

    /// Does a transaction only if this process leads still, and waits for that; gives back its revision. `key` is what
    /// it is about, for people.
    ///
    /// # Errors
    /// If it is not known to be done.
    pub fn write(&self, key: &str, transaction: Transaction) -> Result<i64, WriteError> {
        let shared = &self.shared;
        let fenced = transaction
            .when(&shared.key, Compared::MadeAt(shared.made_at))
            .otherwise_get(&shared.key);
        let client = shared.connection.client().clone();
        let outcome = shared.connection.call(async move { client.transact(fenced).await })?;
        let found = match outcome {
            Outcome::Done { revision } => return Ok(revision),
            Outcome::Not { found } => found,
        };
        let leader = found.into_iter().next_back().flatten();
        if leader.is_some_and(|leader| leader.create_revision == shared.made_at) {
            return Err(WriteError::Changed { key: key.to_owned() });
        }
        shared.lose();
        Err(WriteError::Deposed)
    }

    /// Ends the term in order, so that another process leads at once.
    pub async fn resign(self) {
        if let Some(renewing) = self.shared.renewing.get() {
            renewing.abort();
        }
        self.shared.lose();
        let (client, lease) = (self.shared.connection.client().clone(), self.shared.lease);
        let revoked = self.shared.connection.spawn(async move { client.revoke(lease).await });
        if let Ok(Err(error)) = revoked.await {
            tracing::info!(%error, "the lease was not given back; it runs out");
        }
    }
}

impl Shared {
    fn lose(&self) {
        self.is_lost.store(true, Ordering::Release);
        self.losing.notify_waiters();
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        // The renewal holds the last but one.
        if Arc::strong_count(&self.shared) <= 2
            && let Some(renewing) = self.shared.renewing.get()
        {
            renewing.abort();
        }
    }
}

async fn renew(shared: Arc<Shared>) {
    let (client, clock) = (shared.connection.client().clone(), shared.connection.clock().clone());
    let mut failures = 0;
    loop {
        let asked_at = clock.monotonic();
        let wait = match client.keep_alive(shared.lease).await {
            Ok(ttl_s) => {
                failures = 0;
                shared.until_ns.store(until_ns(asked_at, ttl_s), Ordering::Release);
                RENEW_EVERY
            }
            Err(Error::LeaseGone) => {
                tracing::warn!("the lease is gone: another process may lead");
                return shared.lose();
            }
            Err(error) => {
                failures += 1;
                // Said once, not four times a second.
                if failures == 1 {
                    tracing::warn!(%error, "the lease was not renewed; it is tried again");
                }
                RENEW_RETRY
            }
        };
        clock.sleep(wait).await;
    }
}

/// Until when a lease lasts at least that was asked for at a time: etcd counts from when it heard.
fn until_ns(asked_at: Monotonic, ttl_s: i64) -> u64 {
    let lasts = Duration::from_secs(u64::try_from(ttl_s).unwrap_or(0)).saturating_sub(MARGIN);
    asked_at.after(lasts).as_nanos()
}

struct Won {
    made_at: i64,
    lease: i64,
    ttl_s: i64,
    asked_at: Monotonic,
}

struct Candidate {
    client: Client,
    key: String,
    value: Vec<u8>,
}

impl Candidate {
    /// Takes the lead if nobody has it, or waits until that may have changed.
    async fn attempt(&self, told: &mut Option<Leader>, says: &impl Fn(&Leader)) -> Result<Option<Won>, Error> {
        let (revision, found) = self.client.get(&self.key).await?;
        let Some(found) = found else {
            return self.stand().await;
        };
        let leader = leader_of(&found);
        if leader != *told {
            leader.iter().for_each(says);
            *told = leader;
        }
        let gone = self.gone(revision);
        match self.client.clock().timeout(LOOK_EVERY, gone).await {
            Ok(gone) => gone.map(|()| None),
            Err(_) => Ok(None),
        }
    }

    async fn stand(&self) -> Result<Option<Won>, Error> {
        let clock: &Clock = self.client.clock();
        let asked_at = clock.monotonic();
        let (lease, ttl_s) = self.client.grant(LEASE_S).await?;
        let transaction =
            Transaction::default()
                .when(&self.key, Compared::Absent)
                .put_leased(&self.key, self.value.clone(), lease);
        match self.client.transact(transaction).await {
            Ok(Outcome::Done { revision }) => Ok(Some(Won {
                made_at: revision,
                lease,
                ttl_s,
                asked_at,
            })),
            Ok(Outcome::Not { .. }) => {
                self.give_back(lease).await;
                Ok(None)
            }
            Err(error) => {
                // Perhaps it was won, and nobody would know: the key goes with the lease.
                self.give_back(lease).await;
                Err(error)
            }
        }
    }

    async fn give_back(&self, lease: i64) {
        if let Err(error) = self.client.revoke(lease).await {
            tracing::debug!(%error, "a lease was not given back; it runs out");
        }
    }

    /// Waits until the leader's key is removed.
    async fn gone(&self, revision: i64) -> Result<(), Error> {
        let mut watcher = self.client.watch(&self.key, revision + 1).await?;
        loop {
            let changes = match watcher.next().await {
                Ok(changes) => changes,
                Err(Error::Compacted { .. }) => return Ok(()),
                Err(error) => {
                    self.client.turn_away(watcher.endpoint());
                    return Err(error);
                }
            };
            let is_gone = |change: &Change| matches!(change, Change::Deleted(key) if *key == self.key.as_bytes());
            if changes.changes.iter().any(is_gone) {
                return Ok(());
            }
        }
    }
}

fn leader_of(found: &KeyValue) -> Option<Leader> {
    serde_json::from_slice(&found.value).ok()
}
