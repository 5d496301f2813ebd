//! One window while it is worked on: its cells, who is ok, and what it would say if it were published now.
//!
//! A function of what was told: no clock, no network, no store. What was published before is an argument like all
//! else, so that an owner that starts anew goes on where the last one stopped (M4).
//!
//! The rules, in the order in which they are applied to each expected host:
//! 1. a host that was refused a cell, that left within the window, or that another host duplicates, is not ok;
//! 2. a Map's word that it is ok is taken, unless bytes were recorded as lost and another memory than the one that
//!    recorded it says so;
//! 3. a Map's word that withdraws is taken: then what was published as the host's stays, and is listed (M1);
//! 4. else a host that was published as ok, as withdrawn, or as having lost bytes, stays so, whatever is said;
//! 5. else a Map's word is taken; if there is none, what was published; if there is none, it is open for a while.
//!
//! A window is done, and its pieces are dropped, once it is settled at 100 % and [`PIECES_KEPT_NS`] old, or past the
//! repair horizon. From then on its value stays: what still comes of a host takes its ok back, with the reason, and no
//! host that was not ok becomes so. `done` costs one more revision, since only a revision is written.

mod judge;

use crate::completeness::Hosts;
use crate::overflow::Overflow;
use crate::pieces::{Piece, Proofs, StoredCell, cell_row, proofs_row};
use crate::point::{Flag, WindowState};
use crate::publish;
use crate::stored::{HostTable, StoredBody, StoredHeader, Unreadable, decode, encode};
use map::groups::GROUPS_KEPT;
use map::kept::{Kept as KeptRecords, drop_beyond};
use map::partial::{Losses, WindowPartial};
use map::plan::Shape;
use map::protocol::{Cell, CellVersion};
use map::verdict::HostState;
use map::wire::WirePartial;
use mutant::Mutant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{Fence, PieceChange, PieceRow, StoredPiece, StoredWindow};

pub use judge::{Asked, Ground, Judgement, PATIENCE_NS, PIECES_KEPT_NS, Verdict, is_withdrawal};

/// Most cells of a window: the hosts of the largest application, with several generations each.
pub const CELLS_MAX: usize = 100_000;

/// About the most bytes of a window's cells: the store answers them in one frame, which may take twice as many.
pub const PIECES_BYTES_MAX: usize = 15 << 20;
/// About the most bytes of one cell: it is written in one piece, beside a body.
pub const CELL_BYTES_MAX: usize = 5 << 20;
/// About the most bytes of a window's groups: over it more of them are folded, which is flagged.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// About the most bytes of cells in one write; more go in several.
const ROWS_BYTES_MAX: usize = 5 << 20;

/// Which cell: a generation of a host's log.
pub type CellKey = (Arc<str>, u64);

/// A cell that is kept.
#[derive(Debug, Clone)]
struct Kept {
    version: CellVersion,
    ambiguous: bool,
    partial: Arc<WindowPartial>,
    bytes: usize,
    /// Whether the store has it.
    saved: bool,
}

/// What the store has of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// By which fence.
    pub fence: Fence,
    /// Whether it needs nobody's attention any more.
    pub done: bool,
    /// The header.
    pub header: StoredHeader,
    /// The groups, encoded.
    pub body: Vec<u8>,
    /// How far each host was proved.
    pub proofs: Proofs,
}

/// What became of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is kept, and says something new.
    New,
    /// What it says is known.
    Known,
    /// It cannot be counted, which its host shows from now on.
    Refused,
}

/// A window while it is worked on.
#[derive(Debug, Clone, Default)]
pub struct Window {
    start_ns: i64,
    cells: BTreeMap<CellKey, Kept>,
    /// Their bytes in memory, about.
    cells_bytes: usize,
    /// Hosts of which something could not be taken, and why.
    refused: BTreeMap<Arc<str>, String>,
    /// Hosts whose cells changed since the last publication.
    touched: BTreeSet<Arc<str>>,
    published: Option<Published>,
    /// The revision that the store is known to have. What is written has exactly the next one: if anybody else wrote in
    /// between, the store refuses it, and what is there is read first (M4).
    revision: u64,
    /// Which cells the published body was made of, if that is known.
    counted: Option<Vec<CellKey>>,
}

/// What a window would say, before its groups are merged.
#[derive(Debug)]
pub struct Draft {
    /// The window.
    pub start_ns: i64,
    judgement: Judgement,
    counted: Option<Vec<CellKey>>,
    sum: Sum,
}

#[derive(Debug)]
enum Sum {
    /// As it was published.
    Published(Merged),
    /// These cells.
    Cells {
        partials: Vec<Arc<WindowPartial>>,
        ambiguous: bool,
        profile_version: u32,
    },
}

/// The groups of a window, merged the last time.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    body: Vec<u8>,
    records: u64,
    lost: Losses,
    flags: Vec<Flag>,
    overflow: Option<Overflow>,
    profile_version: u32,
}

impl Draft {
    /// Merges the cells. This is where the work is: it may run on any thread.
    pub fn merge(self, shape: &Shape) -> Finished {
        let merged = match self.sum {
            Sum::Published(merged) => merged,
            Sum::Cells {
                partials,
                ambiguous,
                profile_version,
            } => merge(shape, &partials, ambiguous, profile_version),
        };
        Finished {
            start_ns: self.start_ns,
            judgement: self.judgement,
            counted: self.counted,
            merged,
        }
    }
}

fn merge(shape: &Shape, partials: &[Arc<WindowPartial>], ambiguous: bool, profile_version: u32) -> Merged {
    let mut whole = WindowPartial::new(&shape.kinds, GROUPS_KEPT);
    partials.iter().for_each(|partial| whole.merge(partial));
    let (shown, body) = shown(shape, &whole);
    let is_folded = shape.is_grouped() && shown.groups.folded().is_some();
    let flags = [
        (is_folded, Flag::GroupsFolded),
        (ambiguous, Flag::AmbiguousTime),
        (!publish::is_sound(shape, &shown), Flag::Poisoned),
        (shape.is_by_arrival, Flag::ArrivalTime),
    ];
    Merged {
        records: shown.records,
        lost: shown.lost,
        body,
        flags: flags.into_iter().filter(|(is, _)| *is).map(|(_, flag)| flag).collect(),
        overflow: Overflow::of(&shape.group_names, &whole.groups, shown.groups.len()),
        profile_version,
    }
}

/// The groups as they are shown, and encoded: so few that they fit into a body.
fn shown(shape: &Shape, whole: &WindowPartial) -> (WindowPartial, Vec<u8>) {
    let mut groups_max = shape.answer_groups.max(1);
    loop {
        let shown = publish::limited_to(shape, whole, groups_max);
        let partial = WirePartial::from(&shown);
        let body = encode(&StoredBody { partial });
        let groups = shown.groups.len();
        if body.len() <= BODY_BYTES_MAX || groups <= 1 {
            return (shown, body);
        }
        // A tenth less than what would fit if all groups were of one size.
        let fitting = groups as u128 * BODY_BYTES_MAX as u128 * 9 / (body.len() as u128 * 10);
        groups_max = (fitting as usize).clamp(1, groups - 1);
    }
}

/// What a window says now.
#[derive(Debug)]
pub struct Finished {
    /// The window.
    pub start_ns: i64,
    judgement: Judgement,
    counted: Option<Vec<CellKey>>,
    merged: Merged,
}

impl Finished {
    /// When it is to be looked at again, if nothing is told before.
    pub fn due_ns(&self) -> Option<i64> {
        self.judgement.due_ns
    }

    /// Hosts that are neither ok nor open, with why.
    pub fn troubles(&self) -> impl Iterator<Item = (&str, &Verdict)> {
        self.judgement.troubles()
    }

    /// The window as it would be stored, for an answer that nobody stores.
    pub fn into_unstored(self, monitor_version: u64, (length_ns, revision): (i64, u64)) -> StoredWindow {
        StoredWindow {
            window_ns: self.start_ns,
            length_ns,
            fence: Fence { epoch: 0, revision },
            done: self.judgement.done,
            header: encode(&self.judgement.header(monitor_version, &self.merged)),
            body: self.merged.body,
        }
    }
}

/// What is to be written of a window.
#[derive(Debug)]
pub struct Change {
    /// What the store has once it is written.
    pub published: Published,
    /// What becomes of its pieces.
    pub pieces: PieceChange,
    counted: Option<Vec<CellKey>>,
    saved: Vec<CellKey>,
    /// Whether it only brings cells into the store, and what they say is still to be written.
    is_part: bool,
}

impl Window {
    /// A window of which the store has nothing.
    pub fn new(start_ns: i64) -> Self {
        Self {
            start_ns,
            ..Self::default()
        }
    }

    /// A window as the store has it. Pieces of another monitor's version are left aside, and so is a header of one:
    /// then only its revision counts.
    ///
    /// # Errors
    /// If something cannot be read.
    pub fn load(shape: &Shape, version: u64, stored: StoredWindow, pieces: &[StoredPiece]) -> Result<Self, Unreadable> {
        let mut window = Self::new(stored.window_ns);
        window.revision = stored.fence.revision;
        if mutant::is(Mutant::BetterHeaderOverwritten) {
            return Ok(window);
        }
        let header: StoredHeader = decode("header", &stored.header)?;
        let mut proofs = None;
        for piece in pieces {
            match crate::pieces::read(&piece.row, version)? {
                Some(Piece::Proofs(read)) => proofs = Some(read),
                Some(Piece::Cell { host, generation, cell }) => window.restore(shape, host, generation, cell)?,
                None => {}
            }
        }
        if header.monitor_version == version {
            window.published = Some(Published {
                fence: stored.fence,
                done: stored.done,
                // Where pieces are gone, the header says all that is known.
                proofs: proofs
                    .unwrap_or_else(|| Proofs::new(version, header.hosts.states().map(|(state, _)| (state, None)))),
                header,
                body: stored.body,
            });
        }
        Ok(window)
    }

    fn restore(&mut self, shape: &Shape, host: String, generation: u64, cell: StoredCell) -> Result<(), Unreadable> {
        let bytes = cell.partial.memory_bytes();
        let partial = cell.partial.into_partial(&shape.kinds, GROUPS_KEPT);
        let kept = Kept {
            version: cell.version,
            ambiguous: cell.ambiguous,
            partial: Arc::new(partial.map_err(|error| Unreadable {
                what: "piece",
                why: error.to_string(),
            })?),
            bytes,
            saved: true,
        };
        self.cells_bytes += bytes;
        self.cells.insert((host.into(), generation), kept);
        Ok(())
    }

    /// Its start.
    pub fn start_ns(&self) -> i64 {
        self.start_ns
    }

    /// What the store has of it.
    pub fn published(&self) -> Option<&Published> {
        self.published.as_ref()
    }

    /// Whether anything was read of it.
    pub fn has_cells(&self) -> bool {
        !self.cells.is_empty()
    }

    /// Drops what was kept of records beyond a horizon; so many bytes less are held, about.
    pub(crate) fn drop_beyond(&mut self, horizon_nanos: i64) -> usize {
        let mut less = 0;
        for cell in self.cells.values_mut() {
            let partial = Arc::make_mut(&mut cell.partial);
            let bytes = |partial: &WindowPartial| partial.groups.kept().map(KeptRecords::memory_bytes).sum::<usize>();
            let before = bytes(partial);
            drop_beyond(partial.groups.kept_mut(), horizon_nanos);
            let dropped = before.saturating_sub(bytes(partial)).min(cell.bytes);
            cell.bytes -= dropped;
            less += dropped;
        }
        self.cells_bytes = self.cells_bytes.saturating_sub(less);
        less
    }

    /// Bytes of its cells in memory, about.
    pub fn memory_bytes(&self) -> usize {
        let body = self.published.as_ref().map_or(0, |published| published.body.len());
        body + self.cells_bytes
    }

    /// Whether its pieces were dropped: nothing can be merged into it any more.
    pub fn is_closed(&self) -> bool {
        self.published.as_ref().is_some_and(|published| published.done)
    }

    /// Takes in a cell: of one generation the greater version replaces the less, generations add up (M1).
    pub fn take(&mut self, shape: &Shape, host: &Arc<str>, cell: Cell) -> Taken {
        let mut key = (Arc::clone(host), cell.generation);
        if mutant::is(Mutant::OverlapAccepted) {
            key.1 ^= cell.version.epoch;
        }
        if self.is_closed() {
            return self.refuse(
                host,
                "records came when the window's pieces were already dropped; back-fill it",
            );
        }
        let kept = self.cells.get(&key);
        if kept.is_some_and(|kept| kept.version >= cell.version) {
            return Taken::Known;
        }
        if kept.is_none() && self.cells.len() >= CELLS_MAX {
            let why = format!("the window has {CELLS_MAX} pieces, which is the most it may have");
            return self.refuse(host, &why);
        }
        let bytes = cell.partial.memory_bytes();
        if bytes > CELL_BYTES_MAX {
            let mib = CELL_BYTES_MAX >> 20;
            return self.refuse(
                host,
                &format!("its groups take over {mib} MiB, more than is kept: group by less"),
            );
        }
        let replaced = kept.map_or(0, |kept| kept.bytes);
        if self.cells_bytes - replaced + bytes > PIECES_BYTES_MAX {
            let mib = PIECES_BYTES_MAX >> 20;
            return self.refuse(
                host,
                &format!("the window's pieces would have over {mib} MiB: group by less"),
            );
        }
        let partial = match cell.partial.into_partial(&shape.kinds, GROUPS_KEPT) {
            Ok(partial) => Arc::new(partial),
            Err(error) => return self.refuse(host, &format!("its counts cannot be read: {error}")),
        };
        let is_known = kept.is_some_and(|kept| kept.partial == partial && kept.ambiguous == cell.ambiguous);
        let kept = Kept {
            version: cell.version,
            ambiguous: cell.ambiguous,
            partial,
            bytes,
            saved: false,
        };
        self.cells_bytes = self.cells_bytes - replaced + bytes;
        self.cells.insert(key, kept);
        if is_known {
            return Taken::Known;
        }
        self.touched.insert(Arc::clone(host));
        self.counted = None;
        Taken::New
    }

    /// All of a host is read anew: what was refused before counts no more.
    pub fn pardon(&mut self, host: &str) {
        if !self.is_closed() {
            self.refused.remove(host);
        }
    }

    /// Takes over what another owner's write kept this one's window from writing.
    pub fn take_over(&mut self, unwritten: Window) {
        self.refused.extend(unwritten.refused);
        for (key, kept) in unwritten.cells {
            if self.cells.get(&key).is_none_or(|ours| ours.version < kept.version) {
                self.touched.insert(Arc::clone(&key.0));
                self.cells_bytes += kept.bytes;
                let replaced = self.cells.insert(key, Kept { saved: false, ..kept });
                self.cells_bytes -= replaced.map_or(0, |replaced| replaced.bytes);
            }
        }
    }

    fn refuse(&mut self, host: &Arc<str>, why: &str) -> Taken {
        match self.refused.insert(Arc::clone(host), why.to_owned()) {
            None => Taken::Refused,
            Some(_) => Taken::Known,
        }
    }

    /// What it would say now.
    pub fn draft(&self, ground: &Ground<'_>) -> Draft {
        let judgement = self.judge(ground);
        let (counted, sum) = self.sum(&judgement);
        Draft {
            start_ns: self.start_ns,
            judgement,
            counted,
            sum,
        }
    }

    fn sum(&self, judgement: &Judgement) -> (Option<Vec<CellKey>>, Sum) {
        let counts = |(host, _): &CellKey| judgement.counts(host);
        let keys: Vec<CellKey> = self.cells.keys().filter(|key| counts(key)).cloned().collect();
        if let Some(published) = &self.published
            && (published.done || self.counted.as_ref() == Some(&keys))
        {
            let merged = Merged {
                body: published.body.clone(),
                records: published.header.records,
                lost: published.header.lost,
                flags: published.header.flags.clone(),
                overflow: published.header.overflow.clone(),
                profile_version: published.header.profile_version,
            };
            return (self.counted.clone(), Sum::Published(merged));
        }
        let cells: Vec<&Kept> = keys.iter().filter_map(|key| self.cells.get(key)).collect();
        let sum = Sum::Cells {
            partials: cells.iter().map(|kept| Arc::clone(&kept.partial)).collect(),
            ambiguous: cells.iter().any(|kept| kept.ambiguous),
            profile_version: cells.iter().map(|kept| kept.version.profile).max().unwrap_or(0),
        };
        (Some(keys), sum)
    }

    /// What is to be written so that the store says the same; `None` if it does already.
    pub fn change(&self, shape: &Shape, finished: Finished, monitor_version: u64, epoch: u64) -> Option<Change> {
        let Finished {
            judgement,
            counted,
            merged,
            ..
        } = finished;
        let header = judgement.header(monitor_version, &merged);
        let proofs = judgement.proofs(monitor_version);
        let done = self.is_closed() || judgement.done;
        let before = self.published.as_ref();
        let is_same = before.is_some_and(|before| {
            (&before.header, &before.body, &before.proofs, before.done) == (&header, &merged.body, &proofs, done)
        });
        if is_same && self.touched.is_empty() {
            return None;
        }
        let fence = Fence {
            epoch,
            revision: self.revision + 1,
        };
        let published = Published {
            fence,
            done,
            header,
            body: merged.body,
            proofs,
        };
        if done {
            return Some(Change::whole(published, PieceChange::Drop, counted, Vec::new()));
        }
        let (saved, mut rows, is_part) = self.unsaved(monitor_version);
        if is_part {
            let published = self.part(shape, published);
            rows.extend(before.is_none().then(|| proofs_row(&published.proofs)));
            let pieces = PieceChange::Upsert(rows);
            let is_part = true;
            return Some(Change {
                is_part,
                ..Change::whole(published, pieces, None, saved)
            });
        }
        if before.is_none_or(|before| before.proofs != published.proofs) {
            rows.push(proofs_row(&published.proofs));
        }
        Some(Change::whole(published, PieceChange::Upsert(rows), counted, saved))
    }

    /// Cells that the store does not have, as many as fit into one write, and whether there are more.
    fn unsaved(&self, monitor_version: u64) -> (Vec<CellKey>, Vec<PieceRow>, bool) {
        let (mut keys, mut rows, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (key, kept) in self.cells.iter().filter(|(_, kept)| !kept.saved) {
            if bytes > 0 && bytes + kept.bytes > ROWS_BYTES_MAX {
                return (keys, rows, true);
            }
            bytes += kept.bytes;
            keys.push(key.clone());
            rows.push(cell_row(&key.0, key.1, &kept.stored(monitor_version)));
        }
        (keys, rows, false)
    }

    /// What is said while only a part of the cells is in the store: what was said before, and if there is nothing of
    /// the kind, that all is open.
    fn part(&self, shape: &Shape, wanted: Published) -> Published {
        if let Some(before) = &self.published {
            let fence = wanted.fence;
            return Published {
                fence,
                ..before.clone()
            };
        }
        let open = || wanted.proofs.states().map(|_| HostState::Open);
        let nothing = merge(shape, &[], false, 0);
        Published {
            proofs: Proofs::new(wanted.proofs.monitor_version, open().map(|state| (state, None))),
            header: StoredHeader {
                state: WindowState::Open,
                hosts: HostTable::new(open().map(|state| (state, None))),
                records: nothing.records,
                lost: nothing.lost,
                flags: nothing.flags,
                overflow: nothing.overflow,
                withdrawn: Vec::new(),
                ..wanted.header
            },
            body: nothing.body,
            ..wanted
        }
    }

    /// The store has the change. What was taken in since it was made is still to come.
    pub fn written(&mut self, change: Change) {
        for key in &change.saved {
            if let Some(kept) = self.cells.get_mut(key) {
                kept.saved = true;
            }
        }
        if !change.is_part {
            self.touched.clear();
            self.counted = change.counted;
        }
        self.revision = change.published.fence.revision;
        self.published = Some(change.published);
    }
}

impl Kept {
    fn stored(&self, monitor_version: u64) -> StoredCell {
        StoredCell {
            monitor_version,
            version: self.version,
            ambiguous: self.ambiguous,
            partial: WirePartial::from(&*self.partial),
        }
    }
}

/// How many hosts are ok, and how many are not, by state.
pub fn hosts_of(proofs: &Proofs) -> Hosts {
    let mut hosts = Hosts::default();
    for &(count, state, _) in &proofs.runs {
        hosts.add_many(state, u64::from(count));
    }
    hosts
}

impl Change {
    fn whole(published: Published, pieces: PieceChange, counted: Option<Vec<CellKey>>, saved: Vec<CellKey>) -> Self {
        Self {
            published,
            pieces,
            counted,
            saved,
            is_part: false,
        }
    }

    /// Whether more is to be written of the window at once.
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// How final it is then.
    pub fn state(&self) -> WindowState {
        self.published.header.state
    }
}
