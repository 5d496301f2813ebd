//! The running Brain: one actor that looks, plans, tells, and looks again.
//!
//! It never waits in a handler. Reading files, asking the store and asking Reduces run beside it and come back as
//! messages, so that no slow disk or dead node keeps it from anything else. Every order is one that may be given twice:
//! what counts is what a Reduce says it has, and what that lacks is told again.

use crate::events::{Events, Kind};
use crate::keeper::{Keeper, Known, Polled, chain};
use crate::lasting::Leading;
use crate::ledger::{Ledger, TaskKey};
use crate::profiles::KnownProfiles;
use crate::protocol::BrainState;
use crate::windows::{Audit, WindowStore};
use lika::actor::{Actor, Context, Failure, Handler, Message};
use lika::seam::{Backoff, Network};
use lika::wire::Identity;
use reduce::protocol::{MapNode, MonitorTask, NodeAddress, ReduceAnswer, ReduceStatus};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

mod answers;
mod cost;
mod drained;
mod lessons;
mod orders;
mod reads;
mod reduces;
mod route;
mod show;
mod task;
mod tenants;

use reduces::ReduceLink;
pub(crate) use route::{Route, Routed};
use task::Task;

/// How often Reduces are asked how they stand, and orders are given that became due.
const BEAT: Duration = Duration::from_secs(1);
/// How an order that failed is repeated.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(10),
};

/// What every generation of the planner is made of.
#[derive(Clone)]
pub(crate) struct PlannerSetup {
    pub(crate) keeper: Arc<Mutex<Keeper>>,
    /// Whether anything may be ordered.
    pub(crate) leading: Leading,
    /// What the keeper has written down of logs.
    pub(crate) profiles: KnownProfiles,
    pub(crate) store: Arc<dyn WindowStore>,
    pub(crate) reduces: Vec<NodeAddress>,
    pub(crate) maps: Vec<MapNode>,
    pub(crate) identity: Identity,
    /// Where consoles reach it, once it listens.
    pub(crate) address: Arc<OnceLock<String>>,
    /// When the process began.
    pub(crate) began_ns: i64,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) horizon_ns: i64,
    pub(crate) poll_every: Duration,
}

pub(crate) struct Planner {
    setup: PlannerSetup,
    epoch: u64,
    known: Option<Known>,
    /// In the order of the setup.
    reduces: Vec<ReduceLink>,
    tasks: BTreeMap<TaskKey, Task>,
    ledger: Ledger,
    events: Events,
    /// Questions to the store that are under way.
    reads: usize,
    /// Counts answers to installations, so that a status that was asked for before one is not taken to deny it.
    installs: u64,
    /// Whether a new epoch is being taken.
    taking_epoch: bool,
}

impl Planner {
    pub(crate) fn new(setup: PlannerSetup) -> Planner {
        Planner {
            setup,
            epoch: 0,
            known: None,
            reduces: Vec::new(),
            tasks: BTreeMap::new(),
            ledger: Ledger::default(),
            events: Events::default(),
            reads: 0,
            installs: 0,
            taking_epoch: false,
        }
    }
}

/// Look at the configuration.
pub(crate) struct Poll;

impl Message for Poll {
    type Reply = ();
}

/// What was seen there.
struct PollDone(Result<(Polled, u64), String>);

impl Message for PollDone {
    type Reply = ();
}

/// Ask Reduces, and do what is due.
struct Beat;

impl Message for Beat {
    type Reply = ();
}

/// A Reduce said how it stands, or didn't.
struct Stands {
    reduce: usize,
    /// [`Planner::installs`] when it was asked.
    asked: u64,
    result: Result<ReduceStatus, String>,
}

impl Message for Stands {
    type Reply = ();
}

/// What was ordered.
#[derive(Debug, Clone)]
enum Ordered {
    Install(Arc<MonitorTask>),
    Remove,
    Repair(usize),
}

/// A Reduce answered an order, or didn't.
struct Answered {
    reduce: usize,
    key: TaskKey,
    ordered: Ordered,
    result: Result<ReduceAnswer, String>,
}

impl Message for Answered {
    type Reply = ();
}

/// The store said from where on a task has something to do.
struct Scanned {
    key: TaskKey,
    result: Result<i64, String>,
}

impl Message for Scanned {
    type Reply = ();
}

/// The store said how a task's windows stand.
struct AuditDone {
    key: TaskKey,
    result: Result<Audit, String>,
}

impl Message for AuditDone {
    type Reply = ();
}

/// An epoch was taken, or couldn't be.
struct EpochTaken(Result<u64, String>);

impl Message for EpochTaken {
    type Reply = ();
}

/// How everything stands.
pub(crate) struct AskState;

impl Message for AskState {
    type Reply = BrainState;
}

/// What tests and the admin page see at a glance.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "shown by `Debug` in observations")]
pub(crate) struct Glance {
    epoch: u64,
    tasks: usize,
    installed: usize,
}

impl Actor for Planner {
    type State = Glance;

    fn observe(&self) -> Glance {
        Glance {
            epoch: self.epoch,
            tasks: self.tasks.len(),
            installed: self.tasks.values().filter(|task| task.installed.is_some()).count(),
        }
    }

    async fn started(&mut self, context: &mut Context<Planner>) -> Result<(), Failure> {
        // A generation before this one may have heard of changes that are not heard of twice.
        self.setup
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forget_built();
        self.connect(context);
        self.poll(context);
        context.send_later(Duration::ZERO, Beat);
        Ok(())
    }
}

impl Planner {
    fn event(&mut self, kind: Kind, text: String, context: &Context<Planner>) {
        self.events.add(context.clock().wall().0, kind, text);
    }

    fn poll(&self, context: &mut Context<Planner>) {
        let (keeper, now_ns) = (Arc::clone(&self.setup.keeper), context.clock().wall().0);
        let poll = tokio::task::spawn_blocking(move || {
            let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            (keeper.poll(now_ns), keeper.epoch())
        });
        context.pipe(poll, |joined| PollDone(joined.map_err(|error| chain(&error))));
    }

    fn take_epoch(&mut self, context: &mut Context<Planner>) {
        if std::mem::replace(&mut self.taking_epoch, true) {
            return;
        }
        let keeper = Arc::clone(&self.setup.keeper);
        let take = tokio::task::spawn_blocking(move || {
            let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            keeper.next_epoch().map_err(|error| chain(&error))
        });
        context.pipe(take, |joined| {
            EpochTaken(joined.unwrap_or_else(|error| Err(chain(&error))))
        });
    }
}

impl Handler<Poll> for Planner {
    async fn handle(&mut self, _poll: Poll, context: &mut Context<Planner>) -> Result<(), Failure> {
        self.poll(context);
        Ok(())
    }
}

impl Handler<PollDone> for Planner {
    async fn handle(&mut self, done: PollDone, context: &mut Context<Planner>) -> Result<(), Failure> {
        match done.0 {
            Ok((polled, epoch)) => {
                if self.epoch == 0 {
                    self.event(Kind::Topology, format!("epoch {epoch} begins"), context);
                }
                self.epoch = self.epoch.max(epoch);
                for (kind, text) in polled.events {
                    self.event(kind, text, context);
                }
                if let Some(known) = polled.known {
                    let before = self.versions();
                    self.tell_drained(&known, context);
                    self.learn(known);
                    self.foretell(&before, context);
                    self.act(context);
                }
            }
            Err(why) => tracing::error!(%why, "the configuration was not looked at; it is tried again"),
        }
        context.send_later(self.setup.poll_every, Poll);
        Ok(())
    }
}

impl Handler<Beat> for Planner {
    async fn handle(&mut self, _beat: Beat, context: &mut Context<Planner>) -> Result<(), Failure> {
        self.ask_reduces(context);
        self.watch_reduces(context);
        self.end_avoiding(context);
        self.act(context);
        self.repair(context);
        context.send_later(BEAT, Beat);
        Ok(())
    }
}

impl Handler<EpochTaken> for Planner {
    async fn handle(&mut self, taken: EpochTaken, context: &mut Context<Planner>) -> Result<(), Failure> {
        self.taking_epoch = false;
        match taken.0 {
            Ok(epoch) => {
                self.epoch = epoch;
                self.event(Kind::Topology, format!("epoch {epoch} begins: monitors move"), context);
                self.moved();
                self.act(context);
            }
            Err(why) => tracing::error!(%why, "no new epoch could be taken; monitors stay where they are"),
        }
        Ok(())
    }
}

impl Handler<AskState> for Planner {
    async fn handle(&mut self, _ask: AskState, context: &mut Context<Planner>) -> Result<BrainState, Failure> {
        Ok(self.show(context))
    }
}
