//! Who is expected, as history (M5): what was known stays known, with the time from which it holds.
//!
//! Nobody tells the Brain when a host came or went; it sees so at a poll. What it sees holds from the poll before: a
//! host found now may have come just after that one, and one that is missing now was last named then. So no window
//! whose host might have been there is answered without it. A poll that could not read all sources lets nobody go.

use configs::Wholeness;
use map::protocol::HostTarget;
use reduce::protocol::InventorySpan;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The history begins at the start of a day, so that windows of any usual length have one that begins in it.
const BEGINNING_NS: i64 = 86_400_000_000_000;

/// A change of an application's hosts: one line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The application.
    pub app: String,
    /// The version that it makes; versions of an application count up from 1.
    pub version: u64,
    /// From windows that start here on; never before that of the version before.
    pub from_ns: i64,
    /// When it was found.
    pub found_ns: i64,
    /// Hosts that joined, or whose address or labels are others now.
    pub joined: Vec<HostTarget>,
    /// Names of hosts that left.
    pub left: Vec<String>,
}

/// What was found at a poll.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The application.
    pub app: &'a str,
    /// Its hosts as they are named now, each name once.
    pub hosts: &'a [HostTarget],
    /// Whether those that are missing are gone.
    pub wholeness: Wholeness,
    /// The clock.
    pub now_ns: i64,
    /// How far before it was first found an application is taken to have been what it is.
    pub back_ns: i64,
}

/// The history of all applications.
#[derive(Debug, Clone, Default)]
pub struct History {
    apps: BTreeMap<String, AppHistory>,
    /// When all sources of an application were last read.
    polled_ns: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, Default)]
struct AppHistory {
    changes: Vec<Change>,
    hosts: BTreeMap<String, HostTarget>,
}

impl AppHistory {
    fn version(&self) -> u64 {
        self.changes.last().map_or(0, |change| change.version)
    }

    fn apply(&mut self, change: Change) {
        replay(&mut self.hosts, &change);
        self.changes.push(change);
    }
}

fn replay(hosts: &mut BTreeMap<String, HostTarget>, change: &Change) {
    for host in &change.left {
        hosts.remove(host);
    }
    for target in &change.joined {
        hosts.insert(target.host.clone(), target.clone());
    }
}

impl History {
    /// The history that these changes make.
    pub fn of(changes: Vec<Change>) -> History {
        let mut history = History::default();
        changes.into_iter().for_each(|change| history.apply(change));
        history
    }

    /// Adds a change.
    pub fn apply(&mut self, change: Change) {
        self.apps.entry(change.app.clone()).or_default().apply(change);
    }

    /// The change that makes the history say what was found, if it doesn't yet.
    pub fn change(&self, found: &Found<'_>) -> Option<Change> {
        let none = AppHistory::default();
        let known = self.apps.get(found.app).unwrap_or(&none);
        let is_new = |target: &&HostTarget| known.hosts.get(&target.host) != Some(target);
        let joined: Vec<HostTarget> = found.hosts.iter().filter(is_new).cloned().collect();
        let named: BTreeSet<&str> = found.hosts.iter().map(|target| target.host.as_str()).collect();
        let left: Vec<String> = match found.wholeness {
            Wholeness::Whole => known
                .hosts
                .keys()
                .filter(|host| !named.contains(host.as_str()))
                .cloned()
                .collect(),
            Wholeness::Partial => Vec::new(),
        };
        if joined.is_empty() && left.is_empty() {
            return None;
        }
        let from_ns = match known.changes.last() {
            None => (found.now_ns - found.back_ns).div_euclid(BEGINNING_NS) * BEGINNING_NS,
            Some(last) => {
                let before_ns = self.polled_ns.get(found.app).copied().unwrap_or(found.now_ns);
                before_ns.min(found.now_ns).max(last.from_ns)
            }
        };
        Some(Change {
            app: found.app.to_owned(),
            version: known.version() + 1,
            from_ns,
            found_ns: found.now_ns,
            joined,
            left,
        })
    }

    /// Notes that all sources of an application were read.
    pub fn polled(&mut self, app: &str, now_ns: i64) {
        self.polled_ns.insert(app.to_owned(), now_ns);
    }

    /// When all sources of each application were last read.
    pub fn polls(&self) -> &BTreeMap<String, i64> {
        &self.polled_ns
    }

    /// Sets that, as it was in an earlier life of the process.
    pub fn set_polls(&mut self, polled_ns: BTreeMap<String, i64>) {
        self.polled_ns = polled_ns;
    }

    /// The applications that were ever found.
    pub fn apps(&self) -> impl Iterator<Item = &str> {
        self.apps.keys().map(String::as_str)
    }

    /// An application's hosts now, by name.
    pub fn hosts(&self, app: &str) -> impl Iterator<Item = &HostTarget> {
        self.apps
            .get(app)
            .into_iter()
            .flat_map(|history| history.hosts.values())
    }

    /// The version in force; 0 if there never was one.
    pub fn version(&self, app: &str) -> u64 {
        self.apps.get(app).map_or(0, AppHistory::version)
    }

    /// The spans that are in force in windows that start at `since_ns` or later, oldest first. Of several from one
    /// time on, the last holds. At most about `hosts_max` hosts in all, the newest span always: older ones are left
    /// out then, and windows before the first span have nobody who is known to be expected.
    pub fn spans(&self, app: &str, since_ns: i64, hosts_max: usize) -> Vec<InventorySpan> {
        let Some(history) = self.apps.get(app) else {
            return Vec::new();
        };
        let mut spans: Vec<InventorySpan> = Vec::new();
        let mut hosts = BTreeMap::new();
        for (index, change) in history.changes.iter().enumerate() {
            replay(&mut hosts, change);
            let next = history.changes.get(index + 1);
            if next.is_some_and(|next| next.from_ns <= change.from_ns.max(since_ns)) {
                continue;
            }
            spans.push(InventorySpan {
                from_ns: change.from_ns,
                version: change.version,
                hosts: hosts.values().cloned().collect(),
            });
        }
        let mut held: usize = spans.iter().map(|span| span.hosts.len()).sum();
        let mut surplus = 0;
        while held > hosts_max && surplus + 1 < spans.len() {
            held -= spans[surplus].hosts.len();
            surplus += 1;
        }
        spans.drain(..surplus);
        spans
    }

    /// The changes of a shorter history, in which all that held before `before_ns` is one change for each application.
    pub fn folded(&self, before_ns: i64) -> Vec<Change> {
        let mut folded = Vec::new();
        for history in self.apps.values() {
            let is_old = |pair: &[Change]| pair[1].from_ns <= before_ns;
            let old = history.changes.windows(2).take_while(|pair| is_old(pair)).count();
            let mut hosts = BTreeMap::new();
            for change in history.changes.iter().take(old + 1) {
                replay(&mut hosts, change);
            }
            let first = history.changes.get(old).map(|last| Change {
                joined: hosts.into_values().collect(),
                left: Vec::new(),
                ..last.clone()
            });
            folded.extend(first);
            folded.extend(history.changes.iter().skip(old + 1).cloned());
        }
        folded
    }
}

#[cfg(test)]
mod tests;
