//! Monitors that cost more than they may: what pulls cost, who is suspended for it, and from where he is counted again.
//!
//! A suspension begins with the window that is under way. Each log is read on until all windows before are settled,
//! since what was said of them must stay true; then it is not read for that monitor at all. When its time has come, a
//! new reader begins with the next window.

use super::{HostPlace, Missing, Registry, TaskEntry, claim_key};
use crate::input::{Suspension, Usage};
use crate::node::budget::{Budget, Ruling};
use crate::node::source::SourceShared;
use crate::node::tenant::{Chosen, Key, TenantBudget};
use crate::node::verdicts;
use crate::protocol::{MONITORS_SEEN_MAX, MonitorSeen, TENANTS_SEEN_MAX, TaskId, Tenant, TenantSeen};
use crate::verdict::{HostState, Stage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Suspensions of a host that are remembered: a reader that begins anew some minutes back passes over them. What is
/// forgotten would be counted, as if it had been ordered.
const KEPT_MAX: usize = 8;
/// A full Map is looked through no more often: what is suspended already holds its windows for a while.
const MEMORY_JUDGED_EVERY_NS: u64 = 100_000_000;

/// Stretches of time that are not counted of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspended {
    all: Vec<Suspension>,
    /// Whether everything before the last one is settled, and nothing is read any more while it lasts.
    is_over: bool,
    /// A reader that begins reads no window before this.
    not_before_ns: Option<i64>,
}

/// Whether a log is read for a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// By whoever begins, from this on at the earliest.
    Wanted { not_before_ns: i64 },
    /// Not for now.
    Ended,
}

impl Suspended {
    /// All that a reader must know of.
    pub(super) fn all(&self) -> Arc<[Suspension]> {
        self.all.as_slice().into()
    }

    pub(super) fn reading(&self) -> Reading {
        match self.is_over {
            true => Reading::Ended,
            false => Reading::Wanted {
                not_before_ns: self.not_before_ns.unwrap_or(i64::MIN),
            },
        }
    }

    /// The one that lasts.
    fn lasting(&self) -> Option<&Suspension> {
        self.all.last().filter(|last| last.to_ns == i64::MAX)
    }

    fn begin(&mut self, suspension: Suspension) {
        if self.all.len() >= KEPT_MAX {
            self.all.remove(0);
        }
        self.all.push(suspension);
        self.is_over = false;
    }

    /// Ends the one that lasts; windows that start at or behind this are counted.
    fn end(&mut self, to_ns: i64) -> Option<Suspension> {
        self.lasting()?;
        let last = self.all.last_mut()?;
        last.to_ns = to_ns.max(last.from_ns);
        if std::mem::take(&mut self.is_over) {
            self.not_before_ns = Some(last.to_ns);
        }
        Some(last.clone())
    }
}

impl TaskEntry {
    /// Looks at what was said of a host that is suspended: what was called ok goes on being counted, so the suspension
    /// begins behind it. Whether all before it is settled now.
    pub(super) fn note_suspended(&mut self, host: &str) -> bool {
        let Some(HostPlace { suspended, .. }) = self.hosts.get_mut(host) else {
            return false;
        };
        if suspended.is_over || suspended.lasting().is_none() {
            return false;
        }
        let said = self.outbox.verdicts(host);
        let ok_to_ns = said.iter().rev().find(|run| run.state.is_ok()).map(|run| run.to_ns);
        let Some(last) = suspended.all.last_mut() else {
            return false;
        };
        last.from_ns = last.from_ns.max(ok_to_ns.unwrap_or(i64::MIN));
        suspended.is_over = verdicts::settled_to(said).is_some_and(|settled_ns| settled_ns >= last.from_ns);
        suspended.is_over
    }
}

fn over_budget(why: &str) -> Missing {
    Missing {
        state: HostState::OverBudget,
        stage: Stage::Settled,
        detail: why.to_owned(),
    }
}

impl Registry {
    /// Takes what a pull cost those who wanted it; `elapsed_ns` is the time since the pull before.
    pub(in crate::node) fn charge(&mut self, usage: &BTreeMap<TaskId, Usage>, elapsed_ns: u64, now_ns: u64) {
        for (id, used) in usage {
            let Some(task) = self.tasks.get(id) else { continue };
            let new = || Budget::new(&task.compiled.monitor.limits, task.compiled.plan.window_ns, now_ns);
            let key = (id.monitor.clone(), id.version);
            let budget = self.budgets.entry(key.clone()).or_insert_with(new);
            let used = used.spread(elapsed_ns);
            budget.charge(used);
            // One that is suspended still reads what lies before; that is no reason to suspend another one, too.
            let tenant = task.tenant.as_ref().filter(|_| budget.is_counted());
            if let Some(tenant) = tenant.and_then(|name| self.tenants.get_mut(name)) {
                tenant.charge(key, used);
            }
        }
    }

    /// Says whose a shard is. Other limits, or another tenant, let monitors begin anew that were suspended for it.
    pub(super) fn give_tenant(&mut self, id: &TaskId, tenant: Option<&Tenant>) {
        let name = tenant.map(|tenant| tenant.name.clone());
        let Some(task) = self.tasks.get_mut(id) else { return };
        let is_moved = task.tenant != name;
        task.tenant = name;
        let is_changed = tenant.is_some_and(|tenant| {
            let new = || TenantBudget::new(tenant.clone());
            self.tenants
                .entry(tenant.name.clone())
                .or_insert_with(new)
                .change(tenant)
        });
        let is_of_it = |task: &TaskEntry| task.tenant.as_ref() == tenant.map(|tenant| &tenant.name);
        let forgiven = self.tasks.iter().filter(|(one, task)| {
            let is_this = (&one.monitor, one.version) == (&id.monitor, id.version);
            (is_moved && is_this) || (is_changed && is_of_it(task))
        });
        for (one, _) in forgiven {
            if let Some(budget) = self.budgets.get_mut(&(one.monitor.clone(), one.version)) {
                budget.forgive_tenant();
            }
        }
        if is_moved {
            self.forget_tenants();
        }
    }

    /// Whose a shard is that is installed here.
    pub(in crate::node) fn limits_of_tenant(&self, id: &TaskId) -> Option<&Tenant> {
        let name = self.tasks.get(id)?.tenant.as_ref()?;
        self.tenants.get(name).map(TenantBudget::tenant)
    }

    /// Forgets tenants of whom nothing is counted any more.
    pub(super) fn forget_tenants(&mut self) {
        let named: BTreeSet<&String> = self.tasks.values().filter_map(|task| task.tenant.as_ref()).collect();
        self.tenants.retain(|name, _| named.contains(name));
    }

    /// Judges what tenants cost.
    fn judge_tenants(&mut self, now_ns: u64) -> Vec<(Key, Ruling)> {
        let budgets = &mut self.budgets;
        let mut rulings = Vec::new();
        for tenant in self.tenants.values_mut() {
            let is_counted = |key: &Key| budgets.get(key).is_some_and(Budget::is_counted);
            for Chosen { key, why } in tenant.judge(now_ns, is_counted) {
                if let Some(budget) = budgets.get_mut(&key) {
                    rulings.push((key, budget.suspend_for_tenant(now_ns, &why)));
                }
            }
        }
        rulings
    }

    /// Judges all budgets: suspends who costs too much, and has those counted again whose time has come. `now_ns` is
    /// of the monotonic clock, `wall_ns` of the other.
    pub(in crate::node) fn judge_budgets(&mut self, now_ns: u64, wall_ns: i64) {
        let judged = self.budgets.iter_mut().filter_map(|(key, budget)| {
            let ruling = budget.judge(now_ns)?;
            Some((key.clone(), ruling))
        });
        let mut rulings: Vec<(Key, Ruling)> = judged.collect();
        rulings.extend(self.judge_tenants(now_ns));
        for (key, ruling) in rulings {
            match ruling {
                Ruling::Suspend(why) => self.suspend_all(&key, wall_ns, &why),
                Ruling::Resume => {
                    let (monitor, version) = &key;
                    tracing::info!(%monitor, version, "a suspended monitor is counted again");
                    self.shards_of(&key).iter().for_each(|id| self.resume(id, wall_ns));
                }
            }
        }
    }

    /// Takes what a source's reader holds after a pull.
    pub(in crate::node) fn note_held(&mut self, source: &Arc<SourceShared>, held: BTreeMap<TaskId, usize>) {
        let is_there = self.sources.get(&source.key);
        let mut before = source.held();
        if is_there.is_some_and(|it| Arc::ptr_eq(it, source)) {
            let sum = |held: &BTreeMap<TaskId, usize>| held.values().sum::<usize>();
            self.counting_bytes = self.counting_bytes - sum(&before) + sum(&held);
        }
        *before = held;
    }

    /// Suspends those whose windows hold most, as few as needed, if all together hold more than this. What suspended
    /// ones still hold does not count: it grows no more. To be asked after each pull; it looks through all sources only
    /// if that is due, and not more than ten times a second.
    pub(in crate::node) fn judge_memory(&mut self, bytes_max: usize, now_ns: u64, wall_ns: i64) {
        let is_early = now_ns < self.memory_judged_ns.saturating_add(MEMORY_JUDGED_EVERY_NS);
        if self.counting_bytes <= bytes_max || is_early {
            return;
        }
        self.memory_judged_ns = now_ns;
        let mut held: BTreeMap<Key, usize> = BTreeMap::new();
        for source in self.sources.values() {
            for (id, bytes) in &*source.held() {
                *held.entry((id.monitor.clone(), id.version)).or_default() += bytes;
            }
        }
        held.retain(|key, _| self.budgets.get(key).is_some_and(Budget::is_counted));
        let mut all: usize = held.values().sum();
        if all <= bytes_max {
            return;
        }
        let mut largest: Vec<(Key, usize)> = held.into_iter().collect();
        largest.sort_by_cached_key(|(key, bytes)| (std::cmp::Reverse(*bytes), key.clone()));
        for (key, bytes) in largest {
            if all <= bytes_max {
                break;
            }
            let Some(budget) = self.budgets.get_mut(&key) else {
                continue;
            };
            let excess = format!(
                "its open windows hold {} MiB of the {} MiB that all monitors' hold on this map, which has {} for them",
                bytes >> 20,
                all >> 20,
                bytes_max >> 20
            );
            if let Ruling::Suspend(why) = budget.suspend_for_memory(now_ns, &excess) {
                self.suspend_all(&key, wall_ns, &why);
            }
            all -= bytes;
        }
    }

    /// The shards of a version of a monitor.
    fn shards_of(&self, (monitor, version): &Key) -> Vec<TaskId> {
        let is_of_it = |id: &&TaskId| id.monitor == *monitor && id.version == *version;
        self.tasks.keys().filter(is_of_it).cloned().collect()
    }

    fn suspend_all(&mut self, key: &Key, wall_ns: i64, why: &str) {
        let (monitor, version) = key;
        tracing::warn!(%monitor, version, "{why}");
        self.suspensions += 1;
        let shards = self.shards_of(key);
        shards.iter().for_each(|id| self.suspend(id, wall_ns, why));
    }

    fn suspend(&mut self, id: &TaskId, wall_ns: i64, why: &str) {
        let number = self.suspensions;
        self.each_host(id, |task, host| {
            let from_ns = verdicts::due_ns(wall_ns, task.compiled.plan.window_ns, 0);
            if let Some(place) = task.hosts.get_mut(host) {
                let why = Arc::from(why);
                place.suspended.begin(Suspension {
                    number,
                    from_ns: from_ns.max(place.input.from_ns),
                    to_ns: i64::MAX,
                    why,
                });
            }
            task.note_suspended(host);
        });
    }

    fn resume(&mut self, id: &TaskId, wall_ns: i64) {
        self.each_host(id, |task, host| {
            let window_ns = task.compiled.plan.window_ns;
            let next_ns = verdicts::due_ns(wall_ns, window_ns, 0).saturating_add(window_ns);
            let Some(place) = task.hosts.get_mut(host) else { return };
            let was_over = place.suspended.is_over;
            let Some(ended) = place.suspended.end(next_ns) else {
                return;
            };
            if was_over {
                let until_ns = task.until_ns.unwrap_or(i64::MAX).min(ended.to_ns);
                task.outbox
                    .fill(host, (ended.from_ns, until_ns), &over_budget(&ended.why));
            }
        });
        // A reader that was still at it goes on from before as a new one would, and counts what it has passed over.
        self.begin_anew(id);
    }

    /// Has all readers of a shard begin anew.
    fn begin_anew(&mut self, id: &TaskId) {
        let Some(task) = self.tasks.get(id) else { return };
        for place in task.hosts.values() {
            let Some(source) = self.sources.get(&place.key) else {
                continue;
            };
            let mut wanted = source.wanted();
            if let Some(wanted) = wanted
                .get_mut(id)
                .filter(|wanted| wanted.subscription.host == place.input.target.host)
            {
                self.incarnations += 1;
                wanted.incarnation = self.incarnations;
                self.changed.insert(place.key.clone());
            }
        }
    }

    /// Changes each host of a shard, and who wants it.
    fn each_host(&mut self, id: &TaskId, change: impl Fn(&mut TaskEntry, &str)) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let hosts: Vec<String> = task.hosts.keys().cloned().collect();
        let held = task.outbox.held_bytes();
        hosts.iter().for_each(|host| change(task, host));
        self.pending_bytes = self.pending_bytes + task.outbox.held_bytes() - held;
        task.news.notify_waiters();
        let keys: Vec<_> = task.hosts.values().map(|place| claim_key(&place.key, id)).collect();
        keys.iter().for_each(|key| self.settle(key));
    }

    /// Says of windows that have ended that they are not counted, where nobody reads the log.
    pub(in crate::node) fn fill_suspended(&mut self, now_ns: i64) {
        for task in self.tasks.values_mut() {
            let suspended = task.hosts.iter().filter(|(_, place)| place.suspended.is_over);
            let suspended = suspended.filter_map(|(host, place)| {
                let why = over_budget(&place.suspended.lasting()?.why);
                Some((host.clone(), why))
            });
            for (host, why) in suspended.collect::<Vec<_>>() {
                task.fill(&host, now_ns, &why);
            }
        }
    }

    /// What monitors cost here: those that are suspended first, then the dearest.
    pub(in crate::node) fn monitors_seen(&self) -> Vec<MonitorSeen> {
        let mut seen: Vec<MonitorSeen> = Vec::with_capacity(self.budgets.len());
        for ((monitor, version), budget) in &self.budgets {
            let mut tasks = self
                .tasks
                .iter()
                .filter(|(id, _)| (&id.monitor, id.version) == (monitor, *version));
            let lasting = tasks.find_map(|(_, task)| task.hosts.values().find_map(|place| place.suspended.lasting()));
            let rate = budget.rate();
            seen.push(MonitorSeen {
                monitor: monitor.clone(),
                version: *version,
                cpu_us_per_s: rate.cpu_us,
                bytes_per_s: rate.bytes,
                suspended: lasting.map(|suspension| suspension.why.to_string()),
            });
        }
        let rank = |one: &MonitorSeen| (one.suspended.is_none(), std::cmp::Reverse(one.cpu_us_per_s));
        seen.sort_by(|one, other| {
            rank(one)
                .cmp(&rank(other))
                .then_with(|| one.monitor.cmp(&other.monitor))
        });
        seen.truncate(MONITORS_SEEN_MAX);
        seen
    }

    /// What tenants cost here: those of which monitors are suspended first, then the dearest.
    pub(in crate::node) fn tenants_seen(&self) -> Vec<TenantSeen> {
        let mut suspended: BTreeMap<&String, BTreeSet<(&String, u64)>> = BTreeMap::new();
        for (id, task) in &self.tasks {
            let budget = self.budgets.get(&(id.monitor.clone(), id.version));
            if let Some(tenant) = &task.tenant
                && budget.is_some_and(Budget::is_suspended_for_tenant)
            {
                suspended.entry(tenant).or_default().insert((&id.monitor, id.version));
            }
        }
        let seen = |(name, tenant): (&String, &TenantBudget)| TenantSeen {
            tenant: name.clone(),
            cpu_us_per_s: tenant.rate().cpu_us,
            bytes_per_s: tenant.rate().bytes,
            suspended: suspended.get(name).map_or(0, |versions| versions.len() as u64),
        };
        let mut seen: Vec<TenantSeen> = self.tenants.iter().map(seen).collect();
        seen.sort_by_key(|one| std::cmp::Reverse((one.suspended, one.cpu_us_per_s)));
        seen.truncate(TENANTS_SEEN_MAX);
        seen
    }
}
