//! Neither too fast nor too slow: a shared ceiling of bytes a second, and the patience with a slow other end.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::BulkSettings;
use crate::seam::{Clock, Monotonic};

/// A ceiling of bytes per second that all clones share, without bursts: each taking waits until those before it have
/// had their time.
#[derive(Debug, Clone)]
pub struct ByteRate {
    bytes_per_second: NonZeroU64,
    free_at: Arc<Mutex<Monotonic>>,
}

impl ByteRate {
    /// So many bytes per second.
    pub fn per_second(bytes_per_second: NonZeroU64) -> ByteRate {
        ByteRate {
            bytes_per_second,
            free_at: Arc::new(Mutex::new(Monotonic::from_nanos(0))),
        }
    }

    /// A chunk that takes about a tenth of a second, so that nobody is silent for long; at least 1.
    pub(crate) fn chunk_bytes(&self) -> u32 {
        u32::try_from(self.bytes_per_second.get() / 10)
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// Waits for the turn of so many bytes.
    pub(crate) async fn take(&self, bytes: u64, clock: &Clock) {
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
