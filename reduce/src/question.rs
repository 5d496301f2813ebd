//! A question to logs while it is answered: what its hosts have said so far, as windows that could be stored.
//!
//! It does no I/O and knows no clock. Windows are judged and merged by the code that answers for monitors, as they were
//! when the question was asked: a host that has not answered is `open` until it has, so completeness only rises, and an
//! answer at 100 % is what a monitor of the same definition would have stored.

use crate::candidates::Candidates;
use crate::inventory::Inventory;
use crate::origins::Origins;
use crate::protocol::{HostTrouble, InventorySpan};
use crate::terms::Terms;
use crate::timeline::{Source, Timeline};
use crate::window::{Asked, Draft, Finished, Ground, Window};
use map::plan::Shape;
use map::protocol::{HostReport, HostTarget};
use map::state::StateKind;
use map::verdict::{HostState, Stage, VerdictRun};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use store::StoredWindow;

/// Bytes of logs that are read for one question: what ten Maps read in some minutes. Less may be asked for.
pub const BYTES_MAX: u64 = 64 << 30;
/// Bytes of one host's log that are read for one question, so that one large log leaves some to others.
pub const HOST_BYTES_MAX: u64 = 4 << 30;
/// Most windows of one question: minutes of three days, or seconds of an hour. All are merged anew as hosts answer.
pub const WINDOWS_MAX: u64 = 4_500;
/// Most verdicts that are looked at to say how a question stands: hosts by windows.
pub const VERDICTS_MAX: u64 = 8_000_000;
/// About the most bytes of what hosts counted that are kept for one question; hosts beyond are `over_budget`.
pub const CELLS_BYTES_MAX: usize = 128 << 20;

/// Most hosts of which an answer names what is wrong; all are counted in each of its windows.
pub const TROUBLES_MAX: usize = 1_000;

/// The only asker there is, as [`Ground`] counts them.
const ASKER: u32 = 0;

/// What was heard for a question.
#[derive(Debug)]
pub struct Tally {
    terms: Terms,
    range: Range<i64>,
    asked_ns: i64,
    inventory: Inventory,
    windows: Vec<Window>,
    timelines: BTreeMap<Arc<str>, Timeline>,
    origins: Origins,
    askers: BTreeMap<Arc<str>, u32>,
    asked: BTreeMap<u32, Asked>,
    /// Hosts that are to be asked and have not answered.
    unheard: BTreeMap<Arc<str>, HostTarget>,
    cells_bytes: usize,
    /// Of a question for records, those that may still be among the ones that are wanted.
    kept: Option<Candidates>,
}

impl Tally {
    /// A question about the windows that start in `range`, asked at `asked_ns`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(terms: Terms, range: Range<i64>, spans: &[InventorySpan], asked_ns: i64) -> Result<Self, String> {
        let length_ns = terms.shape.window_ns;
        let is_aligned = |ns: i64| ns.rem_euclid(length_ns) == 0;
        if !is_aligned(range.start) || !is_aligned(range.end) {
            return Err("its range does not begin and end where windows do".to_owned());
        }
        let inventory = Inventory::new(spans);
        let unheard = expected(&inventory, &range);
        let count = (range.end.saturating_sub(range.start) / length_ns).max(0) as u64;
        if count > WINDOWS_MAX {
            return Err(format!(
                "it is about {count} windows, at most {WINDOWS_MAX} are allowed: ask for a shorter range, or a longer \
                 `every`"
            ));
        }
        if count.saturating_mul(unheard.len() as u64) > VERDICTS_MAX {
            let hosts = unheard.len();
            return Err(format!(
                "it is about {count} windows of {hosts} hosts, at most {VERDICTS_MAX} together are allowed: ask for a \
                 shorter range, or a longer `every`"
            ));
        }
        let kept = terms.shape.kinds.iter().find_map(|kind| match kind {
            StateKind::Records(keep) => Some(Candidates::new(*keep)),
            _ => None,
        });
        let starts = (0..count).map(|index| range.start + index as i64 * length_ns);
        let asked = Asked {
            since_ns: asked_ns,
            unreachable: None,
        };
        Ok(Self {
            windows: starts.map(Window::new).collect(),
            askers: unheard.keys().map(|host| (Arc::clone(host), ASKER)).collect(),
            asked: BTreeMap::from([(ASKER, asked)]),
            terms,
            range,
            asked_ns,
            inventory,
            timelines: BTreeMap::new(),
            origins: Origins::default(),
            unheard,
            cells_bytes: 0,
            kept,
        })
    }

    /// What the counts mean.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.terms.shape
    }

    /// Starts of the windows.
    pub fn range(&self) -> &Range<i64> {
        &self.range
    }

    /// Hosts that are to be asked and have not answered, by name.
    pub fn unheard(&self) -> impl ExactSizeIterator<Item = &HostTarget> {
        self.unheard.values()
    }

    /// About how many bytes of what hosts counted are held.
    #[cfg(test)]
    pub(crate) fn cells_bytes(&self) -> usize {
        self.cells_bytes
    }

    /// Takes in what was read of a host: all that it has of the windows.
    pub fn take(&mut self, mut report: HostReport) {
        let host: Arc<str> = report.host.as_str().into();
        let Some(target) = self.unheard.remove(&host) else {
            return;
        };
        self.origins.note(&host, &target.address, report.origin);
        if let Some(kept) = &mut self.kept {
            self.cells_bytes = self
                .cells_bytes
                .saturating_sub(kept.narrow(&mut report, &mut self.windows));
        }
        let bytes: usize = report.cells.iter().map(|cell| cell.partial.memory_bytes()).sum();
        if self.cells_bytes + bytes > CELLS_BYTES_MAX {
            let mib = CELLS_BYTES_MAX >> 20;
            let why = format!("the groups of all hosts would take over {mib} MiB: group by less");
            return self.say(&host, HostState::OverBudget, why);
        }
        if report.verdicts.is_empty() {
            let why = "its map said nothing of it".to_owned();
            return self.say(&host, HostState::Timeout, why);
        }
        self.cells_bytes += bytes;
        let (shape, start_ns) = (Arc::clone(&self.terms.shape), self.range.start);
        for cell in std::mem::take(&mut report.cells) {
            let past_ns = cell.window_ns.saturating_sub(start_ns);
            let is_start = past_ns.rem_euclid(shape.window_ns) == 0;
            let place = usize::try_from(past_ns.div_euclid(shape.window_ns)).ok();
            if let Some(window) = place.filter(|_| is_start).and_then(|place| self.windows.get_mut(place)) {
                window.take(&shape, &host, cell);
            }
        }
        self.hear(&host, &report.verdicts);
    }

    /// Notes why a host was not read.
    pub fn give_up(&mut self, host: &str, state: HostState, why: String) {
        if let Some((host, _)) = self.unheard.remove_entry(host) {
            self.say(&host, state, why);
        }
    }

    fn say(&mut self, host: &Arc<str>, state: HostState, why: String) {
        let run = VerdictRun {
            from_ns: self.range.start,
            to_ns: self.range.end,
            state,
            stage: Stage::Provisional,
            detail: Some(why),
        };
        self.hear(host, &[run]);
    }

    fn hear(&mut self, host: &Arc<str>, runs: &[VerdictRun]) {
        if self.range.is_empty() {
            return;
        }
        let timeline = self.timelines.entry(Arc::clone(host)).or_default();
        timeline.take(self.range.clone(), runs, Source::Reread);
    }

    /// What all windows would say now, before their groups are merged.
    pub fn drafts(&self) -> Vec<Draft> {
        let rolls = BTreeMap::new();
        let ground = Ground {
            now_ns: self.asked_ns,
            length_ns: self.terms.shape.window_ns,
            grace_ns: self.terms.grace_ns,
            horizon_ns: i64::MAX,
            inventory: &self.inventory,
            rolls: &rolls,
            timelines: &self.timelines,
            origins: &self.origins,
            askers: &self.askers,
            asked: &self.asked,
        };
        self.windows.iter().map(|window| window.draft(&ground)).collect()
    }

    /// Windows that were merged, as they would be stored.
    pub fn windows(&self, finished: Vec<Finished>, revision: u64) -> Vec<StoredWindow> {
        let place = (self.terms.shape.window_ns, revision);
        let windows = finished.into_iter();
        // The version is of no weight: there is but one.
        windows.map(|finished| finished.into_unstored(0, place)).collect()
    }
}

/// What is wrong with hosts, by host and state.
pub fn troubles(windows: &[Finished]) -> Vec<HostTrouble> {
    let mut troubles: BTreeMap<(&str, HostState), HostTrouble> = BTreeMap::new();
    for (host, verdict) in windows.iter().flat_map(Finished::troubles) {
        let is_full = troubles.len() >= TROUBLES_MAX;
        match troubles.get_mut(&(host, verdict.state)) {
            Some(trouble) => trouble.windows += 1,
            None if is_full => {}
            None => {
                let trouble = HostTrouble {
                    host: host.to_owned(),
                    state: verdict.state,
                    detail: verdict.detail.as_deref().map(str::to_owned),
                    windows: 1,
                };
                troubles.insert((host, verdict.state), trouble);
            }
        }
    }
    troubles.into_values().collect()
}

/// Who is expected in any of the windows, by name, as the newest of their spans has it. The second host of an address
/// is a duplicate, and never counted.
fn expected(inventory: &Inventory, range: &Range<i64>) -> BTreeMap<Arc<str>, HostTarget> {
    let first = inventory.at(range.start).map(|roll| (roll.from_ns, roll.version));
    let rolls = inventory.rolls();
    let in_force = rolls.filter(|roll| first <= Some((roll.from_ns, roll.version)) && roll.from_ns < range.end);
    let mut hosts = BTreeMap::new();
    for roll in in_force {
        for (place, target) in roll.hosts.iter().enumerate() {
            if roll.duplicate_of(place).is_none() {
                hosts.insert(Arc::from(target.host.as_str()), target.clone());
            }
        }
    }
    hosts
}
