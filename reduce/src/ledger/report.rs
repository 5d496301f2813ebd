//! What Maps report, taken into the windows that it speaks of.

use super::{Entry, Ledger};
use crate::timeline::{Said, Source, is_loss};
use crate::window::{Taken, is_withdrawal};
use map::protocol::{Cell, HostReport};
use map::verdict::{HostState, Stage, VerdictRun};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Windows that must be written before what touched them may be acknowledged.
pub type Touched = BTreeSet<i64>;

impl Ledger {
    /// Takes in what a shard's stream brought since the installation of number `memory`. Hosts that the shard does not
    /// have (any more) are left aside: whoever has them now reads them from their first open window on.
    pub fn take_stream(&mut self, shard: u32, memory: u64, reports: Vec<HostReport>) -> Touched {
        let mut touched = Touched::new();
        for report in reports {
            let host: Arc<str> = report.host.as_str().into();
            if self.askers.get(&host) != Some(&shard) {
                continue;
            }
            self.take_origin(&host, report.origin);
            let first_ns = report.verdicts.first().map_or(i64::MAX, |run| run.from_ns);
            self.take_cells(&host, report.cells, &mut touched);
            self.take_verdicts(
                &host,
                first_ns..i64::MAX,
                &report.verdicts,
                Source::Stream(memory),
                &mut touched,
            );
        }
        touched
    }

    /// Takes in what was read of some windows apart from the stream: all that their hosts have of them.
    pub fn take_reread(&mut self, within: &Range<i64>, reports: Vec<HostReport>) -> Touched {
        let mut touched = Touched::new();
        for report in reports {
            let host: Arc<str> = report.host.as_str().into();
            for entry in self.entries.range_mut(within.clone()).map(|(_, entry)| entry) {
                match &mut entry.window {
                    Some(window) => window.pardon(&host),
                    None => drop(entry.pardoned.insert(Arc::clone(&host))),
                }
            }
            self.take_origin(&host, report.origin);
            self.take_cells(&host, report.cells, &mut touched);
            self.take_verdicts(&host, within.clone(), &report.verdicts, Source::Reread, &mut touched);
        }
        touched
    }

    /// Notes which log of which agent a host's counts are of: what two hosts share is counted once.
    fn take_origin(&mut self, host: &Arc<str>, origin: u64) {
        let newest = self.inventory.rolls().last();
        let address = newest.and_then(|roll| Some(roll.hosts[roll.place(host)?].address.as_str()));
        if self.origins.note(host, address.unwrap_or_default(), origin) {
            self.dirty.extend(self.entries.keys());
        }
    }

    fn take_cells(&mut self, host: &Arc<str>, cells: Vec<Cell>, touched: &mut Touched) {
        for cell in cells {
            let start_ns = cell.window_ns;
            if !self.is_ours(start_ns) {
                // Windows before the first or behind the last are another task's; others are a Map's mistake.
                self.misplaced += u64::from(start_ns.rem_euclid(self.length_ns()) != 0);
            } else if self.take_cell(host, cell) {
                touched.insert(start_ns);
                self.dirty.insert(start_ns);
            }
        }
    }

    /// Takes in a cell; says whether its window is to be looked at.
    fn take_cell(&mut self, host: &Arc<str>, cell: Cell) -> bool {
        let start_ns = cell.window_ns;
        if !self.entries.contains_key(&start_ns) {
            match self.is_done(start_ns) {
                true => self.reopen(start_ns),
                false => self.make(start_ns),
            }
        }
        let shape = Arc::clone(&self.terms.shape);
        let Some(entry) = self.entries.get_mut(&start_ns) else {
            return false;
        };
        match &mut entry.window {
            Some(window) => window.take(&shape, host, cell) != Taken::Known,
            None => {
                entry.waiting.push((Arc::clone(host), cell));
                true
            }
        }
    }

    fn take_verdicts(
        &mut self,
        host: &Arc<str>,
        within: Range<i64>,
        runs: &[VerdictRun],
        source: Source,
        touched: &mut Touched,
    ) {
        if !is_in_order(runs) {
            self.misplaced += 1;
            return;
        }
        if within.start >= within.end {
            return;
        }
        let timeline = self.timelines.entry(Arc::clone(host)).or_default();
        let changed = timeline.take(within, runs, source);
        let changed: Vec<(Range<i64>, Option<Said>)> = changed
            .into_iter()
            .map(|range| (range.clone(), timeline.at(range.start).cloned()))
            .collect();
        for (range, said) in changed {
            let entries = self.entries.range(range.clone());
            let windows = entries.filter(|(_, entry)| self.differs(entry, host, said.as_ref()));
            let mut windows: Vec<i64> = windows.map(|(start_ns, _)| *start_ns).collect();
            if said.as_ref().is_some_and(|said| is_withdrawal(said.state)) {
                // What takes an ok back concerns windows that are done as well.
                let done = self.done_within(&range);
                done.iter().for_each(|start_ns| self.reopen(*start_ns));
                windows.extend(done);
            }
            self.dirty.extend(&windows);
            touched.extend(windows);
        }
    }

    /// Whether what is said of a host may change what a window says. A window in memory is simply looked at again.
    fn differs(&self, entry: &Entry, host: &str, said: Option<&Said>) -> bool {
        let Some(said) = said else {
            return entry.window.is_some();
        };
        if entry.window.is_some() || entry.state.is_none() {
            return true;
        }
        let Some(version) = entry.inventory_version else {
            return false;
        };
        let Some(roll) = self.inventory.version(version).or_else(|| self.rolls.get(&version)) else {
            return true;
        };
        let before = roll.place(host).and_then(|place| entry.proofs.at(place));
        match before {
            None => false,
            Some((state, stage)) if said.state.is_ok() => !state.is_ok() || stage < Some(said.stage),
            Some((state, _)) if state.is_ok() => is_withdrawal(said.state),
            Some((state, _)) => state != said.state && !is_loss(state),
        }
    }
}

/// Whether runs are what the protocol says: in order, without overlap, none empty.
fn is_in_order(runs: &[VerdictRun]) -> bool {
    let ordered = runs.windows(2).all(|pair| pair[0].to_ns <= pair[1].from_ns);
    ordered && runs.iter().all(|run| run.from_ns < run.to_ns)
}

/// Whether a state may be mended by reading again. What is settled is not: not even where it was suspended for its
/// cost, since that would cost again what was to be saved.
pub(super) fn is_mendable(state: HostState, stage: Option<Stage>) -> bool {
    let is_settled = state.settles() && stage == Some(Stage::Settled);
    !state.is_ok() && !state.is_for_good() && !is_settled && state != HostState::Open
}
