//! The ledger of windows that are not complete: which are to be read again, and when (C6).
//!
//! A window below 100 % is ordered again, after a while that doubles with every order, until it is complete, or what it
//! lacks is gone for good, or the horizon is past. A Map heals short outages by itself as it goes on reading, so the
//! first order waits a little. Fresh windows come first: they are what people look at, and what can still be had.

use crate::windows::Audit;
use lika::seam::{Backoff, Randomness};
use map::verdict::HostState;
use reduce::protocol::BelowWindow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How orders are spaced: a Map that goes on by itself does so within 10 s after its agent is back.
pub const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(30),
    longest: Duration::from_secs(15 * 60),
};
/// Most windows ordered of one monitor at a time: a repair must not be what makes the fresh windows late.
pub const ORDER_WINDOWS_MAX: usize = 16;
/// Most windows ordered at a time, all monitors together.
pub const TICK_WINDOWS_MAX: usize = 64;
/// Most windows kept of one monitor's version, the newest: the horizon's worth of windows of a second.
pub const ENTRIES_MAX: usize = 86_400;

/// A version of a monitor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// The monitor.
    pub monitor: String,
    /// The version.
    pub version: u64,
}

/// What is known of a window that is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    state: EntryState,
    orders: u32,
    /// Nothing is ordered before.
    next_ns: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum EntryState {
    /// Some hosts are not ok.
    Below(BelowWindow),
    /// It was never published.
    Missing,
}

impl EntryState {
    /// Whether reading again can bring anything.
    fn can_heal(&self) -> bool {
        match self {
            EntryState::Below(below) => {
                // A host that was suspended for its cost, or whose groups no frame takes, is not read again once its
                // window is settled. Any other state may have changed: what was unreachable may be back.
                let is_left = |state: &HostState| below.is_settled && *state == HostState::OverBudget;
                let is_past = |state: &HostState| state.is_for_good() || is_left(state);
                below.expected > 0 && !below.missing.keys().all(is_past)
            }
            EntryState::Missing => true,
        }
    }
}

/// What an order asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Of which monitor.
    pub key: TaskKey,
    /// Starts of the windows, newest first.
    pub windows: Vec<i64>,
}

/// Windows that are not complete, of all monitors.
#[derive(Debug, Default)]
pub struct Ledger {
    tasks: BTreeMap<TaskKey, BTreeMap<i64, Entry>>,
}

impl Ledger {
    /// Takes windows that a Reduce says are below 100 %. That it doesn't name others means nothing: it names only some.
    pub fn below(&mut self, key: &TaskKey, windows: &[BelowWindow], now_ns: i64, randomness: &Randomness) {
        let entries = self.tasks.entry(key.clone()).or_default();
        for below in windows {
            note(
                entries,
                below.window_ns,
                EntryState::Below(below.clone()),
                now_ns,
                randomness,
            );
        }
        bound(entries);
    }

    /// Takes what the store says, which is the truth; returns how many windows that were ordered again are complete.
    pub fn audited(&mut self, key: &TaskKey, audit: &Audit, now_ns: i64, randomness: &Randomness) -> usize {
        self.below(key, &audit.below, now_ns, randomness);
        let entries = self.tasks.entry(key.clone()).or_default();
        let below: BTreeSet<i64> = audit.below.iter().map(|below| below.window_ns).collect();
        let found: BTreeSet<i64> = audit.found.iter().copied().collect();
        let mut healed = 0;
        entries.retain(|window_ns, entry| {
            let is_complete = match entry.state {
                EntryState::Below(_) => audit.covered.contains(window_ns) && !below.contains(window_ns),
                EntryState::Missing => found.contains(window_ns),
            };
            healed += usize::from(is_complete && entry.orders > 0);
            !is_complete
        });
        for window_ns in &audit.missing {
            note(entries, *window_ns, EntryState::Missing, now_ns, randomness);
        }
        bound(entries);
        healed
    }

    /// Forgets a monitor's version.
    pub fn forget(&mut self, key: &TaskKey) {
        self.tasks.remove(key);
    }

    /// Windows that were never published, of a monitor's version.
    pub fn missing_of(&self, key: &TaskKey) -> impl Iterator<Item = i64> {
        let entries = self.tasks.get(key).into_iter().flatten();
        entries
            .filter(|(_, entry)| entry.state == EntryState::Missing)
            .map(|(window_ns, _)| *window_ns)
    }

    /// Windows of a monitor's version that are not complete.
    pub fn count(&self, key: &TaskKey) -> usize {
        self.tasks.get(key).map_or(0, BTreeMap::len)
    }

    /// What is to be ordered now, the newest windows first; each is then due again after its backoff. `may` says of
    /// which monitors something may be ordered. Windows before `horizon_ns` are given up.
    pub fn orders(
        &mut self,
        may: impl Fn(&TaskKey) -> bool,
        now_ns: i64,
        horizon_ns: i64,
        randomness: &Randomness,
    ) -> Vec<Order> {
        let mut due: Vec<(i64, &TaskKey)> = Vec::new();
        for (key, entries) in &mut self.tasks {
            *entries = entries.split_off(&horizon_ns);
            if may(key) {
                let is_due = |entry: &Entry| entry.next_ns <= now_ns && entry.state.can_heal();
                let newest = entries.iter().rev().filter(|(_, entry)| is_due(entry));
                due.extend(newest.take(ORDER_WINDOWS_MAX).map(|(window_ns, _)| (*window_ns, key)));
            }
        }
        due.sort_unstable_by(|one, other| other.cmp(one));
        due.truncate(TICK_WINDOWS_MAX);
        let mut orders: BTreeMap<TaskKey, Vec<i64>> = BTreeMap::new();
        for (window_ns, key) in due {
            orders.entry(key.clone()).or_default().push(window_ns);
        }
        for (key, windows) in &orders {
            let entries = self.tasks.entry(key.clone()).or_default();
            for window_ns in windows {
                if let Some(entry) = entries.get_mut(window_ns) {
                    entry.orders = entry.orders.saturating_add(1);
                    entry.next_ns = now_ns.saturating_add(wait_ns(entry.orders + 1, randomness));
                }
            }
        }
        orders
            .into_iter()
            .map(|(key, windows)| Order { key, windows })
            .collect()
    }
}

fn note(entries: &mut BTreeMap<i64, Entry>, window_ns: i64, state: EntryState, now_ns: i64, randomness: &Randomness) {
    match entries.get_mut(&window_ns) {
        Some(entry) => entry.state = state,
        None => {
            let next_ns = now_ns.saturating_add(wait_ns(1, randomness));
            let entry = Entry {
                state,
                orders: 0,
                next_ns,
            };
            entries.insert(window_ns, entry);
        }
    }
}

/// The oldest go: they are the nearest to the horizon, and stay in the store.
fn bound(entries: &mut BTreeMap<i64, Entry>) {
    while entries.len() > ENTRIES_MAX {
        entries.pop_first();
    }
}

fn wait_ns(order: u32, randomness: &Randomness) -> i64 {
    i64::try_from(BACKOFF.wait(order, randomness).as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
