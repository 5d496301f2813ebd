//! A version of a monitor as the planner has it: what it should be, what its Reduce was told, and what is in hand.

use super::{Planner, PlannerSetup};
use crate::keeper::{Known, KnownTask};
use crate::leases::ceil_to;
use crate::ledger::TaskKey;
use crate::topology::reduce_of;
use lika::seam::{Deadline, Monotonic};
use reduce::protocol::{InventorySpan, MapNode, MonitorStatus, MonitorTask, NodeAddress, Place};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long a monitor's newest window may stand still, if that is longer than some windows, before the monitor is given
/// to another Reduce: longer than a Reduce itself needs to replace an owner that hangs.
const STILL_MAX: Duration = Duration::from_secs(120);
/// The same in windows: one may be late for many reasons.
const STILL_WINDOWS: u32 = 3;
/// How long a Reduce may take for a monitor's first word: one that was started anew loads thousands one by one.
const LOADING_MAX: Duration = Duration::from_secs(600);
/// By each move in a row all that is doubled, so often at most: if it gets on nowhere, moving is not the cure.
const DOUBLINGS_MAX: u32 = 4;

/// From where on a task has something to do: asked of the store before a Reduce is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// To be asked.
    Unknown,
    /// Being asked.
    Asking,
    /// From this window on.
    Ns(i64),
}

/// How far along a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is to be answered for.
    Wanted,
    /// All its windows are another version's, and its own are settled or given up: to be removed.
    Over,
    /// It is not configured any more: to be removed and forgotten.
    Gone,
}

/// What a Reduce was told, and took.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    /// Which Reduce, by its place in the setup.
    pub(super) reduce: usize,
    pub(super) task: Arc<MonitorTask>,
    /// [`Planner::installs`] then.
    pub(super) number: u64,
    /// The newest window that it has spoken of.
    pub(super) newest_ns: Option<i64>,
    /// When that moved, or there was a reason for it not to.
    pub(super) got_on: Monotonic,
}

pub(super) struct Task {
    pub(super) known: KnownTask,
    pub(super) stage: Stage,
    pub(super) from: From,
    /// The Reduce it should be on, by its place in the setup, and what that should be told.
    pub(super) desired: Option<(usize, Arc<MonitorTask>)>,
    pub(super) installed: Option<Installed>,
    /// What a Reduce cannot count; not told again as it is.
    pub(super) refused: Option<Arc<MonitorTask>>,
    /// Whether an installation or a removal is under way.
    pub(super) is_busy: bool,
    pub(super) is_repairing: bool,
    pub(super) failures: u32,
    /// A Reduce that did nothing for it, and until when it does not get it.
    pub(super) avoids: Option<(usize, Deadline)>,
    /// How often it was moved because its Reduce did nothing for it, since it last got on with all to choose from.
    pub(super) moves: u32,
    /// Nothing is told before, after a failure.
    pub(super) not_before: Option<Deadline>,
    pub(super) trouble: Option<String>,
    pub(super) is_auditing: bool,
    pub(super) next_audit: Option<Deadline>,
    /// Windows before this were looked for in the store.
    pub(super) audited_to_ns: i64,
}

impl Task {
    fn new(known: KnownTask) -> Task {
        Task {
            known,
            stage: Stage::Wanted,
            from: From::Unknown,
            desired: None,
            installed: None,
            refused: None,
            is_busy: false,
            is_repairing: false,
            failures: 0,
            avoids: None,
            moves: 0,
            not_before: None,
            trouble: None,
            is_auditing: false,
            next_audit: None,
            audited_to_ns: i64::MIN,
        }
    }

    /// The Reduce has lost it: what the store has is asked anew, since time has passed.
    pub(super) fn lost(&mut self) {
        self.installed = None;
        self.from = From::Unknown;
    }

    /// By how much it waits longer before it is moved again.
    pub(super) fn doubled(&self) -> u32 {
        1 << self.moves.min(DOUBLINGS_MAX)
    }

    /// Takes what a Reduce says of it; whether its newest window has stood still for too long, and nothing but the
    /// Reduce can be the reason.
    pub(super) fn gets_nowhere(&mut self, reduce: usize, said: &MonitorStatus, now: Monotonic, now_ns: i64) -> bool {
        let (doubled, window_ns) = (self.doubled(), self.known.lease.window_ns);
        let installed = self.installed.as_mut();
        let Some(installed) = installed.filter(|installed| installed.reduce == reduce) else {
            return false;
        };
        let is_ahead = said.newest_ns > installed.newest_ns;
        let may_stay = self.desired.as_ref().is_some_and(|(desired, _)| *desired == reduce);
        if is_ahead && installed.newest_ns.is_some() && self.avoids.is_none() && may_stay {
            self.moves = 0;
        }
        let (from_ns, until_ns) = (installed.task.from_ns, installed.task.until_ns);
        let has_windows = from_ns <= now_ns && until_ns.is_none_or(|until_ns| now_ns < until_ns);
        if is_ahead || said.waits_for_store || !has_windows {
            installed.newest_ns = installed.newest_ns.max(said.newest_ns);
            installed.got_on = now;
            return false;
        }
        let nanos = |ns: i64| Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
        let mut patience = STILL_MAX.max(nanos(window_ns).saturating_mul(STILL_WINDOWS));
        if installed.newest_ns.is_none() {
            patience = patience.max(LOADING_MAX);
        }
        let patience = patience.saturating_mul(doubled).saturating_add(nanos(said.grace_ns));
        now.since(installed.got_on) > patience
    }
}

impl Planner {
    /// Takes what is known now, and plans anew.
    pub(super) fn learn(&mut self, known: Known) {
        let keys: BTreeSet<&TaskKey> = known.tasks.iter().map(|task| &task.key).collect();
        for (key, task) in &mut self.tasks {
            if !keys.contains(key) {
                task.stage = Stage::Gone;
            }
        }
        for one in &known.tasks {
            let task = self
                .tasks
                .entry(one.key.clone())
                .or_insert_with(|| Task::new(one.clone()));
            let is_over = task.stage == Stage::Over && task.known.lease == one.lease;
            if !is_over && task.stage != Stage::Wanted {
                task.stage = Stage::Wanted;
                task.lost();
            }
            task.known = one.clone();
        }
        self.known = Some(known);
        self.plan();
    }

    /// Says anew of every task where it should be and what its Reduce should be told.
    pub(super) fn plan(&mut self) {
        let (live, maps) = (self.willing_reduces(), self.maps());
        for (key, task) in &mut self.tasks {
            plan_task(
                (key, task),
                self.known.as_ref(),
                (&live, &maps),
                self.epoch,
                &self.setup,
            );
        }
    }

    /// The same, of one task.
    pub(super) fn plan_one(&mut self, key: &TaskKey) {
        let (live, maps) = (self.willing_reduces(), self.maps());
        if let Some(task) = self.tasks.get_mut(key) {
            plan_task(
                (key, task),
                self.known.as_ref(),
                (&live, &maps),
                self.epoch,
                &self.setup,
            );
        }
    }

    /// A new epoch is in force: what had to wait for it goes to its new Reduce, from what the store has.
    pub(super) fn moved(&mut self) {
        for task in self.tasks.values_mut() {
            let (desired, installed) = (&task.desired, &task.installed);
            if let (Some((reduce, _)), Some(installed)) = (desired, installed)
                && *reduce != installed.reduce
            {
                task.lost();
            }
        }
        self.plan();
    }
}

fn plan_task(
    (key, task): (&TaskKey, &mut Task),
    known: Option<&Known>,
    nodes: (&[NodeAddress], &[MapNode]),
    epoch: u64,
    setup: &PlannerSetup,
) {
    let app = task.known.inventory.as_ref();
    let spans = app.zip(known).and_then(|(app, known)| known.spans.get(app));
    let desired = spans.and_then(|spans| desired(key, task, spans, nodes, setup));
    let before = task.desired.take();
    task.desired = desired.map(|(reduce, wanted)| {
        let wanted = MonitorTask { epoch, ..wanted };
        match before {
            Some((_, same)) if *same == wanted => (reduce, same),
            _ => (reduce, Arc::new(wanted)),
        }
    });
}

/// Where a task should be, and what its Reduce should be told; the epoch is set by the caller.
fn desired(
    key: &TaskKey,
    task: &Task,
    spans: &[InventorySpan],
    (live, maps): (&[NodeAddress], &[MapNode]),
    setup: &PlannerSetup,
) -> Option<(usize, MonitorTask)> {
    let (inventory, path) = (task.known.inventory.as_ref()?, task.known.path.as_ref()?);
    let (From::Ns(from_ns), Stage::Wanted) = (task.from, task.stage) else {
        return None;
    };
    let avoided = task.avoids.and_then(|(reduce, _)| setup.reduces.get(reduce));
    let others: Vec<NodeAddress> = live.iter().filter(|node| Some(*node) != avoided).cloned().collect();
    let reduce = reduce_of(&key.monitor, if others.is_empty() { live } else { &others })?;
    let reduce = setup.reduces.iter().position(|node| node == reduce)?;
    let wanted = MonitorTask {
        monitor: key.monitor.clone(),
        version: key.version,
        epoch: 0,
        definition: task.known.lease.definition.clone(),
        from_ns,
        until_ns: task.known.lease.until_ns,
        inventory: spans.to_vec(),
        place: Place {
            app: inventory.clone(),
            path: path.clone(),
            maps: maps.to_vec(),
        },
        horizon_ns: setup.horizon_ns,
        tenant: task.known.tenant.clone(),
        // They are added when it is told: a new one is no reason to tell it again.
        profiles: Vec::new(),
    };
    Some((reduce, wanted))
}

/// The first time of which a task may have to say something.
pub(super) fn since_ns(task: &Task, spans: &[InventorySpan], now_ns: i64, horizon_ns: i64) -> i64 {
    let known_ns = spans.first().map_or(now_ns, |span| span.from_ns);
    ceil_to(known_ns.max(now_ns - horizon_ns), task.known.lease.window_ns)
}
