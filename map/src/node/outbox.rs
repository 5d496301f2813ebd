//! What a shard's Reduce has not acknowledged: cells and verdicts by host, kept until the store has them.
//!
//! Nothing is ever "sent": whatever is not acknowledged is handed out at each request anew, so a lost answer costs
//! nothing. A ticket only remembers which versions an answer held, and an acknowledgement removes exactly those; a cell
//! that changed meanwhile stays.
//!
//! Verdicts go out only together with every cell of their host. Otherwise a window could be called complete while
//! some of its bytes still wait here (C2). Where a host's cells don't fit into one answer, the parts before the last
//! carry what was last acknowledged of its verdicts.

use super::verdicts::{self, Missing};
use crate::protocol::{Cell, CellVersion, HostReport, KeptProfile};
use crate::verdict::{HostState, Stage, VerdictRun};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A host's content is handed out in one piece up to this, however little was asked for: it is what one busy window
/// of one host has at most in practice, and half of the smallest frame limit of a client.
const WHOLE_HOST_BYTES: usize = 4 << 20;
/// About the greatest content of an answer, whatever was asked for; half of what the node's frames take, since a cell
/// may take more bytes on the wire than in memory.
pub(super) const ANSWER_BYTES_MAX: usize = 32 << 20;
/// A cell over this is never handed out: no frame would take it. Its window is said to be over budget.
const CELL_BYTES_MAX: usize = 24 << 20;
/// Answers whose content is remembered. A Reduce has one or two requests under way; of older ones nothing is
/// acknowledged any more, and their content is handed out again.
const TICKETS_MAX: usize = 64;
/// Bytes of a host's profiles that are handed out in one answer, at least one profile: the rest comes with the next.
const PROFILES_BYTES: usize = 256 << 10;
/// What a verdict or a report takes beside its cells, about.
const REPORT_BYTES: usize = 128;

/// What was said of a host beside its cells.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) t_ns: i64,
    pub(super) origin: u64,
    pub(super) delay_ns: i64,
    pub(super) profile_version: u32,
    pub(super) verdicts: Vec<VerdictRun>,
}

impl Said {
    fn bytes(&self) -> usize {
        let details = self.verdicts.iter().filter_map(|run| run.detail.as_ref());
        REPORT_BYTES + self.verdicts.len() * size_of::<VerdictRun>() + details.map(String::len).sum::<usize>()
    }
}

/// One host's part of an answer, its cells still shared.
#[derive(Debug)]
pub(super) struct Part {
    host: String,
    said: Arc<Said>,
    cells: Vec<Arc<Cell>>,
    profiles: Vec<KeptProfile>,
}

impl Part {
    /// The report as it is sent. Cost: a copy of the cells.
    pub(super) fn into_report(self) -> HostReport {
        HostReport {
            host: self.host,
            t_ns: self.said.t_ns,
            origin: self.said.origin,
            delay_ns: self.said.delay_ns,
            profile_version: self.said.profile_version,
            cells: self.cells.into_iter().map(Arc::unwrap_or_clone).collect(),
            verdicts: self.said.verdicts.clone(),
            profiles: self.profiles,
        }
    }
}

/// What an answer holds.
#[derive(Debug)]
pub(super) struct HandedOut {
    pub(super) ticket: u64,
    pub(super) parts: Vec<Part>,
    pub(super) more: bool,
}

/// A cell as it is acknowledged: window, generation, version.
pub(super) type AckedCell = (i64, u64, CellVersion);

/// What an acknowledgement means for one host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) host: String,
    /// Cells that the store has.
    pub(super) cells: Vec<AckedCell>,
    /// Before this, the store has everything, and nothing more is expected.
    pub(super) settled_ns: Option<i64>,
}

/// A cell that waits.
#[derive(Debug)]
struct Waiting {
    cell: Arc<Cell>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct HostBox {
    /// By window and generation.
    cells: BTreeMap<(i64, u64), Waiting>,
    bytes: usize,
    said: Arc<Said>,
    /// Counts up whenever `said` changes.
    serial: u64,
    acked_serial: u64,
    acked: Arc<Said>,
    /// Windows with a cell that is too large for any frame.
    too_large: BTreeSet<i64>,
    /// Profiles that wait, the newest last.
    profiles: Vec<KeptProfile>,
}

impl HostBox {
    fn has_news(&self) -> bool {
        !self.cells.is_empty() || !self.profiles.is_empty() || self.serial != self.acked_serial
    }

    /// The oldest profiles that wait, as many as an answer takes.
    fn next_profiles(&self) -> &[KeptProfile] {
        let mut bytes = 0;
        let mut fits = |(place, profile): &(usize, &KeptProfile)| {
            bytes += profile.bytes();
            *place == 0 || bytes <= PROFILES_BYTES
        };
        let count = self.profiles.iter().enumerate().take_while(|next| fits(next)).count();
        &self.profiles[..count]
    }

    fn say(&mut self, said: Said) {
        self.said = Arc::new(said);
        self.serial += 1;
    }

    /// Takes a cell in unless a newer one waits; the bytes that this adds.
    fn put(&mut self, cell: Cell) {
        let key = (cell.window_ns, cell.generation);
        let waits = self.cells.get(&key);
        if waits.is_some_and(|waiting| waiting.cell.version >= cell.version) {
            return;
        }
        let bytes = size_of::<Cell>() + cell.partial.memory_bytes();
        self.take_out(key);
        if bytes > CELL_BYTES_MAX {
            self.too_large.insert(cell.window_ns);
            return;
        }
        self.bytes += bytes;
        let cell = Arc::new(cell);
        self.cells.insert(key, Waiting { cell, bytes });
    }

    fn take_out(&mut self, key: (i64, u64)) {
        if let Some(waiting) = self.cells.remove(&key) {
            self.bytes -= waiting.bytes;
        }
    }

    /// What is said, but for windows whose cells cannot be sent.
    fn shown(&self, window_ns: i64) -> Arc<Said> {
        if self.too_large.is_empty() {
            return Arc::clone(&self.said);
        }
        let mut said = (*self.said).clone();
        for &from_ns in &self.too_large {
            let over = VerdictRun {
                from_ns,
                to_ns: from_ns.saturating_add(window_ns),
                state: HostState::OverBudget,
                stage: Stage::Settled,
                detail: Some(format!(
                    "the window's groups take over {} MiB, more than is ever sent: group by less",
                    CELL_BYTES_MAX >> 20
                )),
            };
            said.verdicts = verdicts::overlay(&said.verdicts, &over);
        }
        Arc::new(said)
    }
}

/// The content of one host in one answer.
#[derive(Debug)]
struct Handed {
    host: String,
    cells: Vec<AckedCell>,
    /// Its verdicts and their serial, unless cells were left out.
    said: Option<(u64, Arc<Said>)>,
    profiles: Vec<KeptProfile>,
}

/// What a shard's Reduce has not acknowledged.
#[derive(Debug)]
pub(super) struct Outbox {
    window_ns: i64,
    hosts: BTreeMap<String, HostBox>,
    /// Hosts with something that is not acknowledged.
    news: BTreeSet<String>,
    /// The host that was handed out last: the next answer begins behind it.
    last: String,
    tickets: BTreeMap<u64, Vec<Handed>>,
    next_ticket: u64,
    held_bytes: usize,
    /// [`WHOLE_HOST_BYTES`], but for tests.
    whole_host_bytes: usize,
}

impl Outbox {
    /// An empty one. Tickets begin behind `base`, which must be greater than any ticket of an outbox that the same
    /// Reduce may still remember: an acknowledgement of another life must not be taken for one of this.
    pub(super) fn new(window_ns: i64, base: u64) -> Self {
        Self {
            window_ns,
            hosts: BTreeMap::new(),
            news: BTreeSet::new(),
            last: String::new(),
            tickets: BTreeMap::new(),
            next_ticket: base.saturating_add(1),
            held_bytes: 0,
            whole_host_bytes: WHOLE_HOST_BYTES,
        }
    }

    /// Bytes of cells that wait, about.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Forgets all other hosts.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let held = &mut self.held_bytes;
        self.hosts.retain(|host, held_box| {
            let kept = keep(host);
            if !kept {
                *held -= held_box.bytes;
            }
            kept
        });
        self.news.retain(|host| self.hosts.contains_key(host));
    }

    /// Takes a report in: newer cells replace older ones, its verdicts what was said from their first window on.
    pub(super) fn absorb(&mut self, report: HostReport) {
        let host = self.hosts.entry(report.host.clone()).or_default();
        let before = host.bytes;
        for cell in report.cells {
            host.put(cell);
        }
        for profile in report.profiles {
            profile.join(&mut host.profiles);
        }
        // What is acknowledged is the Reduce's; only what it has not seen must be said again.
        let kept: &[VerdictRun] = if host.serial == host.acked_serial {
            &[]
        } else {
            &host.said.verdicts
        };
        let runs = if report.verdicts.is_empty() {
            host.said.verdicts.clone()
        } else {
            verdicts::replace(kept, report.verdicts)
        };
        host.say(Said {
            t_ns: report.t_ns,
            origin: report.origin,
            delay_ns: report.delay_ns,
            profile_version: report.profile_version,
            verdicts: runs,
        });
        let first = host.said.verdicts.first().map(|run| run.from_ns);
        host.too_large
            .retain(|window| first.is_none_or(|first| *window >= first));
        self.held_bytes = self.held_bytes + host.bytes - before;
        self.news.insert(report.host);
    }

    /// Says of a host why its windows in `[from, to)` have no verdict; returns whether that is news.
    pub(super) fn fill(&mut self, host: &str, windows: (i64, i64), why: &Missing) -> bool {
        let entry = self.hosts.entry(host.to_owned()).or_default();
        let mut said = (*entry.said).clone();
        if !verdicts::fill(&mut said.verdicts, windows, why) {
            return false;
        }
        entry.say(said);
        self.news.insert(host.to_owned());
        true
    }

    /// What was said of a host's windows, acknowledged or not.
    pub(super) fn verdicts(&self, host: &str) -> &[VerdictRun] {
        self.hosts.get(host).map_or(&[], |host| &host.said.verdicts)
    }

    /// The end of the windows that were spoken of, acknowledged or not.
    pub(super) fn said_to(&self, host: &str) -> Option<i64> {
        let said = &self.hosts.get(host)?.said;
        said.verdicts.last().map(|run| run.to_ns)
    }

    /// The store has what the answer with this ticket held. Of answers before it nothing follows: they may have been
    /// lost, and what this one had no room for was handed out in them alone. A ticket that was never given is of
    /// another life of this shard, and nothing of it is believed.
    pub(super) fn ack(&mut self, ticket: u64) -> Vec<Acked> {
        let Some(handed) = self.tickets.remove(&ticket) else {
            return Vec::new();
        };
        // Who acknowledges one will not come back to those before it.
        self.tickets = self.tickets.split_off(&ticket);
        handed.into_iter().filter_map(|handed| self.ack_host(handed)).collect()
    }

    fn ack_host(&mut self, handed: Handed) -> Option<Acked> {
        let entry = self.hosts.get_mut(&handed.host)?;
        let before = entry.bytes;
        for (window_ns, generation, version) in &handed.cells {
            let key = (*window_ns, *generation);
            if entry
                .cells
                .get(&key)
                .is_some_and(|waiting| waiting.cell.version == *version)
            {
                entry.take_out(key);
            }
        }
        entry.profiles.retain(|waiting| !handed.profiles.contains(waiting));
        if let Some((serial, said)) = handed.said
            && serial > entry.acked_serial
        {
            (entry.acked_serial, entry.acked) = (serial, said);
        }
        self.held_bytes = self.held_bytes + entry.bytes - before;
        let settled = verdicts::settled_to(&entry.acked.verdicts);
        let waiting = entry.cells.keys().next().map_or(i64::MAX, |(window_ns, _)| *window_ns);
        if !entry.has_news() {
            self.news.remove(&handed.host);
        }
        Some(Acked {
            host: handed.host,
            cells: handed.cells,
            settled_ns: settled.map(|settled_ns| settled_ns.min(waiting)),
        })
    }

    /// Hands out about `bytes_max` of what is not acknowledged, hosts in turn; nothing if there is nothing.
    pub(super) fn hand_out(&mut self, bytes_max: usize) -> Option<HandedOut> {
        let bytes_max = bytes_max.min(ANSWER_BYTES_MAX);
        let behind = (Bound::Excluded(self.last.clone()), Bound::Unbounded);
        let turn = self.news.range::<String, _>(behind);
        let turn: Vec<&String> = turn.chain(self.news.range::<String, _>(..=&self.last)).collect();
        let (mut parts, mut record, mut left) = (Vec::new(), Vec::new(), bytes_max);
        let mut whole = 0;
        for name in &turn {
            let Some(host) = self.hosts.get(*name) else { continue };
            let profiles = host.next_profiles().iter().map(KeptProfile::bytes).sum::<usize>();
            let bytes = host.bytes + host.said.bytes() + profiles;
            if !parts.is_empty() && bytes > left {
                break;
            }
            let room = (bytes > left.max(self.whole_host_bytes)).then_some(left.max(1));
            let (part, handed) = take_part(name, host, self.window_ns, room);
            whole += usize::from(handed.said.is_some());
            parts.push(part);
            record.push(handed);
            left = left.saturating_sub(bytes);
        }
        let more = whole < turn.len();
        self.last = parts.last()?.host.clone();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.tickets.insert(ticket, record);
        if self.tickets.len() > TICKETS_MAX {
            self.tickets.pop_first();
        }
        Some(HandedOut { ticket, parts, more })
    }

    /// Whether there is something to hand out.
    pub(super) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }
}

/// All of a host; or its first cells, at least one, that have room, with the verdicts that were acknowledged last.
fn take_part(name: &str, host: &HostBox, window_ns: i64, room: Option<usize>) -> (Part, Handed) {
    let mut left = room.unwrap_or(usize::MAX);
    let mut cells: Vec<Arc<Cell>> = Vec::new();
    for waiting in host.cells.values() {
        if !cells.is_empty() && waiting.bytes > left {
            break;
        }
        left = left.saturating_sub(waiting.bytes);
        cells.push(Arc::clone(&waiting.cell));
    }
    let is_whole = cells.len() == host.cells.len();
    let said = if is_whole {
        host.shown(window_ns)
    } else {
        Arc::clone(&host.acked)
    };
    let profiles = if is_whole { host.next_profiles() } else { &[] };
    let handed = Handed {
        host: name.to_owned(),
        cells: (cells.iter())
            .map(|cell| (cell.window_ns, cell.generation, cell.version))
            .collect(),
        said: is_whole.then(|| (host.serial, Arc::clone(&said))),
        profiles: profiles.to_vec(),
    };
    let part = Part {
        host: name.to_owned(),
        said,
        cells,
        profiles: profiles.to_vec(),
    };
    (part, handed)
}

#[cfg(test)]
mod tests;
