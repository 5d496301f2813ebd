//! Neither too fast nor too slow: ceilings of bytes a second, and the patience with a slow other end.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::BulkSettings;
use crate::seam::{Clock, Monotonic};
use crate::wire::Peer;

/// A ceiling of bytes per second that all clones share, without bursts: each taking waits until those before it have
/// had their time.
#[derive(Debug, Clone)]
struct ByteRate {
    bytes_per_second: NonZeroU64,
    free_at: Arc<Mutex<Monotonic>>,
}

impl ByteRate {
    /// So many bytes per second.
    fn per_second(bytes_per_second: NonZeroU64) -> ByteRate {
        ByteRate {
            bytes_per_second,
            free_at: Arc::new(Mutex::new(Monotonic::from_nanos(0))),
        }
    }

    /// A chunk that takes about a tenth of a second, so that nobody is silent for long; at least 1.
    fn chunk_bytes(&self) -> u32 {
        u32::try_from(self.bytes_per_second.get() / 10)
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// Whether nobody would have to wait.
    fn is_idle(&self, now: Monotonic) -> bool {
        *self.free_at.lock().unwrap_or_else(PoisonError::into_inner) <= now
    }

    /// Waits for the turn of so many bytes.
    async fn take(&self, bytes: u64, clock: &Clock) {
        let now = clock.monotonic();
        let wait = {
            // A time has no invariant to break.
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*free_at).max(now);
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            *free_at = Monotonic::from_nanos(turn.as_nanos().saturating_add(nanos));
            turn.since(now)
        };
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }
}

/// What a server may send: to each peer, over all of its connections, and to all of them together. Clones share it.
///
/// Of a ceiling for all, every peer that wants bytes gets the same part, however many connections it has: one turn at a
/// time is all that a peer can wait for.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    per_peer: Option<NonZeroU64>,
    total: Option<ByteRate>,
    /// By role and name. The name is the peer's own claim; who knows the token and lies about it can take more than its
    /// part, never more than what is bounded for all together.
    peers: Arc<Mutex<HashMap<(String, String), PeerPace>>>,
}

/// What a server may send to one peer.
#[derive(Debug, Clone)]
pub struct PeerPace {
    own: Option<ByteRate>,
    total: Option<ByteRate>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Pace {
    /// So many bytes per second to each peer, and to all together; `None` for as fast as it goes.
    pub fn new(per_peer: Option<NonZeroU64>, total: Option<NonZeroU64>) -> Pace {
        Pace {
            per_peer,
            total: total.map(ByteRate::per_second),
            peers: Arc::default(),
        }
    }

    /// The pace of a peer, the same for all of its connections. It is kept for as long as somebody would have to wait
    /// for it, so that nobody gets more by connecting again.
    pub fn of(&self, peer: &Peer, now: Monotonic) -> PeerPace {
        // Each entry is whole by itself, whatever a panic elsewhere left undone.
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (peer.role.clone(), peer.node.clone());
        if let Some(known) = peers.get(&key) {
            return known.clone();
        }
        peers.retain(|_, pace| pace.is_in_use(now));
        let pace = PeerPace {
            own: self.per_peer.map(ByteRate::per_second),
            total: self.total.clone(),
            turn: Arc::default(),
        };
        peers.insert(key, pace.clone());
        pace
    }
}

impl PeerPace {
    fn is_in_use(&self, now: Monotonic) -> bool {
        Arc::strong_count(&self.turn) > 1 || self.own.as_ref().is_some_and(|own| !own.is_idle(now))
    }

    /// A chunk that takes about a tenth of a second of the narrower ceiling.
    pub(crate) fn chunk_bytes(&self) -> u32 {
        let rates = self.own.iter().chain(&self.total);
        rates.map(ByteRate::chunk_bytes).min().unwrap_or(u32::MAX)
    }

    /// Waits until so many bytes may be sent: first for the peer's own ceiling, so that who must wait for that one
    /// holds no place at the other.
    pub async fn take(&self, bytes: u64, clock: &Clock) {
        if let Some(own) = &self.own {
            own.take(bytes, clock).await;
        }
        if let Some(total) = &self.total {
            let _turn = self.turn.lock().await;
            total.take(bytes, clock).await;
        }
    }
}

/// The other end is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TooSlow {
    /// No byte got on.
    #[error("no byte got on for {} ms; the other end or the network is stuck", .0.as_millis())]
    Stalled(Duration),
    /// Bytes get on, but too few.
    #[error("only {bytes} bytes got on in {} ms; the other end or the network is too slow", .waited.as_millis())]
    Trickling {
        /// Bytes so far.
        bytes: u64,
        /// Time spent waiting for the other end.
        waited: Duration,
    },
}

/// What is left of the patience with the other end of a transfer. Only time spent waiting for it counts.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    stall: Duration,
    grace: Duration,
    bytes_per_second_min: u64,
    waited: Duration,
    bytes: u64,
}

impl Patience {
    pub(crate) fn new(settings: &BulkSettings) -> Patience {
        let BulkSettings {
            stall_deadline,
            slow_grace,
            bytes_per_second_min,
            ..
        } = settings;
        let (stall, grace, bytes_per_second_min) = (*stall_deadline, *slow_grace, *bytes_per_second_min);
        Patience {
            stall,
            grace,
            bytes_per_second_min,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// All the waiting that the bytes so far allow.
    fn allowed(&self) -> Duration {
        match self.bytes.saturating_mul(1000).checked_div(self.bytes_per_second_min) {
            Some(millis) => self.grace.saturating_add(Duration::from_millis(millis)),
            None => Duration::MAX,
        }
    }

    /// Bytes got on.
    pub(crate) fn moved(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Awaits the other end for as long as it may take.
    pub(crate) async fn wait<T>(&mut self, clock: &Clock, work: impl Future<Output = T>) -> Result<T, TooSlow> {
        let left = self.allowed().saturating_sub(self.waited);
        let trickling = TooSlow::Trickling {
            bytes: self.bytes,
            waited: self.waited.saturating_add(left),
        };
        let began = clock.monotonic();
        let done = clock.timeout(left.min(self.stall), work).await;
        self.waited = self.waited.saturating_add(clock.monotonic().since(began));
        done.map_err(|_| {
            if self.stall <= left {
                TooSlow::Stalled(self.stall)
            } else {
                trickling
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::WallNs;

    #[tokio::test(start_paused = true)]
    async fn the_ceiling_is_shared_and_has_no_bursts() {
        let clock = Clock::simulated(WallNs(0));
        let rate = ByteRate::per_second(NonZeroU64::new(1000).unwrap());
        assert_eq!(rate.chunk_bytes(), 100);
        clock.sleep(Duration::from_secs(100)).await;
        let began = clock.monotonic();
        let fetch = async || {
            let rate = rate.clone();
            for _ in 0..50 {
                rate.take(100, &clock).await;
            }
        };
        tokio::join!(fetch(), fetch());
        // 10 000 bytes, the last 100 of which do not wait for themselves.
        let took = clock.monotonic().since(began);
        assert!((9_850..=9_950).contains(&took.as_millis()), "{took:?}");
    }

    fn peer(node: &str) -> Peer {
        Peer {
            role: "map".to_owned(),
            node: node.to_owned(),
            address: String::new(),
            version: 1,
        }
    }

    /// What each of some connections, given by the names of their peers, was allowed in `seconds` of the clock. None
    /// ever pauses by itself.
    async fn allowed(pace: &Pace, connections: &[&str], seconds: u64) -> Vec<u64> {
        let clock = Clock::simulated(WallNs(0));
        let deadline = clock.deadline_in(Duration::from_secs(seconds));
        let counted: Vec<_> = connections.iter().map(|_| std::cell::Cell::new(0)).collect();
        let asking = connections.iter().zip(&counted).map(|(node, counted)| {
            let (pace, clock) = (pace.of(&peer(node), clock.monotonic()), clock.clone());
            async move {
                loop {
                    pace.take(100, &clock).await;
                    counted.set(counted.get() + 100);
                    if clock.has_passed(deadline) {
                        return;
                    }
                }
            }
        });
        let all: Vec<_> = asking.map(Box::pin).collect();
        for_all(all).await;
        counted.iter().map(std::cell::Cell::get).collect()
    }

    /// Runs all of them side by side to their ends.
    async fn for_all(mut all: Vec<std::pin::Pin<Box<impl Future<Output = ()>>>>) {
        std::future::poll_fn(|context| {
            all.retain_mut(|one| one.as_mut().poll(context).is_pending());
            match all.is_empty() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }

    #[track_caller]
    fn near(counted: u64, expected: u64) {
        assert!(
            (expected..=expected + 500).contains(&counted),
            "{counted} of {expected}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_held_to_its_rate_whatever_it_opens_and_another_is_not_hurt() {
        let rate = |rate| Some(NonZeroU64::new(rate).unwrap());
        let counted = allowed(&Pace::new(rate(1000), None), &["wild", "wild", "wild", "calm"], 100).await;
        near(counted[..3].iter().sum(), 100_000);
        near(counted[3], 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ceiling_for_all_is_shared_by_peers_and_not_by_connections() {
        let rate = |rate| Some(NonZeroU64::new(rate).unwrap());
        let counted = allowed(&Pace::new(None, rate(1000)), &["wild", "wild", "wild", "calm"], 100).await;
        near(counted.iter().sum(), 100_000);
        near(counted[3], 50_000);
        // Both ceilings hold, and what one peer may not take is the others'.
        let counted = allowed(&Pace::new(rate(600), rate(1000)), &["one", "two", "two"], 100).await;
        near(counted.iter().sum(), 100_000);
        near(counted[0], 50_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_outlives_its_connection_for_as_long_as_it_says_something() {
        let clock = Clock::simulated(WallNs(0));
        let pace = Pace::new(Some(NonZeroU64::new(100).unwrap()), None);
        let again = async |count: u32| {
            let began = clock.monotonic();
            for _ in 0..count {
                pace.of(&peer("again"), clock.monotonic()).take(100, &clock).await;
                let _another = pace.of(&peer("other"), clock.monotonic());
            }
            clock.monotonic().since(began)
        };
        assert_eq!(again(11).await, Duration::from_secs(10));
        clock.sleep(Duration::from_secs(60)).await;
        let _third = pace.of(&peer("third"), clock.monotonic());
        assert_eq!(
            pace.peers.lock().unwrap().len(),
            1,
            "who could not be held is forgotten"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_by_stall_or_by_trickle() {
        let clock = Clock::simulated(WallNs(0));
        let mut patience = Patience::new(&BulkSettings::default());
        let never = patience.wait(&clock, std::future::pending::<()>()).await;
        assert_eq!(never, Err(TooSlow::Stalled(Duration::from_secs(9))));
        let mut patience = Patience::new(&BulkSettings::default());
        let mut seconds = 0;
        let slow = loop {
            match patience.wait(&clock, clock.sleep(Duration::from_secs(1))).await {
                Ok(()) => patience.moved(1),
                Err(slow) => break slow,
            }
            seconds += 1;
        };
        assert!(
            seconds <= 10 && matches!(slow, TooSlow::Trickling { bytes: 9..=10, .. }),
            "{seconds} {slow:?}"
        );
        let mut patience = Patience::new(&BulkSettings::default());
        for _ in 0..1000 {
            patience
                .wait(&clock, clock.sleep(Duration::from_secs(1)))
                .await
                .unwrap();
            patience.moved(1024);
        }
    }
}
