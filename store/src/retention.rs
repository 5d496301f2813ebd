//! Windows are kept by age: what is older goes, a little at a time, so that writers are not held up.
//!
//! The age of a window is counted from the newest window that is stored, or from the clock, whichever is earlier. A
//! clock that jumps ahead by a year must not cost a year of points; and a store that nobody writes into loses nothing.

use std::time::Duration;

use lika::seam::{Clock, WallNs};

use crate::handle::StoreHandle;
use crate::traits::StoreError;

/// What is kept, and how the rest goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Windows that start longer ago than this go.
    pub keep: Duration,
    /// How often it is looked for them.
    pub every: Duration,
    /// Windows and pieces removed in one transaction, about: for so long do writers wait.
    pub most_a_step: usize,
    /// The pause between two transactions, in which writers have the store for themselves.
    pub pause: Duration,
}

impl Default for RetentionPolicy {
    /// 30 days, looked for each minute, 1000 a step, 50 ms apart: 20 000 a second, well over what comes in.
    fn default() -> Self {
        RetentionPolicy {
            keep: Duration::from_secs(30 * 86_400),
            every: Duration::from_secs(60),
            most_a_step: 1000,
            pause: Duration::from_millis(50),
        }
    }
}

/// Before which start windows are too old at a time; `None` if there are no windows. A monitor whose newest window
/// cannot be read is passed over: that makes the horizon earlier, never later.
///
/// # Errors
/// If the store fails, for every monitor.
pub async fn horizon(store: &StoreHandle, now: WallNs, keep: Duration) -> Result<Option<i64>, StoreError> {
    let (mut newest_ns, mut failure) = (None, None);
    for monitor in store.monitors().await? {
        match store.newest(&monitor, 1).await {
            Ok(newest) => newest_ns = newest_ns.max(newest.first().map(|window| window.window_ns)),
            Err(error) => failure = Some(error),
        }
        if newest_ns >= Some(now.0) {
            break;
        }
    }
    let keep_ns = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
    match (newest_ns, failure) {
        (Some(newest_ns), _) => Ok(Some(newest_ns.min(now.0).saturating_sub(keep_ns))),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(None),
    }
}

/// Removes what is too old now, step by step; how many windows went.
///
/// # Errors
/// If the store fails; what went before that is gone.
pub async fn sweep(store: &StoreHandle, clock: &Clock, policy: &RetentionPolicy) -> Result<u64, StoreError> {
    let Some(before_ns) = horizon(store, clock.wall(), policy.keep).await? else {
        return Ok(0);
    };
    let mut removed = 0;
    loop {
        let step = store.remove_before(before_ns, policy.most_a_step.max(1)).await?;
        if step == 0 {
            return Ok(removed);
        }
        removed += step;
        clock.sleep(policy.pause).await;
    }
}

/// Sweeps for ever; drop the future to end it. Failures are logged, and tried again the next time.
pub async fn keep_by_age(store: StoreHandle, clock: Clock, policy: RetentionPolicy) {
    loop {
        match sweep(&store, &clock, &policy).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed windows by age"),
            Err(error) => tracing::warn!(%error, "old windows could not be removed; it is tried again"),
        }
        clock.sleep(policy.every).await;
    }
}
