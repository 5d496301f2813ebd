//! Which hosts of an inventory are one: an agent that is listed under two names, at addresses that differ.
//!
//! Every report says of which log of which agent it is. An agent's number changes when it is started again, and two
//! hosts that are one hear of that at different times; so the last few are remembered, and one in common is enough.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Numbers remembered of a host: an agent that is started again more often between two pulls is not one that works.
const REMEMBERED_MAX: usize = 8;
/// Hosts that are gone and still remembered.
const GONE_MAX: usize = 1024;

/// What was seen of one host.
#[derive(Debug, Default)]
struct Seen {
    address: String,
    /// The newest last.
    origins: Vec<u64>,
}

/// What was seen of all hosts.
#[derive(Debug, Default)]
pub struct Origins {
    hosts: BTreeMap<Arc<str>, Seen>,
    by_origin: BTreeMap<u64, BTreeSet<Arc<str>>>,
    twins: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl Origins {
    /// Notes what a host's counts are of, `0` if that is not known; whether another host is now known to be the same,
    /// or is no longer.
    pub fn note(&mut self, host: &Arc<str>, address: &str, origin: u64) -> bool {
        if origin == 0 {
            return false;
        }
        let is_known = |seen: &Seen| seen.address == address && seen.origins.contains(&origin);
        if self.hosts.get(host).is_some_and(is_known) {
            return false;
        }
        let seen = self.hosts.entry(Arc::clone(host)).or_default();
        let mut is_shared = false;
        if seen.address != address {
            is_shared = !seen.origins.is_empty();
            seen.address = address.to_owned();
            seen.origins.clear();
        }
        seen.origins.push(origin);
        let excess = seen.origins.len().saturating_sub(REMEMBERED_MAX);
        seen.origins.drain(..excess);
        is_shared |= excess > 0;
        let hosts = self.by_origin.entry(origin).or_default();
        hosts.insert(Arc::clone(host));
        // Nearly always a number is one host's alone, and nothing is to be looked for.
        (is_shared || hosts.len() > 1) && self.find_twins()
    }

    /// Forgets what was seen of hosts that listen elsewhere now, and of those that are gone if they are many: one that
    /// is gone may be counted under another name. Whether that changes who is the same.
    pub fn keep(&mut self, addresses: &BTreeMap<&str, &str>) -> bool {
        let before = self.hosts.len();
        let keeps_gone = before <= addresses.len() + GONE_MAX;
        self.hosts.retain(|host, seen| match addresses.get(&**host) {
            Some(address) => *address == seen.address,
            None => keeps_gone,
        });
        self.hosts.len() != before && self.find_twins()
    }

    /// Whether two hosts are the same.
    pub fn are_one(&self, one: &str, other: &str) -> bool {
        self.twins_of(one).any(|twin| twin == other)
    }

    fn find_twins(&mut self) -> bool {
        self.by_origin.clear();
        for (host, seen) in &self.hosts {
            for origin in &seen.origins {
                self.by_origin.entry(*origin).or_default().insert(Arc::clone(host));
            }
        }
        let mut twins: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
        for hosts in self.by_origin.values().filter(|hosts| hosts.len() > 1) {
            for host in hosts {
                let others = hosts.iter().filter(|other| *other != host);
                twins.entry(Arc::clone(host)).or_default().extend(others.cloned());
            }
        }
        let is_changed = twins != self.twins;
        self.twins = twins;
        is_changed
    }

    /// The hosts that are the same as this one.
    pub fn twins_of(&self, host: &str) -> impl Iterator<Item = &str> {
        self.twins.get(host).into_iter().flatten().map(|twin| &**twin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hosts(Origins);

    impl Hosts {
        fn note(&mut self, host: &str, address: &str, origin: u64) -> bool {
            self.0.note(&Arc::from(host), address, origin)
        }

        fn twins(&self, host: &str) -> Vec<&str> {
            self.0.twins_of(host).collect()
        }
    }

    #[test]
    fn hosts_of_one_origin_are_one_until_they_are_gone_or_listen_elsewhere() {
        let mut hosts = Hosts(Origins::default());
        assert!(!hosts.note("a", "a:1", 7));
        assert!(!hosts.note("b", "b:1", 8));
        assert!(hosts.note("c", "c:1", 7));
        assert!(!hosts.note("c", "c:1", 7), "nothing new");
        assert_eq!((hosts.twins("a"), hosts.twins("b")), (vec!["c"], vec![]));
        let addresses = BTreeMap::from([("a", "a:1"), ("b", "b:1"), ("c", "c:1")]);
        assert!(!hosts.0.keep(&addresses));
        assert!(hosts.note("c", "elsewhere:1", 9));
        assert_eq!(hosts.twins("a"), [""; 0]);
        assert!(hosts.note("c", "elsewhere:1", 7));
        assert!(!hosts.0.keep(&BTreeMap::from([("c", "elsewhere:1")])));
        assert_eq!(hosts.twins("c"), ["a"], "one that is gone is remembered");
    }

    #[test]
    fn an_agent_that_is_started_again_stays_one_whoever_hears_of_it_first() {
        let mut hosts = Hosts(Origins::default());
        hosts.note("a", "a:1", 1);
        hosts.note("b", "b:1", 1);
        for life in 2..2 + REMEMBERED_MAX as u64 - 1 {
            hosts.note("a", "a:1", life);
            assert_eq!(hosts.twins("a"), ["b"], "life {life}");
        }
    }

    #[test]
    fn what_is_not_known_makes_nobody_the_same() {
        let mut hosts = Hosts(Origins::default());
        assert!(!hosts.note("a", "a:1", 0));
        assert!(!hosts.note("b", "b:1", 0));
        assert_eq!(hosts.twins("a"), [""; 0]);
    }
}
