//! What is to be read again: from where a Map that remembers nothing must begin, and which windows of which hosts are
//! worth reading apart from the stream.

use super::report::is_mendable;
use super::{Entry, Ledger};
use crate::inventory::Roll;
use crate::point::WindowState;
use crate::window::PIECES_KEPT_NS;
use map::protocol::HostTarget;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Most hosts of one reading: its answer is one message.
const REREAD_HOSTS_MAX: usize = 64;
/// Most windows of one reading, as well.
const REREAD_WINDOWS_MAX: usize = 256;

/// Windows of hosts to be read again, all by one Map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RereadPlan {
    /// The shard whose Map reads them.
    pub shard: u32,
    /// Starts of the windows.
    pub within: Range<i64>,
    /// The hosts.
    pub hosts: Vec<HostTarget>,
}

impl Ledger {
    /// Whether all windows are known that [`Ledger::first_windows`] looks at.
    pub fn knows_recent(&self, now_ns: i64) -> bool {
        let recent_ns = now_ns.saturating_sub(PIECES_KEPT_NS);
        let mut unknown = self.dirty.range(recent_ns..);
        !unknown.any(|start_ns| self.entries.get(start_ns).is_some_and(|entry| entry.window.is_none()))
    }

    /// From which window on each host is to be read by a Map that remembers nothing: the earliest that is not proved to
    /// its end. Windows so old that their neighbours' pieces may be dropped are read apart ([`Ledger::gaps`]).
    pub fn first_windows(&self, hosts: &[String], now_ns: i64) -> BTreeMap<String, i64> {
        let recent_ns = now_ns.saturating_sub(PIECES_KEPT_NS);
        let mut first: BTreeMap<String, i64> = BTreeMap::new();
        let mut open: BTreeSet<&str> = hosts.iter().map(String::as_str).collect();
        for (start_ns, entry) in self.entries.range(..self.cursor_ns) {
            let is_old = *start_ns < recent_ns && entry.is_stored;
            if is_old || open.is_empty() || (entry.state == Some(WindowState::Settled) && is_complete(entry)) {
                continue;
            }
            let roll = self.inventory.at(*start_ns);
            let unproved = open.iter().filter(|host| self.is_unproved(entry, roll, host));
            for host in unproved.copied().collect::<Vec<_>>() {
                open.remove(host);
                first.insert(host.to_owned(), *start_ns);
            }
        }
        for host in open {
            first.insert(host.to_owned(), self.cursor_ns);
        }
        first
    }

    /// Whether a host is expected in a window and something of it is still to be read.
    fn is_unproved(&self, entry: &Entry, roll: Option<&Arc<Roll>>, host: &str) -> bool {
        let Some(place) = roll.and_then(|roll| roll.place(host)) else {
            return false;
        };
        let is_same_roll = roll.map(|roll| roll.version) == entry.inventory_version;
        let published = entry
            .state
            .filter(|_| is_same_roll)
            .and_then(|_| entry.proofs.at(place));
        published.is_none_or(|(state, stage)| !Self::is_proved(state, stage))
    }

    /// Windows that some of these hosts have not proved and that no stream will read again.
    pub fn gaps(&self, hosts: &[String], now_ns: i64) -> Vec<i64> {
        let recent_ns = now_ns.saturating_sub(PIECES_KEPT_NS);
        let old = self
            .entries
            .range(..recent_ns)
            .filter(|(_, entry)| entry.is_stored && !is_complete(entry));
        let has_gap = |start_ns: i64, entry: &Entry| {
            let roll = self.inventory.at(start_ns);
            let states = hosts.iter().filter_map(|host| entry.proofs.at(roll?.place(host)?));
            states.into_iter().any(|(state, stage)| is_mendable(state, stage))
        };
        old.filter(|(start_ns, entry)| has_gap(**start_ns, entry))
            .map(|(start_ns, _)| *start_ns)
            .collect()
    }

    /// How to read these windows again on the hosts that are not ok in them: as few requests as may be.
    pub fn reread_plans(&self, windows: &[i64]) -> Vec<RereadPlan> {
        let windows: BTreeSet<i64> = windows.iter().copied().collect();
        let mut starts_of: BTreeMap<&str, (&HostTarget, Vec<i64>)> = BTreeMap::new();
        for start_ns in windows {
            let Some(entry) = self.entries.get(&start_ns) else {
                continue;
            };
            let (Some(roll), false) = (self.inventory.at(start_ns), entry.is_closed) else {
                continue;
            };
            if Some(roll.version) != entry.inventory_version {
                continue;
            }
            for (host, (state, stage)) in roll.hosts.iter().zip(entry.proofs.states()) {
                if is_mendable(state, stage) {
                    starts_of
                        .entry(&host.host)
                        .or_insert((host, Vec::new()))
                        .1
                        .push(start_ns);
                }
            }
        }
        self.grouped(starts_of)
    }

    fn grouped(&self, starts_of: BTreeMap<&str, (&HostTarget, Vec<i64>)>) -> Vec<RereadPlan> {
        let length_ns = self.length_ns();
        let mut hosts_of: BTreeMap<(i64, i64, u32), Vec<HostTarget>> = BTreeMap::new();
        for (host, (target, starts)) in starts_of {
            let Some(shard) = self.askers.get(host) else {
                continue;
            };
            for range in contiguous(&starts, length_ns) {
                let hosts = hosts_of.entry((range.start, range.end, *shard)).or_default();
                hosts.push(target.clone());
            }
        }
        // The newest first: people look at those.
        let plans = hosts_of.into_iter().rev().flat_map(|((from_ns, to_ns, shard), hosts)| {
            let chunks: Vec<Vec<HostTarget>> = hosts.chunks(REREAD_HOSTS_MAX).map(<[HostTarget]>::to_vec).collect();
            chunks.into_iter().map(move |hosts| RereadPlan {
                shard,
                within: from_ns..to_ns,
                hosts,
            })
        });
        plans.collect()
    }
}

fn is_complete(entry: &Entry) -> bool {
    !entry.proofs.runs.is_empty() && entry.proofs.runs.iter().all(|(_, state, _)| state.is_ok())
}

/// Ascending starts as ranges without holes, each of a bounded number of windows.
fn contiguous(starts: &[i64], length_ns: i64) -> Vec<Range<i64>> {
    let mut ranges: Vec<Range<i64>> = Vec::new();
    for &start_ns in starts {
        let end_ns = start_ns.saturating_add(length_ns);
        match ranges.last_mut() {
            Some(last) if last.end == start_ns && end_ns - last.start <= length_ns * REREAD_WINDOWS_MAX as i64 => {
                last.end = end_ns;
            }
            _ => ranges.push(start_ns..end_ns),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_become_ranges_without_holes() {
        assert_eq!(contiguous(&[0, 5, 10, 20, 30, 35], 5), [0..15, 20..25, 30..40]);
        assert_eq!(contiguous(&[], 5), []);
        let many: Vec<i64> = (0..300).collect();
        assert_eq!(contiguous(&many, 1), [0..256, 256..300]);
    }
}
