//! Partials: what was counted of some bytes, by window, mergeable in any order.

use crate::groups::Groups;
use crate::kept::bound;
use crate::state::StateKind;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a record that reached us could not be counted (C5). These lower `records_percent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Further behind the greatest stamp before it in its file than the lateness bound.
    Late,
    /// Its stamp is wild (F3).
    BadTimestamp,
    /// A last line without line end when its window settled.
    Unfinished,
    /// Cut at the record limit, and the monitor looks at its fields.
    TooLong,
    /// The parse rule does not fit it, and the monitor looks at its fields.
    Unparsable,
    /// Its bytes could not be decoded.
    Undecodable,
}

impl Loss {
    /// All of them, in the order of [`Loss::name`].
    pub const ALL: [Self; 6] = [
        Self::Late,
        Self::BadTimestamp,
        Self::Unfinished,
        Self::TooLong,
        Self::Unparsable,
        Self::Undecodable,
    ];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::BadTimestamp => "bad_timestamp",
            Self::Unfinished => "unfinished",
            Self::TooLong => "too_long",
            Self::Unparsable => "unparsable",
            Self::Undecodable => "undecodable",
        }
    }
}

/// Numbers of lost records by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Losses([u64; Loss::ALL.len()]);

impl Losses {
    /// Counts `records` more for `reason`.
    pub fn add(&mut self, reason: Loss, records: u64) {
        self.0[reason as usize] += records;
    }

    /// Takes in the losses of another part.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Records lost for `reason`.
    pub fn get(&self, reason: Loss) -> u64 {
        self.0[reason as usize]
    }

    /// Records lost in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Loss, u64)> + '_ {
        Loss::ALL
            .into_iter()
            .map(|reason| (reason, self.get(reason)))
            .filter(|(_, count)| *count > 0)
    }
}

/// What was counted of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowPartial {
    /// Records counted here, whether or not the filter selects them.
    pub records: u64,
    /// Records lost here.
    pub lost: Losses,
    /// Unstamped lines at the start of files, shown beside the losses.
    pub head_lines: u64,
    /// Values that were no numbers where one was needed, by state; shown beside the losses.
    pub bad_values: Vec<u64>,
    /// The groups.
    pub groups: Groups,
}

impl WindowPartial {
    /// Nothing counted yet.
    pub fn new(kinds: &Arc<[StateKind]>, group_limit: usize) -> Self {
        Self {
            records: 0,
            lost: Losses::default(),
            head_lines: 0,
            bad_values: vec![0; kinds.len()],
            groups: Groups::new(Arc::clone(kinds), group_limit),
        }
    }

    /// Takes in what was counted of the same window elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.records += other.records;
        self.lost.merge(&other.lost);
        self.head_lines += other.head_lines;
        for (count, more) in self.bad_values.iter_mut().zip(&other.bad_values) {
            *count += more;
        }
        self.groups.merge(&other.groups);
    }
}

/// Windows by their start in nanoseconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Partial {
    /// Windows in which something was counted or lost.
    pub windows: BTreeMap<i64, WindowPartial>,
    /// Losses and head lines of files in which no record was good: there is no window to charge them to.
    pub unplaced: Unplaced,
}

/// What could not be charged to any window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unplaced {
    /// Records lost.
    pub lost: Losses,
    /// Unstamped lines at the start of files.
    pub head_lines: u64,
}

impl Unplaced {
    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Partial {
    /// Of all windows together, keeps no more records as they are than of each.
    pub fn bound_kept(&mut self) {
        let windows = self.windows.values_mut();
        let mut kept: Vec<_> = windows.flat_map(|window| window.groups.kept_mut()).collect();
        bound(&mut kept);
    }

    /// Takes in another partial of the same plan over other bytes. Any order of merges gives the same partial.
    pub fn merge(&mut self, other: Self) {
        self.unplaced.lost.merge(&other.unplaced.lost);
        self.unplaced.head_lines += other.unplaced.head_lines;
        for (start, window) in other.windows {
            match self.windows.entry(start) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(window);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().merge(&window),
            }
        }
    }
}
