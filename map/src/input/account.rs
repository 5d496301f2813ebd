//! One monitor's counts of one generation: what is committed, what is tentative, and what the Reduce has not heard.
//!
//! Committed are records whose verdict is final (F3); the undecided rest is counted anew after each pull into a
//! scratch, as if nothing followed it. So what is sent at any moment is a function of the bytes read, and equals what
//! a re-read of the same bytes gives. What counts for a window is sent whole each time; the newest replaces what was
//! sent before.

use super::suspension::{Suspension, starts_of};
use super::usage::Usage;
use crate::engine::{Carried, Input as EngineInput, Seated, Sheets, Tally, WindowStarts};
use crate::kept::bound;
use crate::partial::{Loss, WindowPartial};
use crate::plan::Plan;
use crate::protocol::{Cell, CellVersion, TaskId};
use crate::wire::WirePartial;
use logline::records::{RecordReader, Stamps};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// What is sent of a window, and whether the store has it.
#[derive(Debug, Clone, Copy)]
struct Sent {
    version: CellVersion,
    is_acked: bool,
}

/// A monitor's part of a reading.
#[derive(Clone)]
pub(super) struct Account {
    /// Which monitor's shard.
    pub(super) id: TaskId,
    plan: Arc<Plan>,
    engine: EngineInput,
    /// Its place at the sheets where it was counted last.
    seated: Option<Seated>,
    carried: Carried,
    /// Unstamped lines at the file's start are still to be charged.
    head_waits: bool,
    /// Offset of the first record that is not committed.
    next_offset: u64,
    committed: BTreeMap<i64, WindowPartial>,
    scratch: BTreeMap<i64, WindowPartial>,
    /// Windows whose cell is to be sent (again).
    touched: BTreeSet<i64>,
    sent: BTreeMap<i64, Sent>,
    /// Window starts that are asked for and were read from their beginning.
    asked: WindowStarts,
    /// What its counting took since that was asked last.
    pub(super) spent: Usage,
}

impl Account {
    /// Nothing counted yet. `reads_head` if reading begins at the file's first byte.
    pub(super) fn new(id: TaskId, plan: Arc<Plan>, engine: EngineInput, asked: WindowStarts, reads_head: bool) -> Self {
        Self {
            id,
            plan,
            engine,
            seated: None,
            carried: Carried::default(),
            head_waits: reads_head,
            next_offset: 0,
            committed: BTreeMap::new(),
            scratch: BTreeMap::new(),
            touched: BTreeSet::new(),
            sent: BTreeMap::new(),
            asked,
            spent: Usage::default(),
        }
    }

    /// The same monitor's account of the same generation, read anew from a place that is early enough for
    /// [`Account::floor_ns`]; windows that were sent will be sent again, even if nothing is in them now.
    pub(super) fn restarted(self, engine: EngineInput, reads_head: bool) -> Self {
        let asked = WindowStarts {
            within: self.floor_ns()..self.asked.within.end,
            without: Arc::clone(&self.asked.without),
        };
        let again = self.sent.keys().chain(&self.touched).copied().collect();
        Self {
            touched: again,
            sent: self.sent,
            spent: self.spent,
            ..Self::new(self.id, self.plan, engine, asked, reads_head)
        }
    }

    /// Windows that start at or behind this are not asked for any more.
    pub(super) fn ask_until(&mut self, until_ns: i64) {
        self.asked.within.end = until_ns;
    }

    /// Windows in these stretches are not counted, and what was counted of them is let go at once: it is what the
    /// monitor may be suspended for.
    pub(super) fn leave_out(&mut self, suspended: &[Suspension]) {
        self.asked.without = starts_of(suspended);
        let without = Arc::clone(&self.asked.without);
        let is_counted = |start: &i64| !without.iter().any(|range| range.contains(start));
        self.committed.retain(|start, _| is_counted(start));
        self.scratch.retain(|start, _| is_counted(start));
        self.touched.retain(is_counted);
    }

    /// The lateness bound in nanoseconds.
    pub(super) fn lateness_ns(&self) -> i64 {
        self.engine.lateness_ns
    }

    /// The greatest committed good stamp.
    pub(super) fn greatest_ns(&self) -> Option<i64> {
        self.carried.greatest
    }

    /// Offset of the first record that this account still needs.
    pub(super) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// Whether its reader must have begun at the file's start.
    pub(super) fn head_waits(&self) -> bool {
        self.head_waits
    }

    /// Windows before this need not be read again: the store has them, and nothing can be added to them.
    pub(super) fn floor_ns(&self) -> i64 {
        let unsettled = self.sent.keys().next().into_iter().chain(self.touched.first()).min();
        let reachable = self
            .carried
            .greatest
            .map(|g| self.window_of(g.saturating_sub(self.lateness_ns())));
        let floor = match (unsettled, reachable) {
            (Some(&unsettled), Some(reachable)) => unsettled.min(reachable),
            (None, Some(reachable)) => reachable,
            _ => self.asked.within.start,
        };
        floor.max(self.asked.within.start)
    }

    fn window_of(&self, stamp_ns: i64) -> i64 {
        let length = self.plan.window_ns;
        stamp_ns.div_euclid(length).saturating_mul(length)
    }

    /// What goes on to count, at a place of its own. The head is charged with the first record, when it is known to be
    /// whole.
    pub(super) fn tally(&mut self, sheets: &mut Sheets, head_lines: u64) -> Tally<Arc<Plan>> {
        let known = self.seated.take().filter(|seated| sheets.has(seated));
        let seated = known.unwrap_or_else(|| {
            let seated = sheets.seat(&self.plan, &self.engine);
            seated.expect("the rule was tried when the account began")
        });
        let mut carried = self.carried;
        if self.head_waits {
            carried.waiting.head_lines += head_lines;
        }
        let mut tally = Tally::new(Arc::clone(&self.plan), self.engine.clone(), seated, carried);
        tally.ask(self.asked.clone());
        tally
    }

    /// Commits so many records that were judged for good.
    pub(super) fn commit<S: Stamps>(&mut self, reader: &RecordReader<S>, tally: Tally<Arc<Plan>>, records: usize) {
        let (partial, carried, seated) = tally.suspend();
        self.seated = Some(seated);
        self.carried = carried;
        self.head_waits = false;
        let closed = reader.closed();
        let first = closed.partition_point(|record| record.offset < self.next_offset);
        let next = closed.get(first + records).or(reader.open());
        self.next_offset = next.map_or(reader.scanned_to(), |record| record.offset);
        for (start, window) in partial.windows {
            self.touched.insert(start);
            match self.committed.get_mut(&start) {
                Some(committed) => committed.merge(&window),
                None => {
                    self.committed.insert(start, window);
                }
            }
        }
        if self.plan.kept.is_some() {
            self.bound_kept();
        }
    }

    /// Of all windows together, no more records are kept than of each.
    fn bound_kept(&mut self) {
        let windows = self.committed.values_mut();
        let mut kept: Vec<_> = windows.flat_map(|window| window.groups.kept_mut()).collect();
        bound(&mut kept);
    }

    /// Takes what the rest counts as if nothing followed; `None` if there is no rest. With `unfinished`, a half line
    /// that has waited for too long is a loss in the window of the greatest stamp (F4).
    pub(super) fn take_tail(&mut self, tally: Option<Tally<Arc<Plan>>>, unfinished: Option<i64>) {
        let mut scratch = BTreeMap::new();
        let mut greatest = self.carried.greatest;
        if let Some(tally) = tally {
            let (partial, carried, seated) = tally.suspend();
            self.seated = Some(seated);
            greatest = carried.greatest;
            scratch = partial.windows;
        }
        if let (Some(settled_before_ns), Some(greatest)) = (unfinished, greatest) {
            let start = self.window_of(greatest);
            let is_due = start.saturating_add(self.plan.window_ns) <= settled_before_ns;
            if is_due && self.asked.contains(start) {
                let empty = || WindowPartial::new(&self.plan.kinds, self.plan.window_groups);
                scratch.entry(start).or_insert_with(empty).lost.add(Loss::Unfinished, 1);
            }
        }
        let changed = |(start, window): (&i64, &WindowPartial), other: &BTreeMap<i64, WindowPartial>| {
            (other.get(start) != Some(window)).then_some(*start)
        };
        let fresh = scratch.iter().filter_map(|entry| changed(entry, &self.scratch));
        let gone = self.scratch.iter().filter_map(|entry| changed(entry, &scratch));
        self.touched.extend(fresh.chain(gone).collect::<Vec<_>>());
        self.scratch = scratch;
    }

    /// The cells that changed, of the windows that may be told.
    pub(super) fn cells(
        &mut self,
        generation: u64,
        version: CellVersion,
        may_tell: impl Fn(i64) -> bool,
        ambiguous: &[Range<i64>],
    ) -> Vec<Cell> {
        let told: Vec<i64> = self.touched.iter().copied().filter(|start| may_tell(*start)).collect();
        let mut cells = Vec::with_capacity(told.len());
        for start in told {
            self.touched.remove(&start);
            let end = start.saturating_add(self.plan.window_ns);
            cells.push(Cell {
                window_ns: start,
                generation,
                version,
                partial: WirePartial::from(&self.window(start)),
                ambiguous: ambiguous.iter().any(|range| range.start < end && start < range.end),
            });
            let sent = Sent {
                version,
                is_acked: false,
            };
            self.sent.insert(start, sent);
        }
        cells
    }

    /// All that counts for a window.
    fn window(&self, start: i64) -> WindowPartial {
        let empty = || WindowPartial::new(&self.plan.kinds, self.plan.window_groups);
        let mut window = self.committed.get(&start).cloned().unwrap_or_else(empty);
        if let Some(scratch) = self.scratch.get(&start) {
            window.merge(scratch);
        }
        window
    }

    /// The store has this version of a window's cell, or a greater one from a reader before this one.
    pub(super) fn acked(&mut self, start: i64, version: CellVersion) {
        if let Some(sent) = self.sent.get_mut(&start) {
            sent.is_acked |= sent.version <= version;
        }
    }

    /// Forgets windows that the store has and that can't change any more: nothing of this generation in reach of its
    /// greatest stamp belongs to them, or nothing more will come of it at all.
    pub(super) fn forget(&mut self, is_over: bool) {
        let length = self.plan.window_ns;
        let reach = self
            .carried
            .greatest
            .map_or(i64::MIN, |g| g.saturating_sub(self.lateness_ns()));
        let is_final = |start: i64| is_over || start.saturating_add(length) <= reach;
        let (touched, scratch, committed) = (&self.touched, &self.scratch, &mut self.committed);
        self.sent.retain(|start, sent| {
            let forget = sent.is_acked && is_final(*start) && !touched.contains(start) && !scratch.contains_key(start);
            if forget {
                committed.remove(start);
            }
            !forget
        });
    }

    /// Whether the store has all that was counted.
    pub(super) fn is_told(&self) -> bool {
        self.touched.is_empty() && self.sent.values().all(|sent| sent.is_acked)
    }

    /// Whether nothing was counted so far.
    pub(super) fn is_untouched(&self) -> bool {
        self.touched.is_empty() && self.sent.is_empty() && self.committed.is_empty()
    }

    /// Bytes held in windows, about.
    pub(super) fn held_bytes(&self) -> usize {
        let windows = self.committed.values().chain(self.scratch.values());
        windows
            .map(|window| size_of::<WindowPartial>() + window.groups.memory_bytes())
            .sum()
    }
}
