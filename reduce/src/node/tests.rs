//! A Reduce among others: a Brain that asks, Maps that do as they are told, a store in memory, and paused time.

use super::*;
use crate::point::WindowState;
use crate::protocol::{InventorySpan, MapNode, MonitorStatus, MonitorTask, NodeAddress, Place, ReduceStatus};
use crate::stored::{DEFINITION, HOSTS, SHAPE};
use crate::testing::{MONITOR, MemoryStore, SECOND_NS, cell, report, run, shape, target};
use HostState::{Behind, NoFile, Ok as Counted, OkSilent, Timeout, Unreachable};
use Stage::{Provisional, Settled};
use configs::monitor::Monitor;
use lika::node::{Client, Dialling};
use lika::seam::{MemoryNetwork, WallNs};
use lika::wire::Token;
use map::protocol::{
    Collected, Definition, HostReport, MapAnswer, MapProtocol, MapRequest, RereadRequest, ShardTask, TaskId,
};
use map::verdict::{HostState, Stage};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::LocalSet;

mod profiles;
mod questions;
mod watch;

const PATIENCE: Duration = Duration::from_secs(100);
const BEGIN_S: i64 = 1_000;

#[derive(Default)]
struct MapState {
    tasks: BTreeMap<TaskId, ShardTask>,
    /// What was reported, by ticket, until it is acknowledged.
    pending: BTreeMap<u64, HostReport>,
    ticket: u64,
    acked: u64,
    installs: Vec<ShardTask>,
    removed: Vec<TaskId>,
    rereads: Vec<RereadRequest>,
    /// What is answered to readings apart.
    reread_answer: Vec<HostReport>,
    stale: Option<u64>,
    /// What is answered to questions, by host; of others nothing is heard.
    asked: BTreeMap<String, questions::Script>,
    /// Hosts that are being asked.
    asking: Vec<String>,
}

/// A Map that does as it is told.
#[derive(Clone, Default)]
struct Puppet {
    state: Arc<Mutex<MapState>>,
    changed: Arc<Notify>,
}

impl Puppet {
    fn state(&self) -> MutexGuard<'_, MapState> {
        self.state.lock().expect("no test panics with the map in hand")
    }

    fn say(&self, report: HostReport) {
        let mut state = self.state();
        state.ticket += 1;
        let ticket = state.ticket;
        state.pending.insert(ticket, report);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Loses all that it had in memory.
    fn forget(&self) {
        let mut state = self.state();
        (state.ticket, state.acked) = (0, 0);
        state.tasks.clear();
        state.pending.clear();
    }

    fn collected(&self, acked: u64) -> Option<Collected> {
        let mut state = self.state();
        state.acked = state.acked.max(acked);
        state.pending.retain(|ticket, _| *ticket > acked);
        let ticket = *state.pending.keys().next_back()?;
        // Each host once: here a ticket has one report, so the first is handed out alone.
        let (first, report) = state.pending.first_key_value()?;
        Some(Collected {
            ticket: *first,
            reports: vec![report.clone()],
            more: *first < ticket,
        })
    }

    fn answer(&self, request: &MapRequest) -> Option<MapAnswer> {
        let mut state = self.state();
        if let Some(epoch) = state.stale {
            return Some(MapAnswer::Stale { epoch });
        }
        match request {
            MapRequest::Install(task) => {
                state.installs.push((**task).clone());
                state.tasks.insert(task.id.clone(), (**task).clone());
                Some(MapAnswer::Done)
            }
            MapRequest::Remove { id, .. } => {
                state.tasks.remove(id);
                state.removed.push(id.clone());
                Some(MapAnswer::Done)
            }
            MapRequest::Collect(collect) if !state.tasks.contains_key(&collect.id) => Some(MapAnswer::Unknown),
            MapRequest::Reread(reread) => {
                state.rereads.push(reread.clone());
                Some(MapAnswer::Reread(state.reread_answer.clone()))
            }
            MapRequest::Agents => Some(MapAnswer::Agents(Vec::new())),
            MapRequest::Collect(_) | MapRequest::Status | MapRequest::Browse(_) | MapRequest::Ask(_) => None,
        }
    }
}

struct PuppetHandler(Puppet, Clock);

impl Handler<MapProtocol> for PuppetHandler {
    async fn handle(&self, request: MapRequest, _call: &mut Call<MapProtocol>) -> Result<MapAnswer, Refusal> {
        let Self(puppet, clock) = self;
        if let MapRequest::Ask(ask) = request {
            return Ok(puppet.asked(*ask).await);
        }
        if let Some(answer) = puppet.answer(&request) {
            return Ok(answer);
        }
        let MapRequest::Collect(collect) = request else {
            return Err(Refusal::Declined("nobody asks this here".to_owned()));
        };
        let deadline = clock.deadline_in(Duration::from_millis(collect.wait_ms.into()));
        loop {
            let changed = puppet.changed.notified();
            if let Some(collected) = puppet.collected(collect.acked) {
                return Ok(MapAnswer::Collected(collected));
            }
            if clock.timeout_at(deadline, changed).await.is_err() {
                return Ok(MapAnswer::Collected(Collected {
                    ticket: collect.acked,
                    reports: Vec::new(),
                    more: false,
                }));
            }
        }
    }
}

/// A Brain, a Reduce, a Map and a store.
struct Scene {
    network: MemoryNetwork,
    clock: Clock,
    randomness: Randomness,
    store: MemoryStore,
    map: Puppet,
    map_server: Option<Server>,
    node: Option<ReduceNode>,
    brain: Client<ReduceProtocol>,
}

fn identity(role: &str) -> Identity {
    Identity {
        role: role.to_owned(),
        node: format!("{role}-1"),
        token: Token::new("a token of some length").expect("long enough"),
    }
}

fn read_definition(definition: &Definition) -> Result<Monitor, String> {
    let Definition::Yaml(text) = definition else {
        return Err("only text here".to_owned());
    };
    match configs::load_str("monitor", text)
        .map_err(|mistakes| mistakes[0].to_string())?
        .pop()
    {
        Some(configs::Document::Monitor(monitor)) => Ok(monitor),
        _ => Err("no monitor".to_owned()),
    }
}

impl Scene {
    async fn new() -> Self {
        let network = MemoryNetwork::default();
        let clock = Clock::simulated(WallNs(BEGIN_S * SECOND_NS));
        let randomness = Randomness::seeded(5);
        let brain = Client::start(Dialling {
            network: Arc::new(network.clone()),
            address: "reduce:1".to_owned(),
            server_node: None,
            identity: identity("brain"),
            settings: Settings::default(),
            clock: clock.clone(),
            randomness: randomness.clone(),
        });
        let mut stage = Self {
            network,
            clock,
            randomness,
            store: MemoryStore::default(),
            map: Puppet::default(),
            map_server: None,
            node: None,
            brain,
        };
        stage.start_map().await;
        stage.start_node().await;
        stage
    }

    async fn start_map(&mut self) {
        let builder = ServerBuilder::new(
            identity("map"),
            Settings::default(),
            self.clock.clone(),
            self.randomness.clone(),
        );
        let handler = PuppetHandler(self.map.clone(), self.clock.clone());
        // The old listener's address is free once its task has been dropped.
        self.until("the map's address is free", async |stage| {
            let builder = ServerBuilder::new(
                identity("map"),
                Settings::default(),
                stage.clock.clone(),
                stage.randomness.clone(),
            );
            builder.listen(&stage.network, "map:1").await.is_ok()
        })
        .await;
        tokio::task::yield_now().await;
        let server = builder
            .serve::<MapProtocol>(handler)
            .listen(&self.network, "map:1")
            .await;
        self.map_server = Some(server.expect("listens"));
    }

    async fn start_node(&mut self) {
        let config = ReduceConfig {
            identity: identity("reduce"),
            network: Arc::new(self.network.clone()),
            settings: Settings::default(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            listen: "reduce:1".to_owned(),
            storage: Arc::new(self.store.clone()),
            pool: CpuPool::inline(),
            read_definition,
        };
        self.node = Some(start(config).await.expect("listens"));
    }

    async fn ask(&self, request: ReduceRequest) -> ReduceAnswer {
        self.brain.call(&request, PATIENCE).await.expect("answers")
    }

    async fn install(&self, task: MonitorTask) {
        assert_eq!(
            self.ask(ReduceRequest::Install(Box::new(task))).await,
            ReduceAnswer::Done
        );
    }

    async fn status(&self) -> ReduceStatus {
        match self.ask(ReduceRequest::Status { heard: 0 }).await {
            ReduceAnswer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    async fn monitor(&self) -> MonitorStatus {
        self.status().await.monitors.pop().expect("one is installed")
    }

    /// Waits in paused time until something is so.
    async fn until(&self, what: &str, mut is_so: impl AsyncFnMut(&Self) -> bool) {
        let reached = async {
            while !is_so(self).await {
                self.clock.sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = self.clock.timeout(PATIENCE, reached).await;
        assert!(
            reached.is_ok(),
            "never: {what}; {:?}; {:?}",
            self.status().await,
            self.header(0)
        );
    }

    fn header(&self, at_s: i64) -> Option<crate::stored::StoredHeader> {
        self.store.header(ns(at_s))
    }

    async fn until_window(&self, at_s: i64, state: WindowState, hosts: &[HostState], records: u64) {
        self.until(&format!("{at_s}: {state:?} {hosts:?} {records}"), async |stage| {
            stage.header(at_s).is_some_and(|header| {
                let states: Vec<HostState> = header.hosts.states().map(|(state, _)| state).collect();
                (header.state, &*states, header.records) == (state, hosts, records)
            })
        })
        .await;
    }

    async fn until_s(&self, at_s: i64) {
        self.until("time passes", async |stage| stage.clock.wall().0 >= ns(at_s))
            .await;
    }
}

/// Times are counted from the start of the test.
fn ns(at_s: i64) -> i64 {
    (BEGIN_S + at_s) * SECOND_NS
}

fn map_node(node: &str, address: &str) -> MapNode {
    MapNode {
        node: NodeAddress {
            node: node.to_owned(),
            address: address.to_owned(),
        },
        labels: BTreeMap::new(),
        is_drained: false,
    }
}

fn task(epoch: u64, hosts: &[&str]) -> MonitorTask {
    MonitorTask {
        monitor: "pay".to_owned(),
        version: 7,
        epoch,
        definition: Definition::Yaml(MONITOR.to_owned()),
        from_ns: ns(0),
        until_ns: None,
        inventory: vec![InventorySpan {
            from_ns: ns(-100),
            version: hosts.len() as u64,
            hosts: hosts.iter().map(|host| target(host)).collect(),
        }],
        place: Place {
            app: "shop".to_owned(),
            path: "/l".to_owned(),
            maps: vec![map_node("map-1", "map:1")],
        },
        horizon_ns: 86_400 * SECOND_NS,
        tenant: None,
        profiles: Vec::new(),
    }
}

fn say(host: &str, at_s: i64, records: u64, state: HostState, stage: Stage) -> HostReport {
    let cells = match records {
        0 => Vec::new(),
        records => vec![cell(&shape(), ns(at_s), 1, records, records)],
    };
    report(host, cells, vec![run(ns(at_s), ns(at_s + 1), state, stage)])
}

fn play(test: impl AsyncFnOnce(Scene)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, async { test(Scene::new().await).await });
}

#[test]
fn what_a_map_reports_is_published_and_then_acknowledged() {
    play(async |stage| {
        stage.install(task(1, &["a", "b"])).await;
        stage
            .until("it is installed", async |stage| stage.map.state().tasks.len() == 1)
            .await;
        let installed = stage.map.state().installs[0].clone();
        assert_eq!((installed.epoch, installed.inputs.len()), (1, 2));
        assert_eq!(installed.inputs[0].from_ns, ns(0));
        stage
            .map
            .say(report("a", vec![cell(&shape(), ns(0), 1, 9, 4)], Vec::new()));
        stage
            .until_window(0, WindowState::Open, &[HostState::Open, HostState::Open], 6)
            .await;
        stage
            .until("it is acknowledged", async |stage| stage.map.state().acked == 1)
            .await;

        stage.until_s(2).await;
        let asked_ns = stage.clock.wall().0;
        stage.map.say(say("a", 0, 0, Counted, Provisional));
        stage.map.say(say("b", 0, 0, Counted, Provisional));
        stage
            .until_window(0, WindowState::Provisional, &[Counted, OkSilent], 6)
            .await;
        let took_ms = (stage.clock.wall().0 - asked_ns) / 1_000_000;
        assert!(took_ms < 200, "it took {took_ms} ms");
        stage.map.say(say("a", 0, 0, Counted, Settled));
        stage.map.say(say("b", 0, 0, Counted, Settled));
        stage
            .until_window(0, WindowState::Settled, &[Counted, OkSilent], 6)
            .await;
        assert_eq!(stage.monitor().await.newest_ns, Some(ns(0)));
        let kinds: Vec<String> = stage
            .store
            .kept()
            .documents
            .iter()
            .map(|document| document.kind.clone())
            .collect();
        assert_eq!(kinds, [SHAPE, DEFINITION, HOSTS]);
        assert_eq!(stage.monitor().await.troubles, Vec::<String>::new());
    });
}

#[test]
fn a_map_that_was_restarted_is_installed_anew_and_goes_on_where_it_must() {
    play(async |stage| {
        stage.install(task(1, &["a"])).await;
        stage.until_s(4).await;
        stage.map.say(report(
            "a",
            vec![cell(&shape(), ns(0), 1, 9, 4)],
            vec![run(ns(0), ns(2), Counted, Settled)],
        ));
        stage.until_window(1, WindowState::Settled, &[OkSilent], 0).await;
        stage.map.forget();
        stage
            .until("it is installed anew", async |stage| {
                stage.map.state().installs.len() == 2
            })
            .await;
        // From the first window on that may still change, knowing which are proved.
        let (from_ns, proved_ns) = {
            let state = stage.map.state();
            let input = &state.installs[1].inputs[0];
            (input.from_ns, input.proved_ns)
        };
        assert_eq!((from_ns, proved_ns), (ns(0), ns(2)));
        // Its tickets begin anew, and none is taken for one that was heard before.
        stage.map.say(say("a", 2, 6, Counted, Settled));
        stage.until_window(2, WindowState::Settled, &[Counted], 9).await;
        stage.until_window(0, WindowState::Settled, &[Counted], 6).await;
    });
}

#[test]
fn a_map_that_is_gone_shows_and_heals() {
    play(async |mut stage| {
        stage.install(task(1, &["a"])).await;
        stage
            .until("it is installed", async |stage| stage.map.state().tasks.len() == 1)
            .await;
        stage.map_server = None;
        stage.until_window(1, WindowState::Provisional, &[Unreachable], 0).await;
        let details = stage.header(1).expect("stored").hosts.details;
        assert!(details[&0].starts_with("its map map-1 cannot be asked"), "{details:?}");
        let status = stage.monitor().await;
        assert!(status.below >= 1 && !status.troubles.is_empty(), "{status:?}");
        stage.map.forget();
        stage.start_map().await;
        stage
            .until("it is installed anew", async |stage| {
                stage.map.state().installs.len() == 2
            })
            .await;
        assert_eq!(stage.map.state().installs[1].inputs[0].from_ns, ns(0));
        stage
            .map
            .say(report("a", Vec::new(), vec![run(ns(0), ns(5), Counted, Settled)]));
        stage.until_window(1, WindowState::Settled, &[OkSilent], 0).await;
        stage
            .until("no trouble is left", async |stage| {
                stage.monitor().await.troubles.is_empty()
            })
            .await;
    });
}

#[test]
fn a_host_of_which_a_map_says_nothing_is_late() {
    play(async |stage| {
        stage.install(task(1, &["a", "b"])).await;
        stage.until_s(2).await;
        stage.map.say(say("a", 0, 4, Counted, Settled));
        stage
            .until_window(0, WindowState::Provisional, &[Counted, Timeout], 6)
            .await;
        stage.map.say(say("b", 0, 2, Counted, Settled));
        stage
            .until_window(0, WindowState::Settled, &[Counted, Counted], 9)
            .await;
        stage.map.say(say("b", 0, 0, Behind, Provisional));
        stage
            .until_window(0, WindowState::Provisional, &[Counted, Behind], 9)
            .await;
        assert_eq!(stage.header(0).expect("stored").withdrawn, [("b".to_owned(), Behind)]);
    });
}

#[test]
fn a_repair_reads_what_is_missing_and_nothing_else() {
    play(async |stage| {
        stage.install(task(1, &["a", "b"])).await;
        stage.until_s(4).await;
        stage
            .map
            .say(report("a", Vec::new(), vec![run(ns(0), ns(3), Counted, Settled)]));
        stage
            .map
            .say(report("b", Vec::new(), vec![run(ns(0), ns(2), NoFile, Provisional)]));
        stage
            .until_window(1, WindowState::Provisional, &[OkSilent, NoFile], 0)
            .await;
        let cells = vec![cell(&shape(), ns(0), 1, 4, 4), cell(&shape(), ns(1), 1, 6, 6)];
        stage.map.state().reread_answer = vec![report("b", cells, vec![run(ns(0), ns(2), Counted, Settled)])];
        let repair = |windows: Vec<i64>| ReduceRequest::Repair {
            monitor: "pay".to_owned(),
            version: 7,
            epoch: 1,
            windows,
        };
        assert_eq!(
            stage.ask(repair(vec![ns(0), ns(1), ns(2), 5])).await,
            ReduceAnswer::Done
        );
        stage
            .until_window(0, WindowState::Settled, &[OkSilent, Counted], 6)
            .await;
        stage
            .until_window(1, WindowState::Settled, &[OkSilent, Counted], 9)
            .await;
        let rereads = stage.map.state().rereads.clone();
        assert_eq!(rereads.len(), 1);
        assert_eq!((rereads[0].from_ns, rereads[0].to_ns), (ns(0), ns(2)));
        assert_eq!(rereads[0].hosts, [target("b")]);
    });
}

#[test]
fn an_owner_that_is_deposed_stops_until_it_is_installed_again() {
    play(async |stage| {
        stage.install(task(1, &["a"])).await;
        stage.until_s(2).await;
        stage.map.say(say("a", 0, 4, Counted, Provisional));
        stage.until_window(0, WindowState::Provisional, &[Counted], 6).await;
        // Another owner, of a greater epoch, writes the same window.
        let key = ("pay".to_owned(), ns(0));
        stage.store.kept().windows.get_mut(&key).expect("stored").fence.epoch = 5;
        stage.map.say(say("a", 0, 8, Counted, Settled));
        stage
            .until("it is deposed", async |stage| {
                stage
                    .monitor()
                    .await
                    .troubles
                    .iter()
                    .any(|trouble| trouble.starts_with("deposed: epoch 5"))
            })
            .await;
        assert_eq!(stage.status().await.refused, 1);
        assert_eq!(stage.map.state().acked, 1, "what was not written is not acknowledged");
        let stale = stage.ask(ReduceRequest::Install(Box::new(task(0, &["a"])))).await;
        assert_eq!(stale, ReduceAnswer::Stale { epoch: 1 });
        stage.install(task(6, &["a"])).await;
        stage.until_window(0, WindowState::Settled, &[Counted], 12).await;
        assert_eq!(stage.store.kept().windows[&key].fence.epoch, 6);
    });
}

#[test]
fn a_map_that_knows_a_greater_epoch_stops_its_owner() {
    play(async |stage| {
        stage.install(task(1, &["a"])).await;
        stage
            .until("it is installed", async |stage| stage.map.state().tasks.len() == 1)
            .await;
        stage.map.state().stale = Some(2);
        stage
            .until("it is deposed", async |stage| {
                !stage.monitor().await.troubles.is_empty()
            })
            .await;
        stage.map.state().stale = None;
        stage.install(task(2, &["a"])).await;
        stage
            .until("it asks again", async |stage| {
                let installs = stage.map.state().installs.clone();
                installs.last().is_some_and(|install| install.epoch == 2)
            })
            .await;
        assert_eq!(stage.monitor().await.troubles, Vec::<String>::new());
    });
}

#[test]
fn a_broken_store_is_waited_for_and_nothing_is_lost() {
    play(async |stage| {
        stage.install(task(1, &["a"])).await;
        stage.until_s(2).await;
        stage.store.kept().is_broken = true;
        stage.map.say(say("a", 0, 4, Counted, Settled));
        stage
            .until("it says so", async |stage| !stage.monitor().await.troubles.is_empty())
            .await;
        stage.until_s(8).await;
        assert_eq!(stage.map.state().acked, 0);
        stage.store.kept().is_broken = false;
        stage.until_window(0, WindowState::Settled, &[Counted], 6).await;
        stage
            .until("it is acknowledged", async |stage| stage.map.state().acked == 1)
            .await;
        assert_eq!(stage.monitor().await.troubles, Vec::<String>::new());
    });
}

#[test]
fn a_new_node_goes_on_from_the_store_alone() {
    play(async |mut stage| {
        stage.install(task(1, &["a", "b"])).await;
        stage.until_s(2).await;
        stage.map.say(say("a", 0, 4, Counted, Settled));
        stage.map.say(say("b", 0, 100, NoFile, Provisional));
        stage
            .until_window(0, WindowState::Provisional, &[Counted, NoFile], 6)
            .await;
        stage.node.take().expect("it runs").stop().await;
        let revision = stage.store.kept().windows[&("pay".to_owned(), ns(0))].fence.revision;
        stage.start_node().await;
        assert_eq!(stage.status().await.monitors, []);
        stage.install(task(2, &["a", "b"])).await;
        stage.map.say(say("b", 0, 0, Counted, Settled));
        stage
            .until_window(0, WindowState::Settled, &[Counted, Counted], 156)
            .await;
        assert!(stage.store.kept().windows[&("pay".to_owned(), ns(0))].fence.revision > revision);
    });
}

#[test]
fn changed_tasks_are_taken_in_place_and_removed_ones_leave_their_maps() {
    play(async |stage| {
        stage.install(task(1, &["a"])).await;
        stage
            .until("it is installed", async |stage| stage.map.state().tasks.len() == 1)
            .await;
        let mut changed = task(2, &["a"]);
        changed.inventory.push(InventorySpan {
            from_ns: ns(1),
            version: 2,
            hosts: vec![target("a"), target("b")],
        });
        stage.install(changed).await;
        stage
            .until("its map has both hosts", async |stage| {
                let installs = stage.map.state().installs.clone();
                installs
                    .last()
                    .is_some_and(|install| (install.epoch, install.inputs.len()) == (2, 2))
            })
            .await;
        stage
            .map
            .say(report("a", Vec::new(), vec![run(ns(0), ns(2), Counted, Settled)]));
        stage.map.say(say("b", 1, 2, Counted, Settled));
        stage.until_window(0, WindowState::Settled, &[OkSilent], 0).await;
        stage
            .until_window(1, WindowState::Settled, &[OkSilent, Counted], 3)
            .await;
        let remove = ReduceRequest::Remove {
            monitor: "pay".to_owned(),
            version: 7,
            epoch: 2,
        };
        assert_eq!(stage.ask(remove).await, ReduceAnswer::Done);
        stage
            .until("its map was told", async |stage| stage.map.state().removed.len() == 1)
            .await;
        assert_eq!(stage.status().await.monitors, []);
        let repair = ReduceRequest::Repair {
            monitor: "pay".to_owned(),
            version: 7,
            epoch: 2,
            windows: Vec::new(),
        };
        assert_eq!(stage.ask(repair).await, ReduceAnswer::Unknown);
    });
}

#[test]
fn a_definition_that_cannot_be_counted_is_refused_with_the_reason() {
    play(async |stage| {
        let mut bad = task(1, &["a"]);
        bad.definition = Definition::Yaml("kind: monitor\nname: pay\nselect: { x: count( }".to_owned());
        match stage.ask(ReduceRequest::Install(Box::new(bad))).await {
            ReduceAnswer::Invalid(why) => assert!(!why.is_empty()),
            other => panic!("{other:?}"),
        }
    });
}
