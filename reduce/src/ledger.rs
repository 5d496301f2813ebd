//! All windows of one monitor's version: which exist, which are in memory, which are to be written, and when.
//!
//! It does no I/O. Whoever drives it loads what [`Ledger::next_batch`] asks for, merges what [`Ledger::drafts`] gives,
//! writes what [`Ledger::changes`] says, and tells the outcome. A window is *hot* while its cells are in memory, *cold*
//! while only a line about it is; a window that is done is not even that, but the store has it.

#[cfg(test)]
mod histories;
mod repair;
mod report;
#[cfg(test)]
mod tests;

use crate::completeness::Hosts;
use crate::inventory::{Inventory, Roll};
use crate::origins::Origins;
use crate::overflow::Overflow;
use crate::pieces::Proofs;
use crate::point::WindowState;
use crate::protocol::{BELOW_MAX, BelowWindow, MonitorTask, ShardPlan};
use crate::stored::{StoredHeader, Unreadable, decode};
use crate::terms::Terms;
use crate::timeline::Timeline;
use crate::window::{Asked, Change, Draft, Finished, Ground, PIECES_KEPT_NS, Window, hosts_of};
use map::plan::Shape;
use map::protocol::Cell;
use map::verdict::{HostState, Stage};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use store::{StoredPiece, StoredWindow, WindowWrite};

pub use repair::RereadPlan;
pub use report::Touched;

/// Most windows worked on at a time: they are loaded, merged and written together.
pub const BATCH_WINDOWS: usize = 64;
/// Most windows of one load from the store: with its pieces a window may be large.
const LOAD_WINDOWS: usize = 8;
/// Most windows whose cells stay in memory while nothing is to be done with them.
pub const HOT_WINDOWS_MAX: usize = 1024;
/// About the most bytes of cells that stay in memory while nothing is to be done with them.
pub const HOT_BYTES_MAX: usize = 64 << 20;
/// Most windows made, or woken by the clock, at a time: an owner that catches up on a day does so in turns.
const TURN_WINDOWS: usize = 256;

/// What is known of a window that is not done, or is being looked at again.
#[derive(Debug, Default)]
struct Entry {
    /// The window, while it is hot.
    window: Option<Box<Window>>,
    /// Whether the store has it.
    is_stored: bool,
    /// Whether its pieces were dropped.
    is_closed: bool,
    /// How final it is; `None` if nothing of this version was published.
    state: Option<WindowState>,
    inventory_version: Option<u64>,
    proofs: Proofs,
    due_ns: Option<i64>,
    /// Cells that came while it was cold, and of whom everything is read anew.
    waiting: Vec<(Arc<str>, Cell)>,
    pardoned: BTreeSet<Arc<str>>,
    /// What another owner's write kept from being written.
    unwritten: Option<Box<Window>>,
}

/// All windows of one monitor's version.
#[derive(Debug)]
pub struct Ledger {
    terms: Terms,
    task: MonitorTask,
    inventory: Inventory,
    /// Versions of the inventory that only stored windows name.
    rolls: BTreeMap<u64, Arc<Roll>>,
    timelines: BTreeMap<Arc<str>, Timeline>,
    origins: Origins,
    askers: BTreeMap<Arc<str>, u32>,
    asked: BTreeMap<u32, Asked>,
    entries: BTreeMap<i64, Entry>,
    /// Windows that are done, as runs: start of the first, end of the last.
    done: BTreeMap<i64, i64>,
    /// No window from here on was made because its time came.
    cursor_ns: i64,
    dirty: BTreeSet<i64>,
    due: BTreeSet<(i64, i64)>,
    newest_ns: Option<i64>,
    overflow: Option<Overflow>,
    /// Cells that were nobody's window, since the start: a Map that does so is wrong.
    misplaced: u64,
}

/// What is to be loaded before a batch can be worked on.
#[derive(Debug, Default)]
pub struct Batch {
    /// The windows of the batch.
    pub windows: Vec<i64>,
    /// Ranges of window starts to be loaded, with bodies and pieces.
    pub loads: Vec<Range<i64>>,
}

impl Ledger {
    /// An empty ledger of a task.
    pub fn new(terms: Terms, task: MonitorTask) -> Self {
        Self {
            inventory: Inventory::new(&task.inventory),
            cursor_ns: aligned_up(task.from_ns, terms.shape.window_ns),
            terms,
            task,
            rolls: BTreeMap::new(),
            timelines: BTreeMap::new(),
            origins: Origins::default(),
            askers: BTreeMap::new(),
            asked: BTreeMap::new(),
            entries: BTreeMap::new(),
            done: BTreeMap::new(),
            dirty: BTreeSet::new(),
            due: BTreeSet::new(),
            newest_ns: None,
            overflow: None,
            misplaced: 0,
        }
    }

    /// Who is asked of which hosts from now on.
    pub fn place(&mut self, shards: &[ShardPlan]) {
        let hosts = shards
            .iter()
            .flat_map(|shard| shard.hosts.iter().map(|host| (Arc::from(host.as_str()), shard.shard)));
        self.askers = hosts.collect();
    }

    /// The task it is kept of.
    pub fn task(&self) -> &MonitorTask {
        &self.task
    }

    /// What the counts mean.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.terms.shape
    }

    /// Goes on with a changed task of the same version: windows in which others are expected now are looked at again.
    pub fn change_task(&mut self, task: MonitorTask) {
        let inventory = Inventory::new(&task.inventory);
        let differs_ns = inventory.differs_from(&self.inventory);
        for roll in self.inventory.rolls() {
            self.rolls.insert(roll.version, Arc::clone(roll));
        }
        self.inventory = inventory;
        self.task = task;
        self.forget_moved_origins();
        if let Some(from_ns) = differs_ns {
            // A span that begins inside of a window concerns it too.
            self.look_again(from_ns.saturating_sub(self.length_ns()) + 1..i64::MAX);
        }
    }

    /// A host that listens elsewhere now may be another agent's.
    fn forget_moved_origins(&mut self) {
        let newest = self.inventory.rolls().last();
        let addresses = newest.into_iter().flat_map(|roll| &roll.hosts);
        let addresses = addresses.map(|host| (host.host.as_str(), host.address.as_str()));
        if self.origins.keep(&addresses.collect()) {
            self.dirty.extend(self.entries.keys());
        }
    }

    /// Makes a version of the inventory known that only stored windows name.
    pub fn know_roll(&mut self, roll: Roll) {
        self.rolls.insert(roll.version, Arc::new(roll));
    }

    /// Versions of the inventory that windows name and that are not known: they must be, to tell who was ok.
    pub fn unknown_rolls(&self) -> BTreeSet<u64> {
        let named = self.entries.values().filter_map(|entry| entry.inventory_version);
        named.filter(|version| !self.knows_roll(*version)).collect()
    }

    fn knows_roll(&self, version: u64) -> bool {
        self.inventory.version(version).is_some() || self.rolls.contains_key(&version)
    }

    /// How it stands with a shard; tells silent hosts' states.
    pub fn asked(&mut self, shard: u32, asked: Asked) {
        self.asked.insert(shard, asked);
    }

    /// Forgets a shard that is no longer asked.
    pub fn forget_shard(&mut self, shard: u32) {
        self.asked.remove(&shard);
    }

    fn length_ns(&self) -> i64 {
        self.terms.shape.window_ns
    }

    /// Whether a window is this task's.
    fn is_ours(&self, start_ns: i64) -> bool {
        start_ns.rem_euclid(self.length_ns()) == 0
            && self.task.from_ns <= start_ns
            && self.task.until_ns.is_none_or(|until_ns| start_ns < until_ns)
    }

    fn is_done(&self, start_ns: i64) -> bool {
        let run = self.done.range(..=start_ns).next_back();
        run.is_some_and(|(_, end_ns)| start_ns < *end_ns)
    }

    fn mark_done(&mut self, start_ns: i64) {
        let end_ns = start_ns.saturating_add(self.length_ns());
        let before = self.done.range(..=start_ns).next_back().map(|(from, to)| (*from, *to));
        let from_ns = match before {
            Some((_, to)) if end_ns <= to => return,
            Some((from, to)) if to == start_ns => from,
            _ => start_ns,
        };
        let to_ns = self.done.remove(&end_ns).unwrap_or(end_ns);
        self.done.insert(from_ns, to_ns);
    }

    /// Takes in what the store has of a window: its header, at the start.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn restore(&mut self, stored: &StoredWindow) -> Result<(), Unreadable> {
        let header: StoredHeader = decode("header", &stored.header)?;
        let start_ns = stored.window_ns;
        if !self.is_ours(start_ns) {
            return Ok(());
        }
        let is_ours = header.monitor_version == self.task.version;
        if is_ours {
            self.note_newest(start_ns, &header);
        }
        if is_ours && stored.done {
            self.mark_done(start_ns);
            return Ok(());
        }
        let mut entry = Entry {
            is_stored: true,
            ..Entry::default()
        };
        if is_ours {
            // How far each host was proved stands with the pieces; until they are read, a settled window says it.
            let stage = (header.state == WindowState::Settled).then_some(Stage::Settled);
            let states = header.hosts.states().map(|(state, _)| (state, stage));
            entry.proofs = Proofs::new(self.task.version, states);
            entry.state = Some(header.state);
            entry.inventory_version = header.inventory_version;
        }
        let is_at_rest = entry.state == Some(WindowState::Settled);
        self.entries.insert(start_ns, entry);
        match is_at_rest {
            true => self.set_due(start_ns, Some(self.rested_until_ns(start_ns))),
            false => drop(self.dirty.insert(start_ns)),
        }
        Ok(())
    }

    /// When a settled window is to be looked at next.
    fn rested_until_ns(&self, start_ns: i64) -> i64 {
        let end_ns = start_ns.saturating_add(self.length_ns());
        end_ns.saturating_add(self.task.horizon_ns.min(PIECES_KEPT_NS))
    }

    /// Makes the windows whose time has come, and wakes those that wait for it. Gives back when it is next needed.
    pub fn tick(&mut self, now_ns: i64) -> i64 {
        let length_ns = self.length_ns();
        let mut made = 0;
        while self.cursor_ns <= now_ns && self.dirty.len() + made < TURN_WINDOWS && self.is_within(self.cursor_ns) {
            let start_ns = self.cursor_ns;
            self.cursor_ns = start_ns.saturating_add(length_ns);
            if !self.entries.contains_key(&start_ns) && !self.is_done(start_ns) {
                made += 1;
                self.make(start_ns);
            }
        }
        let woken: Vec<(i64, i64)> = self
            .due
            .range(..=(now_ns, i64::MAX))
            .take(TURN_WINDOWS)
            .copied()
            .collect();
        for (due_ns, start_ns) in woken {
            self.due.remove(&(due_ns, start_ns));
            if let Some(entry) = self.entries.get_mut(&start_ns) {
                entry.due_ns = None;
                self.dirty.insert(start_ns);
            }
        }
        self.next_ns()
    }

    /// When [`Ledger::tick`] is next needed.
    pub fn next_ns(&self) -> i64 {
        let due_ns = self.due.first().map_or(i64::MAX, |(due_ns, _)| *due_ns);
        let made_ns = if self.is_within(self.cursor_ns) {
            self.cursor_ns
        } else {
            i64::MAX
        };
        due_ns.min(made_ns)
    }

    fn is_within(&self, start_ns: i64) -> bool {
        self.task.until_ns.is_none_or(|until_ns| start_ns < until_ns)
    }

    /// A window of which the store has nothing. It is published when its end is past, or something was read of it.
    fn make(&mut self, start_ns: i64) {
        let entry = Entry {
            window: Some(Box::new(Window::new(start_ns))),
            ..Entry::default()
        };
        self.entries.insert(start_ns, entry);
        self.set_due(start_ns, Some(start_ns.saturating_add(self.length_ns())));
    }

    fn set_due(&mut self, start_ns: i64, due_ns: Option<i64>) {
        let Some(entry) = self.entries.get_mut(&start_ns) else {
            return;
        };
        if let Some(old_ns) = std::mem::replace(&mut entry.due_ns, due_ns) {
            self.due.remove(&(old_ns, start_ns));
        }
        self.due.extend(due_ns.map(|due_ns| (due_ns, start_ns)));
    }

    /// Has windows looked at again, the done ones included.
    fn look_again(&mut self, range: Range<i64>) {
        if range.start >= range.end {
            return;
        }
        self.dirty
            .extend(self.entries.range(range.clone()).map(|(start_ns, _)| *start_ns));
        for start_ns in self.done_within(&range) {
            self.reopen(start_ns);
        }
    }

    fn done_within(&self, range: &Range<i64>) -> Vec<i64> {
        let length_ns = self.length_ns();
        let mut starts = Vec::new();
        for (from_ns, to_ns) in &self.done {
            let mut start_ns = (*from_ns).max(aligned_up(range.start, length_ns));
            while start_ns < (*to_ns).min(range.end) {
                starts.push(start_ns);
                start_ns += length_ns;
            }
        }
        starts
    }

    /// Has a done window looked at again.
    fn reopen(&mut self, start_ns: i64) {
        let entry = self.entries.entry(start_ns).or_default();
        if entry.window.is_none() {
            (entry.is_stored, entry.is_closed) = (true, true);
        }
        self.dirty.insert(start_ns);
    }

    /// Whether something is still to be written of a window.
    pub fn is_dirty(&self, start_ns: i64) -> bool {
        self.dirty.contains(&start_ns)
    }

    /// Whether anything can be worked on.
    pub fn has_work(&self) -> bool {
        self.ready().next().is_some()
    }

    /// Windows that can be worked on, the newest first: people look at those. One that names a version of the inventory
    /// that nobody knows has to wait, since it cannot be told who was ok.
    fn ready(&self) -> impl Iterator<Item = i64> {
        let known = |start_ns: &&i64| {
            let version = self.entries.get(start_ns).map(|entry| entry.inventory_version);
            version.is_some_and(|version| version.is_none_or(|version| self.knows_roll(version)))
        };
        self.dirty.iter().rev().filter(known).copied()
    }

    /// What to work on next.
    pub fn next_batch(&self) -> Batch {
        let mut windows: Vec<i64> = self.ready().take(BATCH_WINDOWS).collect();
        windows.reverse();
        let mut loads: Vec<Range<i64>> = Vec::new();
        let length_ns = self.length_ns();
        let is_cold = |start_ns: &&i64| {
            let entry = self.entries.get(start_ns);
            entry.is_some_and(|entry| entry.window.is_none())
        };
        for &start_ns in windows.iter().filter(is_cold) {
            let end_ns = start_ns.saturating_add(length_ns);
            match loads.last_mut() {
                Some(last) if last.end == start_ns && end_ns - last.start <= length_ns * LOAD_WINDOWS as i64 => {
                    last.end = end_ns;
                }
                _ => loads.push(start_ns..end_ns),
            }
        }
        Batch { windows, loads }
    }

    /// Takes in what was loaded of a range that [`Ledger::next_batch`] asked for.
    ///
    /// # Errors
    /// If something cannot be read; what came before it is taken in.
    pub fn load(
        &mut self,
        range: &Range<i64>,
        windows: Vec<StoredWindow>,
        pieces: &[StoredPiece],
    ) -> Result<(), Unreadable> {
        let (shape, version) = (Arc::clone(&self.terms.shape), self.task.version);
        for stored in windows {
            let start_ns = stored.window_ns;
            if self.entries.get(&start_ns).is_none_or(|entry| entry.window.is_some()) {
                continue;
            }
            let from = pieces.partition_point(|piece| piece.window_ns < start_ns);
            let to = pieces.partition_point(|piece| piece.window_ns <= start_ns);
            let window = Window::load(&shape, version, stored, &pieces[from..to])?;
            self.warm(start_ns, window);
        }
        // What the store does not have any more was removed by age: it begins anew.
        let missing: Vec<i64> = self
            .entries
            .range(range.clone())
            .map(|(start_ns, _)| *start_ns)
            .collect();
        for start_ns in missing {
            if self.entries.get(&start_ns).is_some_and(|entry| entry.window.is_none()) {
                self.warm(start_ns, Window::new(start_ns));
            }
        }
        Ok(())
    }

    /// Makes a window hot, with what came meanwhile.
    fn warm(&mut self, start_ns: i64, mut window: Window) {
        let shape = Arc::clone(&self.terms.shape);
        let Some(entry) = self.entries.get_mut(&start_ns) else {
            return;
        };
        if let Some(published) = window.published() {
            entry.proofs = published.proofs.clone();
            entry.state = Some(published.header.state);
            entry.inventory_version = published.header.inventory_version;
        }
        entry.is_closed = window.is_closed();
        if let Some(unwritten) = entry.unwritten.take() {
            window.take_over(*unwritten);
        }
        for host in std::mem::take(&mut entry.pardoned) {
            window.pardon(&host);
        }
        for (host, cell) in std::mem::take(&mut entry.waiting) {
            window.take(&shape, &host, cell);
        }
        entry.window = Some(Box::new(window));
    }

    /// What the windows of a batch would say now. Those that are not loaded, or whose inventory is not known, are left
    /// out and stay to be done.
    pub fn drafts(&self, batch: &Batch, now_ns: i64) -> Vec<Draft> {
        let ground = self.ground(now_ns);
        let ready = |start_ns: &i64| {
            let entry = self.entries.get(start_ns)?;
            let is_known = entry.inventory_version.is_none_or(|version| self.knows_roll(version));
            entry.window.as_ref().filter(|_| is_known)
        };
        let windows = batch.windows.iter().filter_map(ready);
        windows.map(|window| window.draft(&ground)).collect()
    }

    fn ground(&self, now_ns: i64) -> Ground<'_> {
        Ground {
            now_ns,
            length_ns: self.length_ns(),
            grace_ns: self.terms.grace_ns,
            horizon_ns: self.task.horizon_ns,
            inventory: &self.inventory,
            rolls: &self.rolls,
            timelines: &self.timelines,
            origins: &self.origins,
            askers: &self.askers,
            asked: &self.asked,
        }
    }

    /// What is to be written; windows of which the store has all are done with.
    pub fn changes(&mut self, finished: Vec<Finished>) -> Vec<(WindowWrite, Change)> {
        let (version, epoch) = (self.task.version, self.task.epoch);
        let shape = Arc::clone(&self.terms.shape);
        let mut changes = Vec::new();
        for finished in finished {
            let (start_ns, due_ns) = (finished.start_ns, finished.due_ns());
            let Some(window) = self.entries.get_mut(&start_ns).and_then(|entry| entry.window.as_mut()) else {
                continue;
            };
            match window.change(&shape, finished, version, epoch) {
                Some(change) => changes.push((self.write(start_ns, &change), change)),
                None => {
                    self.dirty.remove(&start_ns);
                    self.settle(start_ns);
                }
            }
            self.set_due(start_ns, due_ns);
        }
        changes
    }

    fn write(&self, start_ns: i64, change: &Change) -> WindowWrite {
        WindowWrite {
            monitor: self.task.monitor.clone(),
            window_ns: start_ns,
            length_ns: self.length_ns(),
            fence: change.published.fence,
            done: change.published.done,
            header: crate::stored::encode(&change.published.header),
            body: change.published.body.clone(),
            pieces: change.pieces.clone(),
        }
    }

    /// The store has a change.
    pub fn written(&mut self, start_ns: i64, change: Change) {
        if !change.is_part() {
            self.dirty.remove(&start_ns);
        }
        self.note_newest(start_ns, &change.published.header);
        let Some(entry) = self.entries.get_mut(&start_ns) else {
            return;
        };
        entry.is_stored = true;
        entry.is_closed = change.published.done;
        entry.state = Some(change.state());
        entry.inventory_version = change.published.header.inventory_version;
        entry.proofs = change.published.proofs.clone();
        let is_part = change.is_part();
        if let Some(window) = entry.window.as_mut() {
            window.written(change);
        }
        if !is_part {
            self.settle(start_ns);
        }
    }

    /// The store has something else of a window than was thought: it is to be read again before it is written.
    pub fn outrun(&mut self, start_ns: i64) {
        if let Some(entry) = self.entries.get_mut(&start_ns) {
            entry.unwritten = entry.window.take();
            entry.is_stored = true;
            self.dirty.insert(start_ns);
        }
    }

    /// What is settled and written leaves memory; what is done is forgotten.
    fn settle(&mut self, start_ns: i64) {
        let Some(entry) = self.entries.get_mut(&start_ns) else {
            return;
        };
        if entry.is_closed {
            self.set_due(start_ns, None);
            self.entries.remove(&start_ns);
            self.mark_done(start_ns);
        } else if entry.state == Some(WindowState::Settled) {
            entry.window = None;
        }
    }

    /// Sends windows out of memory, the oldest first, until what stays is within its bounds. Call it after a batch.
    pub fn trim(&mut self) {
        let hot = || {
            self.entries
                .iter()
                .filter_map(|(start_ns, entry)| Some((*start_ns, entry.window.as_ref()?)))
        };
        let mut bytes: usize = hot().map(|(_, window)| window.memory_bytes()).sum();
        let mut count = hot().count();
        let idle = hot().filter(|(start_ns, window)| window.published().is_some() && !self.dirty.contains(start_ns));
        let mut out = Vec::new();
        for (start_ns, window) in idle {
            if bytes <= HOT_BYTES_MAX && count <= HOT_WINDOWS_MAX {
                break;
            }
            bytes -= window.memory_bytes();
            count -= 1;
            out.push(start_ns);
        }
        for start_ns in out {
            if let Some(entry) = self.entries.get_mut(&start_ns) {
                entry.window = None;
            }
        }
        let oldest_ns = self.entries.keys().next().copied().unwrap_or(self.cursor_ns);
        self.timelines.retain(|_, timeline| {
            timeline.forget_before(oldest_ns.min(self.cursor_ns));
            !timeline.is_empty()
        });
        let named: BTreeSet<u64> = self
            .entries
            .values()
            .filter_map(|entry| entry.inventory_version)
            .collect();
        self.rolls.retain(|version, _| named.contains(version));
    }

    /// Windows in memory.
    pub fn hot_windows(&self) -> usize {
        self.entries.values().filter(|entry| entry.window.is_some()).count()
    }

    fn note_newest(&mut self, start_ns: i64, header: &StoredHeader) {
        if header.state != WindowState::Open && Some(start_ns) >= self.newest_ns {
            self.newest_ns = Some(start_ns);
            self.overflow.clone_from(&header.overflow);
        }
    }

    /// Which columns made more groups in the newest window than are kept.
    pub fn overflow(&self) -> Option<&Overflow> {
        self.overflow.as_ref()
    }

    /// Start of the newest window that is provisional or settled.
    pub fn newest_ns(&self) -> Option<i64> {
        self.newest_ns
    }

    /// Cells that were nobody's window, since the start.
    pub fn misplaced(&self) -> u64 {
        self.misplaced
    }

    /// How many windows are below 100 % and not given up, and the newest of them.
    pub fn below(&self) -> (u64, Vec<BelowWindow>) {
        let closed = self.entries.iter().rev();
        let closed = closed.filter(|(_, entry)| entry.state.is_some_and(|state| state != WindowState::Open));
        let mut count = 0;
        let mut newest = Vec::new();
        for (start_ns, entry) in closed.filter(|(_, entry)| !entry.is_closed) {
            let hosts: Hosts = hosts_of(&entry.proofs);
            if hosts.percent().is_none_or(|percent| percent == 100) {
                continue;
            }
            count += 1;
            if newest.len() < BELOW_MAX {
                newest.push(BelowWindow {
                    window_ns: *start_ns,
                    ok: hosts.ok,
                    expected: hosts.expected(),
                    missing: hosts.missing,
                    is_settled: entry.state == Some(WindowState::Settled),
                });
            }
        }
        (count, newest)
    }

    /// Whether nothing more is to be read of a host for a window, as far as was published.
    fn is_proved(state: HostState, stage: Option<Stage>) -> bool {
        (state.settles() && stage == Some(Stage::Settled)) || state.is_for_good()
    }
}

/// The first multiple of `length_ns` at or behind a time.
fn aligned_up(time_ns: i64, length_ns: i64) -> i64 {
    let past_ns = time_ns.rem_euclid(length_ns);
    if past_ns == 0 {
        time_ns
    } else {
        time_ns.saturating_add(length_ns - past_ns)
    }
}
