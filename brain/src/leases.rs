//! Which version of a monitor answers for which windows.
//!
//! A monitor that is changed must not change its past, and no window may be counted by two versions. So the old version
//! ends, and the new one begins, at an edge that is one of both their windows, a little ahead of the clock; this is on
//! the disk before either is told. The old version's last windows go on being repaired under the old version.

use map::protocol::Definition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How far ahead of the clock an edge lies at least: windows are published up to 2 s ahead of it, and both versions
/// must have heard of the edge before.
pub const EDGE_AHEAD_NS: i64 = 5_000_000_000;

/// A monitor as it is asked for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What is counted.
    pub definition: Definition,
    /// Hash of what it means: another one is another version.
    pub fingerprint: u64,
    /// Length of its windows.
    pub window_ns: i64,
}

impl Wanted {
    /// A monitor from its document. The fingerprint is that of the text, so that a comment within it makes a new
    /// version too: harmless, since a version ends at an edge and the next goes on there.
    pub fn of_text(text: &str, window_ns: i64) -> Wanted {
        Wanted {
            definition: Definition::Yaml(text.to_owned()),
            fingerprint: fingerprint(text.as_bytes(), 0),
            window_ns,
        }
    }
}

/// A fixed hash (xxh3); `seed` tells apart what is otherwise the same.
pub fn fingerprint(bytes: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

/// What happened to a monitor: one line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// From a window on, this version answers.
    Begin {
        /// The monitor.
        monitor: String,
        /// The version: its fingerprint, or a number made of it if that version has answered before.
        version: u64,
        /// See [`Wanted::fingerprint`].
        fingerprint: u64,
        /// The first window.
        from_ns: i64,
        /// Length of the windows.
        window_ns: i64,
        /// What is counted.
        definition: Definition,
    },
    /// From a window on, nobody does.
    End {
        /// The monitor.
        monitor: String,
        /// The first window that nobody answers for.
        at_ns: i64,
    },
}

/// A version of a monitor and the windows that it answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The version.
    pub version: u64,
    /// See [`Wanted::fingerprint`].
    pub fingerprint: u64,
    /// What is counted.
    pub definition: Definition,
    /// Length of the windows.
    pub window_ns: i64,
    /// The first window.
    pub from_ns: i64,
    /// Windows that start here or later are another's.
    pub until_ns: Option<i64>,
}

/// The leases of all monitors, those of each oldest first, without overlap.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    monitors: BTreeMap<String, Vec<Lease>>,
}

impl Leases {
    /// What these turns make.
    pub fn of(turns: Vec<Turn>) -> Leases {
        let mut leases = Leases::default();
        turns.into_iter().for_each(|turn| leases.apply(turn));
        leases
    }

    /// Adds a turn. What was to begin at or behind its edge never does.
    pub fn apply(&mut self, turn: Turn) {
        let (monitor, edge_ns) = match &turn {
            Turn::Begin { monitor, from_ns, .. } => (monitor.clone(), *from_ns),
            Turn::End { monitor, at_ns } => (monitor.clone(), *at_ns),
        };
        let leases = self.monitors.entry(monitor).or_default();
        leases.retain(|lease| lease.from_ns < edge_ns);
        if let Some(last) = leases.last_mut() {
            last.until_ns = Some(last.until_ns.map_or(edge_ns, |until_ns| until_ns.min(edge_ns)));
        }
        if let Turn::Begin {
            version,
            fingerprint,
            from_ns,
            window_ns,
            definition,
            ..
        } = turn
        {
            leases.push(Lease {
                version,
                fingerprint,
                definition,
                window_ns,
                from_ns,
                until_ns: None,
            });
        }
    }

    /// A monitor's leases, oldest first.
    pub fn of_monitor(&self, monitor: &str) -> &[Lease] {
        self.monitors.get(monitor).map_or(&[], Vec::as_slice)
    }

    /// Monitors that somebody answers for without an end.
    pub fn standing(&self) -> impl Iterator<Item = (&str, &Lease)> {
        self.monitors.iter().filter_map(|(monitor, leases)| {
            let last = leases.last().filter(|last| last.until_ns.is_none())?;
            Some((monitor.as_str(), last))
        })
    }

    /// The turn that makes a monitor what is wanted now, if it isn't. One that was never there begins `back_ns` before
    /// the clock.
    pub fn turn(&self, monitor: &str, wanted: &Wanted, now_ns: i64, back_ns: i64) -> Option<Turn> {
        let leases = self.of_monitor(monitor);
        let floor_ns = floor_to(now_ns - back_ns, wanted.window_ns);
        let begin = |version: u64, from_ns: i64| Turn::Begin {
            monitor: monitor.to_owned(),
            version,
            fingerprint: wanted.fingerprint,
            from_ns,
            window_ns: wanted.window_ns,
            definition: wanted.definition.clone(),
        };
        let Some(last) = leases.last() else {
            return Some(begin(wanted.fingerprint, floor_ns));
        };
        let common_ns = edges_ns(leases, wanted.window_ns, now_ns);
        let from_ns = match last.until_ns {
            None if last.fingerprint == wanted.fingerprint => return None,
            None => ceil_to(now_ns + EDGE_AHEAD_NS, common_ns),
            Some(until_ns) => ceil_to(until_ns, common_ns).max(floor_ns),
        };
        // What was to begin later never will; if what is before it is what is wanted, it simply goes on.
        let before = leases.iter().rev().find(|lease| lease.from_ns < from_ns);
        match before {
            Some(before)
                if before.fingerprint == wanted.fingerprint
                    && before.until_ns.is_some_and(|until_ns| until_ns >= from_ns) =>
            {
                Some(begin(before.version, before.from_ns))
            }
            _ => Some(begin(unused_version(leases, wanted.fingerprint), from_ns)),
        }
    }

    /// The turn that ends a monitor, if it hasn't ended.
    pub fn end(&self, monitor: &str, now_ns: i64) -> Option<Turn> {
        let last = self.of_monitor(monitor).last()?;
        last.until_ns.is_none().then(|| Turn::End {
            monitor: monitor.to_owned(),
            at_ns: ceil_to(now_ns, edges_ns(self.of_monitor(monitor), last.window_ns, now_ns)),
        })
    }

    /// The turns of a shorter history, without leases that ended before a time.
    pub fn folded(&self, before_ns: i64) -> Vec<Turn> {
        let mut turns = Vec::new();
        for (monitor, leases) in &self.monitors {
            let is_kept = |lease: &&Lease| lease.until_ns.is_none_or(|until_ns| until_ns > before_ns);
            for lease in leases.iter().filter(is_kept) {
                turns.push(Turn::Begin {
                    monitor: monitor.clone(),
                    version: lease.version,
                    fingerprint: lease.fingerprint,
                    from_ns: lease.from_ns,
                    window_ns: lease.window_ns,
                    definition: lease.definition.clone(),
                });
                turns.extend(lease.until_ns.map(|at_ns| Turn::End {
                    monitor: monitor.clone(),
                    at_ns,
                }));
            }
        }
        turns
    }
}

/// The distance of edges that are those of all windows in question. Versions that are yet to begin may give way to a
/// new one, which then meets an older one: so all that are not past count. Such an edge is near all the same, since
/// windows divide a day or are whole days.
fn edges_ns(leases: &[Lease], window_ns: i64, now_ns: i64) -> i64 {
    let is_met = |lease: &&Lease| lease.until_ns.is_none_or(|until_ns| until_ns > now_ns);
    let met = leases.iter().filter(is_met).chain(leases.last());
    met.fold(window_ns, |common_ns, lease| {
        common_multiple(common_ns, lease.window_ns)
    })
}

/// A version that no kept lease of the monitor has: windows of one version must lie in one stretch.
fn unused_version(leases: &[Lease], wanted: u64) -> u64 {
    let is_used = |version: &u64| leases.iter().any(|lease| lease.version == *version);
    let salted = (1..).map(|salt| fingerprint(&wanted.to_le_bytes(), salt));
    std::iter::once(wanted)
        .chain(salted)
        .find(|version| !is_used(version))
        .unwrap_or(wanted)
}

/// The multiple of `step_ns` at or before a time.
pub fn floor_to(time_ns: i64, step_ns: i64) -> i64 {
    time_ns.div_euclid(step_ns.max(1)) * step_ns.max(1)
}

/// The multiple of `step_ns` at or behind a time.
pub fn ceil_to(time_ns: i64, step_ns: i64) -> i64 {
    floor_to(time_ns + step_ns.max(1) - 1, step_ns)
}

/// The least time that is a multiple of both.
fn common_multiple(one_ns: i64, other_ns: i64) -> i64 {
    let (mut greater, mut rest) = (one_ns.max(1), other_ns.max(1));
    while rest != 0 {
        (greater, rest) = (rest, greater % rest);
    }
    (one_ns.max(1) / greater).saturating_mul(other_ns.max(1))
}

#[cfg(test)]
mod tests;
