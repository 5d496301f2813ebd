//! Who is expected when, as the harness listed it: the inventory's truth.

use std::collections::BTreeSet;

/// How long a change may take until the cluster acts on it: its Brain may be away for a while, and then looks twice.
pub const NOTICED_WITHIN_NS: i64 = 45_000_000_000;

/// Sets of hosts, each with the time from which it was listed.
#[derive(Debug, Default)]
pub struct Members(Vec<(i64, BTreeSet<String>)>);

impl Members {
    /// Notes who is listed from now on.
    pub fn list(&mut self, now_ns: i64, hosts: BTreeSet<String>) {
        self.0.push((now_ns, hosts));
    }

    /// Who is listed now.
    pub fn now(&self) -> BTreeSet<String> {
        self.0.last().map(|(_, hosts)| hosts.clone()).unwrap_or_default()
    }

    /// The sets that may be in force in a window.
    pub fn possible(&self, start_ns: i64, end_ns: i64) -> Vec<&BTreeSet<String>> {
        let ends = self.0.iter().skip(1).map(|(at_ns, _)| *at_ns).chain([i64::MAX]);
        let spans = self.0.iter().zip(ends);
        let near = spans.filter(|((from_ns, _), to_ns)| {
            from_ns - NOTICED_WITHIN_NS < end_ns && start_ns < to_ns.saturating_add(NOTICED_WITHIN_NS)
        });
        near.map(|((_, hosts), _)| hosts).collect()
    }

    /// When a host was struck from the list, if it is not on it.
    pub fn left_at(&self, host: &str) -> Option<i64> {
        let mut later = self.0.iter().rev().take_while(|(_, hosts)| !hosts.contains(host));
        let last = later.by_ref().last()?;
        let was_listed = self.0.iter().any(|(_, hosts)| hosts.contains(host));
        was_listed.then_some(last.0)
    }

    /// How many changes there were after the first list.
    pub fn changes(&self) -> usize {
        self.0.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_a_change_both_sets_are_possible() {
        let set = |hosts: &[&str]| -> BTreeSet<String> { hosts.iter().map(|host| (*host).to_owned()).collect() };
        let mut members = Members::default();
        let s = 1_000_000_000;
        members.list(0, set(&["a"]));
        members.list(100 * s, set(&["a", "b"]));
        assert_eq!(members.possible(10 * s, 15 * s), [&set(&["a"])]);
        assert_eq!(members.possible(110 * s, 115 * s).len(), 2);
        assert_eq!(members.possible(60 * s, 65 * s).len(), 2);
        assert_eq!(members.possible(150 * s, 155 * s), [&set(&["a", "b"])]);
        assert_eq!((members.changes(), members.now()), (1, set(&["a", "b"])));
        members.list(200 * s, set(&["b"]));
        members.list(300 * s, set(&["b", "c"]));
        assert_eq!(
            (members.left_at("a"), members.left_at("b"), members.left_at("x")),
            (Some(200 * s), None, None)
        );
    }
}
