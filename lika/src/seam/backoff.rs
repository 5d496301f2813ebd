//! How long to wait before trying again: exponential with jitter, so that many that failed together do not come back
//! together.

use std::time::Duration;

use super::Randomness;

/// Exponential backoff with "equal jitter" (Brooker, "Exponential Backoff And Jitter", AWS 2015): half of the wait is
/// fixed, so that a retry is never immediate, and half is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The greatest wait after the first failure.
    pub first: Duration,
    /// No wait is longer than this.
    pub longest: Duration,
}

impl Default for Backoff {
    /// 100 ms, doubled up to 10 s: a restarted peer is met again within its heartbeat deadline.
    fn default() -> Backoff {
        Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 = the first): in `[w/2, w)` with `w = first × 2^(failures−1)`,
    /// at most `longest`.
    pub fn wait(&self, failures: u32, randomness: &Randomness) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        randomness.duration_between(whole / 2, whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failures: u32, least_ms: u64, greatest_ms: u64) {
        let randomness = Randomness::seeded(u64::from(failures));
        let backoff = Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
        };
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let wait = backoff.wait(failures, &randomness);
            assert!(
                wait >= Duration::from_millis(least_ms) && wait < Duration::from_millis(greatest_ms),
                "{wait:?}"
            );
            seen.insert(wait);
        }
        assert!(seen.len() > 100, "the waits must be spread, these were {}", seen.len());
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        check(0, 50, 100);
        check(1, 50, 100);
        check(2, 100, 200);
        check(5, 800, 1600);
        check(8, 5_000, 10_000);
        check(u32::MAX, 5_000, 10_000);
    }
}
