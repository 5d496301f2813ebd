//! What is installed on a Reduce: tells owners what Brains want, and refuses Brains that are deposed (M4).

use super::Shared;
use super::hosts::Reached;
use super::owner::{Note, Owner};
use crate::placement;
use crate::profiles::HostProfiles;
use crate::protocol::{MapNode, MonitorStatus, MonitorTask, Place, ReduceAnswer, ReduceRequest, ReduceStatus};
use crate::terms::Terms;
use lika::actor::{Actor, Context, Failure, Handler, LifeState, Mailbox, Message, Options, RestartLimit};
use map::protocol::{HostTarget, KeptProfile};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Most versions of monitors on one node: each has an actor and a ledger of its windows.
const MONITORS_MAX: usize = 20_000;
/// How long an owner may do without a sign of progress: longer than one call of the store may take.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(60);

/// A Brain's request.
pub(super) struct Ask(pub(super) ReduceRequest);

impl Message for Ask {
    type Reply = ReduceAnswer;
}

/// Asks which Maps to ask about hosts, the best first.
pub(super) enum Route {
    /// About one.
    Host {
        /// The Maps, and what one of them counts there.
        place: Place,
        /// Which.
        target: HostTarget,
    },
    /// About all.
    All {
        /// The Maps.
        maps: Vec<MapNode>,
    },
}

impl Message for Route {
    type Reply = Vec<Reached>;
}

struct Installed {
    /// What its owner is built from: the newest task.
    task: Rc<RefCell<MonitorTask>>,
    /// What is known of the logs of its hosts, which outlives its owner.
    profiles: Rc<RefCell<HostProfiles>>,
    owner: Mailbox<Owner>,
}

/// All that is installed.
pub(super) struct Registry {
    shared: Rc<Shared>,
    /// The highest epoch that was heard of.
    epoch: u64,
    /// By monitor and version.
    installed: BTreeMap<(String, u64), Installed>,
}

impl Registry {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self {
            shared,
            epoch: 0,
            installed: BTreeMap::new(),
        }
    }

    /// Whether a request comes from a topology that is no longer in force.
    fn refused(&mut self, epoch: u64) -> Option<ReduceAnswer> {
        if epoch < self.epoch {
            return Some(ReduceAnswer::Stale { epoch: self.epoch });
        }
        self.epoch = epoch;
        None
    }

    async fn install(&mut self, mut task: MonitorTask, context: &mut Context<Self>) -> ReduceAnswer {
        if let Some(refused) = self.refused(task.epoch) {
            return refused;
        }
        let terms = match Terms::of(&task.definition, &task.monitor, self.shared.config.read_definition) {
            Ok(terms) => terms,
            Err(why) => return ReduceAnswer::Invalid(why),
        };
        let key = (task.monitor.clone(), task.version);
        let given = std::mem::take(&mut task.profiles);
        if let Some(known) = self.installed.get(&key) {
            self.give(&known.profiles, given, &task);
            known.task.replace(task);
            self.guard();
            return match known.owner.tell_when_room(Note::Changed).await {
                Ok(()) => ReduceAnswer::Done,
                Err(_gone) => ReduceAnswer::Unknown,
            };
        }
        if self.installed.len() >= MONITORS_MAX {
            return ReduceAnswer::Invalid(format!(
                "this node has {MONITORS_MAX} monitors, which is the most it takes: install it on another one"
            ));
        }
        let profiles = Rc::default();
        self.give(&profiles, given, &task);
        let task = Rc::new(RefCell::new(task));
        let (shared, newest, known) = (Rc::clone(&self.shared), Rc::clone(&task), Rc::clone(&profiles));
        let options = Options {
            progress_deadline: PROGRESS_DEADLINE,
            // A monitor that always fails is tried for ever, ever more seldom: its neighbours are not to suffer.
            restart_limit: RestartLimit {
                restarts: u32::MAX,
                within: Duration::from_secs(60),
            },
            ..Options::named(format!("{}:{}", key.0, key.1))
        };
        let owner = context.spawn_child(options, move || {
            Owner::new(Rc::clone(&shared), terms.clone(), Rc::clone(&newest), Rc::clone(&known))
        });
        let installed = Installed { task, profiles, owner };
        self.installed.insert(key, installed);
        self.guard();
        ReduceAnswer::Done
    }

    /// Watches the Maps of what is installed.
    fn guard(&self) {
        let tasks: Vec<_> = self.installed.values().map(|known| known.task.borrow()).collect();
        self.shared.guard_only(tasks.iter().flat_map(|task| &task.place.maps));
    }

    /// Takes what a Brain keeps of a task's hosts; what it does not know is told it again.
    fn give(&self, profiles: &RefCell<HostProfiles>, given: Vec<(String, Vec<KeptProfile>)>, task: &MonitorTask) {
        let hosts = task.inventory.iter().flat_map(|span| &span.hosts);
        let expected: BTreeSet<&str> = hosts.map(|target| target.host.as_str()).collect();
        let unknown = profiles.borrow_mut().give(given, |host| expected.contains(host));
        let mut news = self.shared.news.borrow_mut();
        for (host, profile) in unknown {
            news.add((&task.monitor, task.version, &host), profile);
        }
    }

    async fn remove(&mut self, key: (String, u64), epoch: u64) -> ReduceAnswer {
        if let Some(refused) = self.refused(epoch) {
            return refused;
        }
        if let Some(known) = self.installed.remove(&key) {
            // An owner that is gone has nothing to be removed.
            let _gone = known.owner.tell_when_room(Note::Remove).await;
            self.guard();
        }
        ReduceAnswer::Done
    }

    async fn repair(&mut self, key: (String, u64), epoch: u64, windows: Vec<i64>) -> ReduceAnswer {
        if let Some(refused) = self.refused(epoch) {
            return refused;
        }
        let Some(known) = self.installed.get(&key) else {
            return ReduceAnswer::Unknown;
        };
        match known.owner.tell_when_room(Note::Repair(windows)).await {
            Ok(()) => ReduceAnswer::Done,
            Err(_gone) => ReduceAnswer::Unknown,
        }
    }

    fn status(&self) -> ReduceStatus {
        let monitors = self.installed.values().map(status_of);
        ReduceStatus {
            monitors: monitors.collect(),
            written: self.shared.written.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
            news: self.shared.news.borrow_mut().hand_out(),
            maps: self.shared.guards.borrow().seen(),
        }
    }
}

fn status_of(known: &Installed) -> MonitorStatus {
    let task = known.task.borrow();
    let state = known.owner.state().map(|status| (*status).clone());
    let mut status = state.unwrap_or_else(|| MonitorStatus {
        monitor: task.monitor.clone(),
        version: task.version,
        epoch: task.epoch,
        newest_ns: None,
        windows: 0,
        below: 0,
        below_windows: Vec::new(),
        troubles: Vec::new(),
        shards: Vec::new(),
        grace_ns: 0,
        waits_for_store: false,
        overflow: None,
    });
    if let LifeState::BackingOff(exit) | LifeState::Ended(exit) = known.owner.observe().life {
        status.troubles.push(format!("its owner {exit}; it is built anew"));
    }
    status
}

impl Actor for Registry {
    type State = usize;

    fn observe(&self) -> usize {
        self.installed.len()
    }
}

impl Handler<Route> for Registry {
    async fn handle(&mut self, route: Route, _context: &mut Context<Self>) -> Result<Vec<Reached>, Failure> {
        let guards = self.shared.guards.borrow();
        let maps = match &route {
            Route::Host { place, .. } => &place.maps,
            Route::All { maps } => maps,
        };
        let living = guards.living(maps, |_| false);
        let ordered = match &route {
            Route::Host { place, target } => placement::order(place, target, &living),
            Route::All { .. } => living,
        };
        let reached = ordered
            .into_iter()
            .map(|map| (map.node.clone(), self.shared.maps.link(&map.node.address).client));
        Ok(reached.collect())
    }
}

impl Handler<Ask> for Registry {
    async fn handle(&mut self, Ask(request): Ask, context: &mut Context<Self>) -> Result<ReduceAnswer, Failure> {
        Ok(match request {
            ReduceRequest::Install(task) => self.install(*task, context).await,
            ReduceRequest::Remove {
                monitor,
                version,
                epoch,
            } => self.remove((monitor, version), epoch).await,
            ReduceRequest::Repair {
                monitor,
                version,
                epoch,
                windows,
            } => self.repair((monitor, version), epoch, windows).await,
            ReduceRequest::Status { heard } => {
                self.shared.news.borrow_mut().heard(heard);
                ReduceAnswer::Status(self.status())
            }
            ReduceRequest::Browse(_) | ReduceRequest::Agents { .. } | ReduceRequest::Ask(_) => ReduceAnswer::Unknown,
        })
    }
}
