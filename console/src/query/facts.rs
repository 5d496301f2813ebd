//! How complete a step is: what the headers of its windows say, added up without ever claiming more than each of them.

use map::partial::{Losses, WindowPartial};
use reduce::completeness::Hosts;
use reduce::overflow::Overflow;
use reduce::point::{Flag, WindowState};
use reduce::stored::StoredHeader;
use std::collections::{BTreeMap, BTreeSet};

/// Why a window has no part in a value although its hosts may be ok, as it is named among what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// Nothing is stored of it.
    NotStored,
    /// It is not over, or only just.
    Open,
    /// A promise of the contract did not hold for it.
    Poisoned,
    /// What is stored cannot be read.
    Unreadable,
    /// The monitor meant something else then, which cannot be merged with the rest of the step.
    OtherVersion,
}

impl Withheld {
    fn name(self) -> &'static str {
        match self {
            Self::NotStored => "not_stored",
            Self::Open => "open",
            Self::Poisoned => "poisoned",
            Self::Unreadable => "unreadable",
            Self::OtherVersion => "other_version",
        }
    }
}

/// What is known of a step's windows together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    /// Hosts that are ok, over all windows.
    pub(crate) ok: u64,
    /// Hosts that are not, by why.
    pub(crate) missing: BTreeMap<&'static str, u64>,
    /// The least percent of any window; `None` as long as none is known.
    least_percent: Option<u64>,
    /// Whether of some window nothing is known to be expected.
    has_unknown: bool,
    /// Records counted.
    pub(crate) records: u64,
    /// Records lost.
    pub(crate) lost: Losses,
    /// Unstamped lines at the start of files.
    pub(crate) head_lines: u64,
    /// Bad values, by state of the monitor.
    pub(crate) bad_values: Vec<u64>,
    /// Flags of any window.
    pub(crate) flags: BTreeSet<Flag>,
    /// The greatest overflow of any window.
    pub(crate) overflow: Option<Box<Overflow>>,
    /// The least final state.
    pub(crate) state: WindowState,
    /// Sum of the windows' revisions: it changes whenever one of them does.
    pub(crate) revision: u64,
    /// Windows that are stored.
    pub(crate) windows: u64,
    /// Hosts expected in the last window, to reckon with where nothing is stored.
    expected_last: u64,
}

impl Facts {
    /// Nothing known yet.
    pub(crate) fn new() -> Self {
        Self {
            ok: 0,
            missing: BTreeMap::new(),
            least_percent: None,
            has_unknown: false,
            records: 0,
            lost: Losses::default(),
            head_lines: 0,
            bad_values: Vec::new(),
            flags: BTreeSet::new(),
            overflow: None,
            state: WindowState::Settled,
            revision: 0,
            windows: 0,
            expected_last: 0,
        }
    }

    /// Of a step of which nothing is stored, behind one: as many hosts are expected.
    pub(crate) fn behind(before: Option<&Self>) -> Self {
        Self {
            expected_last: before.map_or(0, |before| before.expected_last),
            ..Self::new()
        }
    }

    /// Adds what a stored window says; `withheld` if it has no part in the values.
    pub(crate) fn add(&mut self, header: &StoredHeader, revision: u64, withheld: Option<Withheld>) {
        let hosts = header.hosts.hosts();
        self.add_hosts(&hosts, withheld);
        self.records += header.records;
        self.lost.merge(&header.lost);
        self.flags.extend(&header.flags);
        if header.overflow.as_ref() > self.overflow.as_deref() {
            self.overflow = header.overflow.clone().map(Box::new);
        }
        self.state = self.state.min(header.state);
        self.revision += revision;
        self.windows += 1;
    }

    /// Adds what only a window's body says.
    pub(crate) fn add_body(&mut self, partial: &WindowPartial) {
        self.head_lines += partial.head_lines;
        if self.bad_values.is_empty() {
            self.bad_values = vec![0; partial.bad_values.len()];
        }
        for (count, more) in self.bad_values.iter_mut().zip(&partial.bad_values) {
            *count += more;
        }
    }

    /// Adds windows of which nothing is stored: as many hosts are missing as the last stored window expected.
    pub(crate) fn add_absent(&mut self, windows: u64, why: Withheld) {
        if windows == 0 {
            return;
        }
        self.state = WindowState::Open;
        self.least_percent = Some(0);
        match self.expected_last {
            0 => self.has_unknown = true,
            expected => *self.missing.entry(why.name()).or_default() += expected * windows,
        }
    }

    fn add_hosts(&mut self, hosts: &Hosts, withheld: Option<Withheld>) {
        self.expected_last = hosts.expected();
        let percent = match (hosts.percent(), withheld) {
            (Some(_), Some(_)) => Some(0),
            (percent, _) => percent,
        };
        match percent {
            Some(percent) => self.least_percent = Some(self.least_percent.map_or(percent, |least| least.min(percent))),
            None => self.has_unknown = true,
        }
        match withheld {
            Some(why) => *self.missing.entry(why.name()).or_default() += hosts.ok,
            None => self.ok += hosts.ok,
        }
        self.missing.retain(|_, count| *count > 0);
        for (state, count) in &hosts.missing {
            *self.missing.entry(state.name()).or_default() += count;
        }
    }

    /// Hosts that should have answered, over all windows.
    pub(crate) fn expected(&self) -> u64 {
        self.ok + self.missing.values().sum::<u64>()
    }

    /// `floor(100 × ok / expected)` over all windows; 100 only if every window is at 100.
    pub(crate) fn percent(&self) -> Option<u64> {
        let percent = (self.ok * 100).checked_div(self.expected())?;
        Some(if self.has_unknown { percent.min(99) } else { percent })
    }

    /// The least percent of any window; `None` if that of one is unknown.
    pub(crate) fn min_percent(&self) -> Option<u64> {
        self.least_percent.filter(|_| !self.has_unknown)
    }

    /// Whether every host of every window is ok.
    pub(crate) fn is_whole(&self) -> bool {
        self.percent() == Some(100) && !self.flags.contains(&Flag::Poisoned)
    }
}
