//! A version of a monitor as the planner has it: what it should be, what its Reduce was told, and what is in hand.

use super::{Planner, PlannerSetup};
use crate::keeper::{Known, KnownTask};
use crate::leases::ceil_to;
use crate::ledger::TaskKey;
use crate::topology::reduce_of;
use lika::seam::Deadline;
use reduce::protocol::{InventorySpan, MonitorTask, NodeAddress, Place};
use std::collections::BTreeSet;
use std::sync::Arc;

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
        let live = self.live_reduces();
        for (key, task) in &mut self.tasks {
            plan_task(key, task, self.known.as_ref(), &live, self.epoch, &self.setup);
        }
    }

    /// The same, of one task.
    pub(super) fn plan_one(&mut self, key: &TaskKey) {
        let live = self.live_reduces();
        if let Some(task) = self.tasks.get_mut(key) {
            plan_task(key, task, self.known.as_ref(), &live, self.epoch, &self.setup);
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
    key: &TaskKey,
    task: &mut Task,
    known: Option<&Known>,
    live: &[NodeAddress],
    epoch: u64,
    setup: &PlannerSetup,
) {
    let app = task.known.inventory.as_ref();
    let spans = app.zip(known).and_then(|(app, known)| known.spans.get(app));
    let desired = spans.and_then(|spans| desired(key, task, spans, live, setup));
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
    live: &[NodeAddress],
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
            maps: setup.maps.clone(),
        },
        horizon_ns: setup.horizon_ns,
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
