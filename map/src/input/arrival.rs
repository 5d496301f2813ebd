//! A log without timestamps, whose records are stamped by when they were seen to arrive: `timestamp: arrival`.
//!
//! A line belongs to the window in which the first snapshot was taken that shows all of it, by the host's clock. That
//! is known to whoever took the snapshots, and to nobody else: it can't be read again. So what was not seen in time is
//! lost, and the windows in which it may have come say so; no byte is ever counted at a later time than it was first
//! seen. What follows for moves, restarts and files that are not the log's growth stands in
//! `docs/decisions/0008-time-of-arrival.md`.
//!
//! Nothing here has a re-read, a profile or a lateness, so it shares with other logs what they all need: snapshots,
//! verified ranges, the counting, verdicts.

mod file;

use super::known::apart;
use super::listing::{Listing, in_the_way};
use super::proof::{Asked, Condition, Overlay, Proved, verdicts};
use super::pull::{Pull, RANGE_BYTES, Restless, Stop, labels};
use super::suspension::{self, Suspension, starts_of};
use super::usage::{CpuClock, Usage, timed};
use super::{InputKey, Port, Pulled, Subscription, origin};
use crate::engine::{Counter, Input as EngineInput, WindowStarts};
use crate::partial::WindowPartial;
use crate::plan::Plan;
use crate::protocol::{Cell, CellVersion, HostReport, TaskId};
use crate::system::implausible;
use crate::verdict::{HostState, VerdictRun};
use crate::wire::WirePartial;
use agent::protocol::{
    Compression, Content, Generation as Listed, KNOWN_GENERATIONS_MAX, PathProblem, Role, SnapshotAnswer,
};
use configs::monitor::Absent;
use file::{File, FirstLine, HEAD_BYTES, Seen, Standing};
use logline::order::Verdict;
use logline::text::{Encoding, Form, NUL_ENDED, ends_in_nul};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Verdicts are repeated for so long, as those of other logs are.
const TOLD_NS: i64 = 24 * 3600 * 1_000_000_000;
/// How far apart two snapshots may be for what came between them to be of the later one: a window, within these
/// bounds. Pulls come once a second, however long windows are, and a little later on a busy node.
const BETWEEN_NS: RangeInclusive<i64> = 2_000_000_000..=5_000_000_000;
/// File systems stamp births by a clock that lags a little behind.
const BIRTH_LAG_NS: i64 = 100_000_000;
/// Stretches of time that are remembered as lost for one monitor; more are taken together.
const LOST_MAX: usize = 256;

/// Reads a log by the time of arrival, for all monitors on it.
pub(super) struct Arrival {
    interests: BTreeMap<TaskId, Interest>,
    files: Vec<File>,
    listing: Listing,
    /// The host's clock at the last snapshot, and the greatest of all.
    last_t_ns: Option<i64>,
    high_ns: i64,
    origin: u64,
    attempt: u64,
    restless: Restless,
}

/// A monitor's interest, and what was counted of windows that the store may not have.
struct Interest {
    subscription: Subscription,
    /// The first window that is seen from its beginning; known at the first snapshot.
    begins_ns: Option<i64>,
    /// Stretches that are not counted, as they were begun here.
    suspended: Arc<[Suspension]>,
    /// What it cost since that was asked last.
    spent: Usage,
    cells: BTreeMap<(i64, u64), Counted>,
    lost: Vec<Overlay>,
    told: Vec<VerdictRun>,
    /// Windows that end at or before this were judged for good.
    proved_ns: i64,
    /// Of windows before this nothing is said any more.
    told_from_ns: i64,
    /// Why its fields can't be cut.
    refused: Option<String>,
}

struct Counted {
    partial: WindowPartial,
    version: CellVersion,
    is_told: bool,
    is_acked: bool,
}

impl Arrival {
    pub(super) fn new() -> Self {
        Self {
            interests: BTreeMap::new(),
            files: Vec::new(),
            listing: Listing::default(),
            last_t_ns: None,
            high_ns: i64::MIN,
            origin: 0,
            attempt: 0,
            restless: Restless::default(),
        }
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        let is_same = |old: &Subscription| {
            old.host == subscription.host && old.labels == subscription.labels && old.from_ns <= subscription.from_ns
        };
        match self.interests.get_mut(&subscription.id) {
            Some(known) if is_same(&known.subscription) => {
                let old = &mut known.subscription;
                (old.epoch, old.until_ns) = (subscription.epoch, subscription.until_ns);
                known.suspend(&subscription.suspended);
            }
            _ => {
                let id = subscription.id.clone();
                self.interests
                    .insert(id, Interest::new(subscription, self.last_t_ns.map(|_| self.high_ns)));
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, id: &TaskId) {
        self.interests.remove(id);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.interests.is_empty()
    }

    pub(super) fn acked(&mut self, id: &TaskId, cells: &[(i64, u64, CellVersion)]) {
        let Some(interest) = self.interests.get_mut(id) else {
            return;
        };
        for (window_ns, generation, version) in cells {
            if let Some(counted) = interest.cells.get_mut(&(*window_ns, *generation)) {
                counted.is_acked |= counted.version <= *version;
            }
        }
    }

    /// Adds the bytes held in windows, about, for each monitor.
    pub(super) fn add_held(&self, held: &mut BTreeMap<TaskId, usize>) {
        for (id, interest) in &self.interests {
            let cells = interest.cells.values().map(|cell| cell.partial.groups.memory_bytes());
            *held.entry(id.clone()).or_default() += cells.sum::<usize>();
        }
    }

    /// One pull: a snapshot, which says when, and the bytes that were seen at this one and those before.
    pub(super) async fn pull<P: Port>(&mut self, key: &InputKey, port: &mut P, now_ns: i64, pulled: &mut Pulled) {
        self.attempt += 1;
        let read = self.read(&mut Pull::new(key, port, pulled), now_ns).await;
        let read = self.restless.judge(read);
        let condition: Option<Condition> = match read {
            Ok(()) if self.files.is_empty() => {
                Some((HostState::NoFile, Some(format!("no file is named {}", key.pattern))))
            }
            Ok(()) => None,
            Err(Stop::Again) => {
                pulled.more = true;
                None
            }
            Err(Stop::Condition(condition)) => Some(condition),
            Err(Stop::Port(error)) => Some((error.state, Some(error.detail))),
        };
        // What came in between may turn out to be lost.
        let first = self.files.iter().filter_map(File::unread_from);
        let proved_ns = first.min().unwrap_or(self.high_ns).min(self.high_ns);
        pulled.unread |= condition.is_some() || proved_ns < self.high_ns;
        pulled.trouble = condition
            .clone()
            .map(|(state, detail)| (state, detail.unwrap_or_default()));
        let t_ns = self.last_t_ns.unwrap_or(0);
        for (id, interest) in &mut self.interests {
            let report = interest.report(t_ns, self.origin, (proved_ns, now_ns.max(t_ns)), condition.as_ref());
            pulled.reports.extend(report.map(|report| (id.clone(), report)));
            pulled
                .usage
                .entry(id.clone())
                .or_default()
                .add(std::mem::take(&mut interest.spent));
        }
    }

    async fn read<P: Port>(&mut self, pull: &mut Pull<'_, P>, now_ns: i64) -> Result<(), Stop> {
        let encoding = pull.key.encoding.as_deref().map(Encoding::parse).transpose();
        let encoding = encoding
            .map_err(|error| Stop::condition(HostState::Unstamped, error.to_string()))?
            .unwrap_or_default();
        if encoding.unit() > 1 {
            let detail = "an encoding of two-byte units is not counted by arrival";
            return Err(Stop::condition(HostState::Unstamped, detail));
        }
        let known: Vec<_> = self
            .files
            .iter()
            .filter_map(File::known)
            .take(KNOWN_GENERATIONS_MAX)
            .collect();
        let dates_from_ns = self.last_t_ns.unwrap_or(now_ns).saturating_sub(TOLD_NS);
        let answer = self.listing.take(pull, dates_from_ns, known).await?;
        if let Some(error) = implausible(answer.t_ns.saturating_sub(now_ns)) {
            return Err(Stop::condition(error.state, error.detail));
        }
        // Only a snapshot that shows all files says what was not there yet.
        if let Some(problem) = in_the_way(&answer).or_else(|| unreadable(&answer)) {
            return Err(Stop::refused(&problem));
        }
        self.origin = origin(answer.instance, &pull.key.pattern);
        self.note(answer, encoding);
        for index in 0..self.files.len() {
            self.look_at_head(index, pull).await?;
        }
        self.judge_standings();
        for index in 0..self.files.len() {
            self.fetch_on(index, encoding, pull).await?;
        }
        Ok(())
    }

    /// Takes a snapshot: whose bytes are new, who is new, who was truncated and who went.
    fn note(&mut self, answer: SnapshotAnswer, encoding: Encoding) {
        let t_ns = answer.t_ns;
        let before_ns = self.last_t_ns.replace(t_ns);
        let seen = Seen {
            since_ns: before_ns.map_or(t_ns, |before| before.max(self.high_ns)),
            t_ns: t_ns.max(self.high_ns),
            is_steady: before_ns.is_none_or(|before| before == self.high_ns && before < t_ns),
        };
        self.high_ns = seen.t_ns;
        for interest in self.interests.values_mut() {
            interest.begin(seen.t_ns);
        }
        let mut before = std::mem::take(&mut self.files);
        let paths: Vec<String> = before.iter().map(|file| file.listed.path.clone()).collect();
        for listed in answer.generations {
            let place = before.iter().position(|known| known.listed.identity == listed.identity);
            let file = match place.map(|place| before.swap_remove(place)) {
                Some(known) if known.is_replaced(&listed) => {
                    let detail = format!("{} was truncated in place", listed.path);
                    self.lose(known.unread_since(seen), seen.t_ns, &detail);
                    File::based(listed, t_ns, known.standing, encoding)
                }
                Some(mut known) => {
                    known.update(listed, seen);
                    known
                }
                None if before_ns.is_none() => File::based(listed, t_ns, Standing::Aside, encoding),
                None => self.found(listed, seen, &paths, encoding),
            };
            self.files.push(file);
        }
        for gone in before.iter().filter(|gone| !gone.is_over(seen.t_ns)) {
            let detail = format!(
                "{} was removed before it was known to be read to its end",
                gone.listed.path
            );
            self.lose(gone.unread_since(seen), seen.t_ns, &detail);
        }
    }

    /// A file that the snapshot before did not show.
    fn found(&mut self, listed: Listed, seen: Seen, paths: &[String], encoding: Encoding) -> File {
        let since_ns = seen.since_ns.saturating_sub(BIRTH_LAG_NS);
        let is_plain = listed.compression == Compression::Plain;
        let is_live = listed.role == Role::Live && is_plain;
        let is_born = listed.identity.birth_ns.is_some_and(|birth| birth >= since_ns);
        if is_live && (is_born || listed.size == 0) {
            // What takes the place of a renamed file is the log, however it begins.
            let standing = match paths.contains(&listed.path) {
                true => Standing::Counted,
                false => Standing::Aside,
            };
            return File::newborn(listed, seen, standing, encoding);
        }
        if listed.size > 0 && (is_live || listed.mtime_ns >= since_ns) {
            let detail = format!(
                "{} came with bytes of which nobody saw when they were written",
                listed.path
            );
            self.lose(seen.since_ns, seen.t_ns, &detail);
        }
        File::based(listed, seen.t_ns, Standing::Aside, encoding)
    }

    /// Fetches a file's first bytes, by which copies are told, while there are too few of them.
    async fn look_at_head<P: Port>(&mut self, index: usize, pull: &mut Pull<'_, P>) -> Result<(), Stop> {
        let file = &self.files[index];
        let known = file.head.len() as u64;
        let wanted = file.listed.size.min(HEAD_BYTES);
        if !file.is_plain() || wanted <= known {
            return Ok(());
        }
        pull.fetch_range(file.request(0..wanted, false)).await?;
        if Form::detect(&pull.buffer, None).encoding.unit() > 1 {
            let detail = format!("{} is UTF-16, which is not counted by arrival", file.listed.path);
            return Err(Stop::condition(HostState::Unstamped, detail));
        }
        if ends_in_nul(&pull.buffer) {
            let detail = format!("{}: {NUL_ENDED}", file.listed.path);
            return Err(Stop::condition(HostState::Unstamped, detail));
        }
        self.files[index].head.clone_from(&pull.buffer);
        Ok(())
    }

    /// Tells files that are written to as the log from those that may be copies of others: they begin alike, and are
    /// the younger ones. What a file showed before that was told is lost, if it is a copy perhaps.
    fn judge_standings(&mut self) {
        for index in 0..self.files.len() {
            let file = &self.files[index];
            if file.standing == Standing::Counted || file.listed.role != Role::Live || !file.is_plain() {
                continue;
            }
            let age = |file: &File| (file.listed.identity.birth_ns, file.listed.identity.inode);
            let others = self.files.iter().enumerate().filter(|(other, _)| *other != index);
            let is_copy = others
                .filter(|(_, other)| other.is_plain() && age(other) <= age(file))
                .any(|(_, other)| file.begins_like(other));
            if !is_copy && !file.head.is_empty() {
                self.files[index].standing = Standing::Counted;
            }
        }
        for index in 0..self.files.len() {
            if self.files[index].standing == Standing::Counted {
                continue;
            }
            let path = self.files[index].listed.path.clone();
            for seen in self.files[index].pass_over() {
                let detail = format!("{path} grew, and may be a copy of another file");
                self.lose(seen.since_ns, seen.t_ns, &detail);
            }
        }
    }

    /// Fetches what snapshots have shown of a file, and counts it.
    async fn fetch_on<P: Port>(
        &mut self,
        index: usize,
        encoding: Encoding,
        pull: &mut Pull<'_, P>,
    ) -> Result<(), Stop> {
        if !self.files[index].is_plain() {
            return Ok(());
        }
        while let Some(range) = self.files[index].wanted(RANGE_BYTES) {
            if pull.is_spent() {
                pull.pulled.more = true;
                return Ok(());
            }
            let end = pull.fetch_range(self.files[index].request(range, true)).await?;
            let file = &mut self.files[index];
            if pull.buffer.is_empty() || !file.verifies(&pull.buffer, &end) {
                return Err(Stop::Again);
            }
            if let Some((seen, first)) = file.take(&pull.buffer) {
                if first == FirstLine::Broken {
                    let detail = format!("a line of {} began before it was watched", file.listed.path);
                    self.lose(seen.since_ns, seen.t_ns, &detail);
                }
                let cost = (pull.port.cpu_clock(), pull.buffer.len() as u64);
                pull.pulled.records += self.count(index, seen, encoding, cost);
            }
        }
        let t_ns = self.high_ns;
        if self.files[index].end(t_ns) {
            let seen = Seen {
                since_ns: t_ns,
                t_ns,
                is_steady: true,
            };
            pull.pulled.records += self.count(index, seen, encoding, (pull.port.cpu_clock(), 0));
        }
        Ok(())
    }

    /// Counts the lines that have ended, for each monitor; how many there were for all together.
    fn count(&mut self, index: usize, seen: Seen, encoding: Encoding, (cpu, bytes): (CpuClock, u64)) -> u64 {
        let file = &self.files[index];
        let detail = format!("it is not known when bytes of {} came", file.listed.path);
        let mut records = 0;
        for interest in self.interests.values_mut() {
            if !interest.is_in_time(seen) {
                interest.lose(seen.since_ns, seen.t_ns, &detail);
                continue;
            }
            let (counted, cpu_ns) = timed(cpu, || interest.count(file, encoding, self.attempt));
            records += counted;
            interest.spent.cpu_ns += cpu_ns;
            interest.spent.bytes += bytes;
        }
        self.files[index].release();
        records
    }

    fn lose(&mut self, since_ns: i64, t_ns: i64, detail: &str) {
        for interest in self.interests.values_mut() {
            interest.lose(since_ns, t_ns, detail);
        }
    }
}

fn unreadable(answer: &SnapshotAnswer) -> Option<PathProblem> {
    answer.generations.iter().find_map(|listed| match &listed.content {
        Content::Unreadable(refusal) => Some(PathProblem {
            path: listed.path.clone(),
            refusal: refusal.clone(),
        }),
        Content::Readable { .. } | Content::NotLookedAt => None,
    })
}

impl Interest {
    fn new(subscription: Subscription, t_ns: Option<i64>) -> Self {
        let plan = &subscription.plan;
        let refused = (plan.uses_fields() && subscription.monitor.parse.is_none()).then(|| {
            "how fields are cut is not recognised in a log that is counted by arrival: say it, as in \
             `parse: { split: { by: '|' } }`"
                .to_owned()
        });
        let mut interest = Self {
            suspended: Arc::clone(&subscription.suspended),
            spent: Usage::default(),
            subscription,
            begins_ns: None,
            cells: BTreeMap::new(),
            lost: Vec::new(),
            told: Vec::new(),
            proved_ns: i64::MIN,
            told_from_ns: i64::MIN,
            refused,
        };
        if let Some(t_ns) = t_ns {
            interest.begin(t_ns);
        }
        interest
    }

    /// The first window whose every record will be seen to come begins after a snapshot: one at its very beginning
    /// might show for the first time what came before.
    fn begin(&mut self, t_ns: i64) {
        let next_ns = self.window_of(t_ns).saturating_add(self.length_ns());
        self.begins_ns.get_or_insert(next_ns);
    }

    fn length_ns(&self) -> i64 {
        self.subscription.plan.window_ns
    }

    fn window_of(&self, t_ns: i64) -> i64 {
        t_ns.div_euclid(self.length_ns()).saturating_mul(self.length_ns())
    }

    /// Whether two snapshots say well enough when what came between them came.
    fn is_in_time(&self, seen: Seen) -> bool {
        let most_ns = self.length_ns().clamp(*BETWEEN_NS.start(), *BETWEEN_NS.end());
        seen.is_steady && seen.t_ns.saturating_sub(seen.since_ns) <= most_ns
    }

    fn lose(&mut self, since_ns: i64, t_ns: i64, detail: &str) {
        let begins_ns = self.begins_ns.unwrap_or(i64::MIN);
        if t_ns < begins_ns {
            return;
        }
        let to_ns = t_ns.saturating_add(1);
        let from_ns = since_ns.max(begins_ns);
        match self.lost.last_mut() {
            Some(last) if last.detail.as_deref() == Some(detail) && last.to_ns >= from_ns => {
                (last.from_ns, last.to_ns) = (last.from_ns.min(from_ns), last.to_ns.max(to_ns));
            }
            _ => self.lost.push(Overlay {
                from_ns,
                to_ns,
                state: HostState::BytesLost,
                detail: Some(detail.to_owned()),
            }),
        }
        if self.lost.len() > LOST_MAX {
            // It was told; what is not repeated stays as it was said.
            let oldest = self.lost.remove(0);
            let behind_ns = self.window_of(oldest.to_ns.saturating_add(self.length_ns() - 1));
            self.told_from_ns = self.told_from_ns.max(behind_ns);
        }
    }

    /// Counts a file's whole lines; how many there were.
    fn count(&mut self, file: &File, encoding: Encoding, attempt: u64) -> u64 {
        let (Some(begins_ns), None) = (self.begins_ns, &self.refused) else {
            return 0;
        };
        let subscription = &self.subscription;
        let plan: &Plan = &subscription.plan;
        let generation = apart(0, file.listed.identity);
        let engine = EngineInput {
            labels: labels(subscription, &file.listed.family),
            lateness_ns: 0,
            generation,
            form: Form {
                encoding,
                ..Form::default()
            },
            rule: subscription.monitor.parse.clone().filter(|_| plan.uses_fields()),
        };
        let asked = WindowStarts {
            within: begins_ns.max(subscription.from_ns)..subscription.until_ns.unwrap_or(i64::MAX),
            without: starts_of(&self.suspended),
        };
        let mut counter = match Counter::new(plan, engine, None) {
            Ok(counter) => counter.asked(asked),
            Err(error) => {
                self.refused = Some(error.to_string());
                return 0;
            }
        };
        let records = file.reader().closed().len();
        counter.count_judged(file.reader(), 0, &vec![Verdict::Good; records]);
        let version = CellVersion {
            profile: 0,
            read_to: file.read_to(),
            epoch: subscription.epoch,
            attempt,
        };
        for (window_ns, partial) in counter.finish().windows {
            let new = || Counted {
                partial: WindowPartial::new(&plan.kinds, plan.window_groups),
                version,
                is_told: false,
                is_acked: false,
            };
            let counted = self.cells.entry((window_ns, generation)).or_insert_with(new);
            counted.partial.merge(&partial);
            (counted.version, counted.is_told, counted.is_acked) = (version, false, false);
        }
        records as u64
    }

    /// What is new, if anything is. `proved_ns` is until when all that was seen is counted.
    fn report(
        &mut self,
        t_ns: i64,
        origin: u64,
        (proved_ns, now_ns): (i64, i64),
        condition: Option<&Condition>,
    ) -> Option<HostReport> {
        let told = self.verdicts(proved_ns, now_ns, condition);
        let mut cells = Vec::new();
        for ((window_ns, generation), counted) in &mut self.cells {
            if !std::mem::replace(&mut counted.is_told, true) {
                cells.push(Cell {
                    window_ns: *window_ns,
                    generation: *generation,
                    version: counted.version,
                    partial: WirePartial::from(&counted.partial),
                    ambiguous: false,
                });
            }
        }
        let length_ns = self.length_ns();
        let is_over = |window_ns: i64| window_ns.saturating_add(length_ns) <= proved_ns;
        self.cells
            .retain(|(window_ns, _), counted| !(counted.is_acked && is_over(*window_ns)));
        if cells.is_empty() && told == self.told {
            return None;
        }
        self.told.clone_from(&told);
        Some(HostReport {
            host: self.subscription.host.clone(),
            t_ns,
            origin,
            delay_ns: 0,
            profile_version: 0,
            cells,
            verdicts: told,
            profiles: Vec::new(),
        })
    }

    fn verdicts(&mut self, proved_ns: i64, now_ns: i64, condition: Option<&Condition>) -> Vec<VerdictRun> {
        let subscription = &self.subscription;
        let told_from_ns = self.window_of(now_ns.saturating_sub(TOLD_NS)).max(self.told_from_ns);
        self.lost.retain(|lost| lost.to_ns > told_from_ns);
        let asked = Asked {
            // Whoever proved the windows before saw what can't be seen any more.
            from_ns: subscription.from_ns.max(subscription.proved_ns).max(told_from_ns),
            until_ns: subscription.until_ns.unwrap_or(i64::MAX),
            length_ns: self.length_ns(),
        };
        let refused: Option<Condition> = self.refused.clone().map(|why| (HostState::Unstamped, Some(why)));
        let is_fine = |state: HostState| state == HostState::NoFile && subscription.monitor.absent == Absent::Zero;
        let condition = refused.as_ref().or(condition.filter(|(state, _)| !is_fine(*state)));
        // A log without a file or without fields proves nothing, though the snapshot was good.
        let is_held_back = matches!(condition, Some((HostState::NoFile | HostState::Unstamped, _)));
        if self.begins_ns.is_some() && !is_held_back {
            self.proved_ns = self.proved_ns.max(proved_ns);
        }
        let proved_ns = self.proved_ns.max(asked.from_ns);
        let proved = Proved {
            provisional_ns: proved_ns,
            settled_ns: proved_ns,
        };
        let mut overlays = self.lost.clone();
        if let Some(begins_ns) = self.begins_ns.filter(|begins| *begins > asked.from_ns) {
            overlays.insert(0, self.before(asked.from_ns, begins_ns));
        }
        let told = verdicts(asked, proved, condition.map(|condition| (condition, now_ns)), &overlays);
        suspension::lay_over(told, &self.suspended)
    }

    /// Takes which stretches are not to be counted.
    fn suspend(&mut self, asked: &Arc<[Suspension]>) {
        if self.subscription.suspended != *asked {
            self.subscription.suspended = Arc::clone(asked);
            let proved_ns = self.window_of(self.proved_ns);
            self.suspended = suspension::begun(asked, &self.suspended, proved_ns);
        }
    }

    /// Of the windows before the first that is seen from its beginning.
    fn before(&self, from_ns: i64, to_ns: i64) -> Overlay {
        let is_first = self.subscription.proved_ns <= self.subscription.from_ns;
        let (state, detail) = match is_first {
            true => (
                HostState::NotStarted,
                "the log was not watched yet: what stood there came before",
            ),
            false => (
                HostState::BytesLost,
                "whoever watched the log before is gone: what came meanwhile has no time of arrival",
            ),
        };
        Overlay {
            from_ns,
            to_ns,
            state,
            detail: Some(detail.to_owned()),
        }
    }
}
