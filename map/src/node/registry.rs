//! What is wanted of this Map, and what waits for whom: the state that all connections and actors share.
//!
//! It is a plain value behind one lock, held for moments and never across an `await`. Actors are made from it and can
//! be made again at any time; they only ever put results into it.

mod suspending;

use super::budget::Budget;
use super::outbox::{HandedOut, Outbox};
use super::source::{SourceKey, SourceShared, Wanted};
use super::tenant::TenantBudget;
use super::verdicts::{self, Missing};
use crate::definition::Compiled;
use crate::input::{InputKey, Subscription};
use crate::protocol::{CollectRequest, Definition, HostReport, HostTarget, InputTarget, ShardTask, TaskId};
use crate::verdict::{HostState, Stage};
use configs::monitor::Monitor;
use mutant::Mutant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use suspending::{Reading, Suspended};
use tokio::sync::Notify;

/// Removed shards whose epoch is remembered, so that a Reduce which was replaced cannot install one again. A
/// forgotten one costs work, not truth: the store fences its owner once more.
const REMOVED_MAX: usize = 10_000;
/// A reader of a log that begins anew begins so far before what is settled in the store: as long as any learned delay.
/// So records that came late, and that the failed reader had read and not reported, are read again.
const RESUME_MARGIN_NS: i64 = 15 * 60 * 1_000_000_000;

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// A newer topology is in force.
    Stale(u64),
    /// There is no such shard.
    Unknown,
    /// A limit of this node is met.
    Full(String),
}

/// Whether a host of a shard is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// By this source.
    Counted,
    /// Not, since the same log of the same agent is counted under this host's name.
    Duplicate(String),
    /// Not, since another shard of the monitor has the same host: it is being moved, and its windows stay open here.
    Moved,
}

struct HostPlace {
    input: InputTarget,
    key: SourceKey,
    standing: Standing,
    suspended: Suspended,
}

struct TaskEntry {
    epoch: u64,
    definition: Definition,
    compiled: Compiled,
    until_ns: Option<i64>,
    /// Name of its tenant.
    tenant: Option<String>,
    hosts: BTreeMap<String, HostPlace>,
    outbox: Outbox,
    /// The newest [`CollectRequest`]; older ones end empty.
    collector: u64,
    news: Arc<Notify>,
}

impl TaskEntry {
    /// Start of the first window of a host, aligned.
    fn first_ns(&self, place: &HostPlace) -> i64 {
        let window_ns = self.compiled.plan.window_ns.max(1);
        place.input.from_ns.div_euclid(window_ns).saturating_mul(window_ns)
    }

    fn subscription(&self, id: &TaskId, place: &HostPlace) -> Subscription {
        let app = self.compiled.monitor.app.as_deref();
        Subscription {
            id: id.clone(),
            epoch: self.epoch,
            host: place.input.target.host.clone(),
            labels: labels(&place.input.target, app),
            monitor: Arc::clone(&self.compiled.monitor),
            plan: Arc::clone(&self.compiled.plan),
            from_ns: self.first_ns(place),
            proved_ns: place.input.proved_ns,
            until_ns: self.until_ns,
            profiles: place.input.profiles.as_slice().into(),
            suspended: place.suspended.all(),
        }
    }

    /// Keeps what a reader learned for the one that takes its place if it fails.
    fn learn(&mut self, source: &SourceShared, id: &TaskId, report: &HostReport) {
        let mut wanted = source.wanted();
        let (Some(place), Some(wanted)) = (self.hosts.get_mut(&report.host), wanted.get_mut(id)) else {
            return;
        };
        for profile in &report.profiles {
            profile.clone().join(&mut place.input.profiles);
        }
        wanted.subscription = Arc::new(Subscription {
            profiles: place.input.profiles.as_slice().into(),
            ..(*wanted.subscription).clone()
        });
    }

    /// The windows of a host that have ended, their grace past, and that are this task's.
    fn due(&self, place: &HostPlace, now_ns: i64) -> (i64, i64) {
        let grace_ns = grace_ns(&self.compiled.monitor);
        let due_ns = verdicts::due_ns(now_ns, self.compiled.plan.window_ns, grace_ns);
        let to_ns = self.until_ns.map_or(due_ns, |until_ns| due_ns.min(until_ns));
        (self.first_ns(place), to_ns)
    }

    fn fill(&mut self, host: &str, now_ns: i64, why: &Missing) {
        let Some(place) = self.hosts.get(host) else { return };
        let windows = self.due(place, now_ns);
        if self.outbox.fill(host, windows, why) {
            self.news.notify_waiters();
        }
    }
}

/// A monitor's grace in nanoseconds.
pub(super) fn grace_ns(monitor: &Monitor) -> i64 {
    let grace_ns = i64::try_from(monitor.grace_ms).unwrap_or(i64::MAX);
    grace_ns.saturating_mul(1_000_000)
}

/// The labels of a host's records: the inventory's, and what follows from the target itself.
pub(crate) fn labels(target: &HostTarget, app: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = target.labels.clone();
    labels.insert("host".to_owned(), target.host.clone());
    let ip = target.address.rsplit_once(':').map_or(&*target.address, |(ip, _)| ip);
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    labels.insert("ip".to_owned(), ip.to_owned());
    if let Some(app) = app {
        labels.insert("app".to_owned(), app.to_owned());
    }
    labels
}

/// The input of a monitor's log on a host, which its agent must prove to be or not; `${label}` in its path stands for a
/// label of the host.
pub(super) fn input_key(monitor: &Monitor, pattern: &str, target: &HostTarget, by_host: bool) -> InputKey {
    InputKey {
        address: target.address.clone(),
        host: by_host.then(|| target.host.clone()),
        pattern: with_labels(pattern, &labels(target, monitor.app.as_deref())),
        timestamp: monitor.timestamp.clone(),
        timezone: monitor.timezone.clone(),
        encoding: monitor.encoding.clone(),
        records: monitor.records.clone(),
    }
}

/// A path with its `${label}`s replaced. A label that the host does not have stays as it is written: no file has such
/// a name, and the host says so.
fn with_labels(pattern: &str, labels: &BTreeMap<String, String>) -> String {
    let mut path = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        path.push_str(before);
        match after
            .split_once('}')
            .and_then(|(name, tail)| Some((labels.get(name)?, tail)))
        {
            Some((value, tail)) => {
                path.push_str(value);
                rest = tail;
            }
            None => {
                path.push_str("${");
                rest = after;
            }
        }
    }
    path + rest
}

/// A monitor's claims on one source: who of its hosts is counted there. Ordered, so that all agree on the first.
type Claims = BTreeSet<(String, TaskId)>;
type ClaimKey = (SourceKey, String, u64);

/// What is wanted, and what waits.
#[derive(Default)]
pub(super) struct Registry {
    tasks: BTreeMap<TaskId, TaskEntry>,
    sources: BTreeMap<SourceKey, Arc<SourceShared>>,
    claims: BTreeMap<ClaimKey, Claims>,
    /// Epochs of shards that were removed, and the order of their removal.
    removed: BTreeMap<TaskId, u64>,
    /// Sources that changed since the actors were last brought in line.
    changed: BTreeSet<SourceKey>,
    /// Bytes that wait in all outboxes.
    pending_bytes: usize,
    /// Bytes that the readers of all sources hold of windows, as of the last pull of each.
    counting_bytes: usize,
    /// Time of the monotonic clock when that was judged last.
    memory_judged_ns: u64,
    /// Numbers given to interests so far.
    incarnations: u64,
    /// What each version of a monitor may cost here, and does.
    budgets: BTreeMap<(String, u64), Budget>,
    /// What each tenant's monitors may cost here together, and do.
    tenants: BTreeMap<String, TenantBudget>,
    /// Suspensions so far.
    suspensions: u64,
    /// Whether agents prove by certificates which host they are.
    by_host: bool,
}

/// A report for a shard, and for which of its incarnations it was made.
pub(super) struct Found {
    pub(super) id: TaskId,
    pub(super) incarnation: u64,
    pub(super) report: HostReport,
}

/// Sums for the status.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    pub(super) tasks: u64,
    pub(super) inputs: u64,
    pub(super) inputs_unshared: u64,
    pub(super) held_bytes: u64,
    pub(super) counting_bytes: u64,
    pub(super) paused: u64,
}

impl Registry {
    /// A registry where agents prove which host they are, or do not.
    pub(super) fn new(by_host: bool) -> Self {
        Self {
            by_host,
            ..Self::default()
        }
    }

    /// Refuses what comes from a topology that is no longer in force, whether or not the shard is here.
    pub(super) fn check_epoch(&self, id: &TaskId, epoch: u64) -> Result<(), Refused> {
        let known = self.tasks.get(id).map(|task| task.epoch);
        match known.or_else(|| self.removed.get(id).copied()) {
            Some(known) if epoch < known && !mutant::is(Mutant::StaleEpochAccepted) => Err(Refused::Stale(known)),
            _ => Ok(()),
        }
    }

    /// The compiled form of a definition that is installed already under this id.
    pub(super) fn compiled(&self, id: &TaskId, definition: &Definition) -> Option<Compiled> {
        let task = self.tasks.get(id)?;
        (task.definition == *definition).then(|| task.compiled.clone())
    }

    /// Installs a shard, or changes it in place. `ticket_base` is for a new one.
    pub(super) fn install(
        &mut self,
        task: ShardTask,
        compiled: Compiled,
        (sources_max, ticket_base): (usize, u64),
    ) -> Result<(), Refused> {
        self.check_epoch(&task.id, task.epoch)?;
        let places: BTreeMap<String, HostPlace> = (task.inputs.into_iter())
            .map(|input| (input.target.host.clone(), place(input, &compiled, self.by_host)))
            .collect();
        let new_sources: BTreeSet<&SourceKey> = places.values().map(|place| &place.key).collect();
        let new_sources = new_sources.into_iter().filter(|key| !self.sources.contains_key(key));
        if self.sources.len() + new_sources.count() > sources_max {
            return Err(Refused::Full(format!(
                "this map reads {sources_max} logs already; install the shard on another one"
            )));
        }
        self.removed.remove(&task.id);
        let id = task.id;
        let is_same = self
            .tasks
            .get(&id)
            .is_some_and(|entry| entry.definition == task.definition);
        if !is_same {
            self.forget(&id);
        }
        let entry = self.tasks.entry(id.clone()).or_insert_with(|| TaskEntry {
            epoch: task.epoch,
            definition: task.definition,
            outbox: Outbox::new(compiled.plan.window_ns, ticket_base),
            compiled,
            until_ns: task.until_ns,
            tenant: None,
            hosts: BTreeMap::new(),
            collector: 0,
            news: Arc::new(Notify::new()),
        });
        (entry.epoch, entry.until_ns) = (task.epoch, task.until_ns);
        self.give_tenant(&id, task.tenant.as_ref());
        self.replace_hosts(&id, places);
        Ok(())
    }

    /// Gives a shard these hosts. Those that stay keep what waits; a first window only moves back.
    fn replace_hosts(&mut self, id: &TaskId, mut places: BTreeMap<String, HostPlace>) {
        let Some(entry) = self.tasks.get_mut(id) else { return };
        for (host, place) in &mut places {
            if let Some(before) = entry.hosts.get(host)
                && before.key == place.key
            {
                place.input.from_ns = place.input.from_ns.min(before.input.from_ns);
                place.suspended = before.suspended.clone();
            }
        }
        let before = std::mem::replace(&mut entry.hosts, places);
        let held = entry.outbox.held_bytes();
        entry.outbox.retain(|host| entry.hosts.contains_key(host));
        self.pending_bytes = self.pending_bytes + entry.outbox.held_bytes() - held;
        entry.news.notify_waiters();
        let claim = |host: &String, place: &HostPlace| (claim_key(&place.key, id), (host.clone(), id.clone()));
        let gone: Vec<_> = before.iter().map(|(host, place)| claim(host, place)).collect();
        let there: Vec<_> = entry.hosts.iter().map(|(host, place)| claim(host, place)).collect();
        let touched: BTreeSet<ClaimKey> = gone.iter().chain(&there).map(|(key, _)| key.clone()).collect();
        for (key, claimant) in gone {
            if let Some(claims) = self.claims.get_mut(&key) {
                claims.remove(&claimant);
            }
        }
        for (key, claimant) in there {
            self.claims.entry(key).or_default().insert(claimant);
        }
        touched.iter().for_each(|key| self.settle(key));
    }

    /// Decides who is counted of those that claim a source for one monitor: the first by name. Two hosts with one agent
    /// and one log are one host under two names, and its records must count once (C4).
    fn settle(&mut self, key: &ClaimKey) {
        let (source_key, monitor, version) = key;
        let claims = self.claims.get(key).cloned().unwrap_or_default();
        if claims.is_empty() {
            self.claims.remove(key);
        }
        let owner = self.owner(&claims);
        for (host, id) in &claims {
            let standing = match owner {
                Some((first, _)) if first != host => Standing::Duplicate(first.clone()),
                Some((_, newest)) if newest != id => Standing::Moved,
                _ => Standing::Counted,
            };
            let task = self.tasks.get_mut(id);
            if let Some(place) = task.and_then(|task| task.hosts.get_mut(host)) {
                place.standing = standing;
            }
        }
        self.want(source_key, owner, |id| id.monitor == *monitor && id.version == *version);
    }

    /// Who is counted of those that claim a source: the first host, in the shard of the newest topology.
    fn owner<'c>(&self, claims: &'c Claims) -> Option<&'c (String, TaskId)> {
        let (first, _) = claims.first()?;
        let same_host = claims.iter().take_while(|(host, _)| host == first);
        same_host.max_by_key(|(_, id)| self.tasks.get(id).map(|task| task.epoch))
    }

    /// Makes `owner` the only one of a monitor's shards that wants a source.
    fn want(&mut self, key: &SourceKey, owner: Option<&(String, TaskId)>, is_ours: impl Fn(&TaskId) -> bool) {
        let new = || Arc::new(SourceShared::new(key.clone()));
        let source = self.sources.entry(key.clone()).or_insert_with(new);
        let mut wanted = source.wanted();
        wanted.retain(|id, _| !is_ours(id) || owner.is_some_and(|(_, owner)| owner == id));
        if let Some((host, id)) = owner
            && let Some(task) = self.tasks.get(id)
            && let Some(place) = task.hosts.get(host)
        {
            match place.suspended.reading() {
                Reading::Ended => drop(wanted.remove(id)),
                Reading::Wanted { not_before_ns } => {
                    let subscription = task.subscription(id, place);
                    let before = wanted.get(id).filter(|before| before.subscription.host == *host);
                    let stays = before.filter(|before| subscription.from_ns >= before.subscription.from_ns);
                    let resume_ns = stays.map_or(subscription.from_ns.max(not_before_ns), |before| before.resume_ns);
                    self.incarnations += 1;
                    let wants = Wanted {
                        incarnation: before.map_or(self.incarnations, |before| before.incarnation),
                        subscription: Arc::new(subscription),
                        resume_ns,
                    };
                    wanted.insert(id.clone(), wants);
                }
            }
        }
        let is_idle = wanted.is_empty();
        drop(wanted);
        if is_idle && let Some(source) = self.sources.remove(key) {
            self.counting_bytes -= source.held().values().sum::<usize>();
        }
        self.changed.insert(key.clone());
    }

    /// Removes a shard; its epoch is remembered.
    pub(super) fn remove(&mut self, id: &TaskId, epoch: u64) -> Result<(), Refused> {
        self.check_epoch(id, epoch)?;
        if !self.tasks.contains_key(id) {
            return Err(Refused::Unknown);
        }
        self.forget(id);
        self.removed.insert(id.clone(), epoch);
        if self.removed.len() > REMOVED_MAX {
            let oldest = self.removed.iter().min_by_key(|(_, epoch)| **epoch);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                self.removed.remove(&id);
            }
        }
        Ok(())
    }

    fn forget(&mut self, id: &TaskId) {
        self.replace_hosts(id, BTreeMap::new());
        self.tasks.remove(id);
        let is_same = |other: &TaskId| (&other.monitor, other.version) == (&id.monitor, id.version);
        if !self.tasks.keys().any(is_same) {
            self.budgets.remove(&(id.monitor.clone(), id.version));
        }
        self.forget_tenants();
    }

    /// Begins to collect: takes the acknowledgement, and makes older requests end. Gives the request's number, and what
    /// tells of news.
    pub(super) fn begin_collect(&mut self, request: &CollectRequest) -> Result<(u64, Arc<Notify>), Refused> {
        self.check_epoch(&request.id, request.epoch)?;
        let task = self.tasks.get_mut(&request.id).ok_or(Refused::Unknown)?;
        task.epoch = request.epoch;
        task.collector += 1;
        let begun = (task.collector, Arc::clone(&task.news));
        task.news.notify_waiters();
        self.acknowledge(&request.id, request.acked);
        Ok(begun)
    }

    /// The store has what this ticket held: it is forgotten, and readers that begin anew begin behind it.
    fn acknowledge(&mut self, id: &TaskId, ticket: u64) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let held = task.outbox.held_bytes();
        for acked in task.outbox.ack(ticket) {
            let Some(place) = task.hosts.get(&acked.host) else {
                continue;
            };
            let Some(source) = self.sources.get(&place.key) else {
                continue;
            };
            if let (Some(settled_ns), SourceKey::Log(_)) = (acked.settled_ns, &place.key)
                && let Some(wanted) = source.wanted().get_mut(id)
            {
                wanted.resume_ns = settled_ns.saturating_sub(RESUME_MARGIN_NS);
            }
            source.leave_acks(id, acked.cells);
        }
        self.pending_bytes = self.pending_bytes + task.outbox.held_bytes() - held;
    }

    /// What there is for a request that [`Registry::begin_collect`] numbered; `None` if it is to wait.
    pub(super) fn hand_out(
        &mut self,
        request: &CollectRequest,
        collector: u64,
    ) -> Result<Option<Option<HandedOut>>, Refused> {
        self.check_epoch(&request.id, request.epoch)?;
        let task = self.tasks.get_mut(&request.id).ok_or(Refused::Unknown)?;
        if task.collector != collector {
            return Ok(Some(None));
        }
        let handed = task.outbox.hand_out(request.bytes_max as usize);
        if mutant::is(Mutant::AckBeforeStored)
            && let Some(handed) = &handed
        {
            self.acknowledge(&request.id, handed.ticket);
        }
        Ok(handed.map(Some))
    }

    /// Whether there is something for a shard, or its request is to end for another reason.
    pub(super) fn is_ready(&self, request: &CollectRequest, collector: u64) -> bool {
        let task = self.tasks.get(&request.id);
        task.is_none_or(|task| task.outbox.has_news() || task.collector != collector || task.epoch > request.epoch)
    }

    /// Takes in what a source's reader found, unless the source was given up meanwhile.
    ///
    /// A report says only what changed since the one before. So one that was made for an earlier incarnation of a shard
    /// must not be taken by a later one: it would call windows complete whose cells went with the earlier (C2).
    pub(super) fn absorb(&mut self, source: &Arc<SourceShared>, reports: Vec<Found>) {
        if !self.is_current(source) {
            return;
        }
        for Found {
            id,
            incarnation,
            report,
        } in reports
        {
            let wanted = source.wanted().get(&id).map(|wanted| wanted.incarnation);
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            if wanted != Some(incarnation) || !task.hosts.contains_key(&report.host) {
                continue;
            }
            let held = task.outbox.held_bytes();
            if !report.profiles.is_empty() {
                task.learn(source, &id, &report);
            }
            let host = report.host.clone();
            task.outbox.absorb(report);
            let is_over = task.note_suspended(&host);
            self.pending_bytes = self.pending_bytes + task.outbox.held_bytes() - held;
            task.news.notify_waiters();
            if is_over {
                self.settle(&claim_key(&source.key, &id));
            }
        }
    }

    fn is_current(&self, source: &Arc<SourceShared>) -> bool {
        let current = self.sources.get(&source.key);
        current.is_some_and(|current| Arc::ptr_eq(current, source))
    }

    /// Says of all that want a source why its windows that are due have no verdict.
    pub(super) fn fill(&mut self, source: &Arc<SourceShared>, now_ns: i64, why: &Missing) {
        if !self.is_current(source) {
            return;
        }
        for (id, wanted) in source.wanted().iter() {
            if let Some(task) = self.tasks.get_mut(id) {
                task.fill(&wanted.subscription.host, now_ns, why);
            }
        }
    }

    /// Where a reader of the `system` source that begins anew may begin: behind what was said.
    pub(super) fn resume_behind_said(&self, source: &SourceShared) {
        for (id, wanted) in source.wanted().iter_mut() {
            let said_to = self.tasks.get(id);
            let said_to = said_to.and_then(|task| task.outbox.said_to(&wanted.subscription.host));
            wanted.resume_ns = wanted.resume_ns.max(said_to.unwrap_or(i64::MIN));
        }
    }

    /// Says of hosts that are others under a second name that they are; returns whether there are any.
    pub(super) fn fill_duplicates(&mut self, now_ns: i64) -> bool {
        let mut any = false;
        for claims in self.claims.values().filter(|claims| claims.len() > 1) {
            for (host, id) in claims {
                let Some(task) = self.tasks.get_mut(id) else { continue };
                let Some(Standing::Duplicate(of)) = task.hosts.get(host).map(|place| &place.standing) else {
                    continue;
                };
                let why = Missing {
                    state: HostState::Duplicate,
                    stage: Stage::Settled,
                    detail: format!("the same log of the same agent is counted as {of}; list it once"),
                };
                task.fill(host, now_ns, &why);
                any = true;
            }
        }
        any
    }

    /// Whether pulls of a source must wait: the node holds too much, or each of its shards does.
    pub(super) fn must_wait(&self, source: &SourceShared, node_max: usize, task_max: usize) -> Option<String> {
        if self.pending_bytes > node_max {
            return Some(format!(
                "the map holds {} MiB that the store has not taken; its pulls wait",
                self.pending_bytes >> 20
            ));
        }
        let wanted = source.wanted();
        let held = wanted.keys().filter_map(|id| self.tasks.get(id));
        let least = held.map(|task| task.outbox.held_bytes()).min()?;
        (least > task_max).then(|| {
            format!(
                "the map holds {} MiB of this monitor that the store has not taken; its pulls wait",
                least >> 20
            )
        })
    }

    /// Whose turns the pulls of a source take: of several tenants that want it, always the first's by name.
    pub(super) fn tenant_of(&self, source: &SourceShared) -> String {
        let wanted = source.wanted();
        let tenants = wanted.keys().filter_map(|id| self.tasks.get(id)?.tenant.as_deref());
        tenants.min().unwrap_or_default().to_owned()
    }

    /// Sources that changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> BTreeSet<SourceKey> {
        std::mem::take(&mut self.changed)
    }

    /// All sources.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Arc<SourceShared>> {
        self.sources.values()
    }

    pub(super) fn source(&self, key: &SourceKey) -> Option<&Arc<SourceShared>> {
        self.sources.get(key)
    }

    /// Sums for the status.
    pub(super) fn totals(&self) -> Totals {
        use std::sync::atomic::Ordering::Relaxed;
        let mut totals = Totals {
            tasks: self.tasks.len() as u64,
            inputs: self.sources.len() as u64,
            held_bytes: self.pending_bytes as u64,
            ..Totals::default()
        };
        totals.counting_bytes = self.counting_bytes as u64;
        for source in self.sources.values() {
            totals.inputs_unshared += source.wanted().len() as u64;
            totals.paused += u64::from(source.is_paused.load(Relaxed));
        }
        totals
    }
}

fn claim_key(key: &SourceKey, id: &TaskId) -> ClaimKey {
    (key.clone(), id.monitor.clone(), id.version)
}

fn place(input: InputTarget, compiled: &Compiled, by_host: bool) -> HostPlace {
    let monitor = &compiled.monitor;
    let key = match &monitor.log {
        Some(pattern) => SourceKey::Log(input_key(monitor, pattern, &input.target, by_host)),
        None => {
            let host = by_host.then(|| input.target.host.clone());
            SourceKey::System(input.target.address.clone(), host)
        }
    };
    HostPlace {
        input,
        key,
        standing: Standing::Counted,
        suspended: Suspended::default(),
    }
}

#[cfg(test)]
mod tests;
