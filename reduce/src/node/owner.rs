//! The owner of one version of a monitor: drives its ledger, writes what the ledger says, and has its shards asked.
//!
//! It can be built anew at any time from its task and the store. It writes nothing once it was deposed: by a store that
//! has a greater epoch, or by a Map that was told one, until a Brain installs it again (M4).

use super::Shared;
use super::repairs::Repairs;
use super::shard::Shard;
use crate::inventory::Roll;
use crate::ledger::{Batch, Ledger, RereadPlan};
use crate::profiles::HostProfiles;
use crate::protocol::{InventorySpan, MonitorStatus, MonitorTask, ShardSeen};
use crate::stored::{DEFINITION, HOSTS, SHAPE, decode, encode};
use crate::terms::Terms;
use crate::window::{Change, Finished};
use lika::actor::{Actor, Context, Failure, Handler, Message, ProgressHandle};
use lika::node::CallError;
use lika::seam::Backoff;
use map::protocol::{HostTarget, MapAnswer};
use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{Document, StoreError, WindowWrite, WriteOutcome};

/// How long one call of the store may take before it counts as failed: longer than the store's own patience.
const STORE_PATIENCE: Duration = Duration::from_secs(40);
/// Headers of one page when an owner starts.
const PAGE_WINDOWS: usize = 4096;
/// About the most bytes of one call of the store, so that none takes long.
const WRITE_BYTES_MAX: usize = 4 << 20;
/// The longest time between two looks at the clock.
const TICK_MAX_NS: i64 = 1_000_000_000;
/// The shortest one, so that a clock that stands still is not asked all the time.
const TICK_MIN_NS: i64 = 2_000_000;
/// How to wait before the store, or a Map, is tried again: a monitor heals within seconds of its cause.
pub(super) const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(3),
};

/// What an owner is told.
pub(super) enum Note {
    /// The task was changed by a Brain.
    Changed,
    /// Nobody wants the answers any more.
    Remove,
    /// The Maps were told so.
    Removed,
    /// Read these windows again.
    Repair(Vec<i64>),
    /// Look at the clock; outdated if the number is not the last one's.
    Tick(u64),
    /// Write what is to be written.
    Flush,
    /// Ask a shard's Map for more.
    Ask { shard: u32, serial: u64 },
    /// A Map's answer to an installation.
    Installed {
        shard: u32,
        serial: u64,
        answer: Result<MapAnswer, CallError>,
    },
    /// A Map's answer to a question for more.
    Collected {
        shard: u32,
        serial: u64,
        answer: Result<MapAnswer, CallError>,
    },
    /// A Map's answer to a reading apart.
    Reread {
        plan: RereadPlan,
        answer: Result<MapAnswer, CallError>,
    },
}

impl Message for Note {
    type Reply = ();
}

/// The owner of one version of a monitor.
pub(super) struct Owner {
    pub(super) shared: Rc<Shared>,
    pub(super) terms: Terms,
    /// The newest task, which outlives this generation.
    newest: Rc<RefCell<MonitorTask>>,
    /// What is known of the logs of its hosts, which outlives this generation too.
    pub(super) profiles: Rc<RefCell<HostProfiles>>,
    /// None until it was loaded.
    pub(super) ledger: Option<Ledger>,
    /// Whether documents must be put before anything is written.
    owes_documents: bool,
    pub(super) shards: BTreeMap<u32, Shard>,
    /// Whether the shards were begun to be asked.
    pub(super) asks: bool,
    /// [`super::watch::Guards::turn`] when they were placed.
    pub(super) placed_at: u64,
    /// Maps that left a shard without any word for too long, by address, and until when they are avoided.
    pub(super) avoided: BTreeMap<String, i64>,
    /// Numbers installations and questions.
    pub(super) serials: u64,
    pub(super) repairs: Repairs,
    pub(super) deposed_by: Option<u64>,
    flush_is_due: bool,
    /// Versions of the inventory that windows name and of which even the store has no list.
    missing_rolls: Vec<u64>,
    tick: (u64, i64),
    store_failures: u32,
    /// Whether the store is left alone until the next look at the clock.
    store_rests: bool,
    store_trouble: Option<String>,
    status: Arc<MonitorStatus>,
    progress: Option<ProgressHandle>,
}

/// A call of the store that did not do what it should.
#[derive(Debug, thiserror::Error)]
enum StoreTrouble {
    #[error("the store did not answer in {} s", STORE_PATIENCE.as_secs())]
    TimedOut,
    #[error(transparent)]
    Failed(#[from] StoreError),
    #[error(transparent)]
    Unreadable(#[from] crate::stored::Unreadable),
    #[error("merging failed: {0}")]
    Merging(#[from] lika::pool::PoolError),
}

impl Owner {
    pub(super) fn new(
        shared: Rc<Shared>,
        terms: Terms,
        newest: Rc<RefCell<MonitorTask>>,
        profiles: Rc<RefCell<HostProfiles>>,
    ) -> Self {
        let task = newest.borrow();
        let status = MonitorStatus {
            monitor: task.monitor.clone(),
            version: task.version,
            epoch: task.epoch,
            newest_ns: None,
            windows: 0,
            below: 0,
            below_windows: Vec::new(),
            troubles: vec!["it is being loaded from the store".to_owned()],
            shards: Vec::new(),
            grace_ns: terms.grace_ns,
            // An owner that fails again and again before it can say more is not excused by the store.
            waits_for_store: false,
            overflow: None,
        };
        drop(task);
        Self {
            shared,
            terms,
            newest,
            profiles,
            ledger: None,
            owes_documents: true,
            shards: BTreeMap::new(),
            asks: false,
            placed_at: 0,
            avoided: BTreeMap::new(),
            serials: 0,
            repairs: Repairs::default(),
            deposed_by: None,
            flush_is_due: false,
            missing_rolls: Vec::new(),
            tick: (0, i64::MAX),
            store_failures: 0,
            store_rests: false,
            store_trouble: None,
            status: Arc::new(status),
            progress: None,
        }
    }

    pub(super) fn task(&self) -> MonitorTask {
        self.newest.borrow().clone()
    }

    /// The newest task, for a moment.
    pub(super) fn newest(&self) -> Ref<'_, MonitorTask> {
        self.newest.borrow()
    }

    pub(super) fn now_ns(&self) -> i64 {
        self.shared.config.clock.wall().0
    }

    async fn store<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreTrouble> {
        // An owner that waits for the store is not hung.
        let _over = self.progress.as_ref().map(ProgressHandle::progress);
        match self.shared.config.clock.timeout(STORE_PATIENCE, call).await {
            Ok(answered) => Ok(answered?),
            Err(_elapsed) => Err(StoreTrouble::TimedOut),
        }
    }

    /// Reads what the store has of the monitor: the headers of all its windows from the first on.
    async fn load(&self) -> Result<Ledger, StoreTrouble> {
        let task = self.task();
        let (monitor, mut from_ns) = (task.monitor.clone(), task.from_ns);
        let to_ns = task.until_ns.unwrap_or(i64::MAX);
        let mut ledger = Ledger::new(self.terms.clone(), task);
        loop {
            let storage = &self.shared.config.storage;
            let page = self
                .store(storage.windows(&monitor, from_ns..to_ns, PAGE_WINDOWS, false))
                .await?;
            for window in &page {
                ledger.restore(window)?;
            }
            match page.last() {
                Some(last) if page.len() >= PAGE_WINDOWS => from_ns = last.window_ns.saturating_add(1),
                _ => break,
            }
        }
        Ok(ledger)
    }

    /// Makes all versions of the inventory known that stored windows name.
    async fn know_rolls(&mut self, ledger: &mut Ledger) -> Result<(), StoreTrouble> {
        let unknown = ledger.unknown_rolls();
        if unknown.iter().all(|version| self.missing_rolls.contains(version)) {
            return Ok(());
        }
        let monitor = ledger.task().monitor.clone();
        let documents = self
            .store(self.shared.config.storage.documents(HOSTS, &monitor))
            .await?;
        for document in documents.iter().filter(|document| unknown.contains(&document.version)) {
            let hosts: Vec<HostTarget> = decode("list of hosts", &document.content)?;
            let span = InventorySpan {
                from_ns: i64::MIN,
                version: document.version,
                hosts,
            };
            ledger.know_roll(Roll::new(&span));
        }
        let missing = ledger.unknown_rolls();
        self.missing_rolls = missing.into_iter().collect();
        Ok(())
    }

    /// Puts the documents by which the windows can be read, before the first window.
    async fn put_documents(&self) -> Result<(), StoreTrouble> {
        let task = self.task();
        let document = |kind: &str, version: u64, content: Vec<u8>| Document {
            kind: kind.to_owned(),
            name: task.monitor.clone(),
            version,
            content,
        };
        let mut documents = vec![
            document(SHAPE, task.version, encode(&*self.terms.shape)),
            document(DEFINITION, task.version, encode(&task.definition)),
        ];
        let spans = task.inventory.iter();
        documents.extend(spans.map(|span| document(HOSTS, span.version, encode(&span.hosts))));
        for document in documents {
            self.store(self.shared.config.storage.put_document(document)).await?;
        }
        Ok(())
    }

    /// Gets ready to write: documents, the ledger, the inventories that it needs.
    async fn prepare(&mut self) -> Result<(), StoreTrouble> {
        if self.owes_documents {
            self.put_documents().await?;
            self.owes_documents = false;
        }
        if self.ledger.is_none() {
            self.ledger = Some(self.load().await?);
            // Who will be asked: until then its hosts are open, not missing.
            self.placed();
        }
        let Some(mut ledger) = self.ledger.take() else {
            return Ok(());
        };
        let known = self.know_rolls(&mut ledger).await;
        self.ledger = Some(ledger);
        known
    }

    async fn on_tick(&mut self, context: &mut Context<Self>) {
        if self.deposed_by.is_some() {
            return;
        }
        match self.prepare().await {
            Ok(()) => self.store_rests = false,
            Err(trouble) => return self.store_fails(&trouble, context),
        }
        if !self.ledger.as_ref().is_some_and(Ledger::has_work) {
            self.store_works();
        }
        let now_ns = self.now_ns();
        self.note_shards();
        if let Some(ledger) = &mut self.ledger {
            ledger.tick(now_ns);
        }
        self.flush_soon(context);
        self.begin_asking(context);
        self.watch_shards(context);
        self.tick_in_time(context);
    }

    fn store_works(&mut self) {
        self.store_failures = 0;
        self.store_trouble = None;
    }

    fn store_fails(&mut self, trouble: &StoreTrouble, context: &mut Context<Self>) {
        self.store_failures = self.store_failures.saturating_add(1);
        let status = &self.status;
        tracing::warn!(monitor = %status.monitor, %trouble, "the store fails a monitor");
        self.store_trouble = Some(trouble.to_string());
        self.store_rests = true;
        let wait = BACKOFF.wait(self.store_failures, context.randomness());
        let wait_ns = i64::try_from(wait.as_nanos()).unwrap_or(TICK_MAX_NS);
        self.tick.1 = i64::MAX;
        self.tick_at(self.now_ns().saturating_add(wait_ns), context);
    }

    /// Sees to it that the clock is looked at when the ledger next needs it.
    fn tick_in_time(&mut self, context: &mut Context<Self>) {
        let next_ns = self.ledger.as_ref().map_or(i64::MAX, Ledger::next_ns);
        let now_ns = self.now_ns();
        self.tick_at(next_ns.clamp(now_ns + TICK_MIN_NS, now_ns + TICK_MAX_NS), context);
    }

    fn tick_at(&mut self, at_ns: i64, context: &mut Context<Self>) {
        if at_ns >= self.tick.1 {
            return;
        }
        self.tick = (self.tick.0 + 1, at_ns);
        let wait_ns = u64::try_from(at_ns.saturating_sub(self.now_ns())).unwrap_or(0);
        context.send_later(Duration::from_nanos(wait_ns), Note::Tick(self.tick.0));
    }

    /// Has a batch written once what waits in the mailbox was taken in: so many reports share one write.
    pub(super) fn flush_soon(&mut self, context: &mut Context<Self>) {
        let has_work = self.ledger.as_ref().is_some_and(Ledger::has_work);
        if has_work && !self.flush_is_due && !self.store_rests {
            self.flush_is_due = true;
            context.pipe(std::future::ready(()), |()| Note::Flush);
        }
    }

    async fn on_flush(&mut self, context: &mut Context<Self>) {
        self.flush_is_due = false;
        let Some(mut ledger) = self.ledger.take().filter(|_| self.deposed_by.is_none()) else {
            return;
        };
        let flushed = self.flush(&mut ledger).await;
        ledger.trim();
        self.ledger = Some(ledger);
        match flushed {
            Ok(()) => self.store_works(),
            Err(trouble) => return self.store_fails(&trouble, context),
        }
        self.acknowledge(context);
        self.begin_asking(context);
        self.flush_soon(context);
        self.tick_in_time(context);
    }

    /// Works on one batch: load, judge, merge, write.
    async fn flush(&mut self, ledger: &mut Ledger) -> Result<(), StoreTrouble> {
        let batch = ledger.next_batch();
        self.load_cold(ledger, &batch).await?;
        self.know_rolls(ledger).await?;
        let shape = Arc::clone(ledger.shape());
        let drafts = ledger.drafts(&batch, self.now_ns());
        let merging = move || drafts.into_iter().map(|draft| draft.merge(&shape)).collect();
        let finished: Vec<Finished> = self.shared.config.pool.run(merging).await?;
        let mut changes = ledger.changes(finished).into_iter().peekable();
        while changes.peek().is_some() {
            let mut bytes = 0;
            let mut part = Vec::new();
            while let Some(next) =
                changes.next_if(|(write, _)| part.is_empty() || bytes + write.bytes() <= WRITE_BYTES_MAX)
            {
                bytes += next.0.bytes();
                part.push(next);
            }
            self.write(ledger, part).await?;
            if self.deposed_by.is_some() {
                break;
            }
        }
        Ok(())
    }

    async fn load_cold(&self, ledger: &mut Ledger, batch: &Batch) -> Result<(), StoreTrouble> {
        let monitor = ledger.task().monitor.clone();
        let storage = &self.shared.config.storage;
        for range in &batch.loads {
            let range: &Range<i64> = range;
            let windows = self
                .store(storage.windows(&monitor, range.clone(), usize::MAX, true))
                .await?;
            let pieces = self.store(storage.pieces(&monitor, range.clone())).await?;
            ledger.load(range, windows, &pieces)?;
        }
        Ok(())
    }

    async fn write(&mut self, ledger: &mut Ledger, part: Vec<(WindowWrite, Change)>) -> Result<(), StoreTrouble> {
        let (writes, changes): (Vec<WindowWrite>, Vec<Change>) = part.into_iter().unzip();
        let starts: Vec<i64> = writes.iter().map(|write| write.window_ns).collect();
        let outcomes = match self.store(self.shared.config.storage.write(writes)).await {
            Ok(outcomes) => outcomes,
            Err(trouble) => {
                // It may have been done all the same: what is there is read before more is written.
                starts.iter().for_each(|start_ns| ledger.outrun(*start_ns));
                return Err(trouble);
            }
        };
        for ((start_ns, change), outcome) in starts.into_iter().zip(changes).zip(outcomes) {
            match outcome {
                WriteOutcome::Written => {
                    self.shared.written.fetch_add(1, Ordering::Relaxed);
                    ledger.written(start_ns, change);
                }
                // Whoever wrote it under our fence: what is there is read before more is written.
                WriteOutcome::Already => ledger.outrun(start_ns),
                WriteOutcome::Refused { stored } => {
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                    ledger.outrun(start_ns);
                    if stored.epoch > ledger.task().epoch {
                        self.depose(stored.epoch);
                    }
                }
            }
        }
        Ok(())
    }

    /// Another owner is in charge: nothing more is asked or written until a Brain says otherwise.
    pub(super) fn depose(&mut self, epoch: u64) {
        tracing::warn!(monitor = %self.status.monitor, epoch, "a monitor's owner is deposed");
        self.deposed_by = Some(epoch);
        self.shards.clear();
        self.asks = false;
        self.repairs = Repairs::default();
    }

    fn on_changed(&mut self, context: &mut Context<Self>) {
        let task = self.task();
        self.owes_documents = true;
        if self.deposed_by.is_some_and(|epoch| task.epoch >= epoch) {
            // Whoever was in charge meanwhile has written: all is read again.
            self.deposed_by = None;
            self.ledger = None;
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.change_task(task);
            self.change_shards(true, context);
        }
        self.tick_at(self.now_ns(), context);
    }

    fn on_repair(&mut self, windows: &[i64], context: &mut Context<Self>) {
        if let Some(ledger) = self.ledger.as_ref().filter(|_| self.deposed_by.is_none()) {
            self.repairs.order(ledger.reread_plans(windows));
            self.ask_repairs(context);
        }
    }

    fn refresh_status(&mut self) {
        let task = self.newest.borrow();
        let mut troubles: Vec<String> = Vec::new();
        if let Some(epoch) = self.deposed_by {
            troubles.push(format!(
                "deposed: epoch {epoch} has another owner, this one has {}",
                task.epoch
            ));
        }
        troubles.extend(self.store_trouble.clone());
        let shards = self.shards.values();
        let of_shard = |shard: &Shard| Some(format!("shard {}: {}", shard.plan.shard, shard.trouble.as_ref()?));
        troubles.extend(shards.filter_map(of_shard));
        troubles.extend(self.avoided.keys().map(|address| {
            format!("its map at {address} said nothing of its hosts for too long, and is avoided for a while")
        }));
        let ledger = self.ledger.as_ref();
        if ledger.is_none() && troubles.is_empty() {
            troubles.push("it is being loaded from the store".to_owned());
        }
        if let Some(misplaced) = ledger.map(Ledger::misplaced).filter(|count| *count > 0) {
            troubles.push(format!(
                "{misplaced} cells or verdicts of its maps were of no window: the maps are wrong"
            ));
        }
        if let Some(version) = self.missing_rolls.first() {
            troubles.push(format!(
                "the store has no list of the hosts of inventory version {version}: its windows stay as they are"
            ));
        }
        let (below, below_windows) = ledger.map(Ledger::below).unwrap_or_default();
        self.status = Arc::new(MonitorStatus {
            monitor: task.monitor.clone(),
            version: task.version,
            epoch: task.epoch,
            newest_ns: ledger.and_then(Ledger::newest_ns),
            windows: ledger.map_or(0, |ledger| ledger.hot_windows() as u64),
            below,
            below_windows,
            troubles,
            shards: self.shards_seen(),
            grace_ns: self.terms.grace_ns,
            waits_for_store: self.store_trouble.is_some(),
            overflow: ledger.and_then(Ledger::overflow).cloned(),
        });
    }

    fn shards_seen(&self) -> Vec<ShardSeen> {
        let mut hosts: BTreeMap<&str, u64> = BTreeMap::new();
        for shard in self.shards.values() {
            *hosts.entry(&shard.plan.map.node).or_default() += shard.plan.hosts.len() as u64;
        }
        let seen = hosts.into_iter().map(|(map, hosts)| ShardSeen {
            map: map.to_owned(),
            hosts,
        });
        seen.collect()
    }
}

impl Actor for Owner {
    type State = Arc<MonitorStatus>;

    fn observe(&self) -> Arc<MonitorStatus> {
        Arc::clone(&self.status)
    }

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), Failure> {
        self.progress = Some(context.progress_handle());
        self.tick_at(self.now_ns(), context);
        Ok(())
    }
}

impl Handler<Note> for Owner {
    async fn handle(&mut self, note: Note, context: &mut Context<Self>) -> Result<(), Failure> {
        match note {
            Note::Tick(number) if number == self.tick.0 => {
                self.tick.1 = i64::MAX;
                self.on_tick(context).await;
                self.refresh_status();
            }
            Note::Tick(_) => {}
            Note::Flush => {
                self.on_flush(context).await;
                self.refresh_status();
            }
            Note::Changed => self.on_changed(context),
            Note::Remove => self.on_remove(context),
            Note::Removed => context.finish(),
            Note::Repair(windows) => self.on_repair(&windows, context),
            Note::Ask { shard, serial } => self.ask(shard, serial, context),
            Note::Installed { shard, serial, answer } => self.on_installed(shard, serial, answer, context),
            Note::Collected { shard, serial, answer } => self.on_collected(shard, serial, answer, context),
            Note::Reread { plan, answer } => self.on_reread(&plan, answer, context),
        }
        Ok(())
    }
}
