//! What a Brain asks of the store: which windows of a monitor are there, and which are not done.

use crate::leases::{Lease, ceil_to};
use lika::seam::BoxedFuture;
use map::verdict::HostState;
use reduce::point::WindowState;
use reduce::protocol::BelowWindow;
use reduce::stored::{StoredHeader, decode};
use std::collections::BTreeSet;
use std::ops::Range;
use store::{StoreError, StoreHandle, StoredWindow};

/// Windows asked for at a time; headers only, so that a page is a megabyte or two.
const PAGE: usize = 10_000;
/// Most windows below 100 % taken from the store in one audit, and most that it finds missing.
const AUDIT_MAX: usize = 5_000;

/// The store, as far as a Brain reads it: [`StoreHandle`] without the rest.
pub trait WindowStore: Send + Sync + 'static {
    /// As [`StoreHandle::windows`], without bodies.
    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>>;

    /// As [`StoreHandle::undone`].
    fn undone<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>>;
}

impl WindowStore for StoreHandle {
    fn windows<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(StoreHandle::windows(self, monitor, range, most, false))
    }

    fn undone<'a>(
        &'a self,
        monitor: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(StoreHandle::undone(self, monitor, range, most))
    }
}

/// The first window of a lease at or behind `since_ns` that the store does not have for good: one that is not done, or
/// that isn't there. Behind the lease's end if there is none.
///
/// # Errors
/// If the store can't be asked.
pub async fn first_wanted(
    store: &dyn WindowStore,
    monitor: &str,
    lease: &Lease,
    since_ns: i64,
) -> Result<i64, StoreError> {
    let until_ns = lease.until_ns.unwrap_or(i64::MAX);
    let mut next_ns = ceil_to(lease.from_ns.max(since_ns), lease.window_ns);
    loop {
        let page = store.windows(monitor, next_ns..until_ns, PAGE).await?;
        for window in &page {
            let is_gap = window.window_ns > next_ns;
            if is_gap || !window.done && is_of(window, lease) {
                return Ok(ceil_to(next_ns, lease.window_ns).min(until_ns));
            }
            next_ns = window.window_ns + window.length_ns.max(1);
        }
        if page.len() < PAGE || next_ns >= until_ns {
            return Ok(ceil_to(next_ns, lease.window_ns).min(until_ns));
        }
    }
}

/// Whether a window was counted by a lease's version. A header that can't be read is nobody's.
fn is_of(window: &StoredWindow, lease: &Lease) -> bool {
    decode::<StoredHeader>("header", &window.header).is_ok_and(|header| header.monitor_version == lease.version)
}

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Windows before this are given up.
    pub since_ns: i64,
    /// Windows that start here should be there by now.
    pub there: Range<i64>,
    /// Windows that were missing when they were looked for last, in order.
    pub missed: Vec<i64>,
}

/// What the store says of a lease's windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Windows below 100 %, by start.
    pub below: Vec<BelowWindow>,
    /// All windows below 100 % that start here are among them.
    pub covered: Range<i64>,
    /// Windows that are not done, be they complete or not.
    pub undone: usize,
    /// Windows that should be there and are not.
    pub missing: Vec<i64>,
    /// Those of [`Question::missed`] that are there now.
    pub found: Vec<i64>,
    /// All windows before this were looked for.
    pub audited_to_ns: i64,
}

/// Looks at a lease's windows: those below 100 %, and those that should be there and are not.
///
/// # Errors
/// If the store can't be asked.
pub async fn audit(
    store: &dyn WindowStore,
    monitor: &str,
    lease: &Lease,
    question: &Question,
) -> Result<Audit, StoreError> {
    let until_ns = lease.until_ns.unwrap_or(i64::MAX);
    let from_ns = lease.from_ns.max(question.since_ns).min(until_ns);
    let undone = store.undone(monitor, from_ns..until_ns, AUDIT_MAX).await?;
    let covered_to_ns = match undone.last() {
        Some(last) if undone.len() >= AUDIT_MAX => last.window_ns + 1,
        _ => i64::MAX,
    };
    let ours: Vec<&StoredWindow> = undone.iter().filter(|window| is_of(window, lease)).collect();
    let start_ns = ceil_to(question.there.start.max(from_ns), lease.window_ns);
    let there = start_ns..question.there.end.min(until_ns).max(start_ns);
    let (missing, audited_to_ns) = missing(store, monitor, lease, there).await?;
    Ok(Audit {
        below: ours.iter().filter_map(|window| below(window)).collect(),
        covered: i64::MIN..covered_to_ns,
        undone: ours.len(),
        missing,
        found: found(store, monitor, &question.missed).await?,
        audited_to_ns,
    })
}

/// Windows of the range that are not there, and up to where it was looked.
async fn missing(
    store: &dyn WindowStore,
    monitor: &str,
    lease: &Lease,
    there: Range<i64>,
) -> Result<(Vec<i64>, i64), StoreError> {
    if there.is_empty() {
        return Ok((Vec::new(), there.start));
    }
    let page = store.windows(monitor, there.clone(), AUDIT_MAX).await?;
    let seen_to_ns = match page.last() {
        Some(last) if page.len() >= AUDIT_MAX => last.window_ns + 1,
        _ => there.end,
    };
    let starts: BTreeSet<i64> = page.iter().map(|window| window.window_ns).collect();
    let (mut missing, mut window_ns) = (Vec::new(), there.start);
    while window_ns < seen_to_ns && missing.len() < AUDIT_MAX {
        if !starts.contains(&window_ns) {
            missing.push(window_ns);
        }
        window_ns += lease.window_ns;
    }
    Ok((missing, window_ns))
}

async fn found(store: &dyn WindowStore, monitor: &str, missed: &[i64]) -> Result<Vec<i64>, StoreError> {
    let (Some(first), Some(last)) = (missed.first(), missed.last()) else {
        return Ok(Vec::new());
    };
    let page = store.windows(monitor, *first..last + 1, AUDIT_MAX).await?;
    let starts: BTreeSet<i64> = page.iter().map(|window| window.window_ns).collect();
    Ok(missed
        .iter()
        .filter(|window_ns| starts.contains(window_ns))
        .copied()
        .collect())
}

/// A stored window that is below 100 %, as a Reduce would say it.
fn below(window: &StoredWindow) -> Option<BelowWindow> {
    let header: StoredHeader = decode("header", &window.header).ok()?;
    let hosts = header.hosts.hosts();
    let is_open = hosts.missing.contains_key(&HostState::Open);
    let is_below = hosts.expected() > hosts.ok && !is_open;
    is_below.then(|| BelowWindow {
        window_ns: window.window_ns,
        ok: hosts.ok,
        expected: hosts.expected(),
        missing: hosts.missing,
        is_settled: header.state == WindowState::Settled,
    })
}

#[cfg(test)]
mod tests;
