//! The clock: wall time for what is shown and compared between hosts, monotonic time for every wait and deadline.
//!
//! Both clocks of a simulation follow tokio's own (`tokio::time::pause`, or a simulator's), so that a paused runtime
//! jumps over idle time; the wall clock of a simulation can be stepped besides, as those of real hosts are.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is the seam through which all others get the time"
)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Wall time, in nanoseconds since 1970-01-01T00:00:00Z; it may jump both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallNs(pub i64);

/// Monotonic time since the clock handle was made; it never goes back. Comparable only within one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// The nanoseconds since the clock was made (saturating after 584 years).
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The time from `earlier` to here, zero if `earlier` is later.
    pub fn since(self, earlier: Monotonic) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The time so much later (saturating after 584 years).
    pub fn after(self, passed: Duration) -> Monotonic {
        let passed = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
        Monotonic::from_nanos(self.as_nanos().saturating_add(passed))
    }

    /// The time of so many nanoseconds since the clock was made.
    pub fn from_nanos(nanos: u64) -> Monotonic {
        Monotonic(Duration::from_nanos(nanos))
    }
}

/// A moment of a clock's monotonic time at which patience ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(tokio::time::Instant);

/// The deadline passed before the awaited thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the deadline passed; allow more time or find out what is slow")]
pub struct Elapsed;

/// A handle to the time; cheap to clone, all clones tell the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<ClockShared>,
}

#[derive(Debug)]
struct ClockShared {
    born: tokio::time::Instant,
    wall: Wall,
}

#[derive(Debug)]
enum Wall {
    System,
    Simulated { start: WallNs, stepped_ns: AtomicI64 },
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Clock {
        Clock::with_wall(Wall::System)
    }

    /// A clock whose wall time starts at `start` and then follows tokio's (pausable) time. Needs no runtime to make.
    pub fn simulated(start: WallNs) -> Clock {
        let stepped_ns = AtomicI64::new(0);
        Clock::with_wall(Wall::Simulated { start, stepped_ns })
    }

    fn with_wall(wall: Wall) -> Clock {
        let born = tokio::time::Instant::now();
        Clock {
            shared: Arc::new(ClockShared { born, wall }),
        }
    }

    /// Wall time now.
    pub fn wall(&self) -> WallNs {
        match &self.shared.wall {
            Wall::System => {
                let now = SystemTime::now();
                let ns = match now.duration_since(UNIX_EPOCH) {
                    Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
                    Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
                };
                WallNs(ns)
            }
            Wall::Simulated { start, stepped_ns } => {
                let run_ns = i64::try_from(self.shared.born.elapsed().as_nanos()).unwrap_or(i64::MAX);
                let ns = start.0.saturating_add(run_ns);
                WallNs(ns.saturating_add(stepped_ns.load(Ordering::Relaxed)))
            }
        }
    }

    /// Steps the wall clock of a simulation by `step_ns` (negative: back), as an operator or NTP does; the monotonic
    /// clock is not touched. Returns false, and does nothing, on the clock of the machine.
    pub fn step_wall(&self, step_ns: i64) -> bool {
        match &self.shared.wall {
            Wall::System => false,
            Wall::Simulated { stepped_ns, .. } => {
                stepped_ns.fetch_add(step_ns, Ordering::Relaxed);
                true
            }
        }
    }

    /// Monotonic time now.
    pub fn monotonic(&self) -> Monotonic {
        Monotonic(self.shared.born.elapsed())
    }

    /// The deadline `patience` from now; at most 30 years ahead, which stands for "never".
    pub fn deadline_in(&self, patience: Duration) -> Deadline {
        const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);
        Deadline(tokio::time::Instant::now() + patience.min(NEVER))
    }

    /// The time left until a deadline, zero once it has passed.
    pub fn remaining(&self, deadline: Deadline) -> Duration {
        deadline.0.saturating_duration_since(tokio::time::Instant::now())
    }

    /// Whether a deadline has passed.
    pub fn has_passed(&self, deadline: Deadline) -> bool {
        self.remaining(deadline).is_zero()
    }

    /// Waits for so long; needs a tokio runtime with time enabled, as do all waits below.
    pub async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }

    /// Waits until a deadline passes.
    pub async fn sleep_until(&self, deadline: Deadline) {
        tokio::time::sleep_until(deadline.0).await;
    }

    /// Awaits `work` for at most `patience`, then drops it.
    pub async fn timeout<F: Future>(&self, patience: Duration, work: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(patience, work).await.map_err(|_| Elapsed)
    }

    /// Awaits `work` until `deadline`, then drops it.
    pub async fn timeout_at<F: Future>(&self, deadline: Deadline, work: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout_at(deadline.0, work).await.map_err(|_| Elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_follows_paused_time_and_steps() {
        let clock = Clock::simulated(WallNs(1_000));
        assert_eq!(clock.wall(), WallNs(1_000));
        let began = clock.monotonic();
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.wall(), WallNs(3_600_000_001_000));
        assert!(clock.step_wall(-7_200_000_000_000));
        assert_eq!(clock.wall(), WallNs(-3_599_999_999_000));
        assert_eq!(clock.monotonic().since(began), Duration::from_secs(3600));
        let deadline = clock.deadline_in(Duration::from_secs(5));
        assert_eq!(clock.remaining(deadline), Duration::from_secs(5));
        assert_eq!(
            clock.timeout_at(deadline, std::future::pending::<()>()).await,
            Err(Elapsed)
        );
        assert!(clock.has_passed(deadline));
        assert!(!clock.has_passed(clock.deadline_in(Duration::MAX)));
    }

    #[test]
    fn the_system_clock_is_after_2024_and_cannot_be_stepped() {
        let clock = Clock::system();
        assert!(clock.wall() > WallNs(1_704_067_200_000_000_000));
        assert!(!clock.step_wall(1));
        assert!(clock.monotonic() <= clock.monotonic());
    }
}
