//! How an owner asks its Maps: installs shards, hears what is new of them, has windows read again.

use super::owner::{BACKOFF, Note, Owner};
use super::shard::{CALL_PATIENCE, COLLECT_PATIENCE, Shard};
use crate::ledger::{RereadPlan, Touched};
use crate::placement;
use crate::protocol::ShardPlan;
use crate::window::{Asked, PIECES_KEPT_NS};
use lika::actor::Context;
use lika::node::CallError;
use map::protocol::{
    Collected, Definition, HostReport, HostTarget, InputTarget, KeptProfile, MapAnswer, MapRequest, RereadRequest,
    ShardTask, TaskId,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// The pause between two questions while verdicts are awaited: reports that come together share a write.
const PAUSE_SHORT: Duration = Duration::from_millis(100);
/// The pause while nothing but open windows grows: they are written about twice a second.
const PAUSE_LONG: Duration = Duration::from_millis(500);
/// So far before the first window that is not proved a Map that remembers nothing begins: as long as any delay that is
/// learned. What a writer held back for longer than the monitor's delay comes into windows that had settled; the Map
/// that was there would have counted it, and so must the one that takes its place.
const LATER_NS: i64 = 900_000_000_000;
/// How long after a window's end and grace a Map that answers may leave all hosts of a shard without a word: longer
/// than its own patience with an agent, and than it needs to begin a reader anew that hangs.
const WORDLESS_NS: i64 = 60_000_000_000;
/// How long such a Map is avoided.
const AVOIDED_NS: i64 = 60_000_000_000;
/// How long a Map may read windows apart from the stream.
const REREAD_PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait before a Map that calls a definition invalid is asked again: it may have been replaced.
const INVALID_PAUSE: Duration = Duration::from_secs(30);
/// How long Maps are told that a shard is removed; one that is not there forgets it by itself.
const REMOVE_PATIENCE: Duration = Duration::from_secs(2);

impl Owner {
    fn id(&self, shard: u32) -> TaskId {
        let task = self.task();
        TaskId {
            monitor: task.monitor,
            version: task.version,
            shard,
        }
    }

    /// Begins to ask, once it is known from where on each host is to be read.
    pub(super) fn begin_asking(&mut self, context: &mut Context<Self>) {
        let now_ns = self.now_ns();
        let is_ready = self.ledger.as_ref().is_some_and(|ledger| ledger.knows_recent(now_ns));
        if !self.asks && is_ready && self.deposed_by.is_none() {
            self.asks = true;
            for plan in self.placed() {
                self.begin_shard(plan, context);
            }
        }
    }

    fn begin_shard(&mut self, plan: ShardPlan, context: &mut Context<Self>) {
        self.serials += 1;
        let (number, link) = (plan.shard, self.shared.maps.link(&plan.map.address));
        self.shards.insert(number, Shard::new(plan, link, self.serials));
        self.note_shard(number, true);
        self.install(number, context);
    }

    /// Places the hosts on the Maps that live.
    pub(super) fn placed(&mut self) -> Vec<ShardPlan> {
        let now_ns = self.now_ns();
        self.avoided.retain(|_, until_ns| now_ns < *until_ns);
        let plans = {
            let (task, guards) = (self.newest(), self.shared.guards.borrow());
            let maps = guards.living(&task.place.maps, |address| self.avoided.contains_key(address));
            let newest = task.inventory.iter().max_by_key(|span| (span.from_ns, span.version));
            placement::shards(&task.place, newest.map_or(&[], |span| &span.hosts), &maps)
        };
        self.placed_at = self.shared.guards.borrow().turn();
        if let Some(ledger) = &mut self.ledger {
            ledger.place(&plans);
        }
        plans
    }

    /// Looks whether hosts are to be counted elsewhere: a Map died, came back, or said nothing of a shard for too long.
    pub(super) fn watch_shards(&mut self, context: &mut Context<Self>) {
        if !self.asks {
            return;
        }
        let (now_ns, before) = (self.now_ns(), self.avoided.len());
        self.avoided.retain(|_, until_ns| now_ns < *until_ns);
        let mut is_changed = self.avoided.len() != before || self.placed_at != self.shared.guards.borrow().turn();
        let (length_ns, grace_ns) = self.edges();
        let is_over = self.newest().until_ns.is_some_and(|until_ns| until_ns <= now_ns);
        let patience_ns = length_ns.saturating_add(grace_ns).saturating_add(WORDLESS_NS);
        for shard in self.shards.values().filter(|_| !is_over) {
            let address = &shard.plan.map.address;
            let is_wordless = shard.is_wordless(now_ns, patience_ns);
            if is_wordless && self.shared.guards.borrow().is_live(address) && !self.avoided.contains_key(address) {
                tracing::warn!(monitor = %self.newest().monitor, map = %shard.plan.map.node, "a map is avoided");
                self.avoided.insert(address.clone(), now_ns.saturating_add(AVOIDED_NS));
                is_changed = true;
            }
        }
        if is_changed {
            self.change_shards(false, context);
        }
    }

    /// Shards that went are removed, others are installed anew, which a Map takes as a change: all of them if the task
    /// changed, else those that have other hosts now.
    pub(super) fn change_shards(&mut self, all: bool, context: &mut Context<Self>) {
        if !self.asks {
            return;
        }
        let plans = self.placed();
        let stays = |shard: &Shard| {
            plans
                .iter()
                .any(|plan| plan.shard == shard.plan.shard && plan.map.address == shard.plan.map.address)
        };
        let gone: Vec<u32> = self
            .shards
            .iter()
            .filter(|(_, shard)| !stays(shard))
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            if let Some(shard) = self.shards.remove(&number) {
                let removal = self.removal(&shard);
                context.pipe(removal, |()| Note::Flush);
            }
            if let Some(ledger) = &mut self.ledger {
                ledger.forget_shard(number);
            }
        }
        for plan in plans {
            match self.shards.get_mut(&plan.shard) {
                None => self.begin_shard(plan, context),
                Some(shard) if !all && shard.plan == plan => {}
                Some(shard) => {
                    let number = plan.shard;
                    self.serials += 1;
                    (shard.plan, shard.serial) = (plan, self.serials);
                    shard.begin_anew(0);
                    self.install(number, context);
                }
            }
        }
    }

    /// Tells a Map that a shard is removed, if it can be told.
    fn removal(&self, shard: &Shard) -> impl Future<Output = ()> + 'static {
        let request = MapRequest::Remove {
            id: self.id(shard.plan.shard),
            epoch: self.task().epoch,
        };
        let client = shard.link.client.clone();
        async move {
            // A Map that cannot be told has forgotten it, or will be told by whoever is in charge of it next.
            let _told = client.call(&request, REMOVE_PATIENCE).await;
        }
    }

    pub(super) fn on_remove(&mut self, context: &mut Context<Self>) {
        let removals: Vec<_> = self.shards.values().map(|shard| self.removal(shard)).collect();
        self.deposed_by = self.deposed_by.or(Some(self.task().epoch));
        self.shards.clear();
        let all = async move {
            let mut told = tokio::task::JoinSet::new();
            for removal in removals {
                told.spawn_local(removal);
            }
            while told.join_next().await.is_some() {}
        };
        context.pipe(all, |()| Note::Removed);
    }

    /// Installs a shard, each host from its first window on that is not proved.
    fn install(&mut self, number: u32, context: &mut Context<Self>) {
        let (task, now_ns) = (self.task(), self.now_ns());
        let (Some(shard), Some(ledger)) = (self.shards.get(&number), &self.ledger) else {
            return;
        };
        let proved = ledger.first_windows(&shard.plan.hosts, now_ns);
        let margin_ns = match task.definition {
            // What a host samples of itself comes at once or never.
            Definition::System => 0,
            Definition::Yaml(_) => LATER_NS,
        };
        let earliest_ns = task.from_ns.max(now_ns.saturating_sub(PIECES_KEPT_NS));
        let targets = targets(&task.inventory);
        let profiles = self.profiles.borrow().of(shard.plan.hosts.iter().map(String::as_str));
        let mut profiles: BTreeMap<String, Vec<KeptProfile>> = profiles.into_iter().collect();
        let inputs = proved.into_iter().filter_map(|(host, proved_ns)| {
            let from_ns = proved_ns.saturating_sub(margin_ns).max(earliest_ns).min(proved_ns);
            Some(InputTarget {
                target: (*targets.get(host.as_str())?).clone(),
                from_ns,
                proved_ns,
                profiles: profiles.remove(host.as_str()).unwrap_or_default(),
            })
        });
        let request = MapRequest::Install(Box::new(ShardTask {
            id: self.id(number),
            epoch: task.epoch,
            definition: task.definition.clone(),
            inputs: inputs.collect(),
            until_ns: task.until_ns,
            tenant: task.tenant.clone(),
        }));
        let (client, serial) = (shard.link.client.clone(), shard.serial);
        let call = async move { client.call(&request, CALL_PATIENCE).await };
        context.pipe(call, move |answer| Note::Installed {
            shard: number,
            serial,
            answer,
        });
    }

    /// Asks a shard's Map for more.
    pub(super) fn ask(&mut self, number: u32, serial: u64, context: &mut Context<Self>) {
        let epoch = self.task().epoch;
        let Some(shard) = self.shards.get(&number).filter(|shard| shard.serial == serial) else {
            return;
        };
        if shard.memory == 0 {
            return self.install(number, context);
        }
        let request = MapRequest::Collect(shard.collect(self.id(number), epoch));
        let client = shard.link.client.clone();
        let call = async move { client.call(&request, COLLECT_PATIENCE).await };
        context.pipe(call, move |answer| Note::Collected {
            shard: number,
            serial,
            answer,
        });
    }

    fn ask_later(&self, number: u32, serial: u64, wait: Duration, context: &mut Context<Self>) {
        context.send_later(wait, Note::Ask { shard: number, serial });
    }

    pub(super) fn on_installed(
        &mut self,
        number: u32,
        serial: u64,
        answer: Result<MapAnswer, CallError>,
        context: &mut Context<Self>,
    ) {
        let is_asked = self.shards.get(&number).is_some_and(|shard| shard.serial == serial);
        match answer {
            _ if !is_asked => {}
            Ok(MapAnswer::Done) => self.installed(number, serial, context),
            answer => self.failed(number, serial, answer, context),
        }
    }

    fn installed(&mut self, number: u32, serial: u64, context: &mut Context<Self>) {
        self.serials += 1;
        let (memory, now_ns) = (self.serials, self.now_ns());
        let Some(shard) = self.shards.get_mut(&number) else {
            return;
        };
        shard.begin_anew(memory);
        (shard.failures, shard.trouble) = (0, None);
        if let Some(ledger) = &self.ledger {
            let gaps = ledger.gaps(&shard.plan.hosts, now_ns);
            self.repairs.order(ledger.reread_plans(&gaps));
        }
        self.note_shard(number, true);
        self.ask_repairs(context);
        self.ask(number, serial, context);
    }

    pub(super) fn on_collected(
        &mut self,
        number: u32,
        serial: u64,
        answer: Result<MapAnswer, CallError>,
        context: &mut Context<Self>,
    ) {
        let is_asked = self.shards.get(&number).is_some_and(|shard| shard.serial == serial);
        match answer {
            _ if !is_asked => {}
            Ok(MapAnswer::Collected(collected)) => self.heard(number, serial, collected, context),
            Ok(MapAnswer::Unknown) => {
                // It was restarted: what it had not handed out it reads again.
                if let Some(shard) = self.shards.get_mut(&number) {
                    shard.begin_anew(0);
                }
                self.install(number, context);
            }
            answer => self.failed(number, serial, answer, context),
        }
    }

    /// Takes what a Map has learned of its inputs, for the next one that reads them and for the Brain.
    fn learn(&mut self, reports: &mut [HostReport]) {
        let (task, mut known) = (self.newest(), self.profiles.borrow_mut());
        let mut news = self.shared.news.borrow_mut();
        for report in reports {
            for profile in std::mem::take(&mut report.profiles) {
                if known.learn(&report.host, profile.clone()) {
                    news.add((&task.monitor, task.version, &report.host), profile);
                }
            }
        }
    }

    fn heard(&mut self, number: u32, serial: u64, mut collected: Collected, context: &mut Context<Self>) {
        self.learn(&mut collected.reports);
        let now_ns = self.now_ns();
        let (Some(shard), Some(ledger)) = (self.shards.get_mut(&number), &mut self.ledger) else {
            return;
        };
        let was_in_trouble = shard.trouble.take().is_some();
        if !collected.reports.is_empty() {
            shard.word_ns = now_ns;
        }
        shard.failures = 0;
        let touched = ledger.take_stream(number, shard.memory, collected.reports);
        let wait = match collected.more {
            true => Duration::ZERO,
            false => pause(&touched, now_ns, self.edges()),
        };
        if let Some(shard) = self.shards.get_mut(&number) {
            shard.heard(collected.ticket, touched, wait);
        }
        if was_in_trouble {
            self.note_shard(number, true);
        }
        self.flush_soon(context);
        self.acknowledge_one(number, serial, context);
    }

    /// Length and grace of the monitor's windows.
    fn edges(&self) -> (i64, i64) {
        (self.terms.shape.window_ns, self.terms.grace_ns)
    }

    /// Goes on with all shards of which all is written that was heard.
    pub(super) fn acknowledge(&mut self, context: &mut Context<Self>) {
        let shards: Vec<(u32, u64)> = self
            .shards
            .iter()
            .map(|(number, shard)| (*number, shard.serial))
            .collect();
        for (number, serial) in shards {
            self.acknowledge_one(number, serial, context);
        }
    }

    fn acknowledge_one(&mut self, number: u32, serial: u64, context: &mut Context<Self>) {
        let now_ns = self.now_ns();
        let (Some(shard), Some(ledger)) = (self.shards.get_mut(&number), &self.ledger) else {
            return;
        };
        if let Some(wait) = shard.saved(|start_ns| ledger.is_dirty(start_ns), now_ns) {
            self.ask_later(number, serial, wait, context);
        }
    }

    /// A Map gave no answer, or one that is of no use.
    fn failed(&mut self, number: u32, serial: u64, answer: Result<MapAnswer, CallError>, context: &mut Context<Self>) {
        let epoch = self.task().epoch;
        let Some(shard) = self.shards.get_mut(&number) else {
            return;
        };
        shard.failures = shard.failures.saturating_add(1);
        let mut wait = BACKOFF.wait(shard.failures, context.randomness());
        let node = &shard.plan.map.node;
        let trouble = match answer {
            Ok(MapAnswer::Stale { epoch: theirs }) if theirs > epoch => return self.depose(theirs),
            Ok(MapAnswer::Invalid(why)) => {
                wait = INVALID_PAUSE;
                format!("its map {node} cannot count it: {why}")
            }
            Ok(other) => format!(
                "its map {node} gave an answer that makes no sense here: {}",
                kind(&other)
            ),
            Err(error) => format!("its map {node} cannot be asked: {}", chain(&error)),
        };
        shard.trouble = Some(trouble);
        self.note_shard(number, false);
        self.ask_later(number, serial, wait, context);
    }

    /// Tells the ledger how it stands with all shards.
    pub(super) fn note_shards(&mut self) {
        let numbers: Vec<u32> = self.shards.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.note_shard(number, false));
    }

    /// `anew`: it can be asked from now on.
    fn note_shard(&mut self, number: u32, anew: bool) {
        let now_ns = self.now_ns();
        let (Some(shard), Some(ledger)) = (self.shards.get_mut(&number), &mut self.ledger) else {
            return;
        };
        if anew {
            shard.since_ns = now_ns;
        }
        let unreachable = shard.unreachable();
        if unreachable.is_some() {
            shard.trouble.clone_from(&unreachable);
        }
        let asked = Asked {
            since_ns: shard.since_ns,
            unreachable: unreachable.map(Into::into),
        };
        ledger.asked(number, asked);
    }

    /// Asks for as many readings apart as may be asked for at a time.
    pub(super) fn ask_repairs(&mut self, context: &mut Context<Self>) {
        while let Some(plan) = self.repairs.next() {
            let task = self.task();
            let Some(shard) = self.shards.get(&plan.shard) else {
                self.repairs.ended(&plan);
                continue;
            };
            let request = MapRequest::Reread(RereadRequest {
                id: self.id(plan.shard),
                epoch: task.epoch,
                definition: task.definition.clone(),
                hosts: plan.hosts.clone(),
                profiles: (self.profiles.borrow()).of(plan.hosts.iter().map(|target| target.host.as_str())),
                from_ns: plan.within.start,
                to_ns: plan.within.end,
            });
            let client = shard.link.client.clone();
            let call = async move { client.call(&request, REREAD_PATIENCE).await };
            context.pipe(call, move |answer| Note::Reread { plan, answer });
        }
    }

    pub(super) fn on_reread(
        &mut self,
        plan: &RereadPlan,
        answer: Result<MapAnswer, CallError>,
        context: &mut Context<Self>,
    ) {
        self.repairs.ended(plan);
        let mut answer = answer;
        if let (Ok(MapAnswer::Reread(reports)), None) = (&mut answer, self.deposed_by) {
            self.learn(reports);
        }
        match (answer, &mut self.ledger) {
            (Ok(MapAnswer::Reread(reports)), Some(ledger)) if self.deposed_by.is_none() => {
                ledger.take_reread(&plan.within, reports);
                self.flush_soon(context);
            }
            // Whoever ordered it sees that the windows are still below 100 %, and orders it again.
            (answer, _) => tracing::debug!(?plan, refused = answer.is_err(), "a repair brought nothing"),
        }
        self.ask_repairs(context);
    }
}

/// How long to wait until the next question, by what the last answer touched.
fn pause(touched: &Touched, now_ns: i64, (length_ns, grace_ns): (i64, i64)) -> Duration {
    let is_due = |start_ns: &i64| start_ns.saturating_add(length_ns + grace_ns) <= now_ns;
    if touched.iter().any(is_due) {
        return PAUSE_SHORT;
    }
    // A window's end and grace: then verdicts come, and nothing is to keep them waiting.
    let since_ns = now_ns.saturating_sub(grace_ns).rem_euclid(length_ns);
    let until = Duration::from_nanos(u64::try_from(length_ns - since_ns).unwrap_or(0));
    PAUSE_LONG.min(until)
}

/// Where each host of the newest inventory is.
fn targets(spans: &[crate::protocol::InventorySpan]) -> BTreeMap<&str, &HostTarget> {
    let newest = spans.iter().max_by_key(|span| (span.from_ns, span.version));
    let hosts = newest.into_iter().flat_map(|span| &span.hosts);
    let mut addresses = std::collections::BTreeSet::new();
    // The second host of an address is a duplicate, and never counted.
    let single = hosts.filter(|host| addresses.insert(&host.address));
    single.map(|host| (host.host.as_str(), host)).collect()
}

fn kind(answer: &MapAnswer) -> &'static str {
    match answer {
        MapAnswer::Done => "done",
        MapAnswer::Collected(_) => "collected",
        MapAnswer::Reread(_) => "reread",
        MapAnswer::Status(_) => "status",
        MapAnswer::Browsed(_) => "browsed",
        MapAnswer::Agents(_) => "agents",
        MapAnswer::Asked(_) => "asked",
        MapAnswer::Stale { .. } => "stale, though its epoch is not greater",
        MapAnswer::Unknown => "unknown",
        MapAnswer::Invalid(_) => "invalid",
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_not_kept_waiting() {
        let second_ns = 1_000_000_000;
        let edges = (second_ns, second_ns / 10);
        let check = |touched: &[i64], now_ms: i64, expected_ms: u64| {
            let touched: Touched = touched.iter().map(|second| second * second_ns).collect();
            let wait = pause(&touched, now_ms * 1_000_000, edges);
            assert_eq!(wait, Duration::from_millis(expected_ms));
        };
        check(&[], 5_200, 500);
        check(&[5], 5_900, 200);
        check(&[5], 6_099, 1);
        check(&[5], 6_100, 100);
        check(&[], 6_100, 500);
    }
}
