//! How complete a value is (C2, C5): hosts by state, records by loss.

use map::partial::Losses;
use map::verdict::HostState;
use std::collections::BTreeMap;

/// Hosts of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hosts {
    /// Hosts that are ok.
    pub ok: u64,
    /// Hosts that are not, by state.
    pub missing: BTreeMap<HostState, u64>,
}

impl Hosts {
    /// Counts a host.
    pub fn add(&mut self, state: HostState) {
        self.add_many(state, 1);
    }

    /// Counts so many hosts of one state.
    pub fn add_many(&mut self, state: HostState, count: u64) {
        if state.is_ok() {
            self.ok += count;
        } else {
            *self.missing.entry(state).or_default() += count;
        }
    }

    /// Hosts that should have answered.
    pub fn expected(&self) -> u64 {
        self.ok + self.missing.values().sum::<u64>()
    }

    /// `floor(100 × ok / expected)`, so 100 only if every expected host is ok; `None` if none is known to be expected.
    pub fn percent(&self) -> Option<u64> {
        (self.ok * 100).checked_div(self.expected())
    }
}

/// Records counted by records counted and lost, in hundredths of a percent, rounded down.
pub fn records_percent_hundredths(records: u64, lost: &Losses) -> u64 {
    let all = u128::from(records) + u128::from(lost.total());
    (u128::from(records) * 10_000)
        .checked_div(all)
        .map_or(10_000, |percent| percent as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use map::partial::Loss;

    #[test]
    fn percent_is_floored_and_null_without_expectation() {
        assert_eq!(Hosts::default().percent(), None);
        let hosts = Hosts {
            ok: 999,
            missing: BTreeMap::from([(HostState::Unstamped, 1)]),
        };
        assert_eq!(hosts.percent(), Some(99));
        assert_eq!(
            Hosts {
                ok: 3,
                ..Hosts::default()
            }
            .percent(),
            Some(100)
        );
    }

    #[test]
    fn records_percent_reaches_100_only_without_loss() {
        let mut lost = Losses::default();
        assert_eq!(records_percent_hundredths(0, &lost), 10_000);
        lost.add(Loss::Late, 1);
        assert_eq!(records_percent_hundredths(1_000_000, &lost), 9_999);
        assert_eq!(records_percent_hundredths(0, &lost), 0);
    }
}
