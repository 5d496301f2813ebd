//! A Brain, Reduces that do as they are told, and a store made by hand, in one process and in paused time.

use brain::keeping::Keeping;
use brain::process::{Brain, BrainConfig, StartError, start};
use brain::protocol::{BrainAnswer, BrainProtocol, BrainRequest, BrainState};
use brain::windows::WindowStore;
use lika::node::{Call, Client, Dialling, Handler, Refusal, Server, ServerBuilder, Settings};
use lika::seam::{BoxedFuture, Clock, MemoryNetwork, Randomness, WallNs};
use lika::wire::{Identity, Token};
use map::protocol::{MapStatus, MonitorSeen, TenantSeen};
use map::verdict::HostState;
use reduce::point::WindowState;
use reduce::protocol::{
    BelowWindow, LearnedProfile, MapNode, MapSeen, MonitorStatus, MonitorTask, NodeAddress, NodeLife, ProfileNews,
    ReduceAnswer, ReduceProtocol, ReduceRequest, ReduceStatus,
};
use reduce::stored::{HostTable, StoredHeader, encode};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use store::{Fence, StoreError, StoredWindow};
use tokio::task::LocalSet;

pub const S: i64 = 1_000_000_000;
pub const NOW: i64 = 20_000 * 86_400 * S + 36_000 * S;
pub const APP: &str =
    "kind: app\nname: shop\nhosts:\n- { host: h1, address: 'h1:1' }\n- { host: h2, address: 'h2:1' }\n";
pub const MONITOR: &str = "kind: monitor\nname: pay\napp: shop\nlog: /l\nselect: { n: count() }\nwindow: 5s\n";
/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(3_600);
const BRAIN: &str = "brain:1";

fn map_node() -> MapNode {
    MapNode {
        node: NodeAddress {
            node: "map-0".to_owned(),
            address: "map:0".to_owned(),
        },
        labels: BTreeMap::new(),
        is_drained: false,
    }
}

/// Its Map as a Reduce finds it.
fn map_seen(costs: &[MonitorSeen], tenants: &[TenantSeen]) -> MapSeen {
    MapSeen {
        map: map_node().node,
        life: NodeLife::Live,
        since_ns: NOW,
        why: None,
        status: Some(MapStatus {
            monitors: costs.to_vec(),
            tenants: tenants.to_vec(),
            ..MapStatus::default()
        }),
    }
}

/// What a Reduce has and was told.
#[derive(Default)]
pub struct Told {
    pub installed: BTreeMap<(String, u64), MonitorTask>,
    /// Windows of each repair, with the time.
    pub repairs: Vec<(i64, Vec<i64>)>,
    pub removed: Vec<(String, u64)>,
    pub installs: usize,
    /// What it says of every monitor.
    pub below: Vec<BelowWindow>,
    pub newest_ns: Option<i64>,
    pub waits_for_store: bool,
    /// What it answers to installations instead of `Done`.
    pub refuse: Option<ReduceAnswer>,
    /// What it says was learned, until it is heard: by ticket.
    pub news: BTreeMap<u64, LearnedProfile>,
    /// What its Map says of what monitors cost, if that is asked.
    pub costs: Vec<MonitorSeen>,
    /// The same, of tenants.
    pub tenants: Vec<TenantSeen>,
}

#[derive(Clone)]
pub struct Reduce {
    told: Arc<Mutex<Told>>,
    clock: Clock,
}

impl Reduce {
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("not poisoned")
    }

    /// Tasks as (monitor, from, until) in seconds from the start, by version's beginning.
    pub fn tasks(&self) -> Vec<(String, i64, Option<i64>)> {
        let seconds = |time_ns: i64| (time_ns - NOW) / S;
        let told = self.told();
        let mut tasks: Vec<_> = told
            .installed
            .values()
            .map(|task| (task.monitor.clone(), seconds(task.from_ns), task.until_ns.map(seconds)))
            .collect();
        tasks.sort();
        tasks
    }
}

impl Handler<ReduceProtocol> for Reduce {
    async fn handle(&self, request: ReduceRequest, _: &mut Call<ReduceProtocol>) -> Result<ReduceAnswer, Refusal> {
        let mut told = self.told();
        let told = &mut *told;
        Ok(match request {
            ReduceRequest::Install(task) => {
                told.installs += 1;
                if let Some(refuse) = &told.refuse {
                    return Ok(refuse.clone());
                }
                told.installed.insert((task.monitor.clone(), task.version), *task);
                ReduceAnswer::Done
            }
            ReduceRequest::Remove { monitor, version, .. } => {
                let key = (monitor, version);
                let answer = match told.installed.remove(&key) {
                    Some(_) => ReduceAnswer::Done,
                    None => ReduceAnswer::Unknown,
                };
                told.removed.push(key);
                answer
            }
            ReduceRequest::Repair {
                monitor,
                version,
                windows,
                ..
            } => {
                if !told.installed.contains_key(&(monitor, version)) {
                    return Ok(ReduceAnswer::Unknown);
                }
                told.repairs.push((self.clock.wall().0, windows));
                ReduceAnswer::Done
            }
            ReduceRequest::Browse(_) => return Err(Refusal::Declined("nobody browses here".to_owned())),
            ReduceRequest::Agents { .. } => ReduceAnswer::Agents(Vec::new()),
            ReduceRequest::Ask(_) => ReduceAnswer::Unknown,
            ReduceRequest::Status { heard } => {
                told.news = told.news.split_off(&(heard + 1));
                let status = |task: &MonitorTask| MonitorStatus {
                    monitor: task.monitor.clone(),
                    version: task.version,
                    epoch: task.epoch,
                    newest_ns: told.newest_ns,
                    windows: 0,
                    below: told.below.len() as u64,
                    below_windows: told.below.clone(),
                    troubles: Vec::new(),
                    shards: Vec::new(),
                    grace_ns: S,
                    waits_for_store: told.waits_for_store,
                    overflow: None,
                };
                ReduceAnswer::Status(ReduceStatus {
                    monitors: told.installed.values().map(status).collect(),
                    written: 0,
                    refused: 0,
                    news: ProfileNews {
                        ticket: told.news.last_key_value().map_or(0, |(ticket, _)| *ticket),
                        learned: told.news.values().cloned().collect(),
                    },
                    maps: vec![map_seen(&told.costs, &told.tenants)],
                })
            }
        })
    }
}

/// A store that has the same windows of every monitor.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<BTreeMap<i64, StoredWindow>>>);

impl Shelf {
    /// Has a window of 5 s that starts so many seconds from the start.
    pub fn put(&self, start_s: i64, done: bool, version: u64, states: &[HostState]) {
        let header = StoredHeader {
            monitor_version: version,
            inventory_version: Some(1),
            profile_version: 1,
            state: WindowState::Provisional,
            hosts: HostTable::new(states.iter().map(|state| (*state, None))),
            records: 0,
            lost: map::partial::Losses::default(),
            flags: Vec::new(),
            withdrawn: Vec::new(),
            overflow: None,
        };
        let window = StoredWindow {
            window_ns: NOW + start_s * S,
            length_ns: 5 * S,
            fence: Fence { epoch: 1, revision: 1 },
            done,
            header: encode(&header),
            body: Vec::new(),
        };
        self.0.lock().expect("not poisoned").insert(window.window_ns, window);
    }

    fn list(&self, range: Range<i64>, most: usize, undone: bool) -> Vec<StoredWindow> {
        let shelf = self.0.lock().expect("not poisoned");
        let windows = shelf.range(range).map(|(_, window)| window);
        windows
            .filter(|window| !undone || !window.done)
            .take(most)
            .cloned()
            .collect()
    }
}

impl WindowStore for Shelf {
    fn windows<'a>(
        &'a self,
        _: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(async move { Ok(self.list(range, most, false)) })
    }

    fn undone<'a>(
        &'a self,
        _: &'a str,
        range: Range<i64>,
        most: usize,
    ) -> BoxedFuture<'a, Result<Vec<StoredWindow>, StoreError>> {
        Box::pin(async move { Ok(self.list(range, most, true)) })
    }
}

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub network: MemoryNetwork,
    pub clock: Clock,
    pub shelf: Shelf,
    pub reduces: Vec<Reduce>,
    pub servers: Vec<Option<Server>>,
    pub brain: Option<Brain>,
}

impl Stage {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path("config")).expect("a folder");
        std::fs::write(self.path("config").join(name), text).expect("a file");
    }

    pub fn reduce(&self) -> &Reduce {
        &self.reduces[0]
    }

    /// Has a Reduce listen, as soon as its address is free.
    pub async fn serve(&mut self, index: usize) {
        let deadline = self.clock.deadline_in(PATIENCE);
        while self.servers[index].is_none() {
            assert!(!self.clock.has_passed(deadline), "in vain: a free address");
            self.clock.sleep(Duration::from_millis(1)).await;
            let (clock, randomness) = (self.clock.clone(), Randomness::seeded(2));
            let builder = ServerBuilder::new(identity("reduce"), Settings::default(), clock, randomness);
            let server = builder
                .serve::<ReduceProtocol>(self.reduces[index].clone())
                .listen(&self.network, &address(index))
                .await;
            self.servers[index] = server.ok();
        }
    }

    pub async fn try_start(&self) -> Result<Brain, StartError> {
        let node = |index: usize| NodeAddress {
            node: format!("reduce-{index}"),
            address: address(index),
        };
        let config = BrainConfig {
            keeping: Keeping::Folders {
                config: self.path("config"),
                data: self.path("data"),
            },
            extra: Vec::new(),
            system: None,
            reduces: (0..self.reduces.len()).map(node).collect(),
            maps: vec![map_node()],
            node: "brain-0".to_owned(),
            token: token(),
            listen: BRAIN.to_owned(),
            network: Arc::new(self.network.clone()),
            clock: self.clock.clone(),
            randomness: Randomness::seeded(3),
            store: Arc::new(self.shelf.clone()),
            horizon: Duration::from_secs(86_400),
            first_windows_back: Duration::from_secs(600),
            poll_every: Duration::from_secs(1),
        };
        start(config).await
    }

    pub async fn start(&mut self) {
        self.brain = Some(self.try_start().await.expect("a brain"));
    }

    pub async fn stop(&mut self) {
        self.brain.take().expect("a brain").stop().await;
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = self.clock.deadline_in(PATIENCE);
        while !condition() {
            assert!(!self.clock.has_passed(deadline), "in vain: {what}");
            self.clock.sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the state is as wanted.
    pub async fn until_state(&self, what: &str, condition: impl Fn(&BrainState) -> bool) -> BrainState {
        let deadline = self.clock.deadline_in(PATIENCE);
        loop {
            let state = self.brain.as_ref().expect("a brain").state().await.expect("a state");
            if condition(&state) {
                return state;
            }
            assert!(!self.clock.has_passed(deadline), "in vain: {what}: {state:#?}");
            self.clock.sleep(Duration::from_millis(100)).await;
        }
    }

    /// Lets so much time pass.
    pub async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// The state as the console hears it.
    pub async fn ask_as_console(&self) -> BrainState {
        let client: Client<BrainProtocol> = Client::start(Dialling {
            network: Arc::new(self.network.clone()),
            address: BRAIN.to_owned(),
            server_node: None,
            identity: identity("console"),
            settings: Settings::default(),
            clock: self.clock.clone(),
            randomness: Randomness::seeded(4),
        });
        let answer = client.call(&BrainRequest::State, Duration::from_secs(5)).await;
        match answer.expect("an answer") {
            BrainAnswer::State(state) => *state,
            other => panic!("{other:?}"),
        }
    }
}

fn address(index: usize) -> String {
    format!("reduce:{index}")
}

fn token() -> Token {
    Token::new("a token of some length").expect("a token")
}

fn identity(role: &str) -> Identity {
    Identity {
        role: role.to_owned(),
        node: format!("{role}-7"),
        token: token(),
    }
}

/// Plays a test with so many Reduces, on a directory that has an app and a monitor.
pub fn play(reduces: usize, test: impl AsyncFnOnce(Stage)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let clock = Clock::simulated(WallNs(NOW));
        let reduce = |_| Reduce {
            told: Arc::default(),
            clock: clock.clone(),
        };
        let mut stage = Stage {
            folder: tempfile::tempdir().expect("a folder"),
            network: MemoryNetwork::default(),
            shelf: Shelf::default(),
            reduces: (0..reduces).map(reduce).collect(),
            servers: (0..reduces).map(|_| None).collect(),
            brain: None,
            clock,
        };
        stage.write("app.yaml", APP);
        stage.write("pay.yaml", MONITOR);
        for index in 0..reduces {
            stage.serve(index).await;
        }
        test(stage).await;
    });
}
